"""`resize` as OpenCV does it, and `resampled` as Pillow does it, in NumPy alone.

Each new pixel is a weighted sum of a few old ones, along rows and then along columns, or the other way round. Sums are
made in the order and with the precision of the originals: where pixels are rounded to bytes, another precision would
give other bytes, and k-means makes other colours of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

INTER_LINEAR, INTER_AREA = 1, 3

_OPENCV_BITS = 11  # of the weights of OpenCV's linear resizing of bytes
_PILLOW_BITS = 22


@dataclass(frozen=True, eq=False)
class _Taps:
    """Which old pixels each new one is made of along an axis.

    Args:
        places: of old pixels, `(new, most)`.
        weights: of these, `(new, most)`, 0 where a new pixel has fewer.
    """

    places: Array
    weights: Array

    def sums(self, values: Array, axis: int) -> Array:
        """The weighted sums along an axis of a picture, in the type of the values, from the first to the last."""
        total: Any = None
        shape = [1] * values.ndim
        shape[axis] = -1
        for place, weight in zip(self.places.T, self.weights.T.astype(values.dtype), strict=True):
            part = values.take(place, axis=axis) * weight.reshape(shape)
            total = part if total is None else total + part
        return np.asarray(total)


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
        if picture.dtype == np.uint8 and height % rows == 0 and width % columns == 0:
            return _means(picture, rows, columns)
        wide = _covered(width, columns).sums(picture.astype(np.float32), 1)
        return _as_type(_covered(height, rows).sums(wide, 0), picture.dtype)
    across, down = _between(width, columns, area=area), _between(height, rows, area=area, both=True)
    if picture.dtype != np.uint8:
        return down.sums(across.sums(picture.astype(np.float32), 1), 0)
    wide = _whole(across, _OPENCV_BITS, np.rint).sums(picture.astype(np.int64), 1) >> 4
    weights = _whole(down, _OPENCV_BITS, np.rint)
    total = np.full((rows, *wide.shape[1:]), 2, np.int64)
    for place, weight in zip(weights.places.T, weights.weights.T, strict=True):
        total += (wide[place] * weight.reshape(-1, *[1] * (wide.ndim - 1))) >> 16
    return (total >> 2).clip(0, 255).astype(np.uint8)


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
    axes = [(1, (width, columns, left, right)), (0, (height, rows, top, bottom))]
    if rows < height and height - rows > 2 * (width - columns):  # Pillow 13 then begins with the rows
        axes.reverse()
    # It rounds to bytes between the two axes, and leaves one alone that keeps its length.
    for axis, (before, after, start, end) in axes:
        if (after, start, end) != (before, 0, before):
            taps = _triangles(before, after, (start, end), box_filter=box_filter)
            taps = _whole(taps, _PILLOW_BITS, lambda weights: np.floor(weights + 0.5))
            found = ((taps.sums(found, axis) + (1 << _PILLOW_BITS - 1)) >> _PILLOW_BITS).clip(0, 255)
    return found.astype(np.uint8)


def _means(picture: Array, rows: int, columns: int) -> Array:
    """Bytes made smaller by whole numbers: the mean of each block."""
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    sums = picture.reshape(rows, height, columns, width, -1).astype(np.int64).sum(axis=(1, 3))
    if (height, width) == (2, 2):
        means = (sums + 2) >> 2  # here halves are rounded up, else to the even number
    else:
        means = np.rint(sums.astype(np.float32) * (np.float32(1) / np.float32(height * width))).astype(np.int64)
    return np.asarray(means, np.uint8).reshape(rows, columns, *picture.shape[2:])


def _as_type(values: Array, kind: np.dtype[Any]) -> Array:
    return np.asarray(np.rint(values).clip(0, 255) if kind == np.uint8 else values, kind)


def _whole(taps: _Taps, bits: int, rounded: Callable[[Array], Array]) -> _Taps:
    """The same with weights as whole numbers, of which `1 << bits` is 1."""
    return _Taps(taps.places, rounded(taps.weights * (1 << bits)).astype(np.int64))


def _padded(places: list[list[int]], weights: list[list[float]]) -> _Taps:
    """Taps from a list for each new pixel."""
    most = max(map(len, places))
    return _Taps(
        np.array([one + one[-1:] * (most - len(one)) for one in places]),
        np.array([one + [0.0] * (most - len(one)) for one in weights]),
    )


def _covered(before: int, after: int) -> _Taps:
    """The old pixels that each new one covers, by how much of it they are."""
    scale, places, weights = 1 / (after / before), [], []
    for new in range(after):
        start, end = new * scale, new * scale + scale
        wide = min(scale, before - start)
        last = min(int(np.floor(end)), before - 1)
        first = min(int(np.ceil(start)), last)
        found = [(place, 1 / wide) for place in range(first, last)]
        if first - start > 1e-3:
            found.insert(0, (first - 1, (first - start) / wide))
        if end - last > 1e-3:
            found.append((last, min(end - last, 1.0, wide) / wide))
        places.append([place for place, _ in found])
        weights.append([weight for _, weight in found])
    return _padded(places, weights)


def _between(before: int, after: int, *, area: bool, both: bool = False) -> _Taps:
    """The two old pixels that each new one lies between.

    Args:
        before: pixels.
        after: pixels.
        area: whether new pixels lie within old ones where they can, as `INTER_AREA` has it that enlarges.
        both: whether over the edge the last pixel counts twice, each with its share: bytes lose bits of each.
    """
    scale, new = 1 / (after / before), np.arange(after)
    if area:
        first = np.floor(new * scale).astype(np.int64)
        share = (new + 1) - (first + 1) * (after / before)
        share = np.where(share <= 0, 0, share - np.floor(share)).astype(np.float32)
    else:
        place = (new + 0.5) * scale - 0.5
        first = np.floor(place).astype(np.int64)
        share = (place - first).astype(np.float32)
    if not both:
        share[(first < 0) | (first >= before - 1)] = 0
    places = np.stack([first, first + 1], axis=1).clip(0, before - 1)
    return _Taps(places, np.stack([1 - share, share], axis=1))


def _triangles(before: int, after: int, part: tuple[float, float], *, box_filter: bool) -> _Taps:
    """The old pixels, of which a part is taken, under each new one as Pillow weighs them."""
    scale, places, weights = (part[1] - part[0]) / after, [], []
    wide = max(scale, 1.0)
    reach = wide * (0.5 if box_filter else 1.0)
    for new in range(after):
        centre = part[0] + (new + 0.5) * scale
        covered = np.arange(max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), before))
        away = (covered - centre + 0.5) / wide
        values = ((away > -0.5) & (away <= 0.5)).astype(float) if box_filter else np.maximum(1 - np.abs(away), 0)
        places.append(covered.tolist())
        weights.append((values / values.sum()).tolist())
    return _padded(places, weights)
