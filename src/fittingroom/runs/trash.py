"""Deleting a run so that it can come back whole: its folder is moved into the hidden folder `.trash` beside it.

A move within one folder is one rename: whole or not at all, at any size. The name stays, so that a run that comes back
is found by whoever knew it, and by the ledger. What the ledger says is not touched: a look at a test set was taken,
whether or not the run is still there.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from fittingroom.atomic import storage_errors
from fittingroom.errors import RunError, UnknownNameError
from fittingroom.runs.place import RunsFolder, is_run, is_unfinished
from fittingroom.runs.unfinished import RunLock

_TRASH = ".trash"
_COPY = "~"  # before the number of a second run of one name in the trash


def delete_run(path: Path) -> str:
    """Moves a run, or a training that was stopped, into the trash.

    Args:
        path: its folder.

    Returns:
        Its name in the trash, for `restore_run`.

    Raises:
        RunError: it is being trained, or is no run.
        StorageError: it cannot be moved.
    """
    if not (is_run(path) or is_unfinished(path)) or path.is_symlink():
        raise RunError(f"{path} is not a run, so it is not deleted.")
    if is_run(path.parent):
        raise RunError(f"{path} is one seed of {path.parent}. Delete the whole run.")
    if trainer := RunLock.holder(path):
        raise RunError(f"{path} is being trained by {trainer}. Stop the training first, or wait until it is done.")
    trash = path.parent / _TRASH
    with storage_errors(path):
        trash.mkdir(exist_ok=True)
        for number in itertools.count(1):
            place = trash / (path.name if number == 1 else f"{path.name}{_COPY}{number}")
            if not place.exists():
                break
        path.rename(place)
        os.utime(place)  # when it was deleted
    return place.name


def restore_run(name: str, parent: Path | None = None) -> Path:
    """Moves a run back to where it was.

    Args:
        name: as `delete_run` gave it; the name of a run means the one of that name that was deleted last.
        parent: the folder it was in; None for the folder of runs.

    Raises:
        UnknownNameError: there is none of that name in the trash.
        RunError: another run has its name by now.
        StorageError: it cannot be moved.
    """
    parent = RunsFolder().path if parent is None else parent
    known = list_deleted(parent)
    found = next((path for path in known if path.name == name), None) or next(
        (path for path in known if path.name.partition(_COPY)[0] == name), None
    )
    if found is None:
        raise UnknownNameError("deleted run", name, [path.name for path in known[:10]])
    place = parent / found.name.partition(_COPY)[0]
    if place.exists() or place.is_symlink():
        raise RunError(f"{place} is there again, and nothing is overwritten. Move or delete it first.")
    with storage_errors(place):
        found.rename(place)
    return place


def list_deleted(parent: Path | None = None) -> list[Path]:
    """The folders in the trash of a folder of runs, the last deleted first."""
    trash = (RunsFolder().path if parent is None else parent) / _TRASH
    if not trash.is_dir():
        return []
    return sorted((path for path in trash.iterdir() if is_run(path) or is_unfinished(path)), key=_moved, reverse=True)


def empty_trash(parent: Path | None = None) -> int:
    """Removes for good what was deleted.

    Returns:
        How many runs.

    Raises:
        StorageError: a file cannot be removed.
    """
    deleted = list_deleted(parent)
    for path in deleted:
        with storage_errors(path):
            shutil.rmtree(path)
    return len(deleted)


def disk_use(paths: Iterable[Path]) -> int:
    """Bytes of all files below some folders; a file that several of them share by links counts once."""
    seen, total, left = set[tuple[int, int]](), 0, list(paths)
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
                        continue
                    state = entry.stat(follow_symlinks=False)
                    if state.st_nlink > 1:
                        if (state.st_dev, state.st_ino) in seen:
                            continue
                        seen.add((state.st_dev, state.st_ino))
                    total += state.st_size
        except OSError:
            continue  # gone by now, or another user's
    return total


def _moved(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
