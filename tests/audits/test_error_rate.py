"""The interval of the error rate, against exact cases and simulations in which people stop whenever they like."""

from __future__ import annotations

import numpy as np
import pytest

from fittingroom.audits.error_rate import Decision, ErrorRate, ReviewPlan
from fittingroom.errors import InputError


def _decided(plan: ReviewPlan, wrong: np.ndarray, count: int) -> dict[int, Decision]:
    return {index: "wrong" if wrong[index] else "right" for index in plan.order[:count]}


def test_nothing_reviewed_says_nothing() -> None:
    rate = ErrorRate.of(ReviewPlan.of(np.array([0.9, 0.1, 0.0])), {})
    assert rate.interval == (0, 1)
    assert rate.sentence == "No image was reviewed yet, so the true error rate is not known."


def test_everything_reviewed_is_exact() -> None:
    probabilities = np.linspace(0, 1, 60)
    wrong = np.random.default_rng(0).random(60) < probabilities
    plan = ReviewPlan.of(probabilities)
    rate = ErrorRate.of(plan, _decided(plan, wrong, 60))
    assert rate.estimate == pytest.approx(wrong.mean())
    assert rate.interval == pytest.approx((wrong.mean(), wrong.mean()))


def test_images_left_open_are_right_below_and_wrong_above() -> None:
    plan = ReviewPlan.of(np.linspace(0, 1, 50))
    decisions: dict[int, Decision] = {index: "skipped" if index < 5 else "right" for index in plan.order}
    rate = ErrorRate.of(plan, decisions)
    assert rate.interval == pytest.approx((0, 0.1))
    assert rate.skipped == 5
    assert "5 left open" in rate.sentence


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_interval_holds_at_all_times_together(*, calibrated: bool) -> None:
    missed, trials = 0, 150
    for seed in range(trials):
        draw = np.random.default_rng([seed, calibrated])
        said = draw.beta(0.1, 1.5, 400)
        truth = said if calibrated else np.clip(0.02 + 0.6 * draw.permutation(said), 0, 1)
        wrong = draw.random(400) < truth
        plan = ReviewPlan.of(said, seed=seed)
        intervals = [ErrorRate.of(plan, _decided(plan, wrong, count)).interval for count in range(4, 201, 14)]
        missed += not all(low - 1e-9 <= wrong.mean() <= high + 1e-9 for low, high in intervals)
    assert missed / trials <= 0.05


def test_images_that_were_picked_do_not_count() -> None:
    plan = ReviewPlan.of(np.full(100, 0.01))
    picked: dict[int, Decision] = {plan.order[place]: "wrong" for place in (3, 7, 20)}
    assert ErrorRate.of(plan, picked).reviewed == 0
    assert ErrorRate.of(plan, picked | {plan.order[0]: "right"}).reviewed == 1


def test_suspicious_images_come_first_and_the_others_are_not_forgotten() -> None:
    probabilities = np.concatenate([np.full(1000, 0.001), np.full(60, 0.9)])
    plan = ReviewPlan.of(probabilities, most=40)
    shown = probabilities[list(plan.order)]
    assert len(set(plan.order)) == 40
    assert (shown == 0.9).sum() == 30
    assert (shown[3::4] == 0.001).all()


def test_a_plan_survives_json() -> None:
    plan = ReviewPlan.of(np.random.default_rng(1).random(30), seed=3, most=12)
    stored = ReviewPlan.from_dict(plan.to_dict())
    assert stored.to_dict() == plan.to_dict()


def test_calibrated_probabilities_make_it_narrow() -> None:
    probabilities = np.concatenate([np.full(2000, 0.001), np.full(50, 0.9)])
    wrong = np.concatenate([np.zeros(2000, bool), np.ones(50, bool)])
    plan = ReviewPlan.of(probabilities, most=250)
    low, high = ErrorRate.of(plan, _decided(plan, wrong, 250)).interval
    assert low == pytest.approx(50 / 2050)
    assert high < 0.05


def test_probabilities_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="numbers from 0 to 1"):
        ReviewPlan.of(np.array([0.5, 1.2]))
