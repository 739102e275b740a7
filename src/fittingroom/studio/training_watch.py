"""What pages see of a training: its state in words, its numbers, its curves, and which images changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.errors import FittingRoomError, InputError
from fittingroom.recipes.stop import StopRule
from fittingroom.runs.history import History
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.place import is_run, is_unfinished
from fittingroom.runs.unfinished import UnfinishedRecord
from fittingroom.runs.watched import WatchedSeed, WatchedTraining
from fittingroom.studio.studio import LastUsed, Studio
from fittingroom.studio.trainings import Ticket, Trainings
from fittingroom.text import percent

if TYPE_CHECKING:
    from fittingroom.runs.data_record import DataRecord

COURSE_STOP = "loss<0.4"
"""What the callback of the course stops at."""

_PUBLISHED_EVERY = 0.45  # seconds, of a training that moves
_SEARCHED_EVERY = 1.0
_MOST_ROWS = 40  # epochs in the table
_MOST_WATCHED = 30
_SAVED_IN = 20.0  # seconds; a process that says nothing for longer after its last epoch has been killed


@dataclass(frozen=True)
class TrainingAbout:
    """What a training trains.

    Args:
        recipe: as the run records it.
        data: what the run records of its data.
        seeds: all of them.
    """

    recipe: Mapping[str, Any]
    data: DataRecord
    seeds: tuple[int, ...]


class TrainingWatch:
    """Watches the trainings of a studio. What it knows comes from files, and can be read again.

    Args:
        studio: whose folder of runs it is, and whose pages are told.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.trainings = Trainings(studio.folder)
        self._lock = threading.Lock()
        self._watched: dict[str, WatchedTraining] = {}
        self._about = LastUsed(200)
        self._sentences = LastUsed(200)
        self._stops: dict[tuple[str, int], _Stops] = {}
        self._told: dict[str, tuple[Any, float]] = {}
        self._running: list[str] = []
        self._searched = 0.0
        studio.events.poll(self.look)

    def look(self) -> None:
        """Publishes `training` for each training that has moved, and for one that has ended."""
        now = time.monotonic()
        if now - self._searched >= _SEARCHED_EVERY:
            self.trainings.reap()
            before, self._running, self._searched = self._running, self.trainings.running(), now
            for name in before:
                if name not in self._running:
                    self._publish(name, None)
            for name in self._running:
                if name not in before:
                    self._publish(name, None)
        for name in self._running:
            last, when = self._told.get(name, (None, 0.0))
            if now - when >= _PUBLISHED_EVERY:
                version = self._version(name)
                if version != last:
                    self._publish(name, version)

    def _publish(self, name: str, version: Any) -> None:
        self._told[name] = version, time.monotonic()
        ticket = self.trainings.ticket(name)
        run = self.trainings.run_of(ticket) if ticket is not None else name
        watched = None if run is None else self._watched.get(run)
        state = _live_state(watched) if name in self._running else "ended"
        seeds = [] if watched is None else list(watched.seeds.values())
        epochs = {"epoch": len(seeds[0].rows) if seeds else 0, "epochs": max((one.epochs for one in seeds), default=0)}
        self._studio.events.publish("training", {"name": name, "run": run, "state": state, **epochs})

    def _version(self, name: str) -> Any:
        watched = self._read(name)
        return None if watched is None else watched.version

    def _read(self, run: str) -> WatchedTraining | None:
        """What a run has told so far; None where it has told nothing."""
        with self._lock:
            watched = self._watched.get(run)
            if watched is None:
                path = self._studio.folder / run
                if not is_unfinished(path):
                    return None
                watched = self._watched[run] = WatchedTraining(path)
                for old in list(self._watched)[:-_MOST_WATCHED]:
                    self._watched.pop(old).close()
            watched.look()
            return watched if watched.seeds else None

    def running(self) -> list[str]:
        """What is trained at this moment, the newest first: names of runs, and of tickets that have no run yet."""
        return self.trainings.running()

    def resolve(self, name: str) -> tuple[str | None, Ticket | None]:
        """The run that a name means, if there is one yet, and the ticket.

        Args:
            name: of a run, or of a ticket.

        Raises:
            RefusedError: 404, there is neither.
        """
        ticket = self.trainings.ticket(name)
        if ticket is not None:
            return self.trainings.run_of(ticket), ticket
        if name not in self._watched:
            self._studio.path_of(name)
        return name, self.trainings.ticket_of(name)

    def facts(self, name: str, seed: int | None = None) -> dict[str, Any]:
        """What a page shows of a training beside its curves.

        Args:
            name: of the run, or of the ticket of one that may have none yet.
            seed: whose row of numbers is shown; None for the first.
        """
        run, ticket = self.resolve(name)
        if run is None:
            assert ticket is not None
            return _before_the_run(ticket)
        about, seeds = self.about(run), self.seeds(run)
        shown = next((one for one in seeds if one.seed == seed), seeds[0] if seeds else None)
        conditions = [] if about is None else list(about.recipe.get("stop", []))
        state, sentence = self._state(run, ticket)
        watched = self._watched.get(run)
        planned = max([one.epochs for one in seeds], default=0)
        return {
            "name": name,
            "run": run,
            "state": state,
            "sentence": sentence,
            "recipe": None if about is None else about.recipe["name"],
            "dataset": None if about is None else about.data.name,
            "settings": None if about is None else dict(about.recipe),
            "seeds": [one.seed for one in seeds],
            "seed": None if shown is None else shown.seed,
            "has_epochs": about is None or about.recipe.get("estimator") is None,
            "epochs": planned or (0 if about is None else about.recipe.get("epochs", 1)),
            "epoch": None if shown is None else len(shown.rows),
            "share": sum(one.share for one in seeds) / max(1, len(seeds)),
            "seconds_left": None if watched is None or state != "training" else watched.seconds_left,
            "rows": [] if shown is None else _rows(shown, self._met(run, shown, conditions)),
            "running": None if shown is None or not shown.points else _point(shown),
            "notes": [] if watched is None else list(watched.notes),
            "resumable": state == "interrupted" and is_unfinished(self._studio.folder / run),
            "whole": is_run(self._studio.folder / run) and state not in _LIVE,
        }

    def _met(self, run: str, seed: WatchedSeed, conditions: Sequence[str]) -> Mapping[int, list[dict[str, Any]]]:
        """Number of an epoch -> the conditions that are met there first."""
        key = (run, seed.seed)
        stops = self._stops.get(key)
        if stops is None or not stops.update(seed.rows):
            stops = _Stops(conditions)
            stops.update(seed.rows)
            self._stops[key] = stops
            for old in list(self._stops)[:-_MOST_WATCHED]:
                del self._stops[old]
        return stops.met

    def about(self, run: str) -> TrainingAbout | None:
        """What a run trains or has trained; None where its folder is gone, or does not say."""
        path = self._studio.folder / run
        try:
            return self._about.get(run, (is_run(path), is_unfinished(path)), partial(_about, path))
        except FittingRoomError:
            return None

    def seeds(self, run: str) -> list[WatchedSeed]:
        """The numbers of each seed: those that the process tells, or of a finished run the recorded ones."""
        watched, path = self._read(run), self._studio.folder / run
        told = [] if watched is None else list(watched.seeds.values())
        if not is_run(path) or (watched is not None and watched.status is None and self.is_live(run)):
            return told
        try:
            kept = [_recorded(folder, seed) for seed, folder in read_layout(path).folders.items()]
        except FittingRoomError:
            return told
        if [list(one.rows) for one in kept] == [list(one.rows) for one in told]:
            return told  # the same numbers, with the axes as they have grown
        return kept

    def watched(self, run: str) -> WatchedTraining | None:
        """What the process of a run tells; None where it tells nothing any more."""
        return self._read(run)

    def path(self, run: str) -> Path:
        """The folder of a run that `resolve` gave."""
        return self._studio.folder / run

    def is_live(self, run: str) -> bool:
        """Whether a run is trained at this moment."""
        return run in (self._running if self._studio.events.watching else self.trainings.running())

    def _state(self, run: str, ticket: Ticket | None) -> tuple[str, str]:
        """The state of a training that has a run, and a sentence where there is one to say."""
        path, watched = self._studio.folder / run, self._watched.get(run)
        if self.is_live(run) or (ticket is not None and ticket.alive and self.trainings.run_of(ticket) == run):
            return _live_state(watched), ""
        kind, said = ("", "") if ticket is None else ticket.said
        if is_run(path):
            found: tuple[str, str] = self._sentences.get(run, path.stat().st_mtime_ns, partial(_result, path))
            return found
        if is_unfinished(path):
            told = watched.text if watched is not None and watched.status is not None else ""
            return "interrupted", told or said or "Its process was killed. It continues from its last checkpoint."
        if watched is not None and watched.status is not None and watched.status != "finished":
            return ("interrupted" if watched.status == "interrupted" else "failed"), watched.text
        return ("interrupted" if kind == "interrupted" else "failed"), said or "It ended without a run."


