"""A network as operators of TensorFlow Lite: what each kind of a `Graph` becomes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fittingroom.errors import ModelError
from fittingroom.exports import tflite_activations as activations
from fittingroom.exports.tflite_program import NONE, LiteProgram, LiteTensor
from fittingroom.networks.graph import Graph, Operation

Array = np.ndarray[Any, Any]
Pairs = Sequence[Sequence[int]]

_FUSED = {"RELU", "RELU6"}
_TAKES_ACTIVATION = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL", "SUB"}
_LOWEST = np.float32(np.finfo(np.float32).min)


def to_tflite(graph: Graph, outputs: Sequence[str]) -> LiteProgram:
    """The operators of a network.

    Args:
        graph: the network.
        outputs: names of those of its outputs that are asked for; what only others need is left out.

    Raises:
        ModelError: TensorFlow Lite has no operator for what a layer does.
    """
    return _Lowering(graph, outputs).program


def _needed(graph: Graph, outputs: Sequence[str]) -> list[Operation]:
    needed = {graph.outputs[name] for name in outputs}
    kept = []
    for operation in reversed(graph.operations):
        if operation.output in needed:
            kept.append(operation)
            needed.update(operation.inputs)
    return kept[::-1]


class _Lowering:
    """The operators of a network in the making."""

    def __init__(self, graph: Graph, outputs: Sequence[str]) -> None:
        self.program = LiteProgram()
        operations = _needed(graph, outputs)
        values = [graph.outputs[name] for name in outputs]
        self._uses = Counter([value for operation in operations for value in operation.inputs] + values)
        images = self.program.tensor(LiteTensor("images", graph.image_shape, graph.image_type))
        self.program.inputs["images"] = images
        numbers = images
        if graph.image_type != "float32" and operations:
            options = {"from": graph.image_type, "to": "float32"}
            numbers = self.program.add("CAST", [images], LiteTensor("pixels", graph.image_shape), **options)
        self._places = {"images": numbers}
        for operation in operations:
            self._places[operation.output] = self._lowered(operation)
        for name, value in zip(outputs, values, strict=True):
            place = self._places[value]
            if place in (images, *self.program.outputs.values()):
                raise ModelError(f"the output {name!r} of the network is another value already")
            self.program.outputs[name] = place
            self.program.tensors[place] = dataclasses.replace(self.program.tensors[place], name=name)

    def _lowered(self, operation: Operation) -> int:
        lower = _LOWERINGS.get(operation.kind)
        if lower is None:
            raise _refusal(operation, operation.kind)
        return lower(self, operation, [self._places[value] for value in operation.inputs])

    # Helpers

    def shape(self, place: int) -> tuple[int, ...]:
        return self.program.tensors[place].shape

    def constant(self, value: Any, dtype: Any = np.float32) -> int:
        return self.program.constant(np.asarray(value, dtype))

    def step(self, kind: str, inputs: Sequence[int], operation: Operation, **options: Any) -> int:
        """Adds an operator whose value has the operation's shape."""
        return self.value(kind, inputs, operation.shape, operation.output, **options)

    def value(self, kind: str, inputs: Sequence[int], shape: Sequence[int], name: str = "", **options: Any) -> int:
        """Adds an operator whose value has this shape for one image."""
        tensor = LiteTensor(name or f"{kind.lower()}{len(self.program.tensors)}", tuple(shape))
        return self.program.add(kind, inputs, tensor, **options)

    def alike(self, kind: str, places: Sequence[int], **options: Any) -> int:
        """Adds an operator whose value has the broadcast shape of what it takes."""
        shapes = [self.shape(place) for place in places]
        return self.value(kind, places, np.broadcast_shapes(*shapes), **options)

    def compared(self, place: int, threshold: float) -> int:
        """1.0 where a value is at least a threshold, and 0.0 elsewhere."""
        shape = self.shape(place)
        mask = LiteTensor(f"mask{len(self.program.tensors)}", shape, "bool")
        truth = self.program.add("GREATER_EQUAL", [place, self.constant([threshold])], mask)
        return self.value("CAST", [truth], shape, **{"from": "bool", "to": "float32"})

    def padded(self, place: int, padding: Pairs, value: float = 0.0) -> int:
        """Borders around the axes of one image."""
        before = self.shape(place)
        shape = tuple(size + sum(pair) for size, pair in zip(before, padding, strict=True))
        pairs = self.constant([(0, 0), *padding], np.int32)
        if value == 0:
            return self.value("PAD", [place, pairs], shape)
        return self.value("PADV2", [place, pairs, self.constant(value)], shape)

    def with_count(self, shape: Sequence[int]) -> int:
        """The place of a shape that begins with how many images there are."""
        images = self.program.inputs["images"]
        rank = len(self.shape(images)) + 1

        def shape_part(kind: str, inputs: Sequence[int], size: int, **options: Any) -> int:
            tensor = LiteTensor(f"shape{len(self.program.tensors)}", (size,), "int32", per_image=False)
            return self.program.add(kind, inputs, tensor, **options)

        whole = shape_part("SHAPE", [images], rank, to="int32")
        count = shape_part("SLICE", [whole, self.constant([0], np.int32), self.constant([1], np.int32)], 1)
        return shape_part("CONCATENATION", [count, self.constant(shape, np.int32)], len(shape) + 1, axis=0)

    def per_image(self, place: int) -> int:
        """A constant as a value that each image has."""
        tensor = self.program.tensors[place]
        if tensor.data is None:
            return place
        return self.value("BROADCAST_TO", [place, self.with_count(tensor.shape)], tensor.shape)

    def same_rank(self, places: Sequence[int]) -> list[int]:
        """Values with axes of one place before theirs, until all have as many: the images come before these."""
        rank = max(len(self.shape(place)) for place in places)
        return [place if self.program.tensors[place].data is not None else self.of_rank(place, rank)
                for place in places]  # fmt: skip

    def of_rank(self, place: int, rank: int) -> int:
        shape = self.shape(place)
        if len(shape) == rank:
            return place
        return self.reshaped(place, (1,) * (rank - len(shape)) + shape)

    def reshaped(self, place: int, shape: Sequence[int]) -> int:
        return self.value("RESHAPE", [place, self.constant([-1, *shape], np.int32)], shape)

    def fused(self, kind: str, operation: Operation, place: int) -> bool:
        """Gives an activation to the operator before it, where that can take one and nothing else sees its value."""
        last = self.program.operators[-1] if self.program.operators else None
        if (
            kind not in _FUSED
            or last is None
            or last.output != place
            or last.kind not in _TAKES_ACTIVATION
            or last.options.get("activation")
            or self._uses[operation.inputs[0]] != 1
        ):
            return False
        self.program.operators[-1] = dataclasses.replace(last, options={**last.options, "activation": kind})
        return True


