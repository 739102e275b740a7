"""The two kinds of array that all data are made of, uint8 images and int32 labels: conversion to them, fingerprints.

Files and users have arrays of any number type and scale. What can be guessed for sure enough is converted, with a
sentence about it; everything else is refused.
"""

from __future__ import annotations

import hashlib
import math
import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import open_file
from fittingroom.data.ranges import NOTED_DARK, TOO_DARK, USUAL_SCALES, ValueRange
from fittingroom.errors import DataError
from fittingroom.text import word_list

Images = NDArray[np.uint8]
"""`(n, height, width)` grey or `(n, height, width, 3)` RGB."""

Labels = NDArray[np.int32]
"""`(n,)`, each a position in the tuple of class names."""

Digests = NDArray[np.uint8]
"""`(n, DIGEST_BYTES)`: a hash of each picture's file."""

DIGEST_BYTES = 16


_BYTES_OF_A_BLOCK = 32 * 2**20  # that are read at a time


def rows_of_a_block(shape: tuple[int, ...]) -> int:
    """How many rows of an array of this shape, of one byte each number, are read at a time: 32 MB, and one at least."""
    return max(_BYTES_OF_A_BLOCK // max(math.prod(shape[1:]), 1), 1)


def image_blocks(images: Any) -> Iterator[NDArray[Any]]:
    """The rows of an array or of `data.stored_images.StoredImages` in order, in arrays of about 32 MB.

    Of a memory map, the pages are given back after each.
    """
    size = rows_of_a_block(images.shape)
    for start in range(0, len(images), size):
        yield images[start : start + size]
        if len(images) > size and isinstance(images, np.ndarray):
            give_back(images)


def give_back(array: NDArray[Any]) -> None:
    """Returns the pages of a file's memory map to the system, which reads them again where they are needed.

    What was read through a map counts as this process's memory until the system runs short of it. Nothing happens to
    arrays in memory, nor to what can be written to.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def fingerprint(images: Images, labels: Labels) -> str:
    """What these images and labels are, as 32 hexadecimal digits; names and paths do not enter.

    BLAKE2b of the shape, the pixels and the labels. Two different sets of images have, in practice, never the same one.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"images {images.shape} labels {labels.shape}\n".encode())
    for block in image_blocks(images):
        digest.update(np.ascontiguousarray(block).data)
    digest.update(np.ascontiguousarray(labels, dtype="<i4").data)
    return digest.hexdigest()


def source_fingerprint(images: Images, labels: Labels, digests: Digests | None = None) -> str:
    """What a part's images were before anything was done to them, as 32 hexadecimal digits.

    It is the same for the same pairs of image and class, in whatever order, file and type of numbers they come, and
    whatever the classes are called. Pictures are their files' bytes, so that the size they are resized to does not
    enter. Arrays are their values: a factor that is common to all of them (0 to 1, 0 to 16, 0 to 255) does not enter,
    nor do three equal channels in place of one.

    Args:
        images: those of the part.
        labels: theirs.
        digests: of the files that they came from; None for arrays.
    """
    keys = [row.tobytes() for row in digests] if digests is not None else image_digests(_full_range(images))
    classes: dict[int, list[bytes]] = {}
    for label, key in zip(labels.tolist(), keys, strict=True):
        classes.setdefault(label, []).append(key)
    digest = hashlib.blake2b(f"source {None if digests is not None else images.shape[1:3]}\n".encode(), digest_size=16)
    # Sorted within each class and by class: neither the order of images nor the numbers of classes enter (decision 27).
    for one in sorted(hashlib.blake2b(b"".join(sorted(members))).digest() for members in classes.values()):
        digest.update(one)
    return digest.hexdigest()


def _full_range(images: Images) -> Images:
    """Images whose brightest value is 255, grey where all channels are equal.

    So the bytes and the floats of one test set, or its grey and its RGB copy, are the same test set (decision 27).
    """
    if images.ndim == 4 and (images == images[..., :1]).all():
        images = images[..., 0]
    highest = int(images.max(initial=0))
    if highest in {0, 255}:
        return images
    brighter: Images = np.rint(np.arange(256) * (255 / highest)).clip(0, 255).astype(np.uint8)
    return brighter[images]


def image_digests(images: Images, salt: bytes = b"") -> list[bytes]:
    """A digest of 16 bytes for each image; equal images have equal digests."""
    return [
        hashlib.blake2b(row.data, digest_size=16, salt=salt).digest()
        for block in image_blocks(images)
        for row in np.ascontiguousarray(block).reshape(len(block), -1)
    ]


