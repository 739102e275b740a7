"""`fittingroom explain`: what loss and accuracy really say about a run, in words, tables and small charts."""

from __future__ import annotations

import argparse

from fittingroom.cli.command import CommandOutput, CommandParser, count
from fittingroom.runs.place import LATEST, find_run


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run(default=LATEST)
    parser.add_argument(
        "--from",
        dest="start",
        metavar="EPOCH",
        type=count,
        help="explain the change from this epoch (default: the one with the lowest validation loss)",
    )
    parser.add_argument(
        "--to",
        dest="end",
        metavar="EPOCH",
        type=count,
        help="explain the change up to this epoch (default: the last one)",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Reads what the run stored of its validation images; trains nothing and opens no test set."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    from fittingroom.cli.explain_text import explanation_text
    from fittingroom.reports.facts.explanation import explain

    explanation = explain(path, arguments.start, arguments.end)
    facts = explanation.to_dict()
    return CommandOutput(facts, "" if arguments.json else explanation_text(explanation, facts))
