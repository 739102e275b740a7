"""`--to onnx`: one file for onnxruntime, OpenCV's dnn and the many others that read ONNX; opset 17.

Its input is `images`; its outputs are `probabilities`, `log_probabilities` and, with a backbone, `features`. What is
known of the run stands in its metadata: each fact under its own name, what is no text as JSON.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from fittingroom.exports.export_subject import Answer, ExportSubject, Files, missing_runtime

Array = np.ndarray[Any, Any]

RUNTIME = "onnxruntime"


def make(subject: ExportSubject) -> Files:
    """The file.

    Raises:
        ModelError: a layer is not known.
        InputError: the package onnx is missing.
    """
    from fittingroom.networks.onnx_writer import onnx_bytes, to_onnx

    metadata = {
        name: fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
        for name, fact in sorted(subject.facts.items())
    }
    return {".onnx": onnx_bytes(to_onnx(subject.known_graph("ONNX"), metadata=metadata))}


def answers_of(subject: ExportSubject, files: Files) -> Answer:
    """What onnxruntime gives for images.

    Raises:
        InputError: onnxruntime is missing.
    """
    del subject
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_runtime("onnx", RUNTIME) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(files[".onnx"], options, providers=["CPUExecutionProvider"])

    def answer(images: Array) -> Array:
        (probabilities,) = session.run(["probabilities"], {"images": images})
        return np.asarray(probabilities, np.float32)

    return answer
