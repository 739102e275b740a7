"""The log of a training: told while it runs, or afterwards from the run that it left. Both tell the same events.

`RunLog` is a context around a training. What it is told comes from `RunFolder.begun` and from a `Progress` beside the
one that is shown; how it ended is read from the run's folder.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fittingroom.errors import DivergedError, FittingRoomError, Interrupted
from fittingroom.evaluation.spread import Spread
from fittingroom.progress import Progress, ProgressOfBoth
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.place import is_run
from fittingroom.tracking.events import (
    ConfusionCounted,
    EpochEnds,
    Event,
    EventStream,
    RunBegins,
    RunEnds,
    SeedEnds,
    SeedsSpread,
    Setting,
    TrackedPlace,
    kept_numbers,
)
from fittingroom.tracking.trackers import TRACKERS, ChosenTracker, Extra
from fittingroom.training.run_folder import BegunTraining

if TYPE_CHECKING:
    from fittingroom.runs.data_record import DataRecord
    from fittingroom.runs.layout import RunContents
    from fittingroom.runs.outcomes import Outcomes
    from fittingroom.runs.record import RunRecord

MOST_CONFUSED = 200
"""Classes whose confusions are counted; a table of more is not looked at."""

# Gives what takes a while to find of a run: its images as points, its model as a file.
Extras = Callable[[Path, frozenset[Extra]], Iterable[Event]]


class RunLog:
    """What tells trackers of one training. As a context it ends when the run is written, or when training failed.

    Args:
        chosen: the trackers.
        extras: finds what they show beyond the run's numbers; called when the run is written. None for nothing.

    Attributes:
        places: what became of each log; empty until the context ends.
        in_memory: what a run without a folder left; set by whoever made it.

    Raises:
        InputError: a tracker's package cannot be imported.
    """

    def __init__(self, chosen: Sequence[ChosenTracker], extras: Extras | None = None) -> None:
        self._stream = EventStream({one.shown: one.opener() for one in chosen})
        self._wants = frozenset(want for one in chosen for want in TRACKERS[one.name].wants)
        self._extras = extras
        self._path: Path | None = None
        self._began = False
        self._spread: _SpreadTelling | None = None
        self.places: tuple[TrackedPlace, ...] = ()
        self.in_memory: RunContents | None = None

    def begun(self, training: BegunTraining) -> None:
        """The training has begun; what an earlier part of it finished is told again."""
        recipe = _settings(training.recipe)
        self._begin(training.path, str(training.recipe.get("name", "run")), tuple(training.earlier), recipe,
                    training.data, time.time())  # fmt: skip
        for seed, epochs in training.earlier.items():
            for epoch, numbers in epochs:
                self.epoch(seed, epoch, numbers)

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
            self.places = tuple(self._stream.close())

    @classmethod
    def write_again(
        cls, path: Path, chosen: Sequence[ChosenTracker], extras: Extras | None = None, patience: float = math.inf
    ) -> tuple[TrackedPlace, ...]:
        """Logs a run that is there already.

        Args:
            path: its folder.
            chosen: the trackers.
            extras: as for the class.
            patience: seconds to wait for the trackers.

        Raises:
            InputError: a tracker's package cannot be imported.
            RunError: a file of the run is damaged.
        """
        log = cls(chosen, extras)
        try:
            log._tell_all(path)
        finally:
            log.places = tuple(log._stream.close(min(patience, threading.TIMEOUT_MAX)))
        return log.places

    def _begin(
        self, path: Path | None, name: str, seeds: tuple[int, ...], settings: Mapping[str, Setting], data: DataRecord,
        at: float,
    ) -> None:  # fmt: skip
        self._path, self._began = path, True
        if len(seeds) > 1:
            self._spread = _SpreadTelling(seeds, self._stream.tell)
        facts = {
            "name": data.public_name,
            "classes": list(data.classes),
            "image_shape": list(data.image_shape),
            "counts": dict(data.counts),
            "fingerprint": data.fingerprint,
        }
        run = name if path is None else path.resolve().name
        self._stream.tell(RunBegins(run=run, folder=path, seeds=seeds, settings=settings, data=facts, at=at))

    def _tell_all(self, path: Path) -> None:
        """All events of a run, in the order in which its training would have told them, as far as that is known."""
        records = read_layout(path).records()
        histories = {seed: SeedFiles(folder).history() for seed, folder in read_layout(path).folders.items()}
        first = next(iter(records.values()))
        starts = {seed: _seconds(record.created) - record.seconds.train for seed, record in records.items()}
        self._begin(path, path.name, tuple(records), _settings(first.recipe), first.data, min(starts.values()))
        for seed, history in histories.items():
            each = records[seed].seconds.train / max(len(history.epoch), 1)
            for number, (epoch, numbers) in enumerate(zip(history.epoch, history.rows, strict=True), start=1):
                self.epoch(seed, epoch, numbers, starts[seed] + number * each)
            self.seed_over(seed, _seconds(records[seed].created))
        self._end(None, max(_seconds(record.created) for record in records.values()))

    def _end(self, error: object, at: float | None = None) -> None:
        """How the seeds ended, what takes a while to find, and the end of the run."""
        at = time.time() if at is None else at
        left = list(self._left())
        for record, history_end, outcomes in left:
            self._tell_seed(record, history_end, outcomes, at)
        interrupted = isinstance(error, KeyboardInterrupt)
        if self._extras is not None and self._path is not None and left and not interrupted:
            with suppress(FittingRoomError):  # a model or images that are not to be had are no reason to lose a log
                for event in self._extras(self._path, self._wants):
                    self._stream.tell(event)
        each = [_kept(record) for record, _, _ in left]
        names = dict.fromkeys(name for one in each for name in one)
        status = "interrupted" if interrupted else "diverged" if isinstance(error, DivergedError) else "failed"
        if left and (error is None or isinstance(error, Interrupted)):
            status = left[0][0].status
        spreads = {name: Spread.of(one[name] for one in each if name in one) for name in names}
        self._stream.tell(RunEnds(status=status, numbers=spreads, at=at))

    def _left(self) -> Iterator[tuple[RunRecord, int, Outcomes | None]]:
        """Of each seed that left something: its record, the number of its last epoch, and its outcomes."""
        if self.in_memory is not None:
            kept = self.in_memory
            yield kept.record, kept.history.epoch[-1], kept.outcomes
        elif self._path is not None and is_run(self._path):
            for folder in read_layout(self._path).folders.values():
                files = SeedFiles(folder)
                yield files.record(), files.history().epoch[-1], files.outcomes()

    def _tell_seed(self, record: RunRecord, epoch: int, outcomes: Outcomes | None, at: float) -> None:
        """How a seed ended, and which classes it confuses."""
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
