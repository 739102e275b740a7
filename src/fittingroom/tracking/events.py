"""What a training tells trackers such as TensorBoard, as one stream of events, and `EventStream`, which hands it on.

The same events come from a training while it runs and, afterwards, from the run that it left. A tracker is a thin
writer: it turns events into what its program reads.

Nothing here may cost training time or end it. Each tracker writes in a thread of its own, so that a slow disk or server
keeps nobody waiting. One that fails is reported once and left; the run has everything, and can be logged again.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fittingroom.evaluation.spread import Interval, Spread

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_log = logging.getLogger("fittingroom")

Setting = str | int | float | bool

PATIENCE = 60.0
"""Seconds that a training waits, when it is over, for trackers that are behind."""

HURRY = 5.0
"""The same after Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class RunBegins:
    """A training begins.

    Args:
        run: its name: that of its folder, or of the moment and the recipe where it has none.
        folder: the run's folder; None for a run in memory.
        seeds: what it is trained with.
        settings: its recipe, flat: name -> a number, a text, or a truth value.
        data: of its dataset: name, classes, image shape, counts and fingerprint, as plain JSON.
        at: when, in seconds since 1970, as in all events.
    """

    run: str
    folder: Path | None
    seeds: tuple[int, ...]
    settings: Mapping[str, Setting]
    data: Mapping[str, Any]
    at: float


@dataclass(frozen=True, kw_only=True)
class EpochEnds:
    """An epoch of a seed is finished, its validation too.

    Args:
        seed: whose.
        epoch: its number, from 0 as in Keras.
        numbers: `loss`, `accuracy`, `val_loss` and so on, as in the run's history.
        at: when.
    """

    seed: int
    epoch: int
    numbers: Mapping[str, float]
    at: float


@dataclass(frozen=True, kw_only=True)
class SeedsSpread:
    """All seeds of several have finished an epoch, or ended before it.

    Args:
        epoch: from 0.
        numbers: each number of those seeds that reached it.
        at: when.
    """

    epoch: int
    numbers: Mapping[str, Spread]
    at: float


@dataclass(frozen=True, kw_only=True)
class SeedEnds:
    """What a seed left behind.

    Args:
        seed: which.
        status: `finished`, `stopped`, `interrupted` or `diverged`.
        reason: why it ended before its last epoch; None if it did not.
        epoch: the number of its last epoch, from 0.
        numbers: of its kept weights: `kept_val_loss`, `kept_val_accuracy` with its interval's ends `_low` and `_high`,
            `loss` and `accuracy` of the last epoch on the training part, and `train_seconds`.
        notes: what the user should know of it.
        weights: their SHA-256; empty where it is not known.
        at: when.
    """

    seed: int
    status: str
    reason: str | None
    epoch: int
    numbers: Mapping[str, float]
    notes: tuple[str, ...]
    weights: str
    at: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ConfusionCounted:
    """How often the kept weights of a seed took one class for another.

    Args:
        seed: whose.
        epoch: of its last epoch, from 0.
        classes: their names.
        counts: true class by predicted class, `(classes, classes)`.
        at: when.
    """

    seed: int
    epoch: int
    classes: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    at: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ImagesPlaced:
    """What the model makes of validation images before its last layer, as points in a space, with the images.

    Args:
        seed: whose model.
        epoch: of its last epoch, from 0.
        source: what the points are: of the `hidden layer`, the `backbone`, `pixels` or `answers`.
        points: float32 `(n, features)`.
        images: uint8 `(n, height, width)` or `(n, height, width, 3)`; None where the run keeps none.
        columns: what is known of each image, by name: its true class, the predicted one, its number.
        at: when.
    """

    seed: int
    epoch: int
    source: str
    points: npt.NDArray[np.float32]
    images: npt.NDArray[np.uint8] | None
    columns: Mapping[str, Sequence[str]]
    at: float


@dataclass(frozen=True, kw_only=True)
class ModelExported:
    """The model as a file that others can run.

    Args:
        content: an ONNX model, verified to answer as the run does.
        facts: what is known of it, as plain JSON.
        at: when.
    """

    content: bytes = field(repr=False)
    facts: Mapping[str, Any]
    at: float


