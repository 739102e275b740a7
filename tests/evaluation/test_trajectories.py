from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from fittingroom.errors import InputError
from fittingroom.evaluation.spread import Interval
from fittingroom.evaluation.trajectories import Trajectories, _first_half
from tests.evaluation.examples import any_trajectories, of_right, trajectories_of

GOOD = trajectories_of(np.zeros((2, 3, 4)), [0, 1, 2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": (2, 1)}, r"epochs \[2, 1\]: expected rising"),
        ({"epochs": (1,)}, r"loss of shape \(2, 3\): expected \(epochs, images\) = \(1, 3\)"),
        ({"epochs": ()}, "0 epochs and labels of"),
        ({"labels": np.zeros(0, np.int32)}, "expected at least one epoch and one image"),
        ({"labels": np.array([0, 1, 4])}, "label 4: expected a class from 0 to 3"),
        ({"predicted": np.full((2, 3), -1)}, "prediction -1: expected a class"),
        ({"probability": np.zeros((2, 2))}, r"probability of shape \(2, 2\)"),
        ({"log_probabilities": np.zeros((2, 3, 5))}, r"log_probabilities of shape \(2, 3, 5\)"),
        ({"loss": np.array([[1, 1, 1], [1, np.nan, 1]])}, "a loss of epoch 2 is not finite"),
        ({"loss": np.array([[np.inf, 1, 1], [1, 1, 1]])}, "a loss of epoch 1 is not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(GOOD, **changes)


def test_epochs_that_were_not_validated_may_be_missing() -> None:
    sparse = trajectories_of(np.zeros((2, 3, 4)), [0, 1, 2], epochs=(5, 10))
    assert (sparse.row(10), sparse.last_epoch, sparse.best_loss_epoch) == (1, 10, 5)
    with pytest.raises(InputError, match="epoch 6 has no validation outcomes: expected 5 or 10"):
        sparse.row(6)


def test_the_best_epochs_are_the_first_of_equals() -> None:
    ties = of_right([[0, 0], [1, 0], [0, 1]], [[2, 2], [1, 1], [1, 1]])
    assert (ties.best_loss_epoch, ties.best_accuracy_epoch) == (2, 2)


@given(any_trajectories())
def test_log_probabilities_are_finite_and_hold_the_stored_loss(trajectories: Trajectories) -> None:
    logs = trajectories.all_log_probabilities(trajectories.last_epoch)
    assert np.isfinite(logs).all()
    own = logs[np.arange(trajectories.images), trajectories.labels]
    np.testing.assert_array_equal(own, -trajectories.loss[-1])


def test_without_all_classes_their_probabilities_are_not_made_up() -> None:
    few = trajectories_of(np.zeros((1, 2, 3)), [0, 1], keep_all=False)
    assert not few.has_all_classes
    with pytest.raises(InputError, match="did not store the probabilities of all classes"):
        few.all_log_probabilities(1)


def test_halves_share_every_class_equally_and_never_change() -> None:
    labels = np.random.default_rng(0).integers(7, size=1001)
    half = _first_half(labels)
    for label in range(7):
        mine = half[labels == label]
        assert abs(int(mine.sum()) - int((~mine).sum())) <= 1
    np.testing.assert_array_equal(half, _first_half(labels))
    assert abs(np.corrcoef(half, np.arange(1001))[0, 1]) < 0.1


def test_the_interval_of_a_mean_is_scipys() -> None:
    from scipy.stats import norm

    values = np.random.default_rng(0).exponential(size=100)
    expected = norm.interval(0.95, values.mean(), values.std(ddof=1) / 10)
    assert Interval.of_mean(values) == pytest.approx(expected, abs=1e-12)
    assert Interval.of_mean(values[:1]) is None
