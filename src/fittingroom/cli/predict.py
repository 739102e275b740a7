"""`fittingroom predict`: what a run makes of images in files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import CommandOutput, CommandParser, file_path, printable, say, table
from fittingroom.errors import DataError
from fittingroom.runs.place import find_run, holds_replicas

if TYPE_CHECKING:
    from fittingroom import Replicas, Run
    from fittingroom.photos.photo_reader import Given
    from fittingroom.runs.record import DataRecord

_SHOWN = "photos.png"


def configure(parser: CommandParser) -> None:
    """Declares the arguments."""
    parser.add_run()
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=file_path,
        help="photos and other pictures, a folder of them, IDX or NPZ files with images of the model's size",
    )
    parser.add_argument(
        "--show",
        metavar="PNG",
        nargs="?",
        const=_SHOWN,
        help=f"draw each photo, every step from it to the model's input, and the probabilities (default: {_SHOWN})",
    )
    parser.add_data_place()
    parser.add_trust()


def run(arguments: argparse.Namespace) -> CommandOutput:
    """Predicts the class of every image in every file. All files are read before the first is predicted."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    if arguments.show is not None and not arguments.show.lower().endswith(".png"):
        raise DataError(f"--show {arguments.show}: expected the name of a PNG file, or --show at the end of the line.")
    from fittingroom import Replicas, open_replicas, open_run
    from fittingroom.photos.photo_reader import read_all, read_given

    trust = arguments.trust
    opened = open_replicas(path, trust=trust) if holds_replicas(path) else open_run(path, trust=trust)
    first = opened[0] if isinstance(opened, Replicas) else opened
    if arguments.data is not None:
        first.use_data(arguments.data)
    data = first.record.data
    read = partial(read_given, image_shape=data.picture_shape, values=data.range, style=lambda: opened.style)
    given = []
    for each in read_all(arguments.files, read, lambda why: say("left out", why)):
        for note in each.images.notes:
            say("note", note)
        given.append(each if arguments.show else each.without_pictures())
    opened.count_test_part([each.images.path for each in given])
    _tell_of_photos(given, data, arguments.show)
    _tell_of_first_answer(opened.path, data, photos=any(each.cut_out for each in given))
    predictions = [row for each in given for row in _predict(opened, data, each)]
    if arguments.show:
        _show(Path(arguments.show), given, predictions, data.classes)
    facts = {"run": str(opened.path), "classes": list(data.classes), "predictions": predictions}
    return CommandOutput(facts, _text(predictions))


def _tell_of_photos(given: list[Given], data: DataRecord, shown: str | None) -> None:
    """Says that photos were changed before the model saw them, and how that can be seen."""
    photos = [each for each in given if each.how]
    if not photos:
        return
    height, width = data.picture_shape[:2]
    one = len(photos) == 1
    which = f"{photos[0].images.path} has" if one else f"{len(photos):,} of {len(given):,} files have"
    thing = f"the thing in {'it' if one else 'each'} was cut out and shown as training images show theirs"
    what = thing if photos[0].cut_out else f"{'it was' if one else 'they were'} resized as training images were"
    advice = "" if shown else " --show draws every step."
    say("note", f"{which} not {width}×{height} pixels: {what}.{advice}")


def _tell_of_first_answer(path: Path, data: DataRecord, *, photos: bool) -> None:
    """Says at a terminal why the first answer of a run takes longer."""
    from fittingroom.answers.stored import CORRECTION, JUDGEMENT

    if not sys.stderr.isatty() or not data.counts["validation"]:
        return
    if not (path / JUDGEMENT.name).exists():
        say("note", "this run's first answer looks at its validation images once, to learn how far it can be trusted.")
    if photos and not (path / CORRECTION.name).exists():
        say("note", "its first answer to a photo makes photos of them once, to learn what it takes for what.")


def _predict(opened: Run | Replicas, data: DataRecord, given: Given) -> list[dict[str, Any]]:
    return [
        {
            "file": str(given.images.path),
            "index": index,
            **answer.to_dict(),
            "steps": [{"name": name, "note": note} for name, note in given.how],
        }
        for index, answer in enumerate(opened.answer(given.inputs(data.image_shape)))
    ]


def _show(path: Path, given: list[Given], predictions: list[dict[str, Any]], classes: Sequence[str]) -> None:
    """Draws the photos' ways to the model, and shows the first of them in a terminal that has colours.

    Raises:
        DataError: no file is a photo.
        StorageError: the picture cannot be written.
    """
    from rich.console import Console

    from fittingroom.photos.contact_sheet import MOST_ROWS, Shown, show_in_terminal, write_shown

    probabilities = {row["file"]: dict(zip(classes, row["probabilities"], strict=True)) for row in predictions}
    rows = [
        Shown(printable(str(each.images.path)), each.conversion, probabilities[str(each.images.path)])
        for each in given
        if each.conversion is not None
    ]
    if not rows:
        raise DataError("--show: none of the files is a photo; images of the model's own size go in as they are.")
    write_shown(path, rows)
    show_in_terminal(Console(stderr=True), rows)
    more = f"; the first {MOST_ROWS} of {len(rows):,} photos are in it" if len(rows) > MOST_ROWS else ""
    say("note", f"{path} shows every step{more}.")


def _text(predictions: list[dict[str, Any]]) -> str:
    rows = [(row["file"], str(row["index"]), row["why"]) for row in predictions]
    return table(("file", "image", "answer"), rows, left=3)
