"""`NumpyNetwork`: a `Graph` computed by NumPy, in 32 bits, without JAX.

A network of dense layers is a few products of matrices, which NumPy has computed before JAX is imported. Convolutions
are products too, of patches that are copied out of the images: fast enough for a photo, where compiling takes longer.

Each kind of operation is a function of the values of its inputs, with the images along the first axis. A function may
write into a value that it alone takes, see `_Step`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fittingroom.networks.graph import Array, Graph, Operation
from fittingroom.networks.numpy_activations import ACTIVATIONS

_NUMBERS_AT_ONCE = 2**20  # of the largest value: 4 MB, which a core's caches hold, at least in part
_MOST_IMAGES = 512
_FEW = 32  # numbers: sums of so few are made in 64 bits, which costs little and leaves a logit its last digits


@dataclass(frozen=True)
class _Step:
    """An operation, and what it needs to know of the values around it.

    Args:
        operation: the operation.
        shapes: of its inputs, for one image.
        own: whether it may write into its first input: that lies in memory of its own, and nothing else takes it.
    """

    operation: Operation
    shapes: tuple[tuple[int, ...], ...]
    own: bool

    @property
    def options(self) -> Mapping[str, Any]:
        """Of the operation."""
        return self.operation.options

    def weight(self, name: str) -> Array | None:
        """A weight; None where there is none."""
        return self.operation.weights.get(name)

    def writable(self, value: Array) -> Array:
        """The first input, or a copy that may be written into."""
        return value if self.own else value.copy()


class NumpyNetwork:
    """A network that NumPy computes.

    Args:
        graph: of kinds that `knows` knows.
        output: which of its outputs is wanted.

    Attributes:
        image_work: how many products of two numbers an image takes in dense layers and convolutions.
        is_dense: whether it has no convolutions and no windows.
    """

    def __init__(self, graph: Graph, output: str) -> None:
        self._wanted = graph.outputs[output]
        shapes = {"images": graph.image_shape, **{each.output: each.shape for each in graph.operations}}
        uses = Counter(name for operation in graph.operations for name in operation.inputs) + Counter([self._wanted])
        fresh = {operation.output for operation in graph.operations if operation.kind not in _VIEWS}
        self._steps = [
            _Step(
                operation,
                tuple(shapes[name] for name in operation.inputs),
                own=bool(operation.inputs) and uses[operation.inputs[0]] == 1 and operation.inputs[0] in fresh,
            )
            for operation in graph.operations
        ]
        last = {name: place for place, step in enumerate(self._steps) for name in step.operation.inputs}
        self._done_with: list[list[str]] = [[] for _ in self._steps]
        for name, place in last.items():
            if name != self._wanted:
                self._done_with[place].append(name)
        self.image_work = sum(map(_work, self._steps))
        self.is_dense = not any(operation.kind in _WINDOWS for operation in graph.operations)
        largest = max(map(math.prod, shapes.values()), default=1)
        patches = max((_patch_numbers(step) for step in self._steps), default=0)
        self._at_once = min(max(_NUMBERS_AT_ONCE // max(largest, patches, 1), 1), _MOST_IMAGES)

    @staticmethod
    def knows(graph: Graph) -> bool:
        """Whether NumPy can compute all operations of a graph."""
        return all(
            operation.kind in _KINDS and (operation.kind != "activation" or operation.options["name"] in ACTIVATIONS)
            for operation in graph.operations
        )

    def __call__(self, images: Array) -> Array:
        """The output for images `(n, *image_shape)` of any type, float32 `(n, *shape)`.

        Images go through in parts of a fixed size, so that values stay in the caches of a core.
        """
        parts = [self._part(images[start : start + self._at_once]) for start in range(0, len(images), self._at_once)]
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def _part(self, images: Array) -> Array:
        values: dict[str, Array] = {"images": np.asarray(images, np.float32)}
        with np.errstate(all="ignore"):  # what overflows is found by whoever reads the output
            for step, done_with in zip(self._steps, self._done_with, strict=True):
                operation = step.operation
                inputs = [values[name] for name in operation.inputs]
                values[operation.output] = _KINDS[operation.kind](step, *inputs)
                for name in done_with:
                    del values[name]
        found = values[self._wanted]
        return np.broadcast_to(np.asarray(found, np.float32), (len(images), *found.shape[1:]))


def _work(step: _Step) -> int:
    """How many products of two numbers an operation takes for an image; 0 but for products of matrices."""
    operation = step.operation
    if operation.kind == "dense":
        return math.prod(step.shapes[0]) * operation.shape[-1]
    if operation.kind == "convolution":
        return math.prod((*operation.shape, *operation.weights["kernel"].shape[:3]))
    return 0


def _patch_numbers(step: _Step) -> int:
    """How many numbers the patches of an image have, which a convolution copies."""
    if step.operation.kind != "convolution" or step.options["groups"] != 1:
        return 0
    return math.prod((*step.operation.shape[:2], *step.operation.weights["kernel"].shape[:3]))


_Compute = Callable[..., Array]


def _scale(step: _Step, value: Array) -> Array:
    scale, offset = step.operation.weights["scale"], step.operation.weights["offset"]
    found = np.multiply(value, scale, out=value) if step.own else value * scale
    return np.add(found, offset, out=found) if offset.any() else found


def _dense(step: _Step, value: Array) -> Array:
    kernel, bias = step.operation.weights["kernel"], step.weight("bias")
    if value.ndim == 2 and kernel.shape[1] <= _FEW:
        value, kernel = value.astype(np.float64), kernel.astype(np.float64)
    found: Array = (value.reshape(-1, value.shape[-1]) @ kernel).reshape(*value.shape[:-1], kernel.shape[1])
    return found if bias is None else np.add(found, bias, out=found)


def _padded_maps(step: _Step, value: Array, filling: float = 0.0) -> Array:
    pairs = [(0, 0), *map(tuple, step.options["padding"]), (0, 0)]
    return np.pad(value, pairs, constant_values=filling) if np.any(pairs) else value


def _shifted(step: _Step, maps: Array, row: int, column: int) -> Array:
    """What the window sees at one of its places: `(n, rows, columns, channels)`."""
    rows, columns = step.operation.shape[:2]
    (down, right), (high, wide) = step.options["strides"], step.options.get("dilation", (1, 1))
    top, left = row * high, column * wide
    return maps[:, top : top + (rows - 1) * down + 1 : down, left : left + (columns - 1) * right + 1 : right]


def _convolution(step: _Step, value: Array) -> Array:
    kernel, bias, groups = step.operation.weights["kernel"], step.weight("bias"), step.options["groups"]
    height, width, own, channels = kernel.shape
    maps, places = _padded_maps(step, value), [(row, column) for row in range(height) for column in range(width)]
    found: Array
    if groups == 1:
        patches = np.concatenate([_shifted(step, maps, *place) for place in places], axis=-1)
        found = patches.reshape(-1, patches.shape[-1]) @ kernel.reshape(-1, channels)
        found = found.reshape(*patches.shape[:-1], channels)
    else:
        split = np.zeros((len(value), *step.operation.shape[:2], groups, channels // groups), np.float32)
        each = kernel.reshape(height, width, own, groups, channels // groups)
        for row, column in places:
            seen = _shifted(step, maps, row, column).reshape(*split.shape[:4], own)
            # A product for each group; of single channels, which are most, only numbers are multiplied.
            split += seen * each[row, column, 0] if own == 1 else np.einsum("nhwgi,igo->nhwgo", seen, each[row, column])
        found = split.reshape(*split.shape[:3], channels)
    return found if bias is None else np.add(found, bias, out=found)


def _pooled(step: _Step, maps: Array, combine: Callable[..., Array]) -> Array:
    """All that the window sees, combined, in memory of its own."""
    height, width = step.options["size"]
    found = _shifted(step, maps, 0, 0).copy()
    for place in range(1, height * width):
        combine(found, _shifted(step, maps, place // width, place % width), out=found)
    return found


def _max_pool(step: _Step, value: Array) -> Array:
    return _pooled(step, _padded_maps(step, value, -np.inf), np.maximum)


def _average_pool(step: _Step, value: Array) -> Array:
    inside = _padded_maps(step, np.ones((1, *value.shape[1:3], 1), np.float32))  # what lies in the image counts
    return _pooled(step, _padded_maps(step, value), np.add) / _pooled(step, inside, np.add)


def _reduced(reduce: Callable[..., Array]) -> _Compute:
    def compute(step: _Step, value: Array) -> Array:
        axes = tuple(axis + 1 for axis in step.options["axes"])
        return np.asarray(reduce(value, axis=axes, keepdims=step.options["keepdims"]), np.float32)

    return compute


def _activation(step: _Step, value: Array) -> Array:
    settings = {name: setting for name, setting in step.options.items() if name != "name"}
    return np.asarray(ACTIVATIONS[step.options["name"]](step.writable(value), **settings), np.float32)


def _prelu(step: _Step, value: Array) -> Array:
    return np.where(value > 0, value, value * step.operation.weights["alpha"])


def _log_softmax(step: _Step, value: Array) -> Array:
    found = step.writable(value)
    found -= found.max(axis=-1, keepdims=True)
    found -= np.log(np.exp(found).sum(axis=-1, keepdims=True))
    return found


def _softmax(step: _Step, value: Array) -> Array:
    found = step.writable(value)
    found -= found.max(axis=-1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(axis=-1, keepdims=True)
    return found


def _log_mean_exp(step: _Step, *values: Array) -> Array:
    del step
    stacked = np.stack(values)
    largest = stacked.max(axis=0)
    total = np.exp(stacked - largest).sum(axis=0)
    return np.asarray(largest + np.log(total) - math.log(len(values)), np.float32)


def _broadcast(combine: Callable[..., Array]) -> _Compute:
    def compute(step: _Step, *values: Array) -> Array:
        rank = max(map(len, step.shapes))
        lifted = [
            value.reshape(len(value), *[1] * (rank - len(shape)), *shape)
            for value, shape in zip(values, step.shapes, strict=True)
        ]
        found = lifted[0]
        for other in lifted[1:]:
            found = combine(found, other)
        return found

    return compute


def _average(step: _Step, *values: Array) -> Array:
    return _broadcast(np.add)(step, *values) / np.float32(len(values))


def _concatenated(step: _Step, *values: Array) -> Array:
    count = max(map(len, values))
    whole = [np.broadcast_to(value, (count, *value.shape[1:])) for value in values]
    return np.concatenate(whole, axis=step.options["axis"] + 1)


def _reshaped(step: _Step, value: Array) -> Array:
    return value.reshape(len(value), *step.operation.shape)


def _transposed(step: _Step, value: Array) -> Array:
    return value.transpose(0, *(axis + 1 for axis in step.options["axes"]))


def _padded(step: _Step, value: Array) -> Array:
    return np.pad(value, [(0, 0), *map(tuple, step.options["padding"])])


def _cropped(step: _Step, value: Array) -> Array:
    pairs = zip(value.shape[1:], step.options["cropping"], strict=True)
    return value[(slice(None), *(slice(before, side - behind) for side, (before, behind) in pairs))]


def _layer_norm(step: _Step, value: Array) -> Array:
    gamma, beta = step.weight("gamma"), step.weight("beta")
    found: Array = value - value.mean(axis=-1, keepdims=True)
    found /= np.sqrt((found * found).mean(axis=-1, keepdims=True) + np.float32(step.options["epsilon"]))
    if gamma is not None:
        np.multiply(found, gamma, out=found)
    return found if beta is None else np.add(found, beta, out=found)


def _constant(step: _Step) -> Array:
    value: Array = step.operation.weights["value"][None]
    return value


_VIEWS = frozenset(("reshape", "transpose", "crop", "flip", "constant"))
"""Kinds whose value is, or may be, the memory of another one."""

_WINDOWS = frozenset(("convolution", "max_pool", "average_pool"))

_KINDS: Mapping[str, _Compute] = {
    "scale": _scale,
    "dense": _dense,
    "convolution": _convolution,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "mean": _reduced(np.mean),
    "max": _reduced(np.max),
    "activation": _activation,
    "prelu": _prelu,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "log_mean_exp": _log_mean_exp,
    "add": _broadcast(np.add),
    "multiply": _broadcast(np.multiply),
    "maximum": _broadcast(np.maximum),
    "minimum": _broadcast(np.minimum),
    "average": _average,
    "subtract": _broadcast(np.subtract),
    "concatenate": _concatenated,
    "reshape": _reshaped,
    "transpose": _transposed,
    "pad": _padded,
    "crop": _cropped,
    "flip": lambda step, value: np.flip(value, step.options["axis"] + 1),
    "floor": lambda _, value: np.floor(value),
    "float16": lambda _, value: value.astype(np.float16).astype(np.float32),
    "layer_norm": _layer_norm,
    "constant": _constant,
    "matmul": lambda _, left, right: np.matmul(left, right),
}
