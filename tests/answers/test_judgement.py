"""Answers: honest probabilities, sets that cover, and every kind of answer in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fittingroom.answers.judgement import Answer, Judgement
from fittingroom.answers.out_of_distribution import hog_features
from fittingroom.answers.recalibration import at_temperature
from fittingroom.evaluation.reliability import Reliability
from tests.answers.test_conformal import drawn

CLASSES = tuple("abcdefghij")


def answered(judgement: Judgement, logs: np.ndarray, alpha: float = 0.1) -> list[Answer]:
    """Answers to these logarithms of probabilities, whatever the images."""
    judgement = replace(judgement, unlike=None)
    return judgement.answers(logs, np.zeros((len(logs), 0)), ("letters", CLASSES), alpha)


def rows(*probabilities: list[float]) -> np.ndarray:
    """Logarithms of these probabilities, the first classes'; the others share what is left."""
    full = [[*row, *[(1 - sum(row)) / (10 - len(row))] * (10 - len(row))] for row in probabilities]
    return np.asarray(np.log(full))


@pytest.fixture(scope="module")
def sure() -> Judgement:
    """Of a model that is twice as sure as it should be."""
    return Judgement.of(*drawn(np.random.default_rng(0), 8000, 2.0))


def test_probabilities_of_a_model_that_is_too_sure_become_honest(sure: Judgement) -> None:
    logs, labels = drawn(np.random.default_rng(1), 10_000, 2.0)
    answers = answered(sure, logs)
    right = np.array([CLASSES.index(answer.label) for answer in answers]) == labels
    assert sure.temperature == pytest.approx(2.0, abs=0.08)
    assert Reliability.of(np.exp(logs.max(axis=1)), right).error > 0.1
    assert Reliability.of(np.array([answer.probability for answer in answers]), right).error < 0.012


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.4])
def test_sets_hold_the_right_class_as_often_as_they_say(alpha: float, sure: Judgement) -> None:
    logs, labels = drawn(np.random.default_rng(2), 10_000, 2.0)
    answers = answered(sure, logs, alpha)
    covered = np.mean([CLASSES[label] in answer.set for answer, label in zip(answers, labels, strict=True)])
    assert covered == pytest.approx(1 - alpha, abs=0.012)


def test_the_same_images_for_temperature_and_scores_cover_as_separate_ones_do() -> None:
    generator, covered = np.random.default_rng(3), []
    for _ in range(60):
        logs, labels = drawn(generator, 1000, 2.0)
        judgement = Judgement.of(logs[:500], labels[:500])
        sets = judgement.conformal.sets(at_temperature(logs[500:], judgement.temperature))
        covered.append(sets[np.arange(500), labels[500:]].mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)


def test_temperature_never_changes_the_class(sure: Judgement) -> None:
    logs, _ = drawn(np.random.default_rng(4), 500, 2.0)
    assert [answer.label for answer in answered(sure, logs)] == [CLASSES[index] for index in logs.argmax(axis=1)]


def test_a_set_begins_with_the_likeliest_class(sure: Judgement) -> None:
    for answer in answered(sure, drawn(np.random.default_rng(5), 300, 2.0)[0]):
        values = [answer.probabilities[CLASSES.index(name)] for name in answer.set]
        assert values == sorted(values, reverse=True)
        assert not answer.set or answer.set[0] == answer.label
        assert answer.probability == answer.probabilities.max()


def test_one_class_some_and_none_have_a_sentence_each(sure: Judgement) -> None:
    steady = replace(sure, temperature=1.0)
    steady = replace(steady, conformal=replace(steady.conformal, scores=np.full(99, -np.log(0.3), np.float32)))
    one, two, none = answered(steady, rows([0.9], [0.5, 0.35], [0.2, 0.15]))
    assert (one.set, two.set, none.set) == (("a",), ("a", "b"), ())
    assert one.why.startswith(
        "a, at 90%: the only class likely enough to be in a set that contains the right class 90%"
    )
    assert two.why.startswith("a (50%) or b (35%): together a set that contains the right class 90%")
    assert none.why.startswith("a is the likeliest, but at 20% not likely enough")


def test_certainty_is_never_claimed(sure: Judgement) -> None:
    (answer,) = answered(replace(sure, temperature=1.0), rows([0.99999]))
    assert "over 99%" in answer.why
    assert "100%" not in answer.why


def test_without_held_out_images_sets_hold_all_classes_and_that_is_said() -> None:
    for judgement in (Judgement.nothing(), Judgement.of(np.zeros((0, 10)), np.zeros(0, np.int32))):
        (answer,) = answered(judgement, rows([0.9]))
        assert set(answer.set) == set(CLASSES)
        assert answer.probability == pytest.approx(0.9)
        assert not answer.unlike
        assert "not calibrated: no images were held out" in answer.why


def test_a_model_that_is_right_everywhere_keeps_its_own_temperature() -> None:
    logs, _ = drawn(np.random.default_rng(6), 500, 1.0)
    assert Judgement.of(logs, logs.argmax(axis=1)).temperature == 1.0


def test_what_is_unlike_names_what_was_trained_on_and_what_is_closest() -> None:
    labels = np.random.default_rng(7).integers(0, 10, 2000)
    logs = np.log(np.where(np.arange(10) == labels[:, None], 0.91, 0.01))
    images = np.zeros((2000, 16, 16), np.uint8)
    images[np.arange(2000), 2 + labels, 3:12] = 250
    judgement = Judgement.of(logs, labels, hog_features(images, 255.0))
    noise = np.random.default_rng(8).integers(0, 256, (20, 16, 16)).astype(np.uint8)
    answers = judgement.answers(logs[:20], hog_features(noise, 255.0), ("letters", CLASSES))
    assert all(answer.unlike for answer in answers)
    for answer in answers:
        assert answer.why.startswith("Unlike the training images of letters (a, b, c, d, e, f, g, h, i and j).")
        assert "The closest class is" in answer.why


def test_without_the_held_out_images_probability_alone_says_what_is_unlike(sure: Judgement) -> None:
    (answer,) = sure.answers(rows([0.1001]), np.zeros((1, 0)), ("letters", CLASSES))
    assert answer.unlike
    assert "The run keeps no images, so nothing else could be compared." in answer.why
