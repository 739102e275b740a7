"""Activations of a `Graph` as NumPy computes them, in 32 bits: each may write into the value that it is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from fittingroom.networks.graph import Array


def _relu(value: Array, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0) -> Array:
    if negative_slope or threshold:
        value = np.where(value >= threshold, value, np.float32(negative_slope) * (value - np.float32(threshold)))
    else:
        np.maximum(value, 0, out=value)
    return value if max_value is None else np.minimum(value, np.float32(max_value), out=value)


def _elu(value: Array, alpha: float = 1.0) -> Array:
    return np.where(value > 0, value, np.float32(alpha) * np.expm1(np.minimum(value, 0)))


def _selu(value: Array) -> Array:
    """Klambauer et al. 2017 (arXiv 1706.02515), whose two numbers these are."""
    return np.float32(1.0507009873554805) * _elu(value, 1.6732632423543772)


def _sigmoid(value: Array) -> Array:
    """1 / (1 + e^-x), by the tanh, which does not overflow."""
    np.tanh(value * np.float32(0.5), out=value)
    value *= np.float32(0.5)
    value += np.float32(0.5)
    return value


def _softplus(value: Array) -> Array:
    return np.logaddexp(value, np.float32(0))


def _hard_sigmoid(value: Array) -> Array:
    return np.clip(value / np.float32(6) + np.float32(0.5), 0, 1)


def _gelu(value: Array, approximate: bool = False) -> Array:
    """X (1 + erf(x / √2)) / 2, or with tanh(√(2 / π) (x + 0.044715 x³)) for erf."""
    if approximate:
        bent = np.tanh(np.float32(math.sqrt(2 / math.pi)) * (value + np.float32(0.044715) * value * value * value))
    else:
        from scipy.special import erf  # NumPy has none

        bent = erf(value * np.float32(math.sqrt(0.5)))
    return np.asarray(value * (bent * np.float32(0.5) + np.float32(0.5)), np.float32)


ACTIVATIONS: Mapping[str, Callable[..., Array]] = {
    "relu": _relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "sigmoid": _sigmoid,
    "tanh": lambda value: np.tanh(value, out=value),
    "exponential": lambda value: np.exp(value, out=value),
    "silu": lambda value: value * _sigmoid(value.copy()),
    "softplus": _softplus,
    "softsign": lambda value: value / (1 + np.abs(value)),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda value: value * _hard_sigmoid(value),
    "log_sigmoid": lambda value: -_softplus(-value),
    "square": lambda value: np.square(value, out=value),
    "sqrt": lambda value: np.sqrt(value, out=value),
    "reciprocal": lambda value: np.reciprocal(value, out=value),
    "negative": lambda value: np.negative(value, out=value),
    "log": lambda value: np.log(value, out=value),
}
"""By the names of `keras_activations`, with the options there as arguments."""
