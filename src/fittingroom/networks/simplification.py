"""Fewer operations that give the same: scales within the weights before them, nothing that leads nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fittingroom.networks.graph import Array, Operation

_Intern = Callable[[Any], Array]


def simplified(operations: Sequence[Operation], outputs: Collection[str], intern: _Intern) -> tuple[Operation, ...]:
    """The operations that lead to the outputs.

    A `scale` is folded into the dense layer, convolution or other scale before it, in 64 bits, where that one alone
    leads to it; a reshape of a reshape is one; padding is the next convolution's own.

    Args:
        operations: in order.
        outputs: values that are wanted.
        intern: gives one array for equal ones.
    """
    operations = _leading_to(outputs, operations)
    uses = Counter(name for operation in operations for name in operation.inputs) + Counter(outputs)
    done: dict[str, Operation] = {}
    for operation in operations:
        before = done.get(operation.inputs[0]) if operation.inputs else None
        alone = before is not None and uses[before.output] == 1
        merged = None if before is None else _merged(before, operation, intern, alone=alone)
        done[operation.output] = merged or operation
    return _leading_to(outputs, list(done.values()))


def _leading_to(outputs: Collection[str], operations: Sequence[Operation]) -> tuple[Operation, ...]:
    wanted, kept = set(outputs), []
    for operation in reversed(operations):
        if operation.output in wanted:
            wanted |= set(operation.inputs)
            kept.append(operation)
    return tuple(reversed(kept))


def _merged(before: Operation, operation: Operation, intern: _Intern, *, alone: bool) -> Operation | None:
    """One operation that gives what the second does; None where there is none.

    Args:
        before: what gives the operation's first input.
        operation: the second.
        intern: gives one array for equal ones.
        alone: whether nothing else takes what the first gives.
    """
    if operation.kind == before.kind == "reshape":
        return replace(operation, inputs=before.inputs)
    if operation.kind == "convolution" and before.kind == "pad" and not any(before.options["padding"][2]):
        padding = np.add(operation.options["padding"], before.options["padding"][:2]).tolist()
        return replace(operation, inputs=before.inputs, options={**operation.options, "padding": padding})
    if operation.kind != "scale" or not alone:
        return None
    scale, offset = (np.asarray(operation.weights[name], np.float64) for name in ("scale", "offset"))
    if before.kind == "scale":
        changed = {"scale": before.weights["scale"] * scale, "offset": before.weights["offset"] * scale + offset}
    elif before.kind in ("dense", "convolution", "transposed_convolution"):
        kernel = np.asarray(before.weights["kernel"], np.float64)
        width = kernel.shape[2 if before.kind == "transposed_convolution" else -1]
        spread = np.broadcast_to(scale, width)
        bias = before.weights.get("bias", np.float32(0)) * scale + offset
        by = spread[:, None] if before.kind == "transposed_convolution" else spread
        changed = {"kernel": kernel * by, "bias": np.broadcast_to(bias, width)}
    else:
        return None
    return replace(before, output=operation.output, weights={name: intern(array) for name, array in changed.items()})
