from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from fittingroom.errors import InputError, RunError, UnknownNameError
from fittingroom.evaluation.scores import Scores
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.reports.facts.explanation import Explanation, explain
from fittingroom.reports.facts.subject import Subject
from fittingroom.runs.layout import RunContents
from fittingroom.runs.record import Look, PartResult
from tests.evaluation.examples import any_trajectories, is_json, trajectories_of
from tests.reports.builders import contents_of, course_of, history_of, outcomes_of, subject_of, written

RISING = [0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0]


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))


def with_loss(contents: RunContents, row: int, value: float) -> RunContents:
    """The same with one loss replaced."""
    assert contents.outcomes is not None
    loss = contents.outcomes.loss.copy()
    loss[row, 0] = value
    return replace(contents, outcomes=replace(contents.outcomes, loss=loss))


@given(any_trajectories())
@settings(deadline=None, max_examples=25)
def test_facts_of_any_training_are_plain_json_and_all_ledgers_sum(trajectories: Trajectories) -> None:
    facts = Explanation.of(subject_of(trajectories)).facts
    assert is_json(facts)
    for ledger in [*facts["changes"].values(), *facts["ledgers"]["to_last"], *facts["ledgers"]["to_best_loss"]]:
        assert sum(group["count"] for group in ledger["groups"]) == trajectories.images
        total = sum(group["nats"] for group in ledger["groups"])
        assert total == pytest.approx(ledger["loss_change"], rel=1e-9, abs=1e-9 * max(ledger["loss"]) + 1e-12)
    for split in facts["per_seed"][0]["calibration"]:
        assert split["refinement"] + split["overconfidence"] == pytest.approx(split["loss"])


def test_a_run_from_its_folder_tells_what_was_stored(tmp_path: Path) -> None:
    trajectories = course_of(RISING)
    facts = explain(written(tmp_path / "run", contents_of(trajectories))).facts
    assert facts["run"]["seeds"] == [0]
    assert facts["data"]["validation_images"] == 2000
    assert facts["data"]["validation_per_class"] == np.bincount(trajectories.labels).tolist()
    assert facts["per_seed"][0]["history"][0]["epoch"] == 1
    assert facts["per_seed"][0]["validation_loss"] == pytest.approx(trajectories.mean_loss, rel=1e-6)
    assert facts["per_seed"][0]["best_loss_epoch"] == 3
    assert facts["example"] == {
        "index": 0,
        "seed": 0,
        "why": "the only seed",
        "shown_epoch": 7,
        "kept": True,
    }
    assert facts["missing"] == {}
    assert [one["name"] for one in facts["images"]][:2] == ["largest loss", "confident mistakes"]


def test_of_several_seeds_the_one_with_the_median_loss_is_shown_image_by_image(tmp_path: Path) -> None:
    runs = [contents_of(course_of([1.0, last]), seed) for seed, last in ((3, 4.0), (5, 1.2), (9, 2.0))]
    facts = explain(written(tmp_path / "run", *runs)).facts
    assert (facts["example"]["index"], facts["example"]["seed"]) == (2, 9)
    assert facts["run"]["seeds"] == [3, 5, 9]
    last = facts["curves"]["val_loss"][-1]
    losses = [training["validation_loss"][-1] for training in facts["per_seed"]]
    assert (last["low"], last["high"]) == pytest.approx((min(losses), max(losses)), rel=1e-6)
    assert facts["changes"]["best_loss"] == facts["per_seed"][2]["changes"]["best_loss"]
    assert facts["agreement"]["seeds"] == 3


def test_a_change_between_two_epochs_is_reported_on_request(tmp_path: Path) -> None:
    path = written(tmp_path / "run", contents_of(course_of(RISING)))
    asked = explain(path, 2, 5).facts["changes"]["asked"]
    assert (asked["start"], asked["end"]) == (2, 5)
    assert explain(path, end=5).facts["changes"]["asked"]["start"] == 3
    assert explain(path, start=2).facts["changes"]["asked"]["end"] == 7
    assert "asked" not in explain(path).facts["changes"]
    with pytest.raises(InputError, match="epoch 8 has no validation outcomes: expected 1, 2, 3, 4, 5, 6 or 7"):
        explain(path, 8)


def test_a_run_without_validation_images_says_how_to_have_some(tmp_path: Path) -> None:
    contents = contents_of(course_of(RISING))
    bare = replace(contents, record=replace(contents.record, validation=None), outcomes=None)
    path = written(tmp_path / "run", bare)
    assert "validation_split=0.1 in fit" in explain(path).facts["missing"]["validation"]
    with pytest.raises(
        InputError, match=r"has no validation images. Train with some \(--validation 0.1, .* explain it"
    ):
        Subject.read(path)


def test_a_run_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown run 'nothing'"):
        explain("nothing")


