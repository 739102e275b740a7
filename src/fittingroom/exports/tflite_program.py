"""TensorFlow Lite's own form of a network, tensors and operators, and the file that holds it.

Schema version 3, written without TensorFlow. Slots of fields, codes of operators and their versions are those of
`schema.fbs` and `op_version.cc` in TensorFlow Lite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fittingroom.exports.flatbuffer_table import Blob, Table, encode

Array = np.ndarray[Any, Any]

SIGNATURE = "serving_default"
NONE = -1
"""In place of an input that an operator is not given."""

_TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "bool": 6, "int8": 9}
PADDINGS = {"SAME": 0, "VALID": 1}
_ACTIVATIONS = {"": 0, "RELU": 1, "RELU6": 3}


@dataclass(frozen=True, eq=False)
class Quantization:
    """What integers of a tensor mean: scale · (integer - zero point).

    Args:
        scale: float32, of one number, or one for each place along `axis`.
        zero_point: int64, as many.
        axis: along which there are more than one.
    """

    scale: Array
    zero_point: Array
    axis: int = 0

    def equals(self, other: Quantization | None) -> bool:
        """Whether the same integers mean the same numbers."""
        return (
            other is not None
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )


@dataclass(frozen=True, eq=False)
class LiteTensor:
    """A value or a constant.

    Args:
        name: for people.
        shape: whole for constants; for one image, without the axis of the images, else.
        type: `float32`, `float16`, `int32`, `uint8`, `int8` or `bool`.
        data: of a constant.
        quantization: of integers that stand for numbers.
        per_image: whether an axis of the images comes before the shape.
    """

    name: str
    shape: tuple[int, ...]
    type: str = "float32"
    data: Array | None = None
    quantization: Quantization | None = None
    per_image: bool = True


@dataclass(frozen=True, eq=False)
class LiteOperator:
    """A step: one of `OPERATORS`, places of the tensors that it takes and the one that it gives, and its options."""

    kind: str
    inputs: tuple[int, ...]
    output: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class LiteProgram:
    """Tensors, and operators in an order in which each finds its inputs."""

    tensors: list[LiteTensor] = field(default_factory=list)
    operators: list[LiteOperator] = field(default_factory=list)
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    _constants: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def tensor(self, tensor: LiteTensor) -> int:
        """Adds a tensor, and gives its place."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, data: Array, name: str = "", quantization: Quantization | None = None) -> int:
        """The place of a constant, added where there is none with the same content.

        Test views share their weights so, and are no larger than one.
        """
        data = np.ascontiguousarray(data)
        meaning = (quantization.scale.tobytes(), quantization.zero_point.tobytes()) if quantization else ()
        key = (data.dtype.name, data.shape, data.tobytes(), meaning)
        if key not in self._constants:
            place = len(self.tensors)
            tensor = LiteTensor(name or f"constant{place}", data.shape, data.dtype.name, data, quantization, False)
            self._constants[key] = self.tensor(tensor)
        return self._constants[key]

    def add(self, kind: str, inputs: Sequence[int], output: LiteTensor, **options: Any) -> int:
        """Adds an operator with the tensor that it gives, and gives the place of that."""
        place = self.tensor(output)
        self.operators.append(LiteOperator(kind, tuple(inputs), place, options))
        return place

    def file(self, description: str = "", metadata: Mapping[str, bytes] | None = None) -> bytes:
        """The content of a `.tflite` file.

        Args:
            description: of the model, in a sentence.
            metadata: what else it holds, by name.
        """
        buffers: list[bytes] = [b""]  # the first is that of values, which have no content
        tensors = []
        for tensor in self.tensors:
            if tensor.data is not None:
                buffers.append(tensor.data.astype(tensor.data.dtype.newbyteorder("<"), copy=False).tobytes())
            tensors.append(_tensor_table(tensor, len(buffers) - 1 if tensor.data is not None else 0))
        entries: list[Table] = []
        for name, content in (metadata or {}).items():
            buffers.append(content)
            entries.append({0: name, 1: np.uint32(len(buffers) - 1)})
        codes: dict[tuple[int, int], int] = {}
        operators = [self._operator_table(operator, codes) for operator in self.operators]
        subgraph: Table = {
            0: tensors,
            1: np.array(list(self.inputs.values()), np.int32),
            2: np.array(list(self.outputs.values()), np.int32),
            3: operators,
            4: "main",
        }
        signature: Table = {0: _named(self.inputs), 1: _named(self.outputs), 2: SIGNATURE, 4: np.uint32(0)}
        return encode(
            {
                0: np.uint32(3),
                1: [_operator_code(code, version) for code, version in codes],
                2: [subgraph],
                3: description,
                4: [{0: Blob(content)} if content else {} for content in buffers],
                6: entries or None,
                7: [signature],
            },
            "TFL3",
        )

    def _operator_table(self, operator: LiteOperator, codes: dict[tuple[int, int], int]) -> Table:
        kind = OPERATORS[operator.kind]
        types = [self.tensors[place].type for place in (*operator.inputs, operator.output) if place != NONE]
        version = _version(operator, types)
        place = codes.setdefault((kind.code, version), len(codes))
        options = {slot: _option(name, operator.options[name]) for name, slot in kind.options.items()
                   if name in operator.options}  # fmt: skip
        return {
            0: np.uint32(place),
            1: np.array(operator.inputs, np.int32),
            2: np.array([operator.output], np.int32),
            3: np.uint8(kind.union) if kind.union else None,
            4: options if kind.union else None,
        }


