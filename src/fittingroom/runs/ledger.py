"""The ledger: the record of every look at a sealed test set, in one file per user that all processes write to.

It is an SQLite database with a table of entries that are only ever added: a *look* before anything is computed, a
*score* after (`ledger_entries.py`). An *inspection*, which compares the images of a test set with others
without reading its labels, is an entry too, but not a look.

**What the hashes are for.** Each entry has a hash over its content and the hash before it, and the run that looked
keeps the hash of its look in its own folder. The user owns the file, so this is no lock. It guards against what happens
to honest people, and what SQLite's own check does not see, because it reads the structure of the file and not its
content:

- an entry that was edited or removed by hand, to see fewer looks, by the user or a colleague with the same account;
- an old copy that a restored backup or a synchronised folder put in the place of a newer ledger: the file is whole, but
  runs have looks that it lacks;
- looks that were removed together with the folders of their runs: the one run that was kept, or sent to somebody,
  vouches for all looks before its own.

It does not find a ledger that was rewritten from its first entry together with the run folders (there is no key), a new
ledger begun elsewhere, or looks without Fitting Room. `ledger_check.py` does the checking.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

from fittingroom.atomic import absolute
from fittingroom.errors import StorageError
from fittingroom.runs.ledger_entries import Intent, Kind, LedgerEntry, LedgerInspection, LedgerLook
from fittingroom.runs.record import now

VERSION = 3
"""The form of the tables and entries. It grows by one when they change; a newer one is refused.

Version 1 knew a test set by its images as the model saw them, and lacked `weights`, `fingerprint` and `digest` in what
entries say. Version 2 had no inspections. Their tables are the same, and their entries stay as they are, under the
hashes that they have.
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

_VARIABLE = "FITTINGROOM_LEDGER"
_ELSEWHERE = "or name another place with FITTINGROOM_LEDGER. Until then no test set is opened."
_DAMAGED = "The file is damaged: restore it from a backup, move it away to begin a new one, " + _ELSEWHERE
_MENDS = {
    sqlite3.SQLITE_BUSY: "Another process holds it: wait until it is done, " + _ELSEWHERE,
    sqlite3.SQLITE_FULL: "Free some space, " + _ELSEWHERE,
    sqlite3.SQLITE_IOERR: "Check whether the disk is full or faulty, " + _ELSEWHERE,
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable, " + _ELSEWHERE,
    sqlite3.SQLITE_CANTOPEN: "Make its folder writable, " + _ELSEWHERE,
}


def _ledger_path() -> Path:
    """The user's ledger: the file `FITTINGROOM_LEDGER`, else one in the place that the system has for users' data.

    Raises:
        StorageError: the user has no home folder, and named no file.
    """
    chosen = os.environ.get(_VARIABLE)
    if chosen:
        return absolute(chosen)
    from platformdirs import user_data_dir

    try:
        return Path(user_data_dir("fittingroom", appauthor=False), "ledger.sqlite")
    except RuntimeError as error:
        raise StorageError(
            "the ledger, which counts the looks at test sets, needs a file, and this user has no home folder. Name one "
            "with FITTINGROOM_LEDGER. Until then no test set is opened."
        ) from error


@contextmanager
def own_ledger(path: Path) -> Iterator[None]:
    """Counts the looks of a `with` block in a ledger of its own, also those of processes that it starts.

    For what looks at test sets that nobody else has, such as those that a lab makes to spoil them.
    """
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(absolute(path))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


@dataclass(frozen=True)
class LedgerPlace:
    """Where a ledger has a look; the run's own record keeps it, too.

    Args:
        ledger: the ledger's id.
        entry: the number of its entry, from 1.
        look: which look at this test set it is, from 1.
        hash: the hash of the entry; it stands for all entries before it too.
    """

    ledger: str
    entry: int
    look: int
    hash: str


