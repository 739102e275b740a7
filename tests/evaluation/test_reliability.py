from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.errors import InputError
from fittingroom.evaluation.reliability import BINS, Reliability
from fittingroom.evaluation.trajectories import Trajectories
from tests.evaluation.examples import any_trajectories, is_json, trajectories_of


def error_by_hand(confidence: np.ndarray, right: np.ndarray) -> float:
    """Bin by bin, with NumPy's own idea of which bin a number is in."""
    edges = np.linspace(0, 1, BINS + 1)
    place = np.digitize(confidence, edges[1:-1], right=True)
    return float(
        sum(
            (place == bin_).mean() * abs(right[place == bin_].mean() - confidence[place == bin_].mean())
            for bin_ in np.unique(place)
        )
    )


@given(st.integers(0, 2**32), st.integers(1, 300))
def test_the_error_is_the_weighted_distance_of_accuracy_and_confidence(seed: int, images: int) -> None:
    random = np.random.default_rng(seed)
    confidence, right = random.uniform(size=images), random.uniform(size=images) < 0.7
    found = Reliability.of(confidence, right)
    assert found.error == pytest.approx(error_by_hand(confidence, right), abs=1e-12)
    assert sum(part.count for part in found.bins) == images
    for part in found.bins:
        assert (part.count == 0) == (part.confidence is None) == (part.accuracy is None) == (part.interval is None)
        if part.confidence is not None and part.interval is not None and part.accuracy is not None:
            assert part.low - 1e-12 <= part.confidence <= part.high + 1e-12
            assert part.interval.low <= part.accuracy <= part.interval.high
    assert is_json(found.to_dict())


@pytest.mark.parametrize(("images", "floor"), [(200, 0.043), (1_000, 0.020), (10_000, 0.006)])
def test_the_floor_is_what_honest_models_show(images: int, floor: float) -> None:
    random = np.random.default_rng(0)
    confidence = random.beta(8, 1, images)
    surplus = (random.uniform(size=(1_000, images)) < confidence) - confidence
    in_bins = np.ceil(confidence * BINS)[:, None] == np.arange(1, BINS + 1)
    shown = np.abs(surplus @ in_bins).sum(axis=1) / images
    found = Reliability.of(confidence, np.ones(images, np.bool_))
    assert found.floor == pytest.approx(shown.mean(), rel=0.05)
    assert found.floor == pytest.approx(floor, rel=0.15)
    assert 0.93 <= (shown <= found.ceiling).mean() <= 0.97


def test_the_floor_agrees_with_the_mean_deviation_of_a_binomial() -> None:
    """De Moivre's closed form, for one bin of 20 images at 0.8."""
    from scipy.stats import binom

    images, chance = 20, 0.8
    expected = float(np.abs(np.arange(images + 1) - images * chance) @ binom.pmf(range(images + 1), images, chance))
    found = Reliability.of(np.full(images, chance), np.ones(images, np.bool_))
    assert found.floor == pytest.approx(expected / images, rel=0.06)


def test_a_model_that_is_too_sure_is_shown_and_an_honest_one_rarely() -> None:
    random = np.random.default_rng(1)
    confidence = random.uniform(0.5, 1, 2_000)
    right = random.uniform(size=2_000) < confidence
    assert not Reliability.of(confidence, right).shown
    assert Reliability.of(confidence**0.3, right).shown


def test_sure_and_right_has_no_error_and_no_floor() -> None:
    found = Reliability.of(np.ones(30), np.ones(30, np.bool_))
    assert (found.error, found.floor, found.ceiling, found.shown) == (0, 0, 0, False)
    assert [part.count for part in found.bins] == [0] * (BINS - 1) + [30]


def test_sure_and_wrong_has_all_the_error_there_is() -> None:
    found = Reliability.of(np.ones(30), np.zeros(30, np.bool_))
    assert found.error == 1
    assert found.shown


def test_edges_belong_to_the_bin_below_and_zero_to_the_first() -> None:
    found = Reliability.of(np.array([0.0, 1 / BINS, 0.2, 1.0]), np.ones(4, np.bool_))
    assert [place for place, part in enumerate(found.bins) if part.count] == [0, 2, BINS - 1]


@given(any_trajectories())
def test_every_epoch_of_any_run_has_one(trajectories: Trajectories) -> None:
    for epoch in trajectories.epochs:
        found = Reliability.after(trajectories, epoch)
        assert found is not None
        assert found.accuracy == trajectories.accuracy[trajectories.row(epoch)]
        assert is_json(found.to_dict())


def test_confidence_is_the_probability_of_the_predicted_class() -> None:
    logits = np.log([[[0.2, 0.7, 0.1], [0.6, 0.3, 0.1]]])
    assert trajectories_of(logits, [0, 0]).confidence(1) == pytest.approx([0.7, 0.6], abs=1e-4)
    assert trajectories_of(logits, [0, 0], keep_all=False).confidence(1) is None
    assert Reliability.after(trajectories_of(logits, [0, 0], keep_all=False), 1) is None


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        ([], [], "0 confidences, 0 predictions"),
        ([0.5], [True, False], "1 confidences, 2 predictions"),
        ([0.5, 1.5], [True, False], "confidences from 0.5 to 1.5: expected 0 to 1"),
        ([np.nan], [True], "expected 0 to 1"),
    ],
)
def test_impossible_confidences_are_refused(confidence: list[float], right: list[bool], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Reliability.of(np.array(confidence), np.array(right, np.bool_))
