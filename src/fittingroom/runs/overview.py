"""Many runs at a glance: one summary for each, which is quick to read, and sorting and filtering of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fittingroom.errors import InputError, RunError
from fittingroom.runs.layout import read_layout
from fittingroom.runs.place import RunsFolder, is_run
from fittingroom.runs.record import PartResult
from fittingroom.runs.run_notes import Origin, RunNotes
from fittingroom.runs.trash import disk_use
from fittingroom.runs.unfinished import RunLock, UnfinishedRecord
from fittingroom.text import word_list


@dataclass(frozen=True)
class RunSummary:
    """A run as a line of a table.

    Attributes:
        name: of its folder.
        path: the folder.
        status: `training`, `unfinished` (stopped, can be resumed), `unreadable`, or what the record says: `finished`,
            `stopped`, `interrupted`, `diverged`; several, where its seeds differ, with slashes between.
        notes: what people wrote about it.
        created: when its training ended (or began, where it has not finished), ISO 8601, UTC.
        recipe: the recipe's name.
        dataset: the dataset's name.
        seeds: how many have results.
        epochs: of the seed that has most.
        accuracy: on the validation images, 0 to 1, the mean over seeds.
        interval: its 95% interval.
        loss: mean cross-entropy on the validation images, in nats.
        seconds: of set-up, compiling and training.
        looks: how often the seeds looked at their own test set.
        size: bytes on the disk.
        origin: where it came from, if it was imported.
        error: why it cannot be read.
    """

    name: str
    path: Path
    status: str
    notes: RunNotes = field(default_factory=RunNotes)
    created: str = ""
    recipe: str = ""
    dataset: str = ""
    seeds: int = 0
    epochs: int = 0
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    loss: float | None = None
    seconds: float | None = None
    looks: int = 0
    size: int = 0
    origin: Origin | None = None
    error: str | None = None

    @classmethod
    def read(cls, path: Path) -> RunSummary:
        """That of a folder of a run, or of a training that has begun; a damaged one is `unreadable`."""
        start = cls(path.name, path, "unreadable", RunNotes.read(path), size=disk_use([path]), origin=Origin.read(path))
        try:
            return _of_run(start) if is_run(path) else _of_training(start)
        except RunError as error:
            return replace(start, error=str(error))

    @property
    def title(self) -> str:
        """What to call it."""
        return self.notes.title or self.name

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain JSON, without the path."""
        fields = {name: value for name, value in vars(self).items() if name not in {"path", "notes", "origin"}}
        interval = None if self.interval is None else list(self.interval)
        origin = None if self.origin is None else self.origin.to_dict()
        return {**fields, **self.notes.to_dict(), "interval": interval, "origin": origin}


def list_summaries(read: Callable[[Path], RunSummary] = RunSummary.read) -> list[RunSummary]:
    """All runs of the folder of runs and those known elsewhere, newest first, trainings that have not finished before.

    Args:
        read: gives the summary of a folder; a program that asks again and again keeps those that have not changed.
    """
    folder = RunsFolder()
    begun = [path for path in folder.unfinished() if not is_run(path)]
    return [read(path) for path in (*begun, *folder.runs(), *folder.elsewhere())]


def _of_training(start: RunSummary) -> RunSummary:
    record = UnfinishedRecord.read(start.path)
    return replace(
        start,
        status="training" if RunLock.holder(start.path) else "unfinished",
        created=record.created,
        recipe=str(record.recipe["name"]),
        dataset=record.data.name,
        seeds=len(record.seeds),
    )


def _of_run(start: RunSummary) -> RunSummary:
    layout = read_layout(start.path)
    records = list(layout.records().values())
    first, parts = records[0], [record.validation for record in records]
    spreads = PartResult.spreads(parts)
    accuracy, loss = spreads.get("accuracy"), spreads.get("loss")
    interval = None if accuracy is None else accuracy.interval
    if interval is None:  # of one seed, or of several that all answer alike
        interval = None if first.validation is None else first.validation.interval
    return replace(
        start,
        status="/".join(sorted({record.status for record in records})),
        created=first.created,
        recipe=str(first.recipe["name"]),
        dataset=first.data.name,
        seeds=len(records),
        epochs=max(record.epochs for record in records),
        accuracy=None if accuracy is None else accuracy.mean,
        interval=None if interval is None else (interval[0], interval[1]),
        loss=None if loss is None else loss.mean,
        seconds=layout.seconds.total,
        looks=sum(len(record.looks) for record in records),
    )


