"""Operations of `keras.ops` within functional models, as operations of a graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fittingroom.networks.keras_call import LayerCall, Make, filled, image_axes, values_of


def _operands(call: LayerCall) -> list[str]:
    """The values of all arguments; arrays and numbers as constants."""
    return [argument if isinstance(argument, str) else _constant(call, argument) for argument in call.arguments]


def _constant(call: LayerCall, argument: Any) -> str:
    return call.constant(_beside(values_of(argument), len(call.shape)))


def _beside(array: Any, rank: int) -> Any:
    """An array without the axis of the images, where it has one: that is 1."""
    return array[0] if np.ndim(array) == rank + 1 and array.shape[0] == 1 else array


def _binary(kind: str) -> Make:
    def make(call: LayerCall) -> str:
        ranks = {len(call.builder.shape(argument)) for argument in call.arguments if isinstance(argument, str)}
        if len(ranks) > 1:
            raise call.refusal("its inputs have different numbers of axes")
        return call.add(kind, *_operands(call))

    return make


def _linear(as_scale: Callable[[Any], tuple[Any, Any]], kind: str) -> Make:
    """An operation of two values that is a scale where the second is an array."""

    def make(call: LayerCall) -> str:
        first, second = call.arguments
        if isinstance(first, str) and not isinstance(second, str):
            return call.scaled(first, *as_scale(_beside(values_of(second), len(call.shape))))
        return _binary(kind)(call)

    return make


def _commuting(as_scale: Callable[[Any], tuple[Any, Any]], kind: str) -> Make:
    def make(call: LayerCall) -> str:
        value, *others = sorted(call.arguments, key=lambda argument: not isinstance(argument, str))
        if len(others) == 1 and not isinstance(others[0], str):
            return call.scaled(value, *as_scale(_beside(values_of(others[0]), len(call.shape))))
        return _binary(kind)(call)

    return make


def _subtract(call: LayerCall) -> str:
    first, second = call.arguments
    if isinstance(second, str) and not isinstance(first, str):
        return call.scaled(second, -1, _beside(values_of(first), len(call.shape)))
    return _linear(lambda value: (1, -value), "subtract")(call)


def _divide(call: LayerCall) -> str:
    first, second = call.arguments
    if not isinstance(second, str):
        return call.scaled(first, 1 / _beside(values_of(second), len(call.shape)).astype(np.float64), 0)
    below = call.add("activation", second, name="reciprocal")
    if not isinstance(first, str):
        return call.scaled(below, _beside(values_of(first), len(call.shape)), 0)
    return call.add("multiply", first, below)


def _power(call: LayerCall) -> str:
    value, exponent = call.arguments
    whole = None if isinstance(exponent, str) else float(values_of(exponent).reshape(-1)[0])
    if not isinstance(value, str) or whole not in (0.5, 1, 2, -1, 3, 4):
        raise call.refusal("powers other than 0.5, -1, 1, 2, 3, 4 are not known")
    if whole in (1, 0.5, -1):
        return value if whole == 1 else call.add("activation", value, name="sqrt" if whole == 0.5 else "reciprocal")
    square = call.add("activation", value, name="square")
    return square if whole == 2 else call.add("multiply", square, value if whole == 3 else square)


def _clip(call: LayerCall) -> str:
    lowest, highest = (values_of(call.config[name]) for name in ("x_min", "x_max"))
    above = call.add("maximum", call.inputs[0], call.constant(lowest))
    return call.add("minimum", above, call.constant(highest))


def _absolute(call: LayerCall) -> str:
    return call.add("maximum", call.inputs[0], call.add("activation", call.inputs[0], name="negative"))


def _axes(call: LayerCall) -> list[int]:
    if call.config.get("axis") is None:
        raise call.refusal("it works along the axis of the images")
    return image_axes(call, call.config["axis"])


def _reduced(kind: str, *, sign: int = 1, total: bool = False) -> Make:
    """A mean, a sum, a maximum or, with the sign turned before and behind, a minimum."""

    def make(call: LayerCall) -> str:
        axes, keepdims = _axes(call), bool(call.config.get("keepdims", False))
        value = call.add("activation", call.inputs[0], name="negative") if sign < 0 else call.inputs[0]
        value = call.add(kind, value, axes=axes, keepdims=keepdims)
        count = math.prod(call.shape[axis] for axis in axes) if total else 1
        return call.scaled(value, sign * count, 0)

    return make


def _variance(call: LayerCall) -> str:
    axes = _axes(call)
    mean = call.add("mean", call.inputs[0], axes=axes, keepdims=True)
    square = call.add("activation", call.add("subtract", call.inputs[0], mean), name="square")
    return call.add("mean", square, axes=axes, keepdims=bool(call.config.get("keepdims", False)))


def _deviation(call: LayerCall) -> str:
    return call.add("activation", _variance(call), name="sqrt")


def _flip(call: LayerCall) -> str:
    value = call.inputs[0]
    for axis in _axes(call):
        value = call.add("flip", value, axis=axis)
    return value


def _reshape(call: LayerCall) -> str:
    first, *shape = call.config["newshape"]
    sides = shape if first in (-1, None) else None
    if sides is None or (first == -1 and -1 in shape):
        raise call.refusal("it does not leave the images' axis first")
    return call.reshaped(call.inputs[0], filled(sides, math.prod(call.shape)))


def _expand(call: LayerCall) -> str:
    rank = len(call.shape) + 1
    places = sorted(int(axis) % (rank + np.size(call.config["axis"])) for axis in np.ravel(call.config["axis"]))
    shape = list(call.shape)
    for place in places:
        if place == 0:
            raise call.refusal("it adds an axis before that of the images")
        shape.insert(place - 1, 1)
    return call.reshaped(call.inputs[0], shape)


def _squeeze(call: LayerCall) -> str:
    axes = [axis for axis, side in enumerate(call.shape) if side == 1] if call.config["axis"] is None else _axes(call)
    return call.reshaped(call.inputs[0], [side for axis, side in enumerate(call.shape) if axis not in axes])


def _transpose(call: LayerCall) -> str:
    axes = call.config["axes"]
    if not axes or axes[0] != 0:
        raise call.refusal("it moves the axis of the images")
    return call.add("transpose", call.inputs[0], axes=[axis - 1 for axis in axes[1:]])


def _swap(call: LayerCall) -> str:
    rank = len(call.shape)
    order = list(range(rank))
    one, other = (image_axes(call, call.config[name])[0] for name in ("axis1", "axis2"))
    order[one], order[other] = other, one
    return call.add("transpose", call.inputs[0], axes=order)


def _concatenate(call: LayerCall) -> str:
    (axis,) = _axes(call)
    return call.add("concatenate", *call.inputs, axis=axis)


def _stack(call: LayerCall) -> str:
    rank = len(call.shape) + 1
    place = int(call.config["axis"]) % (rank + 1) - 1
    if place < 0:
        raise call.refusal("it works along the axis of the images")
    shape = [*call.shape[:place], 1, *call.shape[place:]]
    return call.add("concatenate", *[call.reshaped(value, shape) for value in call.inputs], axis=place)


def _pad(call: LayerCall) -> str:
    widths = [[int(side) for side in pair] for pair in call.config["pad_width"]]
    filler = call.config.get("constant_values")
    if len(widths) != len(call.shape) + 1 or any(widths[0]) or call.config.get("mode") != "constant" or filler:
        raise call.refusal("padding other than with zeros around each image is not known")
    return call.add("pad", call.inputs[0], padding=widths[1:])


def _item(call: LayerCall) -> str:
    """A part along some axes: slices without steps, places, and new axes."""
    sides = [None, *call.shape]
    cropping, kept = [], []
    for part in _each_axis(call.arguments[1:], len(sides)):
        if part is None and len(sides) <= len(call.shape):
            kept.append(1)
            continue
        side = sides.pop(0)
        if isinstance(part, Mapping) and part.get("class_name") == "__slice__":
            start, stop, step = (part["config"].get(name) for name in ("start", "stop", "step"))
            if side is None and (start, stop, step) == (None, None, None):
                continue
            if side is not None:
                start, stop, step = slice(start, stop, step).indices(side)
                if step == 1 and stop > start:
                    cropping.append([start, side - stop])
                    kept.append(stop - start)
                    continue
        elif isinstance(part, int) and side is not None:
            cropping.append([part % side, side - 1 - part % side])
            continue
        raise call.refusal("only slices without steps and places along the axes of one image are known")
    return call.reshaped(call.add("crop", call.inputs[0], cropping=cropping), kept)


def _each_axis(key: Sequence[Any], axes: int) -> list[Any]:
    """A part for each axis, and None for each new one."""
    whole = {"class_name": "__slice__", "config": {}}
    kinds = [part.get("class_name") if isinstance(part, Mapping) else None for part in key]
    dots = [place for place, kind in enumerate(kinds) if kind == "__ellipsis__"]
    missing = [whole] * (axes - sum(part is not None for part in key) + len(dots))
    place = dots[0] if dots else len(key)
    return [*key[:place], *missing, *key[place + 1 :]]


def _matmul(call: LayerCall) -> str:
    first, second = call.arguments
    if not isinstance(second, str) and isinstance(first, str):
        kernel = values_of(second)
        if kernel.ndim == 2:
            return call.add("dense", first, weights={"kernel": kernel})
    return call.add("matmul", *_operands(call))


def _resize(call: LayerCall) -> str:
    config = call.config
    method = str(config.get("interpolation"))
    odd = config.get("antialias") or config.get("crop_to_aspect_ratio") or config.get("pad_to_aspect_ratio")
    if odd or method not in ("nearest", "bilinear") or config.get("data_format") not in (None, "channels_last"):
        raise call.refusal("resizing other than bilinear or nearest, without antialiasing, is not known")
    return call.add("resize", call.inputs[0], shape=(*config["size"], call.shape[-1]), method=method)


def _same(call: LayerCall) -> str:
    return call.inputs[0]


def _cast(call: LayerCall) -> str:
    if not str(call.config.get("dtype")).startswith(("float", "bfloat")):
        raise call.refusal(f"numbers of the type {call.config.get('dtype')} are not known")
    return call.inputs[0]


def _function(name: str) -> Make:
    return lambda call: call.passed_through(call.inputs[0], name, call.config)


def _floor(call: LayerCall) -> str:
    return call.add("floor", call.inputs[0])


def _ceil(call: LayerCall) -> str:
    below = call.add("floor", call.add("activation", call.inputs[0], name="negative"))
    return call.add("activation", below, name="negative")


def _inverse_root(call: LayerCall) -> str:
    return call.add("activation", call.add("activation", call.inputs[0], name="sqrt"), name="reciprocal")


_FUNCTIONS = {
    "Relu": "relu",
    "ReLU": "relu",
    "Relu6": "relu6",
    "LeakyRelu": "leaky_relu",
    "Sigmoid": "sigmoid",
    "SparseSigmoid": "sparse_sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "SoftShrink": "soft_shrink",
    "Silu": "silu",
    "Squareplus": "squareplus",
    "LogSigmoid": "log_sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Elu": "elu",
    "Selu": "selu",
    "Gelu": "gelu",
    "Celu": "celu",
    "Glu": "glu",
    "Tanh": "tanh",
    "TanhShrink": "tanh_shrink",
    "HardTanh": "hard_tanh",
    "Mish": "mish",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Exp": "exponential",
    "Square": "square",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Negative": "negative",
    "Log": "log",
}
"""Class of the operation -> name of the activation that it is."""

OPERATIONS: Mapping[str, Make] = {
    f"ops.{name}": make
    for name, make in {
        **{name: _function(activation) for name, activation in _FUNCTIONS.items()},
        "Add": _commuting(lambda value: (1, value), "add"),
        "Multiply": _commuting(lambda value: (value, 0), "multiply"),
        "Subtract": _subtract,
        **dict.fromkeys(("Divide", "TrueDivide"), _divide),
        "Power": _power,
        **dict.fromkeys(("Maximum", "Fmax"), _binary("maximum")),
        **dict.fromkeys(("Minimum", "Fmin"), _binary("minimum")),
        "Clip": _clip,
        **dict.fromkeys(("Absolute", "Abs", "Fabs"), _absolute),
        "Mean": _reduced("mean"),
        "Sum": _reduced("mean", total=True),
        **dict.fromkeys(("Max", "Amax"), _reduced("max")),
        **dict.fromkeys(("Min", "Amin"), _reduced("max", sign=-1)),
        "Var": _variance,
        "Std": _deviation,
        "Flip": _flip,
        "Floor": _floor,
        "Ceil": _ceil,
        "Rsqrt": _inverse_root,
        "Reshape": _reshape,
        "ExpandDims": _expand,
        "Squeeze": _squeeze,
        "Transpose": _transpose,
        "Swapaxes": _swap,
        "Concatenate": _concatenate,
        "Stack": _stack,
        "Pad": _pad,
        "GetItem": _item,
        "Matmul": _matmul,
        "Resize": _resize,
        "Cast": _cast,
        **dict.fromkeys(("Copy", "StopGradient", "ConvertToTensor"), _same),
    }.items()
}
"""What makes operations of an operation, by the name of its class behind `ops.`."""
