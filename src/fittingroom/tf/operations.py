"""Operations of the stand-in, each by its Keras name with TensorFlow's arguments: `tf.reduce_sum` is `keras.ops.sum`.

Most functions differ only in what their arguments are called, so they are made from a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from fittingroom.tf.tensors import as_tensor, dtype_name

Operation = Callable[..., Any]


def renamed(operation: Operation, *tensors: str, **others: str) -> Operation:
    """A function of Keras's that takes TensorFlow's names of arguments.

    Args:
        operation: of `keras.ops`.
        *tensors: TensorFlow's names of its first arguments, in their order; what comes as a list becomes a tensor.
        **others: TensorFlow's name -> Keras's name of further arguments that are called otherwise.
    """

    def call(*given: Any, **named: Any) -> Any:
        named.pop("name", None)
        placed = list(given)
        for name in tensors[len(placed) :]:
            if name in named:
                placed.append(named.pop(name))
        placed[: len(tensors)] = [
            as_tensor(one) if isinstance(one, list | tuple) else one for one in placed[: len(tensors)]
        ]
        return operation(*placed, **{others.get(name, name): value for name, value in named.items()})

    call.__name__ = call.__qualname__ = operation.__name__
    call.__doc__ = f"As `keras.ops.{operation.__name__}`, with TensorFlow's names of arguments."
    return call


def argmax(input: Any, axis: int | None = None, output_type: Any = "int64", name: str | None = None) -> Any:
    """The place of the largest value along an axis, by default the first."""
    del name
    return ops.cast(ops.argmax(as_tensor(input), axis=axis or 0), dtype_name(output_type))


def argmin(input: Any, axis: int | None = None, output_type: Any = "int64", name: str | None = None) -> Any:
    """The place of the smallest value along an axis, by default the first."""
    del name
    return ops.cast(ops.argmin(as_tensor(input), axis=axis or 0), dtype_name(output_type))


def transpose(a: Any, perm: Sequence[int] | None = None, conjugate: bool = False, name: str | None = None) -> Any:
    """The axes in another order, by default the reverse."""
    del conjugate, name
    return ops.transpose(as_tensor(a), perm)


def concat(values: Sequence[Any], axis: int, name: str | None = None) -> Any:
    """Tensors one after the other along an axis."""
    del name
    return ops.concatenate([as_tensor(value) for value in values], axis)


def stack(values: Sequence[Any], axis: int = 0, name: str | None = None) -> Any:
    """Tensors beside each other along a new axis."""
    del name
    return ops.stack([as_tensor(value) for value in values], axis)


def unstack(value: Any, num: int | None = None, axis: int = 0, name: str | None = None) -> list[Any]:
    """The tensors along an axis, as a list."""
    del name
    return list(ops.unstack(as_tensor(value), num, axis))


def split(value: Any, num_or_size_splits: Any, axis: int = 0, num: int | None = None, name: str | None = None) -> Any:
    """A tensor in equal parts, or in parts of these sizes, along an axis."""
    del num, name
    parts = num_or_size_splits
    places = parts if isinstance(parts, int) else np.cumsum(parts)[:-1].tolist()
    return ops.split(as_tensor(value), places, axis)


def gather(params: Any, indices: Any, axis: int = 0, name: str | None = None) -> Any:
    """The rows with these numbers."""
    del name
    return ops.take(as_tensor(params), as_tensor(indices), axis)


def boolean_mask(tensor: Any, mask: Any, axis: int | None = None, name: str | None = None) -> Any:
    """The rows where `mask` is true."""
    del name
    return ops.take(as_tensor(tensor), np.flatnonzero(np.asarray(mask)), axis or 0)


def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: str | None = None) -> Any:
    """A tensor with so many values more before and after it, for each axis."""
    del name
    mode = mode.lower()
    width = np.asarray(paddings).tolist()
    return ops.pad(as_tensor(tensor), width, mode, constant_values if mode == "constant" else None)


def norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False) -> Any:
    """The length of a vector or of a matrix, by default of all values."""
    values = as_tensor(tensor)
    if ord == "euclidean":
        return ops.sqrt(ops.sum(ops.square(values), axis=axis, keepdims=keepdims))
    return ops.norm(values, ord, axis, keepdims)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """Values below and above the limits become the limits."""
    del name
    return ops.clip(as_tensor(t), clip_value_min, clip_value_max)


def shape(input: Any, out_type: Any = "int32", name: str | None = None) -> Any:
    """The sides of a tensor, as a tensor."""
    del name
    return as_tensor(np.shape(input), out_type)


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """`x` where the condition is true and `y` elsewhere; without both, the places where it is true, one a row."""
    del name
    if x is None and y is None:
        return as_tensor(np.argwhere(np.asarray(condition)))
    return ops.where(as_tensor(condition), as_tensor(x), as_tensor(y))


def print_(*inputs: Any, **options: Any) -> None:
    """Prints tensors as arrays."""
    known = {key: value for key, value in options.items() if key in {"sep", "end"}}
    print(*[np.asarray(one) if hasattr(one, "__array__") else one for one in inputs], **known)  # noqa: T201 - its task


def function(func: Any = None, **options: Any) -> Any:
    """The function itself: what model.fit trains is compiled anyway."""
    del options
    return (lambda given: given) if func is None else func


class TopK(NamedTuple):
    """The largest values of each row, and their places."""

    values: Any
    indices: Any


def _reduction(operation: Operation) -> Operation:
    return renamed(operation, "input_tensor")


_REDUCTIONS = {
    f"reduce_{name}": _reduction(getattr(ops, name))
    for name in ("sum", "mean", "max", "min", "prod", "std", "all", "any")
} | {
    "reduce_variance": _reduction(ops.var),
    "reduce_std": _reduction(ops.std),
    "reduce_logsumexp": _reduction(ops.logsumexp),
}

_OF_ONE = (
    "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "exp", "expm1", "floor", "isfinite", "isinf", "isnan",
    "log", "log1p", "logical_not", "negative", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh",
    "softplus", "sqrt", "square", "tan", "tanh",
)  # fmt: skip
_OF_TWO = (
    "add", "divide", "equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or", "matmul",
    "maximum", "minimum", "mod", "multiply", "not_equal", "power", "subtract",
)  # fmt: skip

MATH = {
    **_REDUCTIONS,
    **{name: renamed(getattr(ops, name), "x") for name in _OF_ONE if hasattr(ops, name)},
    **{name: renamed(getattr(ops, name), "x", "y") for name in _OF_TWO},
    "argmax": argmax,
    "argmin": argmin,
    "cumsum": renamed(ops.cumsum, "x"),
    "pow": renamed(ops.power, "x", "y"),
    "confusion_matrix": lambda labels, predictions, num_classes=None: _confusion(labels, predictions, num_classes),
    "in_top_k": lambda targets, predictions, k: ops.in_top_k(as_tensor(targets), as_tensor(predictions), k),
    "top_k": lambda input, k=1, sorted=True: TopK(*ops.top_k(as_tensor(input), k, sorted)),
    "l2_normalize": lambda x, axis=None, epsilon=1e-12: _unit(x, axis, epsilon),
}
"""What `tf.math` has; `tf` has all of it too."""

OPERATIONS = {
    **MATH,
    "boolean_mask": boolean_mask,
    "clip_by_value": clip_by_value,
    "concat": concat,
    "expand_dims": renamed(ops.expand_dims, "input"),
    "function": function,
    "gather": gather,
    "identity": lambda input, name=None: ops.copy(as_tensor(input)),  # noqa: ARG005
    "linspace": lambda start, stop, num, name=None: ops.linspace(start, stop, num),  # noqa: ARG005
    "norm": norm,
    "pad": pad,
    "print": print_,
    "rank": lambda input, name=None: np.ndim(input),  # noqa: ARG005
    "repeat": renamed(ops.repeat, "input"),
    "reshape": lambda tensor, shape, name=None: ops.reshape(as_tensor(tensor), _sides(shape)),  # noqa: ARG005
    "reverse": lambda tensor, axis, name=None: ops.flip(as_tensor(tensor), axis),  # noqa: ARG005
    "shape": shape,
    "size": lambda input, name=None: np.size(input),  # noqa: ARG005
    "sort": renamed(ops.sort, "values"),
    "split": split,
    "squeeze": renamed(ops.squeeze, "input"),
    "stack": stack,
    "stop_gradient": renamed(ops.stop_gradient, "input"),
    "tensordot": renamed(ops.tensordot, "a", "b"),
    "tile": renamed(ops.tile, "input", multiples="repeats"),
    "transpose": transpose,
    "unstack": unstack,
    "where": where,
    "einsum": lambda equation, *inputs: ops.einsum(equation, *map(as_tensor, inputs)),
    "matmul": renamed(ops.matmul, "a", "b"),
}
"""What `tf` itself has, besides what makes tensors."""

LINALG = {"matmul": OPERATIONS["matmul"], "norm": norm, "inv": ops.inv, "det": ops.det, "svd": ops.svd, "eye": ops.eye}


def _sides(shape: Any) -> Any:
    return tuple(int(side) for side in np.asarray(shape).ravel()) if np.ndim(shape) else (int(shape),)


def _unit(x: Any, axis: Any, epsilon: float) -> Any:
    squares = ops.sum(ops.square(as_tensor(x)), axis=axis, keepdims=True)
    return as_tensor(x) * ops.rsqrt(ops.maximum(squares, epsilon))


def _confusion(labels: Any, predictions: Any, num_classes: int | None) -> Any:
    """How many images of each class (row) were taken for each class (column)."""
    true, named = (np.asarray(one).astype(int).ravel() for one in (labels, predictions))
    count = num_classes or int(max(true.max(), named.max())) + 1
    found = np.zeros((count, count), np.int32)
    np.add.at(found, (true, named), 1)
    return as_tensor(found)


_ACTIVATIONS = (
    "celu", "elu", "gelu", "leaky_relu", "log_softmax", "relu", "relu6", "selu", "sigmoid", "silu", "softmax",
    "softplus", "softsign", "tanh",
)  # fmt: skip

NN = {
    # Keras's own functions, so that a model with them can be saved and rebuilt by their names.
    **{name: getattr(keras.activations, name) for name in _ACTIVATIONS},
    "swish": keras.activations.silu,
    "l2_normalize": MATH["l2_normalize"],
    "log_sigmoid": keras.activations.log_sigmoid,
    "softmax_cross_entropy_with_logits": lambda labels, logits, axis=-1: ops.categorical_crossentropy(
        as_tensor(labels), as_tensor(logits), from_logits=True, axis=axis
    ),
    "sparse_softmax_cross_entropy_with_logits": lambda labels, logits: ops.sparse_categorical_crossentropy(
        as_tensor(labels), as_tensor(logits), from_logits=True
    ),
    "sigmoid_cross_entropy_with_logits": lambda labels, logits: ops.binary_crossentropy(
        as_tensor(labels), as_tensor(logits), from_logits=True
    ),
    "dropout": lambda x, rate, seed=None: keras.random.dropout(as_tensor(x), rate, seed=seed),
    "in_top_k": MATH["in_top_k"],
    "top_k": MATH["top_k"],
    "conv2d": lambda input, filters, strides, padding: ops.conv(
        as_tensor(input), filters, _window(strides), padding.lower()
    ),
    "max_pool2d": lambda input, ksize, strides, padding: ops.max_pool(
        as_tensor(input), _window(ksize), _window(strides), padding.lower()
    ),
    "avg_pool2d": lambda input, ksize, strides, padding: ops.average_pool(
        as_tensor(input), _window(ksize), _window(strides), padding.lower()
    ),
}
"""What `tf.nn` has."""


def _window(sides: Any) -> Any:
    """The two sides of a window: TensorFlow also takes four, with those of the batch and of the channels."""
    return sides if isinstance(sides, int) else tuple(sides)[1:3] if len(sides) == 4 else tuple(sides)
