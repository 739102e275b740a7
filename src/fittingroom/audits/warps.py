"""Corruptions that move pixels: shear, scale, rotation and shift, blur and motion.

A warp looks each pixel of the result up in the image, between four pixels, with coordinates and weights in steps of
1/256. All images that a corruption treats alike (turned to the left, say) share one table of places. What comes in
from outside is the background where three corners agree on one, and else the nearest edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.image_bits import ImageBits

_Pixels = npt.NDArray[np.int32]
_Matrix = tuple[int, int, int, int]
"""Where a pixel of the result comes from: `row = a·row + b·column`, `column = c·row + d·column`, from the middle."""

ONE = 65_536
"""What a factor of 1 is in a matrix."""

_STEPS = 256  # between two pixels


def sheared(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """Slanted to either side, along rows or columns."""
    factor = (100, 200, 300, 420, 550)[level] * ONE // 1000
    matrices = [(ONE, 0, sign * factor, ONE) for sign in (1, -1)] + [(ONE, sign * factor, 0, ONE) for sign in (1, -1)]
    return _warped(pixels, top, matrices, bits)


def scaled(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """Smaller or larger around the middle; what is larger is cut off at the edges."""
    smaller, larger = ((900, 1100), (800, 1200), (700, 1350), (600, 1500), (500, 1700))[level]
    return _warped(pixels, top, [(ONE * 1000 // size, 0, 0, ONE * 1000 // size) for size in (smaller, larger)], bits)


def rotated(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """Turned to either side, by 8, 16, 26, 40 and 60 degrees."""
    # Cosine and sine times 65,536: constants, since a machine's library may round them in another way.
    cos, sin = ((64898, 9121), (62997, 18064), (58903, 28729), (50203, 42126), (32768, 56756))[level]
    return _warped(pixels, top, [(cos, sign * sin, -sign * sin, cos) for sign in (1, -1)], bits)


def shifted(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """Moved in one of eight directions, by 4% to 28% of the side."""
    share = (40, 80, 130, 200, 280)[level]
    down, right = (share * side * _STEPS // 1000 for side in pixels.shape[1:3])
    moves = [(down * row, right * column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]
    return _warped(pixels, top, [(ONE, 0, 0, ONE)] * len(moves), bits, moves)


def blurred(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """Out of focus: three means over boxes, which are close to a Gaussian, along each axis."""
    del top, bits
    share = (12, 30, 55, 90, 130)[level]
    found = pixels * 16  # so that rounding after each mean does not show
    for axis in (1, 2):
        width = _STEPS + share * pixels.shape[axis] * _STEPS // 1000
        for _ in range(3):
            found = _box_mean(found, axis, width)
    return (found + 8) // 16


def moved(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """Moved while the picture was taken: the mean along a line in one of four directions."""
    del top
    share = (40, 100, 180, 280, 400)[level]
    width = _STEPS + share * min(pixels.shape[1:3]) * _STEPS // 1000
    reach = -(-(width - _STEPS) // (2 * _STEPS))
    weights = [_STEPS] * (2 * reach + 1)
    weights[0] = weights[-1] = (width - (2 * reach - 1) * _STEPS) // 2
    padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "edge")
    height, breadth = pixels.shape[1:3]
    result = np.empty_like(pixels)
    for way, some in _groups(bits, 4):
        down, right = ((0, 1), (1, 0), (1, 1), (1, -1))[way]
        chosen = padded[some]
        total = np.zeros_like(pixels[some])
        for place, weight in zip(range(-reach, reach + 1), weights, strict=True):
            row, column = reach + place * down, reach + place * right
            total += chosen[:, row : row + height, column : column + breadth] * np.int32(weight)
        result[some] = (total + sum(weights) // 2) // sum(weights)
    return result


def _box_mean(values: _Pixels, axis: int, width: int) -> _Pixels:
    """The mean over a box along an axis, `width` in 1/256 of a pixel; pixels at its ends count by the share inside."""
    reach = (width - _STEPS) // (2 * _STEPS)
    edge = (width - _STEPS - 2 * reach * _STEPS) // 2
    sides = [(0, 0)] * values.ndim
    sides[axis] = (reach + 2, reach + 1)
    sums = np.pad(values, sides, "edge").cumsum(axis, dtype=np.int32)
    count, length = 2 * reach + 1, values.shape[axis]

    def sums_from(start: int) -> _Pixels:
        return sums[(slice(None),) * axis + (slice(start, start + length),)]

    inner = sums_from(count + 1) - sums_from(1)
    outer = sums_from(count + 2) - sums_from(0)
    whole = count * _STEPS + 2 * edge
    total: _Pixels = inner * np.int32(_STEPS - edge) + outer * np.int32(edge) + np.int32(whole // 2)
    return total // np.int32(whole)


def _groups(bits: ImageBits, ways: int) -> list[tuple[int, npt.NDArray[np.intp]]]:
    """Each of some ways, and the images that it falls to by chance; ways without any are left out."""
    drawn = bits.below(ways, 1)[:, 0]
    return [(way, np.flatnonzero(drawn == way)) for way in np.unique(drawn).tolist()]


def _warped(
    pixels: _Pixels,
    top: int,
    matrices: Sequence[_Matrix],
    bits: ImageBits,
    moves: Sequence[tuple[int, int]] | None = None,
) -> _Pixels:
    """Each image by one of several matrices, and moved by as many steps of 1/256 of a pixel."""
    framed, shape = _framed(pixels, top), pixels.shape
    result = np.empty_like(pixels)
    for way, some in _groups(bits, len(matrices)):
        places = _places(shape[1:3], matrices[way], (0, 0) if moves is None else moves[way])
        total = np.zeros((len(some), shape[1] * shape[2], shape[3]), np.int32)
        flat = framed[some].reshape(len(some), -1, shape[3])
        for index, weight in places:
            total += np.take(flat, index, axis=1) * weight[:, None]
        result[some] = ((total + _STEPS * _STEPS // 2) // (_STEPS * _STEPS)).reshape(-1, *shape[1:])
    return result


def _places(
    size: Sequence[int], matrix: _Matrix, move: tuple[int, int]
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]]:
    """Four places in the framed image, and their weights, for each pixel of the result."""
    height, width = size
    # Twice the distance from the middle, which lies between two pixels where a side is even.
    down = (2 * np.arange(height, dtype=np.int64) - (height - 1))[:, None]
    right = (2 * np.arange(width, dtype=np.int64) - (width - 1))[None, :]
    a, b, c, d = matrix
    rows = ((a * down + b * right) >> 9) + 128 * (height - 1) - move[0]
    columns = ((c * down + d * right) >> 9) + 128 * (width - 1) - move[1]
    row, lower = _whole_and_rest(rows, height)
    column, further = _whole_and_rest(columns, width)
    found = []
    for step_down, part in ((0, _STEPS - lower), (1, lower)):
        for step_right, share in ((0, _STEPS - further), (1, further)):
            index = (row + step_down) * (width + 2) + column + step_right
            found.append((index.ravel(), (part * share).ravel().astype(np.int32)))
    return found


def _whole_and_rest(places: npt.NDArray[Any], side: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The pixel before each place, in the framed image, and how far behind it the place is, in 1/256."""
    inside = np.clip(places, -_STEPS, side * _STEPS) + _STEPS
    whole = np.minimum(inside // _STEPS, side)
    return whole, inside - whole * _STEPS


def _framed(pixels: _Pixels, top: int) -> _Pixels:
    """The images with one more pixel around: the background where it is plain to see, and else the edge again."""
    framed = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    corners = pixels[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    middle = np.sort(corners, axis=1)[:, 1]
    near = (np.abs(corners - middle[:, None]) * 16 <= top).all(axis=2).sum(axis=1) >= 3
    for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        side = framed[edge]
        side[near] = middle[near][:, None]
    return framed
