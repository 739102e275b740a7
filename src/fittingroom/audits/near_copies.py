"""Which images are near copies of each other: the nearest by their descriptors, laid over each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.descriptors import Float32, grey
from fittingroom.data.values import Images

Indices = npt.NDArray[np.int64]

_ROWS, _COLUMNS = 2048, 8192  # of a block of distances: 64 MB
_PAIRS = 4096  # that are laid over each other at a time
_SURE = 1e-3  # by how much correlations from float32 sums may be wrong, at the very most


def nearest_pairs(points: Float32, most: int, progress: Callable[[int, int], None]) -> Indices:
    """Pairs of rows of which one is among the `most` nearest of the other, `(pairs, 2)`, the smaller first, sorted.

    Args:
        points: `(n, dimensions)`.
        most: neighbours for each row.
        progress: told how many rows are done, of how many.
    """
    squares = np.einsum("nd,nd->n", points, points)
    right = np.column_stack([points, squares]).astype(np.float32)
    found = []
    for start in range(0, len(points), _ROWS):
        rows = points[start : start + _ROWS]
        left = np.column_stack([-2 * rows, np.ones(len(rows))]).astype(np.float32)
        neighbours = _Neighbours(start, most, len(rows))
        for first in range(0, len(points), _COLUMNS):
            neighbours.add(left @ right[first : first + _COLUMNS].T, first)
        found.append(neighbours.pairs())
        progress(min(start + _ROWS, len(points)), len(points))
    pairs = np.sort(np.concatenate(found), axis=1)
    return np.unique(pairs, axis=0)


class _Neighbours:
    """The nearest columns of each of a block of rows, as far as columns were seen."""

    def __init__(self, start: int, most: int, count: int) -> None:
        self._start, self._most = start, most
        self._limits = np.full(count, np.finfo(np.float32).max)
        self._rows, self._columns = np.empty(0, np.int64), np.empty(0, np.int64)
        self._values = np.empty(0, np.float32)

    def add(self, values: Float32, first: int) -> None:
        """Takes the columns from `first` on in; `values` grow with the distance."""
        here = np.arange(len(values)) + self._start - first
        itself = (here >= 0) & (here < values.shape[1])
        values[np.flatnonzero(itself), here[itself]] = np.inf
        if first == 0 and values.shape[1] > self._most:  # so that no more than the nearest are taken up from here on
            some = values[:, : max(values.shape[1] // 8, self._most + 1)]
            self._limits = np.minimum(self._limits, np.partition(some, self._most, axis=1)[:, self._most])
        rows, columns = np.nonzero(values <= self._limits[:, None])
        # Many at the same distance: more than can be kept are as good as each other.
        if len(rows) > 64 * self._most * len(values):
            keep = np.flatnonzero(_ranks(rows) < 4 * self._most)
            rows, columns = rows[keep], columns[keep]
        self._rows = np.concatenate([self._rows, rows])
        self._columns = np.concatenate([self._columns, columns + first])
        self._values = np.concatenate([self._values, values[rows, columns]])
        self._prune()

    def _prune(self) -> None:
        order = np.lexsort((self._values, self._rows))
        ranks = _ranks(self._rows[order])
        full = order[ranks == self._most - 1]
        self._limits[self._rows[full]] = np.minimum(self._limits[self._rows[full]], self._values[full])
        kept = order[ranks < self._most]
        self._rows, self._columns, self._values = self._rows[kept], self._columns[kept], self._values[kept]

    def pairs(self) -> Indices:
        """Row and column of each."""
        return np.column_stack([self._rows + self._start, self._columns])


def _ranks(rows: Indices) -> Indices:
    """The position of each among those of the same row; rows are sorted."""
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    return np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))


@dataclass(frozen=True, eq=False)
class Alignments:
    """How well two images agree when one is laid over the other as it fits best.

    Args:
        agreement: correlation of both, slightly smoothed, where they overlap, `(pairs,)`. Smoothing takes away what
            saving again changes, and leaves what tells two articles apart.
        correlation: the same of the pixels as they are, `(pairs,)`.
        mirrored: whether one is mirrored, `(pairs,)`.
        moved: by how many pixels down and to the right, `(pairs, 2)`, of the images that were compared.
    """

    agreement: npt.NDArray[np.float64]
    correlation: npt.NDArray[np.float64]
    mirrored: npt.NDArray[np.bool_]
    moved: Indices

    def taken(self, rows: Any) -> Alignments:
        """Some of them, by a mask or positions."""
        return Alignments(self.agreement[rows], self.correlation[rows], self.mirrored[rows], self.moved[rows])


def _most_shift(height: int, width: int) -> int:
    """By how many pixels images of this size are shifted at most to lay one over the other."""
    return 2 if min(height, width) >= 16 else 1


def aligned(
    images: Images, pairs: Indices, least: float, progress: Callable[[int, int], None]
) -> tuple[Indices, Alignments]:
    """The pairs that agree by at least `least` when laid over each other, and how.

    Args:
        images: small images, `(n, height, width)` or `(n, height, width, 3)`.
        pairs: positions in them, `(pairs, 2)`.
        least: of the agreement, 0 to 1.
        progress: told how many pairs are done, of how many.
    """
    moves = _moves(_most_shift(*images.shape[1:3]))
    kept, ways = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(pairs), _PAIRS):
        few = pairs[start : start + _PAIRS]
        by_way = _agreements(images, few, moves)
        best = by_way.argmax(axis=1)
        close = np.flatnonzero(by_way[np.arange(len(few)), best] >= least - _SURE)
        kept.append(close + start)
        ways.append(best[close])
        progress(min(start + _PAIRS, len(pairs)), len(pairs))
    rows, way = np.concatenate(kept), np.concatenate(ways)
    found = _exactly(images, pairs[rows], way, moves)
    sure = found.agreement >= least
    return pairs[rows[sure]], found.taken(sure)


def _moves(most: int) -> list[tuple[int, int]]:
    steps = sorted(range(-most, most + 1), key=abs)  # of equals the smallest move is named
    return sorted(((down, right) for down in steps for right in steps), key=lambda move: abs(move[0]) + abs(move[1]))


def _smoothed(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Each pixel with its neighbours, weighted 1 2 1 along both sides; without the outermost, which lack some."""
    down = images[:, :-2] + 2 * images[:, 1:-1] + images[:, 2:]
    return np.asarray((down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]) / 16)


