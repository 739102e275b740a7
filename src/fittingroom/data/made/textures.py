"""The dataset `textures`: ten patterns turned, scaled and lit at random."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.catalogue_entries import CatalogueEntry
from fittingroom.data.made.outline_filling import SIDE, Draws
from fittingroom.data.values import Images, Labels

_DATASET = 3
_FINE = 4
"""Rows and columns of samples in a pixel."""

_EXACT = 2**24
"""Sines and cosines are rounded to parts of this, since the last bit of a mathematical library's differs by machine."""

_Places = NDArray[np.float64]
_Pattern = Callable[[_Places, _Places, Draws], NDArray[np.bool_]]
"""Where a pattern is light, from the places of samples in periods, x and y, turned and moved at random."""


def textures(entry: CatalogueEntry, count: int, part: int) -> tuple[Images, Labels]:
    """Images of one part, the classes in turn.

    Args:
        entry: of the dataset; its classes are the names of the patterns.
        count: the number of images.
        part: 0 for what is learned from, 1 for the test part.
    """
    draws = Draws(_DATASET, part)
    labels = (np.arange(count) % len(entry.classes)).astype(np.int32)
    return np.stack([_image(_PATTERNS[entry.classes[label]], draws) for label in labels.tolist()]), labels


def _image(pattern: _Pattern, draws: Draws) -> NDArray[np.uint8]:
    """A pattern in two brightnesses, lit from one side, under noise."""
    turn, period = draws.between(-0.4, 0.4), draws.between(6, 9)
    x, y = _places(turn, period, (draws.between(0, 8), draws.between(0, 8)))
    light = pattern(x, y, draws).reshape(SIDE, _FINE, SIDE, _FINE).sum((1, 3), dtype=np.int64)
    step = int(draws.between(60, 140)) * (1 if draws.below(2) else -1)
    middle = int(draws.between(90, 165))
    image = middle + step * (2 * light - _FINE * _FINE) // (2 * _FINE * _FINE)
    slope = (int(draws.between(-60, 60)), int(draws.between(-60, 60)))
    across = np.arange(SIDE) * 2 - SIDE + 1
    image += (slope[0] * across[:, None] + slope[1] * across[None]) // (2 * SIDE)
    pixels: NDArray[np.uint8] = (image + draws.noise(24)).clip(0, 255).astype(np.uint8)
    return pixels


def _places(turn: float, period: float, moved: tuple[float, float]) -> tuple[_Places, _Places]:
    """The places of all samples, in periods."""
    cosine, sine = round(math.cos(turn) * _EXACT) / _EXACT, round(math.sin(turn) * _EXACT) / _EXACT
    samples = (np.arange(SIDE * _FINE) + 0.5) / _FINE - SIDE / 2
    across, down = samples[None] / period, samples[:, None] / period
    return cosine * across - sine * down + moved[0], sine * across + cosine * down + moved[1]


def _part(places: _Places) -> _Places:
    """The fraction of each place within its period."""
    return places - np.floor(places)


def _wave(places: _Places) -> _Places:
    """From -1 to 1 and back in one period, like a sine, of two parabolas."""
    part = _part(places)
    return np.where(part < 0.5, 16 * part * (0.5 - part), -16 * (part - 0.5) * (1 - part))


def _stripes(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    del y
    return _part(x) < draws.between(0.35, 0.65)


def _waves(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    return _part(x + 0.3 * _wave(y / 1.6)) < draws.between(0.35, 0.65)


def _zigzag(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    return _part(x + 1.2 * np.abs(_part(y / 1.6) - 0.5)) < draws.between(0.35, 0.65)


def _checks(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    del draws
    return (_part(x) < 0.5) ^ (_part(y) < 0.5)


def _grid(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    width = draws.between(0.2, 0.35)
    return (_part(x) < width) | (_part(y) < width)


def _bricks(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    joint = draws.between(0.15, 0.3)
    row = np.floor(y / 0.8)
    return (_part(y / 0.8) < joint) | (_part(x / 1.6 + 0.5 * row) < joint / 2)


def _dots(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    across, down = _part(x) - 0.5, _part(y) - 0.5
    return across * across + down * down < draws.between(0.08, 0.14)


def _rings(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    across, down = x - x.mean() - draws.between(-1.5, 1.5), y - y.mean() - draws.between(-1.5, 1.5)
    return _part(np.sqrt(across * across + down * down) + draws.between(0, 1)) < draws.between(0.35, 0.65)


def _triangles(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    del draws
    return _part(x) < _part(y)


def _grain(x: _Places, y: _Places, draws: Draws) -> NDArray[np.bool_]:
    """Blotches: random values at the corners of squares, those between them weighted by distance."""
    values = np.array([draws.between(0, 1) for _ in range(256)]).reshape(16, 16)
    x, y = x * 1.6, y * 1.6
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, below = x - left, y - top
    upper = values[top % 16, left % 16] * (1 - right) + values[top % 16, (left + 1) % 16] * right
    lower = values[(top + 1) % 16, left % 16] * (1 - right) + values[(top + 1) % 16, (left + 1) % 16] * right
    return upper * (1 - below) + lower * below < draws.between(0.45, 0.55)


_PATTERNS: dict[str, _Pattern] = {
    "stripes": _stripes,
    "waves": _waves,
    "zigzag": _zigzag,
    "checks": _checks,
    "grid": _grid,
    "bricks": _bricks,
    "dots": _dots,
    "rings": _rings,
    "triangles": _triangles,
    "grain": _grain,
}
