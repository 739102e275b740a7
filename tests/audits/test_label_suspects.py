"""Label suspects: wrong labels that were planted are found, and their probabilities are true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fittingroom.audits.cross_fitting import inputs_of_images, stratified_folds
from fittingroom.audits.label_probabilities import LabelSuspects
from fittingroom.audits.nearest_images import nearest
from fittingroom.audits.planted_noise import (
    FEWEST_OF_CLASS,
    LabelScores,
    PlantedLabels,
    Planting,
    WrongLabels,
    confusions_of,
)

CLASSES = 4


def _images(count: int, seed: int = 0) -> tuple[Any, Any]:
    """Bars at one of four places, with noise: images of 10 x 10, and their classes."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % CLASSES).astype(np.int32)
    images = random.integers(0, 90, (count, 10, 10)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label + 1 : 2 * label + 3] += np.uint8(120)
    return images, labels


def _silent(what: str, done: int = 0, total: int = 0) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def examined() -> tuple[LabelSuspects, Any]:
    """300 images, of which 15 have a wrong label, and a class with two images."""
    images, labels = _images(300)
    rare = np.array([7, 8])
    labels[rare] = CLASSES
    wrong = np.random.default_rng(1).permutation(np.setdiff1d(np.arange(300), rare))[:15]
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1) % CLASSES
    found = LabelSuspects.of(inputs_of_images(images, 255.0), given, CLASSES + 1, _silent)
    return found, (labels, given, wrong)


def test_planted_wrong_labels_come_first_and_the_right_class_is_suggested(examined: Any) -> None:
    found, (labels, _, wrong) = examined
    first = found.order[:15]
    assert len(np.intersect1d(first, wrong)) >= 14
    assert (found.suggested[wrong] == labels[wrong]).mean() > 0.9
    assert 10 <= found.suspects <= 20
    assert abs(found.wrong.share - 0.05) < 0.04


def test_a_class_with_hardly_any_images_is_not_examined(examined: Any) -> None:
    found, (_, given, _) = examined
    assert np.bincount(given)[CLASSES] < FEWEST_OF_CLASS
    assert not found.examined[given == CLASSES].any()
    assert (found.probability[given == CLASSES] == 0).all()


def test_folds_share_every_class() -> None:
    labels = np.repeat(np.arange(3), (50, 25, 7)).astype(np.int32)
    folds = stratified_folds(labels, 5, 0)
    assert (np.bincount(folds) - len(labels) / 5 < 1).all()
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1


def _scores(labels: Any, wrong: Any, random: np.random.Generator) -> LabelScores:
    """What good networks would say: high scores for wrong labels, low ones for most right labels."""
    score = np.where(wrong, random.normal(4, 2, len(labels)), random.normal(-4, 2, len(labels)))
    return LabelScores(score, (labels + 1) % 10, labels)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.2])
def test_probabilities_are_true_at_every_share_of_wrong_labels(share: float) -> None:
    random = np.random.default_rng(round(1000 * share))
    labels = random.integers(0, 10, 20_000).astype(np.int32)
    wrong = random.random(len(labels)) < share
    confusions = np.ones((10, 10)) - np.eye(10)
    planted = PlantedLabels.of(labels, confusions, 0.05, 3)
    scores = _scores(planted.labels, wrong | planted.planted, random)
    found = WrongLabels.of(_scores(labels, wrong, random), [Planting(planted, scores)], 10)
    assert found.share == pytest.approx(share, rel=0.2, abs=0.001)
    assert found.probability.sum() == pytest.approx(wrong.sum(), rel=0.3, abs=20)
    some = (found.probability > 0.3) & (found.probability < 0.7)
    if share >= 0.01:
        assert wrong[some].mean() == pytest.approx(found.probability[some].mean(), abs=0.2)
    assert (found.probability[~wrong] >= 0.5).sum() <= 0.01 * len(labels)


def test_planted_labels_are_wrong_and_as_many_as_asked_for() -> None:
    labels = np.arange(1000, dtype=np.int32) % 10
    confusions = np.zeros((10, 10))
    confusions[0, 3] = 5
    planted = PlantedLabels.of(labels, confusions, 0.2, 0)
    assert (planted.labels != labels).sum() == planted.planted.sum() == 200
    assert not (planted.uniform & planted.confused).any()
    changed = planted.confused & (labels == 0)
    assert (planted.labels[changed] == 3).mean() > 0.9


def test_confusions_are_classes_between_which_networks_waver() -> None:
    logs = np.log(np.array([[0.49, 0.49, 0.02], [0.96, 0.02, 0.02]]))
    found = confusions_of(logs)
    assert found[0, 1] == found[1, 0] > 100 * found[0, 2]
    assert (np.diag(found) == 0).all()


def test_the_nearest_images_are_not_the_image_itself() -> None:
    values = np.random.default_rng(0).integers(0, 255, (50, 6, 1)).astype(np.uint8)
    values[20] = values[10]
    assert nearest(values, np.array([10]), 3)[0, 0] == 20
    assert 10 not in nearest(values, np.array([10]), 3)
