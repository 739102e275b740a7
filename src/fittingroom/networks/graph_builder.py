"""`GraphBuilder`: makes a `Graph` operation by operation, with the shapes worked out and the work that is spared."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fittingroom.networks.graph import Array, Graph, Operation
from fittingroom.networks.simplification import simplified

Shape = tuple[int, ...]


class GraphBuilder:
    """A graph in the making.

    Equal operations on equal inputs are one operation, and equal arrays of weights one array: several views of an image
    share the scaling, and the weights.

    Args:
        image_shape: of one image.
        image_type: of the images as they are given.
        most: how many numbers a value may have for one image, where the network comes from a file; None for any.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        image_type: Literal["uint8", "float32"] = "float32",
        *,
        most: int | None = None,
    ) -> None:
        self._most = most
        self._image_shape = tuple(image_shape)
        self._image_type = image_type
        self._operations: list[Operation] = []
        self._shapes: dict[str, Shape] = {"images": self._image_shape}
        self._arrays: dict[bytes, Array] = {}
        self._known: dict[tuple[Any, ...], str] = {}

    def shape(self, value: str) -> Shape:
        """The shape of a value for one image."""
        return self._shapes[value]

    def add(
        self,
        kind: str,
        inputs: Sequence[str] = (),
        *,
        shape: Sequence[int] | None = None,
        weights: Mapping[str, Any] | None = None,
        layer: str = "",
        **options: Any,
    ) -> str:
        """Adds an operation, and gives the name of its value.

        Args:
            kind: as in the table of `graph.py`; so are the options, whose axes may be counted from the end.
            inputs: names of values.
            shape: of what `reshape` or `resize` gives; worked out for other kinds.
            weights: arrays or numbers by name; None for one that is not there.
            layer: name of the layer that it belongs to.
            **options: of the kind.

        Raises:
            ValueError: the shapes do not fit, or the value is too large.
        """
        arrays = {name: self.array(value) for name, value in (weights or {}).items() if value is not None}
        shapes = [self._shapes[name] for name in inputs]
        plain = _plain(kind, options, shapes)
        given = _shape_of(kind, shapes, plain, arrays) if shape is None else tuple(int(side) for side in shape)
        if self._most is not None and not 0 <= math.prod(given) <= self._most:
            raise ValueError(f"{kind} gives {math.prod(given):,} numbers for an image; at most {self._most:,}")
        if _changes_nothing(kind, shapes, given, plain):
            return inputs[0]
        # The options as text: they are nested lists.
        key = (kind, *inputs, given, json.dumps(plain, sort_keys=True), *((n, id(arrays[n])) for n in sorted(arrays)))
        if key not in self._known:
            output = f"{kind}_{len(self._operations)}"
            self._operations.append(Operation(kind, tuple(inputs), output, given, plain, arrays, layer))
            self._shapes[output] = given
            self._known[key] = output
        return self._known[key]

    def inline(self, graph: Graph, value: str) -> dict[str, str]:
        """Adds the operations of another graph, which takes a value in place of its images; its outputs by name."""
        if graph.image_shape != self.shape(value):
            raise ValueError(f"images of {graph.image_shape} are expected, not {self.shape(value)}")
        names = {"images": value}
        for each in graph.operations:
            names[each.output] = self.add(
                each.kind,
                [names[name] for name in each.inputs],
                shape=each.shape,
                weights=each.weights,
                layer=each.layer,
                **each.options,
            )
        return {name: names[output] for name, output in graph.outputs.items()}

    def array(self, value: Any) -> Array:
        """Float32; the same array for equal values."""
        array = np.array(value, np.float32, order="C", copy=None)
        digest = hashlib.blake2b(array.tobytes(), digest_size=16).digest() + str(array.shape).encode()
        return self._arrays.setdefault(digest, array)

    def graph(self, outputs: Mapping[str, str]) -> Graph:
        """What was added and leads to the outputs, without steps that another can do as well.

        Args:
            outputs: name -> value.
        """
        operations = simplified(self._operations, set(outputs.values()), self.array)
        return Graph(self._image_shape, self._image_type, operations, dict(outputs))


