"""Each kind of operation of a `Graph` as nodes of ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fittingroom.networks.graph import Array, Operation


def turned(array: Array) -> Array:
    """An array that is broadcast beside maps, for maps whose channels come first."""
    if array.ndim == 0:
        return array
    whole = array.reshape((1,) * (3 - array.ndim) + array.shape)
    return whole.transpose(2, 0, 1)


@dataclass(frozen=True)
class OnnxStep:
    """An operation that is being written.

    Args:
        operation: the operation.
        first: whether it works on maps whose channels come first.
        inputs: names of what it takes.
        shape: of the first of these for one image, as Keras has it.
        node: adds a node, and gives the name of its output.
        constant: adds an array, and gives its name.
    """

    operation: Operation
    first: bool
    inputs: list[str]
    shape: tuple[int, ...]
    node: Callable[..., str]
    constant: Callable[..., str]

    @property
    def options(self) -> Mapping[str, Any]:
        """Of the operation."""
        return self.operation.options

    def weight(self, name: str) -> Array | None:
        """A weight; None where there is none."""
        return self.operation.weights.get(name)

    def beside(self, array: Any) -> str:
        """A constant that is broadcast beside the value."""
        array = np.asarray(array, np.float32)
        return self.constant(turned(array) if self.first else array)

    def axis(self, axis: int) -> int:
        """An axis of one image as ONNX counts it."""
        return (2, 3, 1)[axis] if self.first else axis + 1

    def chain(self, kind: str, inputs: Sequence[str]) -> str:
        """An operation of two values, of several in turn."""
        value, *others = inputs
        for other in others:
            value = self.node(kind, [value, other])
        return value

    def scaled(self, value: str, scale: Any, offset: Any) -> str:
        """A value times a scale plus an offset, without what changes nothing."""
        if np.any(np.asarray(scale) != 1):
            value = self.node("Mul", [value, self.beside(scale)])
        return self.node("Add", [value, self.beside(offset)]) if np.any(offset) else value


_Write = Callable[[OnnxStep], str]


def _scale(step: OnnxStep) -> str:
    return step.scaled(step.inputs[0], step.weight("scale"), step.weight("offset"))


def _dense(step: OnnxStep) -> str:
    kernel, bias = step.operation.weights["kernel"], step.weight("bias")
    if step.first:
        constants = [step.constant(kernel.T[:, :, None, None]), *([] if bias is None else [step.constant(bias)])]
        return step.node("Conv", [step.inputs[0], *constants])
    if len(step.shape) == 1:
        return step.node("Gemm", [step.inputs[0], step.constant(kernel), *_given(step, bias)])
    value = step.node("MatMul", [step.inputs[0], step.constant(kernel)])
    return value if bias is None else step.node("Add", [value, step.constant(bias)])


def _given(step: OnnxStep, bias: Array | None) -> list[str]:
    return [] if bias is None else [step.constant(bias)]


def _pads(pairs: Sequence[Sequence[int]]) -> list[int]:
    return [*(before for before, _ in pairs), *(behind for _, behind in pairs)]


def _convolution(step: OnnxStep) -> str:
    kernel, options = step.operation.weights["kernel"], step.options
    return step.node(
        "Conv",
        [step.inputs[0], step.constant(kernel.transpose(3, 2, 0, 1)), *_given(step, step.weight("bias"))],
        kernel_shape=list(kernel.shape[:2]),
        strides=list(options["strides"]),
        dilations=list(options["dilation"]),
        pads=_pads(options["padding"]),
        group=options["groups"],
    )


def _transposed_convolution(step: OnnxStep) -> str:
    kernel, options = step.operation.weights["kernel"], step.options
    return step.node(
        "ConvTranspose",
        [step.inputs[0], step.constant(kernel.transpose(3, 2, 0, 1)), *_given(step, step.weight("bias"))],
        kernel_shape=list(kernel.shape[:2]),
        strides=list(options["strides"]),
        pads=_pads(options["cut"]),
    )


def _pool(kind: str) -> _Write:
    def write(step: OnnxStep) -> str:
        options = step.options
        return step.node(
            kind,
            step.inputs,
            kernel_shape=list(options["size"]),
            strides=list(options["strides"]),
            pads=_pads(options["padding"]),
        )

    return write


def _reduced(whole: str, kind: str) -> _Write:
    def write(step: OnnxStep) -> str:
        if step.first:
            return step.node("Flatten", [step.node(whole, step.inputs)])
        axes = [axis + 1 for axis in step.options["axes"]]
        return step.node(kind, step.inputs, axes=axes, keepdims=int(step.options["keepdims"]))

    return write


def _relu(step: OnnxStep) -> str:
    slope, most, threshold = (step.options.get(name) or 0 for name in ("negative_slope", "max_value", "threshold"))
    limited = step.options.get("max_value") is not None
    (value,) = step.inputs
    if threshold:
        above = step.node("Greater", [value, step.constant(threshold)])
        value = step.node("Where", [above, value, step.scaled(value, slope, -slope * threshold)])
    elif not slope:
        limits = [step.constant(0), step.constant(most)]
        return step.node("Clip", [value, *limits]) if limited else step.node("Relu", [value])
    else:
        value = step.node("LeakyRelu", [value], alpha=float(slope))
    return step.node("Min", [value, step.constant(most)]) if limited else value


def _gelu(step: OnnxStep) -> str:
    """X (1 + erf(x / √2)) / 2, or with tanh(√(2 / π) (x + 0.044715 x³)) for erf."""
    (value,) = step.inputs
    if step.options.get("approximate"):
        slope = math.sqrt(2 / math.pi)
        inner = step.node("Mul", [value, step.scaled(step.node("Mul", [value, value]), 0.044715 * slope, slope)])
        bent = step.node("Tanh", [inner])
    else:
        bent = step.node("Erf", [step.scaled(value, math.sqrt(0.5), 0)])
    return step.node("Mul", [value, step.scaled(bent, 0.5, 0.5)])


def _by_node(kind: str, **attributes: Any) -> _Write:
    return lambda step: step.node(kind, step.inputs[:1], **attributes)


def _times(kind: str, **attributes: Any) -> _Write:
    return lambda step: step.node("Mul", [step.inputs[0], step.node(kind, step.inputs, **attributes)])


def _log_sigmoid(step: OnnxStep) -> str:
    return step.node("Neg", [step.node("Softplus", [step.node("Neg", step.inputs)])])


_ACTIVATIONS: Mapping[str, _Write] = {
    "relu": _relu,
    "sigmoid": _by_node("Sigmoid"),
    "tanh": _by_node("Tanh"),
    "exponential": _by_node("Exp"),
    "elu": lambda step: step.node("Elu", step.inputs, alpha=float(step.options.get("alpha", 1))),
    "selu": _by_node("Selu"),
    "gelu": _gelu,
    "silu": _times("Sigmoid"),
    "softplus": _by_node("Softplus"),
    "softsign": _by_node("Softsign"),
    "hard_sigmoid": _by_node("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": _times("HardSigmoid", alpha=1 / 6, beta=0.5),
    "log_sigmoid": _log_sigmoid,
    "square": lambda step: step.node("Mul", [*step.inputs, *step.inputs]),
    "sqrt": _by_node("Sqrt"),
    "reciprocal": _by_node("Reciprocal"),
    "negative": _by_node("Neg"),
    "log": _by_node("Log"),
}


def _activation(step: OnnxStep) -> str:
    return _ACTIVATIONS[step.options["name"]](step)


def _prelu(step: OnnxStep) -> str:
    """By PRelu where each channel has a slope, which is all that OpenCV knows; else max(x, 0) + α min(x, 0)."""
    (value,) = step.inputs
    alpha = step.operation.weights["alpha"]
    if step.first and alpha.size == alpha.shape[-1]:
        return step.node("PRelu", [value, step.beside(alpha)])
    below = step.node("Mul", [step.node("Min", [value, step.constant(0)]), step.beside(alpha)])
    return step.node("Add", [step.node("Relu", [value]), below])


def _log_mean_exp(step: OnnxStep) -> str:
    largest = step.node("Max", step.inputs)
    parts = [step.node("Exp", [step.node("Sub", [value, largest])]) for value in step.inputs]
    total = step.node("Log", [step.scaled(step.chain("Add", parts), 1 / len(parts), 0)])
    return step.node("Add", [largest, total])


def _average(step: OnnxStep) -> str:
    return step.scaled(step.chain("Add", step.inputs), 1 / len(step.inputs), 0)


def _concatenated(step: OnnxStep) -> str:
    return step.node("Concat", step.inputs, axis=step.axis(step.options["axis"]))


def _reshaped(step: OnnxStep) -> str:
    return step.node("Reshape", [step.inputs[0], step.constant([-1, *step.operation.shape], np.int64)])


def _transposed(step: OnnxStep) -> str:
    return step.node("Transpose", step.inputs, perm=[0, *(axis + 1 for axis in step.options["axes"])])


def _padded(step: OnnxStep) -> str:
    pads = [[0, 0]] * (len(step.shape) + 1)
    for axis, pair in enumerate(step.options["padding"]):
        pads[step.axis(axis)] = pair
    return step.node("Pad", [step.inputs[0], step.constant(_pads(pads), np.int64)])


def _cropped(step: OnnxStep) -> str:
    cropped = [axis for axis, pair in enumerate(step.options["cropping"]) if any(pair)]
    pairs = [step.options["cropping"][axis] for axis in cropped]
    ends = [step.shape[axis] - behind for axis, (_, behind) in zip(cropped, pairs, strict=True)]
    bounds = [[before for before, _ in pairs], ends, [step.axis(axis) for axis in cropped]]
    return step.node("Slice", [step.inputs[0], *(step.constant(bound, np.int64) for bound in bounds)])


def _flipped(step: OnnxStep) -> str:
    axis = step.options["axis"]
    places = np.arange(step.shape[axis])[::-1]
    return step.node("Gather", [step.inputs[0], step.constant(places, np.int64)], axis=step.axis(axis))


def _resized(step: OnnxStep) -> str:
    scales = [1.0, 1.0, *(_factor(*sides) for sides in zip(step.shape[:2], step.operation.shape[:2], strict=True))]
    nearest = {"mode": "nearest", "nearest_mode": "round_prefer_ceil"}
    attributes = {"mode": "linear"} if step.options["method"] == "bilinear" else nearest
    inputs = [step.inputs[0], "", step.constant(scales)]
    return step.node("Resize", inputs, coordinate_transformation_mode="half_pixel", **attributes)


def _factor(side: int, wanted: int) -> float:
    """What a side is multiplied by, so that the product, rounded down, is the side that is wanted."""
    factor = np.float32(wanted / side)
    while int(np.floor(np.float32(side) * factor)) < wanted:
        factor = np.nextafter(factor, np.float32(np.inf))
    return float(factor)


def _rounded_to_16_bits(step: OnnxStep) -> str:
    return step.node("Cast", [step.node("Cast", step.inputs, to=10)], to=1)  # 10: float16, 1: float32


def _layer_norm(step: OnnxStep) -> str:
    gamma, beta = step.weight("gamma"), step.weight("beta")
    ones = np.ones(step.shape[-1], np.float32) if gamma is None else gamma
    inputs = [step.inputs[0], step.constant(ones), *_given(step, beta)]
    return step.node("LayerNormalization", inputs, axis=-1, epsilon=float(step.options["epsilon"]))


ON_MAPS = ("convolution", "transposed_convolution", "max_pool", "average_pool", "resize")
EITHER_WAY = (
    *("scale", "dense", "activation", "prelu", "add", "multiply", "maximum", "minimum", "average", "subtract"),
    *("concatenate", "pad", "crop", "flip", "floor", "float16", "log_mean_exp"),
)
KINDS: Mapping[str, _Write] = {
    "scale": _scale,
    "dense": _dense,
    "convolution": _convolution,
    "transposed_convolution": _transposed_convolution,
    "max_pool": _pool("MaxPool"),
    "average_pool": _pool("AveragePool"),
    "mean": _reduced("GlobalAveragePool", "ReduceMean"),
    "max": _reduced("GlobalMaxPool", "ReduceMax"),
    "activation": _activation,
    "prelu": _prelu,
    "softmax": _by_node("Softmax", axis=-1),
    "log_softmax": _by_node("LogSoftmax", axis=-1),
    "log_mean_exp": _log_mean_exp,
    "add": lambda step: step.chain("Add", step.inputs),
    "multiply": lambda step: step.chain("Mul", step.inputs),
    "maximum": lambda step: step.node("Max", step.inputs),
    "minimum": lambda step: step.node("Min", step.inputs),
    "average": _average,
    "subtract": lambda step: step.node("Sub", step.inputs),
    "concatenate": _concatenated,
    "reshape": _reshaped,
    "transpose": _transposed,
    "pad": _padded,
    "crop": _cropped,
    "resize": _resized,
    "flip": _flipped,
    "floor": _by_node("Floor"),
    "float16": _rounded_to_16_bits,
    "layer_norm": _layer_norm,
    "matmul": lambda step: step.node("MatMul", step.inputs),
}
