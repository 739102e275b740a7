"""Tensors of the stand-in: JAX's arrays, which learn `.numpy()` here; their types, and how they are made.

JAX has 32 bits unless it is told otherwise, so `tf.float64` and `tf.int64` give 32 bits, and `dtype` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import keras
import numpy as np
from keras import ops

Shape = Sequence[int] | int

_NAMES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = {
    **{name: np.dtype(name) for name in _NAMES},
    "bfloat16": np.dtype(jax.numpy.bfloat16),
    "double": np.dtype("float64"),
    "half": np.dtype("float16"),
    "bool": np.dtype("bool"),
}
"""TensorFlow's names of types -> NumPy's types, which Keras and JAX take too."""

_AS_32_BITS = {"float64": "float32", "int64": "int32", "uint64": "uint32"}


def dtype_name(dtype: Any) -> str | None:
    """The type that a tensor gets where this one is asked for; None stays None."""
    if dtype is None:
        return None
    name = str(keras.backend.standardize_dtype(dtype))
    return name if jax.config.read("jax_enable_x64") else _AS_32_BITS.get(name, name)


def teach_numpy() -> None:
    """Gives JAX's arrays the method `numpy()`, as tensors of TensorFlow have it: a copy as a NumPy array."""
    kind: Any = type(jax.numpy.zeros(0))
    if not hasattr(kind, "numpy"):
        kind.numpy = _as_numpy


def _as_numpy(tensor: jax.Array) -> Any:
    return np.array(tensor)[()]  # a tensor without axes gives a number of NumPy's, as in TensorFlow


def as_tensor(value: Any, dtype: Any = None) -> Any:
    """A tensor of these values; 32 bits at most."""
    return ops.convert_to_tensor(value, dtype=dtype_name(dtype))


def constant(value: Any, dtype: Any = None, shape: Shape | None = None, name: str = "Const") -> Any:
    """A tensor of these values; with `shape`, a single value fills it."""
    del name
    tensor = as_tensor(value, dtype)
    if shape is None:
        return tensor
    return ops.broadcast_to(tensor, shape) if tensor.size == 1 else ops.reshape(tensor, shape)


def convert_to_tensor(value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None) -> Any:
    """A tensor of these values."""
    del dtype_hint, name
    return as_tensor(value, dtype)


def variable(initial_value: Any, trainable: bool = True, name: str | None = None, dtype: Any = None) -> keras.Variable:
    """A variable of Keras's, which has `assign`, `assign_add` and `numpy`."""
    value = as_tensor(initial_value() if callable(initial_value) else initial_value, dtype)
    return keras.Variable(value, dtype=value.dtype, trainable=trainable, name=name)


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """The same values in another type."""
    del name
    return ops.cast(x, dtype_name(dtype))


def zeros(shape: Shape, dtype: Any = "float32", name: str | None = None) -> Any:
    """A tensor of zeros."""
    del name
    return ops.zeros(shape, dtype_name(dtype))


def ones(shape: Shape, dtype: Any = "float32", name: str | None = None) -> Any:
    """A tensor of ones."""
    del name
    return ops.ones(shape, dtype_name(dtype))


def fill(dims: Shape, value: Any, name: str | None = None) -> Any:
    """A tensor of one value."""
    del name
    return ops.broadcast_to(as_tensor(value), tuple(np.asarray(dims).tolist()) if np.ndim(dims) else (dims,))


def zeros_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros in the shape of a tensor."""
    del name
    return ops.zeros_like(input, dtype=dtype_name(dtype))


def ones_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones in the shape of a tensor."""
    del name
    return ops.ones_like(input, dtype=dtype_name(dtype))


def eye(num_rows: int, num_columns: int | None = None, dtype: Any = "float32", name: str | None = None) -> Any:
    """Ones on the diagonal."""
    del name
    return ops.eye(num_rows, num_columns, dtype=dtype_name(dtype))


def range_(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str | None = None) -> Any:
    """Numbers in equal steps, `limit` excluded."""
    del name
    start, limit = (0, start) if limit is None else (start, limit)
    return ops.arange(start, limit, delta, dtype=dtype_name(dtype))


def one_hot(
    indices: Any,
    depth: int,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Any:
    """Rows with `on_value` (1) in the place of the class, and `off_value` (0) elsewhere."""
    del name
    on, off = 1.0 if on_value is None else on_value, 0.0 if off_value is None else off_value
    rows = ops.one_hot(as_tensor(indices), depth, axis=-1 if axis is None else axis, dtype="float32")
    return ops.cast(rows * (on - off) + off, dtype_name(dtype) or "float32")


def random_uniform(
    shape: Shape, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: int | None = None
) -> Any:
    """Random numbers from `minval` to below `maxval`: 1 for fractions; whole numbers need one."""
    kind = dtype_name(dtype) or "float32"
    if "int" in kind:
        if maxval is None:
            raise ValueError(f"tf.random.uniform with dtype={kind} needs maxval.")
        return keras.random.randint(shape, minval, maxval, dtype=kind, seed=seed)
    return keras.random.uniform(shape, minval, 1 if maxval is None else maxval, dtype=kind, seed=seed)


def random_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: int | None = None
) -> Any:
    """Random numbers from a normal distribution."""
    return keras.random.normal(shape, mean, stddev, dtype=dtype_name(dtype), seed=seed)


def truncated_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: int | None = None
) -> Any:
    """Random numbers from a normal distribution, none farther than two standard deviations from its mean."""
    return keras.random.truncated_normal(shape, mean, stddev, dtype=dtype_name(dtype), seed=seed)


def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Any:
    """The same rows in a random order."""
    del name
    return keras.random.shuffle(as_tensor(value), seed=seed)


MAKERS = {
    "constant": constant,
    "convert_to_tensor": convert_to_tensor,
    "Variable": variable,
    "cast": cast,
    "zeros": zeros,
    "ones": ones,
    "fill": fill,
    "zeros_like": zeros_like,
    "ones_like": ones_like,
    "eye": eye,
    "range": range_,
    "one_hot": one_hot,
}

RANDOM = {
    "set_seed": keras.utils.set_random_seed,
    "uniform": random_uniform,
    "normal": random_normal,
    "truncated_normal": truncated_normal,
    "shuffle": random_shuffle,
}
