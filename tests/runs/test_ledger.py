"""The ledger: every look counted, before it is taken, whatever happens to the processes that take them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fittingroom.errors import StorageError
from fittingroom.runs.ledger import Ledger, LedgerPlace, _ledger_path
from fittingroom.runs.ledger_check import LedgerCheck
from fittingroom.runs.ledger_entries import Intent

INTENT = Intent("digits", 360, "a look", "/runs/one", "course", "ab" * 32, 3)


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "new" / "ledger.sqlite"))
    return Ledger.of_user()


def process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs code with the ledger as `ledger` and an intent as `intent`."""
    start = (
        "import os, signal, sys\n"
        "from fittingroom.runs.ledger import Ledger\nfrom fittingroom.runs.ledger_entries import Intent\n"
        "ledger, intent = Ledger.of_user(), Intent('digits', 360, 'a look')\n"
    )
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_look_and_its_score_come_back(ledger: Ledger) -> None:
    assert ledger.looks() == []
    counted = ledger.record_look("fp", INTENT)
    (intended,) = ledger.looks()
    assert (intended.look, intended.test_set, intended.intent, intended.score) == (1, "fp", INTENT, None)
    ledger.record_score(counted, {"correct": 300, "count": 360, "loss": 0.5})
    (scored,) = ledger.looks()
    assert scored.score is not None
    assert {"correct": 300, "count": 360, "loss": 0.5}.items() <= scored.score.items()
    assert scored.hash == counted.hash


def test_looks_are_counted_for_each_test_set_by_its_fingerprint_alone(ledger: Ledger) -> None:
    renamed = Intent("npz:/elsewhere/copy.npz", 360, "a look")
    numbers = [ledger.record_look(*look).look for look in [("a", INTENT), ("b", INTENT), ("a", renamed), ("a", INTENT)]]
    assert numbers == [1, 1, 2, 3]
    assert [(look.test_set, look.look) for look in ledger.looks()] == [("a", 1), ("b", 1), ("a", 2), ("a", 3)]


def test_an_inspection_is_recorded_and_counts_as_no_look(ledger: Ledger) -> None:
    inspection = Intent("digits", 360, "a search for duplicates", fingerprint="pixels")
    assert ledger.record_look("fp", INTENT).look == 1
    ledger.record_inspection("fp", inspection)
    assert ledger.record_look("fp", INTENT).look == 2
    assert [look.look for look in ledger.looks()] == [1, 2]
    (kept,) = ledger.inspections()
    assert (kept.test_set, kept.intent, kept.known_as) == ("fp", inspection, frozenset({"fp", "pixels"}))
    verdict = LedgerCheck.of(ledger)
    assert (verdict.problem, verdict.entries, verdict.looks, verdict.inspections) == (None, 3, 2, 1)


def test_the_place_is_the_users_data_folder_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FITTINGROOM_LEDGER")
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert _ledger_path().parent.name == "fittingroom"
    monkeypatch.setenv("FITTINGROOM_LEDGER", "~/mine.sqlite")
    assert _ledger_path() == Path.home() / "mine.sqlite"


def test_the_file_has_a_rollback_journal_and_waits_for_the_disk(ledger: Ledger) -> None:
    ledger.record_look("fp", INTENT)
    with ledger._writing() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("PRAGMA synchronous").fetchone() >= (2,)  # FULL, or more


def test_the_digest_tells_settings_apart_and_not_names() -> None:
    assert Intent.digest_of({"name": "a", "epochs": 5}) == Intent.digest_of({"epochs": 5, "name": "b"})
    assert Intent.digest_of({"name": "a", "epochs": 5}) != Intent.digest_of({"name": "a", "epochs": 6})


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_a_look_counts_when_its_process_is_killed_before_the_score(ledger: Ledger, kills: int) -> None:
    code = "ledger.record_look('fp', intent)\nos.kill(os.getpid(), signal.SIGKILL)"
    for _ in range(kills):
        with process(code) as looking:
            assert looking.wait(60) == -signal.SIGKILL
    assert [(look.look, look.score) for look in ledger.looks()] == [(number + 1, None) for number in range(kills)]
    assert LedgerCheck.of(ledger).problem is None


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_loses_no_look_that_was_counted(ledger: Ledger, kills: int) -> None:
    code = "while True:\n    print(ledger.record_look('fp', intent).look, flush=True)"
    for kill in range(kills):
        with process(code) as looking:
            assert looking.stdout is not None
            looking.stdout.readline()
            time.sleep(0.003 * (kill % 10))
            looking.kill()
            counted = [int(line) for line in looking.stdout if line.endswith("\n")]
        assert len(ledger.looks()) >= max(counted, default=1)
        assert LedgerCheck.of(ledger).problem is None


