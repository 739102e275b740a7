"""A Keras model, as plain data, as an ONNX graph: the layers of image networks, without importing Keras.

It is for models whose every layer is known here; of any other, `is_known` says no, and Keras runs it. Maps are
`(n, channels, height, width)` within the graph, rows of features `(n, channels)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.backbones.onnx_graph import OnnxNodes

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]
Layer = dict[str, Any]


def is_known(structure: Layer) -> bool:
    """Whether a graph can be made of a model: a functional one from an RGB image, of layers that are known here."""
    layers = structure.get("config", {}).get("layers", [])
    if structure.get("class_name") != "Functional" or len(layers) < 2:
        return False
    image, *rest = layers
    colours = image["class_name"] == "InputLayer" and image["config"]["batch_shape"][3:] == [3]
    return colours and all(len(layer["inbound_nodes"]) == 1 and _is_known_layer(layer) for layer in rest)


def keras_graph(structure: Layer, weights: Mapping[str, Array], end: str, shape: tuple[int, ...]) -> onnx.ModelProto:
    """The graph from `images` (uint8, n × size × size × 3) to `features`, which one layer gives.

    Args:
        structure: of a model that `is_known`.
        weights: by the paths of Keras.
        end: the layer or operation.
        shape: of what it gives for one image, as Keras has it.
    """
    graph = _KerasGraph(weights)
    image, *layers = structure["config"]["layers"]
    values = {image["name"]: graph.pixels()}
    for layer in layers:
        items = list(_flat(layer["inbound_nodes"][0]["args"]))
        tensors = [item for item in items if isinstance(item, dict)]
        inputs = [
            values[item["config"]["keras_history"][0]] if isinstance(item, dict) else graph.channels(item)
            for item in items
        ]
        values[layer["name"]] = graph.apply(layer, inputs, tuple(tensors[0]["config"]["shape"][1:]), layer["name"])
        if layer["name"] == end:
            break
    if len(shape) == 3:
        graph.node("Transpose", [values[end]], perm=[0, 2, 3, 1])
    else:
        graph.node("Identity", [values[end]])
    return graph.model(image["config"]["batch_shape"][1], shape)


def before_pooling(structure: Layer) -> tuple[str, tuple[int, ...]] | None:
    """The layer before the last pooling, and the shape of its maps for one image; None where there is none."""
    for layer in structure["config"]["layers"]:
        if layer["name"] == "pool":
            tensor = next(_flat(layer["inbound_nodes"][0]["args"]))["config"]
            return tensor["keras_history"][0], tuple(tensor["shape"][1:])
    return None


def _is_known_layer(layer: Layer) -> bool:
    name, config = layer["class_name"], layer["config"]
    if name == "Sequential":
        parts = [part for part in config["layers"] if part["class_name"] != "InputLayer"]
        return all(_is_known_layer(part) and part["config"].get("padding") != "same" for part in parts)
    plain = (
        config.get("data_format", "channels_last") == "channels_last"
        and config.get("activation", "linear") in _ACTIVATIONS
        and np.ravel(config.get("axis", -1)).tolist() in ([-1], [3])
        and not any(config.get(key) for key in ("negative_slope", "threshold", "rms_scaling", "invert"))
        and set(np.ravel(config.get("dilation_rate", 1)).tolist()) == {1}
    )
    return plain and name in _LAYERS and (name != "Reshape" or config["target_shape"][:2] == [1, 1])


def _flat(item: Any) -> Iterator[Any]:
    if isinstance(item, list):
        for part in item:
            yield from _flat(part)
    else:
        yield item


class _KerasGraph(OnnxNodes):
    """The graph in the making."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        super().__init__()
        self._weights = weights

    def pixels(self) -> str:
        """The images as maps of floats."""
        return self.node("Transpose", [self.node("Cast", ["images"], to=1)], perm=[0, 3, 1, 2])  # 1: float32

    def channels(self, value: Any) -> str:
        """A number, or one for each channel, beside maps."""
        array = np.asarray(value, np.float32)
        return self.constant(array if array.size == 1 else array.reshape(-1, 1, 1))

    def apply(self, layer: Layer, inputs: list[str], shape: tuple[int, ...], path: str) -> str:
        """What a layer makes of values.

        Args:
            layer: as plain data.
            inputs: the values.
            shape: of the first for one image, as Keras has it.
            path: what the names of the layer's weights begin with.
        """
        if layer["class_name"] == "Sequential":
            (value,) = inputs
            for part in layer["config"]["layers"]:
                if part["class_name"] != "InputLayer":
                    value = self.apply(part, [value], shape, f"{path}/{part['config']['name']}")
            return value
        value = _LAYERS[layer["class_name"]](_Step(self, inputs, layer["config"], path, shape))
        return _ACTIVATIONS[layer["config"].get("activation", "linear")](self, value)

    def weight(self, path: str, name: str) -> Array | None:
        """The weight of a layer; None where it has none of this name."""
        return self._weights.get(f"{path}/{name}")

    def needed(self, path: str, name: str) -> Array:
        """The weight of a layer that cannot be without."""
        return self._weights[f"{path}/{name}"]

    def convolution(
        self, value: str, kernel: Array, bias: Array | None, window: dict[str, Any] | None = None, groups: int = 1
    ) -> str:
        """A convolution with a kernel of out × in × height × width."""
        constants = [self.constant(np.ascontiguousarray(kernel))]
        if bias is not None:
            constants.append(self.constant(bias))
        return self.node("Conv", [value, *constants], group=groups, **(window or {}))

    def scaled(self, value: str, scale: Any, offset: Any) -> str:
        """A value times a scale plus an offset, numbers or one for each channel."""
        return self.node("Add", [self.node("Mul", [value, self.channels(scale)]), self.channels(offset)])