def test_an_epoch_whose_losses_are_not_finite_is_left_out_and_said(tmp_path: Path) -> None:
    contents = with_loss(contents_of(course_of(RISING)), 5, np.nan)
    facts = explain(written(tmp_path / "run", contents)).facts
    assert facts["per_seed"][0]["left_out_epochs"] == [6]
    assert facts["per_seed"][0]["validated_epochs"] == [1, 2, 3, 4, 5, 7]
    said = [sentence["text"] for sentence in facts["words"]]
    assert "Left out, because a loss is not finite: epoch 6 of seed 0." in said


def test_a_seed_without_finite_losses_is_left_out_and_said(tmp_path: Path) -> None:
    good, bad = contents_of(course_of([1.0, 2.0])), with_loss(contents_of(course_of([1.0]), 1), 0, np.inf)
    facts = explain(written(tmp_path / "run", good, bad)).facts
    assert facts["run"]["unusable_seeds"] == [1]
    assert len(facts["per_seed"]) == 1
    assert any("no epoch has finite losses: seed 1" in one["text"] for one in facts["words"])
    with pytest.raises(InputError, match="no epoch has only finite validation losses"):
        explain(written(tmp_path / "all-bad", bad))


def test_without_the_probabilities_of_all_classes_confidence_is_unknown_and_the_reason_is_said(tmp_path: Path) -> None:
    trajectories = course_of(RISING)
    old = replace(trajectories, log_probabilities=np.zeros((*trajectories.loss.shape, 0), np.float16))
    facts = explain(written(tmp_path / "run", contents_of(old))).facts
    assert facts["reliability"] is facts["brier"] is facts["calibration_curves"] is None
    assert facts["per_seed"][0]["calibration"] is None
    assert "did not store the probabilities of all classes" in facts["missing"]["calibration"]
    assert facts["missing"]["calibration"] in [sentence["text"] for sentence in facts["words"]]
    assert facts["changes"]["best_loss"]["start"] == 3


def test_a_loss_of_the_users_own_gives_no_gap(tmp_path: Path) -> None:
    contents = contents_of(course_of(RISING))
    rows = [(epoch, {**logs, "val_loss": 2 * logs["val_loss"]}) for epoch, logs in enumerate(contents.history.rows)]
    other = replace(contents, history=type(contents.history)(rows))
    facts = explain(written(tmp_path / "run", other)).facts
    assert facts["stopping"]["per_seed"][0]["gaps"] is None
    assert "not the cross-entropy" in facts["missing"]["gaps"]
    assert facts["stopping"]["training_loss"] is None


def test_a_model_without_an_accuracy_metric_is_explained_by_its_predictions(tmp_path: Path) -> None:
    trajectories = course_of(RISING)
    contents = contents_of(trajectories)
    record = contents.record
    assert record.validation is not None
    bare = replace(record, validation=replace(record.validation, accuracy=None, interval=None))
    facts = explain(written(tmp_path / "run", replace(contents, record=bare))).facts
    assert facts["classes"]["accuracy"] == pytest.approx(trajectories.accuracy[-1])


def test_restored_weights_are_shown_at_their_own_epoch(tmp_path: Path) -> None:
    trajectories = course_of(RISING)
    contents = contents_of(trajectories)
    kept = replace(contents.record, validation=record_at(trajectories, 2))
    restored = replace(contents, record=kept, outcomes=outcomes_of(trajectories, 2))
    facts = explain(written(tmp_path / "run", restored)).facts
    assert (facts["example"]["shown_epoch"], facts["example"]["kept"]) == (3, True)
    assert facts["classes"]["epoch"] == facts["reliability"]["epoch"] == 3
    assert facts["changes"]["best_loss"]["end"] == 7
    assert "The weights after epoch 3 were kept, not the last ones." in [one["text"] for one in facts["words"]]


def record_at(trajectories: Trajectories, row: int) -> PartResult:
    """The validation result of the weights after the epoch of a row."""
    right = int(trajectories.right[row].sum())
    return PartResult.held_out(float(trajectories.mean_loss[row]), right, trajectories.images)


