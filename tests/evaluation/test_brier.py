from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.errors import InputError
from fittingroom.evaluation.reliability import Brier
from fittingroom.evaluation.trajectories import Trajectories
from tests.evaluation.examples import any_trajectories, honest_logits, is_json, trajectories_of


@given(any_trajectories())
def test_the_parts_sum_to_the_score(trajectories: Trajectories) -> None:
    for epoch in trajectories.epochs:
        found = Brier.after(trajectories, epoch)
        assert found is not None
        total = found.reliability - found.resolution + found.uncertainty + found.within
        assert total == pytest.approx(found.score, abs=1e-9)
        assert 0 <= found.score + 1e-9 <= 2 + 1e-2
        assert is_json(found.to_dict())


@given(st.integers(0, 2**32), st.integers(1, 100), st.integers(2, 6))
def test_the_score_is_the_mean_squared_distance_from_the_truth(seed: int, images: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(classes), images)
    labels = random.integers(classes, size=images)
    truth = np.eye(classes)[labels]
    expected = ((probabilities - truth) ** 2).sum(axis=1).mean()
    assert Brier.of(probabilities, labels).score == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_with_equal_probabilities_in_each_bin_it_is_murphys_alone(seed: int, images: int) -> None:
    random = np.random.default_rng(seed)
    first = random.choice([0.1, 0.5, 0.9], images)
    found = Brier.of(np.stack([first, 1 - first], axis=1), random.integers(2, size=images))
    assert found.within == pytest.approx(0, abs=1e-12)


def test_two_classes_are_twice_scikit_learns_score() -> None:
    from sklearn.metrics import brier_score_loss

    random = np.random.default_rng(0)
    second, labels = random.uniform(size=500), random.integers(2, size=500)
    found = Brier.of(np.stack([1 - second, second], axis=1), labels)
    assert found.score == pytest.approx(2 * brier_score_loss(labels, second))


def test_always_the_shares_of_the_classes_is_honest_and_knows_nothing() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    found = Brier.of(np.tile([0.5, 0.3, 0.2], (100, 1)), labels)
    assert found.reliability == pytest.approx(0, abs=1e-12)
    assert found.resolution == pytest.approx(0, abs=1e-12)
    assert found.score == pytest.approx(found.uncertainty) == pytest.approx(1 - 0.25 - 0.09 - 0.04)


def test_perfect_is_zero_and_sure_and_wrong_is_two() -> None:
    labels = np.array([0, 1, 0, 1])
    assert Brier.of(np.eye(2)[labels], labels).score == pytest.approx(0)
    assert Brier.of(np.eye(2)[1 - labels], labels).score == pytest.approx(2)


def test_too_much_confidence_costs_reliability() -> None:
    logits, labels = honest_logits(np.random.default_rng(0), 5_000)
    honest, sure = (Brier.after(trajectories_of(scale * logits[None], labels), 1) for scale in (1, 5))
    assert honest is not None
    assert sure is not None
    assert honest.reliability < 0.005
    assert sure.reliability > 0.05


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"shapes \(2, 3\) and \(3,\): expected \(images, classes\) and \(images,\)"):
        Brier.of(np.ones((2, 3)), np.zeros(3, np.int64))
    with pytest.raises(InputError, match=r"shapes \(0, 3\)"):
        Brier.of(np.ones((0, 3)), np.zeros(0, np.int64))


def test_without_probabilities_of_all_classes_there_is_none() -> None:
    assert Brier.after(trajectories_of(np.zeros((1, 2, 3)), [0, 1], keep_all=False), 1) is None
