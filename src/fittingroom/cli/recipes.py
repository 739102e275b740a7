"""`fittingroom recipes`: the named recipes and what each claims."""

from __future__ import annotations

import argparse
import dataclasses

from fittingroom.cli.command import CommandOutput, CommandParser
from fittingroom.recipes.classical_recipes import CLASSICAL_RECIPES
from fittingroom.recipes.named import NAMED, NOT_MEASURED, read_claims


def configure(parser: CommandParser) -> None:
    """Declares only what to run: it takes the arguments of every command."""
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """One paragraph per recipe."""
    del arguments
    claims = read_claims()
    facts, blocks = [], []
    known = [(entry.recipe, entry.summary) for entry in NAMED.values()]
    known += [(entry.recipe, entry.summary) for entry in CLASSICAL_RECIPES.values()]
    for recipe, summary in known:
        name, claim = recipe.name, claims.get(recipe.name)
        measured = None
        if claim is not None:
            measured = {**dataclasses.asdict(claim), "mean": claim.mean, "spread": claim.spread}
        facts.append({"name": name, "summary": summary, "settings": recipe.to_dict(), "claim": measured})
        said = claim.text if claim else recipe.estimator or NOT_MEASURED
        blocks.append(f"{name}\n  {summary}\n  {said}")
    blocks.append("Train one with `fittingroom train --recipe NAME`; `--set KEY=VALUE` changes a setting.")
    return CommandOutput({"recipes": facts}, "\n\n".join(blocks))