@pytest.mark.parametrize(
    ("epoch", "views", "said"),
    [(None, 1, "The kept weights come from no single epoch"), (6, 6, "Each answer is the mean over 6 versions")],
)
def test_what_no_epoch_has_is_computed_from_the_kept_weights_themselves(
    tmp_path: Path, epoch: int | None, views: int, said: str
) -> None:
    trajectories, other = course_of(RISING), course_of([1.0])
    contents = contents_of(trajectories)
    assert contents.outcomes is not None
    row, labels = outcomes_of(other).row_as_kept(0), contents.outcomes.labels
    kept = replace(row, labels=labels, epoch=epoch, views=views)
    record = replace(
        contents.record, validation=PartResult.held_out(kept.mean_loss, int(kept.right.sum()), len(kept.labels))
    )
    facts = explain(
        written(tmp_path / "run", replace(contents, record=record, outcomes=replace(contents.outcomes, kept=kept)))
    ).facts
    assert facts["classes"]["accuracy"] == facts["reliability"]["accuracy"] == kept.accuracy
    assert facts["per_seed"][0]["shown"]["calibration"]["loss"] == kept.mean_loss
    assert facts["per_seed"][0]["shown"]["row"] is None
    assert facts["classes"]["as"] == "of the kept weights"
    assert facts["images"][0]["rule"] == "the loss of the kept weights, largest first"
    assert facts["images"][0]["images"][0]["loss"] == kept.loss.max()
    assert any(said in one["text"] for one in facts["words"])


def test_an_older_run_whose_kept_weights_are_not_known_says_what_it_is_about(tmp_path: Path) -> None:
    contents = contents_of(course_of(RISING))
    assert contents.record.validation is not None
    assert contents.outcomes is not None
    averaged = replace(contents.record, validation=replace(contents.record.validation, loss=0.123))
    old = replace(contents, record=averaged, outcomes=replace(contents.outcomes, kept=None))
    facts = explain(written(tmp_path / "run", old)).facts
    assert (facts["example"]["kept"], facts["example"]["shown_epoch"]) == (False, 7)
    said = [one["text"] for one in facts["words"]]
    assert any("its mean loss is 0.123 nats." in one for one in said)
    assert any("weights after epoch 7: an older version wrote this run" in one for one in said)


def test_where_a_loss_of_the_kept_weights_is_not_finite_the_last_finite_epoch_is_reported(tmp_path: Path) -> None:
    contents = contents_of(course_of(RISING))
    assert contents.outcomes is not None
    assert contents.outcomes.kept is not None
    loss = contents.outcomes.kept.loss.copy()
    loss[3] = np.nan
    kept = replace(contents.outcomes.kept, loss=loss)
    assert contents.record.validation is not None
    record = replace(contents.record, validation=replace(contents.record.validation, loss=None))
    facts = explain(
        written(tmp_path / "run", replace(contents, record=record, outcomes=replace(contents.outcomes, kept=kept)))
    ).facts
    said = [one["text"] for one in facts["words"]]
    assert any("its mean loss is not finite." in one for one in said)
    assert any("weights after epoch 7: the loss of an image is not finite with the kept weights" in one for one in said)
    assert is_json(facts)


def test_a_test_score_is_shown_with_its_look_and_opens_nothing(tmp_path: Path) -> None:
    contents = contents_of(course_of(RISING))
    score = Scores(0.4, ((10, 3), (1, 6)), ("a", "b")).to_dict()
    looked = replace(contents.record, looks=(Look("2026-03-05T12:00:00.000+00:00", "claim", score),))
    facts = explain(written(tmp_path / "run", replace(contents, record=looked))).facts
    assert facts["per_seed"][0]["test"]["score"]["accuracy"] == 0.8
    assert facts["per_seed"][0]["test"]["looks"] == 1
    assert facts["results"]["test"]["accuracy"]["mean"] == 0.8
    closed = explain(written(tmp_path / "closed", contents)).facts
    assert closed["per_seed"][0]["test"] is closed["results"]["test"] is None
    assert not (tmp_path / "ledger.sqlite").exists()


def test_seeds_that_saw_different_images_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "run", contents_of(course_of([1.0])), contents_of(course_of([1.0], seed=7), 1))
    with pytest.raises(InputError, match="its seeds were validated on different images"):
        explain(path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "run", contents_of(course_of([1.0])))
    (path / "seed-0" / "history.csv").write_text("nonsense")
    with pytest.raises(RunError, match=r"history\.csv"):
        explain(path)


def test_outcomes_of_more_classes_than_there_are_names_are_refused(tmp_path: Path) -> None:
    contents = contents_of(course_of([1.0]))
    few = replace(contents.record, data=replace(contents.record.data, classes=("only", "two")))
    with pytest.raises(InputError, match=r"expected .epochs, images, classes. = .1, 2000, 2."):
        Subject.read(written(tmp_path / "run", replace(contents, record=few)))


def test_training_losses_belong_to_the_validated_epochs(tmp_path: Path) -> None:
    every_second = trajectories_of(np.random.default_rng(0).normal(size=(2, 30, 3)), np.arange(30) % 3, epochs=(2, 4))
    history = history_of(every_second)
    rows = dict(zip(history.epoch, history.rows, strict=True))
    full = type(history)((epoch, rows.get(epoch, {"loss": 9.0})) for epoch in range(4))
    path = written(tmp_path / "run", replace(contents_of(every_second), history=full))
    assert Subject.read(path).trainings[0].training_loss == pytest.approx([1.0, 0.5])
