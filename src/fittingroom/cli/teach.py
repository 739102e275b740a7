"""`fittingroom teach`: a new run from a run and a few labelled photos of one's own."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fittingroom.cli.command import CommandOutput, CommandParser, file_path, table
from fittingroom.runs.place import find_run
from fittingroom.text import number, percent, percent_range


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run()
    parser.add_argument(
        "photos", metavar="PHOTOS", type=file_path, help="a folder with a folder of photos for each class"
    )
    parser.add_argument(
        "--goal",
        metavar="SHARE",
        type=_share,
        help="say how many photos of each class this accuracy would take, such as 0.9 or 90%%",
    )
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help="the pretrained network whose features are learned from (default: that of the run, or efficientnet-lite0)",
    )
    parser.add_argument("--out", metavar="FOLDER", type=file_path, help="the new run's folder; it must not exist yet")
    parser.set_defaults(execute=_run)


def _share(text: str) -> float:
    """An accuracy: 0.9 or 90%."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an accuracy above 0 and below 1, such as 0.9 or 90%")
    return value


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Teaches; the base run is not changed."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    from fittingroom.api.open_runs import open_run

    settings = {name: getattr(arguments, name) for name in ("out", "goal", "backbone")}
    taught = open_run(path).teach(arguments.photos, **settings)
    teaching = dict(taught.record.teaching or {})
    facts = {"path": str(taught.path), **teaching, "notes": list(taught.record.notes)}
    return CommandOutput(facts, f"{teaching_text(teaching)}\n\n{_whereabouts(taught.path)}")


def teaching_text(teaching: Mapping[str, Any]) -> str:
    """What a run was taught, and how well, as text.

    Args:
        teaching: as `RunRecord.teaching` has it.
    """
    of_run = bool(teaching["of_the_run"])
    header = ("class", "photos", *(["of the run"] if of_run else []), "right", "known to the run as")
    classes = [
        (
            one["class"],
            f"{one['photos']:,}",
            *([f"{one['of_the_run']:,}"] if of_run else []),
            f"{one['right']} of {one['checked']}" if one["checked"] else "-",
            one["known"] or "new",
        )
        for one in teaching["per_class"]
    ]
    blocks = [table(header, classes)]
    if teaching["curve"]:
        points = [
            (number(one["photos_per_class"], 0), percent(one["accuracy"]), percent_range(one["interval"]))
            for one in teaching["curve"]
        ]
        forecast = teaching["forecast"]
        if forecast is not None:
            ahead = (f"{forecast['photos_per_class']:.0f} (forecast)", percent(forecast["accuracy"]))
            points.append((*ahead, percent_range(forecast["interval"])))
        blocks.append(table(("photos of each class", "accuracy", "95% interval"), points))
    blocks.append("\n".join([*teaching["sentences"], f"Checked by {teaching['validated_by']}."]))
    return "\n\n".join(blocks)


def _whereabouts(path: Path) -> str:
    return f"Run: {path}\nNext: `fittingroom predict {path} PHOTO` asks it, `fittingroom report {path}` shows it."
