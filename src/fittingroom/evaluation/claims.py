"""What a claim about recipes comes to: an effect with its 95% interval, and a verdict.

The interval and its p are adjusted for the number of claims that are judged together. "The same" is judged by its
interval: a difference that is not shown is no proof of sameness (Schuirmann, A Comparison of the Two One-Sided Tests
Procedure, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.differences import Difference, difference, shared_order
from fittingroom.evaluation.estimate import over_seeds

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
    order = shared_order(first.seeds, second.seeds)
    return difference(first.values, second.values, order, same_images=same_images)


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
    differences = np.round(one - other, _DIGITS)
    if len(differences) < 2:
        return None
    return Difference(float(differences.mean()), over_seeds(differences.tolist()))
