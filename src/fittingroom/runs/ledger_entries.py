"""What the entries of a ledger say: looks, which of them are at one test set, and which tell nothing new.

A test set is known by its source content (`data.arrays.source_fingerprint`). A look also keeps the fingerprint of the
images as the model saw them, by which alone looks of version 1 of the ledger know theirs. Looks that share either are
at one test set, directly or through others. Pictures of a folder have another such fingerprint at each size, and so an
old look at a folder counts also where the folder and the number of test images are the same.

The ledger's file: its tables, its version, and errors that say how to mend it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

from fittingroom.errors import StorageError

Kind = Literal["look", "score"]


@dataclass(frozen=True)
class Intent:
    """What is known of a look before it is taken.

    Args:
        dataset: the name under which the data were loaded.
        images: the number of test images.
        reason: what for.
        run: the run folder, absolute; None for an opening from Python without a run, and so for the next four.
        recipe: the recipe's name.
        recipe_digest: of the recipe's settings without the name, as `recipe_digest` gives it.
        seed: the run's seed.
        weights: SHA-256 of the run's weights, as `runs.weights` computes it; None in looks of version 1.
        fingerprint: of the test images as the model saw them; None in looks of version 1, whose test set it is.
        together: what the seeds of one recipe have in common that are scored in one look, such as those that an
            experiment chose; None for a look by itself.
    """

    dataset: str
    images: int
    reason: str
    run: str | None = None
    recipe: str | None = None
    recipe_digest: str | None = None
    seed: int | None = None
    weights: str | None = None
    fingerprint: str | None = None
    together: str | None = None


class Entry(NamedTuple):
    """A row of the table.

    Args:
        number: 1, 2, 3, ... without a gap.
        kind: `look` or `score`.
        test_set: what the test set is known by.
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
        look: which look at this test set it is, counted from 1. A repetition has the number of the look it repeats.
        test_set: what the test set is known by: the same for all looks at it.
        time: ISO 8601, UTC.
        intent: what was known before.
        hash: the hash of its entry.
        score: `correct`, `count`, `loss` (nats) and, since version 2, `digest`; None if the computation was cut off, or
            for an opening from Python.
        repeats: whether the same weights of the same recipe and seed had looked at the same images before, which tells
            nothing new.
        joins: whether it is a further seed of the look whose number it has.
        known_as: all that the test set is known by, its fingerprints at several sizes among them.
    """

    look: int
    test_set: str
    time: str
    intent: Intent
    hash: str
    score: dict[str, Any] | None
    repeats: bool = False
    joins: bool = False
    known_as: frozenset[str] = frozenset()


def looks_of(entries: Sequence[Entry], path: Path) -> list[LedgerLook]:
    """All looks among entries in their order, counted.

    Raises:
        StorageError: one of them cannot be read; the message names the ledger's `path`.
    """
    scores = {entry.look: _content(entry, path) for entry in entries if entry.kind == "score"}
    read = [(entry, *_intent(entry, path)) for entry in entries if entry.kind == "look"]
    sets = _test_sets([(entry.test_set, intent) for entry, _, intent in read])
    counts: dict[str, int] = {}
    known: dict[tuple[Any, ...], int] = {}
    groups: dict[tuple[str, str | None], tuple[int, set[int | None]]] = {}
    looks = []
    for entry, time, intent in read:
        test_set, known_as = sets[entry.test_set]
        same = (test_set, intent.fingerprint, intent.weights, intent.recipe_digest, intent.seed)
        number = known.get(same) if intent.weights is not None else None
        repeats = number is not None
        of_group, seeds = groups.get((test_set, intent.together), (None, set()))
        joins = not repeats and intent.seed not in seeds
        if of_group is not None and joins:
            number = known[same] = of_group
        else:
            joins = False
        if number is None:
            number = known[same] = counts[test_set] = counts.get(test_set, 0) + 1
        if intent.together is not None and not repeats:
            groups[test_set, intent.together] = number, {*(seeds if joins else ()), intent.seed}
        score = scores.get(entry.number)
        looks.append(LedgerLook(number, test_set, time, intent, entry.hash, score, repeats, joins, known_as))
    return looks


def count_looks(looks: Iterable[LedgerLook]) -> int:
    """How many of some looks told something new; the seeds of one chosen recipe are one."""
    return sum(not (look.repeats or look.joins) for look in looks)


def _test_sets(looks: Sequence[tuple[str, Intent]]) -> dict[str, tuple[str, frozenset[str]]]:
    """For all that test sets are known by: the oldest name of that test set, and all of them."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            name = parent[name]
        return name

    old_folders = {_folder(intent): test_set for test_set, intent in looks if intent.fingerprint is None}
    for test_set, intent in looks:
        first = root(test_set)
        for other in (intent.fingerprint, old_folders.get(_folder(intent)) if _folder(intent) else None):
            if other is not None and root(other) != first:
                parent[root(other)] = first
    groups: dict[str, list[str]] = {}
    for name in parent:  # in the order of the looks
        groups.setdefault(root(name), []).append(name)
    return {name: (members[0], frozenset(members)) for members in groups.values() for name in members}


def _folder(intent: Intent) -> tuple[str, int] | None:
    """A folder of pictures and how many of them are tested on; None for other data."""
    return (intent.dataset, intent.images) if intent.dataset.startswith("folder:") else None


def _intent(entry: Entry, path: Path) -> tuple[str, Intent]:
    """When a look was taken, and what was known before."""
    content = _content(entry, path)
    try:
        known = {field.name: content[field.name] for field in fields(Intent) if field.name in content}
        intent = Intent(**known)
        if not (isinstance(intent.dataset, str) and isinstance(intent.images, int)):
            raise TypeError("it names no dataset")
        return str(content["time"]), intent
    except (KeyError, TypeError) as error:
        raise _unreadable(entry, path) from error


