"""`--to keras`: one `.keras` file that plain Keras loads, from stored images to calibrated probabilities.

The networks stay as they were trained, each a layer of its own with its layers inside, `seed_0` and so on. So they can
be looked into and trained further. Around them stand layers of Keras's own for the scaling, the views, the mean over
views and seeds, and the temperature. No code is in the file. The facts of the run are in its `metadata.json`.
"""

from __future__ import annotations

import io
import json
import math
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from fittingroom.backbones.keras_extractor import build_structure, names_counted_anew
from fittingroom.engine.description import describe
from fittingroom.errors import ModelError
from fittingroom.exports.answer_graph import ImageWay, NetworkParts, Reading, TrainedNetwork
from fittingroom.exports.backbone_front import as_backbone_sees
from fittingroom.exports.export_subject import Answer, ExportSubject, Files
from fittingroom.networks.graph import Graph
from fittingroom.networks.graph_builder import GraphBuilder
from fittingroom.recipes.build import passed_through, view_layers

Array = np.ndarray[Any, Any]

RUNTIME = "Keras"

_DATE = (1980, 1, 1, 0, 0, 0)  # of the files in the archive, so that its bytes are the same every time
_LEAST, _TINY = 1e-7, 1e-30  # as in `answer_graph`


def make(subject: ExportSubject) -> Files:
    """The file.

    Raises:
        ModelError: a network holds code of the user's.
    """
    if subject.parts is None:
        raise ModelError(f"The run cannot be exported to Keras: {subject.why_no_graph}")
    with names_counted_anew():
        plain = [_plain(network, f"seed_{place}") for place, network in enumerate(subject.parts.networks)]
        return {".keras": _archive(whole_model(subject.parts, plain, subject.facts["temperature"]), subject.facts)}


def whole_model(parts: NetworkParts, models: Sequence[keras.Model], temperature: float) -> keras.Model:
    """From stored images to calibrated probabilities.

    Args:
        parts: how images come to the networks, and how these are read.
        models: the networks, or copies of them.
        temperature: what logarithms of probabilities are divided by.
    """
    way = parts.way
    images = keras.Input(way.shape, name="images")
    seen = _seen(way, images)
    pairs = list(zip(models, parts.networks, strict=True))
    logs = [_logs(_output(model, each), network.reading) for model, network in pairs for each in seen]
    mean = logs[0] if len(logs) == 1 else ops.logsumexp(ops.stack(logs, axis=0), axis=0)  # but for a constant
    tempered = layers.Rescaling(1 / temperature, name="temperature")(mean)
    return keras.Model(images, layers.Softmax(name="probabilities")(tempered), name="calibrated")


def answers_of(subject: ExportSubject, files: Files) -> Answer:
    """What Keras gives for images."""
    del subject
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(files[".keras"])
        model = keras.models.load_model(path, compile=False)
    return lambda images: np.asarray(model.predict(images, batch_size=len(images), verbose=0), np.float32)


def _seen(way: ImageWay, images: Any) -> list[Any]:
    """What the networks get of each view."""
    value = images
    if way.scale not in (None, 1.0):
        value = layers.Rescaling(1 / float(way.scale or 1), name="scaling")(value)
    if way.rounded:
        value = ops.floor(value + 0.5)
    seen = [passed_through(view, value) for view in view_layers(way.views, way.shape)]
    if way.backbone is None:
        return seen
    front = _front(way)
    return [ops.cast(ops.cast(front(each), "float16"), "float32") for each in seen]


def _front(way: ImageWay) -> keras.Model:
    """From pictures of 0 to 255 to what a frozen backbone gives of them."""
    assert way.backbone is not None
    builder = GraphBuilder(way.shape)
    graph = builder.graph({"seen": as_backbone_sees(builder, "images", way.backbone.input_size)})
    pictures = keras.Input(way.shape, name="pictures")
    (seen,) = resized_by_layers(graph, pictures)
    whole = way.backbone.tail("all")
    if way.unfreeze:
        first = way.backbone.tail(way.unfreeze).layers[1]  # after the input
        whole = keras.Model(whole.inputs[0], whole.get_layer(first.name).input, name="frozen")
    return keras.Model(pictures, whole(seen), name="backbone")


