"""The tidy tables of an experiment: one row for each cell and epoch, and one for each cell; as CSV and as Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from fittingroom.experiments.plan import Plan
from fittingroom.experiments.store import CellState, ExperimentFolder
from fittingroom.runs.history import History
from fittingroom.runs.store import read_history

EPOCHS_NAME, CELLS_NAME = "epochs.csv", "cells.csv"
EPOCHS_PARQUET, CELLS_PARQUET = "epochs.parquet", "cells.parquet"

Kind = Literal["text", "integer", "float"]

_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
_COMPRESSION = "zstd(3)"


@dataclass(frozen=True)
class Table:
    """A table whose columns have types.

    Args:
        kinds: name of a column -> what is in it, in the order of the columns.
        rows: name of a column -> value; what is missing or None is empty.
    """

    kinds: Mapping[str, Kind]
    rows: Sequence[Mapping[str, Any]]

    def csv(self) -> bytes:
        """As CSV with a header: floats in full, an empty field for no value."""
        text = io.StringIO()
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


def write_tables(folder: ExperimentFolder, plan: Plan, states: Sequence[CellState]) -> None:
    """Writes both tables into the folder, each as CSV and as Parquet.

    Raises:
        StorageError: one cannot be written.
        RunError: the history of a run is damaged.
    """
    epochs, cells = epochs_table(plan, states), cells_table(plan, states)
    folder.write(EPOCHS_NAME, epochs.csv())
    folder.write(CELLS_NAME, cells.csv())
    folder.write(EPOCHS_PARQUET, epochs.parquet())
    folder.write(CELLS_PARQUET, cells.parquet())


def epochs_table(plan: Plan, states: Sequence[CellState]) -> Table:
    """A row for each finished epoch of each cell, in the plan's order.

    Nothing in it depends on when or how fast the cells were trained, nor on whether they were stopped in between.
    """
    rows, metrics = [], dict.fromkeys(_METRICS)
    for state in states:
        history = History([]) if state.folder is None else read_history(state.folder)
        metrics.update(dict.fromkeys(history))
        for epoch, logs in zip(history.epoch, history.rows, strict=True):
            rows.append({**logs, **_about(state), "epoch": epoch + 1})
    numbers: dict[str, Kind] = dict.fromkeys(metrics, "float")
    return Table({**_kinds(plan), "epoch": "integer", **numbers}, rows)


def cells_table(plan: Plan, states: Sequence[CellState]) -> Table:
    """A row for each cell, in the plan's order: what has become of it, its result on validation, and its seconds."""
    kinds: dict[str, Kind] = {
        "status": "text",
        "reason": "text",
        "epochs_done": "integer",
        "val_loss": "float",
        "val_accuracy": "float",
        "seconds": "float",
        "run": "text",
    }
    return Table({**_kinds(plan), **kinds}, [{**_result(state), **_about(state)} for state in states])


def _kinds(plan: Plan) -> dict[str, Kind]:
    """The columns that say which cell a row is about. A setting whose values are all numbers is a column of numbers."""
    varied = {key: _kind([variant.settings[key] for variant in plan.variants]) for key in plan.varied}
    return {"cell": "text", "recipe": "text", **varied, "seed": "integer"}


def _kind(texts: Sequence[str]) -> Kind:
    kinds: dict[Kind, type[int] | type[float]] = {"integer": int, "float": float}
    for kind, number in kinds.items():
        with suppress(ValueError):
            for text in texts:
                number(text)
            return kind
    return "text"


def _typed(value: Any, kind: Kind) -> Any:
    """A value for a column; numbers among the settings come as texts."""
    if value is None:
        return None
    return {"text": str, "integer": int, "float": float}[kind](value)


def _about(state: CellState) -> dict[str, Any]:
    cell = state.cell
    return {"cell": cell.id, "recipe": cell.variant.name, **cell.variant.settings, "seed": cell.seed}


def _result(state: CellState) -> dict[str, Any]:
    """The validation numbers are those of the kept weights; the seconds are those of training alone.

    A reason may be the text of anyone's error, and is brought into one line.
    """
    found: dict[str, Any] = {"status": state.status, "reason": state.reason and " ".join(state.reason.split())}
    if state.record is None or state.folder is None:
        return found
    record, validation = state.record, state.record.validation
    found |= {"epochs_done": record.epochs, "seconds": record.seconds.train, "run": "/".join(state.folder.parts[-3:])}
    return found if validation is None else found | {"val_loss": validation.loss, "val_accuracy": validation.accuracy}
