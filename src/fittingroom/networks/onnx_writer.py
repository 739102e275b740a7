"""A `Graph` as an ONNX model.

ONNX convolves maps of `(n, channels, height, width)`. A value is turned round only where the next operation wants it
the other way, so that a chain of convolutions is turned once at its beginning and once at its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.errors import ModelError, missing_extra
from fittingroom.networks.graph import Array, Graph, Operation
from fittingroom.networks.onnx_operations import EITHER_WAY, KINDS, ON_MAPS, OnnxStep, turned

if TYPE_CHECKING:
    import onnx

OPSET = 17
IR_VERSION = 8
"""What onnxruntime has known since 2022."""


def to_onnx(
    graph: Graph, *, name: str = "fittingroom", metadata: Mapping[str, str] | None = None, extra: str = "export"
) -> onnx.ModelProto:
    """A graph from `images` to its outputs under their names, for any number of images.

    Args:
        graph: the network.
        name: of the graph.
        metadata: written into `metadata_props`.
        extra: named where the package onnx is missing.

    Raises:
        InputError: onnx is not installed.
        ModelError: an operation has no form in ONNX; the layer is named.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing_extra("writing ONNX", extra) from error
    writer = _Writer(onnx, graph)
    for operation in graph.operations:
        writer.write(operation)
    helper, types = onnx.helper, onnx.TensorProto
    for output, value in graph.outputs.items():
        writer.node("Identity", [writer.last(value)], output=output)
    used = {given for node in writer.nodes for given in node.input}
    image_type = types.UINT8 if graph.image_type == "uint8" else types.FLOAT
    body = helper.make_graph(
        writer.nodes,
        name,
        [helper.make_tensor_value_info("images", image_type, ["n", *graph.image_shape])],
        [
            helper.make_tensor_value_info(output, types.FLOAT, ["n", *graph.shape_of(value)])
            for output, value in graph.outputs.items()
        ],
        [constant for constant in writer.constants if constant.name in used],
    )
    model = helper.make_model(
        body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="fittingroom"
    )
    helper.set_model_props(model, dict(metadata or {}))
    return model


def onnx_bytes(model: onnx.ModelProto) -> bytes:
    """A model as a file, the same bytes every time."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class _Writer:
    """The nodes and constants in the making."""

    def __init__(self, package: Any, graph: Graph) -> None:
        self._onnx = package
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._constant_names: dict[tuple[Any, ...], str] = {}
        self._shapes = {"images": graph.image_shape, **{each.output: each.shape for each in graph.operations}}
        self._fixed: dict[str, Array] = {}  # values that are the same for all images
        images = "images" if graph.image_type == "float32" else self.node("Cast", ["images"], to=1)  # 1: float32
        self._known: dict[str, dict[bool, str]] = {"images": {False: images}}  # by whether channels come first

    def node(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output, and gives the name of that."""
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Adds an array once, and gives its name."""
        array = np.ascontiguousarray(value, dtype).reshape(np.shape(value))
        key = (array.shape, array.dtype.str, array.tobytes())
        if key not in self._constant_names:
            name = self._constant_names[key] = f"constant_{len(self.constants)}"
            self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return self._constant_names[key]

    def write(self, operation: Operation) -> None:
        """Adds the nodes of an operation."""
        if operation.kind == "constant":
            self._fixed[operation.output] = operation.weights["value"]
            return
        write = KINDS.get(operation.kind)
        if write is None:
            raise ModelError(f"The layer {operation.layer!r} cannot be written as ONNX: it is a {operation.kind}.")
        if not any(name in self._known for name in operation.inputs):
            raise ModelError(f"The layer {operation.layer!r} cannot be written as ONNX: it takes no images.")
        first = self._channels_first(operation)
        inputs = [self.value(name, first=first) for name in operation.inputs]
        shape = self._shapes[operation.inputs[0]]
        written = write(OnnxStep(operation, first, inputs, shape, self.node, self.constant))
        self._known[operation.output] = {first and len(operation.shape) == 3: written}  # pooled maps are rows

    def _channels_first(self, operation: Operation) -> bool:
        """Whether an operation works on maps whose channels come first."""
        if operation.kind in ON_MAPS:
            return True
        if operation.kind in ("mean", "max") and operation.options["axes"] == [0, 1]:
            return len(self._shapes[operation.inputs[0]]) == 3 and not operation.options["keepdims"]
        if operation.kind not in EITHER_WAY or len(operation.shape) != 3:
            return False
        given = next(name for name in operation.inputs if name in self._known)
        return len(self._shapes[given]) == 3 and next(iter(self._known[given]))

    def last(self, name: str) -> str:
        """A value as Keras has it."""
        return self.value(name, first=False)

    def value(self, name: str, *, first: bool) -> str:
        """A value with its channels where they are wanted."""
        if name in self._fixed:
            return self.constant(turned(self._fixed[name]) if first else self._fixed[name])
        forms = self._known[name]
        if first not in forms:
            order = [0, 3, 1, 2] if first else [0, 2, 3, 1]
            forms[first] = self.node("Transpose", [forms[not first]], perm=order)
        return forms[first]
