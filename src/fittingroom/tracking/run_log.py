"""The log of a training: told while it runs, or afterwards from the run that it left. Both tell the same events.

`RunLog` is a context around a training. What it is told comes from `RunFolder.begun` and from a `Progress` beside the
one that is shown; how it ended is read from the run's folder.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from fittingroom.errors import DivergedError, FittingRoomError
from fittingroom.evaluation.spread import Spread
from fittingroom.progress import Progress
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.live import ProgressOfBoth
from fittingroom.runs.place import RunsFolder, is_run
from fittingroom.tracking.events import (
    HURRY,
    PATIENCE,
    ConfusionCounted,
    EpochEnds,
    Event,
    EventStream,
    RunBegins,
    RunEnds,
    SeedEnds,
    SeedsSpread,
    Setting,
    WrittenLog,
    kept_numbers,
)
from fittingroom.tracking.trackers import TRACKERS, ChosenTracker, Extra

if TYPE_CHECKING:
    from fittingroom.engine.snapshots import FinishedEpoch
    from fittingroom.runs.data_record import DataRecord
    from fittingroom.runs.history import History
    from fittingroom.runs.layout import RunContents
    from fittingroom.runs.outcomes import Outcomes
    from fittingroom.runs.record import RunRecord

MOST_CONFUSED = 200
"""Classes whose confusions are counted; a table of more is not looked at."""

SeedLeft: TypeAlias = "tuple[RunRecord, History, Outcomes | None]"
"""What a seed left: its record, its history and its outcomes."""

Extras = Callable[[frozenset[Extra]], Iterable[Event]]
"""Gives what takes a while to find of a run that is written: its images as points, its model as a file."""


class RunLog:
    """What tells trackers of one training. As a context it ends when the run is written, or when training failed.

    Args:
        chosen: the trackers.
        extras: finds what they show beyond the run's numbers; may be set until the run is written. None for nothing.

    Attributes:
        places: what became of each log; empty until the context ends.
        path: the run's folder, once the training has begun; None for a run in memory.
        in_memory: what a run without a folder left; set by whoever made it.

    Raises:
        InputError: a tracker's package cannot be imported.
    """

    def __init__(self, chosen: Sequence[ChosenTracker], extras: Extras | None = None) -> None:
        self._stream = EventStream({one.shown: one.opener() for one in chosen})
        self._wants = frozenset(want for one in chosen for want in TRACKERS[one.name].wants)
        self.extras = extras
        self.path: Path | None = None
        self._began = False
        self._spread: _SpreadTelling | None = None
        self.places: tuple[WrittenLog, ...] = ()
        self.in_memory: RunContents | None = None

    def begun(
        self,
        path: Path | None,
        recipe: Mapping[str, Any],
        data: DataRecord,
        earlier: Mapping[int, Sequence[FinishedEpoch]],
    ) -> None:
        """The training has begun, as `RunFolder.begun` says; what an earlier part of it finished is told again."""
        self._begin(path, str(recipe.get("name", "run")), tuple(earlier), _settings(recipe), data, time.time())
        for seed, epochs in earlier.items():
            for one in epochs:
                self.epoch(seed, one.epoch, one.logs)

    def beside(self, shown: Progress) -> Progress:
        """A progress that shows what `shown` does, and tells this log."""
        return _LoggedProgress(shown, self)

    def epoch(self, seed: int, epoch: int, numbers: Mapping[str, float], at: float | None = None) -> None:
        """A seed has finished an epoch; called from the thread that trains it."""
        told = EpochEnds(seed=seed, epoch=epoch, numbers=dict(numbers), at=time.time() if at is None else at)
        self._stream.tell(told)
        if self._spread is not None:
            self._spread.epoch(told)

    def seed_over(self, seed: int, at: float | None = None) -> None:
        """A seed has ended; called from the thread that trained it."""
        if self._spread is not None:
            self._spread.over(seed, time.time() if at is None else at)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, where: TracebackType | None) -> None:
        try:
            if self._began:
                self._end(error)
        finally:
            in_a_hurry = isinstance(error, KeyboardInterrupt)
            self.places = tuple(self._stream.close(HURRY if in_a_hurry else PATIENCE))

    @classmethod
    def write_again(
        cls, path: Path | None, seeds: Sequence[SeedLeft], chosen: Sequence[ChosenTracker], extras: Extras | None = None
    ) -> tuple[WrittenLog, ...]:
        """Logs a run that is there already; it waits until all is written.

        Args:
            path: its folder; None for a run in memory.
            seeds: what each seed left.
            chosen: the trackers.
            extras: as for the class.

        Raises:
            InputError: a tracker's package cannot be imported.
        """
        log = cls(chosen, extras)
        try:
            log._tell_all(path, seeds)
        finally:
            log.places = tuple(log._stream.close(threading.TIMEOUT_MAX))
        return log.places

    def _begin(
        self, path: Path | None, name: str, seeds: tuple[int, ...], settings: Mapping[str, Setting], data: DataRecord,
        at: float,
    ) -> None:  # fmt: skip
        self.path, self._began = path, True
        if len(seeds) > 1:
            self._spread = _SpreadTelling(seeds, self._stream.tell)
        facts = {
            "name": data.public_name,
            "classes": list(data.classes),
            "image_shape": list(data.image_shape),
            "counts": dict(data.counts),
            "fingerprint": data.fingerprint,
        }
        run = _run_name(path) if path is not None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d-%H%M%S}-{name}"
        self._stream.tell(RunBegins(run=run, folder=path, seeds=seeds, settings=settings, data=facts, at=at))

    def _tell_all(self, path: Path | None, seeds: Sequence[SeedLeft]) -> None:
        """All events of a run, in the order in which its training would have told them, as far as that is known."""
        first = seeds[0][0]
        starts = [_seconds(record.created) - record.seconds.train for record, _, _ in seeds]
        numbers = tuple(record.seed for record, _, _ in seeds)
        self._begin(path, str(first.recipe["name"]), numbers, _settings(first.recipe), first.data, min(starts))
        for (record, history, _), start in zip(seeds, starts, strict=True):
            each = record.seconds.train / max(len(history.epoch), 1)
            for number, (epoch, row) in enumerate(zip(history.epoch, history.rows, strict=True), start=1):
                self.epoch(record.seed, epoch, row, start + number * each)
            self.seed_over(record.seed, _seconds(record.created))
        self._tell_end(seeds, seeds[0][0].status, max(_seconds(record.created) for record, _, _ in seeds))

    def _end(self, error: object) -> None:
        """How the training ended, of which perhaps nothing is left."""
        left: list[SeedLeft] = []
        if self.in_memory is not None:
            left = [(self.in_memory.record, self.in_memory.history, self.in_memory.outcomes)]
        elif self.path is not None and is_run(self.path):
            with suppress(FittingRoomError):
                files = [SeedFiles(folder) for folder in read_layout(self.path).folders.values()]
                left = [(one.record(), one.history(), one.outcomes()) for one in files]
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        if isinstance(error, DivergedError):
            status = "diverged"
        elif error is None and left:
            status = left[0][0].status
        self._tell_end(left, status, time.time())

    def _tell_end(self, left: Sequence[SeedLeft], status: str, at: float) -> None:
        """How the seeds ended, what takes a while to find, and the end of the run."""
        for seed in left:
            self._tell_seed(*seed, at)
        if self.extras is not None and left and status in {"finished", "stopped"}:
            # A model or images that are not to be had are no reason to lose a log.
            with suppress(FittingRoomError):
                for event in self.extras(self._wants):
                    self._stream.tell(event)
        each = [_kept(record) for record, _, _ in left]
        names = dict.fromkeys(name for one in each for name in one)
        spreads = {name: Spread.of(one[name] for one in each if name in one) for name in names}
        self._stream.tell(RunEnds(status=status, numbers=spreads, at=at))

    def _tell_seed(self, record: RunRecord, history: History, outcomes: Outcomes | None, at: float) -> None:
        """How a seed ended, and which classes it confuses."""
        epoch = history.epoch[-1]
        numbers = _kept(record)
        trained = {"loss": record.train.loss, "accuracy": record.train.accuracy}
        numbers |= {name: value for name, value in trained.items() if value is not None}
        self._stream.tell(
            SeedEnds(
                seed=record.seed,
                status=record.status,
                reason=record.reason,
                epoch=epoch,
                numbers=numbers | {"train_seconds": record.seconds.train},
                notes=record.notes,
                weights=record.weights_sha256 or "",
                at=at,
            )
        )
        classes = record.data.classes
        if outcomes is None or outcomes.kept is None or not 1 < len(classes) <= MOST_CONFUSED:
            return
        import numpy as np

        counts = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(counts, (outcomes.kept.labels, outcomes.kept.predicted), 1)
        self._stream.tell(ConfusionCounted(seed=record.seed, epoch=epoch, classes=classes, counts=counts, at=at))


class _LoggedProgress(ProgressOfBoth):
    """Shows what another progress shows, and tells a log what becomes of each seed."""

    def __init__(self, shown: Progress, log: RunLog) -> None:
        super().__init__(shown, Progress())
        self._shown, self._log = shown, log

    def for_seeds(self, seeds: Sequence[int]) -> Sequence[Progress]:
        """Those of the shown one, each beside one that tells the log."""
        each = zip(self._shown.for_seeds(seeds), seeds, strict=True)
        return [ProgressOfBoth(shown, _SeedLog(self._log, seed)) for shown, seed in each]


class _SeedLog(Progress):
    """Tells a log what becomes of one seed."""

    def __init__(self, log: RunLog, seed: int) -> None:
        self._log, self._seed = log, seed

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        self._log.epoch(self._seed, epoch, logs)

    def finish(self, reason: str | None) -> None:
        del reason
        self._log.seed_over(self._seed)


class _SpreadTelling:
    """Tells the spread over seeds of an epoch when the last of them has finished it."""

    def __init__(self, seeds: Sequence[int], tell: Callable[[Event], None]) -> None:
        self._lock = threading.Lock()
        self._tell = tell
        self._last = dict.fromkeys(seeds, -1)
        self._over: set[int] = set()
        self._waiting: dict[int, dict[int, Mapping[str, float]]] = {}

    def epoch(self, ended: EpochEnds) -> None:
        with self._lock:
            self._last[ended.seed] = ended.epoch
            self._waiting.setdefault(ended.epoch, {})[ended.seed] = ended.numbers
            self._tell_whole(ended.at)

    def over(self, seed: int, at: float) -> None:
        with self._lock:
            self._over.add(seed)
            self._tell_whole(at)

    def _tell_whole(self, at: float) -> None:
        behind = [last for seed, last in self._last.items() if seed not in self._over]
        for epoch in sorted(epoch for epoch in self._waiting if all(last >= epoch for last in behind)):
            rows = self._waiting.pop(epoch)
            rows_in_order = [rows[seed] for seed in self._last if seed in rows]
            names = dict.fromkeys(name for row in rows_in_order for name in row)
            values = {
                name: [row[name] for row in rows_in_order if math.isfinite(row.get(name, math.nan))] for name in names
            }
            numbers = {name: Spread.of(found) for name, found in values.items() if found}
            self._tell(SeedsSpread(epoch=epoch, numbers=numbers, at=at))


def _kept(record: RunRecord) -> dict[str, float]:
    held_out = record.validation
    return {} if held_out is None else kept_numbers(held_out.loss, held_out.accuracy, held_out.interval)


def _run_name(path: Path) -> str:
    """What logs call a run: its folder within that of runs or the current one; else with the folder around it."""
    whole = path.resolve()
    for place in (RunsFolder().path, Path()):
        if whole.is_relative_to(place.resolve()) and whole != place.resolve():
            return whole.relative_to(place.resolve()).as_posix()
    return f"{whole.parent.name}/{whole.name}"


def _settings(recipe: Mapping[str, Any]) -> dict[str, Setting]:
    """A recipe as names and plain values; what is not set is left out. Of a model's file only its name is told."""
    found: dict[str, Setting] = {}
    for name, value in recipe.items():
        if name == "model" and isinstance(value, str):
            found[name] = Path(value).name
        elif isinstance(value, Mapping):
            found |= {f"{name}.{key}": one for key, one in _settings(value).items()}
        elif isinstance(value, list | tuple):
            found[name] = ", ".join(map(str, value)) or "none"
        elif isinstance(value, str | int | float):
            found[name] = value
    return found


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
