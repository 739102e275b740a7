"""The frozen part of a network as a `Graph`, and onnxruntime, which runs it.

onnxruntime takes a tenth of the time of XLA for depthwise convolutions on a CPU (docs/decisions.md). Graphs take images
of 0 to 255, `(n, size, size, 3)`, and give `features`: rows, or maps of `(n, height, width, channels)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fittingroom.backbones.inverted_residuals import NORM_EPSILON, PIXEL_OFFSET, PIXEL_SCALE, Convolution, Network
from fittingroom.errors import ModelError, missing_extra
from fittingroom.networks.from_keras import add_network
from fittingroom.networks.graph import Array, Graph
from fittingroom.networks.graph_builder import GraphBuilder
from fittingroom.networks.onnx_writer import onnx_bytes, to_onnx

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""How Pillow weighs red, green and blue."""


def start_session(graph: Graph) -> Any:
    """A session of onnxruntime that works on one core: two threads that call it are faster than two within it.

    Raises:
        InputError: onnx or onnxruntime is not installed.
    """
    try:
        import onnx  # noqa: F401 - so that the message names this extra
        import onnxruntime
    except ImportError as error:
        raise missing_extra("a pretrained backbone", "pretrained") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(onnx_bytes(to_onnx(graph)), options, providers=["CPUExecutionProvider"])


def keras_graph(structure: Mapping[str, Any], weights: Mapping[str, Array], end: str) -> Graph:
    """A Keras model up to a layer. One that takes grey images sees the brightness of colours.

    Args:
        structure: of a functional model, as plain data.
        weights: by path, as `networks/from_keras.py` has them.
        end: the layer or operation whose output is wanted.

    Raises:
        ModelError: a graph cannot hold a layer, which is named.
    """
    builder, value = _keras_operations(structure, weights, end)
    return builder.graph({"features": value})


def is_known(structure: Mapping[str, Any], weights: Mapping[str, Array], end: str) -> bool:
    """Whether a graph can be made of a Keras model up to a layer."""
    try:
        _keras_operations(structure, weights, end)
    except ModelError:
        return False
    return True


def _keras_operations(structure: Mapping[str, Any], weights: Mapping[str, Array], end: str) -> tuple[GraphBuilder, str]:
    size, _, *channels = structure["config"]["layers"][0]["config"]["batch_shape"][1:]
    builder = GraphBuilder((size, size, 3), "uint8")
    value = "images"
    if channels != [3]:
        value = builder.add("dense", [value], weights={"kernel": GREY[:, None]})
        value = builder.add("reshape", [value], shape=(size, size, *channels))
    return builder, add_network(builder, value, structure, weights, end)


def lite_graph(network: Network, weights: Mapping[str, Array], unfreeze: int, *, pooled: bool) -> Graph:
    """A network of inverted residuals without its last blocks.

    Args:
        network: the network.
        weights: by the names of `Network.weight_shapes`.
        unfreeze: how many of the last blocks are left out.
        pooled: whether the mean over the places follows.
    """
    builder = GraphBuilder((network.input_size, network.input_size, 3), "uint8")
    pixels = {"scale": 1 / PIXEL_SCALE, "offset": -PIXEL_OFFSET / PIXEL_SCALE}
    value = builder.add("scale", ["images"], weights=pixels)
    for block in network.blocks[: len(network.blocks) - unfreeze]:
        before = value
        for convolution in block.convolutions:
            value = _convolved(builder, value, convolution, weights)
        if block.residual:
            value = builder.add("add", [before, value])
    if pooled:
        value = builder.add("mean", [value], axes=[0, 1], keepdims=False)
    return builder.graph({"features": value})


def _convolved(builder: GraphBuilder, value: str, convolution: Convolution, weights: Mapping[str, Array]) -> str:
    """A convolution with TensorFlow's padding, its batch normalisation, and ReLU6."""
    kernel = weights[f"{convolution.name}_conv/kernel"]
    padding = []
    for side in builder.shape(value)[:2]:
        after = math.ceil(side / convolution.stride)
        total = max((after - 1) * convolution.stride + convolution.kernel - side, 0)
        padding.append([total // 2, total - total // 2])
    if convolution.depthwise:  # of height × width × channels × 1
        kernel = kernel.transpose(0, 1, 3, 2)
    value = builder.add(
        "convolution",
        [value],
        weights={"kernel": kernel},
        strides=[convolution.stride] * 2,
        dilation=[1, 1],
        padding=padding,
        groups=convolution.channels[0] if convolution.depthwise else 1,
    )
    gamma, beta, mean, variance = (
        weights[f"{convolution.name}_norm/{part}"].astype(np.float64)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + NORM_EPSILON)
    value = builder.add("scale", [value], weights={"scale": scale, "offset": beta - mean * scale})
    if not convolution.activation:
        return value
    return builder.add("activation", [value], name="relu", max_value=6.0, negative_slope=0.0, threshold=0.0)
