"""What a training tells while it runs, for whoever watches it: lines that are appended to a file in the run's folder.

    live/events.jsonl     a JSON object for each stage, step, epoch, note and end; `watched.py` reads them
    live/labels           the true class of each validation image, uint16; absent without validation
    live/seed-0           what became of each validation image in each epoch: see `EPOCH_FORM`

A watcher needs nothing from the process that trains, so that a training begun in a terminal looks like any other, and
whatever becomes of the watcher, training does not notice. What was told is there after a kill too. `UnfinishedRun`
removes it when a run is whole: `history.csv` and `outcomes.npz` then say the same.

Nothing here may cost training time or end it. Where the disk refuses a line, the stream falls silent.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.errors import DivergedError, Interrupted
from fittingroom.progress import Progress
from fittingroom.runs.json_files import plain

if TYPE_CHECKING:
    import numpy.typing as npt

LIVE_NAME = "live"
EVENTS_NAME = "events.jsonl"
LABELS_NAME = "labels"

EPOCH_FORM = "<iI"
"""Before an epoch of a seed's file: its number from 0, and how many images follow: uint16 classes, then float16 losses.

The losses are rounded, as pictures in an order need no more.
"""

# Of steps within an epoch, on disk: four a second for each of a few seeds, and fewer when a training lasts, so that a
# day of it tells about as much as a film has pictures in two hours.
_SECONDS_BETWEEN_STEPS, _SEEDS_AT_FULL_PACE, _STEPS_TO_SLOW_DOWN = 0.25, 4, 20_000
# A file of a seed that has grown so large starts again with its latest epoch.
_MOST_BYTES = 32 * 2**20


class LiveStream:
    """Tells what a training does, once its folder is there; before that, it keeps the few things that happened.

    Args:
        seeds: those that are trained.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._lock = threading.Lock()
        self._early: list[bytes] = []
        self._handle: int | None = None
        self._folder: Path | None = None
        self._silent = False
        pace = _SECONDS_BETWEEN_STEPS * max(1.0, len(seeds) / _SEEDS_AT_FULL_PACE)
        self._of = {seed: _SeedTelling(self, seed, pace) for seed in seeds}

    def open(self, run: Path, labels: npt.NDArray[Any] | None = None) -> None:
        """Begins to write into the folder of a run, behind what an earlier part of the training told.

        Args:
            run: the folder.
            labels: the class of each validation image, `(images,)`; None where they are not known in advance.
        """
        folder = run / LIVE_NAME
        try:
            folder.mkdir(exist_ok=True)
            if labels is not None:
                (folder / LABELS_NAME).write_bytes(labels.astype("<u2").tobytes())
            # A line that a kill cut off ends here.
            lines = [b"\n", _line("begin", pid=os.getpid(), seeds=list(self._of)), *self._early]
            with self._lock:
                self._handle = os.open(folder / EVENTS_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                self._folder = folder
        except OSError:
            self._silent = True
            return
        self._write(b"".join(lines))

    def seed(self, seed: int) -> Progress:
        """What tells of one seed; called from the thread that trains it."""
        return self._of[seed]

    def tell(self, kind: str, **facts: Any) -> None:
        """Appends an event.

        Args:
            kind: what happened.
            **facts: of it; what JSON cannot say, such as NaN, becomes null.
        """
        if self._silent:
            return
        line = _line(kind, **facts)
        if self._handle is None:
            self._early.append(line)
        else:
            self._write(line)

    def tell_epoch(self, seed: int, epoch: int, predicted: npt.NDArray[Any], loss: npt.NDArray[Any]) -> None:
        """Appends what became of each validation image in an epoch.

        Args:
            seed: whose.
            epoch: from 0.
            predicted: predicted classes, `(images,)`.
            loss: cross-entropies in nats, `(images,)`.
        """
        import struct

        if self._silent or self._folder is None:
            return
        head = struct.pack(EPOCH_FORM, epoch, len(predicted))
        content = head + predicted.astype("<u2").tobytes() + loss.clip(0, 60_000).astype("<f2").tobytes()
        path = self._folder / f"seed-{seed}"
        with suppress(OSError):
            full = path.exists() and path.stat().st_size + len(content) > _MOST_BYTES
            if full:
                path.unlink()
            with path.open("ab") as stream:
                stream.write(content)

    def close(self, error: BaseException | None) -> None:
        """Tells how the training ended, and closes the file, which is perhaps gone by now.

        Args:
            error: what ended it; None where there is a run.
        """
        if error is None:
            self.tell("end", status="finished")
        elif isinstance(error, KeyboardInterrupt):
            said = str(error) if isinstance(error, Interrupted) else "the training was interrupted"
            self.tell("end", status="interrupted", text=said)
        else:
            status = "diverged" if isinstance(error, DivergedError) else "failed"
            self.tell("end", status=status, text=str(error) or type(error).__name__)
        with self._lock:
            self._silent = True
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def _write(self, content: bytes) -> None:
        with self._lock:
            if self._handle is None:
                return
            try:
                os.write(self._handle, content)
            except OSError:
                self._silent = True


class _SeedTelling(Progress):
    """Tells the stream what becomes of one seed."""

    def __init__(self, stream: LiveStream, seed: int, pace: float) -> None:
        self._stream = stream
        self._seed = seed
        self._pace = pace
        self._told = 0.0
        self._steps = 0

    def stage(self, text: str) -> None:
        self._stream.tell("stage", seed=self._seed, text=text)

    def start(self, epochs: int, steps: int) -> None:
        self._stream.tell("start", seed=self._seed, epochs=epochs, steps=steps)

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        now = time.perf_counter()
        # The last step of an epoch says that validation begins.
        if done < total and now - self._told < self._pace * (1 + self._steps / _STEPS_TO_SLOW_DOWN):
            return
        self._told, self._steps = now, self._steps + 1
        self._stream.tell("step", seed=self._seed, epoch=epoch, done=done, total=total, logs=logs)

    def validated(self, epoch: int, predicted: npt.NDArray[Any], loss: npt.NDArray[Any]) -> None:
        self._stream.tell_epoch(self._seed, epoch, predicted, loss)

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        self._stream.tell("epoch", seed=self._seed, epoch=epoch, logs=logs)

    def finish(self, reason: str | None) -> None:
        self._stream.tell("finish", seed=self._seed, reason=reason)


class ProgressOfBoth(Progress):
    """Two that listen to the same seed, one after the other."""

    def __init__(self, first: Progress, second: Progress) -> None:
        self._both = first, second

    def stage(self, text: str) -> None:
        """Passes it to both, as all that follow do."""
        for each in self._both:
            each.stage(text)

    def start(self, epochs: int, steps: int) -> None:
        """Passes it to both."""
        for each in self._both:
            each.start(epochs, steps)

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        """Passes it to both."""
        for each in self._both:
            each.step(epoch, done, total, logs)

    def validated(self, epoch: int, predicted: npt.NDArray[Any], loss: npt.NDArray[Any]) -> None:
        """Passes it to both."""
        for each in self._both:
            each.validated(epoch, predicted, loss)

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Passes it to both."""
        for each in self._both:
            each.epoch(epoch, logs)

    def fitted(self, logs: Mapping[str, float], seconds: float) -> None:
        """Passes it to both."""
        for each in self._both:
            each.fitted(logs, seconds)

    def finish(self, reason: str | None) -> None:
        """Passes it to both."""
        for each in self._both:
            each.finish(reason)


def _line(kind: str, **facts: Any) -> bytes:
    content = plain({"kind": kind, "at": round(time.time(), 3), **facts})
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"
