"""`fittingroom runs`: sorting, filtering, notes, deleting with a way back, and runs that are kept elsewhere."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from fittingroom.errors import RunError
from fittingroom.runs.overview import RunSummary, filter_runs, list_summaries, sort_runs
from fittingroom.runs.place import UNFINISHED_NAME
from fittingroom.runs.run_notes import NOTES_NAME, RunNotes
from fittingroom.runs.trash import delete_run, restore_run
from fittingroom.runs.unfinished import RunLock
from tests.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs in a folder, trained once for the module, and one beside it."""
    from fittingroom.cli.main import main

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_RUNS_DIR", str(folder / "runs"))
        patch.setenv("FITTINGROOM_LEDGER", str(folder / "ledger.sqlite"))
        for number, words in enumerate((["--epochs", "1"], ["--epochs", "3"], ["--epochs", "2", "--seeds", "2"])):
            where = ["--out", str(folder / "runs" / f"run-{number}")]
            assert main(["train", "digits", *words, *where, "--json"]) == 0
        assert main(["train", "digits", "--epochs", "1", "--out", str(folder / "models" / "elsewhere"), "--json"]) == 0
        assert main(["evaluate", str(folder / "runs" / "run-0"), "--json"]) == 0
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them for a test, which may change it."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    (tmp_path / "runs" / ".elsewhere").unlink()
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(trained / "ledger.sqlite"))
    return tmp_path / "runs"


def names(command: Command, *arguments: str) -> list[str]:
    return [Path(run["run"]).name for run in command("runs", "--json", *arguments).json["runs"]]


@pytest.mark.usefixtures("runs")
def test_runs_are_sorted_best_first_and_filtered_by_what_they_say(command: Command) -> None:
    assert names(command, "--sort", "epochs") == ["run-1", "run-2", "run-0"]
    assert names(command, "--sort=-epochs") == ["run-0", "run-2", "run-1"]
    accuracies = [run.accuracy for run in sort_runs(list_summaries(), "accuracy")]
    assert accuracies == sorted(accuracies, key=lambda one: -(one or 0))
    assert names(command, "--filter", "seeds=2") == ["run-2"]
    assert names(command, "--filter", "dataset=digi", "looks>0") == ["run-0"]
    assert names(command, "--filter", "RUN-1") == ["run-1"]
    assert "No run in" in command("runs", "--filter", "accuracy>1").out
    for wrong in (["--filter", "colour=red"], ["--filter", "accuracy>high"], ["--sort", "beauty"]):
        done = command("runs", *wrong)
        assert done.status == 2
        assert "expected" in done.err


def test_a_note_a_title_and_tags_are_written_beside_the_record_and_found_again(runs: Path, command: Command) -> None:
    before = (runs / "run-0" / "run.json").read_bytes()
    assert command("runs", "--note", "run-0", "first try\nof two").status == 0
    command("runs", "--title", "run-0", "The <b>baseline</b>")
    command("runs", "--tag", "run-0", "best", "class", "best")
    assert RunNotes.read(runs / "run-0") == RunNotes("The <b>baseline</b>", "first try\nof two", ("best", "class"))
    (run,) = command("runs", "--json", "--filter", "tag=best").json["runs"]
    assert (run["title"], run["tags"], run["bytes"] > 1000) == ("The <b>baseline</b>", ["best", "class"], True)
    assert "run-0: tagged best and class" in command("runs").out
    assert (runs / "run-0" / "run.json").read_bytes() == before
    command("runs", "--tag", "run-0")
    command("runs", "--note", "run-0", "")
    command("runs", "--title", "run-0", "")
    assert not (runs / "run-0" / NOTES_NAME).exists()
    assert "at most 80 are kept" in command("runs", "--title", "run-0", "x" * 81).err
    assert "characters that are not text" in command("runs", "--title", "run-0", "a\x1b[2J").err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"title": 3, "notes": null, "tags": "abc"}',
        b'{"tags": [[1], {}]}',
        b'{"title": "\\u202e\\u0007"}',
    ],
)
def test_notes_of_somebody_else_are_read_with_suspicion(runs: Path, content: bytes, command: Command) -> None:
    (runs / "run-0" / NOTES_NAME).write_bytes(content)
    assert RunNotes.read(runs / "run-0") == RunNotes()
    assert command("runs").status == 0
    assert RunNotes.change(runs / "run-0", title="new").title == "new"