@pytest.mark.parametrize(("processes", "looks"), [(4, 10), pytest.param(8, 100, marks=pytest.mark.slow)])
def test_several_processes_at_once_lose_no_row(ledger: Ledger, processes: int, looks: int) -> None:
    code = (
        "for _ in range(int(sys.argv[1])):\n"
        "    counted = ledger.record_look('fp', intent)\n"
        "    print(counted.look)\n"
        "    ledger.record_score(counted, {'correct': 1, 'count': 2, 'loss': 0.5})\n"
    )
    running = [process(code, looks) for _ in range(processes)]
    printed = [one.communicate(timeout=600)[0].split() for one in running]
    assert [one.returncode for one in running] == [0] * processes
    assert sorted(int(look) for lines in printed for look in lines) == list(range(1, processes * looks + 1))
    assert len(ledger.looks()) == processes * looks
    assert all(look.score is not None for look in ledger.looks())
    verdict = LedgerCheck.of(ledger)
    assert (verdict.problem, verdict.entries, verdict.looks) == (None, 2 * processes * looks, processes * looks)


def test_a_ledger_that_another_process_holds_is_waited_for(ledger: Ledger) -> None:
    ledger.record_look("fp", INTENT)
    holder = sqlite3.connect(ledger.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with process("print(ledger.record_look('fp', intent).look)") as waiting:
        time.sleep(0.5)
        assert waiting.poll() is None
        holder.execute("ROLLBACK")
        assert waiting.communicate(timeout=30)[0] == "2\n"
    holder.close()


@pytest.mark.parametrize("content", [b"no database at all " * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_ledger_is_refused_and_left_as_it_is(ledger: Ledger, content: bytes) -> None:
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(content)
    for use in (lambda: ledger.record_look("fp", INTENT), ledger.looks, lambda: LedgerCheck.of(ledger)):
        with pytest.raises(StorageError, match=r"cannot be used.*damaged.*move it away.*FITTINGROOM_LEDGER"):
            use()
    assert ledger.path.read_bytes() == content


def test_the_database_of_another_program_is_refused(ledger: Ledger) -> None:
    ledger.path.parent.mkdir()
    with sqlite3.connect(ledger.path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    with pytest.raises(StorageError, match="the database of another program"):
        ledger.record_look("fp", INTENT)


def test_a_ledger_of_a_newer_version_is_refused(ledger: Ledger) -> None:
    ledger.record_look("fp", INTENT)
    with sqlite3.connect(ledger.path) as changed:
        changed.execute("PRAGMA user_version = 4")
    changed.close()
    for use in (lambda: ledger.record_look("fp", INTENT), ledger.looks, lambda: LedgerCheck.of(ledger)):
        with pytest.raises(StorageError, match=r"has version 4.*up to version 3.*pip install --upgrade"):
            use()


def test_a_place_that_cannot_be_written_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be used.*or name another place with FITTINGROOM_LEDGER"):
        Ledger(tmp_path / "file" / "ledger.sqlite").record_look("fp", INTENT)
    with pytest.raises(StorageError, match=r"unable to open database file.*Make its folder writable"):
        Ledger(tmp_path).record_look("fp", INTENT)


def test_a_file_without_write_permission_is_refused(ledger: Ledger) -> None:
    ledger.record_look("fp", INTENT)
    ledger.path.chmod(0o444)
    if os.access(ledger.path, os.W_OK):
        pytest.skip("this user may write anything")
    with pytest.raises(StorageError, match=r"readonly.*Make the file and its folder writable"):
        ledger.record_look("fp", INTENT)


def test_a_disk_that_is_full_leaves_the_ledger_as_it_was(ledger: Ledger) -> None:
    ledger.record_look("fp", INTENT)
    code = (
        "import resource\n"
        "from fittingroom.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))\n"
        "try:\n"
        "    ledger.record_look('fp', intent)\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    with process(code) as looking:
        said, _ = looking.communicate(timeout=60)
    assert "cannot be used" in said
    assert "disk is full" in said
    assert len(ledger.looks()) == 1
    assert LedgerCheck.of(ledger).problem is None


def test_a_score_of_a_look_that_is_gone_is_refused(ledger: Ledger) -> None:
    ledger.record_look("fp", INTENT)
    with pytest.raises(StorageError, match=r"lost entry 1.*--verify"):
        ledger.record_score(LedgerPlace("other", 1, 1, "0" * 64), {})
