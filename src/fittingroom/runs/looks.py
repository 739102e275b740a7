"""Looks at the sealed test set, as a run's own record keeps them: the intent first, the score after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.errors import RunError
from fittingroom.files import locked_folder, write_bytes
from fittingroom.runs.damage import damage, read_json
from fittingroom.runs.place import RECORD_NAME
from fittingroom.runs.plain import json_text
from fittingroom.runs.record import RunRecord, now

if TYPE_CHECKING:
    from fittingroom.runs.ledger import Counted


def check_writable(path: Path) -> None:
    """Writes the run's record as it is, so that nothing is counted where it cannot be written.

    Raises:
        RunError: the record is missing or damaged.
        StorageError: the record cannot be written; the test set must then stay closed.
    """
    with _record_to_change(path):
        pass


def record_opening(path: Path, reason: str, counted: Counted) -> int:
    """Writes into the run's record that its test set is about to be opened. Call it before any label is read.

    Args:
        path: the run folder.
        reason: what for.
        counted: where the ledger has the look; the run keeps it, so that a ledger cut short is found out.

    Returns:
        Which look this is, counted from 1, for `record_score`.

    Raises:
        RunError: the record is missing or damaged.
        StorageError: the record cannot be written; the test set must then stay closed.
    """
    with _record_to_change(path) as stored:
        place = {"ledger": counted.ledger, "number": counted.look, "hash": counted.hash}
        stored["looks"].append({"time": now(), "reason": reason, "score": None, **place})
        return len(stored["looks"])


def record_score(path: Path, look: int, score: Mapping[str, Any]) -> None:
    """Writes into the run's record what came out of a look.

    Raises:
        RunError: the record is missing or damaged, or has no such look.
        StorageError: the record cannot be written; the look itself stays recorded.
    """
    with _record_to_change(path) as stored:
        if not 1 <= look <= len(stored["looks"]):
            raise RunError(f"look {look} is not in {path / RECORD_NAME}, which has {len(stored['looks'])}.")
        stored["looks"][look - 1]["score"] = dict(score)


@contextmanager
def _record_to_change(path: Path) -> Iterator[dict[str, Any]]:
    """The contents of `run.json`, to change in place; written back at the end. One process at a time.

    Keys that this version does not know are kept.
    """
    with ExitStack() as lock:
        with damage(path, RECORD_NAME):
            lock.enter_context(locked_folder(path))
            stored = read_json(path / RECORD_NAME)
            RunRecord.from_dict(stored)
        yield stored
        write_bytes(path / RECORD_NAME, json_text(stored).encode())
