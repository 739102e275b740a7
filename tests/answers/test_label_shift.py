"""What a model prefers in images of another origin is recalibrated, and nothing is where it prefers nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.answers.recalibration import SHARPEST, LabelShiftCalibration
from tests.answers.test_conformal import drawn


def loss(logs: np.ndarray, labels: np.ndarray) -> float:
    return float(-logs[np.arange(len(labels)), labels].mean())


def test_a_class_that_is_named_too_often_is_named_as_often_as_it_is_there() -> None:
    logs, labels = drawn(np.random.default_rng(0), 6000, 1.0)
    preferred = logs + np.where(np.arange(10) == 4, 2.0, 0.0)
    assert (preferred.argmax(axis=1) == 4).mean() > 2 * (labels == 4).mean()
    calibration = LabelShiftCalibration.of(preferred[:3000], labels[:3000])
    recalibrated = calibration.recalibrated(preferred[3000:])
    assert (recalibrated.argmax(axis=1) == 4).mean() == pytest.approx((labels == 4).mean(), abs=0.03)
    right = [(each.argmax(axis=1) == labels[3000:]).mean() for each in (preferred[3000:], recalibrated, logs[3000:])]
    assert right[1] > right[0] + 0.05
    assert right[1] == pytest.approx(right[2], abs=0.02)


def test_a_model_without_preferences_keeps_its_answers() -> None:
    logs, labels = drawn(np.random.default_rng(1), 20_000, 1.0)
    calibration = LabelShiftCalibration.of(logs, labels)
    assert calibration.sharpness == pytest.approx(1, abs=0.05)
    assert np.ptp(calibration.shifts) < 0.3
    assert (calibration.recalibrated(logs).argmax(axis=1) == logs.argmax(axis=1)).mean() > 0.97


def test_a_model_that_is_too_sure_becomes_less_sure() -> None:
    assert LabelShiftCalibration.of(*drawn(np.random.default_rng(2), 6000, 2.0)).sharpness == pytest.approx(
        0.5, abs=0.04
    )


def test_what_comes_back_are_probabilities() -> None:
    logs, labels = drawn(np.random.default_rng(3), 500, 1.0)
    recalibrated = LabelShiftCalibration.of(logs, labels).recalibrated(logs.astype(np.float32))
    np.testing.assert_allclose(np.exp(recalibrated).sum(axis=1), 1)


def test_sets_hold_the_right_class_of_images_of_that_origin() -> None:
    logs, labels = drawn(np.random.default_rng(4), 12_000, 2.0)
    preferred = logs + np.where(np.arange(10) == 4, 2.0, 0.0)
    calibration = LabelShiftCalibration.of(preferred[:4000], labels[:4000])
    sets = calibration.conformal.sets(calibration.recalibrated(preferred[4000:]))
    assert sets[np.arange(8000), labels[4000:]].mean() == pytest.approx(0.9, abs=0.012)


def test_classes_without_images_and_impossible_ones_are_borne() -> None:
    logs, _ = drawn(np.random.default_rng(5), 200, 1.0)
    logs[:, 9] = -1e6
    labels = np.where(logs.argmax(axis=1) == 3, 2, np.minimum(logs.argmax(axis=1), 8))  # neither 3 nor 9 is there
    calibration = LabelShiftCalibration.of(logs, labels)
    assert np.isfinite(calibration.shifts).all()
    assert calibration.shifts[3] < 0
    assert np.isfinite(calibration.recalibrated(logs)).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 60), classes=st.integers(2, 6))
def test_no_other_shifts_are_better(seed: int, count: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    logs = np.log(random.dirichlet(np.ones(classes), count))
    labels = random.integers(0, classes, count)
    found = LabelShiftCalibration.of(logs, labels)
    assert 1 / SHARPEST <= found.sharpness <= SHARPEST

    def whole(sharpness: float, shifts: np.ndarray) -> float:
        other = LabelShiftCalibration(sharpness, shifts, found.conformal)
        return loss(other.recalibrated(logs), labels) + 0.005 * float((shifts**2).sum())

    best = whole(found.sharpness, found.shifts)
    for scale in (1.0, 0.1, 0.01):
        sharpness = float(np.clip(found.sharpness * np.exp(random.normal(0, scale)), 1 / SHARPEST, SHARPEST))
        assert whole(sharpness, found.shifts + random.normal(0, scale, classes)) > best - 1e-5
