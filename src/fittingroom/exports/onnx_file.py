"""`--to onnx`: one file for onnxruntime, OpenCV's dnn and the many others that read ONNX; opset 17.

Its input is `images`; its outputs are `probabilities`, `log_probabilities` and, with a backbone, `features`. What is
known of the run stands in its metadata: each fact under its own name, all but text as JSON.

A network with layers that no graph holds goes through the package jax2onnx, where it is installed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.errors import InputError
from fittingroom.exports.export_subject import Answer, ExportSubject, Files, missing_runtime
from fittingroom.networks.onnx_writer import OPSET, onnx_bytes, to_onnx

if TYPE_CHECKING:
    import onnx

    from fittingroom.exports.answer_graph import NetworkParts

Array = np.ndarray[Any, Any]

RUNTIME = "onnxruntime"


def make(subject: ExportSubject) -> Files:
    """The file.

    Raises:
        ModelError: a layer is not known.
        InputError: the package onnx is missing.
    """
    metadata = {
        name: fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
        for name, fact in sorted(subject.facts.items())
    }
    if subject.graph is None and subject.parts is not None and find_spec("jax2onnx") is not None:
        return {".onnx": onnx_bytes(_by_jax2onnx(subject.parts, subject.facts["temperature"], metadata))}
    return {".onnx": onnx_bytes(to_onnx(subject.known_graph("ONNX"), metadata=metadata))}


def _by_jax2onnx(parts: NetworkParts, temperature: float, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """The networks through Keras's own exporter, for layers that no graph holds; it takes images as float32."""
    import onnx

    from fittingroom.exports.keras_file import whole_model

    models = [network.model for network in parts.networks]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        whole = whole_model(parts, models, temperature)
        whole(np.zeros((1, *parts.way.shape), np.float32))  # Keras exports no model that was never called
        whole.export(path, format="onnx", verbose=False)
        model = onnx.load(path)
    (images,), (probabilities,) = model.graph.input, model.graph.output
    names = {images.name: "images", probabilities.name: "probabilities"}
    images.name, probabilities.name = names.values()
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    onnx.helper.set_model_props(model, dict(metadata))
    return model


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
    try:
        session = onnxruntime.InferenceSession(files[".onnx"], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has a class of its own for each kind, none of them public
        reason = str(error).partition("\n")[0][:200]
        raise InputError(
            f"onnxruntime {onnxruntime.__version__} does not load the file, so nothing was written: {reason}. It has "
            f"opset {OPSET}, which onnxruntime knows from 1.12 on: pip install --upgrade onnxruntime."
        ) from error

    takes = np.uint8 if session.get_inputs()[0].type == "tensor(uint8)" else np.float32

    def answer(images: Array) -> Array:
        (probabilities,) = session.run(["probabilities"], {"images": images.astype(takes)})
        return np.asarray(probabilities, np.float32)

    return answer
