"""`--to hub`: a folder as Hugging Face's hub shows models, ready for `huggingface-cli upload`.

    README.md          the model card, with the front matter that the hub reads, and how to use the files
    config.json        classes, shape of an image, calibration, and the structure of the network
    model.safetensors  the weights of all seeds, as training left them
    model.onnx         the whole way from stored images to calibrated probabilities
    predict.py         a small program that asks model.onnx about a picture
    sample.png         a validation image to ask it about

The check is that of the ONNX file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.exports import onnx_file
from fittingroom.exports.export_subject import Answer, ExportSubject, Files
from fittingroom.runs.json_files import json_text

Array = np.ndarray[Any, Any]

RUNTIME = onnx_file.RUNTIME


def make(subject: ExportSubject, about: str | Path | Mapping[str, Any] | None = None) -> Files:
    """The files of the folder.

    Args:
        subject: the run.
        about: what only people know, for the card, as `Run.card` takes it.

    Raises:
        ModelError: a layer is not known.
        InputError: a package is missing, or `about` cannot be read.
    """
    from safetensors.numpy import save

    arrays: dict[str, Array] = {}
    for seed, (_, weights) in zip(subject.facts["seeds"], subject.weights, strict=True):
        prefix = f"seed-{seed}/" if len(subject.weights) > 1 else ""
        arrays |= {f"{prefix}{name}": np.ascontiguousarray(array) for name, array in weights.items()}
    sample = _picture(subject)
    files = {
        "README.md": (subject.card(about) + "\n" + _usage(subject, sample=sample is not None)).encode(),
        "config.json": (json_text(_config(subject)) + "\n").encode(),
        "model.safetensors": save(arrays, metadata={"format": "np"}),
        "model.onnx": onnx_file.make(subject)[".onnx"],
    }
    if subject.predictor.data.takes_pictures:
        files["predict.py"] = _program(subject).encode()
    return files if sample is None else {**files, "sample.png": sample}


def answers_of(subject: ExportSubject, files: Files) -> Answer:
    """What onnxruntime gives for images."""
    return onnx_file.answers_of(subject, {".onnx": files["model.onnx"]})


def _config(subject: ExportSubject) -> dict[str, Any]:
    names = subject.facts["class_names"]
    structure, _ = subject.weights[0]
    return {
        "library_name": "fittingroom",
        "model_type": "keras",
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        "fittingroom": dict(subject.facts),
        "keras": structure.get("keras"),
    }


def _picture(subject: ExportSubject) -> bytes | None:
    """The first image that checks the export, as PNG; None where it is no picture of whole numbers."""
    data, image = subject.predictor.data, subject.images[0]
    if image.dtype != np.uint8 or len(data.picture_shape) < 2 or data.scale != 255:
        return None
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image.reshape(data.picture_shape)).save(stream, "PNG")
    return stream.getvalue()


def _usage(subject: ExportSubject, *, sample: bool) -> str:
    facts = subject.facts
    shape = " × ".join(map(str, facts["image_shape"]))
    lines = [
        "# Files",
        "",
        f"- `model.onnx`: takes {facts['image_type']} images of {shape} as they are stored, `(n, ...)`, and gives "
        f"`probabilities`, {'calibrated' if facts['sets'] else 'not calibrated'}; what is known of the run is in its "
        "metadata.",
        "- `model.safetensors`: the weights as training left them; `config.json` has the structure, as Keras describes "
        "it, the names of the classes, and the calibration.",
    ]
    if subject.predictor.data.takes_pictures:
        picture = "sample.png" if sample else "PICTURE"
        lines.append(
            f"- `predict.py`: asks `model.onnx` about a picture: `pip install onnxruntime pillow`, then "
            f"`python predict.py {picture}`."
        )
    return "\n".join(lines) + "\n"


def _program(subject: ExportSubject) -> str:
    """The sample program. It resizes a picture and no more: `--to folder` writes one that converts photos."""
    facts, data = subject.facts, subject.predictor.data
    height, width = (*data.picture_shape, 1, 1)[:2]
    mode = "RGB" if len(data.picture_shape) == 3 else "L"
    kind = "np.uint8" if facts["image_type"] == "uint8" else "np.float32"
    black, white = data.range.black or 0.0, data.range.white or 255.0
    values = "pixels" if (black, white) == (0, 255) else f"{black!r} + pixels * np.float32({(white - black) / 255!r})"
    values = f"np.rint({values})" if kind == "np.uint8" and values != "pixels" else f"({values})"
    return f'''"""Asks model.onnx about a picture: python predict.py PICTURE"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

folder = Path(__file__).parent
session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
class_names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])

picture = Image.open(sys.argv[1]).convert({mode!r}).resize(({width}, {height}))
pixels = np.asarray(picture)
image = {values}.astype({kind}).reshape({tuple(data.image_shape)!r})
(probabilities,) = session.run(["probabilities"], {{"images": image[None]}})
for index in probabilities[0].argsort()[::-1][:5]:
    print(f"{{probabilities[0][index]:.1%}}  {{class_names[index]}}")
'''
