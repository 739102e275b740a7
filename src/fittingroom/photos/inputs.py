"""What a model is to predict, from files of every kind: arrays, pictures of the model's size, and photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.arrays import read_only
from fittingroom.data.inputs import InputImages, holds_arrays, of_its_size, read_images
from fittingroom.data.pictures import Picture
from fittingroom.data.ranges import ValueRange
from fittingroom.errors import DataError
from fittingroom.photos.conversion import Conversion, convert
from fittingroom.photos.reading import check_shows_thing, open_photo, picture_files, skipped_in
from fittingroom.photos.style import Style


@dataclass(frozen=True, eq=False)
class Inputs:
    """Images in the form that a model was trained on.

    Args:
        images: `(n, ...)`.
        cut_out: which of them show a thing that was cut out of a photo, bool `(n,)`.
    """

    images: NDArray[Any]
    cut_out: NDArray[np.bool_]

    @classmethod
    def plain(cls, images: NDArray[Any]) -> Inputs:
        """Images that come from no photo."""
        return cls(images, np.zeros(len(images) if images.ndim else 0, np.bool_))

    @classmethod
    def joined(cls, several: Sequence[Inputs]) -> Inputs:
        """All of several, in their order; there is at least one."""
        return cls(
            np.concatenate([each.images for each in several]), np.concatenate([each.cut_out for each in several])
        )


@dataclass(frozen=True, eq=False)
class Given:
    """The images of one file.

    Args:
        images: with values as in training.
        how: name and note of each step that made them, where the file is a photo of another size than the model's.
        cut_out: whether a thing was cut out of it.
        conversion: the pictures of these steps.
    """

    images: InputImages
    how: tuple[tuple[str, str], ...] = ()
    cut_out: bool = False
    conversion: Conversion | None = None

    def without_pictures(self) -> Given:
        """The same, but for the pictures of the steps, which take 0.3 MB for each photo."""
        return replace(self, conversion=None)

    def inputs(self, image_shape: tuple[int, ...]) -> Inputs:
        """The images in the shape that the model takes: that of pictures, or in a row, or with an axis more."""
        images = self.images.images.reshape(len(self.images), *image_shape)
        return Inputs(images, np.full(len(images), self.cut_out))


def read_given(path: Path, image_shape: tuple[int, ...], values: ValueRange, style: Callable[[], Style]) -> Given:
    """The images of one file, as a model takes them.

    Args:
        path: IDX, NPZ, CSV or a picture.
        image_shape: `(height, width)` or `(height, width, 3)`, of the model's images.
        values: those that the model was trained on.
        style: gives that dataset's style; called for photos alone.

    Raises:
        DataError: the file cannot be read, or cannot be made what the model takes.
    """
    if holds_arrays(path):
        given = Given(read_images(path, image_shape, values))
    else:
        given = of_picture(open_photo(path, image_shape), path, image_shape, values, style)
    return replace(given, images=replace(given.images, notes=(*given.images.notes, *_say_flat(given.images))))


def _say_flat(images: InputImages) -> tuple[str, ...]:
    """Counts the images in which nothing shows: a model has an answer to them, too."""
    found = images.images
    flat = int((found == found[:, :1, :1]).all(axis=tuple(range(1, found.ndim))).sum()) if found.ndim > 2 else 0
    if not flat:
        return ()
    which = "it has" if len(found) == 1 else f"{flat:,} of {len(found):,} images have"
    return (f"{images.path}: {which} one colour throughout: nothing shows.",)


def of_picture(
    photo: Picture, name: Path, image_shape: tuple[int, ...], values: ValueRange, style: Callable[[], Style]
) -> Given:
    """The image of one decoded picture, as a model takes it.

    Args:
        photo: as `photos.reading` gives it.
        name: its file, or what to call it in messages.
        image_shape: as for `read_given`.
        values: as for `read_given`.
        style: as for `read_given`.

    Raises:
        DataError: things are cut out of photos for this model, and it has too few pixels to show one.
    """
    if (photo.image.height, photo.image.width) == image_shape[:2]:
        return Given(of_its_size(photo, name, image_shape, values))
    made = style()
    if made.thing is not None:
        check_shows_thing(photo, name)
    conversion = convert(photo.image, made)
    notes = tuple(f"{name}: {change}." for change in photo.changes)
    images = InputImages(name, read_only(values.of_pixels(conversion.image[None], str(name))), notes)
    how = tuple((step.name, step.note) for step in conversion.steps)
    return Given(images, how, conversion.found is not None, conversion)


def read_all(paths: list[Path], read: Callable[[Path], Given], left_out: Callable[[str], None]) -> Iterator[Given]:
    """The images of all files and folders, in order.

    Args:
        paths: files and folders.
        read: reads one file.
        left_out: is told why a picture in a folder cannot be read, and which files there are not pictures. A
            file that was named itself is an error.

    Raises:
        DataError: a file that was named cannot be read, a folder has no picture that can be, or a path is a URL.
    """
    for path in paths:
        count, why = 0, ""
        for file, in_folder in picture_files([path]):
            try:
                given = read(file)
            except DataError as error:
                if not in_folder:
                    raise
                why = str(error)
                left_out(why)
                continue
            count += 1
            yield given
        if path.is_dir():
            for note in skipped_in(path):
                left_out(note)
        if not count:
            raise DataError(f"no picture in the folder {path} can be read. The last one: {why}")