class Ledger:
    """A ledger in a file. Each call opens and closes it; the first look creates it.

    Every method raises StorageError if the file cannot be read or written, is damaged, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_user(cls) -> Ledger:
        """The ledger of whoever runs this process."""
        return cls(_ledger_path())

    def record_look(self, test_set: str, intent: Intent) -> LedgerPlace:
        """Adds a look, and returns when it is on the disk. To be called before any label is read.

        Args:
            test_set: what the test set is known by, as `data.arrays.source_fingerprint` gives it.
            intent: what is known of the look before it is taken.
        """
        with self._writing() as connection:
            entry = _add(connection, "look", test_set, None, {"time": now(), **asdict(intent)})
            look = LedgerLook.all_of(_entries(connection), self.path)[-1].look
            return LedgerPlace(_read_head(connection).ledger, entry.number, look, entry.hash)

    def record_score(self, place: LedgerPlace, score: Mapping[str, Any]) -> None:
        """Adds the score of a look.

        Args:
            place: where the look is, from `record_look`.
            score: as the run's own record keeps it: `correct`, `count`, `loss` and more, of which a hash is kept.
        """
        with self._writing() as connection:
            found = connection.execute(
                "SELECT test_set FROM entries WHERE number = ? AND hash = ?", [place.entry, place.hash]
            ).fetchone()
            if found is None:
                raise StorageError(
                    f"the ledger {self.path} lost entry {place.entry}, a look of this process, before its score was "
                    "computed. `fittingroom ledger --verify` says more."
                )
            content = {"time": now(), **LedgerLook.summary_of(score)}
            _add(connection, "score", found[0], place.entry, content)

    def record_inspection(self, test_set: str, intent: Intent) -> None:
        """Adds an inspection, and returns when it is on the disk. To be called before any image is handed out.

        Args:
            test_set: what the test set is known by, as for `record_look`.
            intent: what is known of the inspection; `run` and what follows it are those of the run that is audited.
        """
        with self._writing() as connection:
            _add(connection, "inspection", test_set, None, {"time": now(), **asdict(intent)})

    def entries(self) -> tuple[str, list[LedgerEntry]]:
        """The ledger's id, empty while there is no file, and all entries in order."""
        if not self.path.exists():
            return "", []
        with _connect(self.path, "rw") as connection:
            connection.execute("BEGIN")  # both reads see the same state
            head = _read_head(connection, missing_ok=True)
            if head is None:
                return "", []
            return head.ledger, _entries(connection)

    def looks(self) -> list[LedgerLook]:
        """All looks, the oldest first, each with its score if it has one."""
        return LedgerLook.all_of(self.entries()[1], self.path)

    def inspections(self) -> list[LedgerInspection]:
        """All inspections, the oldest first. They are no looks."""
        return LedgerInspection.all_of(self.entries()[1], self.path)

    def unchecked(self) -> tuple[list[str], list[tuple[str, int, str]], list[LedgerEntry]]:
        """What SQLite finds wrong with the file, the rows of its head, and all entries, whether or not they fit."""
        if not self.path.exists() or not self.path.stat().st_size:
            return ["ok"], [("", 0, "")], []
        with _connect(self.path, "rw") as connection:
            _read_version(connection)
            connection.execute("BEGIN")
            findings = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            return (
                findings,
                connection.execute("SELECT ledger, number, hash FROM head").fetchall(),
                _entries(connection),
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: other processes wait until it is on the disk, or see nothing of it."""
        with _connect(self.path, "rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            if _read_head(connection, missing_ok=True) is None:
                _create_tables(connection, uuid.uuid4().hex)
            _upgrade(connection)
            yield connection
            connection.execute("COMMIT")


def _entries(connection: sqlite3.Connection) -> list[LedgerEntry]:
    """All entries, in order."""
    rows = connection.execute("SELECT number, kind, test_set, look, content, hash FROM entries ORDER BY number")
    return [LedgerEntry(*row) for row in rows]


def _add(
    connection: sqlite3.Connection, kind: Kind, test_set: str, look: int | None, content: dict[str, Any]
) -> LedgerEntry:
    """Writes an entry after the last one."""
    head = _read_head(connection)
    entry = LedgerEntry.after(head.hash, head.number + 1, kind, test_set, look, content)
    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", entry)
    connection.execute("UPDATE head SET number = ?, hash = ?", [entry.number, entry.hash])
    return entry


class _Head(NamedTuple):
    """The note of the last entry, which shows when last entries were removed.

    Args:
        ledger: the ledger's id, drawn at random once.
        number: the number of the last entry; 0 for none.
        hash: the hash of the last entry; the id for none.
    """

    ledger: str
    number: int
    hash: str


@contextmanager
def _connect(path: Path, mode: Literal["rw", "rwc"]) -> Iterator[sqlite3.Connection]:
    """The database, without a transaction; what is not committed at the end is rolled back.

    Args:
        path: the file.
        mode: `rwc` creates the file and its folder if they are not there. Reading needs `rw` too: whoever opens the
            file next rolls back what a killed process left half-written.

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


def _create_tables(connection: sqlite3.Connection, ledger: str) -> None:
    """Creates an empty ledger with this id, as a part of the transaction."""
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO head VALUES (?, 0, ?)", [ledger, ledger])


def _upgrade(connection: sqlite3.Connection) -> None:
    """Marks an older ledger as one where entries of this version may follow, as a part of the transaction."""
    if _read_version(connection) < VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")


@overload
def _read_head(connection: sqlite3.Connection, *, missing_ok: Literal[False] = False) -> _Head: ...
@overload
def _read_head(connection: sqlite3.Connection, *, missing_ok: Literal[True]) -> _Head | None: ...
def _read_head(connection: sqlite3.Connection, *, missing_ok: bool = False) -> _Head | None:
    """The note of the last entry, after checking that the file is a ledger of a known version.

    Args:
        connection: the database.
        missing_ok: whether to return None for an empty file.

    Raises:
        StorageError: the file is another program's, of a newer version, or its last entries are gone.
    """
    if missing_ok and _is_empty(connection):
        return None
    _read_version(connection)
    rows = connection.execute("SELECT ledger, number, hash FROM head").fetchall()
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM entries").fetchone()
    if len(rows) != 1 or rows[0][1] != last:
        ends = ", ".join(str(row[1]) for row in rows) or "nowhere"
        raise sqlite3.DatabaseError(f"its last entry is {last}, and should be {ends}")
    return _Head(*rows[0])


def _read_version(connection: sqlite3.Connection) -> int:
    """The version of the tables, after checking that it is a known one.

    Raises:
        StorageError: the file is another program's, or of a newer version.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION or version < 1:
        raise sqlite3.DatabaseError("it is the database of another program")
    if version <= VERSION:
        # A view or a trigger in place of a table could run any query, and never end.
        found = sorted(row[0] or "" for row in connection.execute("SELECT sql FROM sqlite_master"))
        if found != sorted(_SCHEMA):
            raise sqlite3.DatabaseError("its tables are not those of a ledger")
    if version > VERSION:
        (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
        raise StorageError(
            f"the ledger {path} has version {version}, and this Fitting Room reads up to version {VERSION}. Upgrade "
            f"it (pip install --upgrade fittingroom), {_ELSEWHERE}"
        )
    return int(version)


def _is_empty(connection: sqlite3.Connection) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return bool(application == tables == 0)
