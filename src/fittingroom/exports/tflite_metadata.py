"""What a TFLite file says of itself, where phones' libraries and people look for it.

The convention is TensorFlow Lite Metadata: a FlatBuffer in the file describes input and output, and a ZIP archive at
its end holds `labels.txt`, one class a line, which MediaPipe and Android read. Beside that lies `fittingroom.json`, all
that is known of the run: `unzip -p model.tflite fittingroom.json`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fittingroom.exports.flatbuffer_table import Table, encode

NAME = "TFLITE_METADATA"
FACTS = "fittingroom.json"
_LABELS = "labels.txt"

_AXIS_LABELS = 2  # kinds of file, colour, content and step, as the schema numbers them
_DESCRIPTION = 1
_RGB, _GREY = 1, 2
_FEATURE, _IMAGE = 1, 2
_NORMALIZATION = 1


def described(facts: Mapping[str, Any], description: str) -> bytes:
    """The FlatBuffer that describes a classifier of images.

    Args:
        facts: what is known of the run.
        description: a sentence of the whole.
    """
    shape = facts["image_shape"]
    values = "0 to 255, as stored" if facts.get("image_type", "uint8") == "uint8" else "as the run was trained on"
    images: Table = {
        0: "images",
        1: f"An image of {' × '.join(map(str, shape))} numbers, {values}; scaling is part of the model.",
        3: _content(shape),
        4: [{0: np.uint8(_NORMALIZATION), 1: {0: np.array([0.0], np.float32), 1: np.array([1.0], np.float32)}}],
    }
    probabilities: Table = {
        0: "probabilities",
        1: f"The {'calibrated ' if facts.get('sets') else ''}probability of each class.",
        3: {0: np.uint8(_FEATURE), 1: {}},
        5: {0: np.array([1.0], np.float32), 1: np.array([0.0], np.float32)},
        6: [{0: _LABELS, 1: "The class of each probability.", 2: np.int8(_AXIS_LABELS)}],
    }
    licences = [f"{what}: {licence}" for what, licence in (facts.get("licences") or {}).items() if licence]
    return encode(
        {
            0: str(facts.get("run", "model")),
            1: description,
            3: [{2: [images], 3: [probabilities]}],
            5: "; ".join(licences) or None,
            6: [{0: FACTS, 1: "All that is known of the run.", 2: np.int8(_DESCRIPTION)}],
            7: "1.0.0",
        },
        "M001",
    )


def _content(shape: Sequence[int]) -> Table:
    """What the numbers of an input are: an image where its shape is one, else just numbers."""
    channels = shape[2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or channels not in (1, 3):
        return {0: np.uint8(_FEATURE), 1: {}}
    size: Table = {0: np.uint32(shape[1]), 1: np.uint32(shape[0])}
    return {0: np.uint8(_IMAGE), 1: {0: np.int8(_RGB if channels == 3 else _GREY), 1: size}}


def packed(content: bytes, facts: Mapping[str, Any]) -> bytes:
    """A TFLite file with the archive of its labels and facts; the same bytes every time."""
    buffer = io.BytesIO(content)
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
    labels = "".join(f"{' '.join(str(name).split())}\n" for name in facts["class_names"])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:  # readers on phones know no compression
        for name, said in ((_LABELS, labels), (FACTS, text)):
            entry = zipfile.ZipInfo(name)  # of 1980
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
            archive.writestr(entry, said)
    return buffer.getvalue()


def facts_in(content: bytes) -> dict[str, Any]:
    """The facts that a file of `packed` holds."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        facts: dict[str, Any] = json.loads(archive.read(FACTS))
    return facts
