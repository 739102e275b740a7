"""A training as it can be watched: what its process has told so far (`live.py`), read again and again.

The files may come from anywhere. Whatever in them is not of the form that is written counts as not told.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.atomic import open_file
from fittingroom.runs.json_files import number, text, whole
from fittingroom.runs.live import EPOCH_FORM, EVENTS_NAME, LABELS_NAME, LIVE_NAME

if TYPE_CHECKING:
    import io

    import numpy as np
    import numpy.typing as npt

_MOST_BYTES = 256 * 2**20  # of the events; a year of training has fewer
_PIECE = 4 * 2**20
_MOST_SEEDS, _MOST_EPOCHS, _MOST_NAMES, _MOST_NOTES = 10_000, 200_000, 100, 100
_MOST_POINTS = 4_000  # within an epoch, of a seed
_MOST_IMAGES = 10_000_000
_EARLY, _SECONDS_TO_WAIT = 0.1, 1.5

Logs = dict[str, float]


@dataclass
class WatchedSeed:
    """One seed of a training.

    Args:
        seed: its number.
        epochs: the epoch that it trains to; 0 before it has started.
        steps: in an epoch.
        started: when, in seconds since 1970.
        rows: number of each finished epoch, from 0 -> its row of the history.
        points: of the running epoch: how many epochs are done, as in 2.25, and the numbers so far.
        reach: name of a number -> the lowest and the highest value of all points and rows so far.
        done: steps that are done, of all epochs.
        first_done: those that were done when this process started.
        reason: why it ended before the last epoch.
        over: whether it has ended.
    """

    seed: int
    epochs: int = 0
    steps: int = 0
    started: float = 0.0
    rows: dict[int, Logs] = field(default_factory=dict)
    points: list[tuple[float, Logs]] = field(default_factory=list)
    reach: dict[str, tuple[float, float]] = field(default_factory=dict)
    done: int = 0
    first_done: int | None = None
    reason: str | None = None
    over: bool = False

    def widen(self, logs: Logs) -> None:
        """Makes the reach hold these numbers."""
        for name, value in logs.items():
            low, high = self.reach.get(name, (value, value))
            self.reach[name] = min(low, value), max(high, value)

    @property
    def validating(self) -> bool:
        """Whether all steps of an epoch are done, and the epoch is not."""
        return bool(self.points) and self.points[-1][0] % 1 == 0

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return 1.0 if self.over else min(1.0, self.done / max(1, self.epochs * self.steps))


class WatchedTraining:
    """A training that this process reads about.

    The file stays open between looks, so that the last lines of a training whose folder is gone can still be read.

    Args:
        run: the folder of the run.

    Attributes:
        stage: what is being done, such as `compiling`.
        pid: the process that trains, as it says; None where it has not said.
        began: when this process began, in seconds since 1970.
        at: of the last thing that was told.
        seeds: the seeds by their numbers.
        notes: what should be known of it.
        status: how it ended (`finished`, `interrupted`, `diverged`, `failed`); None while it has not.
        text: what was said at its end.
        version: grows with each look that found something new.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._folder = run / LIVE_NAME
        self._file: io.BufferedReader | None = None
        self._rest = b""
        self._read = 0
        self.version = 0
        self._forget()

    def _forget(self) -> None:
        self.stage, self.began, self.at = "", 0.0, 0.0
        self.pid: int | None = None
        self.seeds: dict[int, WatchedSeed] = {}
        self.notes: list[str] = []
        self.status: str | None = None
        self.text = ""

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def look(self) -> bool:
        """Reads what is new; whether there was something."""
        try:
            if self._file is None:
                self._file = open_file(self._folder / EVENTS_NAME)
            elif self._is_another():
                self._reopen()
            new = self._file.read(_PIECE) or b""
        except OSError:
            return False
        if not new or self._read > _MOST_BYTES:
            return False
        found = False
        while new:
            self._read += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            self._rest = self._rest[-_PIECE:]
            for line in lines:
                found |= self._take(line)
            new = b"" if self._read > _MOST_BYTES else self._file.read(_PIECE) or b""
        self.version += found
        return found

    def _is_another(self) -> bool:
        """Whether the file was replaced: the run was resumed by a process that found none, or began again."""
        assert self._file is not None
        try:
            there, ours = (self._folder / EVENTS_NAME).stat(), os.fstat(self._file.fileno())
        except OSError:
            return False
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _reopen(self) -> None:
        file = open_file(self._folder / EVENTS_NAME)
        self.close()
        self._file, self._rest, self._read = file, b"", 0
        self._forget()

    def _take(self, line: bytes) -> bool:
        """Takes a line into account; whether it is one of ours."""
        try:
            event = json.loads(line)
            self.at = number(event["at"])
            if event["kind"] not in _KINDS:
                return False
            getattr(self, f"_on_{event['kind']}")(event)
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        return True

    def _on_begin(self, event: Mapping[str, Any]) -> None:
        self.pid, self.began = whole(event["pid"]), self.at
        self.status, self.text, self.stage = None, "", ""
        for seed in event["seeds"][:_MOST_SEEDS]:
            one = self.seeds.setdefault(whole(seed), WatchedSeed(seed))
            one.over, one.reason, one.points, one.first_done = False, None, [], None

    def _on_stage(self, event: Mapping[str, Any]) -> None:
        self.stage = text(event["text"])[:200]

    def _on_note(self, event: Mapping[str, Any]) -> None:
        note = text(event["text"])[:2000]
        if note not in self.notes and len(self.notes) < _MOST_NOTES:
            self.notes.append(note)

    def _on_start(self, event: Mapping[str, Any]) -> None:
        one = self._seed(event)
        one.epochs, one.steps = min(whole(event["epochs"]), 2**31), min(whole(event["steps"]), 2**31)
        one.started, self.stage = self.at, "training"

    def _on_step(self, event: Mapping[str, Any]) -> None:
        one, epoch = self._seed(event), whole(event["epoch"])
        done, total = whole(event["done"]), max(1, whole(event["total"]))
        for late in [row for row in one.rows if row >= epoch]:
            del one.rows[late]  # the process that did these was killed before it could keep them
        if one.points and one.points[-1][0] <= epoch:
            one.points.clear()
        if one.first_done is None:
            one.first_done = epoch * one.steps
        one.done = epoch * one.steps + min(done, total)
        # The very first steps of a fast training would press the rest of its curve flat.
        young = not one.rows and done < _EARLY * total and self.at - one.started < _SECONDS_TO_WAIT
        if len(one.points) < _MOST_POINTS and not young:
            one.points.append((epoch + min(done / total, 1.0), _logs(event["logs"])))
            one.widen(one.points[-1][1])

    def _on_epoch(self, event: Mapping[str, Any]) -> None:
        one, epoch = self._seed(event), whole(event["epoch"])
        if len(one.rows) >= _MOST_EPOCHS:
            raise ValueError("too many epochs")
        one.rows[epoch] = _logs(event["logs"])
        one.widen(one.rows[epoch])
        one.points.clear()
        one.done = (epoch + 1) * one.steps

    def _on_finish(self, event: Mapping[str, Any]) -> None:
        one = self._seed(event)
        one.over, one.points = True, []
        one.reason = None if event["reason"] is None else text(event["reason"])[:2000]

    def _on_end(self, event: Mapping[str, Any]) -> None:
        self.status, self.text = text(event["status"])[:20], text(event.get("text", ""))[:4000]

    def _seed(self, event: Mapping[str, Any]) -> WatchedSeed:
        return self.seeds[whole(event["seed"])]

    @property
    def seconds_left(self) -> float | None:
        """How long training takes at most, by its pace so far; None where it is not known yet."""
        started = [one for one in self.seeds.values() if one.epochs]
        if not started or self.status is not None:
            return None
        whole_work = max(one.epochs * one.steps for one in started)
        did = sum(one.done - (one.first_done or 0) for one in started)
        passed = self.at - min(one.started for one in started)
        left = sum(0 if one.over else whole_work - one.done for one in self.seeds.values())
        return None if did <= 0 or passed < 0.5 else max(0.0, left * passed / did)

    def epoch_images(
        self, seed: int, latest: int | None = None
    ) -> dict[int, tuple[npt.NDArray[np.uint16], npt.NDArray[np.float16]]]:
        """What became of each validation image in the latest epochs of a seed.

        Args:
            seed: the seed.
            latest: how many epochs to read; None for all that are there. Only the last of many epochs are.

        Returns:
            Number of the epoch, from 0 -> predicted classes and losses in nats, each `(images,)`; rising.
        """
        import numpy as np

        places: dict[int, tuple[int, int]] = {}
        head, place = struct.calcsize(EPOCH_FORM), 0
        try:
            with open_file(self._folder / f"seed-{seed}") as file:
                size = os.fstat(file.fileno()).st_size
                while len(start := file.read(head)) == head:
                    epoch, count = struct.unpack(EPOCH_FORM, start)
                    place += head + 4 * count
                    if epoch < 0 or place > size or len(places) > _MOST_EPOCHS:
                        break
                    places[epoch] = place - 4 * count, count
                    file.seek(place)
                found = {}
                for epoch in sorted(places)[-latest if latest else None :]:
                    place, count = places[epoch]
                    file.seek(place)
                    content = file.read(4 * count)
                    found[epoch] = np.frombuffer(content, "<u2", count), np.frombuffer(content, "<f2", count, 2 * count)
        except (OSError, ValueError):
            return {}
        return found

    def labels(self) -> npt.NDArray[np.uint16] | None:
        """The true class of each validation image, `(images,)`; None where they are not known."""
        import numpy as np

        try:
            with open_file(self._folder / LABELS_NAME) as file:
                return np.frombuffer(file.read(2 * _MOST_IMAGES), "<u2")
        except (OSError, ValueError):
            return None


_KINDS = frozenset({"begin", "stage", "note", "start", "step", "epoch", "finish", "end"})


def _logs(stored: Any) -> Logs:
    """Numbers by name; one that was not finite, and is null, is left out."""
    if not isinstance(stored, dict) or len(stored) > _MOST_NAMES:
        raise ValueError("expected the numbers of an epoch")
    return {text(name)[:100]: number(value) for name, value in stored.items() if value is not None}
