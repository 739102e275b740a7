"""Where runs are: `RunsFolder`, which holds them and makes new ones, and `find_run`, which finds one again."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from fittingroom.atomic import absolute, expanded, read_file, storage_errors, write_bytes
from fittingroom.errors import RunError, StorageError, UnknownNameError

RECORD_NAME = "run.json"
OLD_SEEDS_NAME = "replicas.json"  # what version 0.1 wrote in place of it where there were several seeds
UNFINISHED_NAME = "training.json"  # in the folder of a training that is under way, or can be resumed
LATEST = "latest"
NO_FOLDERS = "none"  # as FITTINGROOM_RUNS_DIR; a folder of that name is ./none

_KNOWN_NAME = ".elsewhere"  # in the folder of runs: a path a line, of runs that were written elsewhere with --out
_LARGEST_LIST = 2**20  # bytes
_SPACE_NEEDED = 32 * 2**20  # a run of the course's model on Fashion-MNIST takes about 2 MB


class RunsFolder:
    """The folder that holds runs: a new one is numbered in it, and each is found in it by its name.

    Args:
        path: the folder; None for the user's, `FITTINGROOM_RUNS_DIR`, else `runs` in the current folder. It is not made
            here.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The folder, whether or not it is there yet."""
        if self._path is not None:
            return self._path
        # Read when it is asked for: a run with its own folder needs none, nor a home folder for `~` in the setting.
        setting = os.environ.get("FITTINGROOM_RUNS_DIR")
        return expanded("runs" if setting in {None, "", NO_FOLDERS} else str(setting))

    @staticmethod
    def is_wanted_by_fit() -> bool:
        """Whether `fit` writes a run's folder where its caller names none: not with `FITTINGROOM_RUNS_DIR=none`."""
        return os.environ.get("FITTINGROOM_RUNS_DIR") != NO_FOLDERS

    def runs(self) -> list[Path]:
        """The folders of its runs, newest first. They are not read.

        The age of a run is that of a file that is written once; `run.json` changes when the test set is opened.
        """
        return sorted((path for path in _folders_in(self.path) if is_run(path)), key=_age_key, reverse=True)

    def unfinished(self) -> list[Path]:
        """The folders of its trainings that are under way or can be resumed, newest first."""
        found = [path for path in _folders_in(self.path) if is_unfinished(path)]
        return sorted(found, key=lambda path: _written(path / UNFINISHED_NAME), reverse=True)

    def unreadable(self) -> list[Path]:
        """Its folders that may not be looked into: other users' runs, perhaps."""
        return sorted(path for path in _folders_in(self.path) if _is_folder(path) and not _may_be_read(path))

    def find_unfinished(self, run: str | Path = LATEST) -> Path:
        """The folder of a training that can be resumed: a path, a name in this folder, or `latest`, the newest here.

        Raises:
            UnknownNameError: there is no such folder; the message lists those that can be resumed.
            RunError: the run has finished; or `latest`, and there is nothing to resume.
        """
        run = _named(run)
        known = self.unfinished()
        if str(run) == LATEST:
            if known:
                return known[0]
            raise RunError(f"{self.path} holds no stopped training that can be resumed.")
        for path in (Path(run), self.path / run):
            if is_unfinished(path):
                return path
            if is_run(path):
                raise RunError(f"{path} has finished training, so it cannot be resumed.")
        raise UnknownNameError("stopped training", str(run), [*(path.name for path in known[:10]), LATEST])

    def elsewhere(self) -> list[Path]:
        """The runs outside the folder that were added to its list, the last first; those that are gone are left out."""
        found: dict[Path, None] = {}
        for line in reversed(_known(self.path)):
            path = Path(line)
            with suppress(RunError):  # somebody took the rights away
                found.update(dict.fromkeys([path] if is_run(path) else RunsFolder(path).runs()))
        return list(found)

    def add_elsewhere(self, path: Path) -> None:
        """Remembers a run that lies outside the folder, so that it is listed with the others.

        Args:
            path: the run's folder, or a folder of runs.

        Raises:
            RunError: it is neither.
            StorageError: the list, a file in this folder, cannot be written.
        """
        whole, here = absolute(path), absolute(self.path)
        if not (is_run(whole) or is_unfinished(whole) or RunsFolder(whole).runs()):
            raise RunError(f"{path} is not a run, and holds none: there is no {RECORD_NAME}.")
        if here in {whole, whole.parent}:
            return
        with storage_errors(here):
            here.mkdir(parents=True, exist_ok=True)
        known = [line for line in _known(here) if line != str(whole)]
        content = "".join(f"{line}\n" for line in (*known, whole)).encode(errors="surrogateescape")
        write_bytes(here / _KNOWN_NAME, content)

    def check_writable(self, out: Path | None, needed: int = _SPACE_NEEDED) -> None:
        """Makes sure, before any training, that a run can be written. Leaves nothing behind.

        Args:
            out: the run's own folder; None for a new one in this folder.
            needed: bytes that the run will take.

        Raises:
            RunError: `out` is there already and is not an empty folder.
            StorageError: the place cannot be written, or has too little space.
        """
        if out is not None:
            _check_new(out)
        folder = absolute(self.path if out is None else out.parent)
        with storage_errors(folder):
            while not folder.exists():
                folder = folder.parent
            # Permissions alone do not tell: a read-only file system and root's rights have their own ideas.
            with tempfile.TemporaryFile(dir=folder):
                pass
            free = shutil.disk_usage(folder).free
        if free < needed:
            raise StorageError(
                f"{folder} has {free / 2**20:.0f} MB of free space, and a run needs about {needed / 2**20:.0f} MB. "
                "Free some space, or choose another place with --out or FITTINGROOM_RUNS_DIR."
            )

    @staticmethod
    def name_of_run(created: str, dataset: str, recipe: str) -> str:
        """`<date>-<dataset>-<recipe>`, safe as a folder's name. `folder:/data/clothes` becomes `folder-clothes`.

        Args:
            created: ISO 8601; the date is the local one.
            dataset: the dataset's name, or a form such as `npz:FILE`.
            recipe: the recipe's name.
        """
        date = datetime.fromisoformat(created).astimezone().date().isoformat()
        form, _, path = dataset.rpartition(":")
        place = Path(path).stem if form == "npz" else Path(path).name
        return "-".join([date, _safe(f"{form}-{place}" if form else dataset, "data"), _safe(recipe, "recipe")])

    def make_run(self, name: str, out: Path | None) -> Path:
        """Makes the folder of a new run: `out`, or the next free `<name>-<number>` in this folder.

        Raises:
            RunError: `out` is there already and is not an empty folder.
            StorageError: it cannot be made.
        """
        parent = self.path if out is None else out.parent
        with storage_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
            if out is not None:
                _check_new(out)
                out.mkdir(exist_ok=True)
                return out
            # To try each number would take longer with every run of the day.
            taken = {path.name for path in parent.iterdir()}
            for number in itertools.count(1):
                path = parent / f"{name}-{number}"
                if path.name in taken:
                    continue
                with suppress(FileExistsError):  # by another process, this very moment
                    path.mkdir()
                    return path
        raise AssertionError("numbers do not end")


