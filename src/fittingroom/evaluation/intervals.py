"""Confidence intervals of proportions."""

from __future__ import annotations

from typing import NamedTuple

from fittingroom.errors import InputError


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
