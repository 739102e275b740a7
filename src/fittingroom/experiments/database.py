"""The database of a search: looked at before Optuna opens it, closed after, and errors that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from fittingroom.data.streams import open_file
from fittingroom.errors import FittingRoomError, StorageError

if TYPE_CHECKING:
    import optuna

_START = b"SQLite format 3\0"
_WAIT = 60.0  # seconds for other processes
_MEND = "Move the file away to begin again (the runs that it tells of are kept), or name another with --storage."
_FORMS = "--storage takes what Optuna takes, for example sqlite:///search.sqlite or postgresql://USER@HOST/NAME."


@contextmanager
def database_errors() -> Iterator[None]:
    """Turns whatever a database, its driver or damaged contents raise into a StorageError."""
    try:
        yield
    except (FittingRoomError, MemoryError):
        raise
    except Exception as error:  # drivers raise classes of their own, and contents are read as JSON
        first = next(iter(str(error).strip().splitlines()), "")
        raise StorageError(
            f"the search's database cannot be used: {type(error).__name__}: {first[:300]}. {_FORMS}"
        ) from error


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """The storage that Optuna works on.

    Raises:
        StorageError: the database cannot be reached, or is a file that Optuna has not written.
    """
    if url.startswith("sqlite:///"):
        _check_file(Path(unquote(url.removeprefix("sqlite:///").partition("?")[0])))
    with database_errors():
        import optuna

        return optuna.storages.RDBStorage(url)


def close_storage(storage: optuna.storages.RDBStorage) -> None:
    """Closes all connections."""
    storage.remove_session()
    storage.engine.dispose()


def _check_file(path: Path) -> None:
    """Makes sure that a file is whole and has ordinary tables alone.

    A view or a trigger in place of a table would compute whatever it says, for ever if it likes.
    """
    try:
        if not path.exists() or not path.stat().st_size:
            return
        with open_file(path) as stream:
            if stream.read(len(_START)) != _START:
                raise StorageError(f"{path} is not a database of SQLite. {_MEND}")
        location = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(location, uri=True, timeout=_WAIT)) as connection:
            found = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
            odd = [
                name
                for kind, name, sql in found
                if kind not in {"table", "index"} or str(sql or "").upper().startswith("CREATE VIRTUAL")
            ]
            if odd:
                raise StorageError(f"{path} was not written by a search: {str(odd[0])[:50]!r} is not a table. {_MEND}")
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise StorageError(f"{path} is damaged: {str(damage)[:300]}. {_MEND}")
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path} cannot be used: {error}. {_MEND}") from error
