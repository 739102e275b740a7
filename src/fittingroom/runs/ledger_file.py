"""The ledger's file: its tables, its version, and errors that say how to mend it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, overload

from fittingroom.errors import StorageError

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
