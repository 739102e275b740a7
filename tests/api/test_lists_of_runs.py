"""Runs that were trained with a reviewed list keep what it changed: they need neither the list nor its place again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.api.run import Run
from fittingroom.audits.check import CheckResult, Finding
from fittingroom.audits.export import review_rows, write_findings
from fittingroom.cli.main import main
from fittingroom.data.review_list import ReviewList
from fittingroom.errors import DataError, InputError, RunError
from fittingroom.runs.ledger import Ledger
from fittingroom.runs.validation_outcomes import ValidationOutcomes
from tests.api.stopping import Crash, CrashIn, assert_same_training

TINY = {"hidden": [8], "epochs": 2}


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """What a check found in digits, as a person decided: one image is left out, one gets another label, one stays."""
    data = fr.load("digits")
    assert data.validation is not None
    findings = (
        Finding("train", 3, "a blank image", data.classes[data.train.labels[3]]),
        Finding("validation", 2, "a wrong label", data.classes[data.validation.labels[2]], "8", 0.9),
        Finding("train", 9, "a wrong label", data.classes[data.train.labels[9]], "1", 0.4),
        Finding("test", 5, "a copy", other=("train", 7)),
    )
    result = CheckResult("labels", "Labels", "found", ("Three.",), findings=findings)
    path = tmp_path / "found.csv"
    assert write_findings(path, data, [result]) == 4
    text = path.read_text()
    assert "test,5,,,,,,a copy,train " in text
    with pytest.raises(DataError, match="nobody has reviewed"):
        fr.train("digits", TINY, exclude=path)
    decided = {"a blank image": "exclude", "0.9": "relabel", "0.4": "keep", "a copy": "exclude"}
    lines = [
        next((f"{line.removesuffix(',,')},{said}," for what, said in decided.items() if what in line), line)
        for line in text.splitlines()
    ]
    path.write_text("\n".join(lines))
    return path


def test_a_run_with_lists_is_trained_scored_replayed_and_moved_without_them(reviewed: Path, tmp_path: Path) -> None:
    plain = fr.load("digits")
    run = fr.train("digits", TINY, exclude=reviewed, relabel=reviewed, out=tmp_path / "run")
    record = run.record
    assert record.data.counts["train"] == len(plain.train) - 1
    assert record.data.fingerprint != plain.fingerprint
    assert record.data.test_fingerprint == plain.test.fingerprint
    said = "By the list found.csv: left out 1 training image; new labels for 1 validation image. The test part stays"
    assert any(note.startswith(said) for note in record.notes)
    reviewed.unlink()
    assert fr.replay(run.path).same
    moved = Path(shutil.move(run.path, tmp_path / "moved"))
    assert fr.open_run(moved).evaluate().scores.count == 360
    assert len(Ledger.of_user().looks()) == 1
    loaded = record.data.load_again()
    assert plain.validation is not None
    assert loaded.validation is not None
    assert (loaded.validation.labels != plain.validation.labels).sum() == 1
    np.testing.assert_array_equal(loaded.validation.images, plain.validation.images)
    with pytest.raises(RunError, match="not the one that this run was trained on"):
        record.data.load_again(plain)
    # The rows of an audit of this run name the same images as those of an audit of the files.
    result = CheckResult("x", "X", "found", ("One.",), findings=(Finding("train", 3, "the image after the excluded"),))
    (row,) = review_rows(loaded, [result])
    (before,) = review_rows(plain, [CheckResult("x", "X", "found", ("One.",), findings=(Finding("train", 4, ""),))])
    assert (row.index, row.image) == (before.index, before.image)


def test_a_stopped_training_with_a_list_continues_without_it(reviewed: Path, tmp_path: Path) -> None:
    whole = fr.train("digits", TINY, exclude=reviewed, out=tmp_path / "whole")
    with pytest.raises(Crash):
        fr.train("digits", TINY, exclude=reviewed, progress=CrashIn(1), out=tmp_path / "stopped")
    reviewed.unlink()
    assert_same_training(fr.resume(tmp_path / "stopped"), whole)


def test_the_command_takes_lists_and_a_loaded_dataset_has_its_own(
    reviewed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ["--set", "hidden=8", "--epochs", "1", "--exclude", str(reviewed), "--out", str(out), "--json"]
    assert main(["train", "digits", *options]) == 0
    stored = json.loads((out / "seed-0" / "run.json").read_text())["data"]["load"]["exclude"]
    assert ReviewList.read(reviewed).sha256 == stored["sha256"]
    assert len(stored["rows"].split()) == 2  # the wrong label too, since nothing corrects it
    assert f"--exclude {reviewed}" in fr.open_run(out).explain().to_dict()["run"]["command"]
    capsys.readouterr()
    assert main(["train", "digits", "--relabel", str(tmp_path / "gone.csv")]) == 2
    assert "cannot read the list" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"exclude says how to load.*loaded already"):
        fr.train(fr.load("digits"), TINY, exclude=reviewed)
    assert isinstance(fr.train(fr.load("digits", exclude=reviewed), TINY), Run)


def test_runs_with_a_list_and_without_are_compared_on_the_images_that_both_have(reviewed: Path, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("plain", "excluded", "relabelled", "excluded-too")]
    lists: list[dict[str, Any]] = [{}, {"exclude": reviewed}, {"relabel": reviewed}, {"exclude": reviewed}]
    runs = [fr.train("digits", TINY, out=path, **given) for path, given in zip(paths, lists, strict=True)]
    for chosen, left_out in (((0, 1), 1), ((1, 0, 2), 1), ((0, 2), 1)):
        found = fr.compare([paths[place] for place in chosen])
        assert found.images == 120 - left_out
        assert "on the 119 images that all have with the same label; 1 are left out" in found.notes[0]
    right = [ValidationOutcomes.read(run[0].path).kept.right for run in runs]
    both = fr.compare(paths[:2]).contenders
    assert (both[0].correct[0] == np.delete(right[0], 2)).all()
    assert (both[1].correct[0] == right[1]).all()
    same = fr.compare([paths[1], paths[3]])
    assert same.images == 119
    assert not any("Reviewed lists" in note for note in same.notes)
    fr.report(paths[:2], tmp_path / "page.html")
    with pytest.raises(InputError, match="cannot be compared"):
        fr.compare([paths[0], fr.train("digits", TINY, exclude=reviewed, validation=60, out=tmp_path / "cut").path])


def test_a_record_from_elsewhere_names_no_list_to_be_opened(reviewed: Path, tmp_path: Path) -> None:
    path = fr.train("digits", TINY, exclude=reviewed, out=tmp_path / "run").path / "seed-0" / "run.json"
    stored = json.loads(path.read_text())
    for value in ("/etc/passwd", {"file": "x", "sha256": "", "rows": "/etc"}, {"rows": "1"}, 3):
        stored["data"]["load"]["exclude"] = value
        path.write_text(json.dumps(stored))
        with pytest.raises(RunError, match=r"damaged.*exclude"):
            fr.open_run(tmp_path / "run").evaluate()
    assert Ledger.of_user().looks() == []