def resized_by_layers(graph: Graph, pictures: Any) -> list[Any]:
    """The outputs of a graph of `backbone_front`, computed by layers of Keras's."""
    values = {"images": pictures}
    for operation in graph.operations:
        given = [values[name] for name in operation.inputs]
        values[operation.output] = _RESIZING[operation.kind](given, operation)
    return [values[name] for name in graph.outputs.values()]


def _fixed_dense(given: Sequence[Any], operation: Any) -> Any:
    kernel, bias = operation.weights["kernel"], operation.weights.get("bias")
    layer = layers.Dense(kernel.shape[1], use_bias=bias is not None, trainable=False, kernel_initializer="zeros")
    result = layer(given[0])
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return result


_RESIZING: dict[str, Callable[[Sequence[Any], Any], Any]] = {
    "reshape": lambda given, operation: layers.Reshape(operation.shape)(given[0]),
    "transpose": lambda given, operation: layers.Permute([axis + 1 for axis in operation.options["axes"]])(given[0]),
    "dense": _fixed_dense,
    "floor": lambda given, _: ops.floor(given[0]),
    "add": lambda given, _: layers.Add()(given),
    "subtract": lambda given, _: layers.Subtract()(given),
    "concatenate": lambda given, _: layers.Concatenate()(given),
    "scale": lambda given, operation: layers.Rescaling(
        float(operation.weights["scale"]), float(operation.weights["offset"])
    )(given[0]),
}
"""Operations that resize pictures as Keras's layers."""


def _plain(network: TrainedNetwork, name: str) -> keras.Model:
    """A copy under another name; where its softmax is read exactly, without it.

    Raises:
        ModelError: it holds code of the user's, so that Keras could not load it.
    """
    for layer in network.model._flatten_layers():
        if not type(layer).__module__.startswith("keras."):
            raise ModelError(
                f"The run cannot be exported to Keras: {layer.name!r} ({type(layer).__name__}) is your own code, and "
                "no file holds code. --to onnx and --to tflite hold what such code calls, where it can be followed."
            )
    described = describe(network.model, compiled=False)
    structure = described["keras"]
    if structure is None:
        raise ModelError(f"The run cannot be exported to Keras: {described['reason']}, and no file holds code.")
    structure = json.loads(json.dumps(structure))
    structure["config"]["name"] = name
    if network.reading == "softmax":
        structure["config"]["layers"][-1]["config"]["activation"] = "linear"
    model = build_structure(structure)
    if not model.built:
        model.build((None, *network.model.input_shape[1:]))
    model.set_weights(network.model.get_weights())
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):  # `Normalization` computes with what it made of its weights
            layer.finalize_state()
    return model


def _output(model: keras.Model, images: Any) -> Any:
    """The one output of a model, which may take and give lists or dicts of one."""
    return keras.tree.flatten(model(images))[0]


def _logs(outputs: Any, reading: Reading) -> Any:
    """Logarithms of probabilities, as `answer_graph` computes them."""
    single = outputs.shape[-1] == 1
    if reading == "softmax" or (reading == "logits" and not single):
        return ops.log_softmax(outputs)
    if reading in ("logits", "sigmoid logits") and single:
        return ops.log_sigmoid(ops.concatenate([-outputs, outputs], axis=-1))
    positive = ops.sigmoid(outputs) if reading == "sigmoid logits" else outputs
    if reading == "margins":
        positive = (ops.clip(outputs, -1, 1) + 1) / 2
    if single:
        positive = ops.clip(positive, _LEAST, 1 - _LEAST)
        return ops.log(ops.concatenate([1 - positive, positive], axis=-1))
    logs = ops.log_softmax(ops.log(ops.maximum(positive, _TINY)))
    return ops.clip(logs, math.log(_LEAST), math.log1p(-_LEAST))


def _archive(model: keras.Model, facts: Mapping[str, Any]) -> bytes:
    """The model as Keras saves it, with the facts beside it and without the time of writing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        with zipfile.ZipFile(path) as saved:
            members = {name: saved.read(name) for name in sorted(saved.namelist())}
    metadata = json.loads(members["metadata.json"])
    metadata |= {"date_saved": "1980-01-01@00:00:00", "fittingroom": dict(facts)}
    members["metadata.json"] = json.dumps(metadata, ensure_ascii=False).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
    return stream.getvalue()
