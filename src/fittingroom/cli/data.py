"""`fittingroom data`: the datasets there are, or what one of them holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import CommandOutput, CommandParser, file_path, say, table
from fittingroom.text import number

if TYPE_CHECKING:
    from fittingroom.data.dataset import Dataset


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "dataset", metavar="DATASET", nargs="?", help="the dataset to describe (default: list them all)"
    )
    parser.add_argument(
        "--sprite",
        metavar="FILE.png",
        type=file_path,
        help="where to write a picture of its first images (default: in the cache folder)",
    )
    parser.add_data_options()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Lists the datasets, or describes one and writes a picture of its first training images."""
    if arguments.dataset is None:
        return _list()
    from fittingroom.data.load import load

    dataset = load(
        arguments.dataset,
        data_dir=arguments.data_dir,
        image_size=arguments.image_size,
        aspect=arguments.aspect,
        color_mode=arguments.color_mode,
    )
    facts = {**dataset.describe(), "sprite": _write_sprite(dataset, arguments.sprite)}
    for note in dataset.notes:
        say("note", note)
    return CommandOutput(facts, _text(facts))


def _list() -> CommandOutput:
    from fittingroom.data.catalogue import CATALOGUE, FORMS

    rows, facts = [], []
    for entry in CATALOGUE.values():
        train, test = entry.train_size, entry.test_size
        size = "x".join(str(side) for side in entry.image_shape)
        rows.append((entry.name, entry.info.title, entry.info.licence, size, number(train), number(test)))
        facts.append(
            {"name": entry.name, "title": entry.info.title, "licence": entry.info.licence, "family": entry.family}
        )
    lines = table(("dataset", "title", "licence", "pixels", "train", "test"), rows, left=3)
    return CommandOutput({"datasets": facts, "forms": list(FORMS)}, f"{lines}\n\nYour own data: {', '.join(FORMS)}")


def _write_sprite(dataset: Dataset, chosen: Path | None) -> Path | None:
    """Writes the picture of a dataset; None where the cache folder cannot be written."""
    from fittingroom.atomic import storage_errors
    from fittingroom.data.cache import cache_dir
    from fittingroom.data.dataset_card import DatasetCard
    from fittingroom.errors import StorageError

    if chosen is not None:
        DatasetCard(dataset.train).write_sprite(chosen)
        return chosen
    path = cache_dir() / "sprites" / f"{dataset.fingerprint}.png"
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        DatasetCard(dataset.train).write_sprite(path)
    except StorageError as error:  # nobody asked for it, so the counts are shown without it
        say(
            "note",
            f"The picture of the first images was not written: {error} To choose another place, use --sprite FILE.png.",
        )
        return None
    return path


def _text(facts: dict[str, Any]) -> str:
    parts = [part for part in ("train", "validation", "test") if facts["counts"][part] is not None]
    rows = [
        (name, *(number(facts["counts"][part]["per_class"][index]) for part in parts))
        for index, name in enumerate(facts["classes"])
    ]
    rows.append(("all", *(number(facts["counts"][part]["total"]) for part in parts)))
    shown = (
        "about",
        "family",
        "source",
        "licence",
        "homepage",
        "citation",
        "resize_rule",
        "fingerprint",
        "test_fingerprint",
        "sprite",
    )
    lines = [(key.replace("_", " "), str(facts[key])) for key in shown if facts[key] not in (None, "", "unknown")]
    lines += [("checksum", f"{file} {checksum}") for file, checksum in facts["checksums"].items()]
    size = "x".join(str(side) for side in facts["image_shape"])
    return (
        f"{facts['name']}: {facts['title']}, {size} pixels, {len(facts['classes'])} classes\n\n"
        f"{table(('class', *parts), rows)}\n\n{table(lines[0], lines[1:], left=2)}"
    )
