"""Whatever is done to a ledger by other hands than ours, the check finds it."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fittingroom.errors import StorageError
from fittingroom.runs.layout import RunContents
from fittingroom.runs.ledger import Ledger
from fittingroom.runs.ledger_check import LedgerCheck
from fittingroom.runs.ledger_entries import Intent, LedgerEntry
from fittingroom.runs.looks import RunLooks
from tests.runs.writing import create

COLUMNS = ("number", "kind", "test_set", "look", "content", "hash")
SIZE = 8  # entries of the ledger below


@pytest.fixture(autouse=True)
def runs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Four looks at two test sets, three of them with a score, and an inspection."""
    ledger = Ledger(tmp_path_factory.mktemp("small") / "ledger.sqlite")
    for index, test_set in enumerate("aaba"):
        counted = ledger.record_look(test_set, Intent("digits", 360, f"look {index}"))
        if index != 1:
            ledger.record_score(counted, {"correct": 300 + index, "count": 360, "loss": 0.5})
        if index == 1:
            ledger.record_inspection(test_set, Intent("digits", 360, "duplicates"))
    assert LedgerCheck.of(ledger).problem is None
    return ledger


@contextmanager
def tampered(ledger: Ledger) -> Iterator[tuple[Ledger, Callable[..., Any]]]:
    """A copy of a ledger, and what executes statements in it."""
    copy = Ledger(ledger.path.with_name("tampered.sqlite"))
    shutil.copy(ledger.path, copy.path)
    connection = sqlite3.connect(copy.path, isolation_level=None)
    try:
        yield copy, connection.execute
    finally:
        connection.close()
        copy.path.unlink()


def is_broken(ledger: Ledger) -> bool:
    return LedgerCheck.of(ledger).problem is not None


EDITS: dict[str, list[Any]] = {
    "number": [0, 99, -1],
    "kind": ["look", "score", "inspection", "", b"look"],
    "test_set": ["a", "b", "", b"a"],
    "look": [None, 1, 2, 99, "x"],
    "content": ["", "{}", "[]", "null", b"{}"],
    "hash": ["", "0" * 64, b"\0"],
}


@pytest.mark.parametrize("number", range(1, SIZE + 1))
def test_every_edit_of_a_single_entry_is_found(small: Ledger, number: int) -> None:
    for column, values in EDITS.items():
        for value in values:
            with tampered(small) as (copy, execute):
                (before,) = execute(f"SELECT {column} FROM entries WHERE number = ?", [number]).fetchone()
                if before == value:
                    continue
                execute(f"UPDATE entries SET {column} = ? WHERE number = ?", [value, number])
                assert is_broken(copy), (column, value)


@pytest.mark.parametrize("number", range(1, SIZE + 1))
def test_every_changed_character_of_an_entry_is_found(small: Ledger, number: int) -> None:
    with tampered(small) as (copy, execute):
        (content,) = execute("SELECT content FROM entries WHERE number = ?", [number]).fetchone()
        for place in range(0, len(content), 5):
            changed = content[:place] + chr(ord(content[place]) ^ 1) + content[place + 1 :]
            execute("UPDATE entries SET content = ? WHERE number = ?", [changed, number])
            verdict = LedgerCheck.of(copy)
            assert (verdict.entry, verdict.problem is None) == (number, False), changed


@given(data=st.data())
def test_any_value_in_any_place_is_found(small: Ledger, data: st.DataObject) -> None:
    column, number = data.draw(st.sampled_from(COLUMNS)), data.draw(st.integers(1, SIZE))
    value = data.draw(st.one_of(st.none(), st.integers(-(2**40), 2**40), st.text(max_size=20), st.binary(max_size=20)))
    with tampered(small) as (copy, execute):
        before = execute("SELECT * FROM entries").fetchall()
        with contextlib.suppress(sqlite3.IntegrityError):  # the table itself refuses it
            execute(f"UPDATE entries SET {column} = ? WHERE number = ?", [value, number])
        assume(execute("SELECT * FROM entries").fetchall() != before)
        assert is_broken(copy)


@pytest.mark.parametrize("number", range(1, SIZE + 1))
@pytest.mark.parametrize("renumbered", [False, True])
def test_every_deletion_is_found_that_of_the_last_entry_too(small: Ledger, number: int, renumbered: bool) -> None:
    with tampered(small) as (copy, execute):
        execute("DELETE FROM entries WHERE number = ?", [number])
        if renumbered:
            for later in range(number + 1, SIZE + 1):
                execute("UPDATE entries SET number = number - 1 WHERE number = ?", [later])
        assert is_broken(copy)


