"""A network as operators of TensorFlow Lite: what each kind of a `Graph` becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fittingroom.errors import ModelError
from fittingroom.exports import tflite_activations as activations
from fittingroom.exports.tflite_program import NONE, LiteProgram, LiteTensor
from fittingroom.exports.tflite_steps import LiteSteps
from fittingroom.networks.graph import Graph, Operation

Array = np.ndarray[Any, Any]
Pairs = Sequence[Sequence[int]]

_LOWEST = np.float32(np.finfo(np.float32).min)


def to_tflite(graph: Graph, outputs: Sequence[str]) -> LiteProgram:
    """The operators of a network.

    Args:
        graph: the network.
        outputs: names of those of its outputs that are asked for; what only others need is left out.

    Raises:
        ModelError: TensorFlow Lite has no operator for what a layer does.
    """
    net = LiteSteps(graph, outputs)
    for operation in net.operations:
        if operation.kind not in _LOWERINGS:
            raise _refusal(operation, operation.kind)
        net.keep(operation, _LOWERINGS[operation.kind](net, operation, net.places(operation)))
    return net.finished()


def _refusal(operation: Operation, what: str) -> ModelError:
    layer = f"layer {operation.layer!r}" if operation.layer else "the network"
    return ModelError(f"{layer} needs {what}, which a TFLite file cannot hold here. Export to onnx instead.")


Lower = Callable[[LiteSteps, Operation, list[int]], int]


def _scale(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    place = places[0]
    for kind, name, nothing in (("MUL", "scale", 1.0), ("ADD", "offset", 0.0)):
        weight = operation.weights.get(name)
        if weight is not None and np.any(weight != nothing):
            place = net.step(kind, [place, net.constant(np.atleast_1d(weight))], operation)
    return place


def _dense(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    kernel, bias = operation.weights["kernel"], operation.weights.get("bias")
    inputs = [places[0], net.constant(kernel.T), NONE if bias is None else net.constant(bias)]
    return net.step("FULLY_CONNECTED", inputs, operation, keep_axes=len(operation.shape) > 1)


def _convolution(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    kernel, bias = operation.weights["kernel"], operation.weights.get("bias")
    groups = int(operation.options.get("groups", 1))
    dilation = [int(step) for step in operation.options.get("dilation", (1, 1))]
    height, width, _, filters = kernel.shape
    reach = [(size - 1) * step + 1 for size, step in zip((height, width), dilation, strict=True)]
    place, options = _windowed(net, operation, places[0], reach)
    options |= {"dilation_h": dilation[0], "dilation_w": dilation[1]}
    channels = net.shape(place)[-1]
    depthwise = groups == channels and groups > 1
    if depthwise:
        kind, weights = "DEPTHWISE_CONV_2D", kernel.reshape(1, height, width, filters)
        options["multiplier"] = filters // channels
    else:
        kind, weights = "CONV_2D", kernel.transpose(3, 0, 1, 2)
        options["grouped"] = groups > 1
    bias = np.zeros(filters, np.float32) if bias is None else bias
    return net.step(kind, [place, net.constant(weights), net.constant(bias)], operation, **options)


def _windowed(
    net: LiteSteps, operation: Operation, place: int, reach: Sequence[int], border: float = 0.0
) -> tuple[int, dict[str, Any]]:
    """What a window goes over, and the options that say how; the padding is laid around where no word says it."""
    strides = [int(stride) for stride in operation.options.get("strides", (1, 1))]
    padding = [tuple(pair) for pair in operation.options.get("padding", ((0, 0), (0, 0)))]
    word = _padding_word(net.shape(place)[:2], reach, strides, padding)
    if word is None:
        place, word = net.padded(place, [*padding, (0, 0)], border), "VALID"
    return place, {"padding": word, "stride_h": strides[0], "stride_w": strides[1]}


def _padding_word(sides: Sequence[int], reach: Sequence[int], strides: Sequence[int], padding: Pairs) -> str | None:
    if not np.any(padding):
        return "VALID"
    for side, size, stride, (before, after) in zip(sides, reach, strides, padding, strict=True):
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        if (before, after) != (total // 2, total - total // 2):
            return None
    return "SAME"


def _transposed_convolution(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    kernel, bias = operation.weights["kernel"], operation.weights.get("bias")
    height, width, filters, _ = kernel.shape
    strides = [int(stride) for stride in operation.options.get("strides", (1, 1))]
    sides = net.shape(places[0])[:2]
    cut = operation.options.get("cut", ((0, 0), (0, 0)))
    full = [(side - 1) * stride + size for side, stride, size in zip(sides, strides, (height, width), strict=True)]
    shape = (*full, filters)
    inputs = [net.with_count(shape), net.constant(kernel.transpose(2, 0, 1, 3)), places[0]]
    inputs.append(net.constant(np.zeros(filters, np.float32) if bias is None else bias))
    place = net.value("TRANSPOSE_CONV", inputs, shape, padding="VALID", stride_h=strides[0], stride_w=strides[1])
    return _cropped(net, place, [*cut, (0, 0)], operation)


def _cropped(net: LiteSteps, place: int, cropping: Pairs, operation: Operation) -> int:
    if not np.any(cropping):
        return place
    start = net.constant([0, *(pair[0] for pair in cropping)], np.int32)
    size = net.constant([-1, *operation.shape], np.int32)
    return net.step("SLICE", [place, start, size], operation)


def _max_pool(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    height, width = operation.options["size"]
    place, options = _windowed(net, operation, places[0], (height, width), float(_LOWEST))
    return net.step("MAX_POOL_2D", [place], operation, height=height, width=width, **options)


def _average_pool(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    height, width = operation.options["size"]
    sides = net.shape(places[0])[:2]
    place, options = _windowed(net, operation, places[0], (height, width))
    pooled = net.step("AVERAGE_POOL_2D", [place], operation, height=height, width=width, **options)
    if place == places[0]:
        return pooled
    counts = [
        _counts(side, size, stride, pair, out)
        for side, size, stride, pair, out in zip(
            sides,
            (height, width),
            (options["stride_h"], options["stride_w"]),
            operation.options["padding"],
            operation.shape[:2],
            strict=True,
        )
    ]
    share = height * width / np.outer(*counts)[:, :, None]
    return net.step("MUL", [pooled, net.constant(share)], operation)


def _counts(side: int, size: int, stride: int, padding: Sequence[int], places: int) -> Array:
    """How many pixels of the image lie in each window along an axis."""
    start = np.arange(places) * stride - padding[0]
    return np.minimum(start + size, side) - np.maximum(start, 0)


def _reduction(kind: str) -> Lower:
    def lower(net: LiteSteps, operation: Operation, places: list[int]) -> int:
        rank = len(net.shape(places[0]))
        axes = sorted(int(axis) % rank + 1 for axis in operation.options["axes"])
        keepdims = bool(operation.options.get("keepdims", False))
        return net.step(kind, [places[0], net.constant(axes, np.int32)], operation, keepdims=keepdims)

    return lower


def _activation(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    options = dict(operation.options)
    name = options.pop("name")
    kind = activations.single_operator(name, options)
    if kind is not None and net.fused(kind, operation, places[0]):
        return places[0]
    place = activations.lowered(net, name, options, places[0])
    if place is None:
        raise _refusal(operation, f"the activation {name!r}")
    return place


def _prelu(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    alpha = operation.weights["alpha"]
    rank = len(operation.shape)
    return net.step(
        "PRELU", [places[0], net.constant(alpha.reshape((1,) * (rank - alpha.ndim) + alpha.shape))], operation
    )


def _log_mean_exp(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    if len(places) == 1:
        return places[0]
    largest = _chained(net, "MAXIMUM", places)
    total = _chained(net, "ADD", [net.alike("EXP", [net.alike("SUB", [place, largest])]) for place in places])
    mean = net.alike("LOG", [net.alike("MUL", [total, net.constant([1 / len(places)])])])
    return net.step("ADD", [mean, largest], operation)


def _chained(net: LiteSteps, kind: str, places: Sequence[int]) -> int:
    place = places[0]
    for other in places[1:]:
        place = net.alike(kind, [place, other])
    return place


def _merge(kind: str) -> Lower:
    return lambda net, _, places: _chained(net, kind, net.same_rank(places))


def _average(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    total = _chained(net, "ADD", net.same_rank(places))
    return net.step("MUL", [total, net.constant([1 / len(places)])], operation)


def _concatenate(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    axis = int(operation.options.get("axis", -1)) % len(operation.shape) + 1
    return net.step("CONCATENATION", [net.per_image(place) for place in places], operation, axis=axis)


def _reshape(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    if net.shape(places[0]) == operation.shape:
        return places[0]
    return net.step("RESHAPE", [places[0], net.constant([-1, *operation.shape], np.int32)], operation)


def _transpose(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    axes = [0, *(int(axis) + 1 for axis in operation.options["axes"])]
    return net.step("TRANSPOSE", [places[0], net.constant(axes, np.int32)], operation)


def _resize(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    kind = {"bilinear": "RESIZE_BILINEAR", "nearest": "RESIZE_NEAREST_NEIGHBOR"}.get(operation.options["method"])
    if kind is None:
        raise _refusal(operation, f"resizing by {operation.options['method']!r}")
    return net.step(kind, [places[0], net.constant(operation.shape[:2], np.int32)], operation, half_pixel=True)


def _flip(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    axis = int(operation.options["axis"]) % len(operation.shape) + 1
    return net.step("REVERSE_V2", [places[0], net.constant([axis], np.int32)], operation)


def _layer_norm(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    axis = net.constant([len(operation.shape)], np.int32)
    one = (*operation.shape[:-1], 1)
    mean = net.value("MEAN", [places[0], axis], one, keepdims=True)
    centred = net.alike("SUB", [places[0], mean])
    variance = net.value("MEAN", [net.alike("SQUARE", [centred]), axis], one, keepdims=True)
    spread = net.alike("ADD", [variance, net.constant([operation.options["epsilon"]])])
    place = net.alike("MUL", [centred, net.alike("RSQRT", [spread])])
    for kind, name in (("MUL", "gamma"), ("ADD", "beta")):
        if operation.weights.get(name) is not None:
            place = net.step(kind, [place, net.constant(operation.weights[name])], operation)
    return place


def _matmul(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    return net.step("BATCH_MATMUL", [net.per_image(place) for place in places], operation)


def _float16(net: LiteSteps, operation: Operation, places: list[int]) -> int:
    half = LiteTensor(f"half{len(net.program.tensors)}", operation.shape, "float16")
    place = net.program.add("CAST", places, half, **{"from": "float32", "to": "float16"})
    return net.step("CAST", [place], operation, **{"from": "float16", "to": "float32"})


def _plain(kind: str, **options: Any) -> Lower:
    return lambda net, operation, places: net.step(kind, places[:1], operation, **options)


_LOWERINGS: Mapping[str, Lower] = {
    "scale": _scale,
    "dense": _dense,
    "convolution": _convolution,
    "transposed_convolution": _transposed_convolution,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "mean": _reduction("MEAN"),
    "max": _reduction("REDUCE_MAX"),
    "activation": _activation,
    "prelu": _prelu,
    "softmax": _plain("SOFTMAX", beta=1.0),
    "log_softmax": _plain("LOG_SOFTMAX"),
    "log_mean_exp": _log_mean_exp,
    "add": _merge("ADD"),
    "subtract": _merge("SUB"),
    "multiply": _merge("MUL"),
    "maximum": _merge("MAXIMUM"),
    "minimum": _merge("MINIMUM"),
    "average": _average,
    "concatenate": _concatenate,
    "reshape": _reshape,
    "transpose": _transpose,
    "pad": lambda net, operation, places: net.padded(places[0], operation.options["padding"]),
    "crop": lambda net, operation, places: _cropped(net, places[0], operation.options["cropping"], operation),
    "resize": _resize,
    "flip": _flip,
    "float16": _float16,
    "floor": _plain("FLOOR"),
    "layer_norm": _layer_norm,
    "constant": lambda net, operation, _: net.constant(operation.weights["value"]),
    "matmul": _matmul,
}
