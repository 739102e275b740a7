from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from fittingroom.evaluation.scores import Classes, Scores
from fittingroom.evaluation.trajectories import Trajectories
from tests.evaluation.examples import any_trajectories, is_json


def classes_with(labels: np.ndarray, predicted: np.ndarray, size: int) -> Classes:
    return Classes(1, Scores.of(labels, predicted, np.ones(len(labels)), [str(index) for index in range(size)]))


@given(any_trajectories())
def test_everything_is_counted_once(trajectories: Trajectories) -> None:
    epoch = trajectories.last_epoch
    found = Classes.of(trajectories, epoch)
    size = range(len(trajectories.classes))
    pairs = list(zip(trajectories.labels, trajectories.predicted[-1], strict=True))
    expected = [[pairs.count((label, predicted)) for predicted in size] for label in size]
    np.testing.assert_array_equal(found.scores.confusion, expected)
    assert found.scores.count == trajectories.images
    assert sum(pair.count for pair in found.pairs) == int((~trajectories.right[-1]).sum())
    assert sum(pair.share for pair in found.pairs) == pytest.approx(1 if found.pairs else 0)
    assert is_json(found.to_dict())


@given(any_trajectories())
def test_intervals_hold_their_numbers(trajectories: Trajectories) -> None:
    for each in Classes.of(trajectories, trajectories.last_epoch).scores.per_class:
        for value, interval in (
            (each.recall, each.interval),
            (each.precision, each.precision_interval),
            (each.f1, each.f1_interval),
        ):
            assert (value is None) == (interval is None)
            if value is not None and interval is not None:
                assert interval.low - 1e-12 <= value <= interval.high + 1e-12


def test_the_pair_that_is_mixed_up_most_comes_first_its_usual_direction_before_the_other() -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2] * 10)
    predicted = labels.copy()
    predicted[:2] = 2  # 0 as 2
    predicted[20:25] = 0  # 2 as 0
    predicted[10] = 2  # 1 as 2
    first, second = classes_with(labels, predicted, 3).pairs
    there, back = first.directions
    assert (there.label, there.predicted, there.count, there.rate) == (2, 0, 5, 0.5)
    assert (back.label, back.predicted, back.count, back.rate) == (0, 2, 2, 0.2)
    assert (first.count, first.share) == (7, 7 / 8)
    assert [(each.label, each.predicted, each.count) for each in second.directions] == [(1, 2, 1), (2, 1, 0)]


def test_all_right_has_no_pairs() -> None:
    labels = np.arange(3)
    assert classes_with(labels, labels, 3).pairs == ()


def test_a_class_without_images_has_no_recall_and_a_pair_with_it_no_rate() -> None:
    found = classes_with(np.array([0, 0]), np.array([0, 1]), 3)
    empty, untouched = found.scores.per_class[1], found.scores.per_class[2]
    assert (empty.interval, empty.precision) == (None, 0.0)
    assert (untouched.precision_interval, untouched.f1_interval) == (None, None)
    assert (found.pairs[0].directions[1].rate, found.pairs[0].directions[1].interval) == (None, None)


def test_the_interval_of_f1_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    confusion = np.array([[30, 8, 2], [5, 25, 3], [1, 4, 22]]) / 100
    truth = 2 * confusion[0, 0] / (confusion[0].sum() + confusion[:, 0].sum())
    covered = 0
    for _ in range(400):
        cells = random.choice(9, size=150, p=confusion.ravel())
        found = classes_with(cells // 3, cells % 3, 3).scores.per_class[0]
        assert found.f1_interval is not None
        covered += found.f1_interval.low <= truth <= found.f1_interval.high
    assert 0.92 <= covered / 400 <= 0.98
