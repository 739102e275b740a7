from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from fittingroom.evaluation.spread import Interval
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.reports.facts.explanation import Explanation
from fittingroom.reports.words.change_words import of_change
from fittingroom.reports.words.quotes import QUESTIONS, Quote
from tests.evaluation.examples import any_trajectories, trajectories_of
from tests.reports.builders import course_of, subject_of

RISING = [0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0]


def facts_of(*trainings: Trajectories) -> dict[str, Any]:
    return Explanation.of(subject_of(*trainings)).to_dict()


def told(facts: dict[str, Any], topic: str) -> str:
    """All sentences about a topic."""
    return " ".join(sentence["text"] for sentence in facts["words"] if sentence["topic"] == topic)


def numbers_in(values: Iterable[Any]) -> list[float]:
    found: list[float] = []
    for value in values:
        if isinstance(value, list):
            found += numbers_in(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append(value)
    return found


def forms(value: float) -> set[str]:
    """All ways in which a sentence may write a number, without its sign."""
    size = abs(value)
    return {f"{size:,}", f"{size:,.4f}", f"{size:,.3f}", *(f"{f * size:,.{d}f}" for f in (1, 100) for d in (1, 2))}


def strange_numbers(sentence: dict[str, Any]) -> list[str]:
    """Numbers of a sentence that are no fact that it names."""
    texts = [value for value in sentence["facts"].values() if isinstance(value, str)]
    known = set().union(*map(forms, numbers_in(sentence["facts"].values())))
    text = f"{sentence['text']} {sentence['short']}".replace("95% interval", "")
    for name in sorted(texts, key=len, reverse=True):
        text = text.replace(name, "")
    return [number for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text) if number.rstrip(",") not in known]


def test_the_check_sees_a_number_that_is_no_fact() -> None:
    assert strange_numbers({"text": "It rose by 0.041 to 7.", "short": "", "facts": {"a": 0.0412}}) == ["7"]


@given(any_trajectories())
@settings(deadline=None, max_examples=40)
def test_every_number_in_the_words_is_a_fact_that_the_sentence_names(trajectories: Trajectories) -> None:
    facts = facts_of(trajectories)
    look = Quote(facts).look
    for sentence in facts["words"]:
        assert strange_numbers(sentence) == []
        assert all(look(place) == value for place, value in sentence["facts"].items())


@pytest.mark.parametrize("count", [2, 5])
def test_every_number_about_several_seeds_is_a_fact_too(count: int) -> None:
    facts = facts_of(*(course_of(RISING, seed=0) for _ in range(count)))
    assert [strange for sentence in facts["words"] for strange in strange_numbers(sentence)] == []


@given(any_trajectories())
@settings(deadline=None, max_examples=15)
def test_each_topic_is_answered_first_and_terms_are_explained_once(trajectories: Trajectories) -> None:
    words = facts_of(trajectories)["words"]
    topics = [sentence["topic"] for sentence in words]
    assert list(dict.fromkeys(topics)) == [topic for topic in QUESTIONS if topic in topics]
    for place, sentence in enumerate(words):
        assert bool(sentence["short"]) == (topics.index(sentence["topic"]) == place)
        assert sentence["text"].endswith(".")
    names = [term["name"] for sentence in words for term in sentence["terms"]]
    assert len(names) == len(set(names))
    assert {"loss", "accuracy", "nats", "validation images"} <= set(names)


def test_a_loss_that_rises_while_accuracy_stays_is_called_overfitting_by_loss_alone() -> None:
    facts = facts_of(course_of(RISING))
    assert told(facts, "overfit").startswith(
        "Yes, judged by loss: validation loss was lowest after epoch 3 and then rose"
    )
    assert "Judged by accuracy, no: it did not change measurably" in told(facts, "overfit")
    assert "training loss kept falling" in told(facts, "overfit")


def test_the_ledger_says_which_images_and_concludes_what_happened() -> None:
    facts = facts_of(course_of(RISING))
    wrong = next(group for group in facts["changes"]["best_loss"]["groups"] if group["name"] == "stayed wrong")
    said = told(facts, "change")
    assert f"The {wrong['count']:,} images that stayed wrong account for +{wrong['nats']:.3f} nats" in said
    assert f"({wrong['rose']['count']:,} of them became more confidently wrong)" in said
    assert "So the loss rose because mistakes became more confident, not because there are more of them" in said


def test_no_conclusion_is_drawn_where_mistakes_became_more() -> None:
    right = course_of([1.0], images=500)
    logits = np.asarray(right.log_probabilities, np.float64)[0]
    spoiled = logits.copy()
    spoiled[:200] = np.roll(spoiled[:200], 1, axis=1)  # another class is the most probable one
    facts = facts_of(trajectories_of(np.stack([logits] * 4 + [spoiled] * 8), right.labels))
    assert "accuracy fell by" in told(facts, "change")
    assert "So the loss rose" not in told(facts, "change")
    assert "Judged by accuracy, yes as well: it fell" in told(facts, "overfit")


def test_a_loss_that_only_falls_is_no_overfitting() -> None:
    facts = facts_of(course_of([0.1, 0.3, 0.5, 0.8]))
    assert told(facts, "overfit").startswith("No, judged by loss: it was lowest after the last epoch, 4")
    assert "less loss" not in told(facts, "stopping")


