"""Evidence against "what arrives is like the validation images", whose false alarms are bounded over all time.

Each image that arrives has a few numbers (its brightness, the class it gets, the model's confidence). If it is drawn as
the validation images were, its place among them and all that arrived before is equally likely to be any: with ties
broken by chance, the share of them below it is uniform on 0 to 1 and independent of all earlier ones. That holds for
however few validation images there are, and whatever their distribution is.

Against this, capital is bet. A bet multiplies capital by a density on 0 to 1 at the share that comes, so without drift
no strategy can expect a gain, and by Ville's inequality the capital that starts at 1 ever reaches 20 with a probability
of at most 5%: not at a given time, but in all time. The capital is spread over several quantities, over several bets
(more low values, more high ones, more at both ends, more in the middle, and what the last few hundred images suggest),
and over the moments at which betting may begin, so that a drift that comes late is found as soon as one at the start.

What is kept is a histogram per quantity and the capital of each bet; no image and no value of one.

Sources: conformal test martingales, Vovk, Nouretdinov and Gammerman, Testing Exchangeability On-Line, ICML 2003; bets
that learn, Fedorova et al., Plug-in Martingales for Testing Exchangeability On-Line, ICML 2012 (arXiv 1204.3251);
Ville, Étude critique de la notion de collectif, 1939; mixtures over the moment of the change, Vovk et al., Retrain or
Not Retrain: Conformal Test Martingales for Change-Point Detection, COPA 2021 (arXiv 2102.10439).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.runs.json_files import share, whole

_QUANTILES = np.array([0.01, *np.arange(1, 20) / 20, 0.99])  # of the validation images, between bins of a histogram
_SIZES = np.diff([0.0, *_QUANTILES, 1.0])  # of the cells of 0 to 1 on each of which a bet's density is constant
_CELLS = len(_SIZES)
_AT_ONCE = 64  # images between which the bet that learns learns, and products of so many densities do not overflow
_MOST = 1e150  # capital; more proves nothing more

_Array = npt.NDArray[np.float64]
Histogram = npt.NDArray[np.int64]


def _bets() -> _Array:
    """The densities that are bet on, `(bets, cells)`, each with a mean of 1."""
    low, high = np.arange(_CELLS), np.arange(_CELLS)[::-1]  # cells, from either end
    rows = []
    for cells, shares in (
        (low[:1], (0.06, 0.15)),  # the lowest 1%
        (high[:1], (0.06, 0.15)),
        (low[:2], (0.12, 0.3)),  # the lowest 5%
        (high[:2], (0.12, 0.3)),
        (low[:5], (0.35, 0.55)),  # the lowest 20%
        (high[:5], (0.35, 0.55)),
        (np.r_[low[:3], high[:3]], (0.4,)),  # both ends
        (low[6:16], (0.7,)),  # the middle
    ):
        for part in shares:
            size = _SIZES[cells].sum()
            density = np.full(_CELLS, (1 - part) / (1 - size))
            density[cells] = part / size
            rows.append(density)
    return np.stack(rows)


_BETS = _bets()
_LEARNT_FROM = 200.0  # images that the bet that learns remembers
_CAUTION = 30.0  # images that it pretends to have seen, all cells alike

_AT_ONCE_SHARE = 0.5  # of the capital is bet from the first image on
_STARTS = 100.0  # of the rest, each moment j has the share k / ((j + 100) ln²(j + 100)) to begin with; all sum to 1
_SHARE = (1 - _AT_ONCE_SHARE) * math.log(_STARTS)


_STATE = {"served": "served", "capital": "_capital", "learnt": "_learnt", "highest": "highest_of"}


@dataclass(frozen=True, eq=False)
class Bins:
    """How the values of one quantity are counted.

    Args:
        edges: between the bins, rising; a value equal to an edge is above it.
        counts: validation images in each bin.
    """

    edges: npt.NDArray[np.float64]
    counts: Histogram

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> Bins:
        """From the values of at least two validation images, in any order that does not go by the values.

        Edges lie at quantiles of the first few, which are not counted. Were edges drawn between images that are
        counted, new images would not be exchangeable with those, and the bound on false alarms not hold.
        """
        values = values.astype(np.float64)
        few = max(len(values) // 10, min(len(values) // 3, 100))
        inner = np.quantile(values[:few], _QUANTILES, method="inverted_cdf")
        found = cls(np.unique(inner), np.zeros(0, np.int64))
        return cls(found.edges, np.bincount(found.places(values[few:]), minlength=len(found.edges) + 1))

    def places(self, values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """The bin of each value."""
        return np.searchsorted(self.edges, values, "right")


class DriftEvidence:
    """The capital that was won by betting on drift, and the histograms that it rests on.

    Args:
        reference: for each quantity, how many validation images are in each of its bins; at least one quantity.
        weights: of the quantities, positive: what share of the capital is bet on each; None for equal ones.
        draws: what breaks ties; None for draws that nobody can foresee.
    """

    def __init__(
        self,
        reference: tuple[Histogram, ...],
        weights: tuple[float, ...] | None = None,
        draws: np.random.Generator | None = None,
    ) -> None:
        width = max(map(len, reference))
        self._reference = np.stack([np.pad(counts, (0, width - len(counts))) for counts in reference])
        self._widths = tuple(map(len, reference))
        self._draws = np.random.default_rng() if draws is None else draws
        quantities = len(reference)
        self.images = 0
        self.served = np.zeros((quantities, width), np.int64)
        shares = np.ones(quantities) if weights is None else np.array(weights)
        self._weights = shares / shares.sum()
        self._capital = np.full((quantities, len(_BETS) + 1), _AT_ONCE_SHARE)
        self._unstarted = 1 - _AT_ONCE_SHARE
        self._learnt = np.zeros((quantities, _CELLS))
        self.highest_of = self._weights.copy()

    @property
    def value(self) -> float:
        """The capital now; it started at 1."""
        return float(self._weights @ self._capital.mean(axis=1)) + self._unstarted

    def take(self, places: npt.NDArray[np.intp]) -> _Array:
        """Takes the next images, in the order in which they came, and gives the capital after each, `(n,)`.

        Args:
            places: the bin of each image for each quantity, `(n, quantities)`.
        """
        parts = [self._take_few(places[start : start + _AT_ONCE]) for start in range(0, len(places), _AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _take_few(self, places: npt.NDArray[np.intp]) -> _Array:
        """Takes up to 64 images, and gives the capital after each."""
        count, quantities = places.shape
        cells = self._cells(places)
        learnt = (self._learnt / _SIZES + _CAUTION) / (self._learnt.sum(axis=1, keepdims=True) + _CAUTION)
        gains = np.empty((count, quantities, len(_BETS) + 1))
        gains[:, :, :-1] = _BETS.T[cells]
        gains[:, :, -1] = learnt[np.arange(quantities), cells]
        # Capital that waits until the moment j enters every bet in equal shares, and from then on gains with it.
        moments = np.arange(self.images, self.images + count) + _STARTS
        entering = _SHARE / (moments * np.log(moments) ** 2)
        entering *= min(1.0, self._unstarted / entering.sum())
        product = gains.cumprod(axis=0)
        ahead = np.empty_like(product)
        ahead[0] = 1.0
        ahead[1:] = product[:-1]
        capital = product * (self._capital + (entering[:, None, None] / ahead).cumsum(axis=0))
        waiting = self._unstarted - entering.cumsum()
        each = capital.mean(axis=2)
        values = each @ self._weights + waiting
        each = each * self._weights + waiting[:, None] * self._weights
        self.highest_of = np.minimum(np.maximum(self.highest_of, each.max(axis=0)), _MOST)
        self._capital = np.minimum(capital[-1], _MOST)
        self._unstarted = max(float(waiting[-1]), 0.0)
        self._learn(cells)
        self.images += count
        return np.asarray(np.minimum(values, _MOST))

    def _cells(self, places: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """In which cell of 0 to 1 the share lies that is below each image, `(n, quantities)`; the bag grows by each."""
        count, quantities = places.shape
        width = self._reference.shape[1]
        arrived = np.zeros((count, quantities, width), np.int32)
        arrived[np.arange(count)[:, None], np.arange(quantities), places] = 1
        bag = arrived.cumsum(axis=0) + (self._reference + self.served)
        up_to = np.take_along_axis(bag.cumsum(axis=2), places[:, :, None], 2)[:, :, 0]
        own = np.take_along_axis(bag, places[:, :, None], 2)[:, :, 0]
        self.served += arrived.sum(axis=0)
        below = (up_to - own * self._draws.random((count, quantities))) / bag[:, 0].sum(axis=1)[:, None]
        return np.asarray(np.searchsorted(_QUANTILES, below))

    def _learn(self, cells: npt.NDArray[np.intp]) -> None:
        count, quantities = cells.shape
        found = np.bincount((cells + _CELLS * np.arange(quantities)).ravel(), minlength=quantities * _CELLS)
        self._learnt = self._learnt * math.exp(-count / _LEARNT_FROM) + found.reshape(quantities, _CELLS)

    def to_dict(self) -> dict[str, Any]:
        """Histograms and capital, as JSON types."""
        return {
            "images": self.images,
            "unstarted": self._unstarted,
            **{name: getattr(self, attribute).tolist() for name, attribute in _STATE.items()},
        }

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Continues where `to_dict` was taken; raises whatever a damaged one makes it raise."""
        for name, attribute in _STATE.items():
            here = getattr(self, attribute)
            found = np.array(stored[name], here.dtype)
            if found.shape != here.shape or not np.isfinite(found).all() or (found < 0).any() or (found > _MOST).any():
                raise ValueError(f"expected {here.shape} numbers from 0 as {name}")
            setattr(self, attribute, found)
        self.images, self._unstarted = whole(stored["images"]), share(stored["unstarted"])

    def histograms(self) -> tuple[Histogram, ...]:
        """Of each quantity, how many images that arrived are in each bin."""
        return tuple(row[:width] for row, width in zip(self.served, self._widths, strict=True))
