"""What came of each recipe of an experiment: its accuracy over seeds, what it costs, and which one validation chooses.

And the tidy tables of all cells: a row for each cell and epoch, and a row for each cell, as CSV and as Parquet.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from fittingroom.engine.blueprint import Blueprint
from fittingroom.evaluation.spread import Interval, Spread
from fittingroom.experiments.experiment_store import CellState, ExperimentFolder
from fittingroom.experiments.plan import ExperimentPlan, Variant
from fittingroom.runs.history import History
from fittingroom.runs.json_files import damage
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.record import PartResult, RunRecord

EPOCHS_NAME, CELLS_NAME = "epochs.csv", "cells.csv"
EPOCHS_PARQUET, CELLS_PARQUET = "epochs.parquet", "cells.parquet"

ColumnKind = Literal["text", "integer", "float"]

_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
_COMPRESSION = "zstd(3)"


@dataclass(frozen=True)
class Summary:
    """What came of a recipe.

    Args:
        variant: the recipe.
        cells: the state of each cell, one per seed.
    """

    variant: Variant
    cells: tuple[CellState, ...]

    @classmethod
    def of_recipes(cls, states: Sequence[CellState]) -> tuple[Summary, ...]:
        """A summary of each recipe, in the order of the plan."""
        each: dict[str, list[CellState]] = {}
        for state in states:
            each.setdefault(state.cell.variant.digest, []).append(state)
        return tuple(cls(cells[0].cell.variant, tuple(cells)) for cells in each.values())

    @property
    def done(self) -> tuple[CellState, ...]:
        """The cells that have finished."""
        return tuple(cell for cell in self.cells if cell.status == "done")

    @property
    def complete(self) -> bool:
        """Whether all cells have finished."""
        return len(self.done) == len(self.cells)

    @property
    def accuracy(self) -> Spread | None:
        """Share of right answers on validation, 0 to 1, of each finished cell; None where there is none."""
        values = [part.accuracy for part in self._validation if part.accuracy is not None]
        return Spread.of(values) if values else None

    @property
    def loss(self) -> Spread | None:
        """Mean cross-entropy on validation in nats; None where there is none, or one is not finite."""
        values = [part.loss for part in self._validation]
        return Spread.of(value for value in values if value is not None) if values and None not in values else None

    @property
    def interval(self) -> Interval | None:
        """95% interval of the accuracy: for other seeds on these images; Wilson's of a single seed; None without."""
        if self.accuracy is None:
            return None
        return self.accuracy.interval or self._validation[0].interval

    @property
    def seconds(self) -> Spread | None:
        """Seconds of training of each finished cell, while others trained beside it."""
        values = [record.seconds.train for record in self._records]
        return Spread.of(values) if values else None

    @cached_property
    def parameters(self) -> int | None:
        """How many numbers are trained; None where no cell is finished."""
        folders = [cell.folder for cell in self.done if cell.folder is not None]
        return trained_numbers(folders[0]) if folders else None

    @property
    def _records(self) -> list[RunRecord]:
        return [cell.record for cell in self.done if cell.record is not None]

    @property
    def _validation(self) -> list[PartResult]:
        return [record.validation for record in self._records if record.validation is not None]

    @property
    def rank(self) -> tuple[float, float]:
        """What validation chooses by, the higher the better: the mean accuracy, of equals the lower loss."""
        accuracy = -math.inf if self.accuracy is None else self.accuracy.mean
        return accuracy, -math.inf if self.loss is None else -self.loss.mean

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "recipe": self.variant.name,
            "digest": self.variant.digest,
            "varied": dict(self.variant.settings),
            "settings": self.variant.recipe.to_dict(),
            "accuracy": None if self.accuracy is None else self.accuracy.to_dict(),
            "interval": None if self.interval is None else list(self.interval),
            "loss": None if self.loss is None else self.loss.to_dict(),
            "seconds": None if self.seconds is None else self.seconds.to_dict(),
            "parameters": self.parameters,
            "cells": [
                {
                    "cell": cell.cell.id,
                    "seed": cell.cell.seed,
                    "status": cell.status,
                    "reason": cell.reason,
                    "run": None if cell.folder is None else str(cell.folder),
                }
                for cell in self.cells
            ],
        }


def chosen(all_recipes: Sequence[Summary]) -> Summary | None:
    """The recipe that validation chooses: the highest mean accuracy, of equals the lowest loss.

    Only a recipe whose cells have all finished can be chosen: one that fails for some seeds cannot be relied
    on, and its other seeds would flatter it.
    """
    whole = [one for one in all_recipes if one.complete and one.accuracy is not None]
    return max(whole, key=lambda one: one.rank, default=None)


def pareto_front(all_recipes: Sequence[Summary]) -> tuple[Summary, ...]:
    """The recipes that no other beats: none is as accurate, as fast and as small, and better in one of the three.

    Means are compared as they are: two on the front may well be equals.
    """
    costs = {
        index: (-one.accuracy.mean, one.seconds.mean, one.parameters)
        for index, one in enumerate(all_recipes)
        if one.accuracy is not None and one.seconds is not None and one.parameters is not None
    }
    return tuple(
        all_recipes[index]
        for index, own in costs.items()
        if not any(
            other != own and all(his <= mine for his, mine in zip(other, own, strict=True)) for other in costs.values()
        )
    )


