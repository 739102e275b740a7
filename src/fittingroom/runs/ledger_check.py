"""Whether a ledger is as it was written, and whether it bears out what run folders say about their looks.

`ledger.py` says what its hashes are for, and what they cannot find. `run.json` can be written by anybody, so a look or
a score in it is believed only where the ledger has it, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.errors import FittingRoomError
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.ledger import Ledger
from fittingroom.runs.ledger_entries import Intent, Kind, LedgerEntry, LedgerLook
from fittingroom.runs.place import RunsFolder
from fittingroom.runs.record import Look, RunRecord
from fittingroom.runs.weights import WEIGHTS_NAME
from fittingroom.text import word_list


@dataclass(frozen=True)
class LedgerCheck:
    """The result of checking a ledger.

    Args:
        entries: the number of entries.
        looks: how many of them are looks.
        inspections: how many of them are inspections.
        problem: the first thing that is wrong, in words; None for an intact ledger.
        entry: the number of the entry where it shows; None if it shows in none.
        elsewhere: how many looks of the runs in reach were counted in another ledger.
        contradictions: looks and scores of these runs that the ledger does not bear out, in words.
    """

    entries: int
    looks: int
    problem: str | None = None
    entry: int | None = None
    elsewhere: int = 0
    contradictions: tuple[str, ...] = ()
    inspections: int = 0

    @classmethod
    def of(cls, ledger: Ledger) -> LedgerCheck:
        """Checks the file, every entry, their chain, and that the runs in reach find their looks in it.

        Raises:
            StorageError: the file is so damaged that its entries cannot be read, or is of a newer version.
        """
        findings, head, entries = ledger.unchecked()
        if findings != ["ok"]:
            return _broken(entries, f"the file is damaged: {findings[0]}")
        if len(head) != 1:
            return _broken(entries, f"the ledger has {len(head)} notes of its last entry; expected one")
        for number, problem in _problems(head[0], entries):
            return _broken(entries, problem, number)
        ledger_id = head[0][0]
        missing, elsewhere = _missing_looks(ledger_id, entries)
        if missing:
            return _broken(entries, missing)
        contradictions = tuple(_contradictions(ledger_id, entries, ledger.path))
        looks, inspections = _count(entries, "look"), _count(entries, "inspection")
        return cls(len(entries), looks, None, None, elsewhere, contradictions, inspections)


def _broken(entries: list[LedgerEntry], problem: str, number: int | None = None) -> LedgerCheck:
    return LedgerCheck(
        len(entries), _count(entries, "look"), problem, number, inspections=_count(entries, "inspection")
    )


def _count(entries: list[LedgerEntry], kind: Kind) -> int:
    return sum(entry.kind == kind for entry in entries)


def _problems(head: tuple[str, int, str], entries: list[LedgerEntry]) -> Iterator[tuple[int, str]]:
    """What is wrong with the chain, in order: the number of an entry, and why."""
    previous, last, end = head
    looks: dict[int, str] = {}  # the test set of each look that has no score yet
    for number, entry in enumerate(entries, start=1):
        if entry.number != number:
            yield number, f"entry {number} is missing"
        if not entry.belongs_after(previous):
            yield number, f"entry {number}, or one before it, was changed after it was written: its hash does not match"
        if entry.kind == "look":
            looks[entry.number] = entry.test_set
        elif entry.kind == "score" and (entry.look is None or looks.pop(entry.look, None) != entry.test_set):
            yield number, f"entry {number} is a score without a look before it"
        previous = entry.hash
    if last != len(entries):
        yield len(entries) + 1, f"the ledger should end with entry {last}, but ends with entry {len(entries)}"
    elif end != previous:
        yield last, f"the ledger's note of its last entry does not match entry {last}"


def _missing_looks(ledger_id: str, entries: list[LedgerEntry]) -> tuple[str | None, int]:
    """The first look in a run's record that this ledger should have and lacks; how many looks are in other ledgers."""
    known = {entry.hash for entry in entries}
    elsewhere = 0
    for path, _, look in _looks_of_runs(entries):
        if look.ledger != ledger_id:
            elsewhere += 1
        elif look.hash not in known:
            return (
                f"{path} took look {look.number} at its test set on {look.time}, and no entry records it: an old copy "
                "was restored, last entries were removed, or the ledger was rewritten"
            ), elsewhere
    return None, elsewhere


def _contradictions(ledger_id: str, entries: list[LedgerEntry], ledger: Path) -> Iterator[str]:
    """Why looks and scores in runs' records are not believed, in words."""
    known = {look.hash: look for look in LedgerLook.all_of(entries, ledger)}
    for path, record, look in _looks_of_runs(entries):
        if look.ledger == ledger_id and (problem := contradiction(path, record, look, known.get(look.hash or ""))):
            yield problem


