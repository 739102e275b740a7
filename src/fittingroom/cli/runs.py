"""`fittingroom runs`: the runs there are, newest first."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fittingroom.cli.command import CommandOutput, CommandParser, table
from fittingroom.cli.run_text import run_facts, run_row
from fittingroom.errors import RunError
from fittingroom.runs.looks import Standings
from fittingroom.runs.place import RunsFolder, is_run
from fittingroom.runs.unfinished import RunLock


def configure(parser: CommandParser) -> None:
    """Declares only what to run: it takes the arguments of every command."""
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """One line per run; a damaged one is listed as such."""
    del arguments
    standings = Standings()
    facts, rows = [], []
    for path in RunsFolder().unfinished():
        if not is_run(path):
            fact, row = _unfinished(path)
            facts.append(fact)
            rows.append(row)
    for path in RunsFolder().runs():
        fact, row = _describe(path, standings)
        facts.append(fact)
        rows.append(row)
    for path in RunsFolder().unreadable():
        facts.append({"run": str(path), "error": "permission denied"})
        rows.append((path.name, "unreadable", *["-"] * 7))
    header = ("run", "status", "epochs", "validation", "95% interval", "loss (nats)", "test", "look", "luck (points)")
    problems = dict.fromkeys(problem for fact in facts for problem in _problems(fact))
    said = "".join(f"\nNot believed: {problem}" for problem in problems)
    said += "".join(f"\n{run}: {why}" for fact in facts for run, why in _not_finite(fact))
    text = (
        table(header, rows, left=2) + (f"\n{said}" if said else "")
        if rows
        else f"{RunsFolder().path} holds no run yet. Train one with `fittingroom train`."
    )
    return CommandOutput({"folder": str(RunsFolder().path), "runs": facts}, text)


def _problems(facts: dict[str, Any]) -> Iterator[str]:
    """Why looks of a run, or of its seeds, are not believed."""
    for one in (facts, *facts.get("per_seed", ())):
        yield from (look["problem"] for look in one.get("looks", ()) if look["problem"] is not None)


def _not_finite(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Runs, or seeds of a run, whose validation loss is not finite, and why."""
    for one in facts.get("per_seed", (facts,)):
        if one.get("not_finite") is not None:
            yield Path(one["run"]).relative_to(Path(facts["run"]).parent).as_posix(), one["not_finite"]


def _unfinished(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A training that is under way, or that was stopped and can be resumed."""
    trainer = RunLock.holder(path)
    status = f"in training by {trainer}" if trainer else f"stopped: fittingroom train --resume {path.name}"
    facts = {"run": str(path), "status": "training" if trainer else "unfinished", "holder": trainer}
    return facts, (path.name, status, *["-"] * 7)


def _describe(path: Path, standings: Standings) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        return run_facts(path, standings), run_row(path, standings)
    except RunError as error:
        return {"run": str(path), "error": str(error)}, (path.name, "unreadable", *["-"] * 7)
