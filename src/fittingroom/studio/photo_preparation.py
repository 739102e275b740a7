"""`PhotoPreparation`: runs are made ready for photos in the background, one at a time, each once."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

from fittingroom.api.prepare import prepare_command
from fittingroom.errors import RunError
from fittingroom.studio.background import BackgroundWork, Progressed

_LONGEST = 300.0  # seconds; a process that takes longer is ended
_MOST = 50  # runs that wait; what comes then is prepared when somebody tries it
_TURN = 0.25


class PhotoPreparation:
    """Processes of low priority that fit what answers to photos rest on.

    Args:
        work: does it, and tells the pages.
        trust: whether model files may be run.
    """

    def __init__(self, work: BackgroundWork, *, trust: bool) -> None:
        self._work, self._trust = work, trust
        self._one = threading.Lock()  # a second process would only make both slower
        self._ends: dict[Path, float | None] = {}  # of those that wait or run: when one ends, if it has begun
        self._tried: set[Path] = set()
        self._closed = threading.Event()

    def begin(self, path: Path, seconds: float) -> None:
        """Has a run prepared, unless that is under way or was tried.

        Args:
            path: its folder.
            seconds: that it takes, about.
        """
        if path in self._ends or path in self._tried or len(self._ends) >= _MOST or self._closed.is_set():
            return
        self._ends[path] = None
        self._work.begin(
            f"photos of {path.name}",
            f"Getting {path.name} ready for photos",
            lambda done: self._do(path, seconds, done),
        )

    def wait(self, path: Path, seconds: float) -> float | None:
        """Seconds until a run is prepared, about; None where nothing is under way.

        Args:
            path: its folder.
            seconds: that it takes, about.
        """
        if path not in self._ends:
            return None
        end = self._ends[path]
        return seconds if end is None else max(end - time.monotonic(), 1.0)

    def close(self) -> None:
        """Ends the process that runs; a run is then prepared when it is next tried."""
        self._closed.set()

    def _do(self, path: Path, seconds: float, progressed: Progressed) -> None:
        try:
            with self._one:
                if not self._closed.is_set():
                    self._run(path, seconds, progressed)
        finally:
            self._tried.add(path)
            self._ends.pop(path, None)

    def _run(self, path: Path, seconds: float, progressed: Progressed) -> None:
        begun = time.monotonic()
        self._ends[path] = begun + seconds
        process = subprocess.Popen(
            prepare_command(path, trust=self._trust),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while process.poll() is None:
                taken = time.monotonic() - begun
                if taken > _LONGEST or self._closed.wait(_TURN):
                    return
                progressed(min(round(taken), round(seconds)), round(seconds))
        finally:
            if process.poll() is None:
                process.kill()
            _, said = process.communicate()
        if process.returncode:
            lines = said.strip().splitlines()
            raise RunError(lines[-1] if lines else f"The process ended with status {process.returncode}.")
