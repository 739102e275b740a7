"""What the edges in an image look like and where they are: histograms of the direction of brightness's slope.

The image is cut into 7 x 7 cells. In each, the slopes of the pixels are summed by their direction (12 of them, all the
way round, so that bright on dark and dark on bright differ). Each sum is taken as a share of the whole image's, and the
square root of that: the Euclidean distance of two such vectors is then the Hellinger distance of two distributions.

Source: Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005, without its blocks; for the
square root, Arandjelovic and Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CELLS, DIRECTIONS = 7, 12
LENGTH = CELLS * CELLS * DIRECTIONS

_STEP = 255
"""Vectors are kept in so many steps: a byte per number."""

_LEAST = 1.0
"""Total slope, in units of full brightness per pixel, below which there is nothing to see; clothes have 50 to 300."""

_TOO_LARGE = 56  # pixels; larger images are brought near 28 first, since the slopes of single pixels are texture
_AT_ONCE = 500

Outlines = npt.NDArray[np.uint8]
"""`(images, LENGTH)`, in steps of 1/255."""


def outlines(images: npt.NDArray[Any], scale: float) -> Outlines:
    """The outlines of images, uint8 `(n, LENGTH)`.

    Args:
        images: `(n, height, width)` grey or `(n, height, width, channels)`, of which brightness alone is looked at.
        scale: what they are divided by to lie in 0 to 1.
    """
    parts = [_outlines(images[start : start + _AT_ONCE], scale) for start in range(0, len(images), _AT_ONCE)]
    return np.concatenate(parts) if parts else np.zeros((0, LENGTH), np.uint8)


def _outlines(images: npt.NDArray[Any], scale: float) -> Outlines:
    grey = images.astype(np.float32) / np.float32(scale)
    grey = _reduced(grey.mean(axis=3) if grey.ndim == 4 else grey)
    count, height, width = grey.shape
    down = np.gradient(grey, axis=1) if height > 1 else np.zeros_like(grey)
    right = np.gradient(grey, axis=2) if width > 1 else np.zeros_like(grey)
    slope = np.hypot(right, down)
    direction = np.mod(np.arctan2(down, right) / (2 * np.pi) * DIRECTIONS, DIRECTIONS)
    lower = np.minimum(direction.astype(np.int64), DIRECTIONS - 1)
    share = direction - lower  # of the next direction, so that turning a little changes little
    rows, columns = (np.arange(side) * CELLS // side for side in (height, width))
    cell = (np.arange(count)[:, None, None] * CELLS + rows[:, None]) * CELLS + columns
    sums = np.zeros(count * LENGTH)
    for place, weight in ((lower, slope * (1 - share)), ((lower + 1) % DIRECTIONS, slope * share)):
        sums += np.bincount((cell * DIRECTIONS + place).ravel(), weight.ravel(), count * LENGTH)
    found = sums.reshape(count, LENGTH)
    shares = found / np.maximum(found.sum(axis=1, keepdims=True), _LEAST)
    return np.asarray(np.rint(np.sqrt(shares) * _STEP), np.uint8)


def _reduced(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Large images, each block of pixels as its mean, and what is left at the edge cut off."""
    block = min(grey.shape[1:]) // (_TOO_LARGE // 2) if min(grey.shape[1:]) >= _TOO_LARGE else 1
    if block == 1:
        return grey
    height, width = (side // block for side in grey.shape[1:])
    cut = grey[:, : height * block, : width * block]
    return np.asarray(cut.reshape(len(grey), height, block, width, block).mean(axis=(2, 4)))


@dataclass(frozen=True, eq=False)
class Vectors:
    """Outlines as what distances are taken between.

    Args:
        values: the square roots of the shares, float32 `(n, LENGTH)`.
        squares: the squared length of each, float32 `(n,)`; 1 but for rounding, and 0 where there is nothing to see.
    """

    values: npt.NDArray[np.float32]
    squares: npt.NDArray[np.float32]

    @classmethod
    def of(cls, found: Outlines) -> Vectors:
        """Of outlines `(n, LENGTH)`."""
        values = found.astype(np.float32) / np.float32(_STEP)
        return cls(values, np.einsum("ij,ij->i", values, values))

    def __getitem__(self, places: slice | npt.NDArray[np.intp]) -> Vectors:
        """Some of them."""
        return Vectors(self.values[places], self.squares[places])


def distances(some: Vectors, others: Vectors) -> npt.NDArray[np.float32]:
    """The Hellinger distance of each of `some` to each of `others`, 0 to 1.42 (no edge in common), float32."""
    squares = some.squares[:, None] + others.squares - 2 * some.values @ others.values.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)
