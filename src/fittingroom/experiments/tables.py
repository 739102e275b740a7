"""The tidy tables of an experiment as CSV: one row for each cell and epoch, and one for each cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fittingroom.experiments.plan import Plan
from fittingroom.experiments.store import CellState
from fittingroom.runs.history import History
from fittingroom.runs.store import read_history

EPOCHS_NAME, CELLS_NAME = "epochs.csv", "cells.csv"

_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def epochs_table(plan: Plan, states: Sequence[CellState]) -> str:
    """A row for each finished epoch of each cell, in the plan's order; floats in full, an empty field for no value.

    Nothing in it depends on when or how fast the cells were trained, nor on whether they were stopped in between.
    """
    rows, metrics = [], dict.fromkeys(_METRICS)
    for state in states:
        history = History([]) if state.folder is None else read_history(state.folder)
        metrics.update(dict.fromkeys(history))
        for epoch, logs in zip(history.epoch, history.rows, strict=True):
            rows.append({**logs, **_about(state), "epoch": epoch + 1})
    return _csv([*_columns(plan), "epoch", *metrics], rows)


def cells_table(plan: Plan, states: Sequence[CellState]) -> str:
    """A row for each cell, in the plan's order: what has become of it, its result on validation, and its seconds."""
    names = ("status", "reason", "epochs_done", "val_loss", "val_accuracy", "seconds", "run")
    return _csv([*_columns(plan), *names], [{**_result(state), **_about(state)} for state in states])


def _columns(plan: Plan) -> list[str]:
    """Those that say which cell a row is about."""
    return ["cell", "recipe", *plan.varied, "seed"]


def _about(state: CellState) -> dict[str, Any]:
    cell = state.cell
    return {"cell": cell.id, "recipe": cell.variant.name, **cell.variant.settings, "seed": cell.seed}


def _result(state: CellState) -> dict[str, Any]:
    """The validation numbers are those of the kept weights; the seconds are those of training alone."""
    found: dict[str, Any] = {"status": state.status, "reason": state.reason}
    if state.record is None or state.folder is None:
        return found
    record, validation = state.record, state.record.validation
    found |= {"epochs_done": record.epochs, "seconds": record.seconds.train, "run": "/".join(state.folder.parts[-3:])}
    return found if validation is None else found | {"val_loss": validation.loss, "val_accuracy": validation.accuracy}


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow([_cell(row.get(name)) for name in columns])
    return text.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
