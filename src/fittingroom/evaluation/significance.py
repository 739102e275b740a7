"""Could it be chance? Exact tests of a difference between the accuracies of models on the same images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


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
