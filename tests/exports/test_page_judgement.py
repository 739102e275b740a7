"""What an exported page says of an image: the run's own words, sets and refusals, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fittingroom.answers.judgement import Answer, Judgement
from fittingroom.answers.out_of_distribution import NEIGHBOUR, hog_features, unit_features
from fittingroom.answers.recalibration import LabelShiftCalibration
from fittingroom.data.ranges import ValueRange
from fittingroom.exports.page_photos import parts_of
from tests.exports.page_modules import PageModules, opened

HELD_OUT, ASKED = 400, 30


@pytest.fixture(scope="module")
def modules() -> Iterator[PageModules]:
    with opened("resampling", "hog", "judgement") as page:
        yield page


def names(count: int) -> tuple[str, ...]:
    return tuple(f"kind {number}" for number in range(count))


def logs_of(labels: Any, classes: int, generator: np.random.Generator) -> Any:
    """What a fair model may say of images of these classes: mostly right, now and then sure of something else."""
    values = generator.normal(0, 1.5, (len(labels), classes))
    values[np.arange(len(labels)), labels] += 4
    return (values - np.log(np.exp(values).sum(axis=1, keepdims=True))).astype(np.float32)


def images_of(labels: Any, classes: int, generator: np.random.Generator) -> Any:
    """Stripes, their direction by class, `(n, 28, 28)`."""
    rows, columns = np.mgrid[:28, :28] / 28
    turn = (labels * np.pi / classes)[:, None, None]
    waves = np.sin(12 * (np.cos(turn) * rows + np.sin(turn) * columns) + generator.uniform(0, 1, (len(labels), 1, 1)))
    return np.clip(127 + 100 * waves + generator.normal(0, 8, waves.shape), 0, 255).astype(np.uint8)


def told(judgement: Judgement, classes: int, shape: tuple[int, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    data = SimpleNamespace(
        picture_shape=shape,
        as_given=False,
        range=ValueRange.of_scale(255),
        scale=255.0,
        public_name="stripes",
        classes=names(classes),
        takes_pictures=True,
    )
    predictor: Any = SimpleNamespace(
        data=data, pen=(None, "no pen"), style=None, second_opinion=None, judgement=judgement
    )
    return parts_of(predictor)


def answers(
    modules: PageModules, judgement: Judgement, logs: Any, images: Any, features: Any, *, cut_out: bool = False
) -> list[dict[str, Any]]:
    facts, arrays = told(judgement, logs.shape[1], images.shape[1:])
    code = (
        "(() => { const judge = judging(_[0], _[1]); return _[2].map((one) => judge.answer({ logs: one.logs.data, "
        "image: one.image.data, features: one.features?.data ?? null, cutOut: _[3] })); })()"
    )
    asked = [
        {"logs": row, "image": image, "features": None if features is None else features[at]}
        for at, (row, image) in enumerate(zip(logs, images, strict=True))
    ]
    found = modules.call(code, facts, arrays, asked, cut_out)
    assert isinstance(found, list)
    return found


def compare(found: list[dict[str, Any]], expected: list[Answer]) -> None:
    assert [one["why"] for one in found] == [one.why for one in expected]
    for own, other in zip(expected, found, strict=True):
        assert {**own.to_dict(), "probabilities": None, "probability": None} == {
            **{name: other[name] for name in own.to_dict()},
            "probabilities": None,
            "probability": None,
        }
        assert other["closest"] == own.closest
        assert np.abs(np.array(other["probabilities"]) - own.probabilities).max() < 1e-6
        assert (other["rarity"] is None) == (own.rarity is None)
        assert other["rarity"] is None or other["rarity"] == pytest.approx(own.rarity, abs=2 / HELD_OUT)


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("cut_out", [False, True])
def test_shapes_are_compared_and_told_as_in_the_run(modules: PageModules, classes: int, cut_out: bool) -> None:
    generator = np.random.default_rng(classes)
    labels = generator.integers(0, classes, HELD_OUT)
    images = images_of(labels, classes, generator)
    judgement = Judgement.of(logs_of(labels, classes, generator), labels, hog_features(images, 255))
    shift = LabelShiftCalibration.of(logs_of(labels, classes, generator), labels)
    judgement = replace(judgement, label_shift=shift)
    new = generator.integers(0, classes, ASKED)
    asked, logs = images_of(new, classes, generator), logs_of(new, classes, generator)
    asked[:5] = generator.integers(0, 256, (5, 28, 28))
    logs[5:10] = np.log(1 / classes)
    asked[10] = 0
    expected = judgement.answers(
        logs, hog_features(asked, 255), ("stripes", names(classes)), cut_out=np.full(ASKED, cut_out)
    )
    assert {answer.unlike for answer in expected} == {True, False}
    compare(answers(modules, judgement, logs, asked, None, cut_out=cut_out), expected)


def test_features_of_a_backbone_are_compared_as_in_the_run(modules: PageModules) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, HELD_OUT)
    middles = generator.normal(0, 1, (5, 64))
    features = (middles[labels] + generator.normal(0, 0.7, (HELD_OUT, 64))).astype(np.float32)
    judgement = Judgement.of(logs_of(labels, 5, generator), labels, unit_features(features))
    new = generator.integers(0, 5, ASKED)
    asked = (middles[new] + generator.normal(0, 0.7, (ASKED, 64))).astype(np.float32)
    asked[:8] = generator.normal(0, 1, (8, 64))
    logs, images = logs_of(new, 5, generator), np.zeros((ASKED, 8, 8, 3), np.uint8)
    expected = judgement.answers(logs, unit_features(asked), ("stripes", names(5)))
    assert {answer.unlike for answer in expected} == {True, False}
    compare(answers(modules, judgement, logs, images, asked), expected)


def test_runs_that_keep_less_say_less(modules: PageModules) -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, HELD_OUT)
    logs, images = logs_of(labels[:ASKED], 3, generator), np.zeros((ASKED, 8, 8), np.uint8)
    logs[:3] = np.log(1 / 3)
    for judgement in (
        Judgement.of(logs_of(labels, 3, generator), labels),
        Judgement.of(logs_of(labels[:5], 3, generator), labels[:5]),
        Judgement.nothing(),
    ):
        expected = judgement.answers(logs, np.empty((ASKED, 0)), ("stripes", names(3)))
        compare(answers(modules, judgement, logs, images, None), expected)


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (130, 120, 3), (1, 9), (60, 56)])
def test_hog_features_are_those_of_the_run(modules: PageModules, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 17, shape).astype(np.uint8)
    channels = 3 if len(shape) == 3 else 1
    one = {"height": shape[0], "width": shape[1], "channels": channels, "data": image}
    found = modules.call("hogFeatures(image(_[0]), 16)", one)
    apart = np.abs(found.astype(int) - hog_features(image[None], 16)[0])
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.01


def test_classes_with_few_held_out_images_are_compared_with_all(modules: PageModules) -> None:
    generator = np.random.default_rng(2)
    labels = np.append(np.zeros(HELD_OUT - NEIGHBOUR, np.int64), [1])
    images = images_of(labels, 3, generator)
    judgement = Judgement.of(logs_of(labels, 3, generator), labels, hog_features(images, 255))
    asked = images_of(np.arange(ASKED) % 3, 3, generator)
    logs = logs_of(np.arange(ASKED) % 3, 3, generator)
    expected = judgement.answers(logs, hog_features(asked, 255), ("stripes", names(3)))
    compare(answers(modules, judgement, logs, asked, None), expected)
