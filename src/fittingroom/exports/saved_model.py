"""`--to savedmodel`: a folder that TensorFlow loads and serves, where TensorFlow is installed.

The graph is written operation by operation as TensorFlow's own, with its weights as variables. The signature
`serving_default` takes `images` and gives the outputs by name. The facts of the run are in `assets.extra/`, the folder
that TensorFlow leaves to others.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.errors import InputError, ModelError
from fittingroom.exports.export_subject import Answer, ExportSubject, Files
from fittingroom.networks.graph import Graph, Operation
from fittingroom.runs.json_files import json_text

Array = np.ndarray[Any, Any]

RUNTIME = "TensorFlow"
FACTS = "assets.extra/fittingroom.json"

_OMITTED = ("fingerprint.pb",)  # a number drawn at random, which TensorFlow does without


def make(subject: ExportSubject) -> Files:
    """The files of the folder.

    Raises:
        ModelError: a layer is not known.
        InputError: TensorFlow is missing.
    """
    files = saved_model(subject.known_graph("SavedModel"))
    return {**files, FACTS: (json_text(dict(subject.facts)) + "\n").encode()}


def answers_of(subject: ExportSubject, files: Files) -> Answer:
    """What TensorFlow gives for images."""
    del subject
    tf = _tensorflow()
    with tempfile.TemporaryDirectory() as place:
        for name, content in files.items():
            path = Path(place, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        loaded = tf.saved_model.load(place)
    asked = loaded.signatures["serving_default"]

    def answer(images: Array) -> Array:
        _ = loaded  # which holds the variables
        return np.asarray(asked(images=tf.constant(images))["probabilities"], np.float32)

    return answer


def saved_model(graph: Graph) -> dict[str, bytes]:
    """A graph as the files of a SavedModel.

    Raises:
        InputError: TensorFlow is missing.
        ModelError: an operation is not known.
    """
    tf = _tensorflow()
    module = tf.Module()
    variables: dict[int, Any] = {}

    def held(array: Array) -> Any:
        """The variable of an array; one for an array that several operations share."""
        if id(array) not in variables:
            variables[id(array)] = tf.Variable(array, trainable=False, name=f"weight_{len(variables)}")
        return variables[id(array)]

    weights = [{name: held(array) for name, array in each.weights.items()} for each in graph.operations]
    module.weights = list(variables.values())
    spec = tf.TensorSpec((None, *graph.image_shape), graph.image_type, name="images")

    @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator, unused-ignore]
    def answer(images: Any) -> dict[str, Any]:
        values = {"images": tf.cast(images, tf.float32)}
        for operation, held_by in zip(graph.operations, weights, strict=True):
            values[operation.output] = _step(tf, operation, [values[name] for name in operation.inputs], held_by)
        return {name: tf.identity(values[value], name=name) for name, value in graph.outputs.items()}

    module.answer = answer
    with tempfile.TemporaryDirectory() as place:
        tf.saved_model.save(module, place, signatures={"serving_default": answer})
        _number_functions_anew(Path(place, "saved_model.pb"))
        paths = sorted(path for path in Path(place).rglob("*") if path.is_file())
        return {path.relative_to(place).as_posix(): path.read_bytes() for path in paths if path.name not in _OMITTED}


def _number_functions_anew(path: Path) -> None:
    """Gives functions one order, and numbers from 0 on in place of those that TensorFlow counts through a process."""
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in message.meta_graphs:
        functions = sorted(graph.graph_def.library.function, key=lambda each: each.signature.name.rstrip("0123456789"))
        del graph.graph_def.library.function[:]
        graph.graph_def.library.function.extend(functions)
    numbers: dict[str, int] = {}

    def numbered(found: re.Match[str]) -> str:
        return f"{found[1]}{numbers.setdefault(found[0], len(numbers))}"

    text = re.sub(r"(__inference_[A-Za-z_]*?_)\d+", numbered, text_format.MessageToString(message))
    text = re.sub(r'(key: "_user_specified_name"\s+value \{\s+s: )"\d+"', r'\1""', text)
    path.write_bytes(text_format.Parse(text, saved_model_pb2.SavedModel()).SerializeToString(deterministic=True))


def _tensorflow() -> Any:
    try:
        import tensorflow
    except ImportError as error:
        raise InputError(
            "--to savedmodel is written and checked by TensorFlow, which is not installed: pip install tensorflow-cpu. "
            "Without it, --to onnx, --to tflite and --to keras hold the same."
        ) from error
    return tensorflow


def _step(tf: Any, operation: Operation, given: Sequence[Any], weights: Mapping[str, Any]) -> Any:
    write = _KINDS.get(operation.kind)
    if write is None:
        raise ModelError(f"The layer {operation.layer!r} cannot be written for TensorFlow: it is a {operation.kind}.")
    return write(tf, operation, given, weights)


_Write = Callable[[Any, Operation, Sequence[Any], Mapping[str, Any]], Any]


def _with_bias(value: Any, weights: Mapping[str, Any]) -> Any:
    return value + weights["bias"] if "bias" in weights else value


def _convolution(tf: Any, operation: Operation, given: Sequence[Any], weights: Mapping[str, Any]) -> Any:
    options, kernel = operation.options, weights["kernel"]
    groups, shape = options.get("groups", 1), operation.weights["kernel"].shape
    value = tf.pad(given[0], [[0, 0], *options["padding"], [0, 0]])
    strides, dilation = list(options["strides"]), list(options["dilation"])
    if groups > 1 and shape[2] == 1 and strides[0] == strides[1]:
        deep = tf.reshape(kernel, (*shape[:2], groups, shape[3] // groups))
        value = tf.nn.depthwise_conv2d(value, deep, [1, *strides, 1], "VALID", dilations=dilation)
    else:
        parts = zip(tf.split(value, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True)
        value = tf.concat([tf.nn.conv2d(x, k, strides, "VALID", dilations=dilation) for x, k in parts], axis=-1)
    return _with_bias(value, weights)


def _transposed_convolution(tf: Any, operation: Operation, given: Sequence[Any], weights: Mapping[str, Any]) -> Any:
    (top, bottom), (left, right) = operation.options["cut"]
    height, width, channels = operation.shape
    full = [tf.shape(given[0])[0], height + top + bottom, width + left + right, channels]
    value = tf.nn.conv2d_transpose(given[0], weights["kernel"], full, list(operation.options["strides"]), "VALID")
    return _with_bias(value[:, top : top + height, left : left + width], weights)


def _max_pool(tf: Any, operation: Operation, given: Sequence[Any], _: Mapping[str, Any]) -> Any:
    options = operation.options
    padded = tf.pad(given[0], [[0, 0], *options["padding"], [0, 0]], constant_values=-math.inf)
    return tf.nn.max_pool2d(padded, list(options["size"]), list(options["strides"]), "VALID")


def _average_pool(tf: Any, operation: Operation, given: Sequence[Any], _: Mapping[str, Any]) -> Any:
    options, padding = operation.options, [[0, 0], *operation.options["padding"], [0, 0]]

    def averaged(value: Any) -> Any:
        return tf.nn.avg_pool2d(tf.pad(value, padding), list(options["size"]), list(options["strides"]), "VALID")

    return averaged(given[0]) / averaged(tf.ones_like(given[0][:1]))


def _activation(tf: Any, operation: Operation, given: Sequence[Any], _: Mapping[str, Any]) -> Any:
    options = operation.options
    name, (x,) = options["name"], given
    if name == "relu":
        slope, threshold, most = (options.get(key) for key in ("negative_slope", "threshold", "max_value"))
        threshold, slope = threshold or 0.0, slope or 0.0
        above = x if most is None else tf.minimum(x, most)
        return tf.where(x >= threshold, above, slope * (x - threshold))
    if name == "elu":
        return tf.where(x > 0, x, options.get("alpha", 1.0) * tf.math.expm1(tf.minimum(x, 0.0)))
    if name == "gelu":
        return tf.nn.gelu(x, approximate=options.get("approximate", False))
    by_sixths = tf.clip_by_value(x / 6 + 0.5, 0.0, 1.0)
    if name in ("hard_sigmoid", "hard_silu"):
        return by_sixths if name == "hard_sigmoid" else x * by_sixths
    found = {
        "sigmoid": tf.sigmoid,
        "tanh": tf.tanh,
        "exponential": tf.exp,
        "selu": tf.nn.selu,
        "silu": tf.nn.silu,
        "softplus": tf.nn.softplus,
        "softsign": tf.nn.softsign,
        "log_sigmoid": tf.math.log_sigmoid,
        "log": tf.math.log,
        "square": tf.square,
        "sqrt": tf.sqrt,
        "reciprocal": tf.math.reciprocal,
        "negative": tf.negative,
    }.get(name)
    if found is None:
        raise ModelError(f"The layer {operation.layer!r} cannot be written for TensorFlow: its activation is {name}.")
    return found(x)


def _layer_norm(tf: Any, operation: Operation, given: Sequence[Any], weights: Mapping[str, Any]) -> Any:
    mean, variance = tf.nn.moments(given[0], axes=[-1], keepdims=True)
    value = (given[0] - mean) * tf.math.rsqrt(variance + operation.options["epsilon"])
    value = value * weights["gamma"] if "gamma" in weights else value
    return value + weights["beta"] if "beta" in weights else value


def _cropped(_: Any, operation: Operation, given: Sequence[Any], __: Mapping[str, Any]) -> Any:
    pairs = zip(operation.options["cropping"], operation.shape, strict=True)
    return given[0][(slice(None), *(slice(before, before + side) for (before, _), side in pairs))]


def _joined(tf: Any, operation: Operation, given: Sequence[Any], _: Mapping[str, Any]) -> Any:
    """Values for all images one behind the other; a constant has none of its own."""
    rank = len(operation.shape) + 1
    images = tf.shape(next(each for each in given if each.shape.rank == rank))[0]
    whole = [each if each.shape.rank == rank else tf.repeat(each[None], images, axis=0) for each in given]
    return tf.concat(whole, axis=operation.options["axis"] + 1)


def _axes(operation: Operation) -> list[int]:
    return [axis + 1 for axis in operation.options["axes"]]


def _folded(function: Callable[[Any], Callable[[Any, Any], Any]]) -> _Write:
    def write(tf: Any, _: Operation, given: Sequence[Any], __: Mapping[str, Any]) -> Any:
        value, combine = given[0], function(tf)
        for each in given[1:]:
            value = combine(value, each)
        return value

    return write


_KINDS: dict[str, _Write] = {
    "scale": lambda _, __, given, weights: given[0] * weights["scale"] + weights["offset"],
    "dense": lambda tf, _, given, weights: _with_bias(tf.matmul(given[0], weights["kernel"]), weights),
    "convolution": _convolution,
    "transposed_convolution": _transposed_convolution,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "mean": lambda tf, step, given, _: tf.reduce_mean(given[0], _axes(step), keepdims=step.options["keepdims"]),
    "max": lambda tf, step, given, _: tf.reduce_max(given[0], _axes(step), keepdims=step.options["keepdims"]),
    "activation": _activation,
    "prelu": lambda tf, _, given, weights: tf.where(given[0] > 0, given[0], weights["alpha"] * given[0]),
    "softmax": lambda tf, _, given, __: tf.nn.softmax(given[0]),
    "log_softmax": lambda tf, _, given, __: tf.nn.log_softmax(given[0]),
    "log_mean_exp": lambda tf, _, given, __: tf.reduce_logsumexp(tf.stack(given), axis=0) - math.log(len(given)),
    "add": _folded(lambda tf: tf.add),
    "multiply": _folded(lambda tf: tf.multiply),
    "maximum": _folded(lambda tf: tf.maximum),
    "minimum": _folded(lambda tf: tf.minimum),
    "subtract": _folded(lambda tf: tf.subtract),
    "average": lambda tf, _, given, __: tf.add_n(given) / float(len(given)),
    "concatenate": _joined,
    "reshape": lambda tf, step, given, _: tf.reshape(given[0], (-1, *step.shape)),
    "transpose": lambda tf, step, given, _: tf.transpose(given[0], [0, *_axes(step)]),
    "pad": lambda tf, step, given, _: tf.pad(given[0], [[0, 0], *step.options["padding"]]),
    "crop": _cropped,
    "resize": lambda tf, step, given, _: tf.image.resize(given[0], step.shape[:2], step.options["method"]),
    "flip": lambda tf, step, given, _: tf.reverse(given[0], [step.options["axis"] + 1]),
    "floor": lambda tf, _, given, __: tf.floor(given[0]),
    "float16": lambda tf, _, given, __: tf.cast(tf.cast(given[0], tf.float16), tf.float32),
    "layer_norm": _layer_norm,
    "constant": lambda _, __, ___, weights: weights["value"] + 0.0,
    "matmul": lambda tf, _, given, __: tf.matmul(given[0], given[1]),
}
