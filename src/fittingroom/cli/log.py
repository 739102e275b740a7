"""`fittingroom log`: writes a run for TensorBoard, MLflow or W&B, or as a table, after its training."""

from __future__ import annotations

import argparse

from fittingroom.cli.command import CommandOutput, CommandParser
from fittingroom.cli.run_text import logs_text
from fittingroom.runs.place import LATEST, find_run


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run(default=LATEST)
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
    path = find_run(arguments.run)
    from fittingroom import open_run

    places = open_run(path).log(arguments.to)
    facts = {"run": str(path), "logs": [place.to_dict() for place in places]}
    return CommandOutput(facts, logs_text(places))
