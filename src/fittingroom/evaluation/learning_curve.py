"""How accuracy grows with the number of photos of each class, and what more of them would bring.

The share of wrong answers of a model falls, over the sizes that matter here, about as a power of the number of
examples: `wrong = a * photos ** -b`. That is fitted to the measured points, weighted by how many answers were wrong,
and continued. How sure it is comes from the bootstrap over photos: the same photos are drawn for all sizes, since what
is hard with few of them is hard with many.

How good such forecasts are is measured in `docs/measurements.md`. They are not continued beyond ten times the photos
that there are.

Source: Hestness et al., Deep Learning Scaling is Predictable, Empirically (arXiv 1712.00409); for few examples, Viering
and Loog, The Shape of Learning Curves: a Review, IEEE TPAMI 45 (arXiv 2103.10948).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.spread import Interval, plain
from fittingroom.seeds import generator

Floats = npt.NDArray[np.float64]

MORE = 10
"""Photos of each class that a forecast adds."""

MOST_TIMES = 10
"""How many times the photos that there are a forecast reaches at most."""

_DRAWS = 400
_FEWEST_POINTS = 3


@dataclass(frozen=True)
class CurvePoint:
    """The accuracy with so many photos of each class.

    Args:
        photos: mean over the classes of how many photos a head saw.
        accuracy: on photos that it had not seen, 0 to 1, mean over several draws of those that it saw.
        interval: 95% interval (Wilson), as it would be with other photos to answer.
    """

    photos: float
    accuracy: float
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """The point as plain JSON."""
        return {"photos_per_class": self.photos, "accuracy": self.accuracy, "interval": plain(self.interval)}


@dataclass(frozen=True)
class Forecast:
    """What a number of photos of each class would bring.

    Args:
        photos: of each class.
        accuracy: 0 to 1.
        interval: 95% interval, from the bootstrap over photos.
        gain: how much more that is than is measured now, as a share, 0 or more.
    """

    photos: float
    accuracy: float
    interval: Interval
    gain: float

    def to_dict(self) -> dict[str, Any]:
        """The forecast as plain JSON."""
        numbers = {"photos_per_class": self.photos, "accuracy": self.accuracy, "interval": plain(self.interval)}
        return {**numbers, "gain": self.gain}


@dataclass(frozen=True)
class Need:
    """How many photos of each class an accuracy takes.

    Args:
        accuracy: that is wanted, 0 to 1.
        photos: of each class; None where it is more than ten times those that there are.
        interval: 95% interval of it; a high end of None means that it may be more than that.
        reached: whether the photos that there are reach it.
    """

    accuracy: float
    photos: float | None
    interval: tuple[float, float | None]
    reached: bool

    def to_dict(self) -> dict[str, Any]:
        """The need as plain JSON."""
        numbers = {"accuracy": self.accuracy, "photos_per_class": self.photos, "interval": list(self.interval)}
        return {**numbers, "reached": self.reached}


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Accuracy against photos of each class.

    Args:
        photos: of each class that a head saw, mean over the classes, rising, `(sizes,)`.
        right: how often each photo was named rightly by heads that had not seen it, 0 to 1, `(sizes, n)`.
        scenes: which scene each photo shows, `(n,)`: photos of one are drawn together, and count once.
    """

    photos: Floats
    right: Floats
    scenes: npt.NDArray[np.integer[Any]]

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """The measured points."""
        count = len(np.unique(self.scenes))
        return tuple(
            CurvePoint(float(photos), float(right.mean()), _wilson(float(right.mean()), count))
            for photos, right in zip(self.photos, self.right, strict=True)
        )

    def forecast(self, photos: float) -> Forecast | None:
        """What so many photos of each class would bring; None where the points do not carry so far.

        Args:
            photos: of each class, all together.
        """
        curves = self._curves()
        if curves is None or photos > MOST_TIMES * self.photos[-1]:
            return None
        reached = [1 - a * photos**-b for a, b in curves]
        low, high = np.percentile(reached, (2.5, 97.5))
        # More photos do not make it worse: where luck has put the last point above the fitted curve, that counts.
        now = float(self.right[-1].mean())
        accuracy = max(reached[0], now)
        return Forecast(photos, accuracy, Interval(max(float(low), 0.0), max(float(high), accuracy)), accuracy - now)

    def need(self, accuracy: float) -> Need | None:
        """How many photos of each class an accuracy takes; None where the points are too few to tell.

        Args:
            accuracy: above 0 and below 1.
        """
        curves = self._curves()
        if curves is None:
            return None
        most = MOST_TIMES * float(self.photos[-1])
        needed = np.array([_photos_for(1 - accuracy, a, b) for a, b in curves])
        low, high = np.percentile(needed, (2.5, 97.5), method="nearest")
        middle = float(needed[0])
        reached = float(self.right[-1].mean()) >= accuracy
        bounds = (float(min(low, most)), None if high > most else float(high))
        return Need(accuracy, None if middle > most else middle, bounds, reached)

    def _curves(self) -> list[tuple[float, float]] | None:
        """The fitted `(a, b)`: that of all photos first, then those of the bootstrap; None with too few points."""
        if len(self.photos) < _FEWEST_POINTS:
            return None
        scenes, places = np.unique(self.scenes, return_inverse=True)
        counts = np.bincount(places)
        # The sum of what is right in each scene, `(sizes, scenes)`, so that scenes are drawn as wholes.
        sums = np.stack([np.bincount(places, row, len(scenes)) for row in self.right])
        random = generator(0, "bootstrap", 5)
        draws = [np.arange(len(scenes)), *random.integers(len(scenes), size=(_DRAWS, len(scenes)))]
        return [
            _power_law(self.photos, 1 - sums[:, drawn].sum(axis=1) / counts[drawn].sum(), len(scenes))
            for drawn in draws
        ]


def sizes_up_to(photos: int) -> tuple[int, ...]:
    """The numbers of photos of each class at which a curve is measured, all below `photos`."""
    steps: Sequence[int] = [step * 10**power for power in range(5) for step in (1, 2, 3, 5, 7)]
    return tuple(size for size in steps if size < photos)


def _power_law(photos: Floats, wrong: Floats, count: int) -> tuple[float, float]:
    """`(a, b)` of `wrong = a * photos ** -b`, b at least 0, by weighted least squares of the logarithms."""
    failures = wrong * count + 0.5  # half a failure more, so that none is no certainty
    x, y = np.log(photos), np.log(failures / (count + 1))
    middle_x, middle_y = np.average(x, weights=failures), np.average(y, weights=failures)
    spread = float((failures * (x - middle_x) ** 2).sum())
    slope = float((failures * (x - middle_x) * (y - middle_y)).sum()) / spread if spread else 0.0
    falls = max(-slope, 0.0)
    return float(np.exp(middle_y + falls * middle_x)), falls


def _photos_for(wrong: float, a: float, b: float) -> float:
    """How many photos bring the share of wrong answers down to `wrong`."""
    if wrong >= a:
        return 1.0
    if b == 0 or wrong <= 0:
        return float("inf")
    return float(np.exp(min(np.log(a / wrong) / b, 50.0)))


def _wilson(share: float, count: int) -> Interval:
    """Wilson's interval of a share that is a mean of shares: as wide as if each was 0 or 1, so never too narrow."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf(0.975)
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    return Interval(max(0.0, middle - half), min(1.0, middle + half))
