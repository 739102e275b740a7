"""What the checks of robustness and of other images say of a run, and that they say nothing where nothing is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.answers.judgement import AnswerNumbers
from fittingroom.audits.check import AuditSubject, EvidenceTable, Gallery
from fittingroom.audits.corrupted_answers import AnswersToImages, Robustness
from fittingroom.audits.corruptions import CORRUPTIONS, corrupted
from fittingroom.audits.model_images import ModelImages
from fittingroom.audits.other_images import Auroc, KindAnswers, check_other_images
from fittingroom.audits.other_kinds import OtherKinds
from fittingroom.audits.robustness import check_robustness
from fittingroom.data.dataset import Part

pytestmark = pytest.mark.usefixtures("quick_compiler")

RANDOM = np.random.default_rng(0)


def silent(what: str, done: int = 0, total: int = 0) -> None:
    assert what
    assert done <= total


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> AuditSubject:
    run = fr.train("digits", "course", out=tmp_path_factory.mktemp("runs") / "run", epochs=10, validation=500)
    arguments = run.record.data.load
    assert arguments is not None
    data = fr.load(**arguments)
    return AuditSubject(data, run.record.trained_recipe(), run.predictor, (), run.path, silent)


def test_numbers_are_those_of_the_answers(subject: AuditSubject) -> None:
    predictor, part = subject.predictor, subject.dataset.validation
    assert predictor is not None
    assert part is not None
    noise = RANDOM.integers(0, 17, (40, 8, 8)).astype(np.uint8)
    for images in (part.images[:60], noise):
        numbers, answers = predictor.numbers(images), predictor.answer(images)
        assert [one.unlike for one in answers] == numbers.unlike.tolist()
        shown = np.stack([one.probabilities for one in answers])
        assert np.allclose(np.exp(numbers.log_probabilities), shown, atol=1e-6)
    assert numbers.unlike.mean() > 0.9


def test_no_held_out_image_is_compared_with_itself(subject: AuditSubject) -> None:
    predictor, part = subject.predictor, subject.dataset.validation
    assert predictor is not None
    assert part is not None
    places = predictor.held_out_places(part.images)
    assert places is not None
    assert len(set(places.tolist())) > 0.98 * len(part)
    others = predictor.held_out_places(subject.dataset.train.images[:50])
    assert others is not None
    assert np.mean(others == -1) > 0.9
    refused = predictor.numbers(part.images, places).unlike.mean()
    assert abs(refused - 0.05) < 0.01  # the threshold is that of the held-out images themselves
    assert predictor.numbers(part.images).unlike.mean() < refused


def test_the_check_says_what_its_numbers_are(subject: AuditSubject) -> None:
    predictor, part = subject.predictor, subject.dataset.validation
    assert predictor is not None
    assert part is not None
    result = check_robustness(subject)
    facts = result.facts
    assert result.verdict == "found"
    assert result.check == "robustness"
    assert list(facts["corruptions"]) == list(CORRUPTIONS)
    assert facts["clean"]["accuracy"] == np.mean(predictor.predict(part.images).argmax(axis=1) == part.labels)
    changed = corrupted(part.images, "rotation", 4, scale=16)
    accuracy = np.mean(predictor.predict(changed).argmax(axis=1) == part.labels)
    assert facts["corruptions"]["rotation"][3]["accuracy"] == pytest.approx(accuracy)
    assert facts["interval"][0] < facts["accuracy"] < facts["interval"][1]
    assert facts["accuracy"] < facts["clean"]["accuracy"]
    assert f"{100 * facts['accuracy']:.1f}%" in result.sentences[0]
    assert f"{100 * accuracy:.1f}%" in str(result.evidence[1])
    kinds = {type(one) for one in result.evidence}
    assert {EvidenceTable, Gallery} <= kinds
    assert facts["severities"][5]["refused"] > facts["severities"][0]["refused"]
    assert all("  " not in sentence and sentence[0].isupper() for sentence in (*result.sentences, *result.advice))


def numbers_of(right: Any, confidence: float, unlike: Any = False) -> AnswersToImages:
    count = len(right)
    return AnswersToImages(np.asarray(right), np.full(count, confidence), np.broadcast_to(unlike, count))


def made_up(clean: AnswersToImages, **others: AnswersToImages) -> Robustness:
    return Robustness(clean, {name: (one,) * 5 for name, one in others.items()}, refuses=True)


def test_a_corruption_that_costs_much_and_one_whose_answers_claim_too_much_are_named() -> None:
    clean = numbers_of(np.arange(1000) % 10 > 0, 0.9)
    honest, fragile = numbers_of(np.arange(1000) % 10 > 4, 0.52), numbers_of(np.arange(1000) % 10 > 4, 0.9)
    found = made_up(clean, same=clean, honest=honest, fragile=fragile)
    assert set(found.costly) == {"honest", "fragile"}
    assert found.claiming == {"fragile": 1}
    refusing = dataclasses.replace(fragile, unlike=~fragile.right)
    assert made_up(clean, refusing=refusing).claiming == {}


def test_a_model_that_knows_nothing_has_nothing_to_lose(subject: AuditSubject) -> None:
    guesses = numbers_of(np.arange(400) % 10 == 0, 0.1)
    assert not dataclasses.replace(made_up(guesses, noise=guesses), most_frequent=0.1).has_much_to_lose
    assert dataclasses.replace(made_up(guesses, noise=guesses), most_frequent=0.02).has_much_to_lose
    part = subject.dataset.validation
    assert part is not None
    others = dataclasses.replace(part, labels=np.asarray((part.labels + np.arange(len(part))) % 10, np.int32))
    result = check_robustness(
        dataclasses.replace(subject, dataset=dataclasses.replace(subject.dataset, validation=others))
    )
    assert any("little to lose" in sentence for sentence in result.sentences)


def test_nothing_is_named_where_there_is_nothing() -> None:
    """An honest model that loses just what is tolerated: at most 5% of audits name a corruption."""
    named = 0
    for _ in range(200):
        chance = RANDOM.uniform(0.5, 1, 400)
        clean = AnswersToImages(RANDOM.random(400) < chance, chance, np.zeros(400, np.bool_))
        others = {}
        for name in list(CORRUPTIONS)[:5]:
            less = chance - 0.05
            right = (RANDOM.random((5, 400)) < less).astype(bool)
            others[name] = tuple(AnswersToImages(one, less + 0.1, np.zeros(400, np.bool_)) for one in right)
        found = Robustness(clean, others, refuses=True)
        named += bool(found.costly) + bool(found.claiming)
    assert named <= 2 * 0.05 * 200


@pytest.mark.parametrize(("count", "verdict"), [(0, "not examined"), (20, "unsure")])
def test_too_few_images_are_no_evidence(subject: AuditSubject, count: int, verdict: str) -> None:
    part = subject.dataset.validation
    assert part is not None
    few = Part(part.images[:count], part.labels[:count], part.classes, part.scale) if count else None
    result = check_robustness(
        dataclasses.replace(subject, dataset=dataclasses.replace(subject.dataset, validation=few))
    )
    assert result.verdict == verdict
    assert not result.facts
    without = check_robustness(dataclasses.replace(subject, predictor=None))
    assert without.verdict == "not examined"


def test_of_large_pictures_and_for_slow_models_there_are_fewer(
    subject: AuditSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = subject.dataset.validation
    assert part is not None
    assert subject.predictor is not None
    asked = ModelImages(subject.predictor, 16.0)
    assert len(asked.chosen(part)) == len(part)
    monkeypatch.setattr(ModelImages, "_seconds", lambda asked, images: 0.01)
    many = Part(np.zeros((6_000, 8, 8), np.uint8), np.zeros(6_000, np.int32), part.classes, 16.0)
    assert len(asked.chosen(many)) == 5_000
    assert len(asked.chosen(many, 20)) == 500
    assert len(asked.chosen(many, 76)) == 200
    large = Part(np.zeros((len(part), 320, 320, 3), np.uint8), part.labels, part.classes)
    chosen = asked.chosen(large)
    assert len(chosen) == 200
    assert chosen[0] == 0
    assert chosen[-1] == len(part) - 1
    found = Robustness.of(subject.predictor, part, silent, chosen=np.arange(10, 50))
    assert found.images == 40


def test_answers_without_refusals_have_their_confidence() -> None:
    logs = np.log(np.array([[0.7, 0.3], [0.2, 0.8]]))
    numbers = AnswerNumbers(logs, np.ones(2), np.zeros(2, np.bool_))
    found = AnswersToImages.of([numbers, numbers], np.array([0, 0, 1, 1]))
    assert found.right.tolist() == [True, False, False, True]
    assert found.confidence == pytest.approx([0.7, 0.8, 0.7, 0.8])


def test_other_images_are_refused_and_the_check_says_which_are_not(subject: AuditSubject) -> None:
    result = check_other_images(subject)
    kinds = result.facts["kinds"]
    assert "digits" not in kinds  # the classes are digits
    assert result.facts["left_out"] == ["digits"]
    assert kinds["noise"]["refused"] > 0.8
    assert abs(result.facts["validation_refused"] - 0.05) < 0.01
    for fact in kinds.values():
        assert fact["refused_interval"][0] <= fact["refused"] <= fact["refused_interval"][1]
        assert fact["auroc_interval"][0] <= fact["auroc"] <= fact["auroc_interval"][1]
        assert abs(1 - fact["fpr_at_95"] - fact["refused"]) < 0.02  # 5% of the run's own are refused
    named = set(result.facts["mostly_answered"])
    assert named == {name for name, fact in kinds.items() if fact["refused"] < 0.45 or name in named}
    assert result.verdict == ("found" if named else "clear")
    table = result.evidence[0]
    assert isinstance(table, EvidenceTable)
    assert {row[0] for row in table.rows} == set(kinds)
    without = check_other_images(dataclasses.replace(subject, predictor=None))
    assert without.verdict == "not examined"


def test_kinds_have_the_form_and_the_tones_of_the_dataset(subject: AuditSubject) -> None:
    small = OtherKinds(subject.dataset, 20)
    photos = Part(RANDOM.integers(0, 256, (30, 40, 48, 3)).astype(np.uint8), np.zeros(30, np.int32), ("cat", "dog"))
    white = Part(np.full((30, 28, 28), 250, np.uint8), np.zeros(30, np.int32), ("cat", "dog"))
    large, bright = (
        OtherKinds(dataclasses.replace(subject.dataset, train=part, classes=part.classes, name="folder:x"), 20)
        for part in (photos, white)
    )
    for kinds, shape, top in ((small, (8, 8), 16), (large, (40, 48, 3), 255), (bright, (28, 28), 255)):
        for name in kinds.names():
            found = kinds.pictures(name)
            assert found.dtype == np.uint8
            assert found.shape == (20, *shape)
            assert found.max() <= top
            assert np.array_equal(found, kinds.pictures(name))
    assert {"digits", "letters"} <= set(large.names())
    letters = bright.pictures("letters")
    assert np.median(letters[:, 0]) == 250  # on the dataset's white
    assert letters.min() < 100
    for classes, kind in (
        (("a", "b", "c"), "letters"),
        (("T-shirt/top", "Long pants"), "clothes"),
        (("zero", "One"), "digits"),
    ):
        others = OtherKinds(dataclasses.replace(subject.dataset, classes=classes), 20)
        assert others.left_out == (kind,)
        assert kind not in others.names()


def test_the_area_is_that_of_scikit_learn_and_its_interval_covers_the_truth() -> None:
    from scipy.stats import norm
    from sklearn.metrics import roc_auc_score

    covered = 0
    truth = norm.cdf(1.5 / np.sqrt(2))
    for _ in range(400):
        own, others = RANDOM.normal(1.5, 1, 80), RANDOM.normal(0, 1, 60)
        found = Auroc.of(own, others)
        covered += found.interval.low <= truth <= found.interval.high
    assert found.value == pytest.approx(roc_auc_score([1] * 80 + [0] * 60, np.concatenate([own, others])))
    assert 0.91 * 400 <= covered <= 0.985 * 400
    tied = np.array([1, 2, 2, 3]), np.array([0, 2, 2, 1])
    assert Auroc.of(*tied).value == pytest.approx(roc_auc_score([1] * 4 + [0] * 4, np.concatenate(tied)))
    apart = Auroc.of(np.arange(100.0) + 100, np.arange(50.0))
    assert apart.value == 1
    assert apart.interval == pytest.approx((1 - 3 / 50, 1))


def test_what_is_answered_at_a_share_of_false_alarms() -> None:
    own = AnswerNumbers(np.zeros((100, 2)), np.arange(100) / 100, np.zeros(100, np.bool_))
    others = AnswerNumbers(np.zeros((4, 2)), np.array([0.0, 0.04, 0.05, 0.9]), np.zeros(4, np.bool_))
    kind = KindAnswers("made up", np.zeros((4, 2, 2), np.uint8), others, own)
    assert kind.answered_at(0.05) == 0.5  # 5 of the own, up to 0.04, are refused
    assert kind.answered_at(0) == 1
    assert kind.answered_at(0.95) == 0
