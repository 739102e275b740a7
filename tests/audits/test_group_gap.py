"""The gap between a group and comparable images, against SciPy, exact cases and simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from fittingroom.audits.group_gap import GroupGap


def _gap(wrong: np.ndarray, member: np.ndarray, strata: np.ndarray | None = None, seeds: int = 1) -> GroupGap:
    strata = np.zeros(len(wrong), np.int64) if strata is None else strata
    gap = GroupGap.of(wrong.astype(np.int64), seeds, member.astype(bool), strata)
    assert gap is not None
    return gap


def test_one_stratum_is_fishers_exact_test() -> None:
    wrong = np.repeat([1, 0, 1, 0], [9, 31, 20, 240])
    member = np.repeat([1, 1, 0, 0], [9, 31, 20, 240])
    gap = _gap(wrong, member)
    assert gap.p == pytest.approx(fisher_exact([[9, 31], [20, 240]], alternative="greater").pvalue)
    assert (gap.accuracy, gap.elsewhere) == pytest.approx((31 / 40, 240 / 260))
    assert gap.excess == pytest.approx(9 - 40 * 20 / 260)


def test_several_seeds_that_agree_are_one_seed() -> None:
    draw = np.random.default_rng(0)
    wrong, member, strata = draw.random(400) < 0.2, draw.random(400) < 0.2, draw.integers(0, 4, 400)
    one, three = _gap(wrong, member, strata), _gap(3 * wrong, member, strata, seeds=3)
    assert three.p == pytest.approx(one.p, abs=0.02)
    assert three.value == pytest.approx(one.value)
    assert three.interval == pytest.approx(one.interval)


def test_a_group_is_not_worse_for_having_more_of_a_difficult_class() -> None:
    strata = np.repeat([0, 1], 500)
    wrong = np.where(strata == 0, np.arange(1000) % 2, 0)  # half of the first class, none of the second
    member = np.where(strata == 0, np.arange(1000) % 10 < 8, np.arange(1000) % 10 == 0)
    gap = _gap(wrong, member, strata)
    assert gap.value == pytest.approx(0)
    assert not gap.shown
    assert _gap(wrong, member).shown


def test_a_group_without_anything_to_compare_with_has_no_gap() -> None:
    member = np.array([True, True, False])
    assert GroupGap.of(np.array([1, 0, 0]), 1, member, np.array([0, 0, 1])) is None


def test_the_interval_holds_the_truth_and_agrees_with_the_test() -> None:
    held = 0
    for seed in range(300):
        draw = np.random.default_rng([5, seed])
        strata, member = draw.integers(0, 3, 900), draw.random(900) < 0.1
        wrong = draw.random(900) < np.array([0.02, 0.1, 0.3])[strata] + 0.1 * member
        gap = _gap(wrong, member, strata)
        held += gap.interval.low <= -0.1 <= gap.interval.high
        assert gap.shown == (not gap.interval.low <= 0 <= gap.interval.high)
    assert held / 300 >= 0.93


def test_more_comparisons_make_it_wider() -> None:
    draw = np.random.default_rng(1)
    gap = _gap(draw.random(300) < 0.2, draw.random(300) < 0.3)
    wide = gap.among(20)
    assert wide.corrected == min(1, 20 * gap.p)
    assert wide.interval.low < gap.interval.low
    assert wide.to_dict()["confidence"] == pytest.approx(1 - 0.05 / 20)