@pytest.mark.parametrize("pair", list(itertools.combinations(range(1, SIZE + 1), 2)))
def test_every_swap_is_found(small: Ledger, pair: tuple[int, int]) -> None:
    one, other = pair
    for columns in (["content"], ["kind", "test_set", "look", "content"], list(COLUMNS[1:])):
        with tampered(small) as (copy, execute):
            names, places = ", ".join(columns), ", ".join(f"{name} = ?" for name in columns)
            rows = [execute(f"SELECT {names} FROM entries WHERE number = ?", [number]).fetchone() for number in pair]
            execute(f"UPDATE entries SET {places} WHERE number = ?", [*rows[0], other])
            execute(f"UPDATE entries SET {places} WHERE number = ?", [*rows[1], one])
            assert is_broken(copy), columns


@pytest.mark.parametrize("number", range(1, SIZE + 1))
def test_an_entry_that_is_played_again_at_the_end_is_found(small: Ledger, number: int) -> None:
    with tampered(small) as (copy, execute):
        row = execute("SELECT kind, test_set, look, content, hash FROM entries WHERE number = ?", [number]).fetchone()
        execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", [SIZE + 1, *row])
        assert is_broken(copy)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE head SET ledger = 'other'",
        "UPDATE head SET number = 6",
        "UPDATE head SET hash = ''",
        "DELETE FROM head",
        "INSERT INTO head SELECT * FROM head",
    ],
)
def test_a_changed_end_or_id_is_found(small: Ledger, statement: str) -> None:
    with tampered(small) as (copy, execute):
        execute(statement)
        assert is_broken(copy)


@pytest.mark.parametrize("kept", range(SIZE))
def test_no_look_is_added_to_a_ledger_whose_last_entries_are_gone(small: Ledger, kept: int) -> None:
    with tampered(small) as (copy, execute):
        execute("DELETE FROM entries WHERE number > ?", [kept])
        with pytest.raises(StorageError, match=rf"its last entry is {kept}, and should be {SIZE}"):
            copy.record_look("a", Intent("digits", 360, "one more"))


def cut(execute: Callable[..., Any], kept: int) -> None:
    """Takes the last entries out and mends the end, as someone would who knows the tables."""
    execute("DELETE FROM entries WHERE number > ?", [kept])
    execute("UPDATE head SET number = ?, hash = (SELECT hash FROM entries WHERE number = ?)", [kept, kept])


def test_a_chain_cut_short_with_its_end_mended_is_found_by_the_run_that_looked(
    contents: RunContents, tmp_path: Path
) -> None:
    ledger, run = Ledger(tmp_path / "ledger.sqlite"), create(contents)
    ledger.record_look("fp", Intent("digits", 20, "before"))
    RunLooks(run).add("a look", ledger.record_look("fp", Intent("digits", 20, "a look")))
    assert not is_broken(ledger)
    with tampered(ledger) as (copy, execute):
        cut(execute, 1)
        assert "took look 2 at its test set" in str(LedgerCheck.of(copy).problem)


def test_a_rewritten_chain_is_found_by_the_run_that_looked(contents: RunContents, tmp_path: Path) -> None:
    ledger, run = Ledger(tmp_path / "ledger.sqlite"), create(contents)
    RunLooks(run).add("a look", ledger.record_look("fp", Intent("digits", 20, "a look", str(run))))
    with tampered(ledger) as (copy, execute):
        content = {"time": "then", **vars(Intent("digits", 20, "another reason"))}
        (start,) = execute("SELECT ledger FROM head").fetchone()
        changed = LedgerEntry.after(start, 1, "look", "fp", None, content)
        execute("UPDATE entries SET content = ?, hash = ?", [changed.content, changed.hash])
        execute("UPDATE head SET hash = ?", [changed.hash])
        assert "the ledger was rewritten" in str(LedgerCheck.of(copy).problem)


def test_looks_of_another_users_runs_are_reported_and_break_nothing(contents: RunContents, tmp_path: Path) -> None:
    other, mine = Ledger(tmp_path / "other.sqlite"), Ledger(tmp_path / "mine.sqlite")
    RunLooks(create(contents)).add("a look", other.record_look("fp", Intent("digits", 20, "a look")))
    assert (LedgerCheck.of(mine).problem, LedgerCheck.of(mine).elsewhere) == (None, 1)
    mine.record_look("fp", Intent("digits", 20, "a look"))
    assert (LedgerCheck.of(mine).problem, LedgerCheck.of(mine).elsewhere) == (None, 1)
