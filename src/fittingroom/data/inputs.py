"""Reads images to predict: picture files, IDX and NPZ files, of exactly the size that a model takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.arrays import Images, read_only
from fittingroom.data.csvfile import read_table
from fittingroom.data.idx import read_idx_images
from fittingroom.data.npz import array_names, listed, member_names, read_array
from fittingroom.data.pictures import Picture, not_accepted, open_picture, pixels, quiet_pillow
from fittingroom.data.sniff import is_idx, start_of, unpacked_start
from fittingroom.data.values import to_images
from fittingroom.errors import DataError

_ARRAY_NAMES = ("images", "x", "x_test", "test_images")


@dataclass(frozen=True, eq=False)
class InputImages:
    """Images without labels, all from one file.

    Attributes:
        path: the file.
        images: uint8, `(n, height, width)` or `(n, height, width, 3)`.
        scale: what they are divided by to become model input in 0 to 1.
        notes: what was guessed or changed.
    """

    path: Path
    images: Images
    scale: float
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def x(self) -> NDArray[np.float32]:
        """The images as model input: float32, divided by `scale`."""
        return np.divide(self.images, np.float32(self.scale), dtype=np.float32)


def read_images(path: Path, image_shape: tuple[int, ...], scale: float = 255.0) -> InputImages:
    """The images of one file, as a model takes them.

    A picture file has one image; an IDX file (packed or not) has as many as it declares; of an NPZ file the array
    `images`, `x`, `x_test` or `test_images` is taken, or its only one; a CSV file has one in each row, with or without
    a label.

    Args:
        path: the file; its first bytes tell what it is, and a CSV file by its ending.
        image_shape: `(height, width)` or `(height, width, 3)`, what the model takes.
        scale: the scale of the model's own dataset; whole numbers in IDX and NPZ files are taken to be on it.

    Raises:
        DataError: the file cannot be read, is of no accepted kind, or its images have another size or colour.
    """
    kind = _array_kind(path)
    if kind == "idx":
        return _from_array(path, read_idx_images(path), image_shape, scale)
    if kind == "npz":
        return _from_array(path, read_array(path, _array_name(path)), image_shape, scale)
    if kind == "csv":
        return _from_table(path, image_shape, scale)
    with quiet_pillow():
        return of_its_size(open_picture(path), path, image_shape)


def of_its_size(picture: Picture, path: Path, image_shape: tuple[int, ...]) -> InputImages:
    """A decoded picture that has the size of the model's images, as the one image that it is.

    Args:
        picture: what was decoded.
        path: its file, or what to call it in messages.
        image_shape: as for `read_images`.

    Raises:
        DataError: it has another size.
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
    return InputImages(path, read_only(found[None]), 255.0, tuple(notes))


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


def _from_table(path: Path, image_shape: tuple[int, ...], scale: float) -> InputImages:
    table = read_table(path)
    images = _from_array(path, table.images, image_shape, scale)
    without = () if table.labels is None else (f"{path}: its labels are not looked at.",)
    return replace(images, notes=(*without, *images.notes))


def _array_name(path: Path) -> str:
    names = array_names(path)
    for name in _ARRAY_NAMES:
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    raise DataError(
        f"{path} has the arrays {listed(names)}; expected one alone, or one named "
        f"{', '.join(_ARRAY_NAMES[:-1])} or {_ARRAY_NAMES[-1]}."
    )


def _from_array(path: Path, array: NDArray[Any], image_shape: tuple[int, ...], scale: float) -> InputImages:
    images, notes = to_images({str(path): array})
    found = images[str(path)]
    if found.shape[1:3] != image_shape[:2]:
        raise DataError(_other_size(path, found.shape[1:3], image_shape))
    if found.ndim < len(image_shape) + 1:
        found = found[..., None].repeat(3, axis=3)
    elif found.ndim > len(image_shape) + 1:
        raise DataError(f"{path} has images in colour, but this model takes grey ones. Convert them to grey.")
    if array.max() <= 1:  # then `to_images` has multiplied by 255
        scale = 255.0
    if found.max() > scale:
        raise DataError(
            f"{path} has values up to {found.max()}, but this model's own images have values up to {scale:g}. "
            f"Scale them to 0-1 or to 0-{scale:g}."
        )
    return InputImages(path, read_only(found), scale, notes)


def _other_size(path: Path, found: tuple[int, ...], image_shape: tuple[int, ...]) -> str:
    return (
        f"{path} is {found[0]}x{found[1]} pixels (height x width); this model takes exactly "
        f"{image_shape[0]}x{image_shape[1]}. Bring it to that size first."
    )
