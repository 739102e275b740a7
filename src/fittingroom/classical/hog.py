"""Histograms of oriented gradients: what a picture's edges look like, cell by cell, for images of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.values import Images

BINS = 12
"""Directions that are told apart, over half a turn or a whole one."""

_CELL = 4  # pixels, about
_FEWEST, _MOST = 4, 12  # cells along a side: small images have cells of 2 pixels, large ones larger cells
_CLIPPED = np.float32(0.2)  # of a block's norm, as Dalal and Triggs have it
_AT_ONCE = 2**22  # pixels that are in work at a time

Floats = NDArray[np.float32]


def hog_features(images: Images) -> NDArray[np.float32]:
    """Histograms of oriented gradients of each image, float32 `(n, features)`, each 0 to 1.

    Each cell of about 4x4 pixels has a histogram of its gradients' directions, weighted by their size and shared
    between neighbouring cells and directions. Blocks of 2x2 cells, which overlap, are divided by their norm, clipped at
    0.2, and divided again. Of colours, each pixel has the gradient of the channel where it is largest.

    Source: Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005.

    Args:
        images: uint8, `(n, height, width)` or `(n, height, width, 3)`; their scale does not matter.
    """
    height, width = images.shape[1:3]
    rows, columns = _shares(height), _shares(width)
    features = 4 * BINS * (len(rows) - 1) * (len(columns) - 1)
    result = np.empty((len(images), features), dtype=np.float32)
    size = max(1, _AT_ONCE // int(np.prod(images.shape[1:])))
    for start in range(0, len(images), size):
        block = np.asarray(images[start : start + size])
        result[start : start + size] = _normalized(_cells(block, rows, columns))
    return result


def _shares(pixels: int) -> Floats:
    """How much of each pixel along a side counts for each cell, `(cells, pixels)`; each column sums to 1."""
    cells = min(max(round(pixels / _CELL), _FEWEST), _MOST, max(pixels, 2))
    # The middle of each pixel, counted in cells from the middle of the first one.
    places = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    shares: Floats = np.maximum(0, 1 - np.abs(places[None, :] - np.arange(cells)[:, None])).astype(np.float32)
    return shares


def _gradients(images: Images) -> tuple[Floats, Floats]:
    """Size and direction of the gradient of each pixel, both `(n, height, width)`; directions in bins, 0 to `BINS`."""
    grey = images.astype(np.float32)
    if grey.ndim == 3:
        grey = grey[..., None]
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down, right = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1], padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    size = np.hypot(down, right)
    largest = size.argmax(axis=-1)[..., None]
    size, down, right = (np.take_along_axis(one, largest, axis=-1)[..., 0] for one in (size, down, right))
    direction = np.arctan2(down, right) * np.float32(BINS / np.pi)
    return size, np.mod(direction, np.float32(BINS))


def _cells(images: Images, rows: Floats, columns: Floats) -> Floats:
    """The histogram of each cell, `(n, rows, columns, BINS)`."""
    size, direction = _gradients(images)
    result = np.empty((len(images), len(rows), len(columns), BINS), dtype=np.float32)
    for number in range(BINS):
        away = np.abs(direction - np.float32(number))
        share = np.maximum(0, 1 - np.minimum(away, BINS - away)) * size
        result[..., number] = rows @ share @ columns.T
    return result


def _normalized(cells: Floats) -> Floats:
    """The blocks of 2x2 cells, each divided by its norm, `(n, features)`."""
    blocks = np.concatenate([cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:]], axis=-1)
    for _ in range(2):
        norm = np.sqrt(np.square(blocks).sum(axis=-1, keepdims=True) + np.float32(1e-6))
        blocks = np.minimum(blocks / norm, _CLIPPED)
    norm = np.sqrt(np.square(blocks).sum(axis=-1, keepdims=True) + np.float32(1e-6))
    features: Floats = (blocks / norm).reshape(len(blocks), -1)
    return features
