"""`resize` as OpenCV does it, and `resampled` as Pillow does it, in NumPy alone.

Both do rows and columns one after the other, so each is two products with a small matrix. Where the originals compute
in whole numbers, so does this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

INTER_LINEAR, INTER_AREA = 1, 3

_COEFFICIENT_BITS = 11  # of OpenCV's linear resizing of bytes
_PILLOW_BITS = 22


def resize(picture: Array, size: tuple[int, int], interpolation: int = INTER_LINEAR) -> Array:
    """`cv2.resize`, for `INTER_LINEAR` and `INTER_AREA`.

    Args:
        picture: uint8 or float32, `(height, width)` or `(height, width, channels)`.
        size: `(width, height)`.
        interpolation: one of the two.
    """
    (height, width), (columns, rows) = picture.shape[:2], size
    if (columns, rows) == (width, height):
        return picture.copy()
    area = interpolation == INTER_AREA
    if area and columns <= width and rows <= height:
        if picture.dtype == np.uint8 and (width, height) == (2 * columns, 2 * rows):
            sums = picture.reshape(rows, 2, columns, 2, -1).astype(np.int64).sum(axis=(1, 3))
            return np.asarray((sums + 2) >> 2, np.uint8).reshape(rows, columns, *picture.shape[2:])
        down, across = _covered(height, rows), _covered(width, columns)
        return _as_type(_along_both(picture.astype(np.float64), down, across), picture.dtype)
    down, across = _between(height, rows, area=area), _between(width, columns, area=area)
    if picture.dtype != np.uint8:
        return _as_type(_along_both(picture.astype(np.float64), down, across), picture.dtype)
    one = 1 << _COEFFICIENT_BITS
    rows_of = np.moveaxis(np.tensordot(_whole(across, one), picture.astype(np.int64), axes=(1, 1)), 0, 1)
    # OpenCV drops bits of each of the two rows before it adds them.
    sums = sum(
        (weights.reshape(-1, *[1] * (picture.ndim - 1)) * (rows_of[places] >> 4)) >> 16
        for places, weights in _two_of_each(_whole(down, one))
    )
    return np.asarray((sums + 2) >> 2).clip(0, 255).astype(np.uint8)


def resampled(
    picture: Array, size: tuple[int, int], *, box_filter: bool = False, part: Sequence[float] | None = None
) -> Array:
    """`Image.resize` of Pillow, bilinear over all pixels that a new one covers, or `BOX`.

    Args:
        picture: uint8, `(height, width)` or `(height, width, channels)`.
        size: `(width, height)`.
        box_filter: whether each new pixel is the plain mean of those whose centres it covers.
        part: the left, upper, right and lower edge of what is taken of the picture; None for all of it.
    """
    (height, width), (columns, rows) = picture.shape[:2], size
    left, top, right, bottom = part or (0, 0, width, height)
    found = picture.astype(np.int64)
    # Pillow rounds to bytes between the two axes, and leaves one alone that keeps its length.
    for axis, (before, after, start, end) in ((1, (width, columns, left, right)), (0, (height, rows, top, bottom))):
        if (after, start, end) != (before, 0, before):
            weights = _whole(_triangles(before, after, (start, end), box_filter=box_filter), 1 << _PILLOW_BITS)
            sums = np.moveaxis(np.tensordot(weights, found, axes=(1, axis)), 0, axis)
            found = ((sums + (1 << _PILLOW_BITS - 1)) >> _PILLOW_BITS).clip(0, 255)
    return found.astype(np.uint8)


def _along_both(values: Array, down: Array, across: Array) -> Array:
    """The products with both matrices: of the columns, then of the rows."""
    rows = np.moveaxis(np.tensordot(across, values, axes=(1, 1)), 0, 1)
    return np.asarray(np.tensordot(down, rows, axes=(1, 0)))


def _as_type(values: Array, kind: np.dtype[Any]) -> Array:
    return np.rint(values).clip(0, 255).astype(np.uint8) if kind == np.uint8 else values.astype(kind)


def _whole(weights: Array, one: int) -> Array:
    """Weights as whole numbers, of which `one` is 1."""
    return np.floor(weights * one + 0.5).astype(np.int64)


def _two_of_each(weights: Array) -> Iterator[tuple[Array, Array]]:
    """The places and weights of the first, and of the second, old pixel that counts for each new one."""
    first = (weights > 0).argmax(axis=1)
    new = np.arange(len(weights))
    yield first, weights[new, first]
    second = np.minimum(first + 1, weights.shape[1] - 1)
    yield second, np.where(second > first, weights[new, second], 0)


def _covered(before: int, after: int) -> Array:
    """How much of each old pixel each new one covers, `(after, before)`; rows sum to 1."""
    scale, edges = before / after, np.arange(before + 1)
    starts = np.arange(after)[:, None] * scale
    ends = np.minimum(starts + scale, before)
    shares = np.minimum(edges[1:], ends) - np.maximum(edges[:-1], starts)
    shares[shares < 1e-3] = 0  # as OpenCV leaves them out
    return np.asarray(shares / np.minimum(scale, before - starts))


def _between(before: int, after: int, *, area: bool) -> Array:
    """The weights of the two old pixels that each new one lies between, `(after, before)`; rows sum to 1.

    Args:
        before: pixels.
        after: pixels.
        area: whether new pixels lie within old ones where they can, as `INTER_AREA` has it that enlarges.
    """
    scale, new = 1 / (after / before), np.arange(after)  # rounded as OpenCV has it
    if area:
        first = np.floor(new * scale).astype(np.int64)
        share = (new + 1) - (first + 1) * (after / before)
        share = np.where(share <= 0, 0, share - np.floor(share)).astype(np.float32)
    else:
        place = ((new + 0.5) * scale - 0.5).astype(np.float32)
        first = np.floor(place).astype(np.int64)
        share = place - first.astype(np.float32)
    share[(first < 0) | (first >= before - 1)] = 0
    first = first.clip(0, before - 1)
    weights = np.zeros((after, before))
    weights[new, first] += 1 - share
    weights[new, np.minimum(first + 1, before - 1)] += share
    return weights


def _triangles(before: int, after: int, part: tuple[float, float], *, box_filter: bool) -> Array:
    """The weights of old pixels, of which a part is taken, in new ones, `(after, before)`; rows sum to 1."""
    scale = (part[1] - part[0]) / after
    wide = max(scale, 1.0)
    reach = wide * (0.5 if box_filter else 1.0)
    weights = np.zeros((after, before))
    for new in range(after):
        centre = part[0] + (new + 0.5) * scale
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), before)
        away = (np.arange(first, last) - centre + 0.5) / wide
        values = ((away > -0.5) & (away <= 0.5)).astype(float) if box_filter else np.maximum(1 - np.abs(away), 0)
        weights[new, first:last] = values / values.sum()
    return weights