def file_digest(path: Path) -> bytes:
    """A digest of 16 bytes of a file, as of the picture files of `Digests`.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open_file(path) as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).digest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error


_DARK_LEVELS = 3  # that an 8-bit picture can have below `TOO_DARK`

_BLOCK = 4096
"""Images that are converted at a time, so that no second copy of all of them is made."""


def to_images(arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Images], tuple[str, ...]]:
    """Named arrays of pictures as uint8 on one common scale, and sentences about what was guessed and changed.

    The scale is guessed: values up to 1 are taken as 0 to 1, values up to 255 as they are, and whole numbers above
    1,023 as pictures of 12 or 16 bits. Fractions are rounded to whole steps, and the largest change is said.

    Raises:
        DataError: no shape of pictures, values that are not finite (the rows are listed), negative or on no usual
            scale, too small to be 0 to 1, or arrays whose scales or shapes differ.
    """
    pictures = {name: _shaped(array, name) for name, array in arrays.items()}
    shapes = {name: array.shape[1:] for name, array in pictures.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"the pictures differ in shape: {shapes}; expected the same size and colours in all.")
    highest = {name: _highest(array, name) for name, array in pictures.items()}
    scale = _common_scale(highest)
    factor = 255 / scale
    converted, notes = {}, []
    for name, array in pictures.items():
        converted[name], change = _to_bytes(array, factor)
        if array.dtype != np.uint8 or factor != 1:
            how = "0-1 and multiplied by 255" if scale == 1 else "0-255"
            guess = f"0-{scale:g} and divided by {1 / factor:g}" if scale > 255 else how
            rounded = f"; rounding changed them by at most {change:.2g} of 255" if change > 1e-3 else ""
            notes.append(
                f"{name}: values of type {array.dtype} up to {highest[name]:g} were taken as {guess}{rounded}."
            )
    return converted, (*notes, *_say_darker(highest))


def _common_scale(highest: Mapping[str, float]) -> float:
    """What white is in all arrays, by their largest values."""
    scales = {1.0 if top <= 1 else max(ValueRange.usual_scale(top), 255.0) for top in highest.values() if top > 0}
    if len(scales) > 1:
        raise DataError(
            f"the scales differ: the largest values are {dict(highest)}. Convert all to 0-255 or all to 0-1."
        )
    return scales.pop() if scales else 255.0


def _say_darker(highest: Mapping[str, float]) -> list[str]:
    top = max(highest.values())
    return [
        f"{name} has no value above {value:g}, but the brightest array goes up to {top:g}. Are they on the same scale?"
        for name, value in highest.items()
        if 0 < value <= top * NOTED_DARK
    ]


def _shaped(array: NDArray[Any], name: str) -> NDArray[Any]:
    """The array as `(n, height, width)` or `(n, height, width, 3)`."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in {3, 4} or (array.ndim == 4 and array.shape[3] != 3):
        raise DataError(
            f"{name} has the shape {array.shape}; expected (n, height, width) or (n, height, width, 3). {_way(array)}"
        )
    if 0 in array.shape:
        raise DataError(f"{name} has the shape {array.shape}: there are no pictures in it.")
    return array


def _way(array: NDArray[Any]) -> str:
    """What gives such an array the shape of pictures, by its axes."""
    if array.ndim == 4 and array.shape[1] in {1, 3}:
        return "Its channels come first: .transpose(0, 2, 3, 1) puts them last."
    if array.ndim == 4 and array.shape[3] == 4:
        return "Its fourth channel seems to be transparency: [..., :3] leaves it out."
    if array.ndim == 1:
        return "Are images and labels swapped?"
    return "Rows of pixels become pictures with .reshape(n, height, width)."


def _highest(array: NDArray[Any], name: str) -> float:
    """The largest value, after checking that all are finite and from 0 to 255."""
    lowest, highest = array.min(), array.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
        rows = _first_five(f"row {row}" for row in np.flatnonzero(~finite).tolist())
        raise DataError(f"{name} has NaN or infinite values in {rows}. Remove or repair these rows.")
    top, whole = float(highest), array.dtype.kind in "bui" or bool((array == np.floor(array)).all())
    white = ValueRange.usual_scale(top)
    if lowest < 0 or (top > 255 and not (whole and white > 255 and white in USUAL_SCALES)):
        span = ValueRange.centred(float(lowest), top)
        way = "Undo their standardisation." if lowest < 0 else "Convert them to one of the two."
        if array.dtype == np.int8:
            way = "As bytes with a sign, values above 127 became negative: .view('uint8') restores them."
        raise DataError(
            f"{name} has values from {lowest:g} to {highest:g}; expected 0-255 or 0-1. "
            + (way if span is None or array.dtype == np.int8 else f"Convert them to 0-1: (x + {-lowest:g}) / {span:g}.")
        )
    if 0 < top <= TOO_DARK and len(np.unique(array)) > _DARK_LEVELS:
        raise DataError(
            f"{name} has values from {lowest:g} to {highest:g}, which would all be black as 0-1: they look as if they "
            "were divided by 255 twice. Multiply them by 255."
        )
    return top


