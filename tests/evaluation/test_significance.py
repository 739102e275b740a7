from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from fittingroom.evaluation.differences import mcnemar, sign_flip

counts = st.integers(0, 3000)


@given(counts, counts)
def test_mcnemar_is_the_binomial_test_of_the_discordant_images(only_first: int, only_second: int) -> None:
    expected = binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1.0
    assert mcnemar(only_first, only_second) == pytest.approx(expected)
    assert mcnemar(only_first, only_second) == pytest.approx(mcnemar(only_second, only_first))


def test_mcnemar_of_the_design_proves_nothing() -> None:
    assert round(mcnemar(272, 228), 3) == 0.054
    assert mcnemar(0, 0) == 1
    assert mcnemar(6, 0) == pytest.approx(2 / 64)


@given(counts, counts, st.integers(1, 4))
def test_sign_flips_of_equal_differences_are_mcnemar(only_first: int, only_second: int, size: int) -> None:
    differences = np.repeat([size, -size, 0], [only_first, only_second, 7])
    assert sign_flip(differences) == pytest.approx(mcnemar(only_first, only_second), abs=1e-10)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=10))
def test_sign_flips_are_counted_over_all_signs(differences: list[int]) -> None:
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product([1, -1], repeat=len(differences))
    ]
    expected = np.mean([abs(one) >= abs(sum(differences)) for one in sums])
    assert sign_flip(np.array(differences)) == pytest.approx(expected, abs=1e-12)
