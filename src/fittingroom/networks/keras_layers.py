"""Layers of Keras that look at no neighbours: dense, normalising, joining, reshaping, activating."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fittingroom.networks.graph import Array
from fittingroom.networks.keras_call import LayerCall, Make, apply_layer, filled, image_axes, values_of


def _same(call: LayerCall) -> str:
    return call.inputs[0]


def _dense(call: LayerCall) -> str:
    weights = {"kernel": call.needed("kernel"), "bias": call.weight("bias")}
    return call.activated(call.add("dense", call.inputs[0], weights=weights))


def _batch_norm(call: LayerCall) -> str:
    mean, variance = call.needed("moving_mean"), call.needed("moving_variance")
    gamma, beta = call.weight("gamma"), call.weight("beta")
    scale = (1.0 if gamma is None else gamma.astype(np.float64)) / np.sqrt(
        variance.astype(np.float64) + call.config["epsilon"]
    )
    offset = (0.0 if beta is None else beta) - mean * scale
    (axis,) = image_axes(call, call.config["axis"])
    shape = [-1 if place == axis else 1 for place in range(axis, len(call.shape))]
    return call.scaled(call.inputs[0], scale.reshape(shape), offset.reshape(shape))


def _rescaling(call: LayerCall) -> str:
    return call.scaled(call.inputs[0], values_of(call.config["scale"]), values_of(call.config["offset"]))


def _normalization(call: LayerCall) -> str:
    mean, variance = call.config.get("mean"), call.config.get("variance")
    if mean is None:
        mean, variance = call.needed("mean"), call.needed("variance")
    mean, variance = (np.asarray(values_of(part), np.float64) for part in (mean, variance))
    deviation = np.maximum(np.sqrt(variance), 1e-7)  # Keras's epsilon
    axes = call.config["axis"]
    kept = [] if axes is None else image_axes(call, axes)
    shape = [side if place in kept else 1 for place, side in enumerate(call.shape)]
    sides = [call.shape[axis] for axis in kept]
    mean, deviation = (np.broadcast_to(np.squeeze(part), sides).reshape(shape) for part in (mean, deviation))
    if call.config.get("invert"):
        return call.scaled(call.inputs[0], deviation, mean)
    return call.scaled(call.inputs[0], 1 / deviation, -mean / deviation)


def _layer_norm(call: LayerCall) -> str:
    if call.config.get("rms_scaling"):
        raise call.refusal("rms_scaling is not known")
    return _normalized(call, image_axes(call, call.config["axis"]), call.weight("gamma"), call.weight("beta"))


def _normalized(call: LayerCall, axes: list[int], gamma: Array | None, beta: Array | None) -> str:
    """Mean 0 and variance 1 over some axes, which are made the last one for it; then times gamma, plus beta."""
    shape = call.shape
    order = [axis for axis in range(len(shape)) if axis not in axes] + axes
    value = call.add("transpose", call.inputs[0], axes=order)
    turned = call.builder.shape(value)
    kept = turned[: len(shape) - len(axes)]
    value = call.reshaped(value, (*kept, math.prod(turned[len(kept) :])))
    weights = {name: None if part is None else part.ravel() for name, part in (("gamma", gamma), ("beta", beta))}
    value = call.add("layer_norm", value, weights=weights, epsilon=call.config["epsilon"])
    return call.add("transpose", call.reshaped(value, turned), axes=np.argsort(order).tolist())


def _group_norm(call: LayerCall) -> str:
    (axis,) = image_axes(call, call.config["axis"])
    if axis != len(call.shape) - 1:
        raise call.refusal("groups along another axis than the last are not known")
    shape, groups = call.shape, call.config["groups"]
    groups = shape[-1] if groups == -1 else groups
    parts = call.reshaped(call.inputs[0], (*shape[:-1], groups, shape[-1] // groups))
    others = [place for place in range(len(shape) + 1) if place != len(shape) - 1]
    value = call.reshaped(_normalized(replace(call, inputs=[parts]), others, None, None), shape)
    gamma, beta = call.weight("gamma"), call.weight("beta")
    return call.scaled(value, 1 if gamma is None else gamma, 0 if beta is None else beta)


def _unit_norm(call: LayerCall) -> str:
    """X / √max(Σ x², 1e-12)."""
    axes = image_axes(call, call.config["axis"])
    count = math.prod(call.shape[axis] for axis in axes)
    squares = call.add("mean", call.add("activation", call.inputs[0], name="square"), axes=axes, keepdims=True)
    total = call.add("maximum", call.scaled(squares, count, 0), call.constant(1e-12))
    length = call.add("activation", total, name="sqrt")
    return call.add("multiply", call.inputs[0], call.add("activation", length, name="reciprocal"))


def _rms_norm(call: LayerCall) -> str:
    """γ x / √(mean of x² + ε)."""
    axes = image_axes(call, call.config["axis"])
    squares = call.add("mean", call.add("activation", call.inputs[0], name="square"), axes=axes, keepdims=True)
    length = call.add("activation", call.scaled(squares, 1, call.config["epsilon"]), name="sqrt")
    value = call.add("multiply", call.inputs[0], call.add("activation", length, name="reciprocal"))
    return call.scaled(value, call.needed("scale"), 0)


def _spectral_norm(call: LayerCall) -> str:
    """The layer within: its kernel was divided in training."""
    return apply_layer(call.part(call.config["layer"], call.inputs))


def _flatten(call: LayerCall) -> str:
    return call.reshaped(call.inputs[0], (math.prod(call.shape),))


def _reshape(call: LayerCall) -> str:
    return call.reshaped(call.inputs[0], filled(call.config["target_shape"], math.prod(call.shape)))


def _permute(call: LayerCall) -> str:
    return call.add("transpose", call.inputs[0], axes=[axis - 1 for axis in call.config["dims"]])


def _repeat(call: LayerCall) -> str:
    row = call.reshaped(call.inputs[0], (1, *call.shape))
    return call.add("concatenate", *[row] * call.config["n"], axis=0)


def _combined(kind: str) -> Make:
    def make(call: LayerCall) -> str:
        ranks = {len(call.builder.shape(value)) for value in call.inputs}
        if len(ranks) > 1:
            raise call.refusal("its inputs have different numbers of axes")
        return call.add(kind, *call.inputs)

    return make


def _concatenated(call: LayerCall) -> str:
    (axis,) = image_axes(call, call.config["axis"])
    return call.add("concatenate", *call.inputs, axis=axis)


def _sides(call: LayerCall, name: str) -> list[list[int]]:
    """A pair for each axis but the channels'."""
    given, rank = call.config[name], len(call.shape) - 1
    if rank == 1:
        return [[int(side) for side in np.broadcast_to(given, 2)]]
    if np.ndim(given) < 2:
        return [[int(side)] * 2 for side in np.broadcast_to(given, rank)]
    return [[int(before), int(behind)] for before, behind in given]


