"""`fittingroom log`: writes runs for TensorBoard, MLflow or W&B, or as tables, after their training."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from fittingroom.cli.command import CommandOutput, CommandParser
from fittingroom.cli.run_text import logs_text
from fittingroom.runs.place import LATEST, RunsFolder, find_run, is_run


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="*",
        help=f"a run, or several: its folder, its name in the folder of runs, or {LATEST}; or the folder of an "
        f"experiment or a search, for all runs in it (default: {LATEST})",
    )
    parser.add_argument(
        "--to",
        metavar="TRACKER[:PLACE]",
        action="append",
        required=True,
        help="tensorboard[:DIR], mlflow[:URI], wandb[:PROJECT], csv[:FILE] or jsonl[:FILE]; give it several times for "
        "several",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Writes the logs, and says where they are."""
    paths = list(_paths(arguments.run or [LATEST]))
    from fittingroom import open_run

    each = [(path, open_run(path).log(arguments.to)) for path in paths]
    facts = [{"run": str(path), "logs": [log.to_dict() for log in logs]} for path, logs in each]
    lines = dict.fromkeys(line for _, logs in each for line in logs_text(logs).splitlines())
    return CommandOutput({"runs": facts}, "\n".join(lines))


def _paths(named: Sequence[str]) -> Iterator[Path]:
    """The folders of the runs that are named, those of an experiment or a search one by one.

    Raises:
        UnknownNameError: there is no such run.
    """
    for name in named:
        for folder in (Path(name), RunsFolder().path / name):
            runs = sorted(path for path in folder.glob("runs/*") if is_run(path)) if not is_run(folder) else []
            if runs:
                yield from runs
                break
        else:
            yield find_run(name)
