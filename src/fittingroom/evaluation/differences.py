"""The difference between two recipes on the same images: its value, its 95% interval, and whether it may be chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.intervals import Interval
from fittingroom.evaluation.resampling import Floats, resampled_seeds

ENOUGH_SEEDS = 5
"""From so many replicas on each side a comparison speaks of recipes; with fewer, of the trained models."""

SHOWN_BELOW = 0.05

_DIGITS = 12  # what is left of a difference between equal columns, after products of matrices, is rounding


@dataclass(frozen=True)
class Difference:
    """The first side's mean less the second's.

    Args:
        value: a share for accuracies, nats for losses.
        interval: its 95% interval.
        p: how likely so large a difference would be, in either direction, were there none; 0 to 1.
        corrected: p after Holm's correction for the number of pairs.
    """

    value: float
    interval: Interval
    p: float
    corrected: float

    @property
    def shown(self) -> bool:
        """Whether chance is an unlikely explanation: the corrected p is below 0.05."""
        return self.corrected < SHOWN_BELOW

    def with_corrected(self, corrected: float) -> Difference:
        """The same with another corrected p."""
        return replace(self, corrected=corrected)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "difference": self.value,
            "interval": list(self.interval),
            "p": self.p,
            "p_corrected": self.corrected,
            "shown": self.shown,
        }


def over_images(value: float, resampled: Floats, p: float | None = None) -> Difference:
    """A difference between trained models, as it would vary with other images.

    The interval is the bootstrap's percentile interval. Source: Efron and Tibshirani, An Introduction to the Bootstrap
    (1993), chapters 13 and 15.

    Args:
        value: the difference on the images there are.
        resampled: the same on resampled images, `(resamples,)`.
        p: from a test of its own; None for the share of resamples on the other side of 0, doubled.
    """
    resampled = np.round(resampled, _DIGITS)
    low, high = np.quantile(resampled, [0.025, 0.975])
    if p is None:
        beyond = min(int((resampled <= 0).sum()), int((resampled >= 0).sum()))
        p = min(1.0, 2 * (beyond + 1) / (len(resampled) + 1))
    return Difference(value, Interval(float(low), float(high)), p, p)


def shared_order(first: Sequence[int], second: Sequence[int]) -> list[int] | None:
    """Where each seed of the first side stands on the second; None unless both have the same seeds."""
    return [second.index(seed) for seed in first] if sorted(first) == sorted(second) else None


def over_recipes(
    first: tuple[npt.NDArray[Any], Floats], second: tuple[npt.NDArray[Any], Floats], order: Sequence[int] | None
) -> Difference:
    """A difference between recipes, paired by seed where both were trained with the same seeds.

    Args:
        first: a number for each replica and image, `(replicas, images)`, and its means over resampled images,
            `(resamples, replicas)`.
        second: the same of the second recipe, for the same images and resamples.
        order: what `shared_order` says of their seeds.
    """
    if order is None:
        return over_seeds_and_images(first[0], second[0], first[1], second[1])
    values = first[0].astype(np.float64) - second[0][order]
    return over_paired_seeds_and_images(values, first[1] - second[1][:, order])


def over_seeds_and_images(
    first: npt.NDArray[Any], second: npt.NDArray[Any], first_resampled: Floats, second_resampled: Floats
) -> Difference:
    """A difference between recipes that were trained with different seeds, as it would vary with others and images.

    Args:
        first: a number for each replica and image of the first recipe, `(replicas, images)`, two replicas at least.
        second: the same of the second recipe, for the same images.
        first_resampled: the means of each replica of the first recipe over resampled images, `(resamples, replicas)`.
        second_resampled: the same of the second recipe, over the same resampled images.
    """
    value = float(first.mean(dtype=np.float64) - second.mean(dtype=np.float64))
    drawn = resampled_seeds(first_resampled, 0) - resampled_seeds(second_resampled, 1)
    return _of_drawn(value, drawn, first, second)


def over_paired_seeds_and_images(differences: npt.NDArray[Any], resampled: Floats) -> Difference:
    """A difference that is known for each seed and image, as it would vary with other seeds and images.

    Two recipes that were trained with the same seeds have the same shuffles, and an unlucky one is often unlucky for
    both; what they have in common does not count here.

    Args:
        differences: `(seeds, images)`, two seeds at least.
        resampled: their means for each seed over resampled images, `(resamples, seeds)`.
    """
    return _of_drawn(float(differences.mean(dtype=np.float64)), resampled_seeds(resampled, 0), differences)


def _of_drawn(value: float, drawn: Floats, *sides: npt.NDArray[Any]) -> Difference:
    """The difference with its interval from what a bootstrap over seeds and images made of it.

    The standard error is that of a bootstrap that draws images and, independently, replicas. It counts three times
    what is peculiar to one replica on one image (Owen, The Pigeonhole Bootstrap, Annals of Applied Statistics 1, 2007),
    so two of the three are taken off; they are estimated from what neither the replica nor the image explains. Seeds
    are few, so the interval and p are those of Student's t with Welch's degrees of freedom (Biometrika 34, 1947).

    Args:
        value: the difference on the images there are.
        drawn: the same on resampled images and seeds, `(resamples,)`.
        sides: what it is made of, each `(replicas, images)` and with replicas of its own.
    """
    from scipy.special import stdtr, stdtrit

    value, drawn = round(value, _DIGITS), np.round(drawn, _DIGITS)
    counted = float(drawn.var())
    # Were all of it peculiar to replicas on images, a third would be left.
    variance = max(counted - 2 * sum(map(_peculiar, sides)), counted / 3)
    if variance <= 0:
        return Difference(value, Interval(value, value), float(value == 0), float(value == 0))
    freedom = _freedom(variance, *sides)
    error = math.sqrt(variance)
    half = float(stdtrit(freedom, 0.975)) * error
    p = 2 * float(stdtr(freedom, -abs(value) / error))
    return Difference(value, Interval(value - half, value + half), p, p)


def _peculiar(values: npt.NDArray[Any]) -> float:
    """What is peculiar to a replica on an image: its share of the variance of the mean over both."""
    values = values.astype(np.float64)
    replicas, images = values.shape
    left = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float((left**2).sum() / ((replicas - 1) * max(images - 1, 1)) / values.size)


def _freedom(variance: float, *sides: npt.NDArray[Any]) -> float:
    """Welch's degrees of freedom; images are so many that they add nothing to the doubt about the variance."""
    of_seeds = [float(side.mean(axis=1).var(ddof=1)) / len(side) for side in sides]
    doubt = sum(part**2 / (len(side) - 1) for part, side in zip(of_seeds, sides, strict=True))
    fewest = min(len(side) for side in sides) - 1
    return max(fewest, variance**2 / doubt) if doubt else 1e6
