"""An unfinished run: while it is trained, its folder is there from the first step on, and says what is trained.

    training.json     what is trained, with which seeds; gone when there is nothing left to resume
    lock              held by the process that trains
    live/             what that process tells those who watch (`live.py`)
    seed-0/           what its training continues from, in `checkpoints/` (`checkpoints.py`)

The files of the finished run are written into the same folder at the end, its record last (`layout.py`).

The operating system frees the lock the moment its process is gone, also after a kill, so it can never be stale; what
the file says only tells people who holds it.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fittingroom.atomic import not_durable, read_file, storage_errors, sweep, sync_folder, try_lock, write_bytes
from fittingroom.errors import RunError
from fittingroom.recipes.modelfile import RecordedFile
from fittingroom.runs.checkpoints import FOLDER as CHECKPOINTS
from fittingroom.runs.checkpoints import Checkpoints
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.json_files import check_format, damage, json_line, known_fields, read_json
from fittingroom.runs.layout import read_layout, read_seeds, seed_folder
from fittingroom.runs.live import LIVE_NAME
from fittingroom.runs.place import OLD_SEEDS_NAME, RECORD_NAME, UNFINISHED_NAME, RunsFolder, is_run, is_unfinished
from fittingroom.runs.record import Environment, now, read_model_file

FORMAT = 2

# A training that took no longer does not wait for the disk: after a power cut its run may be missing, or damaged, which
# its hashes tell.
LEAST_SECONDS_TO_LOSE = 1.0


@dataclass(frozen=True)
class UnfinishedRecord:
    """What `training.json` says: all that is needed to resume.

    Args:
        created: when training began, ISO 8601, UTC.
        recipe: as in `RunRecord`.
        own_model: whether `fit` was given the model, so that only its caller can resume it.
        data: what it is trained on.
        sample: hash of a part of the images and labels, where `data` has no fingerprint of them.
        model: the model's variables and structure, as in `model.json`.
        seeds: those that are trained.
        checkpoint_every: epochs between checkpoints.
        environment: software and machine.
        model_file: the Python file that the model came from; None where it came from none.
    """

    created: str
    recipe: Mapping[str, Any]
    own_model: bool
    data: DataRecord
    sample: str
    model: Mapping[str, Any]
    seeds: tuple[int, ...]
    checkpoint_every: int
    environment: Environment
    model_file: RecordedFile | None = None

    def to_dict(self) -> dict[str, Any]:
        """The contents of `training.json`."""
        parts = ("data", "environment", "model_file")  # `asdict` of all would copy the model's description, slowly
        own = {name: None if getattr(self, name) is None else asdict(getattr(self, name)) for name in parts}
        return {"format": FORMAT, **vars(self), **own}

    @classmethod
    def read(cls, path: Path) -> UnfinishedRecord:
        """What `training.json` says.

        Raises:
            RunError: it is missing or damaged, or was written in another format.
        """
        with damage(path, UNFINISHED_NAME):
            stored = read_json(path / UNFINISHED_NAME)
            check_format(stored, FORMAT, UNFINISHED_NAME)
            return cls(
                created=str(stored["created"]),
                recipe={**stored["recipe"], "name": str(stored["recipe"]["name"])},
                own_model=bool(stored["own_model"]),
                data=DataRecord.from_dict(stored["data"]),
                sample=str(stored["sample"]),
                model=dict(stored["model"]),
                seeds=read_seeds(stored["seeds"]),
                checkpoint_every=int(stored["checkpoint_every"]),
                environment=known_fields(Environment, stored["environment"]),
                model_file=read_model_file(stored["model_file"]),
            )


class UnfinishedRun:
    """The folder of a training that this process has locked. `UnfinishedRun.begin` and `UnfinishedRun.reopen` make one.

    Args:
        path: the folder.
        record: what it says.
        lock: held until `finish`, or the end of a `with` block.
        new: whether this process began the training.
    """

    def __init__(self, path: Path, record: UnfinishedRecord, lock: RunLock, *, new: bool) -> None:
        self.path = path
        self.record = record
        self._new = new
        self._since = time.perf_counter()
        self._settled = not new  # whether the folder, and what it says, survive a power cut
        self._lock: RunLock | None = lock
        self._checkpoints: dict[int, Checkpoints] = {}

    @classmethod
    def begin(cls, record: UnfinishedRecord, out: Path | None) -> UnfinishedRun:
        """Makes the folder of a new training, and locks it.

        Args:
            record: what is trained.
            out: the run's own folder, new or empty; None for the next free `<date>-<dataset>-<recipe>-<n>` in
                the runs folder.

        Raises:
            RunError: `out` is there already and is not an empty folder.
            StorageError: it cannot be written.
        """
        path = RunsFolder().make_run(
            RunsFolder.name_of_run(record.created, record.data.name, record.recipe["name"]), out
        )
        lock = RunLock(path)
        begun = cls(path, record, lock, new=True)
        try:
            write_bytes(path / UNFINISHED_NAME, json_line(record.to_dict()), durable=False)
        except BaseException:
            begun.finish(None, resumable=False)
            raise
        return begun

    @classmethod
    def reopen(cls, path: Path) -> UnfinishedRun:
        """Locks the folder of a training that was stopped, and removes what a killed process left half-written.

        Raises:
            RunError: there is nothing to resume, another process trains it, or the record is damaged.
            StorageError: it cannot be written.
        """
        if not is_unfinished(path):
            done = "it has finished" if is_run(path) else f"it has no {UNFINISHED_NAME}"
            raise RunError(f"{path} cannot be resumed: {done}. `fittingroom runs` lists the trainings that can.")
        lock = RunLock(path)
        try:
            record = UnfinishedRecord.read(path)
            _move_old_checkpoints(path, record)
            for folder in (path, *(seed_folder(path, seed) for seed in record.seeds)):
                sweep(folder)
        except BaseException:
            lock.release()
            raise
        return cls(path, record, lock, new=False)

    @classmethod
    def find(cls, run: str | Path) -> UnfinishedRun:
        """The folder of a stopped training that may be resumed, locked until the end of a `with` block.

        Args:
            run: the folder, the name of a run in the runs folder, or `latest`.

        Raises:
            UnknownNameError: there is no such folder.
            RunError: there is nothing to resume, another process trains it, or it was scored on the test set.
        """
        path = RunsFolder().find_unfinished(run)
        # The part that was kept when training was interrupted is a run, which can be scored.
        if is_run(path) and any(record.looks for record in read_layout(path).records().values()):
            raise RunError(
                f"{path} was interrupted, and its test score has been seen. Training it further would choose a model "
                "by that score. Train again from the beginning."
            )
        return cls.reopen(path)

    def how_to_resume(self) -> str:
        """What to do to resume the training once it has stopped, in a sentence."""
        if self.record.own_model:
            return f"To resume, call fit with the same arguments and resume={str(self.path)!r}."
        return f"Resume it with `fittingroom train --resume {self.path}`."

    def __enter__(self) -> UnfinishedRun:
        return self

    def __exit__(self, *failure: object) -> None:
        """Ends a training that has failed, if nothing has ended it yet.

        It can be resumed from its checkpoints. Where there are none yet, nothing is left of a new one.
        """
        if self._lock is None:
            return
        if self._new and not any(self.checkpoints(seed).exist() for seed in self.record.seeds):
            self.finish(None, resumable=False)
        else:
            self._release()

    def checkpoints(self, seed: int) -> Checkpoints:
        """The checkpoints of a seed."""
        return self._checkpoints.setdefault(seed, Checkpoints(self.folder(seed)))

    def folder(self, seed: int) -> Path:
        """The folder of a seed."""
        return seed_folder(self.path, seed)

    def finish(self, write: Callable[[Path], None] | None, *, resumable: bool) -> Path | None:
        """Ends the training: writes the run, and removes what only resuming would need.

        Args:
            write: writes the files of the run into the folder, the one that makes it a run last; None for no run.
            resumable: whether training can be resumed from the checkpoints, which are then left.

        Returns:
            The folder; None if nothing of it is left.

        Raises:
            StorageError: a file cannot be written; the checkpoints are then left.
        """
        little = not self._settled and time.perf_counter() - self._since < LEAST_SECONDS_TO_LOSE
        with storage_errors(self.path), not_durable() if little else nullcontext():
            if write is not None:
                for name in (RECORD_NAME, OLD_SEEDS_NAME):  # of what was kept when training was interrupted
                    (self.path / name).unlink(missing_ok=True)
                write(self.path)
                if not (self._settled or little):
                    sync_folder(self.path.parent)
            if not resumable:
                self._remove_checkpoints()
        self._release()
        if write is None and not resumable:
            shutil.rmtree(self.path, ignore_errors=True)
            return None
        return self.path

    def settle(self) -> None:
        """Makes the folder, and what it says, survive a power cut, for the first checkpoint.

        Raises:
            StorageError: the disk does not take it.
        """
        if not self._settled:
            with storage_errors(self.path):
                with (self.path / UNFINISHED_NAME).open("rb") as stream:
                    os.fsync(stream.fileno())
                sync_folder(self.path)
                sync_folder(self.path.parent)
            self._settled = True

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def _remove_checkpoints(self) -> None:
        (self.path / UNFINISHED_NAME).unlink(missing_ok=True)
        shutil.rmtree(self.path / LIVE_NAME, ignore_errors=True)
        for seed in self.record.seeds:
            shutil.rmtree(self.folder(seed) / CHECKPOINTS, ignore_errors=True)


def _move_old_checkpoints(path: Path, record: UnfinishedRecord) -> None:
    """Moves the checkpoints to their seed, where version 0.1 wrote those of a single seed into the run's own folder."""
    old = path / CHECKPOINTS
    if old.is_dir():
        with storage_errors(path):
            folder = seed_folder(path, record.seeds[0])
            folder.mkdir(exist_ok=True)
            old.rename(folder / CHECKPOINTS)


