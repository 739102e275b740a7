"""The labs of a studio: begun as processes of their own, stopped, and watched from their folders.

A lab that runs is `fittingroom lab` in a session of its own. The end of the studio does not reach it, and one that was
begun in a terminal looks the same.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from fittingroom.atomic import read_file, storage_errors
from fittingroom.errors import FittingRoomError, InputError, UnknownNameError
from fittingroom.labs.lab_description import Lab
from fittingroom.labs.lab_folder import LabFolder, LabWatch, WatchedArm
from fittingroom.reports.pages.lab_page import lab_curves
from fittingroom.studio.studio import Studio

_ERRORS = ".studio/labs"  # in the folder of runs: what the process of each lab printed
_SEARCHED_EVERY = 1.0  # seconds between two looks for labs that somebody has begun elsewhere
_CURVES_EVERY = 1.0
_LEAST_SHARE = 0.02  # before so much is done, its pace says little
_MOST_PRINTED = 2**20
_SAID = re.compile(r"^fittingroom: (error|interrupted): ", re.MULTILINE)


class LabRuns:
    """All labs that come with Fitting Room, and what becomes of them in the studio's folder of runs.

    Args:
        studio: whose folder it is, and whose pages are told.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.labs = {lab.name: lab for lab in Lab.all()}
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._watched: dict[str, _Watched] = {}
        self._searched = 0.0
        studio.events.poll(self._look)

    def folder(self, name: str) -> LabFolder:
        """The folder of a lab.

        Raises:
            UnknownNameError: there is no such lab.
        """
        if name not in self.labs:  # a name that ends in .toml would be a file of this machine
            raise UnknownNameError("lab", name, self.labs)
        return LabFolder(self.labs[name])

    def is_running(self, name: str) -> bool:
        """Whether a process runs the lab, or is about to."""
        process = self._processes.get(name)
        return (process is not None and process.poll() is None) or self.folder(name).worker is not None

    def begin(self, name: str, guess: int | None, *, quick: bool) -> None:
        """Runs a lab, or continues one; nothing happens where it runs already.

        Args:
            name: of the lab.
            guess: the answer that the learner chose, from 0; None for none, or for the one that is kept.
            quick: whether to train two seeds only.

        Raises:
            InputError: the lab has no such answer.
            StorageError: the folder of runs cannot be written.
        """
        with self._lock:
            if self.is_running(name):
                return
            folder = self.folder(name)
            if guess is not None and not folder.is_measured:
                folder.keep_guess(guess)
            errors = self._errors(name)
            with storage_errors(errors):
                errors.parent.mkdir(parents=True, exist_ok=True)
                with errors.open("wb") as printed:
                    self._processes[name] = subprocess.Popen(
                        [sys.executable, "-m", "fittingroom", "lab", name, "--yes", *(["--quick"] if quick else [])],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=printed,
                        env={**os.environ, "FITTINGROOM_RUNS_DIR": str(self._studio.folder.absolute())},
                        start_new_session=True,
                    )
            self._watched[name] = _Watched(folder)

    def stop(self, name: str) -> None:
        """Asks a lab to stop, as Ctrl-C does: what it has trained is kept, and it can be continued.

        Raises:
            InputError: nobody runs it, or somebody on another machine does.
        """
        folder, process = self.folder(name), self._processes.get(name)
        number = folder.worker_id
        if number is None and process is not None and process.poll() is None:
            number = process.pid  # it is about to begin
        if number is None:
            raise InputError(f"The lab {name!r} is not running, so there is nothing to stop.")
        try:
            os.kill(number, signal.SIGINT)
        except OSError as error:
            raise InputError(
                f"The lab is run by {folder.worker or 'a process that has ended'}. Stop it there, with Ctrl-C."
            ) from error

    def said(self, name: str) -> str | None:
        """The sentence that the last process of a lab ended with; None where it ended well, or was not begun here."""
        if self.is_running(name):
            return None
        try:
            printed = read_file(self._errors(name), _MOST_PRINTED).decode(errors="replace")
        except OSError:
            return None
        *_, last = [None, *_SAID.finditer(printed)]
        return None if last is None else printed[last.end() :].strip()[:4000]

    def progress(self, name: str) -> dict[str, Any]:
        """How far a lab is: `running`, its `arms`, the `share` that is done and the `seconds_left`, None if unknown."""
        with self._lock:
            watched = self._watched.setdefault(name, _Watched(self.folder(name)))
            return {"name": name, "running": self.is_running(name), **watched.progress()}

    def curves(self, name: str) -> str:
        """The curves of what a lab has trained so far, as HTML."""
        with self._lock:
            watched = self._watched.setdefault(name, _Watched(self.folder(name)))
            return _curves(watched.watch.arms())

    def _errors(self, name: str) -> Path:
        return self._studio.folder / _ERRORS / f"{name}.txt"

    def _look(self) -> None:
        """Publishes `lab` for each lab that has moved or ended."""
        now = time.monotonic()
        if now - self._searched >= _SEARCHED_EVERY:
            self._searched = now
            for name in self.labs:
                if self.is_running(name):
                    with self._lock:
                        self._watched.setdefault(name, _Watched(self.folder(name)))
                    self._watched[name].running = True
                elif name in self._watched and self._watched[name].running:
                    self._watched[name].running = False
                    self._studio.events.publish("lab", {**self.progress(name), "ended": True})
        for name, watched in list(self._watched.items()):
            if watched.running:
                with self._lock:
                    news = watched.news(now)
                if news is not None:
                    self._studio.events.publish("lab", {"name": name, "running": True, **news})


class _Watched:
    """A lab that is looked at while it runs: what was told of it, and its pace."""

    def __init__(self, folder: LabFolder) -> None:
        self.watch = LabWatch(folder)
        self.running = True
        self._told: dict[str, Any] = {}
        self._drawn: tuple[int, float] = (0, 0.0)  # epochs in the curves, and when they were drawn
        self._first: tuple[float, float] | None = None  # when it was first seen to move, and the share then

    def progress(self) -> dict[str, Any]:
        """What is told of it, but for the curves."""
        return self._facts(self.watch.arms())

    def news(self, now: float) -> dict[str, Any] | None:
        """What is told of it if something has changed, with `curves` where epochs have been added; else None."""
        try:
            arms = self.watch.arms()
        except FittingRoomError:
            return None
        facts, epochs = self._facts(arms), sum(seed.epochs for arm in arms for seed in arm.seeds)
        draw = epochs != self._drawn[0] and now - self._drawn[1] >= _CURVES_EVERY
        if facts == self._told and not draw:
            return None
        self._told = facts
        if not draw:
            return facts
        self._drawn = (epochs, now)
        return {**facts, "curves": _curves(arms)}

    def _facts(self, arms: list[WatchedArm]) -> dict[str, Any]:
        seeds = [seed for arm in arms for seed in arm.seeds]
        share = sum(1.0 if seed.state == "failed" else seed.share for seed in seeds) / max(1, len(seeds))
        return {
            "arms": [arm.to_dict() for arm in arms],
            "share": round(share, 3),
            "seconds_left": self._left(share),
        }

    def _left(self, share: float) -> int | None:
        now = time.monotonic()
        if self._first is None or share < self._first[1]:
            self._first = (now, share)
        began, before = self._first
        done = share - before
        return None if done < _LEAST_SHARE else round((now - began) * (1 - share) / done)


def _curves(arms: list[WatchedArm]) -> str:
    return lab_curves([{"name": arm.name, "history": arm.histories} for arm in arms])
