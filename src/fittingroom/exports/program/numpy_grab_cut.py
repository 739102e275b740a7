"""`kmeans` and `grab_cut` as OpenCV does them, in NumPy alone: with its random numbers, so with its results.

GrabCut is Rother, Kolmogorov and Blake, "GrabCut": Interactive Foreground Extraction using Iterated Graph Cuts,
SIGGRAPH 2004: two mixtures of five Gaussians say how likely a colour is in the foreground and in the background, and
the minimum cut weighs that against borders along edges. k-means begins as Arthur and Vassilvitskii, k-means++: The
Advantages of Careful Seeding, SODA 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.exports.program.minimum_cut import DIRECTIONS, source_side

Array = NDArray[Any]

BACKGROUND, FOREGROUND, LIKELY_BACKGROUND, LIKELY_FOREGROUND = range(4)

_TRIALS = 3  # places that are tried for each further centre of k-means
_KINDS, _ROUNDS = 5, 10  # Gaussians of a mixture; rounds of the k-means that they begin with
_GAMMA = 50.0  # what a border between equal colours costs
_NOISE = 0.01  # added to the variances of colours that lie on a line
_WHOLE = 2.0**20  # capacities are whole numbers of this part
_SURE = 1e6  # a capacity that nothing outweighs


class RandomNumbers:
    """OpenCV's generator, from the seed 0."""

    def __init__(self) -> None:
        self._state = 0xFFFFFFFF

    def whole(self) -> int:
        """A number of 32 bits."""
        self._state = (self._state & 0xFFFFFFFF) * 4164903690 + (self._state >> 32)
        return self._state & 0xFFFFFFFF

    def share(self) -> float:
        """A number from 0 to 1."""
        high = self.whole()
        return float((high << 32) | self.whole()) * 2.0**-64


def kmeans(points: Array, count: int, rounds: int, random: RandomNumbers) -> tuple[Array, Array]:
    """The kind of each point, `(n,)`, and the centres of the kinds, float32 `(count, length)`.

    Args:
        points: float32 `(n, length)`.
        count: how many kinds.
        rounds: how often the centres are computed, the first time included.
        random: where it begins is drawn from this.
    """
    centres = points[_begun(points, count, random)]
    for number in range(1, max(rounds, 2)):
        kinds = _nearest(points, centres)
        before, centres = centres, _means(points, kinds, count)
        if number == max(rounds, 2) - 1 or ((centres - before).astype(np.float64) ** 2).sum(axis=1).max() <= 1.5e-14:
            return kinds, centres
    raise AssertionError("there are two rounds at least")


def grab_cut(picture: Array, start: Array, rounds: int) -> NDArray[np.uint8]:
    """What each pixel of a picture is in the end, in the numbers of `start`.

    Args:
        picture: uint8 `(height, width, 3)`.
        start: `BACKGROUND` and so on, `(height, width)`; both kinds occur.
        rounds: times that colours are learned and the cut is made.
    """
    random, colours, mask = RandomNumbers(), picture.reshape(-1, 3).astype(np.float64), start.copy()
    kinds = np.zeros(start.size, np.int64)
    for own in (start.ravel() % 2 == 0, start.ravel() % 2 == 1):
        points = picture.reshape(-1, 3)[own].astype(np.float32)
        kinds[own] = kmeans(points, min(_KINDS, len(points)), _ROUNDS, random)[0]
    links = _links(picture)
    mixtures = [_Mixture.of(colours[mask.ravel() % 2 == own], kinds[mask.ravel() % 2 == own]) for own in (0, 1)]
    for _ in range(rounds):
        for own in (0, 1):
            inside = mask.ravel() % 2 == own
            mixtures[own] = _Mixture.of(colours[inside], mixtures[own].kinds(colours[inside]))
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.log(mixtures[1].likelihood(colours)) - np.log(mixtures[0].likelihood(colours))
        odds = np.nan_to_num(odds, nan=_SURE, posinf=_SURE, neginf=-_SURE).clip(-_SURE, _SURE).reshape(mask.shape)
        odds[mask == BACKGROUND], odds[mask == FOREGROUND] = -_SURE, _SURE
        inside = source_side(np.rint(odds * _WHOLE).astype(np.int64), np.rint(links * _WHOLE).astype(np.int64))
        likely = mask >= LIKELY_BACKGROUND
        mask[likely] = np.where(inside[likely], LIKELY_FOREGROUND, LIKELY_BACKGROUND)
    return np.asarray(mask, np.uint8)