def _refusal(operation: Operation, what: str) -> ModelError:
    layer = f"layer {operation.layer!r}" if operation.layer else "the network"
    return ModelError(f"{layer} needs {what}, which a TFLite file cannot hold here. Export to onnx instead.")


Lower = Callable[[_Lowering, Operation, list[int]], int]


def _scale(net: _Lowering, operation: Operation, places: list[int]) -> int:
    place = places[0]
    for kind, name, nothing in (("MUL", "scale", 1.0), ("ADD", "offset", 0.0)):
        weight = operation.weights.get(name)
        if weight is not None and np.any(weight != nothing):
            place = net.step(kind, [place, net.constant(np.atleast_1d(weight))], operation)
    return place


def _dense(net: _Lowering, operation: Operation, places: list[int]) -> int:
    kernel, bias = operation.weights["kernel"], operation.weights.get("bias")
    inputs = [places[0], net.constant(kernel.T), NONE if bias is None else net.constant(bias)]
    return net.step("FULLY_CONNECTED", inputs, operation, keep_axes=len(operation.shape) > 1)


def _convolution(net: _Lowering, operation: Operation, places: list[int]) -> int:
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
    net: _Lowering, operation: Operation, place: int, reach: Sequence[int], border: float = 0.0
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


def _transposed_convolution(net: _Lowering, operation: Operation, places: list[int]) -> int:
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


def _cropped(net: _Lowering, place: int, cropping: Pairs, operation: Operation) -> int:
    if not np.any(cropping):
        return place
    start = net.constant([0, *(pair[0] for pair in cropping)], np.int32)
    size = net.constant([-1, *operation.shape], np.int32)
    return net.step("SLICE", [place, start, size], operation)


