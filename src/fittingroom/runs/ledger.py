"""The ledger: the record of every look at a sealed test set, one file per user that all processes write to.

It is an SQLite database with a table of entries that are only ever added: a *look* before anything is computed, a
*score* after. Test sets are told apart by the fingerprint of their images and labels. Each entry has a hash over its
contents and the hash before it, so that a later change shows (`ledger_check.py`).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fittingroom.errors import StorageError
from fittingroom.runs.ledger_file import connect, create_tables, read_head
from fittingroom.runs.record import now

Kind = Literal["look", "score"]


def ledger_path() -> Path:
    """The user's ledger: the file `FITTINGROOM_LEDGER`, else one in the place that the system has for users' data."""
    chosen = os.environ.get("FITTINGROOM_LEDGER")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_dir

    return Path(user_data_dir("fittingroom", appauthor=False), "ledger.sqlite")


@dataclass(frozen=True)
class Intent:
    """What is known of a look before it is taken.

    Args:
        dataset: the name under which the data were loaded.
        images: the number of test images.
        reason: what for.
        run: the run folder, absolute; None for an opening from Python without a run, and so for the next three.
        recipe: the recipe's name.
        recipe_digest: of the recipe's settings without the name, as `recipe_digest` gives it.
        seed: the run's seed.
    """

    dataset: str
    images: int
    reason: str
    run: str | None = None
    recipe: str | None = None
    recipe_digest: str | None = None
    seed: int | None = None


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


class Entry(NamedTuple):
    """A row of the table.

    Args:
        number: 1, 2, 3, ... without a gap.
        kind: `look` or `score`.
        test_set: the fingerprint.
        look: for a score the number of the entry of its look; None for a look.
        content: the rest, as canonical JSON.
        hash: of all of this and of the hash before.
    """

    number: int
    kind: Kind
    test_set: str
    look: int | None
    content: str
    hash: str


@dataclass(frozen=True)
class LedgerLook:
    """A look as the ledger tells it.

    Args:
        look: which look at this test set it is, counted from 1.
        test_set: the fingerprint.
        time: ISO 8601, UTC.
        intent: what was known before.
        hash: the hash of its entry.
        score: `correct`, `count` and `loss` (nats); None if the computation was cut off, or for an opening from Python.
    """

    look: int
    test_set: str
    time: str
    intent: Intent
    hash: str
    score: dict[str, Any] | None


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
        """Adds a look and makes sure that it is on the disk. Call it before any label is read."""
        with self._writing() as connection:
            entry = _add(connection, "look", test_set, None, {"time": now(), **asdict(intent)})
            counting = "SELECT count(*) FROM entries WHERE kind = 'look' AND test_set = ?"
            (look,) = connection.execute(counting, [test_set]).fetchone()
            return Counted(read_head(connection).ledger, entry.number, look, entry.hash)

    def record_score(self, counted: Counted, correct: int, count: int, loss: float) -> None:
        """Adds what came out of a look.

        Args:
            counted: the look.
            correct: how many images were classified rightly.
            count: of how many.
            loss: mean cross-entropy, in nats.
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
            content = {"time": now(), "correct": correct, "count": count, "loss": loss if math.isfinite(loss) else None}
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
            rows = connection.execute("SELECT number, kind, test_set, look, content, hash FROM entries ORDER BY number")
            return head.ledger, [Entry(*row) for row in rows]

    def looks(self) -> list[LedgerLook]:
        """All looks, the oldest first, each with its score if it has one."""
        _, entries = self.entries()
        scores = {entry.look: _content(entry, self.path) for entry in entries if entry.kind == "score"}
        counts: dict[str, int] = {}
        looks = []
        for entry in entries:
            if entry.kind == "look":
                counts[entry.test_set] = counts.get(entry.test_set, 0) + 1
                looks.append(_look(entry, counts[entry.test_set], scores.get(entry.number), self.path))
        return looks

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own: other processes wait until it is on the disk, or find nothing of it."""
        with connect(self.path, "rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            if read_head(connection, missing_ok=True) is None:
                create_tables(connection, uuid.uuid4().hex)
            yield connection
            connection.execute("COMMIT")


def recipe_digest(recipe: Any) -> str:
    """What a recipe's settings are, whatever its name, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical({name: recipe[name] for name in recipe if name != "name"}).encode()).hexdigest()


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


def _add(connection: sqlite3.Connection, kind: Kind, test_set: str, look: int | None, content: dict[str, Any]) -> Entry:
    """Writes an entry after the last one."""
    head = read_head(connection)
    fields = (head.number + 1, kind, test_set, look, canonical(content))
    entry = Entry(*fields, chained_hash(head.hash, fields))
    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", entry)
    connection.execute("UPDATE head SET number = ?, hash = ?", [entry.number, entry.hash])
    return entry


def _look(entry: Entry, number: int, score: dict[str, Any] | None, path: Path) -> LedgerLook:
    content = _content(entry, path)
    try:
        time = content.pop("time")
        intent = Intent(**content)
    except (KeyError, TypeError) as error:
        raise _unreadable(entry, path) from error
    return LedgerLook(number, entry.test_set, time, intent, entry.hash, score)


def _content(entry: Entry, path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(entry.content))
    except (RecursionError, TypeError, ValueError) as error:
        raise _unreadable(entry, path) from error


def _unreadable(entry: Entry, path: Path) -> StorageError:
    return StorageError(
        f"entry {entry.number} of the ledger {path} cannot be read: it was changed. `fittingroom ledger --verify` says "
        "more; bring the file back from a copy, or move it away to begin a new ledger."
    )