def _plain(kind: str, options: Mapping[str, Any], shapes: Sequence[Shape]) -> dict[str, Any]:
    """Options as JSON has them, with axes counted from the first."""
    plain: dict[str, Any] = json.loads(json.dumps(options, default=lambda value: np.asarray(value).tolist()))
    if shapes:
        rank = len(shapes[0])
        if "axis" in plain:
            plain["axis"] = _counted(plain["axis"], rank, kind)
        if "axes" in plain:
            axes = [_counted(axis, rank, kind) for axis in plain["axes"]]
            plain["axes"] = axes if kind == "transpose" else sorted(axes)
    return plain


def _counted(axis: int, rank: int, kind: str) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"{kind} along axis {axis} of {rank}")
    return axis % rank


def _changes_nothing(kind: str, shapes: Sequence[Shape], given: Shape, options: Mapping[str, Any]) -> bool:
    if kind in ("reshape", "resize"):
        return given == shapes[0]
    if kind in ("pad", "crop"):
        return not any(map(any, options["padding" if kind == "pad" else "cropping"]))
    if kind == "transpose":
        return list(options["axes"]) == sorted(options["axes"])
    return kind in ("add", "multiply", "maximum", "minimum", "average", "concatenate", "log_mean_exp") and (
        len(shapes) == 1
    )


def _shape_of(kind: str, shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    """The shape that an operation gives for one image."""
    if kind == "constant":
        value: Shape = weights["value"].shape
        return value
    return _SHAPES.get(kind, _first)(shapes, options, weights)


_Infer = Callable[[Sequence[Shape], Mapping[str, Any], Mapping[str, Array]], Shape]


def _first(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del options, weights
    return shapes[0]


def _dense(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del options
    wanted, given = weights["kernel"].shape
    if shapes[0][-1] != wanted:
        raise ValueError(f"{wanted} inputs for each neuron and {shapes[0][-1]} numbers")
    return (*shapes[0][:-1], given)


def _convolution(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    height, width, _, channels = weights["kernel"].shape
    return (*_windows(shapes[0], (height, width), options), channels)


def _pooled(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del weights
    return (*_windows(shapes[0], options["size"], options), shapes[0][-1])


def _windows(shape: Shape, size: Sequence[int], options: Mapping[str, Any]) -> list[int]:
    """How many places a window has along height and width."""
    places = []
    for axis in (0, 1):
        reach = (size[axis] - 1) * options.get("dilation", (1, 1))[axis] + 1
        room = shape[axis] + sum(options["padding"][axis]) - reach
        if room < 0:
            raise ValueError(f"a window of {reach} pixels on {shape[axis]} pixels")
        places.append(room // options["strides"][axis] + 1)
    return places


def _transposed_convolution(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    kernel = weights["kernel"].shape
    sides = [
        (shapes[0][axis] - 1) * options["strides"][axis] + kernel[axis] - sum(options["cut"][axis]) for axis in (0, 1)
    ]
    return (*sides, kernel[2])


def _reduced(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del weights
    axes = options["axes"]
    if options["keepdims"]:
        return tuple(1 if axis in axes else side for axis, side in enumerate(shapes[0]))
    return tuple(side for axis, side in enumerate(shapes[0]) if axis not in axes)


def _broadcast(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del options, weights
    return tuple(np.broadcast_shapes(*shapes))


def _joined(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del weights
    axis = options["axis"]
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


def _transposed(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del weights
    return tuple(shapes[0][axis] for axis in options["axes"])


def _padded(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del weights
    return tuple(side + sum(pair) for side, pair in zip(shapes[0], options["padding"], strict=True))


def _cropped(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del weights
    return tuple(side - sum(pair) for side, pair in zip(shapes[0], options["cropping"], strict=True))


def _multiplied(shapes: Sequence[Shape], options: Mapping[str, Any], weights: Mapping[str, Array]) -> Shape:
    del options, weights
    left, right = shapes
    return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])


_SHAPES: dict[str, _Infer] = {
    "dense": _dense,
    "convolution": _convolution,
    "transposed_convolution": _transposed_convolution,
    "max_pool": _pooled,
    "average_pool": _pooled,
    "mean": _reduced,
    "max": _reduced,
    **dict.fromkeys(("add", "multiply", "maximum", "minimum", "average", "subtract"), _broadcast),
    "concatenate": _joined,
    "transpose": _transposed,
    "pad": _padded,
    "crop": _cropped,
    "matmul": _multiplied,
}
"""What works out the shape for kinds that do not give that of their first input."""