def _max_pool(net: _Lowering, operation: Operation, places: list[int]) -> int:
    height, width = operation.options["size"]
    place, options = _windowed(net, operation, places[0], (height, width), float(_LOWEST))
    return net.step("MAX_POOL_2D", [place], operation, height=height, width=width, **options)


def _average_pool(net: _Lowering, operation: Operation, places: list[int]) -> int:
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
    def lower(net: _Lowering, operation: Operation, places: list[int]) -> int:
        rank = len(net.shape(places[0]))
        axes = sorted(int(axis) % rank + 1 for axis in operation.options["axes"])
        keepdims = bool(operation.options.get("keepdims", False))
        return net.step(kind, [places[0], net.constant(axes, np.int32)], operation, keepdims=keepdims)

    return lower


def _activation(net: _Lowering, operation: Operation, places: list[int]) -> int:
    options = dict(operation.options)
    name = options.pop("name")
    kind = activations.single_operator(name, options)
    if kind is not None and net.fused(kind, operation, places[0]):
        return places[0]
    place = activations.lowered(net, name, options, places[0])
    if place is None:
        raise _refusal(operation, f"the activation {name!r}")
    return place


def _prelu(net: _Lowering, operation: Operation, places: list[int]) -> int:
    alpha = operation.weights["alpha"]
    rank = len(operation.shape)
    return net.step(
        "PRELU", [places[0], net.constant(alpha.reshape((1,) * (rank - alpha.ndim) + alpha.shape))], operation
    )


def _log_mean_exp(net: _Lowering, operation: Operation, places: list[int]) -> int:
    if len(places) == 1:
        return places[0]
    largest = _chained(net, "MAXIMUM", places)
    total = _chained(net, "ADD", [net.alike("EXP", [net.alike("SUB", [place, largest])]) for place in places])
    mean = net.alike("LOG", [net.alike("MUL", [total, net.constant([1 / len(places)])])])
    return net.step("ADD", [mean, largest], operation)


def _chained(net: _Lowering, kind: str, places: Sequence[int]) -> int:
    place = places[0]
    for other in places[1:]:
        place = net.alike(kind, [place, other])
    return place


def _merge(kind: str) -> Lower:
    return lambda net, _, places: _chained(net, kind, net.same_rank(places))


def _average(net: _Lowering, operation: Operation, places: list[int]) -> int:
    total = _chained(net, "ADD", net.same_rank(places))
    return net.step("MUL", [total, net.constant([1 / len(places)])], operation)


def _concatenate(net: _Lowering, operation: Operation, places: list[int]) -> int:
    axis = int(operation.options.get("axis", -1)) % len(operation.shape) + 1
    return net.step("CONCATENATION", [net.per_image(place) for place in places], operation, axis=axis)


def _reshape(net: _Lowering, operation: Operation, places: list[int]) -> int:
    if net.shape(places[0]) == operation.shape:
        return places[0]
    return net.step("RESHAPE", [places[0], net.constant([-1, *operation.shape], np.int32)], operation)


def _transpose(net: _Lowering, operation: Operation, places: list[int]) -> int:
    axes = [0, *(int(axis) + 1 for axis in operation.options["axes"])]
    return net.step("TRANSPOSE", [places[0], net.constant(axes, np.int32)], operation)


def _resize(net: _Lowering, operation: Operation, places: list[int]) -> int:
    kind = {"bilinear": "RESIZE_BILINEAR", "nearest": "RESIZE_NEAREST_NEIGHBOR"}.get(operation.options["method"])
    if kind is None:
        raise _refusal(operation, f"resizing by {operation.options['method']!r}")
    return net.step(kind, [places[0], net.constant(operation.shape[:2], np.int32)], operation, half_pixel=True)


def _flip(net: _Lowering, operation: Operation, places: list[int]) -> int:
    axis = int(operation.options["axis"]) % len(operation.shape) + 1
    return net.step("REVERSE_V2", [places[0], net.constant([axis], np.int32)], operation)


def _layer_norm(net: _Lowering, operation: Operation, places: list[int]) -> int:
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


def _matmul(net: _Lowering, operation: Operation, places: list[int]) -> int:
    return net.step("BATCH_MATMUL", [net.per_image(place) for place in places], operation)


def _float16(net: _Lowering, operation: Operation, places: list[int]) -> int:
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
