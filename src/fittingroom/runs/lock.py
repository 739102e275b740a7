"""The lock on a run's folder: held by the process that trains it, and free again the moment that process is gone.

The operating system frees it, also after a kill, so a lock can never be stale; what the file says only tells people who
holds it.
"""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from fittingroom.errors import RunError
from fittingroom.files import storage_errors, try_lock
from fittingroom.runs.record import now

LOCK_NAME = "lock"

# Whoever only asks who the holder is has the lock for a moment.
_TRIES, _SECONDS_BETWEEN_TRIES = 5, 0.02


class RunLock:
    """A lock on the folder of a run. The one who has made it holds it, until `release` or the end of the process.

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
                f"{run} is being trained by {holder(run) or 'another process'}. Wait until it is done, or end it: "
                "Ctrl-C or SIGTERM make it write a checkpoint first."
            )
        self._handle = handle
        content = json.dumps({"pid": os.getpid(), "host": platform.node(), "since": now()}).encode()
        with storage_errors(self._path):
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


def holder(run: Path) -> str | None:
    """Who trains a run at this moment, in words; None where nobody does."""
    try:
        with (run / LOCK_NAME).open("rb") as stream:
            for _ in range(_TRIES):
                if try_lock(stream.fileno()):
                    return None
                time.sleep(_SECONDS_BETWEEN_TRIES)
            return _named(stream.read(4096))
    except OSError:
        return None


def _named(content: bytes) -> str:
    try:
        stored = json.loads(content)
        return f"process {int(stored['pid'])} on {stored['host']}, since {stored['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
