"""An interval of a number, Wilson's interval of a proportion, and the spread of a number between seeds.

Without NumPy, so that commands which only read records start quickly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fittingroom.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

SHOWN_BELOW = 0.05
"""A difference counts as shown where p, corrected for the number of comparisons, is below this."""


_Z = 1.959963984540054  # the normal quantile of a two-sided 95% interval


class Interval(NamedTuple):
    """Where the true value lies with the stated confidence, both ends included."""

    low: float
    high: float

    @classmethod
    def wilson(cls, correct: int, count: int, confidence: float = 0.95) -> Interval:
        """Wilson's score interval of a proportion, for example of an accuracy: 9,000 of 10,000 gives 0.8940 to 0.9057.

        Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22 (1927).

        Args:
            correct: the number of successes, 0 to `count`.
            count: the number of trials, 1 or more.
            confidence: how often such intervals hold the true proportion, above 0 and below 1.

        Raises:
            InputError: an argument is out of its range.
        """
        if not 0 <= correct <= count or count < 1:
            raise InputError(
                f"correct={correct}, count={count}: expected count of 1 or more and correct from 0 to count."
            )
        if not 0 < confidence < 1:
            raise InputError(f"confidence={confidence}: expected a number between 0 and 1, for example 0.95.")
        # In closed form, because importing `scipy.stats` takes longer than a whole evaluation. This import takes 15 ms
        # that `--help` need not spend.
        from statistics import NormalDist

        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        proportion = correct / count
        middle = (proportion + z * z / (2 * count)) / (1 + z * z / count)
        half = z / (1 + z * z / count) * (proportion * (1 - proportion) / count + z * z / (4 * count * count)) ** 0.5
        # All wrong and all right reach the end exactly, which rounding would miss.
        low = 0.0 if correct == 0 else max(0.0, middle - half)
        high = 1.0 if correct == count else min(1.0, middle + half)
        return cls(low, high)

    @classmethod
    def of_mean(cls, values: npt.NDArray[Any]) -> Interval | None:
        """The 95% interval of a mean over images, mean ± 1.96·s/√n; None for a single image.

        By the central limit theorem, in closed form, because it is needed for every epoch and seed.

        Args:
            values: a number per image, `(images,)`; at least one.
        """
        mean = float(values.mean(dtype=float))
        if len(values) < 2:
            return None
        half = _Z * float(values.std(dtype=float, ddof=1)) / math.sqrt(len(values))
        return cls(mean - half, mean + half)


def plain(interval: Interval | None) -> list[float] | None:
    """An interval as a JSON list; None stays None."""
    return None if interval is None else list(interval)


@dataclass(frozen=True)
class Spread:
    """One number of every seed of a run, such as its accuracy, in the order of the seeds; at least one."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of some numbers."""
        return cls(tuple(float(value) for value in values))

    @property
    def mean(self) -> float:
        """The arithmetic mean."""
        return math.fsum(self.values) / len(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation between seeds (dividing by n - 1); None for a single seed."""
        if len(self.values) < 2:
            return None
        return math.sqrt(math.fsum((value - self.mean) ** 2 for value in self.values) / (len(self.values) - 1))

    @property
    def interval(self) -> Interval | None:
        """95% interval of the mean for other seeds on the same images, mean ± t·s/√n (Student's t).

        None for one seed, and where all seeds agree to the last bit, since an interval without width would claim to
        know every other seed. It says nothing of other images: `evaluation.estimate.accuracy_interval` does, from what
        happened to each image.
        """
        if self.deviation is None or min(self.values) == max(self.values):
            return None
        from scipy.special import stdtrit

        count = len(self.values)
        half = float(stdtrit(count - 1, 0.975)) * self.deviation / math.sqrt(count)
        return Interval(self.mean - half, self.mean + half)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "mean": self.mean,
            "deviation": self.deviation,
            "interval": None if self.interval is None else list(self.interval),
            "values": list(self.values),
        }