_LIVE = frozenset({"loading", "compiling", "training", "validating", "saving"})


def _before_the_run(ticket: Ticket) -> dict[str, Any]:
    """The facts of a training that has no folder yet, or never had one."""
    kind, said = ticket.said
    if ticket.alive:
        state, said = "loading", ticket.stage and f"{ticket.stage[0].upper()}{ticket.stage[1:]}."
    else:
        state = "interrupted" if kind == "interrupted" else "failed"
        said = said or "It was ended before it began to train."
    return {
        "name": ticket.name,
        "run": None,
        "state": state,
        "sentence": said,
        "seconds": time.time() - ticket.began,
        "seeds": [],
        "rows": [],
        "notes": [],
        "has_epochs": True,
        "epochs": 0,
        "epoch": 0,
        "share": 0.0,
        "resumable": False,
        "whole": False,
    }


def _live_state(watched: WatchedTraining | None) -> str:
    if watched is None or not watched.seeds:
        return "loading"
    seeds = list(watched.seeds.values())
    if watched.status is not None or all(one.over for one in seeds):
        return "saving"
    if watched.stage != "training":
        return "compiling"
    return "validating" if all(one.validating or one.over for one in seeds) else "training"


def _about(path: Path) -> TrainingAbout:
    if is_run(path):
        layout = read_layout(path)
        record = next(iter(layout.records().values()))
        return TrainingAbout(record.recipe, record.data, layout.seeds)
    begun = UnfinishedRecord.read(path)
    return TrainingAbout(begun.recipe, begun.data, begun.seeds)


