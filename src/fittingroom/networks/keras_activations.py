"""Activations of Keras as operations of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fittingroom.networks.graph_builder import GraphBuilder

Config = Mapping[str, Any]


class UnknownActivationError(Exception):
    """An activation that graphs do not hold; its text is the name."""


def activated(builder: GraphBuilder, value: str, name: str, config: Config, layer: str) -> str:
    """What an activation makes of a value.

    Args:
        builder: takes the operations.
        value: what goes in.
        name: of one of `keras.activations`.
        config: its arguments; Keras's defaults for those that are not there.
        layer: name of the layer that it belongs to.

    Raises:
        UnknownActivationError: a graph cannot hold it.
    """
    name = {"swish": "silu", "hard_swish": "hard_silu", "exp": "exponential", "relu_6": "relu6"}.get(name, name)
    if name == "linear":
        return value
    if name in _OF_EACH_NUMBER:
        options = {option: config.get(option, default) for option, default in _OF_EACH_NUMBER[name].items()}
        return builder.add("activation", [value], name=name, layer=layer, **options)
    if name not in _COMPOSED:
        raise UnknownActivationError(name)
    return _COMPOSED[name](_Steps(builder, layer), value, config)


_OF_EACH_NUMBER: dict[str, dict[str, Any]] = {
    "relu": {"max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    "elu": {"alpha": 1.0},
    "gelu": {"approximate": False},
    **{
        name: {}
        for name in (
            "sigmoid",
            "tanh",
            "exponential",
            "selu",
            "silu",
            "softplus",
            "softsign",
            "hard_sigmoid",
            "hard_silu",
            "log_sigmoid",
            "square",
            "sqrt",
            "reciprocal",
            "negative",
            "log",
        )
    },
}
"""Name -> options and their defaults."""


class _Steps:
    """Adds operations for one layer."""

    def __init__(self, builder: GraphBuilder, layer: str) -> None:
        self._builder = builder
        self._layer = layer

    def add(self, kind: str, *inputs: str, weights: Mapping[str, Any] | None = None, **options: Any) -> str:
        return self._builder.add(kind, inputs, weights=weights, layer=self._layer, **options)

    def apply(self, name: str, value: str, **config: Any) -> str:
        return activated(self._builder, value, name, config, self._layer)

    def scaled(self, value: str, scale: float, offset: float = 0.0) -> str:
        return self.add("scale", value, weights={"scale": scale, "offset": offset})

    def number(self, value: float) -> str:
        return self.add("constant", weights={"value": np.float32(value)})

    def shape(self, value: str) -> tuple[int, ...]:
        return self._builder.shape(value)


_Compose = Callable[[_Steps, str, Config], str]


def _leaky_relu(steps: _Steps, value: str, config: Config) -> str:
    return steps.apply("relu", value, negative_slope=config.get("negative_slope", 0.2))


def _softmax(kind: str) -> _Compose:
    def compose(steps: _Steps, value: str, config: Config) -> str:
        """Along any axis, which is made the last one for it."""
        rank, axis = len(steps.shape(value)), config.get("axis", -1)
        if isinstance(axis, list) and len(axis) == 1:
            (axis,) = axis
        if not isinstance(axis, int) or axis == 0:
            raise UnknownActivationError(f"{kind} along the axes {axis}")
        last = axis - 1 if axis > 0 else axis % rank  # Keras counts the images' axis
        order = [place for place in range(rank) if place != last] + [last]
        turned = steps.add(kind, steps.add("transpose", value, axes=order))
        return steps.add("transpose", turned, axes=np.argsort(order).tolist())

    return compose


def _celu(steps: _Steps, value: str, config: Config) -> str:
    """max(x, 0) + min(α (exp(x / α) - 1), 0)."""
    alpha = config.get("alpha", 1.0)
    below = steps.add("minimum", value, steps.number(0))
    bent = steps.apply("exponential", steps.scaled(below, 1 / alpha))
    return steps.add("add", steps.apply("relu", value), steps.scaled(bent, alpha, -alpha))


def _glu(steps: _Steps, value: str, config: Config) -> str:
    """The first half of the channels, let through by the second."""
    shape = steps.shape(value)
    if config.get("axis", -1) not in (-1, len(shape)):
        raise UnknownActivationError("glu along another axis than the last")
    others, half = [[0, 0]] * (len(shape) - 1), shape[-1] // 2
    first = steps.add("crop", value, cropping=[*others, [0, half]])
    second = steps.add("crop", value, cropping=[*others, [half, 0]])
    return steps.add("multiply", first, steps.apply("sigmoid", second))


def _squareplus(steps: _Steps, value: str, config: Config) -> str:
    """(x + √(x² + b)) / 2."""
    root = steps.apply("sqrt", steps.scaled(steps.apply("square", value), 1, config.get("b", 4)))
    return steps.scaled(steps.add("add", value, root), 0.5)


def _soft_shrink(steps: _Steps, value: str, config: Config) -> str:
    """max(x - t, 0) - max(-x - t, 0)."""
    threshold = config.get("threshold", 0.5)
    above = steps.apply("relu", steps.scaled(value, 1, -threshold))
    return steps.add("subtract", above, steps.apply("relu", steps.scaled(value, -1, -threshold)))


def _clipped(lowest: float, highest: float) -> _Compose:
    def compose(steps: _Steps, value: str, config: Config) -> str:
        del config
        return steps.add("minimum", steps.add("maximum", value, steps.number(lowest)), steps.number(highest))

    return compose


def _sparse_sigmoid(steps: _Steps, value: str, config: Config) -> str:
    return steps.scaled(_clipped(-1, 1)(steps, value, config), 0.5, 0.5)


_COMPOSED: dict[str, _Compose] = {
    "relu6": lambda steps, value, _: steps.apply("relu", value, max_value=6.0),
    "leaky_relu": _leaky_relu,
    "softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"),
    "celu": _celu,
    "glu": _glu,
    "squareplus": _squareplus,
    "soft_shrink": _soft_shrink,
    "hard_tanh": _clipped(-1, 1),
    "sparse_sigmoid": _sparse_sigmoid,
    "tanh_shrink": lambda steps, value, _: steps.add("subtract", value, steps.apply("tanh", value)),
    "mish": lambda steps, value, _: steps.add("multiply", value, steps.apply("tanh", steps.apply("softplus", value))),
}
"""Those that are made of others."""
