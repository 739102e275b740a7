"""The difference between two models or recipes: its value, its interval, and whether it may be chance.

The three cannot contradict each other: p and interval come from one estimate, and both are widened for the number of
comparisons that are made together (Bonferroni), so that all the intervals of a family hold at once in 95% of cases.
Beside the estimate stand two exact tests for the accuracies of models on the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.estimate import Estimate
from fittingroom.evaluation.spread import SHOWN_BELOW, Interval

ENOUGH_SEEDS = 5
"""With this many seeds on each side a comparison is about recipes; with fewer, about the trained models."""


@dataclass(frozen=True)
class Difference:
    """The first side's mean less the second's.

    Args:
        value: the difference; a share of the images for accuracies, nats for losses.
        estimate: the mean and error that p and the interval follow from.
        exact: p of an exact test, 0 to 1; where there is one, a difference has to hold for both.
        comparisons: how many comparisons are made together, 1 or more.
    """

    value: float
    estimate: Estimate
    exact: float | None = None
    comparisons: int = 1

    @classmethod
    def between(
        cls,
        first: npt.NDArray[Any],
        second: npt.NDArray[Any],
        seeds: tuple[Sequence[int], Sequence[int]],
        *,
        same_images: bool = True,
    ) -> Difference:
        """The difference of the means of a number that each seed has for each image.

        With `ENOUGH_SEEDS` on both sides it is about recipes (seeds and images may vary), else about these trained
        models.

        Args:
            first: the number on the first side, `(seeds, images)`; bool, or finite numbers.
            second: the same of the second side.
            seeds: those of both sides, which are paired where both have the same ones.
            same_images: whether both sides have the same images, in the same order.
        """
        value = float(first.mean(dtype=np.float64) - second.mean(dtype=np.float64))
        if min(len(first), len(second)) >= ENOUGH_SEEDS:
            order = _shared_order(*seeds) if same_images else None
            sides = [first, second] if order is None else [np.asarray(first, np.float64) - second[order]]
            return cls(value, Estimate.over_seeds_and_images(sides, same_images=same_images))
        one, other = (side.mean(axis=0, dtype=np.float64) for side in (first, second))
        if not same_images:
            return cls(value, _apart(one, other))
        if _are_shares(first) and _are_shares(second):
            return cls(value, Estimate.with_two_more(one - other))
        return cls(value, Estimate.over_images(one - other))

    @classmethod
    def of_accuracies(
        cls, first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], seeds: tuple[Sequence[int], Sequence[int]]
    ) -> Difference:
        """The difference of the accuracies on the same images; with few seeds, an exact test has to show it as well.

        Args:
            first: whether each seed of the first side was right about each image, `(seeds, images)`.
            second: the same of the second side, on the same images.
            seeds: those of both sides, as in `between`.
        """
        difference = cls.between(first, second, seeds)
        if min(len(first), len(second)) >= ENOUGH_SEEDS:
            return difference
        # In whole numbers: how many more seeds of the first get an image right, each side times the other's seeds.
        ahead = first.sum(axis=0) * len(second) - second.sum(axis=0) * len(first)
        if len(first) == len(second) == 1:
            return replace(difference, exact=mcnemar(int((ahead > 0).sum()), int((ahead < 0).sum())))
        return replace(difference, exact=sign_flip(ahead))

    @property
    def p(self) -> float:
        """How likely so large a difference would be, in either direction, if there were none; 0 to 1."""
        return max(self.estimate.p, self.exact or 0.0)

    @property
    def corrected(self) -> float:
        """The p corrected for the number of comparisons (Bonferroni), 0 to 1."""
        return min(1.0, self.p * self.comparisons)

    @property
    def shown(self) -> bool:
        """Whether chance is an unlikely explanation: the corrected p is below `SHOWN_BELOW`."""
        return self.corrected < SHOWN_BELOW

    @property
    def confidence(self) -> float:
        """Confidence of the interval: 0.95 for one comparison; for more, as much as lets all hold at once in 95%."""
        return 1 - SHOWN_BELOW / self.comparisons

    @property
    def interval(self) -> Interval:
        """Where the true difference lies; it contains 0 if, and only if, no difference is shown."""
        low, high = self.estimate.interval(self.confidence)
        # Where the exact test alone finds no difference, 0 has to be in the interval, too.
        return Interval(low, high) if self.shown else Interval(min(low, 0.0), max(high, 0.0))

    def among(self, comparisons: int) -> Difference:
        """The same difference as one of so many comparisons."""
        return replace(self, comparisons=comparisons)

    def reversed(self) -> Difference:
        """The second side's mean less the first's."""
        estimate = replace(self.estimate, mean=-self.estimate.mean, skewness=-self.estimate.skewness)
        return replace(self, value=-self.value, estimate=estimate)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "difference": self.value,
            "interval": list(self.interval),
            "confidence": self.confidence,
            "p": self.p,
            "p_corrected": self.corrected,
            "shown": self.shown,
        }


def _shared_order(first: Sequence[int], second: Sequence[int]) -> list[int] | None:
    """The position on the second side of each seed of the first; None unless both have the same seeds."""
    return [second.index(seed) for seed in first] if sorted(first) == sorted(second) else None


def _apart(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> Estimate:
    """The difference of means over different images (Welch)."""
    first, second = Estimate.over_images(one), Estimate.over_images(other)
    variances = first.error**2, second.error**2
    error = sum(variances) ** 0.5
    if error == 0:
        return Estimate(first.mean - second.mean, 0.0, 1.0)
    doubt = sum(part**2 / side.freedom for part, side in zip(variances, (first, second), strict=True))
    return Estimate(first.mean - second.mean, error, sum(variances) ** 2 / doubt)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact p-value of McNemar's test, two-sided, above 0 and at most 1.

    If both models are equally often right, an image that only one of them gets right is as likely the first's as the
    second's. Source: McNemar, Note on the Sampling Error of the Difference Between
    Correlated Proportions or Percentages, Psychometrika 12 (1947).

    Args:
        only_first: the number of images that only the first model gets right.
        only_second: the number of images that only the second gets right.
    """
    if only_first + only_second == 0:
        return 1.0
    from scipy.special import bdtr  # `scipy.stats` would take longer to import than all the rest

    return min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def sign_flip(differences: npt.NDArray[np.integer[Any]]) -> float:
    """The exact p-value, two-sided, of a sum of differences if the sign of each is a coin toss; above 0, at most 1.

    McNemar's test for several seeds: the difference of an image counts how many more seeds of one recipe get it right.
    With one seed on each side it is McNemar's exact test. The distribution is computed, not sampled.
    Source: Fisher's randomisation test for pairs, The Design of Experiments (1935), section 21.

    Args:
        differences: whole numbers, `(images,)`.
    """
    if not differences.any():
        return 1.0
    from scipy.stats import binom

    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    total = int((sizes * counts).sum())
    # The distribution of the sum of the positive ones, 0 to total. Sums of independent numbers have the convolution of
    # their distributions, which is the product of the transforms: one factor for each size of difference.
    together = np.ones((total + 1) // 2 + 1, np.complex128)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        chances = np.zeros(total + 1)
        chances[: size * count + 1 : size] = binom.pmf(np.arange(count + 1), count, 0.5)
        together *= np.fft.rfft(chances)
    chances = np.fft.irfft(together, total + 1)
    distance = np.abs(2 * np.arange(total + 1) - total)
    # Rounding of the transform leaves about 1e-17 where there is nothing.
    return float(np.clip(chances[distance >= abs(int(differences.sum()))].sum(), 0.0, 1.0))


def _are_shares(values: npt.NDArray[Any]) -> bool:
    """Whether every value is 0 or 1, so that means are shares."""
    return bool(values.dtype == np.bool_ or ((values == 0) | (values == 1)).all())