def _padded(call: LayerCall) -> str:
    return call.add("pad", call.inputs[0], padding=[*_sides(call, "padding"), [0, 0]])


def _cropped(call: LayerCall) -> str:
    return call.add("crop", call.inputs[0], cropping=[*_sides(call, "cropping"), [0, 0]])


def _activation(call: LayerCall) -> str:
    return call.activated(call.inputs[0])


def _named(name: str) -> Make:
    return lambda call: call.passed_through(call.inputs[0], name, call.config)


def _prelu(call: LayerCall) -> str:
    return call.add("prelu", call.inputs[0], weights={"alpha": call.needed("alpha")})


def _layer_scale(call: LayerCall) -> str:
    return call.scaled(call.inputs[0], call.needed("variable"), 0)


def _custom_scale(call: LayerCall) -> str:
    return call.add("add", call.inputs[0], call.scaled(call.inputs[1], call.config["scale"], 0))


_NOTHING = (
    "InputLayer",
    "Identity",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "ActivityRegularization",
    "RandomFlip",
    "RandomTranslation",
    "RandomRotation",
    "RandomZoom",
    "RandomShear",
    "RandomContrast",
    "RandomBrightness",
    "RandomErasing",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomCrop",  # images keep their size when they are not trained on
    "RandomElasticTransform",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomSaturation",
    "RandomSharpness",
    "RandAugment",
    "AugMix",
    "CutMix",
    "MixUp",
)
"""Layers that change nothing when the network is used."""

PLAIN_LAYERS: Mapping[str, Make] = {
    **dict.fromkeys(_NOTHING, _same),
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "UnitNormalization": _unit_norm,
    "RMSNormalization": _rms_norm,
    "SpectralNormalization": _spectral_norm,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "RepeatVector": _repeat,
    "Add": _combined("add"),
    "Subtract": _combined("subtract"),
    "Multiply": _combined("multiply"),
    "Average": _combined("average"),
    "Maximum": _combined("maximum"),
    "Minimum": _combined("minimum"),
    "Concatenate": _concatenated,
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), _padded),
    **dict.fromkeys(("Cropping1D", "Cropping2D"), _cropped),
    "Activation": _activation,
    "ReLU": _named("relu"),
    "LeakyReLU": _named("leaky_relu"),
    "ELU": _named("elu"),
    "Softmax": _named("softmax"),
    "PReLU": _prelu,
    "LayerScale": _layer_scale,
    "CustomScaleLayer": _custom_scale,
}
"""What makes operations of a layer, by the name of its class."""
