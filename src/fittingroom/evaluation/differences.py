"""The difference between two models or recipes: its value, its interval, and whether it may be chance.

The three cannot contradict each other: p and interval come from one estimate, and both are widened for the number of
comparisons that are made together (Bonferroni), so that all the intervals of a family hold at once in 95% of cases.

Could it be chance? Exact tests of a difference between the accuracies of models on the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation import estimate as estimates
from fittingroom.evaluation.estimate import Estimate
from fittingroom.evaluation.spread import Interval

ENOUGH_SEEDS = 5
"""From so many replicas on each side a comparison speaks of recipes; with fewer, of the trained models."""

SHOWN_BELOW = 0.05


@dataclass(frozen=True)
class Difference:
    """The first side's mean less the second's.

    Args:
        value: a share for accuracies, nats for losses.
        estimate: what p and the interval follow from.
        exact: the p of an exact test beside it; a difference then has to hold for both.
        comparisons: how many are made together, 1 or more.
    """

    value: float
    estimate: Estimate
    exact: float | None = None
    comparisons: int = 1

    @property
    def p(self) -> float:
        """How likely so large a difference would be, in either direction, were there none; 0 to 1."""
        return max(self.estimate.p, self.exact or 0.0)

    @property
    def corrected(self) -> float:
        """The p for the number of comparisons (Bonferroni), at most 1."""
        return min(1.0, self.p * self.comparisons)

    @property
    def shown(self) -> bool:
        """Whether chance is an unlikely explanation: the corrected p is below 0.05."""
        return self.corrected < SHOWN_BELOW

    @property
    def confidence(self) -> float:
        """That of the interval: 0.95 for a single comparison; with more, so much that all of them hold in 95%."""
        return 1 - SHOWN_BELOW / self.comparisons

    @property
    def interval(self) -> Interval:
        """Where the true difference lies: it holds 0 if, and only if, no difference is shown."""
        low, high = self.estimate.interval(self.confidence)
        # Where the exact test alone speaks against a difference, none is among what may be true.
        return Interval(low, high) if self.shown else Interval(min(low, 0.0), max(high, 0.0))

    def among(self, comparisons: int) -> Difference:
        """The same as one of so many comparisons."""
        return replace(self, comparisons=comparisons)

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


def difference(
    first: npt.NDArray[Any], second: npt.NDArray[Any], order: Sequence[int] | None = None, *, same_images: bool = True
) -> Difference:
    """The difference of the means of a number that each seed has for each image.

    With five seeds or more on both sides it is about recipes (seeds and images may vary), else about these models.

    Args:
        first: `(seeds, images)`; bool, or numbers, finite.
        second: the same of the other side.
        order: where each seed of the first side stands on the second, to pair them; None for different seeds.
        same_images: whether both sides have the same images, in the same order.
    """
    value = float(first.mean(dtype=np.float64) - second.mean(dtype=np.float64))
    if min(len(first), len(second)) >= ENOUGH_SEEDS:
        paired = same_images and order is not None
        sides = [np.asarray(first, np.float64) - second[list(order or ())]] if paired else [first, second]
        return Difference(value, estimates.over_seeds_and_images(sides, same_images=same_images))
    one, other = (side.mean(axis=0, dtype=np.float64) for side in (first, second))
    if not same_images:
        return Difference(value, _apart(one, other))
    if _are_shares(first) and _are_shares(second):
        return Difference(value, estimates.with_two_more(one - other))
    return Difference(value, estimates.over_images(one - other))


def shared_order(first: Sequence[int], second: Sequence[int]) -> list[int] | None:
    """Where each seed of the first side stands on the second; None unless both have the same seeds."""
    return [second.index(seed) for seed in first] if sorted(first) == sorted(second) else None


def _are_shares(values: npt.NDArray[Any]) -> bool:
    """Whether each is right or wrong, so that means are shares."""
    return bool(values.dtype == np.bool_ or ((values == 0) | (values == 1)).all())


def _apart(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> Estimate:
    """The difference of means over different images (Welch)."""
    first, second = estimates.over_images(one), estimates.over_images(other)
    variances = first.error**2, second.error**2
    error = sum(variances) ** 0.5
    if error == 0:
        return Estimate(first.mean - second.mean, 0.0, 1.0)
    doubt = sum(part**2 / side.freedom for part, side in zip(variances, (first, second), strict=True))
    return Estimate(first.mean - second.mean, error, sum(variances) ** 2 / doubt)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact p-value of McNemar's test, two-sided, above 0 and at most 1.

    Under the hypothesis that two models are equally often right, an image about which one of them alone is right is as
    likely to be the first's as the second's. Source: McNemar, Note on the Sampling Error of the Difference Between
    Correlated Proportions or Percentages, Psychometrika 12 (1947).

    Args:
        only_first: images about which only the first model is right.
        only_second: images about which only the second is.
    """
    if only_first + only_second == 0:
        return 1.0
    from scipy.special import bdtr  # `scipy.stats` would take longer to import than all the rest

    return min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def sign_flip(differences: npt.NDArray[np.integer[Any]]) -> float:
    """The p-value of a sum of differences, two-sided, when the sign of each is a coin's toss.

    McNemar's test for several replicas: the difference of an image counts how many more replicas of one recipe are
    right about it. With one replica on each side it is McNemar's exact test. The distribution is computed, not sampled.
    Source: Fisher's randomisation test for pairs, The Design of Experiments (1935), section 21.

    Args:
        differences: whole numbers, one per image.
    """
    if not differences.any():
        return 1.0
    from scipy.stats import binom

    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    total = int((sizes * counts).sum())
    # The chances that those on the positive side add up to 0, 1, ..., total: of each size by itself, then all together.
    together = np.ones((total + 1) // 2 + 1, np.complex128)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        chances = np.zeros(total + 1)
        chances[: size * count + 1 : size] = binom.pmf(np.arange(count + 1), count, 0.5)
        together *= np.fft.rfft(chances)
    chances = np.fft.irfft(together, total + 1)
    distance = np.abs(2 * np.arange(total + 1) - total)
    # Rounding of the transform leaves about 1e-17 where there is nothing.
    return float(np.clip(chances[distance >= abs(int(differences.sum()))].sum(), 0.0, 1.0))
