"""The folder of an experiment: which cells are trained, half trained, or have failed.

    experiment.json   the plan of the last call (`plan.py`)
    runs/             run folders, `<recipe>-<data>-<n>`; each seed in them is a cell
    failed/           `<cell>.json`: why a cell that left no run has failed
    epochs.csv        every cell and epoch (`summary.py`), and the same as epochs.parquet
    cells.csv         every cell, and the same as cells.parquet
    experiment.html   the page about it (`experiment.py`)
    lock              held by the process that trains
    costs/            `<cell>.json`: what a cell of a benchmark took (`packed_cell.TrainedCell`)
    test/             `<cell>.npy`: which test images a cell of a benchmark has right, once they were opened
    incoming/         a run on its way here from another process

The run folders alone say what is trained, so that a kill at any moment leaves nothing to mend: a cell counts as trained
when its run is whole, and a training that was stopped continues from its checkpoint.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fittingroom.atomic import storage_errors, sweep, sync_folder, write_bytes
from fittingroom.errors import DivergedError, RunError
from fittingroom.experiments.plan import Cell, ExperimentPlan, Variant
from fittingroom.runs.images import PREFIX, RunImages, place_file
from fittingroom.runs.json_files import damage, json_text, read_json
from fittingroom.runs.layout import read_layout
from fittingroom.runs.place import is_run, is_unfinished
from fittingroom.runs.record import RunRecord
from fittingroom.runs.unfinished import LOCK_NAME, RunLock, UnfinishedRecord
from fittingroom.runs.validation_outcomes import ValidationOutcomes

PLAN_NAME = "experiment.json"

_INCOMING = "incoming"
_NO_EPOCH = "The loss became NaN or infinite before the first epoch was over."


@dataclass(frozen=True)
class CellState:
    """How far a cell is.

    Args:
        cell: the recipe and the seed.
        status: `done`, `failed`, or `missing`: not finished.
        reason: why it failed; None if it did not.
        again: whether a later call tries it again. A loss that is not finite would be so again; memory may be free
            the next time.
        folder: the folder of its seed in the run; None where there is none.
        record: the record in that folder.
    """

    cell: Cell
    status: Literal["done", "failed", "missing"]
    reason: str | None = None
    again: bool = True
    folder: Path | None = None
    record: RunRecord | None = None


@dataclass(frozen=True)
class Batch:
    """Seeds of one recipe that are trained together.

    Args:
        variant: the recipe.
        seeds: the seeds to train.
        folder: the run's folder.
        begun: whether the folder has a training that was stopped, and is to be resumed.
    """

    variant: Variant
    seeds: tuple[int, ...]
    folder: Path
    begun: bool


@dataclass(frozen=True)
class Failure:
    """Why a training failed.

    Args:
        kind: the class of the error.
        reason: its message.
        again: whether it may succeed the next time.
        limit: the time limit in seconds that ended it; None where none did.
    """

    kind: str
    reason: str
    again: bool = True
    limit: float | None = None

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """The failure that an error is. A loss that became NaN or infinite would do so again."""
        return cls(
            type(error).__name__,
            str(error) or "the error has no message",
            again=not isinstance(error, DivergedError),
        )


class ExperimentFolder:
    """The folder of an experiment, locked. `locked` makes one.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path, plan: ExperimentPlan) -> None:
        self.path = path
        self._plan = plan
        self._runs = path / "runs"
        self._failed = path / "failed"
        self._costs = path / "costs"

    @classmethod
    @contextmanager
    def locked(cls, path: Path, plan: ExperimentPlan) -> Iterator[ExperimentFolder]:
        """The folder of an experiment, made if need be, and locked until the end of a `with` block.

        Raises:
            RunError: the folder holds something else, or another process has it locked.
            StorageError: the folder cannot be written.
        """
        _check_ours(path)
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        lock = RunLock(path)
        try:
            sweep(path)
            write_bytes(path / PLAN_NAME, json_text(plan.to_dict()).encode())
            yield cls(path, plan)
        finally:
            lock.release()

    def states(self, variant: Variant) -> list[CellState]:
        """The state of each cell of a recipe, in the order of the seeds.

        Raises:
            RunError: a file is damaged.
        """
        trained: dict[int, CellState] = {}
        for folder in self._folders(variant):
            if is_run(folder) and not is_unfinished(folder):
                for seed, state in self._trained(variant, folder).items():
                    trained.setdefault(seed, state)
        cells = [cell for cell in self._plan.cells if cell.variant is variant]
        return [trained.get(cell.seed) or self._untrained(cell) for cell in cells]

    def work(self, variant: Variant, together: int | None = None) -> list[Batch]:
        """The batches of a recipe to train: first those that were stopped, then all that is missing.

        What a killed process left before its training had begun is removed.

        Args:
            variant: the recipe.
            together: how many cells make a batch at most; None for all of them.
        """
        wanted = [state.cell.seed for state in self.states(variant) if state.status != "done" and state.again]
        batches, last = [], 0
        for folder in self._folders(variant):
            last = _number(folder)
            if is_unfinished(folder):
                seeds = UnfinishedRecord.read(folder).seeds
                if set(seeds) & set(wanted):
                    batches.append(Batch(variant, seeds, folder, begun=True))
                    wanted = [seed for seed in wanted if seed not in seeds]
            elif not is_run(folder):
                shutil.rmtree(folder, ignore_errors=True)
        size = together or max(len(wanted), 1)
        for number, first in enumerate(range(0, len(wanted), size), last + 1):
            seeds = tuple(wanted[first : first + size])
            batches.append(Batch(variant, seeds, self._folder(variant, number), begun=False))
        return batches

    def next_batch(self, variant: Variant, seed: int) -> Batch:
        """A seed of a recipe, with the next free folder for its run."""
        last = max(map(_number, self._folders(variant)), default=0)
        return Batch(variant, (seed,), self._folder(variant, last + 1), begun=False)

    def fail(self, batch: Batch, failure: Failure) -> None:
        """Records why a batch failed, for those of its cells that left no run."""
        with storage_errors(self._failed):
            self._failed.mkdir(exist_ok=True)
        kept = {state.cell.seed for state in self.states(batch.variant) if state.folder is not None}
        content: dict[str, Any] = {"error": failure.kind, "reason": failure.reason, "again": failure.again}
        if failure.limit is not None:
            content["limit"] = failure.limit
        for seed in batch.seeds:
            if seed not in kept:
                write_bytes(self._failure(Cell(batch.variant, seed, self._plan.data)), json_text(content).encode())

    def forget_failures(self, batch: Batch) -> None:
        """Removes the records of earlier failures of a batch."""
        for seed in batch.seeds:
            self._failure(Cell(batch.variant, seed, self._plan.data)).unlink(missing_ok=True)

    def forget_time_limits(self, limit: float | None) -> None:
        """Removes the failures of cells that were ended at a shorter time limit, in seconds; None for no limit."""
        for path in self._failed.glob("*.json"):
            with damage(self.path, f"{self._failed.name}/{path.name}"):
                ended = read_json(path).get("limit")
            if ended is not None and (limit is None or limit > ended):
                path.unlink(missing_ok=True)

    def write_cost(self, batch: Batch, cost: Mapping[str, Any]) -> None:
        """Keeps what each cell of a batch took."""
        with storage_errors(self._costs):
            self._costs.mkdir(exist_ok=True)
        for seed in batch.seeds:
            cell = Cell(batch.variant, seed, self._plan.data)
            write_bytes(self._costs / f"{cell.id}.json", json_text(cost).encode())

    def cost(self, cell: Cell) -> Mapping[str, Any]:
        """What a cell took, as `write_cost` kept it; empty where nothing is known.

        Raises:
            RunError: the file is damaged.
        """
        path = self._costs / f"{cell.id}.json"
        if not path.is_file():
            return {}
        with damage(self.path, f"{self._costs.name}/{path.name}"):
            return read_json(path)

    def receive(self, batch: Batch, files: Mapping[str, bytes]) -> None:
        """Makes the run folder of a batch that was trained elsewhere, whole or not at all.

        Args:
            batch: what was trained.
            files: path in the run's folder -> contents.
        """
        incoming = self.path / _INCOMING
        with storage_errors(incoming):
            shutil.rmtree(incoming, ignore_errors=True)
            for name, content in files.items():
                path = incoming / name
                path.parent.mkdir(parents=True, exist_ok=True)
                beside = self._runs.iterdir() if name.startswith(PREFIX) and self._runs.is_dir() else iter(())
                place_file(path, content, beside)
            RunImages.link(incoming, incoming.glob("seed-*"))
            batch.folder.parent.mkdir(exist_ok=True)
            # Renamed only when whole: a run folder that is there counts as trained.
            os.replace(incoming, batch.folder)
            sync_folder(batch.folder.parent)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file of the experiment, whole or not at all."""
        write_bytes(self.path / name, content)

    def _trained(self, variant: Variant, folder: Path) -> dict[int, CellState]:
        """The cells that a whole run has finished, by their seed."""
        layout = read_layout(folder)
        records = layout.records()
        states = {}
        for seed in layout.seeds:
            cell, record = Cell(variant, seed, self._plan.data), records.get(seed)
            place = layout.folders.get(seed)
            if record is None and not any(one.status == "interrupted" for one in records.values()):
                states[seed] = CellState(cell, "failed", _NO_EPOCH, again=False)
            elif record is not None and record.status == "diverged":
                states[seed] = CellState(cell, "failed", record.reason, again=False, folder=place, record=record)
            elif (
                record is not None
                and place is not None
                and (why := ValidationOutcomes.why_not_finite(place, record)) is not None
            ):
                states[seed] = CellState(cell, "failed", why, again=False, folder=place, record=record)
            elif record is not None and record.status != "interrupted":
                states[seed] = CellState(cell, "done", folder=place, record=record)
        return states

    def _untrained(self, cell: Cell) -> CellState:
        file = self._failure(cell)
        if not file.is_file():
            return CellState(cell, "missing")
        with damage(self.path, f"{self._failed.name}/{file.name}"):
            stored = read_json(file)
            reason = f"{stored['error']}: {stored['reason']}"
            return CellState(cell, "failed", reason, again=bool(stored["again"]))

    def _failure(self, cell: Cell) -> Path:
        return self._failed / f"{cell.id}.json"

    def _folder(self, variant: Variant, number: int) -> Path:
        return self._runs / f"{variant.digest}-{self._plan.data}-{number}"

    def _folders(self, variant: Variant) -> list[Path]:
        """The run folders of a recipe, the oldest first."""
        prefix = f"{variant.digest}-{self._plan.data}-"
        found = [path for path in self._runs.glob(f"{prefix}*") if path.name.removeprefix(prefix).isdigit()]
        return sorted(found, key=_number)


def _number(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def _check_ours(path: Path) -> None:
    """Raises RunError for a folder with other contents than an experiment's."""
    names: Sequence[str] = []
    with suppress(FileNotFoundError, NotADirectoryError):
        names = [entry.name for entry in path.iterdir()]
    foreign = [name for name in names if name != LOCK_NAME and not name.endswith(".tmp")]
    if (path.exists() and not path.is_dir()) or (foreign and PLAN_NAME not in foreign):
        raise RunError(
            f"{path} is not the folder of an experiment: it has no {PLAN_NAME}. --out takes a new or empty folder, or "
            "the folder of an experiment to continue."
        )
