"""Prediction sets hold the true class as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.answers.recalibration import Conformal, conformal_quantile
from fittingroom.errors import InputError

SCORES = st.lists(st.floats(0, 100), max_size=60).map(sorted)
ALPHAS = st.integers(1, 999).map(lambda thousandths: thousandths / 1000)


def counted(scores: list[float], thousandths: int) -> float:
    """The same quantile from its definition in whole numbers: the smallest score with enough scores at or below it."""
    needed = (len(scores) + 1) * (1000 - thousandths)
    return next((score for score in scores if 1000 * sum(other <= score for other in scores) >= needed), math.inf)


@given(SCORES, st.integers(1, 999))
def test_quantile_is_the_one_that_counting_gives(scores: list[float], thousandths: int) -> None:
    assert conformal_quantile(np.array(scores), thousandths / 1000) == counted(scores, thousandths)


@given(SCORES, ALPHAS, ALPHAS)
def test_a_smaller_alpha_never_gives_a_smaller_quantile(scores: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert conformal_quantile(np.array(scores), low) >= conformal_quantile(np.array(scores), high)


@pytest.mark.parametrize(("count", "alpha", "rank"), [(9, 0.1, 9), (9, 0.7, 3), (99, 0.1, 90), (100, 0.1, 91)])
def test_quantile_is_the_ceil_n_plus_1_times_1_minus_alpha_th_smallest(count: int, alpha: float, rank: int) -> None:
    assert conformal_quantile(np.arange(1.0, count + 1), alpha) == rank


def test_too_few_scores_leave_every_class_in_the_set() -> None:
    assert conformal_quantile(np.arange(8.0), 0.1) == math.inf
    assert Conformal(np.zeros(0, np.float32)).sets(np.log(np.full((2, 5), 0.2))).all()


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 10, math.nan])
def test_an_alpha_that_is_no_share_is_refused(alpha: float) -> None:
    with pytest.raises(InputError, match=f"alpha is {alpha}: expected a share above 0 and below 1"):
        conformal_quantile(np.arange(100.0), alpha)


def drawn(generator: np.random.Generator, count: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of probabilities of a model that is too sure, and labels."""
    logits = generator.normal(size=(count, 10)) * 2
    chances = np.exp(logits)
    labels = (chances.cumsum(axis=1) > generator.random((count, 1)) * chances.sum(axis=1, keepdims=True)).argmax(axis=1)
    logits = logits * sharpness
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("alpha", [0.1, 0.3])
def test_coverage_is_what_was_asked_for_whatever_the_model_is_worth(alpha: float, sharpness: float) -> None:
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        logs, labels = drawn(generator, 1000, sharpness)
        sets = Conformal.of(logs[:500], labels[:500]).sets(logs[500:], alpha)
        covered.append(sets[np.arange(500), labels[500:]].mean())
    # The spread of one is 0.019 at alpha = 0.1, so that of the mean is 0.0025.
    assert abs(np.mean(covered) - (1 - alpha)) < 0.01


def test_sets_are_those_of_least_ambiguous_classifiers() -> None:
    logs, labels = drawn(np.random.default_rng(1), 800, 1.0)
    probabilities = np.exp(logs)
    scores = sorted(1 - probabilities[image, labels[image]] for image in range(500))
    largest = scores[math.ceil(501 * 0.9) - 1]
    np.testing.assert_array_equal(
        Conformal.of(logs[:500], labels[:500]).sets(logs[500:]), 1 - probabilities[500:] <= largest + 1e-12
    )
