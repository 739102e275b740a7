"""`--to folder`: a Python program with the model that answers as the run does, with NumPy and onnxruntime alone.

    predict.py         the program, and what other programs import
    photo_model/       what it needs of this package, taken from its source by `code_extract`
    model.onnx         the network, as `--to onnx` writes it
    model.json         what is known of the run; `program` has what the program reads
    model.npz          what answers are compared with: held-out images' features, scores, silhouettes
    second_opinion.onnx    the network that the run asks about photos, where it asks one
    README.md, requirements.txt

OpenCV's part is done by `exports.program`. It is checked as it will be used: in a process of its own that sees neither
this package nor the user's own modules.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import textwrap
import weakref
from contextlib import ExitStack
from importlib.metadata import requires
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fittingroom.answers.out_of_distribution import ConfidenceDetector, NeighbourDetector
from fittingroom.errors import ModelError
from fittingroom.exports import onnx_file
from fittingroom.exports.code_extract import CodeExtract
from fittingroom.exports.export_subject import Answer, ExportSubject, Files, missing_runtime
from fittingroom.networks.onnx_writer import onnx_bytes, to_onnx
from fittingroom.photos.second_opinion import SecondOpinion
from fittingroom.text import percent, percent_range, word_list

if TYPE_CHECKING:
    from fittingroom.photos.conversion import Style

Array = np.ndarray[Any, Any]

RUNTIME = "the program itself"

_PROGRAM = CodeExtract(
    "fittingroom.exports.program.predict",
    "photo_model",
    {
        "import cv2": "fittingroom.exports.program.numpy_opencv",
        "from PIL import Image": "fittingroom.exports.program.numpy_image",
    },
    as_they_are=("fittingroom.exports.program.predict", "fittingroom.data.pictures"),
    left_out=("fittingroom.photos.foreground.Silhouettes.templates",),
)

_PACKAGES = ("numpy", "onnxruntime", "pillow")

_TEMPLATE_STEPS = 1024  # OpenCV turns and shifts by 32nds of a pixel in both directions

# Reads arrays of images, and writes arrays of probabilities, until there are no more: `.npy`, after their length.
_WORKER = """
import io, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from predict import PhotoModel
model = PhotoModel()
while length := int.from_bytes(sys.stdin.buffer.read(8), "little"):
    images = np.load(io.BytesIO(sys.stdin.buffer.read(length)))
    stream = io.BytesIO()
    np.save(stream, model.probabilities(images))
    sys.stdout.buffer.write(stream.tell().to_bytes(8, "little") + stream.getvalue())
    sys.stdout.buffer.flush()