def test_a_rise_that_jitter_explains_is_in_no_topic() -> None:
    """An epoch that was picked for its low loss is judged on the same images, and jitters are no images' fault."""
    course = course_of([1.0, 0.9, 1.0, 1.15, 1.0, 1.2, 0.85, 1.3], images=4000)
    over_images = Interval.of_mean(course.loss[-1] - course.loss[course.row(course.best_loss_epoch)])
    assert over_images is not None
    assert over_images.low > 0
    facts = facts_of(course)
    assert told(facts, "overfit").startswith("Loss shows no sign of it")
    assert "validation loss did not change measurably (+0.0" in told(facts, "change")
    assert not any("rose" in sentence["text"] or "because" in sentence["text"] for sentence in facts["words"])


def test_a_large_gap_between_the_accuracies_leads_while_the_loss_still_falls() -> None:
    course = course_of([0.1, 0.3, 0.5, 0.8])
    subject = subject_of(course)
    (training,) = subject.trainings

    def with_training(accuracy: float) -> dict[str, Any]:
        record = replace(training.record, train=replace(training.record.train, accuracy=accuracy))
        return Explanation.of(replace(subject, trainings=(replace(training, record=record),))).to_dict()

    facts = with_training(0.978)
    first = next(sentence for sentence in facts["words"] if sentence["topic"] == "overfit")
    assert first["short"] == "A large gap: 97.8% of training images right, 76.5% of validation images"
    assert "a gap of 21.3 points (95% interval 19.5 to 23.2)" in told(facts, "overfit")
    assert "What helps: more training images, augmentation" in told(facts, "overfit")
    assert "gap of" not in told(with_training(0.82), "overfit")  # 5.5 points, and less would fit too
    assert [strange for sentence in facts["words"] for strange in strange_numbers(sentence)] == []


def test_a_gap_that_only_comes_from_averaging_over_the_epoch_is_not_reported() -> None:
    course = course_of([0.1, 0.3, 0.5, 0.8])
    assert "the gap" not in told(facts_with_gaps(course, [-0.3, -0.2, -0.1, 0.0]), "overfit")
    wide = told(facts_with_gaps(course, [-0.1, 0.1, 0.2, 0.4]), "overfit")
    assert "above training loss since epoch 2, and the gap has grown to 0.400 nats" in wide


def facts_with_gaps(course: Trajectories, gaps: list[float]) -> dict[str, Any]:
    """The facts of a run whose training losses leave these gaps."""
    subject = subject_of(course)
    losses = np.asarray(course.mean_loss - gaps, np.float64)
    return Explanation.of(replace(subject, trainings=(replace(subject.trainings[0], training_loss=losses),))).to_dict()


def test_a_change_within_noise_is_not_called_a_change() -> None:
    facts = facts_of(course_of([1.0, 1.001], images=40))
    assert "shows no sign of it" in told(facts, "overfit") or "lowest after the last" in told(facts, "overfit")
    assert "rose" not in told(facts, "change")


@pytest.mark.parametrize(
    ("sharpness", "answer"),
    [
        (3.0, "No, it is too sure"),
        (0.3, "No, it is not sure enough"),
        (1.0, "Nothing in these images contradicts it"),
    ],
)
def test_confidence_is_judged_as_the_numbers_allow(sharpness: float, answer: str) -> None:
    facts = facts_of(course_of([0.5, sharpness]))
    assert told(facts, "confidence").startswith(answer)
    assert ("overconfidence" in told(facts, "confidence")) == (sharpness > 1)


def test_all_right_mixes_up_nothing() -> None:
    labels = np.arange(40) % 4
    facts = facts_of(trajectories_of(np.stack([10.0 * np.eye(4)[labels]] * 2), labels))
    assert told(facts, "classes") == "None: all 40 validation images are right."


def test_a_pair_that_takes_most_mistakes_is_named_and_one_that_may_be_chance_is_not() -> None:
    labels = np.arange(400) % 4
    logits = 5.0 * np.eye(4)[labels]
    taken = np.flatnonzero(labels == 1)[:30]
    logits[taken, 2] += 9
    facts = facts_of(trajectories_of(logits[None], labels))
    assert told(facts, "classes").startswith("Most of all class 1 and class 2: 30 of 30 mistakes")
    assert "The class recognised least often is class 1: 70.0% of its images" in told(facts, "classes")
    one = 5.0 * np.eye(4)[labels]
    one[0, 1] += 9
    single = facts_of(trajectories_of(one[None], labels))
    assert told(single, "classes") == "No pair of classes stands out with a single mistake."


def test_a_single_epoch_tells_no_course() -> None:
    facts = facts_of(course_of([2.0]))
    assert told(facts, "overfit") == "A single validated epoch shows no trend, so the loss cannot tell."
    assert told(facts, "change") == told(facts, "stopping") == ""


def test_seeds_are_reported_together_and_one_of_them_by_name() -> None:
    facts = facts_of(*(course_of(RISING, seed=0) for _ in range(5)))
    assert told(facts, "result").startswith("The models of 5 seeds get")
    seed = facts["example"]["seed"]
    assert told(facts, "change").startswith(f"With seed {seed}, the one with the median loss, from epoch 3")
    assert "All 5 models are overconfident." in told(facts, "confidence")
    assert "for other images, seeds and the jitter between epochs" in told(facts, "overfit")


def test_each_ledger_of_the_slider_has_its_sentence() -> None:
    facts = facts_of(course_of(RISING))
    for name, ledgers in facts["ledgers"].items():
        for index, ledger in enumerate(ledgers):
            assert ledger["words"] == of_change(Quote(facts), f"ledgers.{name}.{index}").text
    assert facts["ledgers"]["to_last"][-1]["words"] == "Epoch 7 is compared with itself: nothing changes."
    assert facts["ledgers"]["to_best_loss"][-1]["words"].startswith("From epoch 3 to 7 validation loss rose by")