LOCK_NAME = "lock"

# Whoever only asks who the holder is has the lock for a moment.
_TRIES, _SECONDS_BETWEEN_TRIES = 5, 0.02


class RunLock:
    """The lock on the folder of a run. Whoever makes it holds it, until `release` or the end of the process.

    Args:
        run: the folder.

    Raises:
        RunError: another training holds it; the message says which.
        StorageError: the folder cannot be written.
    """

    def __init__(self, run: Path) -> None:
        self._path = run / LOCK_NAME
        with storage_errors(self._path):
            handle = self._taken()
        if handle is None:
            raise RunError(
                f"{run} is being trained by {RunLock.holder(run) or 'another process'}. Wait until it is done, or end "
                "it: Ctrl-C or SIGTERM make it write a checkpoint first."
            )
        self._handle = handle
        content = json.dumps({"pid": os.getpid(), "host": platform.node(), "since": now()}).encode()
        with storage_errors(self._path):
            if os.fstat(handle).st_size:  # of a dead holder; ext4 writes out what was cut to nothing when it is closed
                os.ftruncate(handle, 0)
            os.write(handle, content)

    def _taken(self) -> int | None:
        """The open, locked file; None if another process has it locked."""
        for _ in range(_TRIES):
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                free = try_lock(handle)
            except OSError:  # a network file system without locks
                return handle
            if not free:
                os.close(handle)
                time.sleep(_SECONDS_BETWEEN_TRIES)
                continue
            if os.fstat(handle).st_nlink:
                return handle
            os.close(handle)  # its last holder has just removed it
        return None

    def release(self) -> None:
        """Removes the lock."""
        with suppress(OSError):  # gone already; or on Windows, where an open file cannot be removed: it is then left
            self._path.unlink()
        os.close(self._handle)

    @staticmethod
    def holder(run: Path, tries: int = _TRIES) -> str | None:
        """Who trains a run at this moment, in words; None where nobody does.

        Args:
            run: the folder.
            tries: how often to look, since another who asks has the lock for a moment; 1 in haste.
        """
        try:
            with (run / LOCK_NAME).open("rb") as stream:
                for left in reversed(range(tries)):
                    if try_lock(stream.fileno()):
                        return None
                    time.sleep(_SECONDS_BETWEEN_TRIES if left else 0)
                return _named(stream.read(4096))
        except OSError:
            return None

    @staticmethod
    def holding_process(run: Path) -> int | None:
        """The process that said it has a run locked, where it is one of this machine; ask `holder` whether it has."""
        try:
            stored = json.loads(read_file(run / LOCK_NAME, 4096))
            pid = int(stored["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return pid if stored["host"] == platform.node() and pid > 1 else None


def _named(content: bytes) -> str:
    try:
        stored = json.loads(content)
        return f"process {int(stored['pid'])} on {stored['host']}, since {stored['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