@dataclass(frozen=True)
class _Kind:
    """An operator: its code, the place of its options in the union, their slots, and its versions.

    `version` is that for numbers, `int8` that for integers.
    """

    code: int
    union: int = 0
    options: Mapping[str, int] = field(default_factory=dict)
    version: int = 1
    int8: int = 2


_POOL = {"padding": 0, "stride_w": 1, "stride_h": 2, "width": 3, "height": 4}
_REDUCE = {"keepdims": 0}

OPERATORS: Mapping[str, _Kind] = {
    "ABS": _Kind(101, 78),
    "ADD": _Kind(0, 11, {"activation": 0}),
    "AVERAGE_POOL_2D": _Kind(1, 5, _POOL),
    "BATCH_MATMUL": _Kind(126, 101),
    "BROADCAST_TO": _Kind(130, 104, version=2),
    "CAST": _Kind(53, 37, {"from": 0, "to": 1}),
    "CONCATENATION": _Kind(2, 10, {"axis": 0}),
    "CONV_2D": _Kind(
        3, 1, {"padding": 0, "stride_w": 1, "stride_h": 2, "activation": 3, "dilation_w": 4, "dilation_h": 5}, int8=3
    ),
    "DEPTHWISE_CONV_2D": _Kind(
        4,
        2,
        {
            "padding": 0,
            "stride_w": 1,
            "stride_h": 2,
            "multiplier": 3,
            "activation": 4,
            "dilation_w": 5,
            "dilation_h": 6,
        },
        int8=3,
    ),
    "DEQUANTIZE": _Kind(6, 38),
    "DIV": _Kind(42, 29),
    "ELU": _Kind(111),
    "EXP": _Kind(47, 33),
    "FLOOR": _Kind(8),
    "FULLY_CONNECTED": _Kind(9, 8, {"activation": 0, "keep_axes": 2}, int8=12),
    "GELU": _Kind(150, 116, {"approximate": 0}),
    "GREATER": _Kind(61),
    "HARD_SWISH": _Kind(117, 91, int8=1),
    "LEAKY_RELU": _Kind(98, 75, {"alpha": 0}),
    "LOG": _Kind(73),
    "LOGISTIC": _Kind(14),
    "LOG_SOFTMAX": _Kind(50, 36),
    "MAXIMUM": _Kind(55, 39),
    "MAX_POOL_2D": _Kind(17, 5, _POOL),
    "MEAN": _Kind(40, 27, _REDUCE),
    "MINIMUM": _Kind(57, 39),
    "MUL": _Kind(18, 21, {"activation": 0}),
    "NEG": _Kind(59, 42),
    "PAD": _Kind(34, 22),
    "PADV2": _Kind(60, 43),
    "PRELU": _Kind(54, int8=1),
    "QUANTIZE": _Kind(114, 89, int8=1),
    "REDUCE_MAX": _Kind(82, 27, _REDUCE),
    "RELU": _Kind(19),
    "RELU6": _Kind(21),
    "RESHAPE": _Kind(22, int8=1),
    "RESIZE_BILINEAR": _Kind(23, 15, {"half_pixel": 3}, version=3, int8=3),
    "RESIZE_NEAREST_NEIGHBOR": _Kind(97, 74, {"half_pixel": 1}, version=3, int8=3),
    "REVERSE_V2": _Kind(105, 81, int8=3),
    "RSQRT": _Kind(76),
    "SHAPE": _Kind(77, 55, {"to": 0}),
    "SLICE": _Kind(65, 48),
    "SOFTMAX": _Kind(25, 9, {"beta": 0}),
    "SQRT": _Kind(75),
    "SQUARE": _Kind(92, 66),
    "SQUARED_DIFFERENCE": _Kind(99, 76),
    "STRIDED_SLICE": _Kind(45, 32),
    "SUB": _Kind(41, 28, {"activation": 0}),
    "TANH": _Kind(28),
    "TRANSPOSE": _Kind(39, 26),
    "TRANSPOSE_CONV": _Kind(67, 49, {"padding": 0, "stride_w": 1, "stride_h": 2}, version=3, int8=3),
}
"""The operators that networks are written with."""


