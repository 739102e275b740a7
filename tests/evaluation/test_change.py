from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.errors import InputError
from fittingroom.evaluation.change import GROUPS, Change, _group_of_images
from fittingroom.evaluation.trajectories import Trajectories
from tests.evaluation.examples import any_trajectories, is_json, of_right


@given(any_trajectories(), st.data())
def test_groups_sum_to_the_change(trajectories: Trajectories, data: st.DataObject) -> None:
    start, end = (data.draw(st.sampled_from(trajectories.epochs)) for _ in range(2))
    ledger = Change.between(trajectories, start, end)
    scale = max(1.0, *ledger.loss)
    assert sum(group.whole.nats for group in ledger.groups) == pytest.approx(ledger.loss_change, abs=1e-9 * scale)
    assert ledger.loss[1] - ledger.loss[0] == pytest.approx(ledger.loss_change, abs=1e-9 * scale)
    assert sum(group.whole.count for group in ledger.groups) == ledger.images
    for group in ledger.groups:
        assert group.rose.count + group.fell.count <= group.whole.count
        assert group.fell.nats <= 0 <= group.rose.nats
        assert group.rose.nats + group.fell.nats == pytest.approx(group.whole.nats, abs=1e-9 * scale)
    moved = ledger.group("became right").whole.count - ledger.group("became wrong").whole.count
    assert ledger.accuracy_points == pytest.approx(100 * moved / ledger.images)
    assert is_json(ledger.to_dict())


@given(any_trajectories())
def test_the_way_back_is_the_change_with_its_sign_turned(trajectories: Trajectories) -> None:
    there = Change.between(trajectories, trajectories.epochs[0], trajectories.last_epoch)
    back = Change.between(trajectories, trajectories.last_epoch, trajectories.epochs[0])
    assert back.loss_change == -there.loss_change
    assert back.accuracy_points == -there.accuracy_points
    assert back.group("became right").whole.nats == -there.group("became wrong").whole.nats


def test_a_ledger_by_hand() -> None:
    right = [[1, 1, 0, 0, 0, 1], [1, 1, 0, 0, 1, 0]]
    loss = [[0.5, 0.2, 1.0, 2.0, 1.5, 0.25], [0.25, 0.5, 4.0, 1.5, 0.25, 1.0]]
    ledger = Change.between(of_right(right, loss), 1, 2)
    stayed_right, stayed_wrong, became_right, became_wrong = ledger.groups
    assert tuple(group.name for group in ledger.groups) == GROUPS
    assert (stayed_right.rose.count, stayed_right.fell.count) == (1, 1)
    assert stayed_right.rose.nats == pytest.approx(0.3 / 6)
    assert stayed_right.fell.nats == pytest.approx(-0.25 / 6)
    assert stayed_wrong.rose.nats == pytest.approx(3 / 6)
    assert stayed_wrong.fell.nats == pytest.approx(-0.5 / 6)
    assert became_right.whole.to_dict() == {"count": 1, "nats": -1.25 / 6}
    assert became_wrong.whole.to_dict() == {"count": 1, "nats": 0.75 / 6}
    assert ledger.accuracy_points == 0


def test_each_image_has_its_group() -> None:
    groups = _group_of_images(of_right([[1, 0, 0, 1], [1, 0, 1, 0]]), 1, 2)
    assert [GROUPS[index] for index in groups] == list(GROUPS)


def test_an_unchanged_loss_neither_rose_nor_fell() -> None:
    group = Change.between(of_right([[1], [1]]), 1, 2).group("stayed right")
    assert (group.whole.count, group.rose.count, group.fell.count) == (1, 0, 0)


def test_the_default_changes_go_from_each_best_epoch_to_the_last() -> None:
    right = [[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0]]
    loss = [[1.0, 1.0, 1.0], [0.5, 0.9, 0.9], [0.5, 2.0, 3.0], [0.1, 3.0, 4.0]]
    changes = Change.defaults(of_right(right, loss))
    assert {name: (each.start, each.end) for name, each in changes.items()} == {
        "best_loss": (2, 4),
        "best_accuracy": (3, 4),
    }


def test_a_single_epoch_changes_nothing() -> None:
    for ledger in Change.defaults(of_right([[1, 0, 1]])).values():
        assert (ledger.start, ledger.end, ledger.loss_change, ledger.accuracy_points) == (1, 1, 0, 0)
        assert all(group.whole.nats == 0 for group in ledger.groups)


def test_intervals_of_changes_cover_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        loss = np.stack([random.exponential(1, 200), random.exponential(1.2, 200), np.zeros(200)])
        right = np.array([[False], [False], [True]]) & np.ones_like(loss, np.bool_)
        interval = Change.between(of_right(right, loss), 1, 2).loss_interval
        assert interval is not None
        covered += interval.low <= 0.2 <= interval.high
    assert 0.92 <= covered / 300 <= 0.98


def test_an_epoch_that_was_picked_for_its_low_loss_shows_no_rise_after_it() -> None:
    """Of 20 equal epochs one is lowest by luck: on the images that picked it, the last one seems to be higher."""
    random = np.random.default_rng(0)
    risen = 0
    for _ in range(200):
        loss = random.exponential(1, 100) * (1 + 0.3 * random.normal(size=(20, 100))) + 0.05 * random.normal(
            size=(20, 1)
        )
        interval = Change.defaults(of_right(np.ones_like(loss), np.abs(loss)))["best_loss"].loss_interval
        risen += interval is not None and interval.low > 0
    assert risen / 200 <= 0.05


def test_an_epoch_that_was_not_validated_is_refused_with_those_that_were() -> None:
    with pytest.raises(InputError, match="epoch 7 has no validation outcomes: expected 1 or 2"):
        Change.between(of_right([[1], [0]]), 1, 7)


def test_a_fall_to_the_last_epoch_is_reported_by_its_images_and_a_rise_from_the_best_by_jitter_too() -> None:
    """The course's five epochs: the curve jitters, and the last weights are better than the first all the same."""
    random = np.random.default_rng(0)
    steps = np.array([0.42, 0.36, 0.38, 0.33, 0.32])[:, None]
    loss = steps + random.normal(scale=0.2, size=400) + random.normal(scale=0.05, size=(5, 400))
    right = np.arange(400) < 300 + 15 * np.arange(5)[:, None]
    fall = Change.between(of_right(right, np.clip(loss, 1e-3, None)), 1, 5)
    assert fall.loss_interval is not None
    assert fall.loss_interval.low > -0.13
    assert fall.loss_interval.high < -0.07
    rise = Change.between(of_right(right[::-1], np.clip(loss[::-1], 1e-3, None)), 1, 5)
    assert rise.loss_interval is not None
    assert rise.loss_interval.high - rise.loss_interval.low > 3 * (fall.loss_interval.high - fall.loss_interval.low)
