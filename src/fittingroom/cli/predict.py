"""`fittingroom predict`: what a run makes of images in files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.cli.answer import Answer, percent, say, table
from fittingroom.cli.options import add_json, add_run, add_trust
from fittingroom.runs.place import find_run, holds_replicas

if TYPE_CHECKING:
    from fittingroom import Replicas, Run
    from fittingroom.data.inputs import InputImages
    from fittingroom.runs.record import DataRecord


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_run(parser)
    parser.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="pictures, IDX or NPZ files with images of the model's size"
    )
    add_trust(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> Answer:
    """Predicts the class of every image in every file. All files are read before the first is predicted."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    from fittingroom import Replicas, open_replicas, open_run
    from fittingroom.data.inputs import read_images

    trust = arguments.trust
    opened = open_replicas(path, trust=trust) if holds_replicas(path) else open_run(path, trust=trust)
    data = (opened[0] if isinstance(opened, Replicas) else opened).record.data
    inputs = [read_images(path, data.image_shape, data.scale) for path in arguments.files]
    for note in (note for images in inputs for note in images.notes):
        say("note", note)
    predictions = [row for images in inputs for row in _predict(opened, data, images)]
    facts = {"run": str(opened.path), "classes": list(data.classes), "predictions": predictions}
    return Answer(facts, _text(predictions))


def _predict(opened: Run | Replicas, data: DataRecord, inputs: InputImages) -> list[dict[str, Any]]:
    import numpy as np

    images = inputs.images
    if inputs.scale != data.scale:  # a picture's 0 to 255 for a model that was trained on 0 to 16
        images = np.rint(images * (data.scale / inputs.scale)).astype(np.uint8)
    return [
        {
            "file": str(inputs.path),
            "index": index,
            "class": data.classes[int(row.argmax())],
            "probability": float(row.max()),
            "probabilities": row.tolist(),
        }
        for index, row in enumerate(opened.predict(images))
    ]


def _text(predictions: list[dict[str, Any]]) -> str:
    rows = [(row["file"], row["class"], str(row["index"]), percent(row["probability"])) for row in predictions]
    return table(("file", "class", "image", "probability"), rows, left=2)