def _content(entry: Entry, path: Path) -> dict[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(entry.content)
        return dict(content)
    except (RecursionError, TypeError, ValueError) as error:
        raise _unreadable(entry, path) from error


def _unreadable(entry: Entry, path: Path) -> StorageError:
    return StorageError(
        f"entry {entry.number} of the ledger {path} cannot be read: it was changed. `fittingroom ledger --verify` says "
        "more; bring the file back from a copy, or move it away to begin a new ledger."
    )


VERSION = 2
"""The form of the tables and entries. It grows by one when they change; a newer one is refused.

Version 1 knew a test set by its images as the model saw them, and lacked `weights`, `fingerprint` and `digest` in what
entries say. Its tables are the same, and its entries stay as they are, under the hashes that they have.
"""

_APPLICATION = 0x46524C47  # "FRLG", in the file's header: another program's database is not taken for a ledger
_PATIENCE = 60.0  # seconds to wait for other processes, each of which needs a few milliseconds

_SCHEMA = (
    "CREATE TABLE entries (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, test_set TEXT NOT NULL, look INTEGER, "
    "content TEXT NOT NULL, hash TEXT NOT NULL)",
    "CREATE TABLE head (ledger TEXT NOT NULL, number INTEGER NOT NULL, hash TEXT NOT NULL)",
)
_TABLES = (
    *_SCHEMA,
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)

_ELSEWHERE = "or name another place with FITTINGROOM_LEDGER. Until then no test set is opened."
_DAMAGED = "The file is damaged: bring it back from a copy, move it away to begin a new one, " + _ELSEWHERE
_MENDS = {
    sqlite3.SQLITE_BUSY: "Another process holds it: wait until it is done, " + _ELSEWHERE,
    sqlite3.SQLITE_FULL: "Free some space, " + _ELSEWHERE,
    sqlite3.SQLITE_IOERR: "Look whether the disk is full or faulty, " + _ELSEWHERE,
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable, " + _ELSEWHERE,
    sqlite3.SQLITE_CANTOPEN: "Make its folder writable, " + _ELSEWHERE,
}


class Head(NamedTuple):
    """Where the chain ends.

    Args:
        ledger: the ledger's id, made by chance once.
        number: of the last entry; 0 for none.
        hash: of the last entry; the id for none.
    """

    ledger: str
    number: int
    hash: str


@contextmanager
def connect(path: Path, mode: Literal["rw", "rwc"]) -> Iterator[sqlite3.Connection]:
    """The database, without a transaction; what is not committed at the end is taken back.

    Reading needs `rw` as well: what a killed process left half-written is taken back by the next one to open the file.

    Args:
        path: the file.
        mode: `rwc` makes the file and its folder if they are not there.

    Raises:
        StorageError: anything about the file goes wrong, also while it is used.
    """
    try:
        if mode == "rwc":
            path.parent.mkdir(parents=True, exist_ok=True)
        location = f"{path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(location, uri=True, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            # EXTRA is FULL, and the folder is synced as well: a power cut cannot bring the old journal back.
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection
    except OSError as error:
        raise StorageError(
            f"the ledger {path} cannot be used: {error}. Make its folder usable, {_ELSEWHERE}"
        ) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits say more than is needed
        raise StorageError(f"the ledger {path} cannot be used: {error}. {_MENDS.get(code, _DAMAGED)}") from error


def create_tables(connection: sqlite3.Connection, ledger: str) -> None:
    """Makes an empty ledger with this id, as a part of the transaction."""
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO head VALUES (?, 0, ?)", [ledger, ledger])


def upgrade(connection: sqlite3.Connection) -> None:
    """Says in an older ledger that entries of this version may follow, as a part of the transaction."""
    if read_version(connection) < VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")


@overload
def read_head(connection: sqlite3.Connection, *, missing_ok: Literal[False] = False) -> Head: ...
@overload
def read_head(connection: sqlite3.Connection, *, missing_ok: Literal[True]) -> Head | None: ...
def read_head(connection: sqlite3.Connection, *, missing_ok: bool = False) -> Head | None:
    """Where the chain ends, after making sure that the file is a ledger of a version that is known.

    Args:
        connection: the database.
        missing_ok: whether an empty file is answered with None.

    Raises:
        StorageError: the file is another program's, of a newer version, or its last entries are gone.
    """
    if missing_ok and _is_empty(connection):
        return None
    read_version(connection)
    rows = connection.execute("SELECT ledger, number, hash FROM head").fetchall()
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM entries").fetchone()
    if len(rows) != 1 or rows[0][1] != last:
        ends = ", ".join(str(row[1]) for row in rows) or "nowhere"
        raise sqlite3.DatabaseError(f"its last entry is {last}, and should be {ends}")
    return Head(*rows[0])


def read_version(connection: sqlite3.Connection) -> int:
    """The version of the tables, after making sure that it is one that is known.

    Raises:
        StorageError: the file is another program's, or of a newer version.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION or version < 1:
        raise sqlite3.DatabaseError("it is the database of another program")
    if version <= VERSION:
        # A view or a trigger in place of a table would compute whatever it says, for ever if it likes.
        found = sorted(row[0] or "" for row in connection.execute("SELECT sql FROM sqlite_master"))
        if found != sorted(_SCHEMA):
            raise sqlite3.DatabaseError("its tables are not those of a ledger")
    if version > VERSION:
        (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
        raise StorageError(
            f"the ledger {path} is of version {version}, and this fittingroom knows versions up to {VERSION}: "
            f"pip install --upgrade fittingroom, {_ELSEWHERE}"
        )
    return int(version)


def _is_empty(connection: sqlite3.Connection) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return bool(application == tables == 0)
