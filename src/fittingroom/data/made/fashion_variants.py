"""Fashion-MNIST smaller, as edges, silhouettes and negatives, rotated, and its tops alone.

All in whole numbers, so that every machine gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.catalogue_entries import CatalogueEntry
from fittingroom.data.contents import Contents, RawDataset, RawPart
from fittingroom.data.made.made_entries import TOPS
from fittingroom.data.values import Images
from fittingroom.seeds import generator

_BLOCK = 4096
"""Images that are changed at a time."""

_FIXED = 16
"""Bits behind the point of fixed-point numbers."""

_FOREGROUND = 8
"""The smallest value that belongs to an article; where nothing is, a few images have values of 1 to 3."""

_SOBEL_DIVISOR = 4


def variant(entry: CatalogueEntry, source: Contents) -> RawDataset:
    """A variant of Fashion-MNIST.

    Args:
        entry: its entry in the catalogue.
        source: Fashion-MNIST itself.
    """
    kind = entry.name.removeprefix("fashion-mnist-")
    if kind == "tops":
        return _found(entry, *_chosen(source.images, source.labels), *_chosen(source.test_images, source.test_labels))
    images, test_images = (
        _changed(kind, part, which) for which, part in enumerate((source.images, source.test_images))
    )
    return _found(entry, images, source.labels, test_images, source.test_labels)


def _found(entry: CatalogueEntry, images: Images, labels: Any, test_images: Images, test_labels: Any) -> RawDataset:
    return RawDataset(
        train=RawPart(images, labels),
        test=RawPart(test_images, test_labels),
        source=f"made from {entry.made_of}",
        classes=entry.classes,
    )


def _chosen(images: Images, labels: NDArray[np.int32]) -> tuple[Images, NDArray[np.int32]]:
    """The images of the tops, and their labels among the tops."""
    places = np.full(int(labels.max()) + 1, -1, np.int32)
    places[list(TOPS)] = np.arange(len(TOPS))
    among = places[labels]
    return np.asarray(images)[among >= 0], among[among >= 0]


def _changed(kind: str, images: Images, part: int) -> Images:
    """The images of a part changed; `part` is 0 for training and 1 for test."""
    if kind == "rotated":
        draws = generator(0, "made", 1, part).bit_generator.random_raw(len(images))
        blocks = [
            _rotated(images[start : start + _BLOCK], draws[start : start + _BLOCK])
            for start in range(0, len(images), _BLOCK)
        ]
    else:
        blocks = [_CHANGES[kind](images[start : start + _BLOCK]) for start in range(0, len(images), _BLOCK)]
    return np.concatenate(blocks)


def _smaller(images: Images, factor: int) -> Images:
    """The mean of each square of `factor` x `factor` pixels, rounded."""
    n, height, width = images.shape
    sums = images.reshape(n, height // factor, factor, width // factor, factor).sum((2, 4), dtype=np.int32)
    count = factor * factor
    means: Images = ((sums + count // 2) // count).astype(np.uint8)
    return means


def _edges(images: Images) -> Images:
    """The length of Sobel's gradient, a quarter of it, at most 255; the border is continued by its own pixels."""
    around = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge").astype(np.int32)
    smooth = around[:, :-2] + 2 * around[:, 1:-1] + around[:, 2:]
    across = smooth[:, :, 2:] - smooth[:, :, :-2]
    smooth = around[:, :, :-2] + 2 * around[:, :, 1:-1] + around[:, :, 2:]
    down = smooth[:, 2:] - smooth[:, :-2]
    length = np.sqrt((across * across + down * down).astype(np.float64)) / _SOBEL_DIVISOR
    edges: Images = np.minimum(length, 255).astype(np.uint8)
    return edges


def _silhouettes(images: Images) -> Images:
    """White where there is something, or something on all four sides."""
    there = images >= _FOREGROUND
    sides = [np.logical_or.accumulate(there, axis=axis) for axis in (1, 2)]
    sides += [np.logical_or.accumulate(there[:, ::-1], axis=1)[:, ::-1]]
    sides += [np.logical_or.accumulate(there[:, :, ::-1], axis=2)[:, :, ::-1]]
    white: Images = np.logical_and.reduce(sides).astype(np.uint8) * np.uint8(255)
    return white


def _negatives(images: Images) -> Images:
    return np.uint8(255) - images


def _rotated(images: Images, draws: NDArray[np.uint64]) -> Images:
    """Each image turned about its centre by an angle of its own, with the pixels between four weighted by distance.

    What comes in from outside is black.
    """
    n, height, width = images.shape
    turns = [draw / 2**64 * 2 * math.pi for draw in draws.tolist()]
    one = 1 << _FIXED
    cosines = np.array([round(math.cos(turn) * one) for turn in turns], np.int64)[:, None, None]
    sines = np.array([round(math.sin(turn) * one) for turn in turns], np.int64)[:, None, None]
    # Twice the distance from the centre, which lies between pixels, is a whole number.
    rows = (2 * np.arange(height) - height + 1)[None, :, None]
    columns = (2 * np.arange(width) - width + 1)[None, None, :]
    y = (cosines * rows - sines * columns + (height - 1) * one) >> 1
    x = (sines * rows + cosines * columns + (width - 1) * one) >> 1
    top, left = y >> _FIXED, x >> _FIXED
    below, right = (y - (top << _FIXED)) >> 8, (x - (left << _FIXED)) >> 8  # 0 to 255 of 256
    around = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    which = np.arange(n)[:, None, None]
    top, left = (top + 1).clip(0, height + 1), (left + 1).clip(0, width + 1)
    weighted = (
        around[which, top, left] * (256 - below) * (256 - right)
        + around[which, top, left + 1] * (256 - below) * right
        + around[which, top + 1, left] * below * (256 - right)
        + around[which, top + 1, left + 1] * below * right
    )
    turned: Images = ((weighted + 2**15) >> 16).astype(np.uint8)
    return turned


_CHANGES: dict[str, Callable[[Images], Images]] = {
    "14": lambda images: _smaller(images, 2),
    "7": lambda images: _smaller(images, 4),
    "edges": _edges,
    "silhouettes": _silhouettes,
    "negatives": _negatives,
}
