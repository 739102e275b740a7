"""Activations as operators of TensorFlow Lite, which has a few of them and the arithmetic for the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fittingroom.exports.tflite_steps import LiteSteps

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


def single_operator(name: str, options: Mapping[str, Any]) -> str | None:
    """The operator without options that an activation is; None where it takes more."""
    if name == "relu":
        plain = not options.get("negative_slope") and not options.get("threshold")
        return {None: "RELU", 6: "RELU6"}.get(options.get("max_value")) if plain else None
    if name == "elu":
        return "ELU" if options.get("alpha", 1.0) == 1 else None
    return _SINGLE.get(name)


def lowered(net: LiteSteps, name: str, options: Mapping[str, Any], place: int) -> int | None:
    """The place of an activation of a value; None where it is not known."""
    kind = single_operator(name, options)
    if kind is not None:
        return net.alike(kind, [place])
    if name in _COMPOSED:
        return _COMPOSED[name](net, place)
    if name in _WITH_OPTIONS:
        return _WITH_OPTIONS[name](net, place, options)
    return None


def _with(net: LiteSteps, kind: str, place: int, number: float, **options: Any) -> int:
    return net.alike(kind, [place, net.constant([number])], **options)


def _relu(net: LiteSteps, place: int, options: Mapping[str, Any]) -> int:
    slope, threshold = float(options.get("negative_slope") or 0), float(options.get("threshold") or 0)
    limit = options.get("max_value")
    if threshold:
        result = net.alike("MUL", [place, net.compared(place, threshold)])
        if slope:
            below = _with(net, "MINIMUM", _with(net, "ADD", place, -threshold), 0.0)
            result = net.alike("ADD", [result, _with(net, "MUL", below, slope)])
    elif slope:
        result = net.alike("LEAKY_RELU", [place], alpha=slope)
    else:
        result = net.alike("RELU", [place])
    return result if limit is None else _with(net, "MINIMUM", result, float(limit))


def _elu(net: LiteSteps, place: int, options: Mapping[str, Any]) -> int:
    below = _with(net, "ADD", net.alike("EXP", [_with(net, "MINIMUM", place, 0.0)]), -1.0)
    scaled = _with(net, "MUL", below, float(options.get("alpha", 1.0)))
    return net.alike("ADD", [net.alike("RELU", [place]), scaled])


def _selu(net: LiteSteps, place: int) -> int:
    return _with(net, "MUL", _elu(net, place, {"alpha": _SELU_ALPHA}), _SELU_SCALE)


def _gelu(net: LiteSteps, place: int, options: Mapping[str, Any]) -> int:
    return net.alike("GELU", [place], approximate=bool(options.get("approximate", False)))


def _silu(net: LiteSteps, place: int) -> int:
    return net.alike("MUL", [place, net.alike("LOGISTIC", [place])])


def _softplus(net: LiteSteps, place: int) -> int:
    # ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), which never overflows
    small = net.alike("EXP", [net.alike("NEG", [net.alike("ABS", [place])])])
    return net.alike("ADD", [net.alike("RELU", [place]), net.alike("LOG", [_with(net, "ADD", small, 1.0)])])


def _softsign(net: LiteSteps, place: int) -> int:
    return net.alike("DIV", [place, _with(net, "ADD", net.alike("ABS", [place]), 1.0)])


def _hard_sigmoid(net: LiteSteps, place: int) -> int:
    return _with(net, "MUL", _with(net, "ADD", place, 3.0, activation="RELU6"), 1 / 6)


def _log_sigmoid(net: LiteSteps, place: int) -> int:
    return net.alike("NEG", [_softplus(net, net.alike("NEG", [place]))])


def _reciprocal(net: LiteSteps, place: int) -> int:
    return net.alike("DIV", [net.constant([1.0]), place])


_SINGLE: Mapping[str, str] = {
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "exponential": "EXP",
    "log": "LOG",
    "hard_silu": "HARD_SWISH",
    "square": "SQUARE",
    "sqrt": "SQRT",
    "negative": "NEG",
}

_COMPOSED: Mapping[str, Callable[[LiteSteps, int], int]] = {
    "selu": _selu,
    "silu": _silu,
    "softplus": _softplus,
    "softsign": _softsign,
    "hard_sigmoid": _hard_sigmoid,
    "log_sigmoid": _log_sigmoid,
    "reciprocal": _reciprocal,
}

_WITH_OPTIONS: Mapping[str, Callable[[LiteSteps, int, Mapping[str, Any]], int]] = {
    "relu": _relu,
    "elu": _elu,
    "gelu": _gelu,
}