def _version(operator: LiteOperator, types: Sequence[str]) -> int:
    """The first version of an operator's kernel that knows what is asked of it."""
    kind = OPERATORS[operator.kind]
    if operator.kind == "QUANTIZE":
        return 1 if "float32" in types else 2
    if "int8" in types:
        return kind.int8
    options = operator.options
    if operator.kind == "FULLY_CONNECTED":
        return 6 if operator.inputs[2] == NONE else 5 if options.get("keep_axes") else 1
    if operator.kind == "DEPTHWISE_CONV_2D":
        return 2 if options["dilation_h"] != 1 or options["dilation_w"] != 1 else 1
    return 6 if options.get("grouped") else kind.version


def _option(name: str, value: Any) -> Any:
    if name in ("keepdims", "keep_axes", "half_pixel", "approximate"):
        return bool(value)
    if name in ("beta", "alpha"):
        return np.float32(value)
    if name == "padding":
        return np.int8(PADDINGS[value])
    if name == "activation":
        return np.int8(_ACTIVATIONS[value])
    if name in ("from", "to"):
        return np.int8(_TYPES[value])
    return np.int32(value)


def _operator_code(code: int, version: int) -> Table:
    # Readers from before 2020 look at the first field alone, which holds codes below 127.
    return {0: np.int8(min(code, 127)), 2: np.int32(version), 3: np.int32(code)}


def _tensor_table(tensor: LiteTensor, buffer: int) -> Table:
    quantization = tensor.quantization
    return {
        0: np.array(((1,) if tensor.per_image else ()) + tensor.shape, np.int32),
        1: np.int8(_TYPES[tensor.type]),
        2: np.uint32(buffer),
        3: tensor.name,
        4: None
        if quantization is None
        else {
            2: quantization.scale.astype(np.float32),
            3: quantization.zero_point.astype(np.int64),
            6: np.int32(quantization.axis),
        },
        7: np.array((-1, *tensor.shape), np.int32) if tensor.per_image else None,
    }


def _named(places: Mapping[str, int]) -> list[Table]:
    return [{0: name, 1: np.uint32(place)} for name, place in places.items()]
