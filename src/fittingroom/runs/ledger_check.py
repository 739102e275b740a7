"""Whether a ledger is what was written: any entry that was changed, taken out, added or moved breaks its chain.

Whoever can write the file can also compute the whole chain anew, and whoever deletes the file begins a new ledger. The
runs that looked see the first: they keep the hash of their entry, and a chain made anew, or cut short, lacks it.

Whether the ledger bears out what a run's folder says about its looks: `run.json` can be written by anybody.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.errors import FittingRoomError
from fittingroom.runs.ledger import Entry, Ledger, canonical, chained_hash, recipe_digest, summary
from fittingroom.runs.ledger_entries import connect, looks_of, read_version
from fittingroom.runs.place import holds_replicas, list_runs
from fittingroom.runs.record import Look, RunRecord
from fittingroom.runs.replicas import read_replicas, replica_folder
from fittingroom.runs.store import read_record
from fittingroom.runs.weights import WEIGHTS_NAME, weights_sha256

if TYPE_CHECKING:
    from fittingroom.runs.ledger import LedgerLook


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


_WAYS_OUT = "Bring the folder back from a copy, or train again and evaluate that run"


def contradiction(path: Path, record: RunRecord, look: Look, own: LedgerLook | None) -> str | None:
    """Why a look in a run's folder, or its score, is not believed; None where nothing speaks against it.

    Args:
        path: the run folder.
        record: what it says.
        look: one of its looks, which says that it was counted in the user's ledger.
        own: the look there whose hash it has; None if there is none.
    """
    if own is None:
        return (
            f"run.json says that {path} took look {look.number}, and the ledger that it names has no such look: it was "
            f"made up, or the ledger lost entries (`fittingroom ledger --verify` says more). {_WAYS_OUT}."
        )
    return _other_run(path, record, own) or _other_weights(path, own) or _other_score(path, look, own)


def is_of(path: Path, record: RunRecord, own: LedgerLook) -> bool:
    """Whether a look in the ledger is one of a run, by its recipe, seed, test set and weights."""
    try:
        return _other_run(path, record, own) is None and own.intent.weights == weights_sha256(path)
    except (FittingRoomError, OSError):
        return False  # its weights cannot be read


def _other_run(path: Path, record: RunRecord, own: LedgerLook) -> str | None:
    """Whether the look in the ledger is one of another recipe, seed or dataset."""
    intent = own.intent
    different = [
        name
        for name, same in (
            ("recipe", intent.recipe_digest == recipe_digest(record.recipe)),
            ("seed", intent.seed == record.seed),
            ("test set", record.data.test_fingerprint in own.known_as),
        )
        if not same
    ]
    if not different:
        return None
    theirs = f"{intent.run or 'no run'} (recipe {intent.recipe}, seed {intent.seed})"
    return (
        f"the look in run.json of {path} is not its own: in the ledger it is a look of {theirs}. They differ in "
        f"{' and '.join(different)}. {_WAYS_OUT}."
    )


def _other_weights(path: Path, own: LedgerLook) -> str | None:
    if own.intent.weights is None:
        return None  # a look of an older version
    try:
        same = weights_sha256(path) == own.intent.weights
    except (FittingRoomError, OSError) as error:
        return str(error).rstrip(".") + "."
    if same:
        return None
    return (
        f"the weights in {path / WEIGHTS_NAME} are not those that looked at the test set (SHA-256 "
        f"{own.intent.weights[:12]}… in the ledger, by {own.intent.run}): the file was changed or swapped, or the look "
        f"was pasted. {_WAYS_OUT}."
    )


def _other_score(path: Path, look: Look, own: LedgerLook) -> str | None:
    if look.score is None:
        return None
    if own.score is None:
        return (
            f"run.json of {path} has a score for look {own.look}, and the ledger has none: the evaluation was cut off, "
            f"or the score was made up. {_WAYS_OUT}."
        )
    told, kept = summary(look.score), own.score
    names = [name for name in ("correct", "count", "loss", "digest") if name in kept]
    if all(told[name] == kept[name] for name in names) and _fits(look.score):
        return None
    same = all(told[name] == kept[name] for name in ("correct", "count"))
    says = "the loss or other numbers differ" if same else f"run.json says {told['correct']} of {told['count']}"
    return (
        f"the score in run.json of {path} is not the one in the ledger, {kept['correct']} of {kept['count']} right "
        f"(look {own.look}, {own.time[:19]}): {says}. It was edited or pasted. {_WAYS_OUT}."
    )


def _fits(score: Mapping[str, Any]) -> bool:
    """Whether the numbers of a score belong together; those of looks of version 1 have no hash over all of them."""
    confusion, accuracy = score.get("confusion", ()), score.get("accuracy")
    correct, count = score.get("correct"), score.get("count")
    if not count or not isinstance(accuracy, int | float):
        return False
    right = sum(row[index] for index, row in enumerate(confusion) if index < len(row))
    together = (sum(map(sum, confusion)), right) == (count, correct)
    return together and math.isclose(accuracy, right / count, abs_tol=1e-12)
