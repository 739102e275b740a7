"""`fittingroom predict`: what a run makes of images in files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import CommandOutput, CommandParser, file_path, printable, say, table
from fittingroom.errors import DataError
from fittingroom.runs.place import find_run

if TYPE_CHECKING:
    from fittingroom.answers.judgement import Answer
    from fittingroom.data.model_inputs import ModelInputs
    from fittingroom.runs.data_record import DataRecord

_SHOWN = "photos.png"


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run()
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=file_path,
        help="photos and other pictures, a folder of them, IDX, NPZ or CSV files with images of the model's size",
    )
    parser.add_argument(
        "--show",
        metavar="PNG",
        nargs="?",
        const=_SHOWN,
        help=f"draw each photo, the steps from it to the model's input, and what is said of it (default: {_SHOWN})",
    )
    parser.add_data_place()
    parser.add_trust()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Predicts the class of every image in every file. All files are read before the first is predicted."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    if arguments.show is not None and not arguments.show.lower().endswith(".png"):
        raise DataError(f"--show {arguments.show}: expected the name of a PNG file, or --show at the end of the line.")
    from fittingroom import open_run
    from fittingroom.photos.contact_sheet import MOST_ROWS

    opened = open_run(path, trust=arguments.trust)
    if arguments.data is not None:
        opened.use_data(arguments.data)
    predictor, files, pictures = opened.predictor, [], 0
    for inputs in predictor.reader.read_all(arguments.files, lambda why: say("left out", why)):
        for note in inputs.notes:
            say("note", note)
        # Pictures are kept of no more photos than are drawn, so that a folder of any size fits into memory.
        pictures += bool(inputs.steps)
        files.append(inputs if arguments.show and pictures <= MOST_ROWS else inputs.without_pictures())
    opened.count_test_part([Path(inputs.source) for inputs in files if inputs.source is not None])
    _say_what_was_converted(files, predictor.data, arguments.show)
    if any(inputs.cut_out.any() for inputs in files) and isinstance(predictor.second_opinion, str):
        say("note", predictor.second_opinion)
    _say_why_it_takes_longer(opened.path, predictor.data, photos=any(inputs.cut_out.any() for inputs in files))
    predictions = [
        _facts(inputs, index, answer)
        for inputs, answers in zip(files, predictor.answer_each(files), strict=True)
        for index, answer in enumerate(answers)
    ]
    if arguments.show:
        _show(Path(arguments.show), files, predictions, predictor.data.classes)
    facts = {"run": str(opened.path), "classes": list(predictor.data.classes), "predictions": predictions}
    return CommandOutput(facts, _text(predictions))


def _say_what_was_converted(files: list[ModelInputs], data: DataRecord, shown: str | None) -> None:
    """Says that photos were changed before the model saw them, and how that can be seen."""
    photos = [inputs for inputs in files if inputs.steps]
    if not photos:
        return
    height, width = data.picture_shape[:2]
    one = len(photos) == 1
    which = f"{photos[0].source} is" if one else f"{len(photos):,} of {len(files):,} files are"
    if photos[0].cut_out.any():
        what = f"the foreground of {'it' if one else 'each'} was cut out and shown as training images show theirs"
    else:
        what = f"{'it was' if one else 'they were'} resized as the training images were"
    advice = "" if shown else " --show draws every step."
    say("note", f"{which} not {width}×{height} pixels: {what}.{advice}")


def _say_why_it_takes_longer(path: Path, data: DataRecord, *, photos: bool) -> None:
    """Says at a terminal why the first answer of a run takes longer."""
    from fittingroom.answers.stored import JUDGEMENT, LABEL_SHIFT

    if not sys.stderr.isatty() or not data.counts["validation"]:
        return
    if not (path / JUDGEMENT.name).exists():
        say("note", "before its first answer, this run is calibrated on its validation images, once.")
    if photos and not (path / LABEL_SHIFT.name).exists():
        say("note", "before its first answer to a photo, it is recalibrated on synthetic photos of them, once.")


def _facts(inputs: ModelInputs, index: int, answer: Answer) -> dict[str, Any]:
    steps = [{"name": step.name, "note": step.note} for step in inputs.steps]
    return {"file": str(inputs.source), "index": index, **answer.to_dict(), "steps": steps}


def _show(path: Path, files: list[ModelInputs], predictions: list[dict[str, Any]], classes: Sequence[str]) -> None:
    """Draws every step from the photos to the model's input; a terminal that has colours shows the first of them too.

    Raises:
        DataError: no file is a photo.
        StorageError: the picture cannot be written.
    """
    from rich.console import Console

    from fittingroom.data.class_table import SOMETHING_ELSE
    from fittingroom.photos.contact_sheet import MOST_ROWS, ContactSheet, ContactSheetRow

    photos = [inputs for inputs in files if inputs.steps]
    if not photos:
        raise DataError("--show: none of the files is a photo; images of the model's own size go in as they are.")
    told = {row["file"]: row for row in predictions}

    def shown(inputs: ModelInputs) -> ContactSheetRow:
        row = told[str(inputs.source)]
        second = row["second_opinion"]
        probabilities, opinions = dict(zip(classes, row["probabilities"], strict=True)), {}
        if second is not None:
            opinions["the run"] = dict(zip(classes, second["run"], strict=True))
            opinions[second["by"]] = dict(zip(classes, second["probabilities"], strict=True))
            opinions[second["by"]][SOMETHING_ELSE] = second["something_else"]
        says = row["why"] if opinions else ""
        return ContactSheetRow(printable(str(inputs.source)), inputs.steps, probabilities, opinions, says)

    sheet = ContactSheet([shown(inputs) for inputs in photos[:MOST_ROWS]])
    sheet.write(path)
    sheet.print(Console(stderr=True))
    more = f", for the first {MOST_ROWS} of {len(photos):,} photos" if len(photos) > MOST_ROWS else ""
    say("note", f"{path} shows every step{more}.")


def _text(predictions: list[dict[str, Any]]) -> str:
    rows = [(row["file"], str(row["index"]), row["why"]) for row in predictions]
    return table(("file", "image", "answer"), rows, left=3)
