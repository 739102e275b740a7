"""`PhotoReader`: images to predict from files of every kind: arrays, pictures of the model's size, and photos."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from fittingroom.data.dataset import read_only
from fittingroom.data.listing import HIDDEN, Listing, Skipped
from fittingroom.data.model_inputs import ImageReader, ModelInputs
from fittingroom.data.pictures import ACCEPTED, Picture
from fittingroom.data.ranges import ValueRange
from fittingroom.data.resizing import kept_edge
from fittingroom.errors import DataError
from fittingroom.photos.conversion import Conversion, Style
from fittingroom.photos.second_opinion import SecondOpinion

if TYPE_CHECKING:
    from PIL import Image

    from fittingroom.data.class_table import Opinion
    from fittingroom.photos.foreground import Foreground

_SHORTEST = 16  # pixels
_MOST_OBLONG = 20  # longest edge / shortest edge


@dataclass(frozen=True)
class PhotoReader:
    """Reads pictures of any size for one model; those of the model's own size go in as they are.

    Args:
        shape: `(height, width)` or `(height, width, 3)`, of the model's images.
        values: the range of the training images' values.
        style: gives how the training images were made; called for photos alone.
        second: gives what else is asked of photos whose foreground is cut out, or why it cannot be, or None.
    """

    shape: tuple[int, ...]
    values: ValueRange
    style: Callable[[], Style]
    second: Callable[[], SecondOpinion | str | None] = lambda: None

    def read_file(self, path: Path) -> ModelInputs:
        """The images of one file: IDX, NPZ, CSV or a picture.

        Raises:
            DataError: the file cannot be read, or cannot be converted to what the model takes.
        """
        if ImageReader.holds_arrays(path):
            inputs = self._exact.read_file(path)
        else:
            inputs = self.convert(_open_photo(path, self.shape), path)
        return replace(inputs, notes=(*inputs.notes, *_flat_note(inputs)))

    def read_bytes(self, content: bytes, name: Path) -> ModelInputs:
        """The image in the bytes of a picture file.

        Args:
            content: the bytes.
            name: what messages call it.

        Raises:
            DataError: as for `read_file`.
        """
        return self.convert(Picture.read(BytesIO(content), name, at_least=kept_edge(*self.shape[:2])), name)

    def read_picture(self, image: Image.Image, name: Path) -> ModelInputs:
        """The image of a picture that Pillow has opened, in any mode, decoded or not.

        Args:
            image: the picture.
            name: what messages call it.

        Raises:
            DataError: as for `read_file`.
        """
        with Picture.quiet():
            return self.convert(Picture.of(image, name), name)

    def read_all(self, paths: list[Path], left_out: Callable[[str], None]) -> Iterator[ModelInputs]:
        """The images of all files and folders, in order.

        Args:
            paths: files and folders.
            left_out: called with the reason where a picture in a folder cannot be read, and with the files there that
                are not pictures. For a file that was named itself, that is an error.

        Raises:
            DataError: a file that was named cannot be read, a folder has no picture that can be, or a path is a URL.
        """
        for path in paths:
            count, why = 0, ""
            for file, in_folder in _picture_files([path]):
                try:
                    inputs = self.read_file(file)
                except DataError as error:
                    if not in_folder:
                        raise
                    why = str(error)
                    left_out(why)
                    continue
                count += 1
                yield inputs
            if path.is_dir():
                for note in _skipped_in(path):
                    left_out(note)
            if not count:
                raise DataError(f"no picture in the folder {path} can be read. The last error: {why}")

    @property
    def _exact(self) -> ImageReader:
        return ImageReader(self.shape, self.values)

    def convert(self, photo: Picture, name: Path) -> ModelInputs:
        """The image of one decoded picture."""
        # Exactly the model's size means that it was made for the model, so nothing is cut out of it.
        if (photo.image.height, photo.image.width) == self.shape[:2]:
            return self._exact.from_picture(photo, name)
        style = self.style()
        if style.foreground is not None:
            _check_has_foreground(photo, name)
        conversion = Conversion.of(photo.image, style)
        return ModelInputs(
            read_only(self.values.of_pixels(conversion.image[None], str(name))),
            np.array([conversion.foreground is not None]),
            name,
            tuple(f"{name}: {change}." for change in photo.changes),
            conversion.steps,
            self._opinions(photo.image, conversion.foreground),
        )

    def _opinions(self, photo: Image.Image, foreground: Foreground | None) -> tuple[Opinion, ...]:
        second = None if foreground is None else self.second()
        return (second.of(photo, foreground),) if foreground and isinstance(second, SecondOpinion) else ()


def _open_photo(path: Path, shape: tuple[int, ...]) -> Picture:
    """A photo, decoded to no more pixels than a conversion needs, unless it has exactly the size of the model's images.

    Args:
        path: a picture file.
        shape: `(height, width)` or `(height, width, 3)`, of the model's images.

    Raises:
        DataError: it is not a picture that can be read.
    """
    with Picture.quiet():
        return Picture.open(path, at_least=kept_edge(*shape[:2]))


def _picture_files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """The files that are meant by paths of files and folders, each with whether it was found in a folder.

    Of a folder, all pictures below it are taken, by their suffixes and in order; links and hidden files are not.

    Raises:
        DataError: a path is a URL, or a folder cannot be read or has no picture.
    """
    for path in paths:
        # `https://x` has become `https:/x` where it was made a path.
        if re.match(r"(https?|ftp|data|file):/?", str(path), re.IGNORECASE):
            raise DataError(f"{path} is a URL, and nothing is downloaded. Save the picture, and pass the file.")
        if path.is_dir():
            found = sorted(_below(path, Skipped()))
            if not found:
                others = " ".join(_skipped_in(path))
                raise DataError(f"the folder {path} has no pictures in it. {others or f'Accepted are {ACCEPTED}.'}")
            yield from ((file, True) for file in found)
        else:
            yield path, False


def _check_has_foreground(picture: Picture, name: Path) -> None:
    """Refuses pictures with too few pixels to look for a foreground in. Where pictures are only resized, any will do.

    Raises:
        DataError: there are too few in one direction.
    """
    width, height = picture.image.size
    if min(width, height) < _SHORTEST or max(width, height) > _MOST_OBLONG * min(width, height):
        raise DataError(
            f"{name} has {width}×{height} pixels, too few to find a foreground; expected at least {_SHORTEST} along "
            f"the shortest edge, and at most {_MOST_OBLONG} times that along the longest. Use a larger picture."
        )


def _flat_note(inputs: ModelInputs) -> tuple[str, ...]:
    """Counts the images with one colour throughout: a model has an answer to them, too."""
    images = inputs.images
    flat = int((images == images[:, :1, :1]).all(axis=tuple(range(1, images.ndim))).sum()) if images.ndim > 2 else 0
    if not flat:
        return ()
    which = "it has" if len(images) == 1 else f"{flat:,} of {len(images):,} images have"
    return (f"{inputs.source}: {which} one colour throughout: nothing shows.",)


def _skipped_in(folder: Path) -> tuple[str, ...]:
    """A sentence that lists what is not a picture below a folder, if there is anything but hidden files.

    Raises:
        DataError: the folder cannot be read.
    """
    skipped = Skipped()
    for _ in _below(folder, skipped):
        pass
    skipped.paths.pop(HIDDEN, None)
    return skipped.notes(folder)


def _below(folder: Path, skipped: Skipped) -> Iterator[Path]:
    """The pictures below a folder."""
    try:
        listing = Listing.of(folder, skipped)
    except OSError as error:
        raise DataError(f"cannot read the folder {error.filename or folder}: {error.strerror or error}.") from error
    skipped.add_files(listing.others)
    yield from listing.pictures
    for inner in listing.folders:
        yield from _below(inner, skipped)


def are_photos(values: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a sequence of files and pictures, at least one."""
    return isinstance(values, Sequence) and bool(values) and all(map(is_photo, values))


def is_photo(value: Any) -> bool:
    """Whether it is the path of a file, or a picture of Pillow."""
    if isinstance(value, str | os.PathLike):
        return True
    from PIL import Image

    return isinstance(value, Image.Image)
