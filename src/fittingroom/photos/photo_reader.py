"""What a model is to predict, from files of every kind: arrays, pictures of the model's size, and photos.

Photos from files: read, checked and converted for a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.dataset import read_only
from fittingroom.data.image_files import InputImages, holds_arrays, of_its_size, read_images
from fittingroom.data.layout import HIDDEN, Skipped, list_folder
from fittingroom.data.pictures import ACCEPTED, Picture, as_picture, open_picture, picture_in, quiet_pillow
from fittingroom.data.ranges import ValueRange
from fittingroom.errors import DataError
from fittingroom.photos.conversion import Conversion, convert
from fittingroom.photos.style import Style

if TYPE_CHECKING:
    from PIL import Image


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


_DECODED = 256  # pixels that each edge of a photo keeps when it is decoded
_SHORTEST = 16  # pixels
_MOST_OBLONG = 20  # longest edge / shortest edge


def open_photo(path: Path, image_shape: tuple[int, ...]) -> Picture:
    """A photo, decoded to no more pixels than a conversion needs, unless it has exactly the size of the model's images.

    Args:
        path: a picture file.
        image_shape: `(height, width)` or `(height, width, 3)`, of the model's images.

    Raises:
        DataError: it is not a picture that can be read.
    """
    with quiet_pillow():
        return open_picture(path, at_least=_kept(image_shape))


def photo_in(content: bytes, name: Path, image_shape: tuple[int, ...]) -> Picture:
    """The same of the bytes of a picture file.

    Args:
        content: the bytes.
        name: what to call it in messages.
        image_shape: as for `open_photo`.

    Raises:
        DataError: as for `open_photo`.
    """
    return picture_in(BytesIO(content), name, at_least=_kept(image_shape))


def as_photo(image: Image.Image, name: Path) -> Picture:
    """The same of a picture that Pillow has opened.

    Args:
        image: in any mode, decoded or not.
        name: what to call it in messages.

    Raises:
        DataError: as for `open_photo`.
    """
    with quiet_pillow():
        return as_picture(image, name)


def _kept(image_shape: tuple[int, ...]) -> int:
    """Pixels that each edge keeps: twice the model's, so that no larger photo looks as if it had exactly its size."""
    return max(_DECODED, 2 * max(image_shape[:2]))


def check_shows_thing(picture: Picture, name: Path) -> None:
    """Makes sure that there are pixels enough to look for a thing in. Where pictures are only resized, any will do.

    Raises:
        DataError: there are too few in one direction.
    """
    width, height = picture.image.size
    if min(width, height) < _SHORTEST or max(width, height) > _MOST_OBLONG * min(width, height):
        raise DataError(
            f"{name} has {width}×{height} pixels, too few to show a thing; expected at least {_SHORTEST} at the "
            f"shortest edge, and a longest edge of at most {_MOST_OBLONG} times that. Give a larger picture."
        )


def picture_files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """The files that are meant by paths of files and folders, each with whether it was found in a folder.

    Of a folder, all pictures below it are taken, by their suffixes and in order; links and hidden files are not.

    Raises:
        DataError: a path is a URL, or a folder cannot be read or has no picture.
    """
    for path in paths:
        # `https://x` has become `https:/x` where it was made a path.
        if re.match(r"(https?|ftp|data|file):/?", str(path), re.IGNORECASE):
            raise DataError(
                f"{path} is an address on the network, and nothing is fetched from there. Save the picture, and give "
                "the file."
            )
        if path.is_dir():
            found = sorted(_below(path, Skipped()))
            if not found:
                others = " ".join(skipped_in(path))
                raise DataError(f"the folder {path} has no pictures in it. {others or f'Accepted are {ACCEPTED}.'}")
            yield from ((file, True) for file in found)
        else:
            yield path, False


def skipped_in(folder: Path) -> tuple[str, ...]:
    """A sentence that lists what is not a picture below a folder, if there is anything but hidden files.

    Raises:
        DataError: the folder cannot be read.
    """
    skipped = Skipped()
    for _ in _below(folder, skipped):
        pass
    skipped.counts.pop(HIDDEN, None)
    return skipped.notes(folder)


def _below(folder: Path, skipped: Skipped) -> Iterator[Path]:
    """The pictures below a folder."""
    try:
        listing = list_folder(folder, skipped)
    except OSError as error:
        raise DataError(f"cannot read the folder {error.filename or folder}: {error.strerror or error}.") from error
    skipped.add_files(listing.others)
    yield from listing.pictures
    for inner in listing.folders:
        yield from _below(inner, skipped)
