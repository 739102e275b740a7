"""`fittingroom card`: a run's model card, and the data card of its dataset."""

from __future__ import annotations

import argparse

from fittingroom.cli.command import CommandOutput, CommandParser, file_path
from fittingroom.runs.place import LATEST, find_run


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run(default=LATEST)
    parser.add_argument(
        "--out",
        type=file_path,
        metavar="DIR",
        help="write README.md (the model card) and croissant.json (the data card) into this folder",
    )
    parser.add_argument(
        "--about",
        type=file_path,
        metavar="FILE.toml",
        help="what only people know, such as who made the model, its licence, and what it is for",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Prints or writes the cards; trains nothing, and opens no dataset and no test set."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    from fittingroom.api.open_runs import open_run

    card = open_run(path).card(arguments.about)
    facts = card.to_dict()
    if arguments.out is None:
        return CommandOutput(facts, str(card))
    model, data = card.save(arguments.out)
    missing = [name for name, found in facts["checks"].items() if found is None]
    audit = card.facts.command("audit")
    note = "" if not missing else f"\nNot examined: {', '.join(missing)}. `{audit}` examines them; then write again."
    text = f"Model card: {model}\nData card: {data}{note}"
    return CommandOutput({**facts, "files": [str(model), str(data)]}, text)
