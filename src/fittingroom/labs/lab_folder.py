"""The folder of a lab: the guess that was made first, who works in it, and what came out.

guess.json      the answer that the learner chose, before anything was measured
lock            held by the process that runs the lab
experiment-1/   what the first experiment has trained (`experiments.experiment_store`), and so on
code/           what the lab's Python code has trained
lab.json        the results; beside it the page, `<name>.html`

How far a lab is can be read from its folder alone, so that one that was begun in a terminal looks like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.errors import FittingRoomError, InputError
from fittingroom.experiments.plan import Variant, variants
from fittingroom.labs.arms import arm_names
from fittingroom.labs.code_running import CODE_NAME
from fittingroom.labs.lab_description import Lab, LabCode, LabExperiment
from fittingroom.labs.stand_in import StandIn
from fittingroom.labs.stand_in_code import REPORT_NAME
from fittingroom.runs.json_files import damage, json_text, read_json, whole
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.place import RunsFolder, is_run, is_unfinished
from fittingroom.runs.record import now
from fittingroom.runs.unfinished import LOCK_NAME, RunLock
from fittingroom.runs.watched import WatchedTraining

FACTS_NAME = "lab.json"
_GUESS_NAME = "guess.json"
_MEASURED = ("experiment-*", "code", FACTS_NAME)


class LabFolder:
    """Where a lab is kept.

    Args:
        lab: the lab.
        path: its folder, which need not be there; None for the one of its name in the folder of runs.
    """

    def __init__(self, lab: Lab, path: Path | None = None) -> None:
        self.lab = lab
        self.path = RunsFolder().path / f"lab-{lab.name}" if path is None else path

    @property
    def is_measured(self) -> bool:
        """Whether something of the lab has been trained, so that a guess would come too late."""
        return any(True for name in _MEASURED for _ in self.path.glob(name))

    @property
    def guess(self) -> int | None:
        """The answer that was chosen before anything was measured, from 0; None for none."""
        path = self.path / _GUESS_NAME
        if self.lab.predict is None or not path.is_file():
            return None
        with damage(self.path, _GUESS_NAME):
            chosen = whole(read_json(path)["chosen"])
        return chosen if chosen < len(self.lab.predict.answers) else None  # the lab has been changed since

    def keep_guess(self, chosen: int) -> None:
        """Keeps a guess. To be called before anything is measured.

        Args:
            chosen: the answer, from 0.

        Raises:
            InputError: the lab asks nothing, has no such answer, or has been measured.
            StorageError: it cannot be written.
        """
        check_guess(self.lab, chosen)
        if self.is_measured:
            raise InputError(
                f"{self.path} has measurements already, and a guess comes before them. To begin again, delete it."
            )
        self._make()
        write_bytes(self.path / _GUESS_NAME, json_text({"chosen": chosen, "time": now()}).encode())

    @property
    def facts(self) -> dict[str, Any] | None:
        """The results, as `LabResult.to_dict` gave them; None where there are none.

        Raises:
            RunError: the file is damaged.
        """
        if not (self.path / FACTS_NAME).is_file():
            return None
        with damage(self.path, FACTS_NAME):
            return read_json(self.path / FACTS_NAME)

    @property
    def worker(self) -> str | None:
        """Who runs the lab at this moment, in words; None where nobody does."""
        return RunLock.holder(self.path)

    @property
    def worker_id(self) -> int | None:
        """The number of that process; None where nobody works, or it is not known."""
        try:
            return None if self.worker is None else whole(json.loads((self.path / LOCK_NAME).read_bytes())["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and holds its lock for a `with` block.

        Raises:
            RunError: another process runs this lab.
            StorageError: the folder cannot be written.
        """
        self._make()
        lock = RunLock(self.path)
        try:
            yield
        finally:
            lock.release()

    def _make(self) -> None:
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)