"""


def make(subject: ExportSubject, *, second_opinion: bool = True) -> Files:
    """The files of the folder.

    Args:
        subject: the run.
        second_opinion: whether the network that the run asks about photos, if it asks one, is in the folder too; it has
            19 MB.

    Raises:
        ModelError: a layer is not known.
        InputError: the package onnx is missing.
    """
    second = _second_opinion(subject) if second_opinion else None
    facts, arrays = _program_facts(subject), _arrays(subject)
    facts["second_opinion"] = None if second is None else _second_facts(second)
    if second is not None:
        arrays["second_table"] = second.table.weights
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    texts = {
        **_PROGRAM.files(),
        "photo_model/__init__.py": '"""What `predict.py` is made of."""\n',
        "model.json": json.dumps({**subject.facts, "program": facts}, indent=1, ensure_ascii=False) + "\n",
        "requirements.txt": "\n".join(_requirements()) + "\n",
        "README.md": _readme(subject, second),
    }
    files = {name: text.encode() for name, text in texts.items()}
    files["model.onnx"] = onnx_file.make(subject)[".onnx"]
    files["model.npz"] = stream.getvalue()
    if second is not None and (graph := second.backbone.class_graph()) is not None:
        files["second_opinion.onnx"] = onnx_bytes(to_onnx(graph))
    return dict(sorted(files.items()))


def answers_of(subject: ExportSubject, files: Files) -> Answer:
    """What the program answers, in a process of its own, which ends when the function is forgotten.

    Raises:
        InputError: onnxruntime is missing.
        ModelError: the program does not run.
    """
    del subject
    try:
        import onnxruntime  # noqa: F401 - the process needs it
    except ImportError as error:
        raise missing_runtime("folder", "onnxruntime") from error
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fittingroom-")))
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        errors = stack.enter_context(tempfile.TemporaryFile())
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-I", "-c", _WORKER, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
            )
        )
        ask, tell = process.stdin, process.stdout
        assert ask is not None
        assert tell is not None

        def answer(images: Array) -> Array:
            stream = io.BytesIO()
            np.save(stream, images, allow_pickle=False)
            try:
                ask.write(stream.tell().to_bytes(8, "little") + stream.getvalue())
                ask.flush()
                told = tell.read(int.from_bytes(tell.read(8), "little"))
                return np.asarray(np.load(io.BytesIO(told), allow_pickle=False))
            except (OSError, ValueError, EOFError) as error:
                raise ModelError(f"The program of the folder stopped: {_last_line(errors)}") from error

        stack.callback(ask.close)
        weakref.finalize(answer, stack.pop_all().close)
    return answer


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _program_facts(subject: ExportSubject) -> dict[str, Any]:
    """What the program reads of the model besides `export_facts`, JSON."""
    data, judgement, graph = subject.predictor.data, subject.judgement, subject.known_graph("a folder")
    values = {name: value if _is_finite(value) else None for name, value in vars(data.range).items()}
    shift = judgement.label_shift
    threshold = None
    if isinstance(judgement.unlike, NeighbourDetector | ConfidenceDetector) and _is_finite(judgement.unlike.threshold):
        threshold = judgement.unlike.threshold
    return {
        "image_shape": list(graph.image_shape),
        "image_type": graph.image_type,
        "picture_shape": list(data.picture_shape),
        "scale": data.scale,
        "values": values,
        "style": _style_facts(subject.style),
        "judgement": {
            "temperature": judgement.temperature,
            "threshold": threshold,
            "sharpness": None if shift is None else shift.sharpness,
        },
    }


def _second_opinion(subject: ExportSubject) -> SecondOpinion | None:
    """Who else is asked about photos, where photos are cut out and somebody is."""
    style, second = subject.style, subject.predictor.second_opinion
    asked = style is not None and style.foreground is not None and isinstance(second, SecondOpinion)
    return second if asked and isinstance(second, SecondOpinion) else None


def _second_facts(second: SecondOpinion) -> dict[str, Any]:
    backbone, table = second.backbone, second.table
    return {
        "title": backbone.title,
        "input_size": backbone.input_size,
        "dataset": table.dataset,
        "source": table.source,
        "names": list(table.names),
    }


def _style_facts(style: Style | None) -> dict[str, Any] | None:
    if style is None:
        return None
    foreground = None
    if style.foreground is not None:
        foreground = {name: value for name, value in vars(style.foreground).items() if name != "silhouettes"}
    return {"aspect": style.aspect, "foreground": foreground}


def _arrays(subject: ExportSubject) -> dict[str, Array]:
    judgement, style = subject.judgement, subject.style
    arrays: dict[str, Any] = {"scores": judgement.conformal.scores}
    if isinstance(unlike := judgement.unlike, NeighbourDetector):
        arrays |= {
            "features": unlike.features,
            "classes": unlike.classes.astype(np.int32),
            "distances": unlike.held_out_distances,
            "surprises": unlike.surprises,
        }
    if (shift := judgement.label_shift) is not None:
        arrays |= {"shifts": shift.shifts, "scores_of_photos": shift.conformal.scores}
    if style is not None and style.foreground is not None:
        silhouettes = style.foreground.silhouettes
        arrays["silhouettes"] = np.packbits(silhouettes.values > 0, axis=1)
        arrays["templates"] = np.rint(silhouettes.templates * _TEMPLATE_STEPS).astype(np.uint16)
    return arrays


def _is_finite(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))


def _requirements() -> list[str]:
    """The lines of `requirements.txt`, with the versions that this package asks for."""
    lines = {}
    for line in requires("fittingroom") or ():
        needed = line.partition(";")[0].strip()
        name = needed.partition(">")[0].partition("=")[0].strip()
        if name in _PACKAGES:
            lines[name] = needed
    return [lines.get(name, name) for name in _PACKAGES]


def _readme(subject: ExportSubject, asked: SecondOpinion | None) -> str:
    """What the folder is, how it is used, and what is known of the model."""
    facts, style = subject.facts, subject.style
    height, width, *_ = (*subject.predictor.data.picture_shape, 0)
    if style is None:
        photos = (
            "The model was trained on plain arrays, so it is not known how a photo becomes an image like them: pass "
            "`.npy` files with images as in training."
        )
    elif style.foreground is None:
        photos = f"A photo is resized to {width}×{height} pixels as the training images were."
    else:
        photos = (
            f"A photo is converted first: its foreground is cut out and shown on {width}×{height} pixels as training "
            "images show theirs. A picture of exactly that size goes in as it is."
        )
    accuracy = facts.get("accuracy")
    scored = ""
    if accuracy is not None:
        share, interval = percent(accuracy["accuracy"]), percent_range(accuracy["interval"])
        images = f"{accuracy['images']:,} validation images"
        scored = f"On {images} it is right for {share} (95% interval {interval}). Photos are harder.\n"
    judged = (
        "Each answer has calibrated probabilities, a set of classes that holds the right one for 90% of images like "
        "the training images, and whether the image is unlike these; then neither means much."
        if facts["sets"]
        else "No images were held out to check the model on, so its probabilities are not calibrated, each set holds "
        "all classes, and no image is said to be unlike the training images."
    )
    licences = [f"{name}: {licence or 'not known'}" for name, licence in facts["licences"].items()]
    second = ""
    if asked is not None:
        licences.append(f"{asked.backbone.title}: {asked.backbone.licence or 'not known'}")
        second = (
            f"\nPhotos are shown to a second network too, {asked.backbone.title}, which was trained on\n"
            f"{asked.backbone.trained_on}. The answer is of both.\n"
        )
    elif _second_opinion(subject) is not None:
        second = (
            "\n`fittingroom predict` asks a second network about photos; this program gives what the run alone says.\n"
        )
    return f"""# {facts["recipe"]} on {facts["dataset"]}

A trained model, and a program that answers with it. It needs Python 3.11 or newer, NumPy and onnxruntime; Pillow opens
picture files, and `.npy` files need it not.

    pip install -r requirements.txt
    python predict.py photo.jpg
    python predict.py photo.jpg --json

In Python:

    from predict import PhotoModel

    model = PhotoModel()
    for answer in model.answers(model.read("photo.jpg")):
        print(answer.label, answer.probability, answer.set, answer.unlike, answer.why)

## What it answers

{textwrap.fill(f"The classes are {word_list(facts['class_names'])}. {photos}", 110)}

{textwrap.fill(judged, 110)}
{second}
## What is known of it

{scored}Run {facts["run"]}, made by {facts["made_by"]}. Licences: {"; ".join(licences)}.
Everything that is known stands in `model.json`.
"""
