"""Reads images to predict: picture files, IDX and NPZ files, of exactly the size that a model takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.csvfile import read_table
from fittingroom.data.dataset import read_only
from fittingroom.data.idx import read_idx_images
from fittingroom.data.npz import array_names, listed, member_names, read_array
from fittingroom.data.pictures import Picture, not_accepted, open_picture, pixels, quiet_pillow
from fittingroom.data.ranges import ValueRange
from fittingroom.data.sniff import is_idx, start_of, unpacked_start
from fittingroom.data.values import to_range
from fittingroom.errors import DataError

_ARRAY_NAMES = ("images", "x", "x_test", "test_images")
_OTHER_NAMES = ("test_x", "image", "data", "pixels")


@dataclass(frozen=True, eq=False)
class InputImages:
    """Images without labels, all from one file.

    Attributes:
        path: the file.
        images: `(n, height, width)` or `(n, height, width, 3)`, with values as the model's training images had them.
        notes: what was guessed or changed.
    """

    path: Path
    images: NDArray[Any]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def read_images(path: Path, image_shape: tuple[int, ...], values: ValueRange) -> InputImages:
    """The images of one file, as a model takes them.

    A picture file has one image; an IDX file (packed or not) has as many as it declares; of an NPZ file the array
    `images`, `x`, `x_test` or `test_images` is taken, or its only one; a CSV file has one in each row, with or without
    a label.

    Args:
        path: the file; its first bytes tell what it is, and a CSV file by its ending.
        image_shape: `(height, width)` or `(height, width, 3)`, what the model takes.
        values: those that it was trained on.

    Raises:
        DataError: the file cannot be read, is of no accepted kind, its images have another size or colour, or it is not
            known how their values become those of training.
    """
    kind = _array_kind(path)
    if kind == "idx":
        return _from_array(path, read_idx_images(path), image_shape, values)
    if kind == "npz":
        return _from_array(path, read_array(path, _array_name(path)), image_shape, values)
    if kind == "csv":
        return _from_table(path, image_shape, values)
    with quiet_pillow():
        return of_its_size(open_picture(path), path, image_shape, values)


def of_its_size(picture: Picture, path: Path, image_shape: tuple[int, ...], values: ValueRange) -> InputImages:
    """A decoded picture that has the size of the model's images, as the one image that it is.

    Args:
        picture: what was decoded.
        path: its file, or what to call it in messages.
        image_shape: as for `read_images`.
        values: as for `read_images`.

    Raises:
        DataError: it has another size, or it is not known how its values become those of training.
    """
    image, notes = picture.image, [f"{path}: {change}." for change in picture.changes]
    if (image.height, image.width) != image_shape[:2]:
        raise DataError(_other_size(path, (image.height, image.width), image_shape))
    found = pixels(image)
    if found.ndim < len(image_shape):
        found = found[..., None].repeat(3, axis=2)
    elif found.ndim > len(image_shape):
        found = np.asarray(image.convert("L"))
        notes.append(f"{path}: converted from colour to grey.")
    return InputImages(path, read_only(values.of_pixels(found[None], str(path))), tuple(notes))


def holds_arrays(path: Path) -> bool:
    """Whether a file is IDX (packed or not), NPZ or CSV, and not a picture.

    Raises:
        DataError: it cannot be read, or is an archive.
    """
    return _array_kind(path) is not None


def _array_kind(path: Path) -> str | None:
    try:
        start = start_of(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    if is_idx(start) or (start[:2] == b"\x1f\x8b" and _holds_idx(start)):
        return "idx"
    if start.startswith(b"PK\x03\x04"):
        if path.suffix.lower() == ".npz" or any(name.endswith(".npy") for name in member_names(path)):
            return "npz"
        raise not_accepted(path, start)
    return "csv" if path.suffix.lower() in {".csv", ".tsv"} else None


def _holds_idx(start: bytes) -> bool:
    """Whether a packed file is IDX, or is so damaged that only its reader can say what is wrong."""
    inside = unpacked_start(start)
    return not inside or is_idx(inside)


def _from_table(path: Path, image_shape: tuple[int, ...], values: ValueRange) -> InputImages:
    table = read_table(path)
    images = _from_array(path, table.images, image_shape, values)
    without = () if table.labels is None else (f"{path}: its labels are not looked at.",)
    return replace(images, notes=(*without, *images.notes))


def _array_name(path: Path) -> str:
    names = array_names(path)
    lower = {name.lower(): name for name in names}
    for name in (*_ARRAY_NAMES, *_OTHER_NAMES):
        if name in lower:
            return lower[name]
    if len(names) == 1:
        return names[0]
    raise DataError(
        f"{path} has the arrays {listed(names)}; expected one alone, or one named "
        f"{', '.join(_ARRAY_NAMES[:-1])} or {_ARRAY_NAMES[-1]}."
    )


def _from_array(path: Path, array: NDArray[Any], image_shape: tuple[int, ...], values: ValueRange) -> InputImages:
    images, notes = to_range(_shaped(path, array, image_shape), values, str(path))
    return InputImages(path, read_only(images), notes)


def _shaped(path: Path, array: NDArray[Any], image_shape: tuple[int, ...]) -> NDArray[Any]:
    """An array as `(n, *image_shape)`; with more channels only where they are copies."""
    if array.ndim < 2 or 0 in array.shape:
        raise DataError(f"{path} has an array of shape {array.shape}; expected ('n', {str(image_shape)[1:]}.")
    found = array.shape[1:]
    if found == image_shape or (
        len({len(found), len(image_shape)} & {1}) and math.prod(found) == math.prod(image_shape)
    ):
        return array.reshape(len(array), *image_shape)
    grey = array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array
    if grey.ndim not in {3, 4} or (grey.ndim == 4 and grey.shape[3] != 3):
        raise DataError(
            f"{path} has images of shape {found}; this model takes {image_shape}. Bring them to that shape first; "
            "images with channels first need .transpose(0, 2, 3, 1)."
        )
    if grey.shape[1:3] != image_shape[:2]:
        raise DataError(_other_size(path, grey.shape[1:3], image_shape))
    if grey.ndim > len(image_shape) + 1:
        raise DataError(f"{path} has images in colour, but this model takes grey ones. Convert them to grey.")
    return grey if grey.ndim == len(image_shape) + 1 else grey[..., None].repeat(3, axis=3)


def _other_size(path: Path, found: tuple[int, ...], image_shape: tuple[int, ...]) -> str:
    size = f"{path} is {found[0]}x{found[1]} pixels (height x width); this model takes "
    if len(image_shape) < 2:
        return f"{size}rows of {image_shape[0]} values, which are not a square picture. Give an array of them."
    return f"{size}exactly {image_shape[0]}x{image_shape[1]}. Bring it to that size first."