def trained_numbers(run: Path) -> int:
    """How many numbers the training of a run could change.

    Raises:
        RunError: its model is damaged.
    """
    with damage(run, "model.json"):
        trainable, _ = Blueprint.from_json(SeedFiles(run).model()).weight_groups
    return sum(math.prod(start.shape) for start in trainable)


@dataclass(frozen=True)
class TypedTable:
    """A table whose columns have types.

    Args:
        kinds: name of a column -> what is in it, in the order of the columns.
        rows: name of a column -> value; what is missing or None is empty.
    """

    kinds: Mapping[str, ColumnKind]
    rows: Sequence[Mapping[str, Any]]

    def csv(self) -> bytes:
        """As CSV with a header: floats in full, an empty field for no value."""
        text = io.StringIO()
        # `str` of a float has all its digits, so that the table of a resumed experiment is the same to the last byte.
        table = csv.writer(text, lineterminator="\n")
        table.writerow(self.kinds)
        for row in self.rows:
            table.writerow(["" if row.get(name) is None else str(row[name]) for name in self.kinds])
        return text.getvalue().encode()

    def parquet(self) -> bytes:
        """As Parquet, the same rows and columns: 64-bit integers and floats, texts; null for no value."""
        from arro3.core import Array, DataType
        from arro3.core import Table as ArrowTable
        from arro3.io import write_parquet

        types = {"text": DataType.utf8(), "integer": DataType.int64(), "float": DataType.float64()}
        columns: dict[str, Any] = {
            name: Array([_typed(row.get(name), kind) for row in self.rows], type=types[kind])
            for name, kind in self.kinds.items()
        }
        stream = io.BytesIO()
        write_parquet(ArrowTable.from_pydict(columns), stream, compression=_COMPRESSION)
        return stream.getvalue()


def write_tables(folder: ExperimentFolder, plan: ExperimentPlan, states: Sequence[CellState]) -> None:
    """Writes both tables into the folder, each as CSV and as Parquet.

    Raises:
        StorageError: one cannot be written.
        RunError: the history of a run is damaged.
    """
    epochs, cells = _epochs_table(plan, states), _cells_table(plan, states)
    folder.write(EPOCHS_NAME, epochs.csv())
    folder.write(CELLS_NAME, cells.csv())
    folder.write(EPOCHS_PARQUET, epochs.parquet())
    folder.write(CELLS_PARQUET, cells.parquet())


def _epochs_table(plan: ExperimentPlan, states: Sequence[CellState]) -> TypedTable:
    """A row for each finished epoch of each cell, in the plan's order.

    Nothing in it depends on when or how fast the cells were trained, nor on whether they were stopped in between.
    """
    rows, metrics = [], dict.fromkeys(_METRICS)
    for state in states:
        history = History([]) if state.folder is None else SeedFiles(state.folder).history()
        metrics.update(dict.fromkeys(history))
        for epoch, logs in zip(history.epoch, history.rows, strict=True):
            rows.append({**logs, **_about(state), "epoch": epoch + 1})
    numbers: dict[str, ColumnKind] = dict.fromkeys(metrics, "float")
    return TypedTable({**_kinds(plan), "epoch": "integer", **numbers}, rows)


def _cells_table(plan: ExperimentPlan, states: Sequence[CellState]) -> TypedTable:
    """A row for each cell, in the plan's order: its status, its result on validation, and its seconds."""
    kinds: dict[str, ColumnKind] = {
        "status": "text",
        "reason": "text",
        "epochs_done": "integer",
        "val_loss": "float",
        "val_accuracy": "float",
        "seconds": "float",
        "run": "text",
    }
    return TypedTable({**_kinds(plan), **kinds}, [{**_result(state), **_about(state)} for state in states])


def _kinds(plan: ExperimentPlan) -> dict[str, ColumnKind]:
    """The columns that say which cell a row is about. A setting whose values are all numbers is a column of numbers."""
    varied = {key: _kind([variant.settings[key] for variant in plan.variants]) for key in plan.varied}
    return {"cell": "text", "recipe": "text", **varied, "seed": "integer"}


def _kind(texts: Sequence[str]) -> ColumnKind:
    kinds: dict[ColumnKind, type[int] | type[float]] = {"integer": int, "float": float}
    for kind, number in kinds.items():
        with suppress(ValueError):
            for text in texts:
                number(text)
            return kind
    return "text"


def _typed(value: Any, kind: ColumnKind) -> Any:
    """A value for a column; numbers among the settings come as texts."""
    if value is None:
        return None
    return {"text": str, "integer": int, "float": float}[kind](value)


def _about(state: CellState) -> dict[str, Any]:
    cell = state.cell
    return {"cell": cell.id, "recipe": cell.variant.name, **cell.variant.settings, "seed": cell.seed}


def _result(state: CellState) -> dict[str, Any]:
    """The validation numbers are those of the kept weights; the seconds are those of training alone.

    A reason may be the text of anyone's error, and is put on one line.
    """
    found: dict[str, Any] = {"status": state.status, "reason": state.reason and " ".join(state.reason.split())}
    if state.record is None or state.folder is None:
        return found
    record, validation = state.record, state.record.validation
    found |= {"epochs_done": record.epochs, "seconds": record.seconds.train, "run": "/".join(state.folder.parts[-3:])}
    return found if validation is None else found | {"val_loss": validation.loss, "val_accuracy": validation.accuracy}
