"""A mean with its standard error, from which p and intervals of any confidence follow, by one method.

Student's t. Where the mean is one over images, losses of few images are skewed, and t alone would call too many equals
different (measured in `docs/measurements.md`): a difference then has to hold both for t and for t corrected for the
skewness (Hall, On the Removal of Skewness by Transformation, Journal of the Royal Statistical Society B 54, 1992). The
correction alone would be too bold where tails are heavy, and t alone where they are uneven.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.spread import Interval

_DIGITS = 12  # what is left of a difference between equal columns is rounding
_SMALLEST = 1e-30  # of a tail: smaller ones are told as this
_MANY = 1e6  # degrees of freedom where the error is known, so that t is normal


@dataclass(frozen=True)
class Estimate:
    """A mean and how far it may be from the truth.

    Args:
        mean: the mean, in the unit of the values.
        error: its standard error, in the same unit, 0 or more.
        freedom: degrees of freedom of the error, above 0.
        skewness: of the mean, without a unit: the skewness of the single values, divided by the root of their number.
        parts: where the error is made up of independent ones, the variance and the degrees of freedom of each.
    """

    mean: float
    error: float
    freedom: float
    skewness: float = 0.0
    parts: tuple[tuple[float, float], ...] = ()

    @classmethod
    def over_images(cls, values: npt.NDArray[Any]) -> Estimate:
        """The mean over images, as it would vary with other images.

        Args:
            values: a number per image, `(images,)`; at least one.
        """
        single = np.round(np.asarray(values, np.float64), _DIGITS)
        count, mean = len(single), float(single.mean())
        left = single - mean
        deviation = math.sqrt(float(left @ left) / count)
        if count < 2 or deviation == 0:
            # All values are equal, so they do not tell how much others may differ. One more is taken to be as far away
            # on the other side of 0.
            return cls(mean, 0.0, 1.0) if mean == 0 else cls.with_two_more(single, abs(mean))
        skewness = float((left**3).mean()) / deviation**3 / math.sqrt(count)
        return cls(mean, deviation / math.sqrt(count - 1), count - 1, skewness)

    @classmethod
    def with_two_more(cls, values: npt.NDArray[Any], size: float = 1.0) -> Estimate:
        """The mean over images after two more, one `size` and one `-size`: sound for shares, also where few differ.

        Source: Bonett and Price, Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on
        Paired Data, Journal of Educational and Behavioral Statistics 37 (2012).

        Args:
            values: for each image how much more of one side is right, -1 to 1, `(images,)`.
            size: how far from 0 the two images are.
        """
        more = np.append(np.asarray(values, np.float64), [size, -size])
        return cls(float(more.mean()), float(more.std(ddof=1)) / math.sqrt(len(more)), len(more) - 1)

    @classmethod
    def over_seeds(cls, values: Sequence[float]) -> Estimate:
        """The mean over seeds, as it would vary with other seeds, on the same images.

        Args:
            values: a number per seed; two at least.
        """
        known = np.asarray(values, np.float64)
        deviation = float(known.std(ddof=1)) if np.ptp(known) else 0.0  # whose rounding would leave a trace
        return cls(float(known.mean()), deviation / math.sqrt(len(known)), len(known) - 1)

    @classmethod
    def over_seeds_and_images(cls, sides: Sequence[npt.NDArray[Any]], *, same_images: bool = True) -> Estimate:
        """The first side's mean (less the second's), as it would vary with other seeds and other images.

        The variance is split as in a two-way table: between seeds, between images, and their interaction. Both the
        variance of the seeds' means and that of the images' means include the interaction, so it is subtracted once
        (Owen, The Pigeonhole Bootstrap, Annals of Applied Statistics 1, 2007, bootstraps the same). Seeds are few, so
        the squares of the widths add up, each by Student's t with its own degrees of freedom: that covers at any
        confidence (Banerjee, On Confidence Interval for Two-Means Problem, Sankhya 22, 1960). One t with Welch's
        degrees of freedom does so at 95%, but not at the 99.9% that many comparisons together need (measured in
        `docs/measurements.md`).

        Args:
            sides: one or two, each a number for each seed and image, `(seeds, images)`, two seeds at least.
            same_images: whether two sides have the same images, in the same order.
        """
        tables = [np.asarray(side, np.float64) for side in sides]
        signs = (1.0, -1.0)[: len(tables)]
        value = round(float(sum(sign * table.mean() for sign, table in zip(signs, tables, strict=True))), _DIGITS)
        by_seed = [(float(table.mean(axis=1).var(ddof=1)) / len(table), len(table)) for table in tables]
        means = [sign * table.mean(axis=0) for sign, table in zip(signs, tables, strict=True)]
        over = [np.sum(means, axis=0)] if same_images else means
        by_image = [(float(mean.var(ddof=1)) / len(mean) if len(mean) > 1 else 0.0, len(mean)) for mean in over]
        images = max(sum(part for part, _ in by_image) - sum(map(_interaction, tables)), 0.0)
        of_images = sum(part for part, _ in by_image) or 1.0
        by_image = [(part / of_images * images, count) for part, count in by_image]  # what the interaction leaves
        parts = tuple((part, count - 1.0) for part, count in [*by_seed, *by_image] if count > 1)
        variance = sum(part for part, _ in parts)
        if round(variance, 2 * _DIGITS) <= 0:
            return cls(value, 0.0, 1.0)
        freedom = variance**2 / sum(part**2 / freedom for part, freedom in parts)
        return cls(value, math.sqrt(variance), freedom, 0.0, parts)

    @cached_property
    def p(self) -> float:
        """How likely so large a mean would be, in either direction, were it 0 in truth; two-sided."""
        if self.error == 0:
            return float(self.mean == 0)
        from scipy.special import stdtr

        if self.parts:
            return self._p_of_parts()
        statistic = self.mean / self.error
        smallest = min(abs(statistic), abs(_corrected(statistic, self.skewness)))
        return min(1.0, 2 * float(stdtr(self.freedom, -smallest)))

    def interval(self, confidence: float = 0.95) -> Interval:
        """Where the true mean lies with this confidence: every mean from which p would not tell it apart."""
        if self.error == 0:
            return Interval(self.mean, self.mean)
        from scipy.special import stdtrit

        if self.parts:
            half = self._half_width((1 - confidence) / 2)
            return Interval(self.mean - half, self.mean + half)
        bound = -float(stdtrit(self.freedom, (1 - confidence) / 2))
        highest = max(bound, _uncorrected(bound, self.skewness))
        lowest = min(-bound, _uncorrected(-bound, self.skewness))
        return Interval(self.mean - highest * self.error, self.mean - lowest * self.error)

    def widened(self, half: float) -> Estimate:
        """The same with a further, independent error.

        Args:
            half: half the width of the 95% interval of that error alone, 0 or more.
        """
        if half == 0:
            return self
        from scipy.special import stdtrit

        freedom = self.freedom if self.error else _MANY
        bound = -float(stdtrit(freedom, 0.025))
        error = math.hypot(self.error, half / bound)
        if self.parts:
            return replace(self, error=error, parts=(*self.parts, ((half / bound) ** 2, _MANY)))
        return Estimate(self.mean, error, freedom, self.skewness * self.error / error)

    def _half_width(self, tail: float) -> float:
        """Half the width of the interval that leaves this much on either side, where the error has parts."""
        from scipy.special import stdtrit

        return math.sqrt(sum(variance * float(stdtrit(freedom, tail)) ** 2 for variance, freedom in self.parts))

    def _p_of_parts(self) -> float:
        """The p at which the interval just reaches 0."""
        from scipy.optimize import brentq

        size = abs(self.mean)
        if size == 0:
            return 1.0
        if self._half_width(_SMALLEST) <= size:
            return 2 * _SMALLEST
        logarithm = brentq(lambda at: self._half_width(math.exp(at)) - size, math.log(_SMALLEST), math.log(0.5))
        return 2 * math.exp(float(logarithm))


def accuracy_interval(correct: npt.NDArray[np.bool_]) -> Interval:
    """The 95% interval of an accuracy: of one model on new images (Wilson), of several seeds on new images and seeds.

    For several seeds, two more images that are right and two that are wrong for every seed keep it sound where nearly
    all are right (Agresti and Coull, Approximate Is Better than "Exact", The American Statistician 52, 1998).

    Args:
        correct: whether each seed was right about each image, `(seeds, images)`.
    """
    if len(correct) == 1:
        return Interval.wilson(int(correct.sum()), correct.size)
    more = np.broadcast_to([True, True, False, False], (len(correct), 4))
    low, high = Estimate.over_seeds_and_images([np.concatenate([correct, more], axis=1)]).interval()
    return Interval(max(0.0, low), min(1.0, high))


def _interaction(table: npt.NDArray[np.float64]) -> float:
    """What the interaction of seeds and images adds to the variance of the mean over both."""
    seeds, images = table.shape
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    return float((left**2).sum() / ((seeds - 1) * max(images - 1, 1)) / table.size)


def _corrected(statistic: float, skewness: float) -> float:
    """Hall's transformation of t, which corrects it for skewness and rises with it."""
    third = skewness / 3
    return statistic + third * statistic**2 + third**2 * statistic**3 / 3 + skewness / 6


def _uncorrected(corrected: float, skewness: float) -> float:
    """The t whose transformation is this: the inverse of `_corrected`."""
    third = skewness / 3
    if abs(third) < 1e-9:
        return corrected - skewness / 6
    return (math.cbrt(1 + 3 * third * (corrected - skewness / 6)) - 1) / third
