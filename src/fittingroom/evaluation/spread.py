"""One number of several replicas: its mean, how much it varies between seeds, and how sure the mean is.

Confidence intervals of proportions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fittingroom.errors import InputError

if TYPE_CHECKING:
    from fittingroom.evaluation.luck import Reuse
    from fittingroom.evaluation.scores import TestResult


@dataclass(frozen=True)
class Spread:
    """The values of one number, one per replica, in the order of the seeds; at least one."""

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
        """The standard deviation between replicas (with n - 1); None for a single one."""
        if len(self.values) < 2:
            return None
        return math.sqrt(math.fsum((value - self.mean) ** 2 for value in self.values) / (len(self.values) - 1))

    @property
    def interval(self) -> Interval | None:
        """95% interval of the mean for other seeds on the same images, mean ± t·s/√n (Student's t); None for one value.

        It says nothing of other images: `evaluation.estimate.accuracy_interval` does, from the outcomes of each.
        """
        if self.deviation is None:
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


@dataclass(frozen=True)
class ReplicasTestResult:
    """What a sealed test set said about several replicas.

    Args:
        seeds: the seed of each.
        results: the result of each, in the same order.
    """

    seeds: tuple[int, ...]
    results: tuple[TestResult, ...]

    @property
    def accuracy(self) -> Spread:
        """Share of right predictions, 0 to 1, of each replica."""
        return Spread.of(result.accuracy for result in self.results)

    @property
    def loss(self) -> Spread:
        """Mean cross-entropy of each replica, in nats."""
        return Spread.of(result.loss for result in self.results)

    @property
    def reuse(self) -> Reuse:
        """All looks at the test set so far."""
        return max((result.reuse for result in self.results), key=lambda reuse: reuse.looks)

    @property
    def luck(self) -> float:
        """What the best of all looks so far is worth by luck alone, as a share of the images."""
        return self.reuse.luck(self.accuracy.mean, self.results[0].scores.count)

    @property
    def look(self) -> str:
        """Which looks they were: `3 to 7`, `3, 5, 6 of 9`; `3` where the seeds were scored in one look."""
        found = [result.look for result in self.results if result.look is not None]
        known = sorted(set(found))
        if len(found) < len(self.results):
            return "not all in this ledger,"
        together = len(known) > 1 and known[-1] - known[0] == len(known) - 1
        names = f"{known[0]} to {known[-1]}" if together else ", ".join(map(str, known))
        return names if known[-1] == self.reuse.looks else f"{names} of {self.reuse.looks}"

    @property
    def looks(self) -> str:
        """The same with the word before it: `look 3`, `looks 3 to 7`."""
        numbers = {result.look for result in self.results}
        return f"look {self.look}" if len(numbers) == 1 and None not in numbers else f"looks {self.look}"

    def to_dict(self) -> dict[str, Any]:
        """Mean, spread, luck and each one, as plain JSON."""
        each = [{"seed": seed, **result.to_dict()} for seed, result in zip(self.seeds, self.results, strict=True)]
        return {
            "accuracy": self.accuracy.to_dict(),
            "loss": self.loss.to_dict(),
            "looks": self.reuse.looks,
            "luck": self.luck,
            "correlation": self.reuse.correlation,
            "replicas": each,
        }

    def __str__(self) -> str:
        accuracy, count = self.accuracy, self.results[0].scores.count
        return (
            f"test accuracy {accuracy.mean:.4f} ± {accuracy.deviation or 0.0:.4f} over {len(self.seeds)} seeds "
            f"({self.looks} at this test set; {self.reuse.sentence(accuracy.mean, count)})"
        )


class Interval(NamedTuple):
    """Where a number lies with the stated confidence, both ends included."""

    low: float
    high: float


def wilson(correct: int, count: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion, for example of an accuracy: 9,000 of 10,000 gives 0.8940 to 0.9057.

    Written here in closed form because importing `scipy.stats` takes longer than a whole evaluation. Source: Wilson,
    Probable Inference, the Law of Succession, and Statistical Inference, JASA 22 (1927).

    Args:
        correct: how many of them, 0 to `count`.
        count: of how many, 1 or more.
        confidence: above 0, below 1.

    Raises:
        InputError: an argument is out of its range.
    """
    if not 0 <= correct <= count or count < 1:
        raise InputError(
            f"{correct} correct of {count}: expected a count of 1 or more and 0 to that many correct ones."
        )
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}: expected a number between 0 and 1, for example 0.95.")
    from statistics import NormalDist  # 15 ms that `--help` need not spend

    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    proportion = correct / count
    middle = (proportion + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (proportion * (1 - proportion) / count + z * z / (4 * count * count)) ** 0.5
    # All wrong and all right reach the end exactly, which rounding would miss.
    low = 0.0 if correct == 0 else max(0.0, middle - half)
    high = 1.0 if correct == count else min(1.0, middle + half)
    return Interval(low, high)
