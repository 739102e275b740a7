"""Images as points in a plane, and the images nearest to each, from the features that a model makes of them.

Two ways into the plane. Principal components (PCA) take a moment, keep the large distances, and say how much of the
variance the plane has. t-SNE takes half a minute and keeps neighbours together; distances between its groups, and the
size of a group, mean nothing (van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 2008).
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

TSNE_STEPS = 1_000
"""Steps of gradient descent, as scikit-learn takes by default."""

TSNE_IMAGES = 5_000
"""Images that t-SNE places; the others of a larger set are placed between their neighbours."""

NEIGHBOURS = 12
"""Nearest images that are kept of each."""

COMPARED = 20_000
"""Images that each is compared with for its neighbours: comparing a hundred thousand with each other takes minutes."""

_COMPONENTS = 50  # what t-SNE and neighbours work on: further components of a classifier's features are noise
_LEAST = 4  # images below which t-SNE has nothing to arrange
_DISTANCES = 5_000_000  # that are held at once
_BETWEEN = 3  # neighbours that an image is placed between
_ITERATION = re.compile(r"Iteration (\d+)")


def components(features: npt.NDArray[Any]) -> tuple[Float32, npt.NDArray[np.float64]]:
    """Principal components of features, and what each has of the variance.

    Args:
        features: finite numbers, `(images, features)`, at least one image.

    Returns:
        Coordinates, float32 `(images, at most 50, at least 2)`, those with the largest variance first; and each one's
        share of the whole variance, 0 to 1. The sign of each is chosen so that its largest coordinate is positive.
    """
    centred = np.asarray(features, np.float64)
    centred = centred - centred.mean(axis=0)
    spread = float(np.abs(centred).max())
    if spread > 0:
        centred /= spread  # so that no square overflows
    count, width = centred.shape
    kept = min(_COMPONENTS, width)
    variances, axes = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(-variances, kind="stable")[:kept]
    found = centred @ axes[:, order]
    largest = found[np.abs(found).argmax(axis=0), np.arange(kept)]
    found = found * np.where(largest < 0, -1.0, 1.0) * (spread or 1.0)
    whole = max(float(variances.sum()), 1e-300)
    shares = np.clip(variances[order] / whole, 0, 1)
    if kept < 2:
        found, shares = np.pad(found, ((0, 0), (0, 2 - kept))), np.pad(shares, (0, 2 - kept))
    return np.asarray(found, np.float32).reshape(count, -1), np.asarray(shares, np.float64)


def nearest(points: Float32, count: int = NEIGHBOURS, progress: Progress | None = None) -> npt.NDArray[np.int32]:
    """The nearest other images of each, nearest first, int32 `(images, count)`, fewer where there are fewer images.

    Of more than `COMPARED` images, each is compared with so many that are spread evenly over all.

    Args:
        points: `(images, features)`; distances are Euclidean.
        count: how many are wanted.
        progress: called with images done and all images.
    """
    total = len(points)
    others = np.linspace(0, total - 1, min(total, COMPARED)).astype(np.intp)
    count = max(min(count, len(others) - 1), 0)
    found = np.zeros((total, count), np.int32)
    if count == 0:
        return found
    among = points[others]
    for rows in _parts(total, len(others)):
        apart = _squares(points[rows], among)
        apart[rows[:, None] == others] = np.inf  # none is its own neighbour, not even beside a copy of itself
        found[rows] = others[_smallest(apart, count)]
        if progress is not None:
            progress(int(rows[-1]) + 1, total)
    return found


def tsne(points: Float32, progress: Progress | None = None) -> Float32:
    """Places of images in a plane by t-SNE, float32 `(images, 2)`; the same for the same points.

    Of more than `TSNE_IMAGES`, so many spread evenly over all are arranged, and each other is placed between the three
    of them that it is nearest to.

    Args:
        points: principal components, `(images, features)`.
        progress: called with steps done and all steps.
    """
    total = len(points)
    if total < _LEAST or not np.ptp(points, axis=0).any():
        return np.asarray(points[:, :2], np.float32)
    chosen = np.linspace(0, total - 1, min(total, TSNE_IMAGES)).astype(np.intp)
    placed = _arranged(points[chosen], progress)
    if len(chosen) == total:
        return placed
    found = np.zeros((total, 2), np.float32)
    for rows in _parts(total, len(chosen)):
        found[rows] = placed[_smallest(_squares(points[rows], points[chosen]), _BETWEEN)].mean(axis=1)
    found[chosen] = placed
    return found


def _arranged(points: Float32, progress: Progress | None) -> Float32:
    from sklearn.manifold import TSNE

    count = len(points)
    arranging = TSNE(
        perplexity=min(30.0, (count - 1) / 3),
        init=_start(points),
        max_iter=TSNE_STEPS,
        random_state=0,
        verbose=2 if progress is not None else 0,
    )
    # scikit-learn tells how far it is nowhere but on standard output.
    with contextlib.redirect_stdout(_Steps(progress)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = np.asarray(arranging.fit_transform(points), np.float32)
    return np.nan_to_num(found)


def _start(points: Float32) -> Float32:
    """The first two components, small: t-SNE then keeps the large distances better than from places at random."""
    first = points[:, :2].astype(np.float64)
    spread = max(float(first[:, 0].std()), 1e-30)
    return np.asarray(1e-4 * first / spread, np.float32)


class _Steps(io.TextIOBase):
    """A text stream that turns what scikit-learn prints into progress."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def write(self, text: str) -> int:
        """Takes a part of what is printed."""
        found = _ITERATION.search(text)
        if found and self._progress is not None:
            self._progress(int(found[1]), TSNE_STEPS)
        return len(text)


def _parts(total: int, others: int) -> Iterator[npt.NDArray[np.intp]]:
    """The numbers from 0 to `total`, in parts of which all distances to `others` take some 60 MB."""
    size = max(_DISTANCES // others, 1)
    for start in range(0, total, size):
        yield np.arange(start, min(start + size, total))


def _squares(some: Float32, others: Float32) -> Float32:
    """Squared distances of each to each."""
    lengths = np.einsum("ij,ij->i", some, some)[:, None] + np.einsum("ij,ij->i", others, others)
    return np.asarray(lengths - 2 * some @ others.T, np.float32)


def _smallest(values: Float32, count: int) -> npt.NDArray[np.intp]:
    """The places of the `count` smallest of each row, smallest first."""
    count = min(count, values.shape[1])
    near = np.argpartition(values, count - 1, axis=1)[:, :count]
    return np.take_along_axis(near, np.take_along_axis(values, near, axis=1).argsort(axis=1, kind="stable"), axis=1)