def _overlap(size: int, move: int) -> tuple[slice, slice]:
    """Where two lines of pixels lie over each other if the second is moved: in the first, and in the second."""
    return slice(max(move, 0), size + min(move, 0)), slice(max(-move, 0), size - max(move, 0))


def _agreements(images: Images, pairs: Indices, moves: list[tuple[int, int]]) -> Float32:
    """The correlation by each move, then by each move of the mirrored second image, `(pairs, 2 * moves)`.

    Products of all moves come from one Fourier transform, sums over where the images overlap from tables.
    """
    from scipy import fft

    used, where = np.unique(pairs, return_inverse=True)
    first, second = where.reshape(pairs.shape).T
    values = _smoothed(np.asarray(images[used], np.float32))
    values -= values.mean(axis=tuple(range(1, values.ndim)), keepdims=True)
    height, width = values.shape[1:3]
    most = max(abs(down) for down, _ in moves)
    size = fft.next_fast_len(height + most, real=True), fft.next_fast_len(width + most, real=True)
    transform = partial(fft.rfft2, s=size, axes=(1, 2), workers=-1)
    spectra = transform(values)
    down, right = (np.array([move[axis] for move in moves]) for axis in (0, 1))
    sums, squares = _window_sums(values, moves), _window_sums(values**2, moves)
    back, mirrored_back = (np.array([moves.index((-d, way * r)) for d, r in moves]) for way in (-1, 1))
    count = (height - abs(down)) * (width - abs(right)) * math.prod(values.shape[3:])
    spread = np.maximum(squares - sums**2 / count, 0)
    found = []
    for others, opposite in ((spectra, back), (transform(values[:, :, ::-1]), mirrored_back)):
        products = spectra[first] * np.conj(others[second])
        products = products.sum(axis=3) if products.ndim == 4 else products
        together = fft.irfft2(products, s=size, axes=(1, 2), workers=-1)[:, down, right]
        covariance = together - sums[first] * sums[second][:, opposite] / count
        both = spread[first] * spread[second][:, opposite]
        found.append(np.where(both > 1e-6, covariance / np.sqrt(np.maximum(both, 1e-6)), 0))
    return np.concatenate(found, axis=1).astype(np.float32)