@dataclass(frozen=True)
class _Step:
    """A layer at its place in the graph.

    Args:
        graph: what its nodes are added to.
        inputs: the values that it takes.
        config: its configuration in Keras.
        path: what the names of its weights begin with.
        shape: of its first input for one image, as Keras has it.
    """

    graph: _KerasGraph
    inputs: list[str]
    config: Layer
    path: str
    shape: tuple[int, ...]

    @property
    def takes_maps(self) -> bool:
        """Whether its first input is maps, not a row of features."""
        return len(self.shape) == 3

    def window(self, kernel: Sequence[int]) -> dict[str, Any]:
        """How a window of a convolution or of a pooling moves, with TensorFlow's padding."""
        strides = np.broadcast_to(self.config.get("strides") or kernel, 2).tolist()
        if self.config.get("padding") != "same":
            return {"strides": strides}
        sides = zip(self.shape, kernel, strides, strict=False)
        pads = [max((math.ceil(side / stride) - 1) * stride + size - side, 0) for side, size, stride in sides]
        before = [pad // 2 for pad in pads]
        return {"strides": strides, "pads": [*before, *(pad - half for pad, half in zip(pads, before, strict=True))]}


_Make = Callable[[_Step], str]


def _rescaling(step: _Step) -> str:
    return step.graph.scaled(step.inputs[0], step.config["scale"], step.config["offset"])


def _normalization(step: _Step) -> str:
    mean, variance = step.config["mean"], step.config["variance"]
    if mean is None:
        mean, variance = step.graph.needed(step.path, "mean"), step.graph.needed(step.path, "variance")
    deviation = np.maximum(np.sqrt(np.ravel(variance)), 1e-7)  # Keras's epsilon
    return step.graph.scaled(step.inputs[0], 1 / deviation, -np.ravel(mean) / deviation)


def _convolution(step: _Step) -> str:
    kernel = step.graph.needed(step.path, "kernel")
    window, groups = step.window(kernel.shape[:2]), step.config.get("groups", 1)
    bias = step.graph.weight(step.path, "bias")
    return step.graph.convolution(step.inputs[0], kernel.transpose(3, 2, 0, 1), bias, window, groups)


def _depthwise(step: _Step) -> str:
    return _filtered(step, step.graph.needed(step.path, "kernel"), step.graph.weight(step.path, "bias"))


def _filtered(step: _Step, kernel: Array, bias: Array | None) -> str:
    """Each channel filtered alone, by a kernel of height × width × channels × filters."""
    height, width, channels, filters = kernel.shape
    window = step.window((height, width))
    kernel = kernel.transpose(2, 3, 0, 1).reshape(channels * filters, 1, height, width)
    return step.graph.convolution(step.inputs[0], kernel, bias, window, channels)


def _separable(step: _Step) -> str:
    value = _filtered(step, step.graph.needed(step.path, "depthwise_kernel"), None)
    kernel = step.graph.needed(step.path, "pointwise_kernel").transpose(3, 2, 0, 1)
    return step.graph.convolution(value, kernel, step.graph.weight(step.path, "bias"))


def _dense(step: _Step) -> str:
    kernel, bias = step.graph.needed(step.path, "kernel"), step.graph.weight(step.path, "bias")
    if step.takes_maps:
        return step.graph.convolution(step.inputs[0], kernel.T[:, :, None, None], bias)
    value = step.graph.node("MatMul", [step.inputs[0], step.graph.constant(kernel)])
    return value if bias is None else step.graph.node("Add", [value, step.graph.constant(bias)])


def _batch_norm(step: _Step) -> str:
    mean, variance = step.graph.needed(step.path, "moving_mean"), step.graph.needed(step.path, "moving_variance")
    gamma, beta = step.graph.weight(step.path, "gamma"), step.graph.weight(step.path, "beta")
    parts = (
        np.ones_like(mean) if gamma is None else gamma,
        np.zeros_like(mean) if beta is None else beta,
        mean,
        variance,
    )
    constants = [step.graph.constant(part) for part in parts]
    return step.graph.node("BatchNormalization", [step.inputs[0], *constants], epsilon=step.config["epsilon"])


def _layer_norm(step: _Step) -> str:
    value = step.graph.node("Transpose", step.inputs, perm=[0, 2, 3, 1]) if step.takes_maps else step.inputs[0]
    gamma, beta = step.graph.weight(step.path, "gamma"), step.graph.weight(step.path, "beta")
    size = next(part.shape for part in (gamma, beta) if part is not None)
    scale, offset = (np.ones(size, np.float32) if gamma is None else gamma), beta
    constants = [step.graph.constant(part) for part in (scale, offset) if part is not None]
    value = step.graph.node("LayerNormalization", [value, *constants], axis=-1, epsilon=step.config["epsilon"])
    return step.graph.node("Transpose", [value], perm=[0, 3, 1, 2]) if step.takes_maps else value


def _relu(step: _Step) -> str:
    most = step.config.get("max_value")
    limits = [step.graph.constant(np.float32(0)), *([] if most is None else [step.graph.constant(np.float32(most))])]
    return step.graph.node("Clip", [step.inputs[0], *limits])


def _same(step: _Step) -> str:
    return step.inputs[0]


def _folded(kind: str) -> _Make:
    """An operation of two values, or of several in turn."""

    def make(step: _Step) -> str:
        value, *others = step.inputs
        for other in others:
            value = step.graph.node(kind, [value, other])
        return value

    return make


def _joined(step: _Step) -> str:
    return step.graph.node("Concat", step.inputs, axis=1)


def _padded(step: _Step) -> str:
    (top, bottom), (left, right) = step.config["padding"]
    pads = step.graph.constant(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    return step.graph.node("Pad", [step.inputs[0], pads])


def _pooled(kind: str) -> _Make:
    def make(step: _Step) -> str:
        return step.graph.node(
            kind, step.inputs, kernel_shape=list(step.config["pool_size"]), **step.window(step.config["pool_size"])
        )

    return make


def _pooled_whole(kind: str) -> _Make:
    def make(step: _Step) -> str:
        value = step.graph.node(kind, step.inputs)
        return value if step.config.get("keepdims") else step.graph.node("Flatten", [value])

    return make


def _as_map(step: _Step) -> str:
    """A row of numbers as maps of one place."""
    return (
        step.graph.node("Unsqueeze", [step.inputs[0], step.graph.constant(np.array([2, 3]))])
        if not step.takes_maps
        else step.inputs[0]
    )


def _layer_scale(step: _Step) -> str:
    return step.graph.node("Mul", [step.inputs[0], step.graph.channels(step.graph.needed(step.path, "variable"))])


def _custom_scale(step: _Step) -> str:
    return step.graph.node(
        "Add", [step.inputs[0], step.graph.node("Mul", [step.inputs[1], step.graph.channels(step.config["scale"])])]
    )


_LAYERS: dict[str, _Make] = {
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "ReLU": _relu,
    "Activation": _same,
    "Dropout": _same,
    "SpatialDropout2D": _same,
    "Add": _folded("Add"),
    "Subtract": _folded("Sub"),
    "Multiply": _folded("Mul"),
    "Concatenate": _joined,
    "ZeroPadding2D": _padded,
    "MaxPooling2D": _pooled("MaxPool"),
    "AveragePooling2D": _pooled("AveragePool"),
    "GlobalAveragePooling2D": _pooled_whole("GlobalAveragePool"),
    "GlobalMaxPooling2D": _pooled_whole("GlobalMaxPool"),
    "Reshape": _as_map,
    "LayerScale": _layer_scale,
    "CustomScaleLayer": _custom_scale,
}
"""What makes nodes of a layer or another operation of Keras."""


def _node_of(kind: str, **attributes: Any) -> Callable[[_KerasGraph, str], str]:
    return lambda graph, value: graph.node(kind, [value], **attributes)


def _swish(graph: _KerasGraph, value: str) -> str:
    return graph.node("Mul", [value, graph.node("Sigmoid", [value])])


def _gelu(graph: _KerasGraph, value: str) -> str:
    """X (1 + erf(x / √2)) / 2."""
    bent = graph.node("Erf", [graph.node("Mul", [value, graph.channels(0.5**0.5)])])
    return graph.node("Mul", [value, graph.scaled(bent, 0.5, 0.5)])


def _hard_swish(graph: _KerasGraph, value: str) -> str:
    return graph.node("Mul", [value, graph.node("HardSigmoid", [value], alpha=1 / 6, beta=0.5)])


_ACTIVATIONS: dict[str, Callable[[_KerasGraph, str], str]] = {
    "linear": lambda _, value: value,
    "relu": _node_of("Relu"),
    "relu6": lambda graph, value: _relu(_Step(graph, [value], {"max_value": 6}, "", ())),
    "sigmoid": _node_of("Sigmoid"),
    "tanh": _node_of("Tanh"),
    "silu": _swish,
    "swish": _swish,
    "gelu": _gelu,
    "hard_sigmoid": _node_of("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": _hard_swish,
    "hard_swish": _hard_swish,
}
