"""The ledger: the record of every look at a sealed test set, one file per user that all processes write to.

It is an SQLite database with a table of entries that are only ever added: a *look* before anything is computed, a
*score* after. What they say, and how looks are counted, is in `ledger_entries.py`. Each entry has a hash over its
contents and the hash before it, so that a later change shows (`ledger_check.py`).

Looks at the sealed test set, as a run's own record keeps them: the intent first, the score after.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fittingroom.atomic import absolute, locked_folder, write_bytes
from fittingroom.errors import RunError, StorageError
from fittingroom.runs.json_files import damage, json_text, plain, read_json
from fittingroom.runs.ledger_entries import (
    Entry,
    Intent,
    Kind,
    LedgerLook,
    connect,
    create_tables,
    looks_of,
    read_head,
    upgrade,
)
from fittingroom.runs.place import RECORD_NAME
from fittingroom.runs.record import RunRecord, now

__all__ = ["Counted", "Entry", "Intent", "Ledger", "LedgerLook", "canonical", "chained_hash", "recipe_digest"]


def ledger_path() -> Path:
    """The user's ledger: the file `FITTINGROOM_LEDGER`, else one in the place that the system has for users' data.

    Raises:
        StorageError: the user has no home folder, and named no file.
    """
    chosen = os.environ.get("FITTINGROOM_LEDGER")
    if chosen:
        return absolute(chosen)
    from platformdirs import user_data_dir

    try:
        return Path(user_data_dir("fittingroom", appauthor=False), "ledger.sqlite")
    except RuntimeError as error:
        raise StorageError(
            "the ledger, which counts the looks at test sets, has no place: this user has no home folder. Name a file "
            "for it with FITTINGROOM_LEDGER. Until then no test set is opened."
        ) from error


@dataclass(frozen=True)
class Counted:
    """A look's place in a ledger, which the run's own record keeps as well.

    Args:
        ledger: the ledger's id.
        entry: the number of the look's entry.
        look: which look at this test set it is, counted from 1.
        hash: the hash of the entry; it stands for all entries before it too.
    """

    ledger: str
    entry: int
    look: int
    hash: str


class Ledger:
    """A ledger in a file. Each call opens and closes it; a file that is not there is made by the first look.

    Every method raises StorageError if the file cannot be read or written, is damaged, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_user(cls) -> Ledger:
        """The ledger of whoever runs this process."""
        return cls(ledger_path())

    def record_look(self, test_set: str, intent: Intent) -> Counted:
        """Adds a look and makes sure that it is on the disk. Call it before any label is read.

        Args:
            test_set: what the test set is known by, as `data.arrays.source_fingerprint` gives it.
            intent: what is known of the look.
        """
        with self._writing() as connection:
            entry = _add(connection, "look", test_set, None, {"time": now(), **asdict(intent)})
            look = looks_of(_entries(connection), self.path)[-1].look
            return Counted(read_head(connection).ledger, entry.number, look, entry.hash)

    def record_score(self, counted: Counted, score: Mapping[str, Any]) -> None:
        """Adds what came out of a look.

        Args:
            counted: the look.
            score: as the run's own record keeps it: `correct`, `count`, `loss` and more, of which a hash is kept.
        """
        with self._writing() as connection:
            found = connection.execute(
                "SELECT test_set FROM entries WHERE number = ? AND hash = ?", [counted.entry, counted.hash]
            ).fetchone()
            if found is None:
                raise StorageError(
                    f"the ledger {self.path} has lost entry {counted.entry}, a look of this process, meanwhile. "
                    "`fittingroom ledger --verify` says more."
                )
            content = {"time": now(), **summary(score)}
            _add(connection, "score", found[0], counted.entry, content)

    def entries(self) -> tuple[str, list[Entry]]:
        """The ledger's id, empty while there is no file, and all entries in order."""
        if not self.path.exists():
            return "", []
        with connect(self.path, "rw") as connection:
            connection.execute("BEGIN")  # both reads see the same state
            head = read_head(connection, missing_ok=True)
            if head is None:
                return "", []
            return head.ledger, _entries(connection)

    def looks(self) -> list[LedgerLook]:
        """All looks, the oldest first, each with its score if it has one."""
        return looks_of(self.entries()[1], self.path)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own: other processes wait until it is on the disk, or find nothing of it."""
        with connect(self.path, "rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            if read_head(connection, missing_ok=True) is None:
                create_tables(connection, uuid.uuid4().hex)
            upgrade(connection)
            yield connection
            connection.execute("COMMIT")


def recipe_digest(recipe: Any) -> str:
    """What a recipe's settings are, whatever its name, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical({name: recipe[name] for name in recipe if name != "name"}).encode()).hexdigest()


def summary(score: Mapping[str, Any]) -> dict[str, Any]:
    """What the ledger keeps of a score: `correct`, `count`, `loss` (nats; None if it is not finite) and `digest`.

    Args:
        score: what a run's record keeps of it, or will.
    """
    whole = plain(score)
    digest = hashlib.sha256(canonical(whole).encode()).hexdigest()
    return {**{name: whole.get(name) for name in ("correct", "count", "loss")}, "digest": digest}


def canonical(value: Any) -> str:
    """The one way to write a value as JSON: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def chained_hash(previous: str, fields: tuple[Any, ...]) -> str:
    """The hash of an entry, SHA-256 in hexadecimal.

    Args:
        previous: the hash of the entry before; for the first entry the ledger's id.
        fields: number, kind, test set, look and content.
    """
    return hashlib.sha256(canonical([previous, *fields]).encode()).hexdigest()


def _entries(connection: sqlite3.Connection) -> list[Entry]:
    """All entries, in order."""
    rows = connection.execute("SELECT number, kind, test_set, look, content, hash FROM entries ORDER BY number")
    return [Entry(*row) for row in rows]


def _add(connection: sqlite3.Connection, kind: Kind, test_set: str, look: int | None, content: dict[str, Any]) -> Entry:
    """Writes an entry after the last one."""
    head = read_head(connection)
    fields = (head.number + 1, kind, test_set, look, canonical(content))
    entry = Entry(*fields, chained_hash(head.hash, fields))
    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", entry)
    connection.execute("UPDATE head SET number = ?, hash = ?", [entry.number, entry.hash])
    return entry


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