_KEYS: dict[str, Callable[[RunSummary], Any]] = {
    "name": lambda one: one.title.casefold(),
    "recipe": lambda one: one.recipe.casefold(),
    "dataset": lambda one: one.dataset.casefold(),
    "accuracy": lambda one: one.accuracy,
    "loss": lambda one: one.loss,
    "seconds": lambda one: one.seconds,
    "seeds": lambda one: one.seeds,
    "epochs": lambda one: one.epochs,
    "looks": lambda one: one.looks,
    "size": lambda one: one.size,
    "time": lambda one: one.created,
}
SORT_KEYS = tuple(_KEYS)
_DESCENDING = {"accuracy", "looks", "size", "time", "seeds", "epochs"}  # of these the largest come first

_TEXTS = ("name", "recipe", "dataset", "tag", "status", "title", "note")
_CONDITION = re.compile(r"(\w+)\s*(<=|>=|<|>|=)\s*(.+)", re.DOTALL)


def sort_runs(runs: Iterable[RunSummary], key: str) -> list[RunSummary]:
    """Runs in the order of a column; those without a value come last.

    Args:
        runs: in any order, which equal ones keep.
        key: one of `SORT_KEYS`, best first (accuracy from the highest, loss from the lowest); `-accuracy` turns it
            round.

    Raises:
        InputError: there is no such column.
    """
    name = key.removeprefix("-")
    if name not in _KEYS:
        raise InputError(f"--sort {key}: expected {word_list(SORT_KEYS, 'or')}, with a minus for the other way round.")
    value = _KEYS[name]
    known = [one for one in runs if value(one) is not None]
    known.sort(key=value, reverse=(name in _DESCENDING) != key.startswith("-"))
    return [*known, *(one for one in runs if value(one) is None)]


def filter_runs(runs: Sequence[RunSummary], conditions: Iterable[str]) -> list[RunSummary]:
    """The runs that fit all conditions.

    Args:
        runs: those to choose from.
        conditions: `dataset=mnist`, `recipe=cnn`, `tag=best`, `status=finished` (a part of the text is enough),
            `accuracy>0.9`, `loss<=0.3`, `seconds<60`, `looks=0`; or a word that stands in any text of the run.

    Raises:
        InputError: a condition is none of these.
    """
    tests = [_test_of(condition) for condition in conditions]
    return [run for run in runs if all(test(run) for test in tests)]


def _test_of(condition: str) -> Callable[[RunSummary], bool]:
    found = _CONDITION.fullmatch(condition.strip())
    if found is None:
        word = condition.strip().casefold()
        return lambda run: any(word in text.casefold() for name in _TEXTS for text in _texts(run, name))
    name, sign, wanted = found.groups()
    if name in _TEXTS and sign == "=":
        return lambda run: any(wanted.casefold() in text.casefold() for text in _texts(run, name))
    value = _KEYS.get(name)
    try:
        limit = float(wanted)
    except ValueError:
        value = None
    if value is None or name in {"name", "recipe", "dataset", "time"}:
        raise InputError(
            f"--filter {condition!r}: expected a word, or {word_list(_TEXTS, 'or')} = TEXT, or accuracy, loss, "
            "seconds, seeds, epochs, looks or size with =, <, <=, > or >= and a number."
        )
    return lambda run: (number := value(run)) is not None and _holds(float(number), sign, limit)


def _holds(number: float, sign: str, limit: float) -> bool:
    return {
        "=": number == limit,
        "<": number < limit,
        "<=": number <= limit,
        ">": number > limit,
        ">=": number >= limit,
    }[sign]


def _texts(run: RunSummary, name: str) -> tuple[str, ...]:
    """The texts of a run that a condition on this field looks into."""
    if name == "tag":
        return run.notes.tags
    if name == "note":
        return (run.notes.notes,)
    if name == "name":
        return run.name, run.notes.title
    return (str(getattr(run, name)),)