@dataclass(frozen=True, kw_only=True)
class RunEnds:
    """The training is over.

    Args:
        status: that of its seeds, or of what ended it: `failed`.
        numbers: of the kept weights, over the seeds that left some.
        at: when.
    """

    status: str
    numbers: Mapping[str, Spread]
    at: float


Event = RunBegins | EpochEnds | SeedsSpread | SeedEnds | ConfusionCounted | ImagesPlaced | ModelExported | RunEnds


class Tracker(Protocol):
    """What writes events for a program that shows them. It may raise whatever its program raises."""

    where: str
    """What was written, and how to look at it, in a sentence."""

    def write(self, event: Event) -> None:
        """Writes an event; those that it has no place for are left out."""

    def close(self) -> None:
        """Ends it after the last event."""


@dataclass(frozen=True)
class WrittenLog:
    """What became of the log to one tracker.

    Args:
        to: as it was asked for: `tensorboard:logs`.
        where: what was written, and how to look at it; empty where nothing was.
        problem: why it is not whole, in a sentence; None where it is.
    """

    to: str
    where: str
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return asdict(self)


class EventStream:
    """Hands events to trackers, each in a thread of its own. It never raises for one that fails.

    Args:
        trackers: as each was asked for -> what opens it for a run that begins.
    """

    def __init__(self, trackers: Mapping[str, Callable[[RunBegins], Tracker]]) -> None:
        self._threads = [_TrackerThread(to, opened) for to, opened in trackers.items()]
        self._told: set[str] = set()

    def tell(self, event: Event) -> None:
        """Hands an event to all trackers, in the order of the calls. The first one is `RunBegins`."""
        for thread in self._threads:
            thread.events.put(event)
        self._tell_problems()

    def close(self, patience: float = PATIENCE) -> list[WrittenLog]:
        """Waits until all is written, and says what became of each log.

        Args:
            patience: seconds to wait for all of them together.
        """
        for thread in self._threads:
            thread.events.put(None)
        last = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, last - time.monotonic()))
            if thread.is_alive():
                thread.problem = "It was still being written when the training ended."
        self._tell_problems()
        return [thread.place() for thread in self._threads]

    def _tell_problems(self) -> None:
        for thread in self._threads:
            if thread.problem is not None and thread.to not in self._told:
                self._told.add(thread.to)
                _log.warning(
                    "The log to %s has stopped, and the training has not: %s `fittingroom log RUN --to %s` writes all "
                    "of it afterwards.",
                    thread.to,
                    thread.problem,
                    thread.to,
                )


class _TrackerThread(threading.Thread):
    """Opens a tracker for the first event, and writes it and what follows."""

    def __init__(self, to: str, opened: Callable[[RunBegins], Tracker]) -> None:
        super().__init__(name=f"log to {to}", daemon=True)
        self.to = to
        self.events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.problem: str | None = None
        self._opened = opened
        self._tracker: Tracker | None = None
        self.start()

    def run(self) -> None:
        try:
            while (event := self.events.get()) is not None:
                if self._tracker is None:
                    assert isinstance(event, RunBegins)
                    self._tracker = self._opened(event)
                self._tracker.write(event)
        except BaseException as error:  # whatever the programs of others raise
            self.problem = _sentence(error)
        try:
            if self._tracker is not None:
                self._tracker.close()
        except BaseException as error:
            self.problem = self.problem or _sentence(error)

    def place(self) -> WrittenLog:
        where = "" if self._tracker is None else self._tracker.where
        return WrittenLog(self.to, where, self.problem)


_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def without_credentials(text: str) -> str:
    """The text without the names and passwords that stand in its URLs."""
    return _CREDENTIALS.sub("", text)


def _sentence(error: BaseException) -> str:
    """What an error says, on one line that ends as a sentence does."""
    text = without_credentials(" ".join(str(error).split()))[:500] or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def kept_numbers(loss: float | None, accuracy: float | None, interval: Interval | None) -> dict[str, float]:
    """The numbers of the kept weights on validation images, by the names that logs have them under."""
    found = {"kept_val_loss": loss, "kept_val_accuracy": accuracy}
    if interval is not None:
        found |= {"kept_val_accuracy_low": interval.low, "kept_val_accuracy_high": interval.high}
    return {name: value for name, value in found.items() if value is not None}
