"""The sealed test set: closed while training, opened once and on record, and never counted twice."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import pytest

import fittingroom as fr
from fittingroom.api.run import Run
from fittingroom.data import load as sealing
from fittingroom.data.dataset import Dataset, Part, SealedTestSet
from fittingroom.data.load import load as unrecorded_load
from fittingroom.errors import DataError, RunError, StorageError
from fittingroom.evaluation.luck import Reuse, mean_correlation
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.ledger import Ledger, LedgerPlace
from fittingroom.runs.ledger_check import LedgerCheck
from fittingroom.runs.ledger_entries import Intent
from fittingroom.runs.looks import RunLooks
from tests.engine import models

pytestmark = pytest.mark.usefixtures("quick_compiler")

Array = np.ndarray[Any, Any]
TINY = fr.Recipe(name="tiny", hidden=(8,), epochs=2, batch_size=64)


class MustStayClosed(SealedTestSet):
    """A test set that nobody may open."""

    def open(self, reason: str) -> NoReturn:
        raise AssertionError


def sealed_for_good(dataset: Dataset) -> Dataset:
    """The dataset with a test set that cannot be opened, and whose labels would be wrong besides."""
    part = Part(dataset.train.images[:360] * 0, dataset.train.labels[:360] * 0, dataset.classes, dataset.scale)
    return replace(dataset, test=MustStayClosed(part, dataset.test.fingerprint))


def test_nothing_in_training_opens_the_test_set_or_depends_on_it(digits: Dataset) -> None:
    closed = sealed_for_good(digits)
    with pytest.raises(AssertionError):
        closed.test.open("a look")
    for run, open_run in (
        (fr.train(closed, TINY), fr.train(digits, TINY)),
        (fr.fit(models.small(), closed, verbose=0), fr.fit(models.small(), digits, verbose=0)),
    ):
        for name in ("history.csv", "outcomes.npz"):
            assert (SeedFiles(run.path).folder / name).read_bytes() == (
                SeedFiles(open_run.path).folder / name
            ).read_bytes()
        for mine, other in zip(run.model.get_weights(), open_run.model.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)
        run.predict(digits.train.images[:5])
        fr.open_run(run.path).predict(digits.train.images[:5])
        assert run.record.looks == ()
    assert digits.test.openings == ()


def test_the_score_is_that_of_the_test_images(digits: Dataset) -> None:
    run = fr.train(digits, TINY)
    result = run.evaluate()
    test = fr.load("digits").test.open("to check the score")
    probabilities = run.model.predict(test.x, verbose=0).astype(np.float64)
    assert result.scores.correct == int((probabilities.argmax(axis=1) == test.labels).sum())
    assert result.scores.count == 360
    expected = -np.log(probabilities[np.arange(360), test.labels]).mean()
    assert result.scores.loss == pytest.approx(expected, abs=1e-5)
    assert len(digits.test.openings) == 1


def test_a_fitted_model_is_scored_on_the_same_images(digits: Dataset) -> None:
    model = models.small()
    run = fr.fit(model, digits, epochs=3, verbose=0)
    scores = run.evaluate().scores
    test = fr.load("digits").test.open("to check the score")
    loss, accuracy = model.evaluate(test.x, test.y, verbose=0)
    assert scores.correct == round(accuracy * 360)
    assert scores.loss == pytest.approx(loss, abs=1e-5)
    assert fr.open_run(run.path).evaluate().scores == scores


def test_opening_is_on_record_before_any_score_is_computed(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fr.train(digits, TINY)

    def fail(self: Run, part: Part) -> NoReturn:
        (look,) = fr.open_run(self.path).record.looks
        assert (look.reason, look.score) == ("a look", None)
        raise RuntimeError("the power went out")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "score", fail)
        with pytest.raises(RuntimeError, match="the power went out"):
            run.evaluate("a look")
    assert [look.score for look in run.record.looks] == [None]
    assert run.evaluate("again").look == 1  # the same weights on the same images
    first, second = run.record.looks
    assert first.score is None
    assert second.score is not None


def test_a_look_that_cannot_be_recorded_is_not_taken(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fr.train(digits, TINY)

    def full(looks: RunLooks, reason: str, place: LedgerPlace) -> NoReturn:
        raise OSError("the disk is full")

    monkeypatch.setattr(RunLooks, "add", full)
    with pytest.raises(OSError, match="the disk is full"):
        run.evaluate()
    assert digits.test.openings == ()


@pytest.mark.parametrize("content", [None, b"no ledger"])
def test_without_a_ledger_the_test_set_stays_closed(
    digits: Dataset, tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fr.train(digits, TINY)
    place = tmp_path / "place"
    if content is not None:
        place.write_bytes(content)
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(place if content else tmp_path))
    monkeypatch.setattr(Run, "score", lambda self, part: pytest.fail("it was opened"))
    for look in (run.evaluate, lambda: digits.test.open("by hand"), lambda: fr.load("digits").test.open("by hand")):
        with pytest.raises(StorageError, match=r"the ledger .* cannot be used.*Until then no test set is opened"):
            look()
    assert digits.test.openings == ()
    assert run.record.looks == ()


def test_a_look_is_in_the_ledger_with_its_run_and_its_score(digits: Dataset) -> None:
    run = fr.train(digits, TINY, seed=4)
    result = run.evaluate("the final score")
    (look,) = Ledger.of_user().looks()
    assert look.known_as == {look.test_set, digits.test.fingerprint}
    digest, weights = Intent.digest_of(run.record.recipe), run.record.weights_sha256
    assert look.intent == Intent(
        "digits", 360, "the final score", str(run.path), "tiny", digest, 4, weights, digits.test.fingerprint
    )
    assert look.score is not None
    assert (look.score["correct"], look.score["loss"]) == (result.scores.correct, result.loss)
    (own,) = run.record.looks
    assert (own.number, own.hash) == (1, look.hash)


def test_opening_by_hand_is_a_look_too(digits: Dataset) -> None:
    digits.test.open("to see them")
    (look,) = Ledger.of_user().looks()
    intent = Intent("digits", 360, "to see them", fingerprint=digits.test.fingerprint)
    assert (look.look, look.intent) == (1, intent)
    assert fr.train(digits, TINY).evaluate().look == 2


def test_an_inspection_gives_images_only_and_is_recorded_as_no_look(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = digits.test.inspect("a search for duplicates")
    assert images.shape == (360, 8, 8)
    assert not images.flags.writeable
    (inspection,) = Ledger.of_user().inspections()
    intent = Intent("digits", 360, "a search for duplicates", fingerprint=digits.test.fingerprint)
    assert inspection.intent == intent
    assert (Ledger.of_user().looks(), digits.test.openings, len(digits.test.inspections)) == ([], (), 1)
    assert "0 looks in the ledger" in repr(digits.test)
    run = fr.train(digits, TINY)
    assert (run.look_cost.looks, run.look_cost.own) == (0, 1)
    assert run.evaluate().look == 1
    with pytest.raises(DataError, match="without a reason"):
        digits.test.inspect(" ")
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path))
    with pytest.raises(StorageError, match="cannot be used"):
        digits.test.inspect("where nothing can record it")
    with pytest.raises(DataError, match=r"nothing records inspections.*fittingroom\.load"):
        unrecorded_load("digits").test.inspect("where nothing records it")
    assert len(digits.test.inspections) == 1


def test_copied_and_renamed_data_are_the_same_test_set(tmp_path: Path) -> None:
    assert repr(fr.load("digits").test) == "SealedTestSet(360 images, opened 0 times from here; 0 looks in the ledger)"
    fr.load("digits").test.open("the same images and labels under another name")
    assert "opened 0 times from here; 1 look in the ledger)" in repr(fr.load("digits").test)
    for number, name in enumerate(("first", "second"), start=2):
        (tmp_path / name).mkdir()
        assert fr.train(npz_dataset(tmp_path / name), TINY, seed=number).evaluate().look == number


def test_results_carry_the_looks_so_far_and_their_luck(digits: Dataset) -> None:
    runs = [fr.train(digits, TINY, seed=seed) for seed in (0, 1)]
    first, second = [run.evaluate() for run in runs]
    assert (first.look, first.reuse, first.luck) == (1, Reuse(1), 0)
    outcomes = [run.outcomes for run in runs]
    right = [one.predicted[-1] == one.labels for one in outcomes if one is not None]
    mean = (first.accuracy + second.accuracy) / 2
    assert (second.reuse.looks, second.reuse.correlation) == (2, mean_correlation(right))
    assert second.reuse.mean == pytest.approx(mean)
    assert second.luck == pytest.approx(Reuse(2, second.reuse.correlation, mean).luck(mean, 360))
    assert second.luck > 0
    again = runs[0].evaluate()
    assert (again.scores, again.look, again.reuse) == (first.scores, 1, second.reuse)
    assert "look 1 of 2 at this test set; best of 2 looks: about +" in str(again)


def test_without_validation_the_runs_are_taken_as_independent() -> None:
    results = [fr.train("digits", TINY, seed=seed, validation=0).evaluate() for seed in (0, 1)]
    assert (results[1].reuse.looks, results[1].reuse.correlation) == (2, None)
    assert "at most about" in str(results[1])


def test_a_stored_score_is_shown_when_its_ledger_is_gone(digits: Dataset, tmp_path: Path) -> None:
    run = fr.train(digits, TINY)
    first = run.evaluate()
    (tmp_path / "ledger.sqlite").unlink()
    again = run.evaluate()
    assert (again.scores, again.look, again.reuse) == (first.scores, None, Reuse(1))
    assert "a look that is not in the ledger" in str(again)


KILLED_BEFORE_THE_SCORE = """
import os, signal, sys
import fittingroom as fr
from fittingroom.api.run import Run
Run.score = lambda self, part: os.kill(os.getpid(), signal.SIGKILL)
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        fr.open_run(sys.argv[1]).evaluate("a look")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
"""


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_an_evaluation_that_is_killed_before_its_score_is_a_look(digits: Dataset, kills: int) -> None:
    run = fr.train(digits, TINY)
    killing = [sys.executable, "-c", KILLED_BEFORE_THE_SCORE, str(run.path), str(kills)]
    subprocess.run(killing, check=True, timeout=300)
    looks = Ledger.of_user().looks()
    assert [(look.look, look.score) for look in looks] == [(1, None)] * kills  # the same weights each time
    assert [look.hash for look in run.record.looks] == [look.hash for look in looks]
    assert LedgerCheck.of(Ledger.of_user()).problem is None
    assert run.evaluate().reuse == Reuse(1)


def test_a_second_evaluation_gets_the_stored_score_and_is_not_a_new_look(digits: Dataset) -> None:
    run = fr.train(digits, TINY)
    first = run.evaluate("the final score")
    for again in (run.evaluate("once more"), fr.open_run(run.path).evaluate()):
        assert again == first
    assert len(run.record.looks) == 1
    assert len(digits.test.openings) == 1


def test_a_run_on_arrays_has_no_test_set_and_says_what_to_do(digits: Dataset) -> None:
    run = fr.fit(models.small(), digits.train.x[:44], digits.train.y[:44], verbose=0)
    with pytest.raises(RunError, match=r"trained on plain arrays.*Train on a dataset \(fittingroom\.load\)"):
        run.evaluate()
    assert run.record.looks == ()


def write_npz(path: Path, x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> None:
    np.savez(path, allow_pickle=False, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def npz_dataset(folder: Path, flip: int | None = None) -> str:
    """A file of digits, in which one test label may be another. To write it is no look."""
    data = sealing.load("digits")
    test = data.test.open("to write a file")
    labels = test.labels.copy()
    if flip is not None:
        labels[flip] = (labels[flip] + 1) % 10
    write_npz(folder / "data.npz", data.train.images, data.train.labels, test.images, labels)
    return f"npz:{folder / 'data.npz'}"


def test_data_that_have_changed_since_are_refused_and_no_look_is_recorded(tmp_path: Path) -> None:
    run = fr.train(npz_dataset(tmp_path), TINY)
    npz_dataset(tmp_path, flip=17)
    with pytest.raises(RunError, match=r"is not the one that this run was trained on.*have changed since"):
        fr.open_run(run.path).evaluate()
    assert run.record.looks == ()
    npz_dataset(tmp_path)
    assert fr.open_run(run.path).evaluate().look == 1


def test_a_look_without_a_reason_is_refused(digits: Dataset) -> None:
    run = fr.train(digits, TINY)
    with pytest.raises(DataError, match="without a reason"):
        run.evaluate(" ")
    assert run.record.looks == ()


def test_the_record_of_a_look_is_plain_json(digits: Dataset) -> None:
    run = fr.train(digits, TINY)
    run.evaluate("the final score")
    (look,) = json.loads((SeedFiles(run.path).folder / "run.json").read_text())["looks"]
    assert look["reason"] == "the final score"
    assert look["score"]["count"] == 360
    assert sum(map(sum, look["score"]["confusion"])) == 360


def test_a_model_of_two_classes_on_one_output_is_scored(tmp_path: Path) -> None:
    data = fr.load("digits")
    test = data.test.open("to write a file")
    path = tmp_path / "two.npz"
    write_npz(path, data.train.images, data.train.labels % 2, test.images, test.labels % 2)
    model = models.small(outputs=1, activation="sigmoid", loss="binary_crossentropy", optimizer="adam")
    dataset = fr.load(f"npz:{path}")
    run = fr.fit(model, dataset, epochs=3, verbose=0)
    scores = run.evaluate().scores
    outputs = np.asarray(keras.ops.reshape(model(test.images / np.float32(dataset.scale)), -1))
    assert scores.correct == int(((outputs > 0.5) == (test.labels % 2)).sum())
