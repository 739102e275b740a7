"""`fittingroom recipes`: the named recipes and what each claims."""

from __future__ import annotations

import argparse
import dataclasses

from fittingroom.cli.command import CommandOutput, CommandParser
from fittingroom.recipes.named import NAMED, NOT_MEASURED, read_claims


def configure(parser: CommandParser) -> None:
    """Declares only what to run: it takes the arguments of every command."""
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """One paragraph per recipe."""
    del arguments
    claims = read_claims()
    facts, blocks = [], []
    for name, entry in NAMED.items():
        claim = claims.get(name)
        measured = None
        if claim is not None:
            measured = {**dataclasses.asdict(claim), "mean": claim.mean, "spread": claim.spread}
        facts.append({"name": name, "summary": entry.summary, "settings": entry.recipe.to_dict(), "claim": measured})
        blocks.append(f"{name}\n  {entry.summary}\n  {claim.text if claim else NOT_MEASURED}")
    blocks.append("Train one with `fittingroom train --recipe NAME`; `--set KEY=VALUE` changes a setting.")
    return CommandOutput({"recipes": facts}, "\n\n".join(blocks))
