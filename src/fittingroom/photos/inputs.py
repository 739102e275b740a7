"""What a model is to predict, from files of every kind: arrays, pictures of the model's size, and photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fittingroom.data.arrays import read_only
from fittingroom.data.inputs import InputImages, holds_arrays, read_images
from fittingroom.errors import DataError
from fittingroom.photos.conversion import Conversion, convert
from fittingroom.photos.reading import open_photo, picture_files
from fittingroom.photos.style import Style


@dataclass(frozen=True, eq=False)
class Given:
    """The images of one file.

    Args:
        images: as the model takes them.
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


def read_given(path: Path, image_shape: tuple[int, ...], scale: float, style: Callable[[], Style]) -> Given:
    """The images of one file, as a model takes them.

    Args:
        path: IDX, NPZ or a picture.
        image_shape: `(height, width)` or `(height, width, 3)`, of the model's images.
        scale: of the model's own dataset.
        style: gives that dataset's style; called for photos alone.

    Raises:
        DataError: the file cannot be read, or cannot be made what the model takes.
    """
    if holds_arrays(path):
        return Given(read_images(path, image_shape, scale))
    photo = open_photo(path, image_shape)
    if (photo.image.height, photo.image.width) == image_shape[:2]:
        return Given(read_images(path, image_shape, scale))
    conversion = convert(photo.image, style())
    notes = tuple(f"{path}: {change}." for change in photo.changes)
    images = InputImages(path, read_only(conversion.image[None]), 255.0, notes)
    how = tuple((step.name, step.note) for step in conversion.steps)
    return Given(images, how, conversion.found is not None, conversion)


def read_all(paths: list[Path], read: Callable[[Path], Given], left_out: Callable[[str], None]) -> Iterator[Given]:
    """The images of all files and folders, in order.

    Args:
        paths: files and folders.
        read: reads one file.
        left_out: is told why a picture in a folder cannot be read. A file that was named itself is an error.

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
        if not count:
            raise DataError(f"no picture in the folder {path} can be read. The last one: {why}")