def _check_new(out: Path) -> None:
    """Makes sure that a run's own folder is free.

    Raises:
        RunError: it is there already and is not an empty folder.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise RunError(
            f"{out} is there already, and a run overwrites nothing. --out names the folder of this one run: "
            "choose a new name, or set FITTINGROOM_RUNS_DIR to choose the folder in which runs are numbered."
        )


class _Opened(Protocol):
    """A run that is open, `api.run.Run`."""

    @property
    def path(self) -> Path:
        """Its folder."""


def _named(run: str | Path | _Opened) -> str | Path:
    """A path or a name as it is; of a run that is open, its folder.

    Raises:
        RunError: it is neither.
    """
    if isinstance(run, str | Path):
        return run
    if hasattr(type(run), "record") and isinstance(path := getattr(run, "path", None), Path):
        return path
    kind = "nothing" if run is None else f"an object of type {type(run).__name__}"
    raise RunError(f"expected the folder or the name of a run, such as 'latest', and not {kind}.")


def find_run(run: str | Path | _Opened = LATEST) -> Path:
    """The folder of a run: a path, a name in the runs folder, `latest`, the newest one there, or an open run.

    One seed of a run is a run too: `NAME/seed-2`.

    Raises:
        UnknownNameError: there is no such run; the message lists the newest ones.
        RunError: `latest`, and there is no run yet.
    """
    run = _named(run)
    if str(run) == LATEST:
        for newest in RunsFolder().runs():
            return newest
        raise RunError(f"{RunsFolder().path} holds no run yet. Train one with `fittingroom train`.")
    places = (Path(run), RunsFolder().path / run)
    for path in places:
        if is_run(path):
            return path
    for path in places:
        if is_unfinished(path):
            raise RunError(
                f"{path} is a training that has not finished. `fittingroom train --resume {path}` continues it."
            )
    for path in places:
        _check_may_be_read(path)
    if _is_folder(Path(run)):
        raise RunError(f"{run} is not a run: it has no {RECORD_NAME}.")
    raise UnknownNameError("run", str(run), [*(path.name for path in RunsFolder().runs()[:10]), LATEST])


def _known(folder: Path) -> list[str]:
    """The lines of the list of runs elsewhere; none where it cannot be read."""
    try:
        content = read_file(folder / _KNOWN_NAME, _LARGEST_LIST).decode(errors="surrogateescape")
    except OSError:
        return []
    return [line for line in content.splitlines() if line.startswith(os.sep) or Path(line).is_absolute()]


def _may_be_read(folder: Path) -> bool:
    try:
        (folder / RECORD_NAME).exists()
        next(folder.iterdir(), None)
    except OSError:
        return False
    return True


def _folders_in(folder: Path) -> list[Path]:
    """What is in a folder and not hidden; nothing where there is no such folder.

    Raises:
        RunError: it may not be read.
    """
    if not _is_folder(folder):
        return []
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise RunError(
            f"the folder of runs, {folder}, cannot be read: {error.strerror}. Name another with FITTINGROOM_RUNS_DIR."
        ) from error


def _check_may_be_read(path: Path) -> None:
    """Raises RunError where the system refuses to look at a path, so that nobody can tell whether it is a run."""
    try:
        (path / RECORD_NAME).stat()
    except PermissionError as error:
        raise RunError(f"{path} cannot be read: permission is denied.") from error
    except (OSError, ValueError):  # it is not there, or its name is none that the file system knows
        return


def is_run(path: Path) -> bool:
    """Whether a folder is a run, or one seed of a run."""
    return _is_file(path / RECORD_NAME) or _is_file(path / OLD_SEEDS_NAME)


def is_unfinished(path: Path) -> bool:
    """Whether a folder is that of a training that is under way, or was stopped and can be resumed."""
    return _is_file(path / UNFINISHED_NAME)


def has_old_seeds(path: Path) -> bool:
    """Whether a folder is a run of several seeds as version 0.1 wrote it."""
    return not _is_file(path / RECORD_NAME) and _is_file(path / OLD_SEEDS_NAME)


def _age_key(path: Path) -> tuple[int, str]:
    # Where version 0.1 wrote a single seed, `run.json` changes with each look, and the weights do not.
    written_once = (OLD_SEEDS_NAME, "weights.safetensors", RECORD_NAME)
    files = [path / name for name in written_once if _is_file(path / name)]
    return _written((files or [path])[0]), path.name


def _written(path: Path) -> int:
    """When a file was written, in nanoseconds; 0 where it is gone by now."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _is_file(path: Path) -> bool:
    """Whether there is such a file; False too where nobody can tell, as in another user's folder."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _safe(text: str, fallback: str) -> str:
    """Letters, digits and `._+-` of a text, at most 60 bytes of them; everything else becomes a single hyphen."""
    kept = re.sub(r"-{2,}", "-", re.sub(r"[^\w.+-]+", "-", text))
    return kept.encode()[:60].decode(errors="ignore").strip("-.") or fallback