def _begun(points: Array, count: int, random: RandomNumbers) -> list[int]:
    """The points that k-means++ begins with: each far from those before it, the best of three that are drawn."""
    chosen = [random.whole() % len(points)]
    apart = _squared(points, points[chosen[0]])
    for _ in range(1, count):
        best: tuple[float, int, Array] | None = None
        total = float(apart.sum(dtype=np.float64))
        reached = np.cumsum(apart, dtype=np.float64)
        for _ in range(_TRIALS):
            place = min(int(np.searchsorted(reached, random.share() * total)), len(points) - 1)
            nearer = np.minimum(apart, _squared(points, points[place]))
            left = float(nearer.sum(dtype=np.float64))
            if best is None or left < best[0]:
                best = left, place, nearer
        assert best is not None
        chosen.append(best[1])
        apart = best[2]
    return chosen


def _squared(points: Array, centre: Array) -> Array:
    away = points - centre
    return np.asarray((away * away).sum(axis=1, dtype=np.float32))


def _nearest(points: Array, centres: Array) -> Array:
    return np.asarray(np.stack([_squared(points, centre) for centre in centres]).argmin(axis=0))


def _means(points: Array, kinds: Array, count: int) -> Array:
    """The mean of each kind; one without points takes that which lies farthest out in the largest."""
    counts = np.bincount(kinds, minlength=count)
    sums = np.stack([np.bincount(kinds, column, count) for column in points.T.astype(np.float64)], axis=1)
    for empty in np.flatnonzero(counts == 0):
        largest = int(counts.argmax())
        inside = np.flatnonzero(kinds == largest)
        away = _squared(points[inside], (sums[largest] / counts[largest]).astype(np.float32))
        farthest = inside[len(away) - 1 - int(away[::-1].argmax())]
        kinds[farthest] = empty
        counts[largest], counts[empty] = counts[largest] - 1, 1
        sums[largest], sums[empty] = sums[largest] - points[farthest], points[farthest]
    return np.asarray(sums.astype(np.float32) * (np.float32(1) / counts.astype(np.float32))[:, None], np.float32)


@dataclass(frozen=True, eq=False)
class _Mixture:
    """Gaussians of colours.

    Args:
        shares: of the points, `(kinds,)`; 0 where there are none.
        means: `(kinds, 3)`.
        inverses: of the covariances, `(kinds, 3, 3)`.
        determinants: of these, `(kinds,)`.
    """

    shares: Array
    means: Array
    inverses: Array
    determinants: Array

    @classmethod
    def of(cls, colours: Array, kinds: Array) -> _Mixture:
        """Of colours `(n, 3)`, each of a kind, `(n,)`."""
        counts = np.bincount(kinds, minlength=_KINDS)
        safe = np.maximum(counts, 1)
        means = np.stack([np.bincount(kinds, column, _KINDS) for column in colours.T], axis=1) / safe[:, None]
        products = np.stack(
            [np.bincount(kinds, colours[:, i] * colours[:, j], _KINDS) for i in range(3) for j in range(3)], axis=1
        )
        spread = products.reshape(-1, 3, 3) / safe[:, None, None] - means[:, :, None] * means[:, None, :]
        spread[np.linalg.det(spread) <= 1e-6] += _NOISE * np.eye(3)
        return cls(counts / max(len(colours), 1), means, np.linalg.inv(spread), np.linalg.det(spread))

    def kinds(self, colours: Array) -> Array:
        """Which Gaussian is highest at each colour, `(n,)`."""
        return np.asarray(self._heights(colours).argmax(axis=1))

    def likelihood(self, colours: Array) -> Array:
        """How likely each colour is, `(n,)`."""
        return np.asarray(self._heights(colours) @ self.shares)

    def _heights(self, colours: Array) -> Array:
        away = colours[:, None] - self.means
        squares = np.einsum("nki,kij,nkj->nk", away, self.inverses, away)
        return np.asarray(np.where(self.shares > 0, np.exp(-0.5 * squares) / np.sqrt(self.determinants), 0))


def _links(picture: Array) -> Array:
    """What a border between each pixel and its neighbours in `DIRECTIONS` costs, `(4, height, width)`."""
    values, (height, width) = picture.astype(np.float64), picture.shape[:2]
    squares = np.zeros((len(DIRECTIONS), height, width))
    for number, (down, right) in enumerate(DIRECTIONS):
        here = values[: height - down, max(-right, 0) : width - max(right, 0)]
        there = values[down:, max(right, 0) : width + min(right, 0)]
        squares[number, : height - down, max(-right, 0) : width - max(right, 0)] = ((here - there) ** 2).sum(axis=2)
    total, pairs = squares.sum(), 4 * width * height - 3 * width - 3 * height + 2
    beta = 0 if total <= np.finfo(np.float64).eps else 1 / (2 * total / pairs)
    lengths = np.sqrt([down * down + right * right for down, right in DIRECTIONS])
    return np.asarray(_GAMMA * np.exp(-beta * squares) / lengths[:, None, None])
