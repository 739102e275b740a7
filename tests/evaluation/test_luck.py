from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from fittingroom.errors import InputError
from fittingroom.evaluation.luck import Reuse, expected_maximum, mean_correlation


def expected_luck(accuracy: float, images: int, looks: int, correlation: float = 0.0) -> float:
    """The luck of looks with a known mean accuracy."""
    return Reuse(looks, correlation, accuracy).luck(accuracy, images)


CLOSED_FORMS = {1: 0.0, 2: 1 / math.sqrt(math.pi), 3: 1.5 / math.sqrt(math.pi)}


@pytest.mark.parametrize(("count", "expected"), CLOSED_FORMS.items())
def test_the_expected_maximum_of_one_two_and_three_is_the_closed_form(count: int, expected: float) -> None:
    assert expected_maximum(count) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("count", [4, 20, 1000, 10**6])
def test_the_expected_maximum_is_the_integral_over_its_density(count: int) -> None:
    expected, _ = quad(lambda x: x * count * norm.pdf(x) * norm.cdf(x) ** (count - 1), -12, 12, limit=500, points=[4])
    assert expected_maximum(count) == pytest.approx(expected, abs=1e-6)


def test_luck_of_twenty_looks_is_what_the_design_says() -> None:
    assert round(100 * expected_luck(0.9, 10_000, 20), 2) == 0.56
    assert round(100 * expected_luck(0.9, 10_000, 20, 0.7), 2) == 0.31


def test_simulated_twins_are_as_lucky_as_expected() -> None:
    generator = np.random.default_rng(0)
    shared, own, rho = generator.standard_normal((20_000, 1)), generator.standard_normal((20_000, 5)), 0.6
    best = (math.sqrt(rho) * shared + math.sqrt(1 - rho) * own).max(axis=1).mean()
    assert expected_luck(0.8, 400, 5, rho) == pytest.approx(best * math.sqrt(0.16 / 400), rel=0.03)


@pytest.mark.parametrize(
    ("looks", "images", "accuracy"), [(20, 50, 0.99), (20, 100, 0.98), (20, 360, 0.99), (50, 100, 0.97)]
)
def test_near_100_percent_luck_comes_from_the_mean_of_the_looks(looks: int, images: int, accuracy: float) -> None:
    """The luckiest of equals often has 100%, which from itself alone would seem to be no luck at all."""
    scores = np.random.default_rng(1).binomial(images, accuracy, size=(300, looks)) / images
    lead = scores.max(axis=1).mean() - accuracy
    reported = [Reuse(looks, None, float(each.mean())).luck(float(each.max()), images) for each in scores]
    assert np.mean(reported) == pytest.approx(lead, rel=0.25)
    assert Reuse(looks, None, accuracy).luck(1.0, images) > 0.7 * lead


@given(st.floats(0.01, 1), st.integers(1, 10**6), st.integers(1, 1000), st.floats(0, 1))
def test_without_other_scores_the_best_is_taken_to_be_as_lucky_as_the_best_is_on_average(
    best: float, images: int, looks: int, correlation: float
) -> None:
    luck = Reuse(looks, correlation).luck(best, images)
    assert 0 <= luck <= best
    assert expected_luck(best - luck, images, looks, correlation) == pytest.approx(luck, abs=1e-6)


@given(st.floats(0, 1), st.integers(1, 10**6), st.integers(1, 1000), st.floats(0, 1))
def test_more_looks_are_never_less_luck_and_likeness_never_more(
    accuracy: float, images: int, looks: int, correlation: float
) -> None:
    luck = expected_luck(accuracy, images, looks, correlation)
    assert 0 <= luck <= expected_luck(accuracy, images, looks)
    assert luck <= expected_luck(accuracy, images, looks + 1, correlation)


def test_one_look_twins_and_a_sure_score_have_no_luck() -> None:
    assert expected_luck(0.9, 100, 1) == 0
    assert expected_luck(0.9, 100, 50, 1.0) == 0
    assert expected_luck(1.0, 100, 50) == 0


@pytest.mark.parametrize(("accuracy", "images", "looks", "rho"), [(1.1, 9, 2, 0), (0.5, 0, 2, 0), (0.5, 9, 2, -0.1)])
def test_what_is_no_accuracy_or_correlation_is_refused(accuracy: float, images: int, looks: int, rho: float) -> None:
    with pytest.raises(InputError, match=r"expected an accuracy and a correlation of 0 to 1, and 1 image or more"):
        expected_luck(accuracy, images, looks, rho)
    with pytest.raises(InputError, match=r"0 looks: expected 1 or more"):
        expected_luck(0.5, 9, 0)


def test_correlation_is_the_mean_over_pairs() -> None:
    generator = np.random.default_rng(1)
    rows = generator.random((4, 500)) < generator.random(500)
    pairs = [np.corrcoef(rows[i], rows[j])[0, 1] for i in range(4) for j in range(i)]
    assert mean_correlation(list(rows)) == pytest.approx(np.mean(pairs))


def test_equal_models_correlate_fully_and_opposite_ones_count_as_independent() -> None:
    right = np.array([True, False, True, True])
    assert mean_correlation([right, right]) == pytest.approx(1)
    assert mean_correlation([right, ~right]) == 0


@pytest.mark.parametrize("rows", [[], [[True, False]], [[True, True], [True, False]]])
def test_correlation_of_fewer_than_two_models_that_vary_is_unknown(rows: list[list[bool]]) -> None:
    assert mean_correlation(rows) is None


def test_the_sentence_says_what_the_luck_rests_on() -> None:
    assert Reuse(1).sentence(0.9, 10_000) == "first evaluation on this test set, so no selection bias"
    independent = "best of 3 looks: at most about +0.3 points are luck (models taken as independent)"
    assert Reuse(3).sentence(0.9, 10_000) == independent
    alike = "best of 20 looks: about +0.3 points are luck (models correlated 0.70)"
    assert Reuse(20, 0.7).sentence(0.9, 10_000) == alike


def test_from_the_second_look_on_the_larger_danger_is_named() -> None:
    assert Reuse(1).caution(0.9, 100) == Reuse(1).sentence(0.9, 100)
    assert Reuse(2).caution(0.9, 100).endswith("; images from another source usually cost more accuracy than that")


def test_the_short_form_of_a_look() -> None:
    assert [Reuse(3).place(3), Reuse(7).place(3), Reuse(7).place(None)] == ["3", "3 of 7", "-"]
