"""Label suspects: wrong labels that were planted are found, and their probabilities are true."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fittingroom.audits.check import AuditSubject, CheckResult, Review
from fittingroom.audits.cross_fitting import stratified_folds
from fittingroom.audits.label_probabilities import LabelSuspects, cross_fitted
from fittingroom.audits.label_suspects import check_labels, verdict_of
from fittingroom.audits.nearest_images import nearest
from fittingroom.audits.planted_noise import (
    FEWEST_OF_CLASS,
    LabelScores,
    PlantedLabels,
    Planting,
    WrongLabels,
    confusions_of,
)
from fittingroom.data.load import load
from fittingroom.recipes.named import NAMED

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


def _subject(folder: Path, images: Any, labels: Any) -> AuditSubject:
    """A dataset of these images, of which none are for validation, and four for the test part."""
    file = folder / f"{len(images)}.npz"
    test = {"x_test": images[:4], "y_test": np.arange(4)}
    np.savez(file, x_train=images, y_train=labels, **test)
    data = load(f"npz:{file}", validation=0)
    return AuditSubject(data, NAMED["course"].recipe, None, (), None, _silent)


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> tuple[CheckResult, LabelSuspects, AuditSubject, Any, Any]:
    """300 images, of which 15 have a wrong label, and a class with two images; checked."""
    images, labels = _images(300)
    rare = np.array([7, 8])
    labels[rare] = CLASSES
    wrong = np.random.default_rng(1).permutation(np.setdiff1d(np.arange(300), rare))[:15]
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1) % CLASSES
    subject = _subject(tmp_path_factory.mktemp("labels"), images, given)
    result = check_labels(subject)
    return result, cross_fitted(subject), subject, labels, wrong


def test_planted_wrong_labels_come_first_and_the_right_class_is_suggested(examined: Any) -> None:
    result, found, _, labels, wrong = examined
    assert len(np.intersect1d(found.order[:15], wrong)) >= 14
    assert (found.suggested[wrong] == labels[wrong]).mean() > 0.9
    assert 10 <= found.suspects <= 20
    assert abs(found.wrong.share - 0.05) < 0.04
    suspects = [finding for finding in result.findings if finding.why == "label suspect"]
    assert len(suspects) == found.suspects
    assert all(finding.suggested and finding.probability >= 0.5 for finding in suspects)


def test_suspects_are_told_in_words_and_reviewed_with_pictures_and_neighbours(examined: Any) -> None:
    result, found, subject, _, _ = examined
    assert result.verdict == "found"
    assert result.sentences[0].startswith(f"{found.suspects} labels of 298 are more probably wrong than right; about ")
    assert "2 images of 4 were not examined: with fewer than 5 images" in result.sentences[-1]
    assert subject.dataset.test.openings == subject.dataset.test.inspections == ()
    table, review = result.evidence
    assert sum(int(row[2]) for row in table.rows) == found.suspects
    assert isinstance(review, Review)
    assert review.plan == result.facts["review"]
    first = review.items[0]
    assert found.probability[first.place] >= 0.5
    assert [len(first.neighbours), len(first.said)] == [5, 3]
    assert CheckResult.from_dict(json.loads(json.dumps(result.to_dict()))).sentences == result.sentences


def test_what_was_examined_is_kept_and_not_made_again(examined: Any) -> None:
    _, found, subject, _, _ = examined
    told: list[str] = []
    again = cross_fitted(dataclasses.replace(subject, progress=lambda what, done=0, total=0: told.append(what)))
    np.testing.assert_array_equal(again.probability, found.probability)
    assert told == []


def test_a_class_with_hardly_any_images_is_not_examined(examined: Any) -> None:
    _, found, _, _, _ = examined
    assert np.bincount(found.labels)[CLASSES] < FEWEST_OF_CLASS
    assert not found.examined[found.labels == CLASSES].any()
    assert (found.probability[found.labels == CLASSES] == 0).all()


def test_too_few_images_or_classes_are_said_and_nothing_is_trained(tmp_path: Path) -> None:
    images, labels = _images(40)
    result = check_labels(_subject(tmp_path, images, labels))
    assert (result.verdict, result.findings) == ("unsure", ())
    assert result.sentences[0] == (
        "40 images: too few to tell a wrong label from an unusual image; 100 are needed, of classes with 5 or more."
    )


def test_where_networks_learn_nothing_no_label_is_doubted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (120, 10, 10)).astype(np.uint8)
    result = check_labels(_subject(tmp_path, images, np.arange(120) % 5))
    assert (result.verdict, result.findings) == ("unsure", ())
    assert result.sentences[0].endswith("that they have not seen: too few to doubt a label.")


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
    said, true, shares, high = [], [], [], 0
    for number in range(4):
        random = np.random.default_rng([number, round(1000 * share)])
        labels = random.integers(0, 10, 10_000).astype(np.int32)
        wrong = random.random(len(labels)) < share
        planted = PlantedLabels.of(labels, np.ones((10, 10)) - np.eye(10), 0.05, number)
        scores = _scores(planted.labels, wrong | planted.planted, random)
        found = WrongLabels.of(_scores(labels, wrong, random), [Planting(planted, scores)], 10)
        some = (found.probability > 0.2) & (found.probability < 0.8)
        said += found.probability[some].tolist()
        true += wrong[some].tolist()
        shares.append(found.share)
        high += int((found.probability[~wrong] >= 0.5).sum())
    assert np.mean(shares) == pytest.approx(share, rel=0.25, abs=0.001)
    assert high <= 4 * (3 + 0.015 * 10_000)
    if share:
        assert np.mean(true) == pytest.approx(np.mean(said), abs=0.2)


@pytest.mark.parametrize(("images", "least", "most"), [(20_000, 0.0, 0.008), (300, 0.03, 0.5)])
def test_uniform_noise_is_ruled_out_only_by_many_labels_along_confusions(
    images: int, least: float, most: float
) -> None:
    """Labels that could be any class are clearer: the fewer are taken for such, the more are found of the others."""

    def scores(labels: Any, right: Any, confused: Any, random: np.random.Generator) -> LabelScores:
        score = np.where(labels == right, random.normal(-4, 2, images), random.normal(8, 2, images))
        score = np.where(confused, random.normal(5, 2, images), score)
        return LabelScores(score, np.where(labels == right, (labels + 1) % 10, right).astype(np.int32), labels)

    random = np.random.default_rng(0)
    right = random.integers(0, 10, images).astype(np.int32)
    wrong = random.random(images) < 0.1
    labels = np.where(wrong, (right + 1) % 10, right).astype(np.int32)
    planted = PlantedLabels.of(labels, np.roll(np.eye(10), 1, axis=1), 0.05, 0)
    confused = (wrong & ~planted.uniform) | planted.confused
    plantings = [Planting(planted, scores(planted.labels, right, confused, random))]
    found = WrongLabels.of(scores(labels, right, wrong, random), plantings, 10)
    assert least <= found.uniform <= most
    if images > 1_000:
        assert found.share == pytest.approx(0.1, rel=0.2)


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
    assert nearest(values, np.array([10]), 3, _silent)[0, 0] == 20
    assert 10 not in nearest(values, np.array([10]), 3, _silent)


def test_right_labels_alone_are_seldom_called_wrong() -> None:
    """The verdict of 60 audits of data in which every label is right, for two shapes of what networks say of them."""
    alarms = 0
    for number in range(60):
        random = np.random.default_rng(number)
        labels = random.integers(0, 10, 1_000).astype(np.int32)
        confusions = np.ones((10, 10)) - np.eye(10)
        plantings = []
        for _ in range(4):
            planted = PlantedLabels.of(labels, confusions, 0.05, number)
            score = random.normal(-4, 2, 1_000) if number % 2 else random.laplace(-4, 1.2, 1_000)
            score = np.where(planted.planted, -score, score)
            plantings.append(Planting(planted, LabelScores(score, (labels + 1) % 10, planted.labels)))
        score = random.normal(-4, 2, 1_000) if number % 2 else random.laplace(-4, 1.2, 1_000)
        found = WrongLabels.of(LabelScores(score, (labels + 1) % 10, labels), plantings, 10)
        alarms += verdict_of(int((found.probability >= 0.5).sum()), len(labels)) == "found"
    assert alarms <= 3