def _to_bytes(array: NDArray[Any], factor: float) -> tuple[Images, float]:
    """The values times `factor` as whole numbers, and the largest change by rounding."""
    if array.dtype == np.uint8 and factor == 1:
        return array, 0.0
    whole, change = np.empty(array.shape, np.uint8), 0.0
    for start in range(0, len(array), _BLOCK):  # all at once, `exact` would take 8 bytes for each value
        exact = array[start : start + _BLOCK] * np.float64(factor)
        rounded = np.rint(exact)
        whole[start : start + _BLOCK] = rounded
        change = max(change, float(np.abs(rounded - exact).max()))
    return whole, change


def to_range(
    array: NDArray[Any], values: ValueRange, what: str, *, rounded: bool = True
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Images with values as a model was trained on, and sentences about what was guessed and changed.

    Values that may be training's stay as they are. Others are converted if they are on a usual scale (0 to 1, or whole
    numbers of 8, 12 or 16 bits) and it is known which of training's values stand for black and white.

    Args:
        array: `(n, ...)`, of any number type.
        values: the values of training.
        what: what to call the array in messages.
        rounded: whether values that stay become whole numbers where training's were.

    Returns:
        uint8, where training's were whole numbers that fit; else the array's own type, or float32.

    Raises:
        DataError: values that are not finite, or that cannot be training's and are on no known scale.
    """
    ValueRange.require_finite(array, f"the {len(array):,} images of {what}")
    lowest, highest = float(array.min()), float(array.max())
    difference, black, white = values.difference(array), values.black, values.white
    beyond = values.whole and white is not None and (highest > white or (0 < highest <= 1 < white))
    if not beyond and (difference is None or not difference.meaningless):
        notes = () if difference is None else (f"{what}: the images {difference.sentence}",)
        whole, change = _whole(array, values) if rounded else (array, 0.0)
        return whole, (*notes, *_say_rounded(what, change))
    scale = ValueRange.usual_scale(highest)
    faint = ValueRange(0.0, scale, False, 0.0, scale).difference(array) if scale == 1 else None
    unclear = lowest < 0 or scale not in USUAL_SCALES or scale == white or (faint is not None and faint.meaningless)
    if black is None or white is None or unclear:
        raise DataError(f"{what}: the images {values.sentence(lowest, highest)}")
    exact = array.astype(np.float32) * np.float32((white - black) / scale) + np.float32(black)
    whole, change = _whole(exact, values)
    note = (
        f"{what}: values of type {array.dtype} up to {highest:g} were taken as 0-{scale:g} and converted to "
        f"{black:g}-{white:g}, as in training."
    )
    return whole, (note, *_say_rounded(what, change))


def _whole(array: NDArray[Any], values: ValueRange) -> tuple[NDArray[Any], float]:
    """Whole numbers where training's were whole numbers of a picture's kind, and the largest change by rounding."""
    top = max(values.highest, values.white or 0.0, float(array.max()))
    if not values.whole or values.lowest < 0 or array.min() < 0 or top > 255:
        return array.astype(np.float32) if array.dtype.kind == "f" else array, 0.0
    return _to_bytes(array, 1.0)


def _say_rounded(what: str, change: float) -> tuple[str, ...]:
    return (f"{what}: rounding to whole numbers changed values by at most {change:.2g}.",) if change > 1e-3 else ()


def to_labels(values: NDArray[Any], name: str, classes: int | None = None) -> Labels:
    """Labels as int32 `(n,)`.

    Args:
        values: whole numbers of any type, `(n,)` or `(n, 1)`.
        name: what to call them in a message.
        classes: the number of classes, if it is known already.

    Raises:
        DataError: another shape, or labels that are negative, fractional, not finite or not below `classes`; the first
            five are listed.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"{name} has the shape {values.shape}; expected one whole number for each image, (n,). "
            "One-hot labels become that with .argmax(axis=1)."
        )
    limit = np.iinfo(np.int32).max if classes is None else classes
    bad = ~((values >= 0) & (values < limit) & (values == np.floor(values)))
    if bad.any():
        found = _first_five(f"{values[row]} in row {row}" for row in np.flatnonzero(bad).tolist())
        upper = "whole numbers from 0" if classes is None else f"whole numbers from 0 to {classes - 1}"
        raise DataError(f"{name} has labels that name no class: {found}. Expected {upper}.")
    return values.astype(np.int32)


def _first_five(items: Iterable[str]) -> str:
    """The first five, and how many more there are."""
    return word_list(items, most=5)
