"""The images of a dataset that are most like one of them, by what small networks look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.data.values import Labels

if TYPE_CHECKING:
    from fittingroom.audits.check import AuditProgress

NEAREST = 20
"""How many images each is compared with by its neighbours' labels."""

_PLACES_AT_ONCE, _OTHERS_AT_ONCE = 250, 20_000
_PRIOR = 0.05  # added to shares of neighbours, whose logarithms are taken


@dataclass(frozen=True, eq=False)
class NearestImages:
    """Finds the nearest images of some, once for each.

    Args:
        values: of all images, `(n, length, 1)`; their cosines are compared.
        progress: told for how many images they are found.
    """

    values: npt.NDArray[Any]
    progress: AuditProgress
    _found: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict, init=False, repr=False)

    def of(self, places: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        """The other images most like each, the most similar first, `(places, 20)`; fewer where there are fewer."""
        missing = np.array([place for place in places.tolist() if place not in self._found], np.int64)
        if len(missing):
            self._found.update(
                zip(missing.tolist(), nearest(self.values, missing, NEAREST, self.progress), strict=True)
            )
        count = min(NEAREST, len(self.values) - 1)
        return np.array([self._found[place] for place in places.tolist()], np.int64).reshape(len(places), count)

    def favour(self, places: npt.NDArray[np.integer[Any]], labels: Labels, other: Labels) -> npt.NDArray[np.float64]:
        """How much the neighbours of some images favour another class over the label, `(places,)`.

        It is ln of the share of neighbours with the other class over the share of those with the label.

        Args:
            places: of the images.
            labels: of all, `(n,)`.
            other: the other class, of all, `(n,)`.
        """
        near = labels[self.of(places)]
        own, others = ((near == some[places, None]).mean(axis=1) for some in (labels, other))
        return np.asarray(np.log(others + _PRIOR) - np.log(own + _PRIOR), np.float64)

    @staticmethod
    def least() -> float:
        """What `favour` gives where all neighbours have the label."""
        return float(np.log(_PRIOR) - np.log(1 + _PRIOR))


def nearest(
    values: npt.NDArray[Any], places: npt.NDArray[np.int64], count: int, progress: AuditProgress
) -> npt.NDArray[np.int64]:
    """The nearest other images of some, the most similar first, `(places, count)`; fewer where there are fewer.

    Args:
        values: of all images, `(n, length, 1)`.
        places: of the images whose neighbours are wanted.
        count: how many.
        progress: told for how many images they are found.
    """
    count = min(count, len(values) - 1)
    found = np.zeros((len(places), count), np.int64)
    for start in range(0, len(places), _PLACES_AT_ONCE):
        progress("comparing with similar images", start, len(places))
        some = slice(start, start + _PLACES_AT_ONCE)
        found[some] = _nearest(values, places[some], count)
    return found


def _nearest(values: npt.NDArray[Any], places: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    sought = _unit(values[places])
    best, which = np.zeros((len(places), 0), np.float32), np.zeros((len(places), 0), np.int64)
    for start in range(0, len(values), _OTHERS_AT_ONCE):
        likeness = sought @ _unit(values[start : start + _OTHERS_AT_ONCE]).T
        rows = np.arange(start, start + likeness.shape[1])
        likeness[places[:, None] == rows] = -np.inf
        top = np.argpartition(-likeness, min(count, likeness.shape[1]) - 1, axis=1)[:, :count]
        best = np.concatenate([best, np.take_along_axis(likeness, top, 1)], axis=1)
        which = np.concatenate([which, rows[top]], axis=1)
    order = np.argsort(-best, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(which, order, 1)


def _unit(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    rows = values[:, :, 0].astype(np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), np.float32)
