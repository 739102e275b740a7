"""What a claim about recipes comes to: an effect with its 95% interval, and a verdict.

The verdict rests on p after Holm's correction for the number of claims that are judged together. "The same" is judged
by its interval: a difference that is not shown is no proof of sameness (Schuirmann, A Comparison of the Two One-Sided
Tests Procedure, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.differences import ENOUGH_SEEDS, Difference, over_images, over_recipes, shared_order
from fittingroom.evaluation.intervals import Interval
from fittingroom.evaluation.resampling import resampled_means
from fittingroom.evaluation.spread import Spread

Expected = Literal["higher", "lower", "same"]
Verdict = Literal["supported", "not supported", "no difference shown"]

_DIGITS = 12  # what is left of a difference between equal numbers is rounding


def verdict(effect: Difference, expected: Expected, within: float = 0.0) -> Verdict:
    """Whether an effect supports a claim.

    Args:
        effect: the first side's number less the second's, with p corrected.
        expected: what is claimed of the first.
        within: for `same`, how large a difference still counts as none.

    Returns:
        For `higher` and `lower`: "supported" if the difference is shown and has the claimed sign, "not supported" if it
        has the other one, else "no difference shown". For `same`: "supported" if the whole interval is at most `within`
        away from 0, "not supported" if a difference is shown, else "no difference shown", though it may be there.
    """
    if expected == "same":
        low, high = effect.interval
        if -within <= low and high <= within:
            return "supported"
        return "not supported" if effect.shown else "no difference shown"
    if not effect.shown:
        return "no difference shown"
    return "supported" if (effect.value > 0) == (expected == "higher") else "not supported"


@dataclass(frozen=True, eq=False)
class Side:
    """One side of an effect.

    Args:
        values: a number for each replica and image, `(replicas, images)`.
        seeds: of the replicas.
    """

    values: npt.NDArray[Any]
    seeds: tuple[int, ...]


def effect_on_images(first: Side, second: Side, *, same_images: bool = True) -> Difference:
    """The difference of the means of a number that each replica has for each image.

    With five replicas or more on both sides it is about recipes (seeds and images may vary), else about these models.
    It is paired by image, and by seed where both sides have the same seeds.

    Args:
        first: one side.
        second: the other one.
        same_images: whether both sides have the same images, in the same order.
    """
    if same_images:
        both = resampled_means(np.concatenate([first.values, second.values]))
        drawn = both[:, : len(first.values)], both[:, len(first.values) :]
    else:
        drawn = resampled_means(first.values), resampled_means(second.values, seed=1)
    if min(len(first.values), len(second.values)) >= ENOUGH_SEEDS:
        order = shared_order(first.seeds, second.seeds) if same_images else None
        return over_recipes((first.values, drawn[0]), (second.values, drawn[1]), order)
    value = float(first.values.mean(dtype=np.float64) - second.values.mean(dtype=np.float64))
    return over_images(value, drawn[0].mean(axis=1) - drawn[1].mean(axis=1))


def effect_against_number(side: Side, number: float) -> Difference:
    """The difference between the mean of a number that each replica has for each image, and a fixed one."""
    return effect_on_images(side, Side(np.full_like(side.values, number, np.float64), side.seeds))


def effect_on_seeds(first: Sequence[float], second: Sequence[float], *, ratio: bool = False) -> Difference | None:
    """The mean difference of a number that each replica has, paired by seed: Student's t.

    Args:
        first: a number per seed.
        second: of the same seeds, in the same order.
        ratio: whether the numbers, all above 0, are compared by their logarithms: value and interval are then natural
            logarithms of factors.

    Returns:
        The difference; None for a single seed, which says nothing of how much seeds vary.
    """
    one, other = (np.log(values) if ratio else np.asarray(values, np.float64) for values in (first, second))
    return _t_test([float(value) for value in np.round(one - other, _DIGITS)])


def _t_test(differences: Sequence[float]) -> Difference | None:
    from scipy.special import stdtr

    spread = Spread.of(differences)
    if spread.interval is None or spread.deviation is None:
        return None
    if spread.deviation == 0:
        p = float(spread.mean == 0)
        return Difference(spread.mean, Interval(spread.mean, spread.mean), p, p)
    count = len(differences)
    statistic = abs(spread.mean) / (spread.deviation / math.sqrt(count))
    p = 2 * float(stdtr(count - 1, -statistic))
    return Difference(spread.mean, spread.interval, p, p)