def _recorded(folder: Path, seed: int) -> WatchedSeed:
    """A seed of a finished run."""
    history: History = SeedFiles(folder).history()
    rows = dict(zip(history.epoch, history.rows, strict=True))
    found = WatchedSeed(seed, epochs=max(rows, default=-1) + 1, rows=rows, over=True)
    for logs in rows.values():
        found.widen(logs)
    return found


class _Stops:
    """Where the conditions of a seed are met for the first time, found again only in epochs that are new."""

    def __init__(self, conditions: Sequence[str]) -> None:
        self._own = frozenset(conditions)
        self._rules = {text: StopRule([text], own=True) for text in dict.fromkeys([*conditions, COURSE_STOP])}
        self._last = -1
        self.met: dict[int, list[dict[str, Any]]] = {}

    def update(self, rows: dict[int, dict[str, float]]) -> bool:
        """Takes new epochs into account; whether the earlier ones are those that were seen."""
        if self._last >= 0 and self._last not in rows:
            return False
        new: list[int] = []
        for epoch in reversed(rows):  # in the order in which they came
            if epoch <= self._last:
                break
            new.append(epoch)
        for epoch in reversed(new):
            for text, rule in list(self._rules.items()):
                try:
                    met = rule.update(rows[epoch])
                except InputError:  # a number that this training does not have
                    met = None
                if met:
                    self.met.setdefault(epoch, []).append({"text": text, "own": text in self._own})
                    del self._rules[text]
            self._last = epoch
        return True


def _rows(seed: WatchedSeed, met: Mapping[int, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The last epochs, counted from 1, with their numbers as a callback gets them; and those with a condition met.

    Each condition is `{text, own}`; `own` says whether it is one of the training's.
    """
    last = sorted(seed.rows)[-_MOST_ROWS:]
    shown = sorted({*last, *(epoch for epoch in met if epoch in seed.rows)})
    return [{"epoch": epoch + 1, "logs": seed.rows[epoch], "stops": met.get(epoch, [])} for epoch in shown]


def _point(seed: WatchedSeed) -> dict[str, Any]:
    done, logs = seed.points[-1]
    return {"epoch": len(seed.rows) + 1, "share": min(1.0, done - len(seed.rows)), "logs": logs}


def _result(path: Path) -> tuple[str, str]:
    """How a run ended, and its closing sentence: what is right, and whether it overfits, as `explain` has it."""
    from fittingroom.reports.facts.explanation import Explanation
    from fittingroom.reports.facts.subject import Subject

    records = list(read_layout(path).records().values())
    status = next((one.status for one in records if one.status != "finished"), "finished")
    reason = "" if records[0].reason is None else f" Ended early: {records[0].reason}."
    try:
        words = {word["topic"]: word for word in reversed(Explanation.of(Subject.read(path)).to_dict()["words"])}
        overfit = f" Overfitting? {words['overfit']['short']}." if "overfit" in words else ""
    except (FittingRoomError, KeyError):
        overfit = ""
    validation = records[0].validation
    if validation is None or validation.accuracy is None:
        return status, f"It has trained.{reason}"
    if len(records) > 1:
        rights = [one.validation.accuracy for one in records if one.validation and one.validation.accuracy is not None]
        mean = sum(rights) / len(rights)
        spread = f"{percent(min(rights))} to {percent(max(rights))} over {len(rights)} seeds"
        return status, f"{percent(mean)} of the validation images right ({spread}).{overfit}{reason}"
    low, high = validation.interval or (None, None)
    between = "" if low is None else f" (95% interval {percent(low)} to {percent(high)})"
    return status, f"{percent(validation.accuracy)} of the validation images right{between}.{overfit}{reason}"
