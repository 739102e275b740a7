"""What Keras does along rows: recurrent layers, step by step, and products of attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fittingroom.networks.graph import Array
from fittingroom.networks.keras_call import LayerCall, Make, values_of

_MOST_STEPS = 256


class _Cell:
    """A recurrent layer at work, whose steps are operations one after the other.

    Args:
        call: of the layer.
        gates: how many rows of `units` numbers its kernel makes of an input.
    """

    def __init__(self, call: LayerCall, gates: int) -> None:
        self.call = call
        prefix = f"{call.path}/"
        cells = {path.removeprefix(prefix).partition("/")[0] for path in call.weights if path.startswith(prefix)}
        if len(cells) != 1:
            raise call.refusal("its weights are not those of one cell")
        self._cell = cells.pop()
        self.units = int(call.config["units"])
        self.kernel, self.recurrent = self.weight("kernel"), self.weight("recurrent_kernel")
        self.bias: Array | None = call.weight(f"{self._cell}/bias")
        if self.kernel.shape[1] != gates * self.units:
            raise call.refusal("its weights are not those of one cell")

    def weight(self, name: str) -> Array:
        """A weight of the cell."""
        return self.call.needed(f"{self._cell}/{name}")

    def part(self, value: str, begin: int, end: int) -> str:
        """Some gates of a row, the first of which is 0."""
        last = self.call.builder.shape(value)[0]
        return self.call.add("crop", value, cropping=[[begin * self.units, last - end * self.units]])

    def gate(self, value: str) -> str:
        """The recurrent activation."""
        return self.call.activated(value, self.call.config["recurrent_activation"])

    def dense(self, value: str, kernel: Array, bias: Array | None = None) -> str:
        """A dense layer of some of the weights."""
        return self.call.add("dense", value, weights={"kernel": kernel, "bias": bias})

    def sum(self, *values: str) -> str:
        """Of values."""
        return self.call.add("add", *values)

    def product(self, *values: str) -> str:
        """Of values."""
        return self.call.add("multiply", *values)


_Step = Callable[[_Cell, str, list[str]], list[str]]
"""From the cell, what the kernel made of a row, and the states, to the next states; the first is the output."""


def _simple(cell: _Cell, row: str, states: list[str]) -> list[str]:
    return [cell.call.activated(cell.sum(row, cell.dense(states[0], cell.recurrent)))]


def _lstm(cell: _Cell, row: str, states: list[str]) -> list[str]:
    before, carried = states
    total = cell.sum(row, cell.dense(before, cell.recurrent))
    entering, forgetting, leaving = (cell.gate(cell.part(total, gate, gate + 1)) for gate in (0, 1, 3))
    new = cell.call.activated(cell.part(total, 2, 3))
    carried = cell.sum(cell.product(forgetting, carried), cell.product(entering, new))
    return [cell.product(leaving, cell.call.activated(carried)), carried]


def _gru(cell: _Cell, row: str, states: list[str]) -> list[str]:
    (before,), double = states, 2 * cell.units
    if cell.call.config.get("reset_after", True):
        inner = cell.dense(before, cell.recurrent, None if cell.bias is None else cell.bias[1])
        gates = cell.gate(cell.sum(cell.part(row, 0, 2), cell.part(inner, 0, 2)))
        late = cell.product(cell.part(gates, 1, 2), cell.part(inner, 2, 3))
    else:
        gates = cell.gate(cell.sum(cell.part(row, 0, 2), cell.dense(before, cell.recurrent[:, :double])))
        late = cell.dense(cell.product(cell.part(gates, 1, 2), before), cell.recurrent[:, double:])
    new = cell.call.activated(cell.sum(cell.part(row, 2, 3), late))
    kept = cell.product(cell.part(gates, 0, 1), cell.call.add("subtract", before, new))
    return [cell.sum(new, kept)]


def _recurrent(gates: int, states: int, step: _Step) -> Make:
    def make(call: LayerCall) -> str:
        config = call.config
        if config.get("stateful") or config.get("return_state") or len(call.inputs) != 1:
            raise call.refusal("states that are kept, given or returned are not known")
        if len(call.shape) != 2 or call.shape[0] > _MOST_STEPS:
            raise call.refusal(f"it has {call.shape[0]} steps; {_MOST_STEPS} at most are known")
        cell = _Cell(call, gates)
        bias = cell.bias[0] if cell.bias is not None and cell.bias.ndim == 2 else cell.bias
        rows = cell.dense(call.inputs[0], cell.kernel, bias)
        length, width = call.builder.shape(rows)
        order = range(length - 1, -1, -1) if config.get("go_backwards") else range(length)
        each = {
            place: call.reshaped(call.add("crop", rows, cropping=[[place, length - 1 - place], [0, 0]]), (width,))
            for place in order
        }
        nothing = cell.part(each[order[0]], 0, 1)
        values = [call.add("scale", nothing, weights={"scale": 0, "offset": 0})] * states
        outputs = []
        for place in order:
            values = step(cell, each[place], values)
            outputs.append(call.reshaped(values[0], (1, cell.units)))
        return call.add("concatenate", *outputs, axis=0) if config.get("return_sequences") else values[0]

    return make


def _both_ways(call: LayerCall) -> str:
    """A layer forwards and one backwards, whose outputs are joined."""
    inner = call.config["layer"]
    name, config = inner["config"]["name"], inner["config"]
    other = call.config.get("backward_layer") or {
        **inner,
        "config": {**config, "go_backwards": not config.get("go_backwards", False)},
    }
    first = _applied(call, inner, f"forward_{name.removeprefix('forward_')}")
    second = _applied(call, other, f"backward_{other['config']['name'].removeprefix('backward_')}")
    if config.get("return_sequences"):
        second = call.add("flip", second, axis=0)
    kind = {"sum": "add", "mul": "multiply", "ave": "average", "concat": "concatenate"}.get(call.config["merge_mode"])
    if kind is None:
        raise call.refusal(f"merge_mode={call.config['merge_mode']} is not known")
    return call.add(kind, first, second, axis=-1) if kind == "concatenate" else call.add(kind, first, second)


def _applied(call: LayerCall, structure: Mapping[str, Any], name: str) -> str:
    make = RECURRENT_LAYERS.get(structure["class_name"])
    if make is None or make is _both_ways:
        raise call.refusal(f"{structure['class_name']} within it is not known")
    return make(call.part(structure, call.inputs, name))


RECURRENT_LAYERS: Mapping[str, Make] = {
    "SimpleRNN": _recurrent(1, 1, _simple),
    "LSTM": _recurrent(4, 2, _lstm),
    "GRU": _recurrent(3, 1, _gru),
    "Bidirectional": _both_ways,
}
"""What makes operations of a layer, by the name of its class."""


def _einsum(call: LayerCall) -> str:
    """A sum of products of two values, or of a value and an array, as matrices."""
    text = str(call.config["subscripts"]).replace(" ", "")
    given, arrow, result = text.partition("->")
    letters = given.split(",")
    if not arrow or "." in text or len(letters) != 2 or any(len(set(each)) < len(each) for each in (*letters, result)):
        raise call.refusal(f"the sum {text} is not known")
    (first, second), arguments = letters, list(call.arguments)
    if not isinstance(arguments[0], str):
        (first, second), arguments = (second, first), arguments[::-1]
    images = first[0]
    fixed = not isinstance(arguments[1], str)
    alone = [each for each in {*first, *second} - {images} if (each in first) + (each in second) + (each in result) < 2]
    if result[0] != images or alone or (images in second) is fixed or (not fixed and second[0] != images):
        raise call.refusal(f"the sum {text} is not known")
    value, other = arguments[0], call.constant(values_of(arguments[1])) if fixed else arguments[1]
    first, second, result = first[1:], second if fixed else second[1:], result[1:]
    sides = {
        **dict(zip(first, call.builder.shape(value), strict=True)),
        **dict(zip(second, call.builder.shape(other), strict=True)),
    }
    shared = [each for each in result if each in first and each in second]
    summed = [each for each in first if each in second and each not in result]
    rows = [each for each in result if each in first and each not in second]
    columns = [each for each in result if each in second and each not in first]

    def arranged(one: str, order: str, *groups: list[str]) -> str:
        turned = _turned(call, one, order, [each for group in groups for each in group])
        return call.reshaped(turned, [*(sides[each] for each in shared), *(_size(sides, g) for g in groups[1:])])

    left = arranged(value, first, shared, rows, summed)
    if fixed and not shared:
        kernel = np.einsum(f"{second}->{''.join(summed + columns)}", values_of(arguments[1]))
        weights = {"kernel": kernel.reshape(_size(sides, summed), _size(sides, columns))}
        product = call.add("dense", left, weights=weights)
    else:
        product = call.add("matmul", left, arranged(other, second, shared, summed, columns))
    product = call.reshaped(product, [sides[each] for each in (*shared, *rows, *columns)])
    return _turned(call, product, "".join([*shared, *rows, *columns]), list(result))


def _size(sides: Mapping[str, int], letters: list[str]) -> int:
    return math.prod(sides[each] for each in letters)


def _turned(call: LayerCall, value: str, order: str, wanted: list[str]) -> str:
    return call.add("transpose", value, axes=[order.index(each) for each in wanted])


def _attention(call: LayerCall) -> str:
    """softmax(Q Kᵀ · scale) V, for each head; values are places × heads × numbers."""
    named = dict(zip(("query", "key", "value", "bias", "mask", "scale"), call.arguments, strict=False))
    given = {**named, **call.settings}
    odd = call.config.get("attn_logits_soft_cap") or given.get("bias") is not None or given.get("mask") is not None
    if odd or len(call.inputs) != 3 or len({call.builder.shape(value)[1] for value in call.inputs}) != 1:
        raise call.refusal("masks, biases, caps and groups of heads are not known")
    query, key, value = call.inputs
    scale = given.get("scale") or 1 / math.sqrt(call.shape[-1])
    rows, columns = call.shape[0], call.builder.shape(key)[0]
    scores = call.add(
        "matmul", call.add("transpose", query, axes=[1, 0, 2]), call.add("transpose", key, axes=[1, 2, 0])
    )
    scores = call.add("scale", scores, weights={"scale": scale, "offset": 0})
    if call.config.get("is_causal"):
        scores = call.add("add", scores, call.constant(np.triu(np.full((1, rows, columns), -1e9), 1)))
    mixed = call.add("matmul", call.add("softmax", scores), call.add("transpose", value, axes=[1, 0, 2]))
    return call.add("transpose", mixed, axes=[1, 0, 2])


SEQUENCE_OPERATIONS: Mapping[str, Make] = {"ops.Einsum": _einsum, "ops.DotProductAttention": _attention}
"""What makes operations of an operation of `keras.ops`."""
