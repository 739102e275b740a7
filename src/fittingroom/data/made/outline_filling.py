"""Outlines filled in pixels, and the random numbers that place them; both the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.seeds import generator

SIDE = 28
"""Pixels of an image's side."""

Outline = NDArray[np.float64]
"""`(points, 2)`, x to the right and y down; the last point is joined to the first."""

_FINE = 8
"""Rows and columns of samples in a pixel."""

_UNITS = 256
"""Whole units of the distance between two samples: places are rounded to them."""

_BYTE_SUM = 8 * 255 // 2
_BYTE_DEVIATION = 209  # of the sum of eight random bytes


def filled(outlines: Sequence[Outline]) -> NDArray[np.int64]:
    """How much of each pixel lies inside, from 0 to 255, `(SIDE, SIDE)`.

    Inside is what the outlines go round, all turns added and not zero, as fonts have it: an outline within another one
    that turns the other way is a hole. Exact in whole numbers once the points are rounded.

    Args:
        outlines: in pixels from the top left corner.
    """
    samples = SIDE * _FINE
    points = [np.rint(outline * (_FINE * _UNITS)).astype(np.int64) for outline in outlines]
    start = np.concatenate(points)
    x, y = start.T[:, :, None]
    next_x, next_y = np.concatenate([np.roll(each, -1, axis=0) for each in points]).T[:, :, None]
    rows = (np.arange(samples) * _UNITS + _UNITS // 2)[None]
    edge, row = np.nonzero((y <= rows) != (next_y <= rows))
    x, y, next_x, next_y = (values[edge, 0] for values in (x, y, next_x, next_y))
    crossing = x + (row * _UNITS + _UNITS // 2 - y) * (next_x - x) // (next_y - y)
    column = ((crossing + _UNITS // 2 - 1) // _UNITS).clip(0, samples)
    cover = np.zeros((SIDE, SIDE), np.int64)
    if not len(row):
        return cover
    # Only the pixels from the first row and column that an outline crosses to the last ones.
    top, left = row.min() // _FINE, column.min() // _FINE
    down, across = row.max() // _FINE + 1 - top, min(column.max() // _FINE + 1, SIDE) - left
    wide = across * _FINE + 1
    places = (row - top * _FINE) * wide + np.minimum(column - left * _FINE, wide - 1)
    turns = np.bincount(places, np.where(next_y > y, 1, -1), down * _FINE * wide).astype(np.int16)
    inside = np.cumsum(turns.reshape(-1, wide)[:, :-1], axis=1, dtype=np.int16) != 0
    counts = inside.reshape(down, _FINE, across, _FINE).sum((1, 3), dtype=np.int64)
    cover[top : top + down, left : left + across] = (counts * 255 + _FINE * _FINE // 2) // (_FINE * _FINE)
    return cover


def placed(
    outlines: Sequence[Outline], *, size: tuple[float, float], turn: float, centre: tuple[float, float]
) -> list[Outline]:
    """Outlines stretched, then turned, then moved.

    Args:
        outlines: about the point (0, 0).
        size: what x and y are multiplied by.
        turn: in radians, clockwise.
        centre: where (0, 0) comes to lie.
    """
    cosine, sine = math.cos(turn), math.sin(turn)
    found = []
    for outline in outlines:
        x, y = outline[:, 0] * size[0], outline[:, 1] * size[1]
        found.append(np.stack([cosine * x - sine * y + centre[0], sine * x + cosine * y + centre[1]], axis=1))
    return found


class Draws:
    """Random numbers for one part of one made dataset.

    They are the raw draws of a bit generator, whose sequence NumPy promises for all versions, unlike that of its
    distributions.

    Args:
        dataset: a number for each made dataset.
        part: 0 for what is learned from, 1 for the test part.
    """

    def __init__(self, dataset: int, part: int) -> None:
        self._bits: Any = generator(0, "made", dataset, part).bit_generator

    def between(self, low: float, high: float) -> float:
        """A number from `low` to `high`, all equally likely."""
        return low + (high - low) * (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def below(self, number: int) -> int:
        """A whole number from 0, less than `number`."""
        return int(self._bits.random_raw()) % number

    def noise(self, deviation: int) -> NDArray[np.int64]:
        """Noise for an image, `(SIDE, SIDE)`: nearly normal, of mean 0 and of this standard deviation."""
        octets = self._bits.random_raw(SIDE * SIDE).astype("<u8").view(np.uint8).reshape(SIDE, SIDE, 8)
        found: NDArray[np.int64] = (octets.sum(2, dtype=np.int64) - _BYTE_SUM) * deviation // _BYTE_DEVIATION
        return found