def check_guess(lab: Lab, chosen: int) -> None:
    """Makes sure that a guess is one of a lab's answers.

    Args:
        lab: the lab.
        chosen: the answer, from 0.

    Raises:
        InputError: the lab asks nothing, or has no such answer.
    """
    if lab.predict is None:
        raise InputError(f"The lab {lab.name!r} asks for no prediction. Leave the guess out.")
    if not 0 <= chosen < len(lab.predict.answers):
        raise InputError(
            f"answer {chosen + 1} of the lab {lab.name!r}: expected 1 to {len(lab.predict.answers)}. The answers are: "
            f"{'; '.join(lab.predict.answers)}."
        )


_State = Literal["waiting", "training", "done", "failed"]


@dataclass
class WatchedLabSeed:
    """A seed of an arm.

    Args:
        seed: the seed; -1 where it is not known before the arm's code has run.
        state: how far it is.
        share: how much of its training is done, 0 to 1.
        epochs: epochs that are done.
        of: epochs that it trains to; 0 while that is not known.
        accuracy: on the validation images, after its latest epoch; None before.
        reason: why it failed, or ended early.
        history: number by name, for each epoch.
    """

    seed: int
    state: _State = "waiting"
    share: float = 0.0
    epochs: int = 0
    of: int = 0
    accuracy: float | None = None
    reason: str | None = None
    history: dict[str, list[float | None]] = field(default_factory=dict)


@dataclass
class WatchedArm:
    """An arm of a lab while it is trained.

    Args:
        name: what the lab's file calls it.
        dataset: the name of its data.
        seeds: each of its seeds.
        stage: what is being done, such as `compiling`; empty while nothing is.
    """

    name: str
    dataset: str
    seeds: list[WatchedLabSeed]
    stage: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON, but for the histories."""
        found = asdict(self)
        for seed in found["seeds"]:
            del seed["history"]
        return found

    @property
    def histories(self) -> dict[str, list[list[float | None]]]:
        """Each number of the epochs: a list for each seed that has some, as `LabResult.to_dict` has it."""
        names = dict.fromkeys(name for seed in self.seeds for name in seed.history)
        return {name: [seed.history.get(name, []) for seed in self.seeds] for name in names}


class LabWatch:
    """Looks at the folder of a lab again and again.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: LabFolder) -> None:
        self.folder = folder
        self._watched: dict[Path, WatchedTraining] = {}
        self._whole: dict[Path, dict[int, WatchedLabSeed]] = {}  # of runs that have ended, which change no more

    def arms(self) -> list[WatchedArm]:
        """All arms as they are now, in the lab's order."""
        return list(self._arms())

    def close(self) -> None:
        """Closes the files that it reads."""
        for watched in self._watched.values():
            watched.close()

    def _arms(self) -> Iterator[WatchedArm]:
        lab = self.folder.lab
        datasets = len({one.dataset for one in lab.experiments})
        for number, one in enumerate(lab.experiments, start=1):
            place = self.folder.path / f"experiment-{number}"
            found = variants(one.experiment.recipes, one.experiment.vary)
            for variant, name in zip(found, arm_names(found, one.dataset, datasets=datasets), strict=True):
                yield self._of_recipe(name, variant, one, place)
        for code in lab.codes:
            yield self._of_code(code) if lab.stand_in is None else self._of_stand_in(code, lab.stand_in)

    def _of_recipe(self, name: str, variant: Variant, one: LabExperiment, place: Path) -> WatchedArm:
        arm = WatchedArm(name, one.dataset, [])
        known: dict[int, WatchedLabSeed] = {}
        for run in sorted((place / "runs").glob(f"{variant.digest}-*")):
            known.update(self._seeds_of(run, arm))
        for seed in one.seeds:
            if seed not in known:
                reason = _failure(place / "failed", f"{variant.digest}-*-{seed}.json")
                known[seed] = WatchedLabSeed(seed, "waiting" if reason is None else "failed", reason=reason)
        arm.seeds = [known[seed] for seed in sorted(known)]
        return arm

    def _of_code(self, code: LabCode) -> WatchedArm:
        arm = WatchedArm(code.name, code.dataset, [])
        places = [path.parent for path in self.folder.path.glob(f"code/*/{CODE_NAME}") if _text(path) == code.code]
        for place in places:
            arm.seeds = list(self._seeds_of(place / "run", arm).values())
        if places and not arm.seeds:
            arm.stage = "running"
        arm.seeds = arm.seeds or [WatchedLabSeed(-1)]
        return arm

    def _of_stand_in(self, code: LabCode, stand_in: StandIn) -> WatchedArm:
        """Each seed has a folder: its report is there, or its code is running, or has ended with an error."""
        arm = WatchedArm(code.name, stand_in.dataset, [WatchedLabSeed(seed) for seed in range(stand_in.seeds)])
        for path in self.folder.path.glob(f"code/*/{CODE_NAME}"):
            seed = path.parent.name.rpartition("-")[2]
            if _text(path) != code.code or not seed.isdecimal() or int(seed) >= stand_in.seeds:
                continue
            report = path.with_name(REPORT_NAME)
            with suppress(FittingRoomError, KeyError):
                if report.is_file():
                    arm.seeds[int(seed)] = WatchedLabSeed(int(seed), "done", 1.0, accuracy=read_json(report)["score"])
                elif self.folder.worker is not None:
                    arm.seeds[int(seed)], arm.stage = WatchedLabSeed(int(seed), "training"), "running"
        return arm

    def _seeds_of(self, run: Path, arm: WatchedArm) -> dict[int, WatchedLabSeed]:
        """The seeds of a run that has ended, or is being trained; none where neither can be read."""
        if is_run(run) and not is_unfinished(run):
            if run not in self._whole:
                try:
                    self._whole[run] = _finished(run)
                except (FittingRoomError, OSError):
                    return {}
                if run in self._watched:
                    self._watched.pop(run).close()
            return self._whole[run]
        watched = self._watched.setdefault(run, WatchedTraining(run))
        watched.look()
        arm.stage = watched.stage
        return {seed: _watched(one, ended=watched.status) for seed, one in watched.seeds.items()}


