"""A head on features of a few photos is checked by photos that it has not seen; on features whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from fittingroom.training.photo_features import PhotoFeatures, dealt
from fittingroom.training.photo_head import (
    HeadSpace,
    fit_photo_head,
    log_softmax,
    measured_curve,
)

CLASSES = 4


def photos(each: int, distance: float, seed: int = 0, base: bool = False) -> PhotoFeatures:
    """Normal features around the middle of each class; a base run that is right in half of the cases."""
    random = np.random.default_rng(seed)
    middles = np.random.default_rng(99).normal(size=(CLASSES, 40)) * distance / np.sqrt(40)
    labels = np.repeat(np.arange(CLASSES), each)
    pooled = middles[labels] + random.normal(size=(len(labels), 40)) / np.sqrt(40) * 2
    says = np.where(random.random(len(labels)) < 0.5, labels, random.integers(CLASSES, size=len(labels)))
    answers = np.log(np.where(np.arange(CLASSES) == says[:, None], 0.7, 0.1)) if base else np.zeros((len(labels), 0))
    known = tuple(range(CLASSES)) if base else (None,) * CLASSES
    return PhotoFeatures(pooled.astype(np.float32), answers, labels, known, np.ones(len(labels), np.bool_))


def accuracy_of(kernel: np.ndarray, bias: np.ndarray, of: PhotoFeatures) -> float:
    inputs = np.concatenate([of.pooled, of.base], axis=1)
    return float(((inputs @ kernel + bias).argmax(axis=1) == of.labels).mean())


def test_cross_fitted_accuracy_is_that_on_new_photos() -> None:
    checked, truth = [], []
    for seed in range(6):
        known, others = photos(4, 0.8, seed), photos(100, 0.8, 1_000 + seed)
        head = fit_photo_head(known)
        checked.append((head.log_probabilities.argmax(axis=1) == known.labels).mean())
        truth.append(accuracy_of(head.kernel, head.bias, others))
        assert head.singly
        assert head.folds == 4
    assert np.mean(checked) == pytest.approx(np.mean(truth), abs=0.07)


def test_labels_that_mean_nothing_are_not_learned() -> None:
    # A temperature or a strength that was fitted on the same photos must not make chance look like skill.
    right = []
    for seed in range(4):
        known = photos(12, 0.0, seed)
        right.append((fit_photo_head(known).log_probabilities.argmax(axis=1) == known.labels).mean())
    assert np.mean(right) == pytest.approx(1 / CLASSES, abs=0.1)


def test_probabilities_are_calibrated() -> None:
    known, others = photos(20, 1.5), photos(250, 1.5, 5)
    head = fit_photo_head(known)
    logs = log_softmax(others.pooled @ head.kernel + head.bias)
    sure = float(np.exp(logs.max(axis=1)).mean())
    assert sure == pytest.approx(float((logs.argmax(axis=1) == others.labels).mean()), abs=0.08)


def test_a_base_run_helps_where_photos_are_few() -> None:
    alone, helped = [], []
    for seed in range(4):
        known, others = photos(2, 0.7, seed, base=True), photos(100, 0.7, 1_000 + seed, base=True)
        without = PhotoFeatures(known.pooled, known.base[:, :0], known.labels, (None,) * CLASSES, known.own)
        head = fit_photo_head(without)
        alone.append((((others.pooled @ head.kernel) + head.bias).argmax(axis=1) == others.labels).mean())
        head = fit_photo_head(known)
        helped.append(accuracy_of(head.kernel, head.bias, others))
    assert np.mean(helped) > np.mean(alone) + 0.03


def test_weights_are_those_of_the_space() -> None:
    known = photos(5, 1.5, base=True)
    space = HeadSpace.of(known)
    fitted = space.fit(np.arange(20), 0.03, 0.5)
    kernel, bias = space.weights(*fitted, 0.5)
    inputs = np.concatenate([known.pooled, known.base], axis=1)
    np.testing.assert_allclose(
        log_softmax(inputs @ kernel + bias), log_softmax(space.logits(np.arange(20), fitted, 0.5)), atol=1e-8
    )


def test_one_photo_of_each_class_cannot_be_checked() -> None:
    head = fit_photo_head(photos(1, 3.0))
    assert head.folds == 0
    assert np.isnan(head.log_probabilities).all()
    assert measured_curve(photos(1, 3.0), head) is None


def test_nearly_identical_photos_are_left_out_together() -> None:
    few = photos(3, 1.5)
    burst = np.concatenate([few.pooled, few.pooled + 0.001])
    twice = PhotoFeatures(
        burst, np.zeros((len(burst), 0)), np.tile(few.labels, 2), few.known, np.ones(len(burst), np.bool_)
    )
    assert len(np.unique(twice.scenes)) == len(few.labels)
    assert (twice.scenes[: len(few.labels)] == twice.scenes[len(few.labels) :]).all()
    folds = dealt(twice.labels, twice.scenes, 20)
    assert folds.max() == 2  # three scenes of each class
    assert (folds[: len(few.labels)] == folds[len(few.labels) :]).all()
    assert not twice.alike_across


def test_each_fold_has_its_part_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [20, 10, 3])
    folds = dealt(labels, np.arange(33), 5)
    counts = np.array([np.bincount(folds[labels == label], minlength=5) for label in range(3)])
    assert counts.tolist() == [[4] * 5, [2] * 5, [1, 1, 1, 0, 0]]


def test_the_curve_rises_to_the_cross_fitted_accuracy() -> None:
    known = photos(12, 0.7)
    head = fit_photo_head(known)
    curve = measured_curve(known, head)
    assert curve is not None
    points = curve.points
    assert [round(point.photos) for point in points] == [1, 2, 3, 5, 7, 11]
    assert points[0].accuracy < points[-1].accuracy - 0.1
    right = head.log_probabilities.argmax(axis=1) == known.labels
    assert points[-1].accuracy == pytest.approx(right.mean())
