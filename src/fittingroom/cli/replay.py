"""`fittingroom replay`: trains a run again and says whether it comes out the same, bit for bit."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fittingroom.cli.command import CommandOutput, CommandParser
from fittingroom.runs.place import LATEST, find_run

if TYPE_CHECKING:
    from fittingroom.training.recipe_job import Replay


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run(default=LATEST)
    parser.add_data_place()
    parser.add_trust()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Trains again; the exit status is 1 where something differs."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    from fittingroom import replay

    result = replay(path, data=arguments.data, trust=arguments.trust)
    return CommandOutput(result.to_dict(), _text(result), 0 if result.same else 1)


def _text(result: Replay) -> str:
    lines = [*(f"seed {one.seed}: {one.sentence}" for one in result.seeds), result.sentence]
    if result.differences:
        lines += ["", "What differs between then and now:", *(f"  {one}" for one in result.differences)]
    elif not result.same:
        lines += [
            "",
            "Versions, threads, processor, device and data are the same. What the record does not know of may differ: "
            "the code of Fitting Room itself, or of the file with your model.",
        ]
    return "\n".join(lines)