def _finished(run: Path) -> dict[int, WatchedLabSeed]:
    layout = read_layout(run)
    found = {}
    for seed, record in layout.records().items():
        history = SeedFiles(layout.folders[seed]).history()
        accuracy = None if record.validation is None else record.validation.accuracy
        state: _State = "failed" if record.status == "diverged" else "done"
        numbers: dict[str, list[float | None]] = {name: list(values) for name, values in history.items()}
        found[seed] = WatchedLabSeed(
            seed, state, 1.0, record.epochs, record.epochs, accuracy, record.reason, _plain(numbers)
        )
    return found


def _watched(one: Any, *, ended: str | None) -> WatchedLabSeed:
    rows: list[Mapping[str, float]] = [one.rows[epoch] for epoch in sorted(one.rows)]
    names = dict.fromkeys(name for row in rows for name in row)
    return WatchedLabSeed(
        one.seed,
        "failed" if ended in {"failed", "diverged"} else "done" if one.over else "training",
        one.share,
        len(rows),
        one.epochs,
        next((row["val_accuracy"] for row in reversed(rows) if "val_accuracy" in row), None),
        one.reason,
        _plain({name: [row.get(name) for row in rows] for name in names}),
    )


def _plain(numbers: Mapping[str, list[float | None]]) -> dict[str, list[float | None]]:
    """Only what is finite: NaN and infinity become None."""
    limit = float("inf")
    return {
        name: [one if one is not None and abs(one) < limit else None for one in values]
        for name, values in numbers.items()
    }


def _failure(folder: Path, pattern: str) -> str | None:
    for path in folder.glob(pattern):
        try:
            stored = json.loads(_text(path))
            return f"{stored['error']}: {stored['reason']}"[:2000]
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
