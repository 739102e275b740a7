"""The map of a run's images, computed by a process of its own at low priority, one at a time.

The process is `python -m fittingroom.studio.map_work FOLDER`. It prints a line of JSON for each step, and ends when its
standard input does: with the studio, however that ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from fittingroom.errors import FittingRoomError
from fittingroom.studio.event_stream import Events

_WORDS = {
    "features": "Features of the images",
    "neighbours": "Comparing each image with all",
    "t-SNE": "Arranging the images (t-SNE)",
}


class MapWork:
    """The maps that are being computed, or could not be.

    Args:
        events: told of each step, as the event `map`: `run`, `state` (`waiting`, `running`, `done` or `failed`),
            `stage` in words, `done` of `of` steps, `places`, which is true once the first places are kept, and
            `message`, why it failed.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._states: dict[str, dict[str, Any]] = {}

    def state(self, run: str) -> dict[str, Any] | None:
        """Where the map of a run stands; None if nobody has asked for it."""
        with self._lock:
            return dict(self._states[run]) if run in self._states else None

    def begin(self, run: str, folder: Path) -> dict[str, Any]:
        """Begins to compute the map of a run, unless that is under way; returns where it stands."""
        with self._lock:
            known = self._states.get(run)
            if known is None or known["state"] in {"done", "failed"}:
                state = "waiting" if self._turn.locked() else "running"
                known = {"run": run, "state": state, "stage": "", "done": 0, "of": 0, "places": False}
                self._states[run] = known
                threading.Thread(target=self._compute, args=(run, folder), daemon=True, name="map").start()
            return dict(known)

    def _compute(self, run: str, folder: Path) -> None:
        with self._turn:
            self._tell(run, state="running")
            try:
                message = self._follow(run, folder)
            except OSError as error:
                message = f"The process that computes the map cannot be started: {error}."
        if message is None:
            self._tell(run, state="done", places=True)
        else:
            self._tell(run, state="failed", message=message)

    def _follow(self, run: str, folder: Path) -> str | None:
        """Runs the process to its end; returns why it failed, or None."""
        # One thread is enough for it, and leaves the others to what people wait for.
        environment = {**os.environ, "KERAS_BACKEND": "jax", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        message = None
        with subprocess.Popen(
            [sys.executable, "-m", "fittingroom.studio.map_work", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        ) as process:
            for line in process.stdout or ():
                told = json.loads(line)
                message = told.pop("error", None)
                if message is None:
                    stage = told["stage"]
                    self._tell(run, stage=_WORDS[stage], done=told["done"], of=told["of"], places=stage == "t-SNE")
        return message or (None if process.returncode == 0 else "The process that computes the map has ended early.")

    def _tell(self, run: str, **changes: Any) -> None:
        with self._lock:
            self._states[run] |= changes
            told = dict(self._states[run])
        self._events.publish("map", told)


def main(folder: str) -> int:
    """Computes the map of one run, as a process of its own; returns its exit status."""
    os.nice(10)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    threading.Thread(target=_end_with_the_studio, daemon=True).start()

    def tell(**told: Any) -> None:
        with suppress(BrokenPipeError):
            out.write(json.dumps(told) + "\n")

    try:
        from fittingroom.api.image_map import make_map
        from fittingroom.reports.facts.subject import Subject

        make_map(Subject.read(folder), lambda stage, done, total: tell(stage=stage, done=done, of=total))
    except FittingRoomError as error:
        tell(error=str(error))
        return 1
    return 0


def _end_with_the_studio() -> None:
    sys.stdin.read()
    os._exit(1)  # nothing is half written: files are whole or absent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
