"""How much of a test score may be luck, when it is the best of several looks at one test set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fittingroom.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

WORLD = "images unlike these are a larger danger than reuse"
"""What a count of looks must not make forgotten (Recht et al., arXiv 1902.10811)."""


@dataclass(frozen=True)
class Reuse:
    """How much a test set has been used.

    Args:
        looks: the looks at it so far, 1 or more.
        correlation: how much the runs that looked are right and wrong about the same images, 0 to 1; None where that
            cannot be told, and independence is assumed, which gives the most luck.
        mean: the mean accuracy of the looks whose scores are known, 0 to 1; None where none is.
    """

    looks: int
    correlation: float | None = None
    mean: float | None = None

    def luck(self, accuracy: float, images: int) -> float:
        """What the best of the looks is worth by luck alone, as a share of the images.

        It rests on the mean of all looks: a score that luck brought near 100% would leave no room for luck.

        Args:
            accuracy: that of the look that is asked about, 0 to 1. Where no mean is known, it is taken for the best,
                and the mean for what leaves it as far ahead as the best of so many is on average.
            images: the number of test images.
        """
        correlation = self.correlation or 0.0
        mean = _mean_below(accuracy, images, self.looks, correlation) if self.mean is None else self.mean
        return expected_luck(mean, images, self.looks, correlation)

    def sentence(self, accuracy: float, images: int) -> str:
        """`best of 3 looks is worth about +0.2 points of luck`, and what that rests on."""
        if self.looks == 1:
            return "a first look has no luck of choosing in it"
        worth = points(self.luck(accuracy, images))
        if self.correlation is None:
            return f"best of {self.looks} looks is worth at most about {worth} points of luck (independence assumed)"
        return f"best of {self.looks} looks is worth about {worth} points of luck (correlation {self.correlation:.2f})"


def points(share: float) -> str:
    """A share as percentage points: `+0.2`, with a digit more below a tenth."""
    return f"{100 * share:+.1f}" if share >= 0.001 or share == 0 else f"{100 * share:+.2f}"


def look_of(look: int | None, looks: int) -> str:
    """`3`, or `3 of 7` if others came after it; `-` for a look that the ledger does not have."""
    if look is None:
        return "-"
    return str(look) if look == looks else f"{look} of {looks}"


def expected_luck(accuracy: float, images: int, looks: int, correlation: float = 0.0) -> float:
    """By how much the best score of equally good models exceeds their true accuracy, on average, as a share.

    The scores are taken as normal with the accuracy's standard error, each pair with the same correlation: 20 looks at
    90% on 10,000 images are worth 0.0056 if they are independent, and 0.0031 at a correlation of 0.7. No score exceeds
    1, and the luck not what is left to it.

    Args:
        accuracy: the true one of each, 0 to 1; the mean of their scores is the best guess of it.
        images: the number of test images.
        looks: the number of models, 1 or more.
        correlation: 0 to 1, of being right about an image between two of the models.

    Raises:
        InputError: an argument is out of its range.
    """
    if not 0 <= accuracy <= 1 or images < 1 or not 0 <= correlation <= 1:
        raise InputError(
            f"accuracy {accuracy}, {images} images, correlation {correlation}: expected 0 to 1, 1 or more, 0 to 1."
        )
    error = math.sqrt(accuracy * (1 - accuracy) / images)
    return min(error * math.sqrt(1 - correlation) * expected_maximum(looks), 1 - accuracy)


def _mean_below(best: float, images: int, looks: int, correlation: float) -> float:
    """The true accuracy from which the best of so many looks is this one on average.

    `best - m` equals `c * sqrt(m * (1 - m))`, with c the expected maximum over the root of the images: a quadratic
    equation in m, whose smaller root is below the best.
    """
    square = (1 - correlation) * expected_maximum(looks) ** 2 / images
    half = best + square / 2
    return max(0.0, (half - math.sqrt(max(half**2 - (1 + square) * best**2, 0.0))) / (1 + square))


def expected_maximum(count: int) -> float:
    """The expected maximum of independent standard normals.

    The integral of 1 - F(x)^n - F(-x)^n over x > 0, where F is the normal distribution, by the trapezoid rule with
    steps of 0.01: right to six digits up to a million. (`scipy.stats` would take longer to import than all the rest.)

    Args:
        count: how many, 1 or more.

    Raises:
        InputError: the count is below 1.
    """
    if count < 1:
        raise InputError(f"{count} looks: expected 1 or more.")
    if count == 1:
        return 0.0  # where rounding would leave a trace
    step = 0.01

    def integrand(x: float) -> float:
        above = math.erfc(x / math.sqrt(2)) / 2
        return -math.expm1(count * math.log1p(-above)) - above**count

    return step * (integrand(0.0) / 2 + math.fsum(integrand(step * index) for index in range(1, 1000)))


def mean_correlation(correct: Sequence[npt.ArrayLike]) -> float | None:
    """How much models are right and wrong about the same images: the mean correlation over all pairs, 0 to 1.

    Args:
        correct: for each model whether it was right, bool `(images,)`, the same images for all.

    Returns:
        None if fewer than two of them are sometimes right and sometimes wrong. A mean below 0 is given as 0.
    """
    import numpy as np

    rows: npt.NDArray[Any] = np.asarray(correct, np.float64)
    rows = rows[rows.std(axis=1) > 0] if rows.ndim == 2 else rows[:0]
    if len(rows) < 2:
        return None
    pairs = np.corrcoef(rows)[np.triu_indices(len(rows), k=1)]
    return float(np.clip(pairs.mean(), 0, 1))