def _looks_of_runs(entries: list[LedgerEntry]) -> Iterator[tuple[Path, RunRecord, Look]]:
    """The looks that runs say they took: runs in the folder of runs, and those that the ledger names."""
    named = [json.loads(entry.content).get("run") for entry in entries if entry.kind == "look"]
    folders = {path.resolve() for path in [*_all_runs(RunsFolder().runs()), *(Path(run) for run in named if run)]}
    for path in sorted(folders):
        try:
            record = SeedFiles(path).record()
        except (FittingRoomError, OSError):
            continue  # moved, deleted or damaged since
        yield from ((path, record, look) for look in record.looks if look.hash is not None)


def _all_runs(paths: Iterable[Path]) -> Iterator[Path]:
    """By which path the seeds of runs are read; those of damaged ones are left out."""
    for path in paths:
        with suppress(FittingRoomError, OSError):
            yield from read_layout(path).folders.values()


_WAYS_OUT = "Restore the folder from a backup, or train again and evaluate that run"


def contradiction(path: Path, record: RunRecord, look: Look, own: LedgerLook | None) -> str | None:
    """Why a look in a run's folder, or its score, is not believed; None where the ledger bears it out.

    Args:
        path: the run folder.
        record: the run's record.
        look: one of the looks in it, which says that the user's ledger counted it.
        own: the look of the same hash in the ledger; None if there is none.
    """
    if own is None:
        return (
            f"run.json of {path} says that it took look {look.number}, and the ledger that it names has no such look: "
            "the look was made up, or the ledger lost entries (`fittingroom ledger --verify` says more). "
            f"{_WAYS_OUT}."
        )
    return _other_run(path, record, own) or _other_weights(path, own) or _other_score(path, look, own)


def is_of(path: Path, record: RunRecord, own: LedgerLook) -> bool:
    """Whether a look in the ledger was taken by a run: with its recipe, seed, test set and weights."""
    try:
        return _other_run(path, record, own) is None and own.intent.weights == SeedFiles(path).weights.sha256()
    except (FittingRoomError, OSError):
        return False  # its weights cannot be read


def _other_run(path: Path, record: RunRecord, own: LedgerLook) -> str | None:
    """Why the look in the ledger is that of another recipe, seed or test set; None if it is not."""
    intent = own.intent
    different = [
        name
        for name, same in (
            ("recipe", intent.recipe_digest == Intent.digest_of(record.recipe)),
            ("seed", intent.seed == record.seed),
            ("test set", record.data.test_fingerprint in own.known_as),
        )
        if not same
    ]
    if not different:
        return None
    theirs = f"{intent.run or 'no run'} (recipe {intent.recipe}, seed {intent.seed})"
    return (
        f"the look in run.json of {path} is another run's: the ledger has it as a look of {theirs}. They differ in "
        f"{word_list(different)}. {_WAYS_OUT}."
    )


def _other_weights(path: Path, own: LedgerLook) -> str | None:
    if own.intent.weights is None:
        return None  # a look of an older version
    try:
        same = SeedFiles(path).weights.sha256() == own.intent.weights
    except (FittingRoomError, OSError) as error:
        return str(error).rstrip(".") + "."
    if same:
        return None
    return (
        f"the weights in {path / WEIGHTS_NAME} are not those that looked at the test set (the ledger has SHA-256 "
        f"{own.intent.weights[:12]}… of {own.intent.run}): the file was changed or exchanged, or the look was copied "
        f"from another run. {_WAYS_OUT}."
    )


def _other_score(path: Path, look: Look, own: LedgerLook) -> str | None:
    if look.score is None:
        return None
    if own.score is None:
        return (
            f"run.json of {path} has a score for look {own.look}, and the ledger has none: the evaluation was "
            f"interrupted, or the score was made up. {_WAYS_OUT}."
        )
    told, kept = LedgerLook.summary_of(look.score), own.score
    names = [name for name in ("correct", "count", "loss", "digest") if name in kept]
    if all(told[name] == kept[name] for name in names) and _fits(look.score):
        return None
    same = all(told[name] == kept[name] for name in ("correct", "count"))
    says = "the loss or other numbers differ" if same else f"run.json says {told['correct']} of {told['count']}"
    return (
        f"the score in run.json of {path} is not the one in the ledger, {kept['correct']} of {kept['count']} right "
        f"(look {own.look}, {own.time[:19]}): {says}. It was edited, or copied from another run. {_WAYS_OUT}."
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
