"""Layers of Keras with windows that move over images or along rows: convolutions, pooling, enlarging."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fittingroom.networks.graph import Array
from fittingroom.networks.keras_call import LayerCall, Make


def _pair(given: Any, rank: int) -> list[int]:
    """A setting of a window for height and width; one-dimensional windows lie along the width."""
    sides = [int(side) for side in np.broadcast_to(given, rank)]
    return [1, *sides] if rank == 1 else sides


class Window:
    """How the window of a convolution or a pooling moves over images, or along rows.

    Args:
        call: of the layer, of one dimension or of two, whose configuration says it.
        size: of the window; as configured where it is not given.
    """

    def __init__(self, call: LayerCall, size: Sequence[int] | None = None) -> None:
        self._call = call
        self._rank = len(call.shape) - 1
        if self._rank not in (1, 2):
            raise call.refusal("only windows over one or two dimensions are known")
        config = call.config
        self.size = _pair(size or config.get("pool_size"), self._rank)
        self.strides = _pair(config.get("strides") or self.size[-self._rank :], self._rank)
        self.dilation = _pair(config.get("dilation_rate", 1), self._rank)
        self.maps = call.inputs[0] if self._rank == 2 else call.reshaped(call.inputs[0], (1, *call.shape))

    @property
    def padding(self) -> list[list[int]]:
        """Pixels before and behind, along height and width, as TensorFlow pads."""
        kind, shape = self._call.config.get("padding", "valid"), self._call.builder.shape(self.maps)
        pairs = []
        for side, size, stride, dilation in zip(shape, self.size, self.strides, self.dilation, strict=False):
            reach = (size - 1) * dilation + 1
            total = max((math.ceil(side / stride) - 1) * stride + reach - side, 0) if kind == "same" else 0
            pairs.append([total // 2, total - total // 2])
        if kind == "causal":
            pairs[1] = [(self.size[1] - 1) * self.dilation[1], 0]
        return pairs

    def restored(self, value: str) -> str:
        """Maps as rows again, where rows came in."""
        shape = self._call.builder.shape(value)
        return value if self._rank == 2 else self._call.reshaped(value, shape[1:])

    def convolved(self, kernel: Array, bias: Array | None, groups: int = 1) -> str:
        """A convolution with a kernel of Keras, whose first axes are those of the window."""
        return self._call.add(
            "convolution",
            self.maps,
            weights={"kernel": kernel.reshape(*self.size, *kernel.shape[-2:]), "bias": bias},
            strides=self.strides,
            dilation=self.dilation,
            padding=self.padding,
            groups=groups,
        )

    def filtered(self, kernel: Array, bias: Array | None) -> str:
        """Each channel convolved alone, with a kernel of … × channels × filters."""
        *size, channels, filters = kernel.shape
        return self.convolved(kernel.reshape(*size, 1, channels * filters), bias, channels)


def _convolution(call: LayerCall) -> str:
    kernel = call.needed("kernel")
    window = Window(call, kernel.shape[:-2])
    value = window.convolved(kernel, call.weight("bias"), call.config.get("groups", 1))
    return call.activated(window.restored(value))


def _depthwise(call: LayerCall) -> str:
    kernel = call.needed("kernel")
    window = Window(call, kernel.shape[:-2])
    return call.activated(window.restored(window.filtered(kernel, call.weight("bias"))))


def _separable(call: LayerCall) -> str:
    kernel, pointwise = call.needed("depthwise_kernel"), call.needed("pointwise_kernel")
    window = Window(call, kernel.shape[:-2])
    value = window.filtered(kernel, None)
    weights = {"kernel": pointwise.reshape(pointwise.shape[-2:]), "bias": call.weight("bias")}
    return call.activated(window.restored(call.add("dense", value, weights=weights)))


def _transposed(call: LayerCall) -> str:
    kernel = call.needed("kernel")
    window = Window(call, kernel.shape[:-2])
    kernel = kernel.reshape(*window.size, *kernel.shape[-2:])
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(window.size, window.dilation, strict=True)]
    spread = np.zeros((*reach, *kernel.shape[2:]))
    spread[:: window.dilation[0], :: window.dilation[1]] = kernel
    given = call.config.get("output_padding")
    rank = len(call.shape) - 1
    more = [None, None] if given is None else ([None] if rank == 1 else []) + [*np.broadcast_to(given, rank)]
    cut = [
        _cut(size, stride, call.config.get("padding", "valid"), extra)
        for size, stride, extra in zip(spread.shape, window.strides, more, strict=False)
    ]
    missing = [[max(-each, 0) for each in pair] for pair in cut]
    bias = call.weight("bias")
    value = call.add(
        "transposed_convolution",
        window.maps,
        weights={"kernel": spread, "bias": None if np.any(missing) else bias},
        strides=window.strides,
        cut=[[max(each, 0) for each in pair] for pair in cut],
    )
    value = call.add("pad", value, padding=[*missing, [0, 0]])
    if np.any(missing) and bias is not None:
        value = call.scaled(value, 1, bias)
    return call.activated(window.restored(value))


def _cut(size: int, stride: int, padding: str, extra: int | None) -> list[int]:
    """How much Keras leaves out of a transposed convolution's full result before and behind; less than 0 adds zeros."""
    if padding == "valid":
        return [0, -(max(size, stride) - size if extra is None else int(extra))]
    total = stride + size - 2 if extra is None else size + size % 2 - 2 + int(extra)
    before = min(total // 2 + total % 2, size - 1)
    return [size - 1 - before, size - 1 - (total - before)]


def _pooled(kind: str) -> Make:
    def make(call: LayerCall) -> str:
        window = Window(call)
        settings: dict[str, Any] = {"size": window.size, "strides": window.strides, "padding": window.padding}
        return window.restored(call.add(kind, window.maps, **settings))

    return make


def _pooled_whole(kind: str) -> Make:
    def make(call: LayerCall) -> str:
        axes = list(range(len(call.shape) - 1))
        return call.add(kind, call.inputs[0], axes=axes, keepdims=bool(call.config.get("keepdims", False)))

    return make


def _enlarged(call: LayerCall) -> str:
    rank = len(call.shape) - 1
    factors = _pair(call.config["size"], rank)
    maps = call.inputs[0] if rank == 2 else call.reshaped(call.inputs[0], (1, *call.shape))
    height, width, channels = call.builder.shape(maps)
    shape = (height * factors[0], width * factors[1], channels)
    value = call.add("resize", maps, shape=shape, method=_method(call))
    return value if rank == 2 else call.reshaped(value, shape[1:])


def _method(call: LayerCall) -> str:
    method = str(call.config.get("interpolation", "nearest")).lower()
    if method not in ("nearest", "bilinear") or call.config.get("antialias"):
        how = " with antialiasing" if call.config.get("antialias") else ""
        raise call.refusal(f"resizing by {method}{how} is not known")
    return method


def _resizing(call: LayerCall) -> str:
    if call.config.get("crop_to_aspect_ratio") or call.config.get("pad_to_aspect_ratio"):
        raise call.refusal("keeping the aspect ratio is not known")
    shape = (call.config["height"], call.config["width"], call.shape[-1])
    return call.add("resize", call.inputs[0], shape=shape, method=_method(call))


def _center_crop(call: LayerCall) -> str:
    cropping = []
    for side, wanted in zip(call.shape, (call.config["height"], call.config["width"]), strict=False):
        if side < wanted:
            raise call.refusal("images smaller than what is cut out of them are not known")
        cropping.append([(side - wanted) // 2, side - wanted - (side - wanted) // 2])
    return call.add("crop", call.inputs[0], cropping=[*cropping, [0, 0]])


WINDOW_LAYERS: Mapping[str, Make] = {
    **dict.fromkeys(("Conv1D", "Conv2D"), _convolution),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose"), _transposed),
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D"), _pooled("max_pool")),
    **dict.fromkeys(("AveragePooling1D", "AveragePooling2D"), _pooled("average_pool")),
    **dict.fromkeys(("GlobalAveragePooling1D", "GlobalAveragePooling2D"), _pooled_whole("mean")),
    **dict.fromkeys(("GlobalMaxPooling1D", "GlobalMaxPooling2D"), _pooled_whole("max")),
    **dict.fromkeys(("UpSampling1D", "UpSampling2D"), _enlarged),
    "Resizing": _resizing,
    "CenterCrop": _center_crop,
}
"""What makes operations of a layer, by the name of its class."""
