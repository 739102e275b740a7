"""Whether a ledger is what was written: any entry that was changed, taken out, added or moved breaks its chain.

Whoever can write the file can also compute the whole chain anew, and whoever deletes the file begins a new ledger. The
runs that looked see the first: they keep the hash of their entry, and a chain made anew, or cut short, lacks it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.errors import FittingRoomError
from fittingroom.runs.ledger import Entry, Ledger, canonical, chained_hash
from fittingroom.runs.ledger_claims import contradiction
from fittingroom.runs.ledger_entries import looks_of
from fittingroom.runs.ledger_file import connect, read_version
from fittingroom.runs.place import holds_replicas, list_runs
from fittingroom.runs.record import Look, RunRecord
from fittingroom.runs.replicas import read_replicas, replica_folder
from fittingroom.runs.store import read_record


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Args:
        entries: the number of entries.
        looks: how many of them are looks.
        problem: the first thing that is wrong, in words; None for an intact ledger.
        entry: the entry at which it shows; None if it is in none.
        elsewhere: looks of the runs that were seen which were counted in another ledger.
        contradictions: looks and scores of these runs that the ledger does not bear out, in words.
    """

    entries: int
    looks: int
    problem: str | None = None
    entry: int | None = None
    elsewhere: int = 0
    contradictions: tuple[str, ...] = ()


def verify(ledger: Ledger) -> Verdict:
    """Checks the file, every entry, the chain, and that the runs in reach find their looks in it.

    Raises:
        StorageError: the file is so damaged that its entries cannot be read, or is of a newer version.
    """
    head: list[Any] = []
    entries: list[Entry] = []
    if ledger.path.exists() and ledger.path.stat().st_size:
        with connect(ledger.path, "rw") as connection:
            read_version(connection)
            connection.execute("BEGIN")
            findings = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            head = connection.execute("SELECT ledger, number, hash FROM head").fetchall()
            order = "SELECT number, kind, test_set, look, content, hash FROM entries ORDER BY number"
            entries = [Entry(*row) for row in connection.execute(order)]
        if findings != ["ok"]:
            return _broken(entries, f"the file is damaged: {findings[0]}")
        if len(head) != 1:
            return _broken(entries, f"it has {len(head)} notes of where it ends; expected one")
        for number, problem in _problems(head[0], entries):
            return _broken(entries, problem, number)
    ledger_id = head[0][0] if head else ""
    missing, elsewhere = _missing_looks(ledger_id, entries)
    if missing:
        return _broken(entries, missing)
    contradictions = tuple(_contradictions(ledger_id, entries, ledger.path))
    return Verdict(len(entries), _count_looks(entries), elsewhere=elsewhere, contradictions=contradictions)


def _broken(entries: list[Entry], problem: str, number: int | None = None) -> Verdict:
    return Verdict(len(entries), _count_looks(entries), problem, number)


def _count_looks(entries: list[Entry]) -> int:
    return sum(entry.kind == "look" for entry in entries)


def _problems(head: tuple[Any, ...], entries: list[Entry]) -> Iterator[tuple[int | None, str]]:
    """What is wrong with the chain, in order."""
    ledger, last, end = head
    previous = ledger
    looks: dict[int, str] = {}  # the test set of each look that has no score yet
    for expected, entry in enumerate(entries, start=1):
        if entry.number != expected:
            yield expected, f"entry {expected} is missing"
        try:
            correct = chained_hash(previous, tuple(entry[:-1]))
        except (TypeError, ValueError):  # a number or bytes in place of a text, or infinity
            correct = ""
        if entry.hash != correct:
            yield expected, f"entry {expected} is not what was written after entry {expected - 1}: its hash is another"
        yield from ((expected, f"entry {expected} {problem}") for problem in _oddities(entry, looks))
        previous = entry.hash
    if (last, end) != (len(entries), previous):
        yield len(entries) + 1, f"the chain should end with entry {last}, and ends with entry {len(entries)}"


def _oddities(entry: Entry, looks: dict[int, str]) -> Iterator[str]:
    """What no program of ours writes, even if its hash is right."""
    if not _is_written_by_us(entry.content):
        yield "is not written in the one form that entries have"
    if entry.kind == "look":
        looks[entry.number] = entry.test_set
    elif entry.look is None or looks.pop(entry.look, None) != entry.test_set:
        yield "is a score that belongs to no look before it"


def _is_written_by_us(text: str) -> bool:
    """Whether a content is canonical JSON, an object, and names its run by a path if at all."""
    try:
        content = json.loads(text)
        own_form = canonical(content) == text
    except (RecursionError, TypeError, ValueError):
        return False
    return own_form and isinstance(content, dict) and isinstance(content.get("run"), str | None)


def _missing_looks(ledger_id: str, entries: list[Entry]) -> tuple[str | None, int]:
    """The first look in a run's record that this ledger should have and lacks; how many are in other ledgers."""
    known = {entry.hash for entry in entries}
    elsewhere = 0
    for path, _, look in _looks_of_runs(entries):
        if look.ledger != ledger_id:
            elsewhere += 1
        elif look.hash not in known:
            return (
                f"{path} took look {look.number} at its test set on {look.time}, and no entry is that look: entries "
                "were cut off, or the chain was made anew"
            ), elsewhere
    return None, elsewhere


def _contradictions(ledger_id: str, entries: list[Entry], ledger: Path) -> Iterator[str]:
    """Why looks and scores in runs' records are not believed, in words."""
    known = {look.hash: look for look in looks_of(entries, ledger)}
    for path, record, look in _looks_of_runs(entries):
        if look.ledger == ledger_id and (problem := contradiction(path, record, look, known.get(look.hash or ""))):
            yield problem


def _looks_of_runs(entries: list[Entry]) -> Iterator[tuple[Path, RunRecord, Look]]:
    """The looks that runs say they took: those in the folder of runs, and those that the ledger names."""
    named = [json.loads(entry.content).get("run") for entry in entries if entry.kind == "look"]
    folders = {path.resolve() for path in [*_all_runs(list_runs()), *(Path(run) for run in named if run)]}
    for path in sorted(folders):
        try:
            record = read_record(path)
        except (FittingRoomError, OSError):
            continue  # moved, deleted or damaged since: it can say nothing
        yield from ((path, record, look) for look in record.looks if look.hash is not None)


def _all_runs(paths: Iterable[Path]) -> Iterator[Path]:
    """The folders of single runs, those of replicas too."""
    for path in paths:
        if not holds_replicas(path):
            yield path
            continue
        try:
            seeds = read_replicas(path).kept
        except (FittingRoomError, OSError):
            continue
        yield from (replica_folder(path, seed) for seed in seeds)