def test_long_notes_of_somebody_else_are_cut(runs: Path) -> None:
    stored = {"title": "t" * 999, "notes": "a\x07b\n" * 4_000, "tags": ["x" * 99] * 50}
    (runs / "run-0" / NOTES_NAME).write_text(json.dumps(stored))
    read = RunNotes.read(runs / "run-0")
    assert (len(read.title), read.notes[:6], len(read.notes), read.tags) == (80, "ab\nab\n", 4_000, ("x" * 30,))


def test_a_deleted_run_comes_back_whole_and_its_look_stays_in_the_ledger(runs: Path, command: Command) -> None:
    before = {path: path.read_bytes() for path in (runs / "run-0").rglob("*") if path.is_file()}
    said = command("runs", "--delete", "run-0", "run-1").out
    assert "--restore run-0" in said
    assert "The ledger keeps 1 look" in said
    listed = command("runs")
    assert "In the trash: 2 runs" in listed.out
    assert "run-0" not in listed.out.splitlines()[1]
    assert names(command) == ["run-2"]
    assert command("ledger", "--json").json["looks"] != []
    assert command("runs", "--restore", "run-0").status == 0
    assert {path: path.read_bytes() for path in (runs / "run-0").rglob("*") if path.is_file()} == before
    assert "evaluate" not in command("evaluate", "run-0", "--json").err  # it has its score, and its look
    assert command("runs", "--restore", "run-7").status == 2
    assert "1 run removed for good" in command("runs", "--empty-trash").out
    assert command("runs", "--restore", "run-1").status == 2


def test_nothing_is_overwritten_by_a_run_that_comes_back(runs: Path) -> None:
    shutil.copytree(runs / "run-0", runs / "copy")
    first = delete_run(runs / "run-0")
    (runs / "copy").rename(runs / "run-0")
    second = delete_run(runs / "run-0")
    assert (first, second) == ("run-0", "run-0~2")
    restore_run(second)
    with pytest.raises(RunError, match="is there again"):
        restore_run(first)


def test_a_run_in_training_is_not_deleted_nor_one_seed_nor_a_link(runs: Path) -> None:
    (runs / "live").mkdir()
    (runs / "live" / UNFINISHED_NAME).write_text("{}")
    lock = RunLock(runs / "live")
    with pytest.raises(RunError, match="is being trained by process"):
        delete_run(runs / "live")
    lock.release()
    (runs / "link").symlink_to(runs / "run-0")
    for path in (runs / "link", runs / "run-2" / "seed-0", runs):
        with pytest.raises(RunError):
            delete_run(path)


def test_runs_kept_elsewhere_are_listed_after_they_were_added(trained: Path, runs: Path, command: Command) -> None:
    elsewhere = trained / "models" / "elsewhere"
    assert (trained / "runs" / ".elsewhere").read_text() == f"{elsewhere}\n"  # `train --out` added it
    assert len(names(command)) == 3
    assert command("runs", "--add", trained / "models").status == 0
    assert names(command)[-1] == "elsewhere"
    assert str(elsewhere) in command("runs").out
    (runs / ".elsewhere").write_bytes(b"/gone\nrelative\n\xff\x00\n" + str(elsewhere).encode() + b"\n")
    assert names(command)[-1] == "elsewhere"
    (runs / ".elsewhere").write_bytes(b"/gone\n")
    assert len(names(command)) == 3
    assert command("runs", "--add", runs.parent / "nothing").status == 2


def test_a_thousand_runs_are_listed_in_seconds(runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    many = tmp_path / "many"
    for number in range(250):
        for name in ("run.json", "seed-0/run.json"):
            target = many / f"run-{number:04}" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(runs / "run-0" / name)
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(many))
    began = time.process_time()
    summaries = list_summaries()
    assert len(filter_runs(sort_runs(summaries, "accuracy"), ["digits"])) == 250
    assert (time.process_time() - began) * 4 < 5
    assert all(isinstance(one, RunSummary) and one.accuracy for one in summaries)
