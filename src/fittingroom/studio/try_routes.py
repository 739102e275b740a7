"""The routes of the view `/try`: those that the page of `fittingroom serve` has too, for each run of the studio.

`PhotoPreparation` makes runs ready for photos in the background, one at a time, each once.
"""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

from fastapi import APIRouter

from fittingroom.answers.stored import LABEL_SHIFT
from fittingroom.api.prepare import prepare_command
from fittingroom.data.corrections import Corrections
from fittingroom.errors import RunError
from fittingroom.runs.layout import read_layout
from fittingroom.serving.try_api import try_router
from fittingroom.serving.try_view import TryView
from fittingroom.studio.event_stream import BackgroundWork, Progressed
from fittingroom.studio.studio import LastUsed, Studio

_LONGEST = 900.0  # seconds; a process that takes longer is ended
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
        left = seconds if end is None else end - time.monotonic()
        return max(abs(left), 1.0)  # what is late by so long may take as long again

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


_VIEWS = 6
_JUST_TRAINED = 600.0  # seconds: older runs are prepared when somebody tries them
_TYPICAL = 18.0  # seconds that preparing takes


def router(studio: Studio) -> APIRouter:
    """What the view asks for; and runs that have just been trained are made ready for photos meanwhile."""
    tried = _StudioRuns(studio)
    studio.events.poll(tried.prepare_new)
    studio.ends.append(tried.close)
    return try_router(tried, "/api/runs/{run}")


class _StudioRuns:
    """The runs of a studio, to be tried."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._views = LastUsed(_VIEWS)
        self._preparation = PhotoPreparation(studio.work, trust=studio.trust)
        self._seen: set[str] | None = None
        self._version = -1

    def view(self, name: str) -> TryView:
        """That of a run; see `Studio.run`."""
        path = self._studio.path_of(name)

        def made() -> TryView:
            run = self._studio.run(name)
            data = run[0].record.data
            return TryView(name, run.predictor, Corrections.of(self._studio.folder, data.name, data.classes))

        # By its weights: what is fitted for answers changes the run's folder, and nothing that has to be loaded again.
        return self._views.get(name, _weights_of(path), made)

    def photo_wait(self, view: TryView) -> float | None:
        """Seconds until photos are answered; None where they are at once, or where nothing more can be prepared."""
        path, seconds = self._studio.path_of(view.name), view.photo_seconds()
        wait = self._preparation.wait(path, seconds)
        if wait is not None or view.predictor.photos_fitted:
            return wait
        self._preparation.begin(path, seconds)
        return self._preparation.wait(path, seconds)

    def prepare_new(self) -> None:
        """Has the runs prepared that were trained since the last look; called while somebody watches."""
        if self._version == self._studio.version:
            return
        self._version = self._studio.version
        finished = {str(one["name"]) for one in self._studio.listing() if one["status"] == "finished"}
        new = finished - self._seen if self._seen is not None else set[str]()
        self._seen = finished
        for name in new:
            path = self._studio.path_of(name)
            if not (path / LABEL_SHIFT.name).exists() and _is_new(path):
                self._preparation.begin(path, _TYPICAL)

    def close(self) -> None:
        """Ends what is being prepared."""
        self._preparation.close()


def _weights_of(path: Path) -> tuple[tuple[str, int], ...]:
    """What changes with the weights of a run."""
    folders = read_layout(path).folders.values()
    files = [file for folder in folders for file in sorted(folder.glob("weights*"))]
    return tuple((str(file), file.stat().st_mtime_ns) for file in files)


def _is_new(path: Path) -> bool:
    """Whether a run was trained here just now, and not copied from elsewhere."""
    folders = list(read_layout(path).folders.values())
    return time.time() - folders[0].stat().st_mtime < _JUST_TRAINED
