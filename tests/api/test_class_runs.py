"""Runs of students: taken in as data, scored again, and scored on a test set that students do not have."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.api.class_runs import ImportedRun, import_runs
from fittingroom.cli.main import main
from fittingroom.errors import DataError
from fittingroom.runs.run_notes import ORIGIN_NAME, Origin, RunNotes

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of two students, in folders of their own, trained with the same name."""
    folder = tmp_path_factory.mktemp("students")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(folder / "ledger.sqlite"))
        patch.setenv("FITTINGROOM_RUNS_DIR", str(folder / "none"))
        for name, more in (("anna", ["--epochs", "3"]), ("ben", ["--epochs", "1", "--seeds", "2"])):
            out = folder / name / "my-run"
            out.parent.mkdir()
            assert main(["train", "digits", *more, "--out", str(out), "--json"]) == 0
        assert main(["evaluate", str(folder / "anna" / "my-run"), "--json"]) == 0
    return folder


@pytest.fixture
def copied(students: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(students, tmp_path / "class", ignore=shutil.ignore_patterns("*.sqlite")))


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder.parent))
    return path


def taken(found: list[ImportedRun]) -> dict[str, Path]:
    return {one.called: one.run for one in found if one.run is not None}


def test_a_class_is_taken_in_from_a_folder_or_an_archive_of_archives(
    copied: Path, runs_dir: Path, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    runs = taken(import_runs(copied, advanced=lambda *step: steps.append(step)))
    assert runs == {"anna": runs_dir / "anna", "ben": runs_dir / "ben"}
    assert steps == [(1, 2), (2, 2)]
    outer = tmp_path / "hand-ins.zip"
    with zipfile.ZipFile(outer, "w") as archive:  # as learning platforms pack them
        for name in ("anna", "ben"):
            archive.write(zipped(copied / name, tmp_path / f"{name}.zip"), f"{name.title()} 12_file_/run.zip")
        archive.writestr("Cleo 13_file_/run.zip", b"PK\x03\x04 damaged")
        archive.writestr("__MACOSX/x", b"")
    found = import_runs(outer)
    assert [one.run is not None for one in found] == [False, True, True]
    assert "cut off or damaged" in found[0].sentence
    assert RunNotes.read(found[1].run or Path()).title == "Anna 12_file_"
    assert "handed in twice" in found[1].sentence
    again = import_runs(outer)
    assert all("is here already" in one.sentence for one in again[1:])
    assert len([path for path in runs_dir.iterdir() if path.is_dir()]) == 4  # nothing half-made is left


def test_scores_are_those_of_the_weights_and_looks_stay_their_authors(copied: Path, runs_dir: Path) -> None:
    before = fr.open_run(copied / "anna" / "my-run")
    validation = before.record.validation
    assert validation is not None
    (path,) = taken(import_runs(copied / "anna")).values()
    run, origin = fr.open_run(path), Origin.read(path)
    assert origin is not None
    assert (origin.claimed, origin.found, origin.looks, origin.notes) == (
        validation.accuracy,
        validation.accuracy,
        1,
        (),
    )
    assert run.record.looks == ()
    assert run.record.validation is not None
    assert run.record.validation.accuracy == validation.accuracy
    assert run.explain() is not None
    assert run.evaluate().look == 1  # here it is the first


def test_a_forged_record_is_found_and_said(copied: Path, runs_dir: Path) -> None:
    record = copied / "anna" / "my-run" / "seed-0" / "run.json"
    stored = json.loads(record.read_text())
    true = stored["validation"]["accuracy"]
    stored["validation"] |= {"accuracy": 0.999, "interval": [0.99, 1.0]}
    record.write_text(json.dumps(stored))
    (found,) = import_runs(copied / "anna")
    assert found.origin is not None
    assert (found.origin.claimed, found.origin.found) == (0.999, true)
    assert "Its files claim 99.90%; its weights reach" in found.sentence
    assert f"{true:.2%}" in found.sentence


def test_forged_outcomes_are_found_too(copied: Path, runs_dir: Path) -> None:
    file = copied / "anna" / "my-run" / "seed-0" / "outcomes.npz"
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["kept_predicted"] = arrays["labels"].astype(np.uint8)
    np.savez(file, **arrays)
    (found,) = import_runs(copied / "anna")
    assert "Its files claim" in found.sentence
    assert found.run is not None
    outcomes = fr.open_run(found.run).outcomes
    assert outcomes is not None
    assert outcomes.kept is not None
    assert outcomes.kept.accuracy < 1
    file.write_bytes(b"nonsense")
    shutil.rmtree(found.run)
    assert import_runs(copied / "anna")[0].run is not None  # what can be computed again is not needed


def test_nothing_but_the_files_of_a_run_is_taken(copied: Path, runs_dir: Path, tmp_path: Path) -> None:
    run = copied / "anna" / "my-run"
    (tmp_path / "secret").write_text("secret")
    (run / "evil.py").write_text("raise SystemExit")
    (run / "judgement.npz").write_bytes(b"x")
    (run / "seed-0" / "history.csv").unlink()
    (run / "seed-0" / "history.csv").symlink_to(tmp_path / "secret")
    (run / ORIGIN_NAME).write_text('{"claimed": 1}')
    RunNotes.change(run, title="Best", tags=["mine"])
    (found,) = import_runs(copied / "anna")
    assert found.run is not None
    names = {path.name for path in found.run.rglob("*") if not path.name.startswith("images-")}
    assert names == {
        "run.json",
        "seed-0",
        "notes.json",
        "imported.json",
        "model.json",
        "weights.safetensors",
        "outcomes.npz",
    }
    assert RunNotes.read(found.run).tags == ("mine",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda stored: stored["data"].update(name="folder:/etc", load={"name": "folder:/etc"}), "not opened unasked"),
        (lambda stored: stored["data"].update(load=None), "plain arrays"),
        (lambda stored: stored["data"].update(fingerprint="0" * 64), "is not the one that this run was trained on"),
        (lambda stored: stored.update(weights_sha256="0" * 64), "not those that were written"),
        (lambda stored: stored["data"]["load"].update(validation="none"), "anna is not taken in"),
        (lambda stored: stored.pop("data"), "damaged"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_a_sentence(
    copied: Path, runs_dir: Path, change: object, said: str
) -> None:
    record = copied / "anna" / "my-run" / "seed-0" / "run.json"
    stored = json.loads(record.read_text())
    change(stored)  # type: ignore[operator]
    record.write_text(json.dumps(stored))
    found = import_runs(copied)
    assert [one.run is not None for one in found] == [False, True]  # and Ben's is taken in all the same
    assert said in found[0].sentence
    assert sorted(path.name for path in runs_dir.iterdir() if path.is_dir()) == ["ben"]


def test_a_record_opens_no_folder_of_ours_under_the_name_of_a_known_dataset(copied: Path, runs_dir: Path) -> None:
    record = copied / "anna" / "my-run" / "seed-0" / "run.json"
    stored = json.loads(record.read_text())
    stored["data"]["load"] |= {"name": f"folder:{copied}", "data_dir": str(copied)}
    record.write_text(json.dumps(stored))
    (found,) = import_runs(copied / "anna")
    assert found.run is not None
    load = fr.open_run(found.run).record.data.load
    assert load is not None
    assert (load["name"], load["data_dir"]) == ("digits", None)


def test_a_folder_without_runs_is_said(runs_dir: Path, tmp_path: Path) -> None:
    for source in (tmp_path / "nothing", tmp_path):
        with pytest.raises(DataError):
            import_runs(source)


def test_the_class_on_a_leaderboard_by_commands(
    copied: Path, runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "--import", str(copied / "anna"), str(copied / "ben")]) == 0
    assert "anna is taken in as anna" in capsys.readouterr().out
    boards = fr.leaderboard(["anna", "ben"])
    assert [place.contender.name for place in boards.boards[0].places] == ["anna", "ben"]
    assert main(["runs"]) == 0
    assert "anna: imported from anna" in capsys.readouterr().out


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images that no student has: those of digits, each turned a little darker, as a file with names of classes."""
    path = tmp_path_factory.mktemp("teacher") / "hidden.npz"
    data = fr.load("digits")
    images, labels = np.asarray(data.train.images)[:400] // 2 * 2, data.train.labels[:400]
    np.savez(path, x_train=images, y_train=labels)
    return path


def test_a_class_is_scored_on_a_test_set_that_it_does_not_have(
    copied: Path, runs_dir: Path, hidden: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_runs(copied)
    anna, ben = fr.open_run("anna"), fr.open_run("ben")
    first = anna.evaluate("the class", on=str(hidden))
    assert (first.scores.count, first.look, first.luck) == (400, 1, 0.0)  # all of it: the file has no test part
    assert anna.evaluate("again", on=str(hidden)).look == 1  # it has its score: no further look
    both = ben.evaluate("the class", on=str(hidden))
    assert [both[index].look for index in range(2)] == [2, 3]
    assert both.luck > 0
    assert anna.record.looks == ()  # they are not looks at the run's own test set
    assert anna.evaluate().look == 1
    assert main(["ledger", "--verify"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "anna", "--on", str(hidden), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["dataset"], told["test"]["look"], told["test"]["looks"]) == (str(hidden), 1, 3)
    assert main(["evaluate", "ben", "--on", str(hidden), "--cost"]) == 0
    assert "400 images and has had 3 looks so far.\nAll these runs have their score" in capsys.readouterr().out
    assert main(["evaluate", "anna", "--on", str(hidden), "--data", "digits"]) == 2


def test_a_score_on_another_test_set_is_believed_only_where_the_ledger_has_it(
    copied: Path, runs_dir: Path, hidden: Path
) -> None:
    import_runs(copied / "anna")
    run = fr.open_run("anna")
    run.evaluate("the class", on=str(hidden))
    file = run.path / "seed-0" / "scored_on.json"
    stored = json.loads(file.read_text())
    stored["test_sets"][0]["looks"][0]["score"]["correct"] -= 9
    file.write_text(json.dumps(stored))
    with pytest.raises(fr.RunError, match="not believed"):
        run.evaluate("again", on=str(hidden))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda arrays: arrays.update(x_train=arrays["x_train"][:, :7]),
            "7 × 8 pixels in grey",
        ),
        (
            lambda arrays: arrays.update(y_train=arrays["y_train"] % 5),
            "it lacks 5, 6, 7, 8 and 9",
        ),
        (lambda arrays: arrays.update(x_train=arrays["x_train"] * 15), "go up to 255"),
    ],
    ids=["size", "classes", "range"],
)
def test_images_that_the_run_cannot_take_are_refused_before_a_look(
    copied: Path, runs_dir: Path, hidden: Path, tmp_path: Path, change: object, said: str
) -> None:
    import_runs(copied / "anna")
    with np.load(hidden) as stored:
        arrays = dict(stored)
    change(arrays)  # type: ignore[operator]
    np.savez(tmp_path / "other.npz", **arrays)
    run = fr.open_run("anna")
    with pytest.raises(fr.RunError, match=said):
        run.evaluate("the class", on=str(tmp_path / "other.npz"))
    assert not (run.path / "seed-0" / "scored_on.json").exists()
    with pytest.raises(fr.RunError, match="own test set"):
        run.evaluate("the class", on="digits")
