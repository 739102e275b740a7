"""Photos from files: read, checked and converted for a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from fittingroom.data.layout import HIDDEN, Skipped, list_folder
from fittingroom.data.pictures import ACCEPTED, Picture, as_picture, open_picture, picture_in, quiet_pillow
from fittingroom.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

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
