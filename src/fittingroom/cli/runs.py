"""`fittingroom runs`: the runs there are, newest first."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fittingroom.cli.answer import Answer, nats, percent, percent_range, table
from fittingroom.cli.facts import run_facts, test_score
from fittingroom.cli.options import add_json
from fittingroom.errors import RunError
from fittingroom.runs.place import list_runs, runs_dir
from fittingroom.runs.store import read_record


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> Answer:
    """One line per run; a damaged one is listed as such."""
    del arguments
    facts, rows = [], []
    for path in list_runs():
        fact, row = _describe(path)
        facts.append(fact)
        rows.append(row)
    header = ("run", "status", "epochs", "validation", "95% interval", "loss (nats)", "test", "looks")
    text = table(header, rows, left=2) if rows else f"No runs in {runs_dir()} yet. `fittingroom train` makes one."
    return Answer({"folder": str(runs_dir()), "runs": facts}, text)


def _describe(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        record = read_record(path)
    except RunError as error:
        return {"run": str(path), "error": str(error)}, (path.name, "unreadable", *["-"] * 6)
    validation, test = record.validation, test_score(record)
    return run_facts(path, record), (
        path.name,
        record.status,
        str(record.epochs),
        percent(validation.accuracy if validation else None),
        percent_range(validation.interval if validation else None),
        nats(validation.loss if validation else None),
        percent(test["accuracy"] if test else None),
        str(len(record.looks)),
    )
