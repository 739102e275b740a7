from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fittingroom.errors import RunError, StorageError
from fittingroom.evaluation.scores import Scores
from fittingroom.runs.layout import RunContents, SeedFiles
from fittingroom.runs.ledger import LedgerPlace
from fittingroom.runs.looks import RunLooks
from tests.runs.writing import create


def score_of(right: int) -> dict[str, Any]:
    """A score of so many right answers about ten images of two classes."""
    return Scores(0.5, ((right, 10 - right), (0, 0)), ("a", "b")).to_dict()


@pytest.fixture
def run(contents: RunContents, runs_folder: Path) -> Path:
    return create(contents)


COUNTED = LedgerPlace("the ledger's id", 7, 3, "a hash")

OPEN_TEN_TIMES = """
import sys
from pathlib import Path
from typing import Any
from fittingroom.runs.ledger import LedgerPlace
from fittingroom.runs.looks import RunLooks
for _ in range(10):
    RunLooks(Path(sys.argv[1])).add("a look", LedgerPlace("id", 1, 1, "hash"))
"""


def test_intent_is_recorded_before_the_score(run: Path) -> None:
    assert RunLooks(run).add("first", COUNTED) == 1
    (look,) = SeedFiles(run).record().looks
    assert (look.reason, look.score) == ("first", None)
    assert (look.ledger, look.number, look.hash) == ("the ledger's id", 3, "a hash")
    RunLooks(run).add_score(1, score_of(9))
    assert SeedFiles(run).record().looks[0].score == score_of(9)


def test_looks_are_counted(run: Path) -> None:
    assert [RunLooks(run).add(reason, COUNTED) for reason in "abc"] == [1, 2, 3]
    RunLooks(run).add_score(2, score_of(5))
    assert [look.score for look in SeedFiles(run).record().looks] == [None, score_of(5), None]


def test_nothing_else_in_the_record_changes(run: Path) -> None:
    before = json.loads((SeedFiles(run).folder / "run.json").read_text())
    (SeedFiles(run).folder / "run.json").write_text(json.dumps({**before, "mood": "unknown to this version"}))
    RunLooks(run).add("first", COUNTED)
    after = json.loads((SeedFiles(run).folder / "run.json").read_text())
    assert {**after, "looks": []} == {**before, "mood": "unknown to this version"}


def test_a_look_from_before_there_was_a_ledger_is_read(run: Path) -> None:
    stored = json.loads((SeedFiles(run).folder / "run.json").read_text())
    look = {"time": "then", "reason": "first", "score": None}
    (SeedFiles(run).folder / "run.json").write_text(json.dumps({**stored, "looks": [look]}))
    (look_read,) = SeedFiles(run).record().looks
    assert (look_read.reason, look_read.ledger, look_read.hash) == ("first", None, None)


def test_several_processes_at_once_lose_no_look(run: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", OPEN_TEN_TIMES, run]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert len(SeedFiles(run).record().looks) == 40


def test_score_without_its_look_is_refused(run: Path) -> None:
    with pytest.raises(RunError, match=r"look 1 is not in .*run\.json, which has 0"):
        RunLooks(run).add_score(1, {})


def test_damaged_record_is_not_written_over(run: Path) -> None:
    (SeedFiles(run).folder / "run.json").write_text("{}")
    with pytest.raises(RunError, match="damaged"):
        RunLooks(run).add("first", COUNTED)
    assert (SeedFiles(run).folder / "run.json").read_text() == "{}"


def test_missing_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a whole run"):
        RunLooks(tmp_path / "gone").add("first", COUNTED)


def test_record_that_cannot_be_written_keeps_the_test_set_closed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = (SeedFiles(run).folder / "run.json").read_bytes()
    monkeypatch.setattr("os.replace", no_space)
    with pytest.raises(StorageError, match="the disk is full"):
        RunLooks(run).add("first", COUNTED)
    assert (SeedFiles(run).folder / "run.json").read_bytes() == before