def _window_sums(values: Float32, moves: list[tuple[int, int]]) -> Float32:
    """Sums over where an image lies over a second one that is moved, `(n, moves)`."""
    height, width = values.shape[1:3]
    lines = {down: values[:, _overlap(height, down)[0]].sum(axis=1) for down, _ in moves}
    if values.ndim == 4:
        lines = {down: line.sum(axis=2) for down, line in lines.items()}
    return np.stack([lines[down][:, _overlap(width, right)[0]].sum(axis=1) for down, right in moves], axis=1)


def _exactly(images: Images, pairs: Indices, ways: Indices, moves: list[tuple[int, int]]) -> Alignments:
    """The alignments of pairs by the ways that were found, computed in float64."""
    mirrored = ways >= len(moves)
    moved = np.array(moves, np.int64)[ways % len(moves)].reshape(-1, 2)
    agreement, correlation = np.zeros(len(pairs)), np.zeros(len(pairs))
    for way in np.unique(ways):
        for few in _few(np.flatnonzero(ways == way)):
            one = images[pairs[few, 0]].astype(np.float64)
            other = images[pairs[few, 1]].astype(np.float64)
            other = other[:, :, ::-1] if mirrored[few[0]] else other
            agreement[few] = _correlation(_smoothed(one), _smoothed(other), *moved[few[0]])
            correlation[few] = _correlation(one, other, *moved[few[0]])
    return Alignments(agreement, correlation, mirrored, moved)


def _few(rows: Indices) -> Iterator[Indices]:
    for start in range(0, len(rows), _PAIRS):
        yield rows[start : start + _PAIRS]


def _correlation(one: npt.NDArray[Any], other: npt.NDArray[Any], down: int, right: int) -> npt.NDArray[np.float64]:
    """Of two images each, where they overlap; 0 where one of them has no contrast."""
    (rows, other_rows), (columns, other_columns) = _overlap(one.shape[1], down), _overlap(one.shape[2], right)
    return _paired_correlation(one[:, rows, columns], other[:, other_rows, other_columns])


def _paired_correlation(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Pearson's correlation of the pixels of each image with those of the other in the same row, float64, `(n,)`."""
    first, second = standardised(one, np.float64), standardised(other, np.float64)
    return np.asarray(np.einsum("np,np->n", first, second))


def standardised(images: npt.NDArray[Any], dtype: Any = np.float32) -> npt.NDArray[Any]:
    """Each image with mean 0 and length 1, `(n, pixels)`; zeros where it has no contrast."""
    flat = np.asarray(images, dtype).reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.where(length > 1e-6, flat / np.maximum(length, 1e-6), 0), dtype)


def nearest_by_correlation(
    images: Images, others: Images, progress: Callable[[int, int], None]
) -> tuple[npt.NDArray[np.float64], Indices]:
    """The largest correlation of each image with one of the others, unmoved, in grey; and which that is.

    Args:
        images: small images, `(n, height, width)` or `(n, height, width, 3)`.
        others: images of the same shape.
        progress: told how many of the others are done, of how many.

    Returns:
        float64, `(n,)`, computed in float64 for the nearest; and positions in `others`, `(n,)`.
    """
    flat = standardised(grey(images))
    best, which = np.full(len(images), -2, np.float32), np.zeros(len(images), np.int64)
    for start in range(0, len(others), _COLUMNS):
        block = standardised(grey(others[start : start + _COLUMNS])).T
        for row in range(0, len(images), _ROWS):
            few = slice(row, row + _ROWS)
            products = flat[few] @ block
            nearest = products.argmax(axis=1)
            value = products[np.arange(len(nearest)), nearest]
            better = value > best[few]
            best[few] = np.where(better, value, best[few])
            which[few] = np.where(better, nearest + start, which[few])
            progress(start + len(block.T) * (row + len(products)) // len(images), len(others))
    rows = range(0, len(images), _PAIRS)
    exact = [_paired_correlation(grey(images[r : r + _PAIRS]), grey(others[which[r : r + _PAIRS]])) for r in rows]
    return np.concatenate(exact), which
