"""Convolutions whose gradients are as fast as they are, for programs that run on a CPU.

XLA's CPU backend has a fast convolution, but only for the order of axes that images and kernels usually have. The
gradients that JAX derives are convolutions in other orders, for which it falls back to a loop that is up to 65 times
slower, and so does every convolution with groups. Here each gradient is written as a convolution in the usual order,
and groups are taken apart. `rewritten_for_cpu` replaces JAX's convolution and pooling while a program is traced.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.interpreters.ad import JVPTracer

from fittingroom.engine.pooling import paddings, pool

USUAL = ("NHWC", "HWIO", "NHWC")
_ORIGINAL = jax.lax.conv_general_dilated  # its name in `jax.lax` is ours while a program is traced
# XLA's convolution is slow where windows have few numbers (three channels of 3×3) and there are few features for each
# channel. There one product of windows, laid side by side, takes half of its time or less (decision 6).
FEW_NUMBERS, FEW_FEATURES = 27, 16


class _Windows(NamedTuple):
    """The windows that a kernel is applied to: strides, padding and dilation of rows and columns."""

    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def spread(self, weights: jax.Array) -> list[int]:
        """How many rows and columns a window spans."""
        return [(extent - 1) * step + 1 for extent, step in zip(weights.shape[:2], self.dilation, strict=True)]

    def reach(self, gradient: jax.Array) -> list[int]:
        """How many rows and columns the first pixels of all windows span."""
        return [(extent - 1) * step + 1 for extent, step in zip(gradient.shape[1:3], self.strides, strict=True)]

    def size(self, images: jax.Array, weights: jax.Array) -> list[int]:
        """How many windows there are along each axis."""
        return [
            (extent + sum(pads) - spread) // step + 1
            for extent, pads, spread, step in zip(
                images.shape[1:3], self.pads, self.spread(weights), self.strides, strict=True
            )
        ]

    def met(self, images: jax.Array, weights: jax.Array) -> list[jax.Array]:
        """The pixels that meet each position of the kernel, row by row: `(batch, *size, channels)` each."""
        padded = jax.lax.pad(
            images, jnp.zeros((), images.dtype), [(0, 0, 0), *((*pad, 0) for pad in self.pads), (0, 0, 0)]
        )
        size = self.size(images, weights)

        def along(array: jax.Array, axis: int, position: int) -> jax.Array:
            start, step = position * self.dilation[axis - 1], self.strides[axis - 1]
            return jax.lax.slice_in_dim(array, start, start + (size[axis - 1] - 1) * step + 1, step, axis)

        height, width = weights.shape[:2]
        return [along(along(padded, 1, row), 2, column) for row in range(height) for column in range(width)]


def convolve(
    lhs: jax.Array, rhs: jax.Array, window_strides: Sequence[int], padding: Any, **options: Any
) -> jax.Array | None:
    """The result of `jax.lax.conv_general_dilated` for these of its arguments, or None where they are not covered.

    Covered are two spatial axes in any layout, with strides, padding, `rhs_dilation` and `feature_group_count`. The
    gradient is a rule for differentiating backwards, as training does; forwards it cannot be differentiated.
    """
    inputs, kernel, strides = lhs, rhs, window_strides
    dilation = tuple(options.pop("rhs_dilation", None) or (1, 1))
    groups = options.pop("feature_group_count", 1)
    layout = options.pop("dimension_numbers", None)
    if inputs.ndim != 4 or options or inputs.dtype != kernel.dtype or not jnp.issubdtype(inputs.dtype, jnp.floating):
        return None
    layout = jax.lax.conv_dimension_numbers(inputs.shape, kernel.shape, layout)
    batch, channel, *space = layout.lhs_spec
    images = inputs.transpose(batch, *space, channel)
    weights = kernel.transpose(*layout.rhs_spec[2:], layout.rhs_spec[1], layout.rhs_spec[0])
    windows = _Windows(tuple(strides), ((0, 0), (0, 0)), dilation)
    pads = paddings(images.shape[1:3], windows.spread(weights), strides, padding)
    windows = windows._replace(pads=tuple(pads))
    if min(*windows.size(images, weights), *images.shape, *weights.shape) < 1:
        return None
    wide = jnp.promote_types(inputs.dtype, jnp.float32)  # a CPU has no convolution of shorter numbers
    result = _grouped(images.astype(wide), weights.astype(wide), groups, windows).astype(inputs.dtype)
    order = (layout.out_spec[0], *layout.out_spec[2:], layout.out_spec[1])
    return result.transpose([order.index(axis) for axis in range(4)])


def _grouped(images: jax.Array, weights: jax.Array, groups: int, windows: _Windows) -> jax.Array:
    """One ordinary convolution for each group of channels."""
    if weights.shape[2] == 1 and groups == images.shape[3] > 1:
        return _depthwise(images, weights, windows)
    if groups == 1:
        return _dense(images, weights, windows)
    parts = zip(jnp.split(images, groups, axis=3), jnp.split(weights, groups, axis=3), strict=True)
    return jnp.concatenate([_dense(image, weight, windows) for image, weight in parts], axis=3)


def _depthwise(images: jax.Array, weights: jax.Array, windows: _Windows) -> jax.Array:
    """Each channel has its own kernels, so the result is a sum of elementwise products, one per position."""
    height, width, _, features = weights.shape
    channels = images.shape[3]
    own = weights.reshape(height * width, channels, features // channels)
    total = sum(part[..., None] * weight for part, weight in zip(windows.met(images, weights), own, strict=True))
    return jnp.asarray(total).reshape(images.shape[0], *windows.size(images, weights), features)


def _dense(images: jax.Array, weights: jax.Array, windows: _Windows) -> jax.Array:
    if weights.shape[:2] == (1, 1):
        return _product(images, weights, windows)
    return _convolution(images, weights, windows)


def _product(images: jax.Array, weights: jax.Array, windows: _Windows) -> jax.Array:
    """The product of each window, flattened to `height * width * channels` numbers, with the kernel."""
    side_by_side = jnp.concatenate(windows.met(images, weights), axis=3)
    return side_by_side @ weights.reshape(-1, weights.shape[3])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolution(images: jax.Array, weights: jax.Array, windows: _Windows) -> jax.Array:
    """A convolution without groups, whose gradients are convolutions in the usual order of axes."""
    height, width, channels, features = weights.shape
    if height * width * channels <= FEW_NUMBERS and features <= FEW_FEATURES * channels:
        return _product(images, weights, windows)
    return _xla(images, weights, windows.pads, window_strides=windows.strides, rhs_dilation=windows.dilation)


def _forward(images: jax.Array, weights: jax.Array, windows: _Windows) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolution(images, weights, windows), (images, weights)


def _backward(windows: _Windows, kept: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    images, weights = kept
    return _images_gradient(images, weights, gradient, windows), _kernel_gradient(images, weights, gradient, windows)


_convolution.defvjp(_forward, _backward)


def _images_gradient(images: jax.Array, weights: jax.Array, gradient: jax.Array, windows: _Windows) -> jax.Array:
    """The gradient, with its strides filled with zeros, convolved with the kernel turned round."""
    pads = []
    for axis, (spread, reach) in enumerate(zip(windows.spread(weights), windows.reach(gradient), strict=True)):
        low = spread - 1 - windows.pads[axis][0]
        pads.append((low, images.shape[axis + 1] + spread - 1 - reach - low))
    turned = weights[::-1, ::-1].transpose(0, 1, 3, 2)
    return _xla(
        gradient, turned, pads, window_strides=(1, 1), lhs_dilation=windows.strides, rhs_dilation=windows.dilation
    )


def _kernel_gradient(images: jax.Array, weights: jax.Array, gradient: jax.Array, windows: _Windows) -> jax.Array:
    """The images convolved with the gradient: channels become the batch, images the channels, strides the dilation."""
    pads = []
    for axis, (spread, reach) in enumerate(zip(windows.spread(weights), windows.reach(gradient), strict=True)):
        low = windows.pads[axis][0]
        pads.append((low, reach + spread - 1 - images.shape[axis + 1] - low))
    channels_first, gradient_first = images.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3)
    result = _xla(channels_first, gradient_first, pads, window_strides=windows.dilation, rhs_dilation=windows.strides)
    return result.transpose(1, 2, 0, 3)


def _xla(images: jax.Array, weights: jax.Array, pads: Sequence[tuple[int, int]], **options: Any) -> jax.Array:
    result: jax.Array = _ORIGINAL(images, weights, padding=pads, dimension_numbers=USUAL, **options)
    return result


_lock = threading.Lock()
_tracing: list[int] = []  # the threads within `rewritten_for_cpu`, as often as they have entered it
_originals = jax.lax.conv_general_dilated, jax.lax.reduce_window


@contextmanager
def rewritten_for_cpu() -> Iterator[None]:
    """Within the context, what this thread traces on a CPU has the engine's 2-D convolutions and pooling.

    A layer of the user's may call JAX's functions too, in any of the ways that their signatures allow. Calls that are
    not covered, and those of other threads, get the originals. On a GPU nothing is changed.
    """
    # Keras's layers call these two functions by their names in `jax.lax`, and neither Keras nor JAX has a way to give a
    # convolution another gradient. Without this, a gradient takes up to 65 times as long (decision 6 in
    # docs/decisions.md). The names are ours only while a program is traced; a compiled program needs neither.
    if jax.default_backend() != "cpu":
        yield
        return
    me = threading.get_ident()
    with _lock:
        _tracing.append(me)
        jax.lax.conv_general_dilated, jax.lax.reduce_window = _replacements()
    try:
        yield
    finally:
        with _lock:
            _tracing.remove(me)
            if not _tracing:
                jax.lax.conv_general_dilated, jax.lax.reduce_window = _originals


@functools.cache
def _replacements() -> tuple[Callable[..., Any], Callable[..., Any]]:
    return _or_else(convolve, _originals[0]), _or_else(pool, _originals[1])


def _or_else(ours: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    def call(*arguments: Any, **options: Any) -> Any:
        result = None
        if threading.get_ident() in _tracing:
            given = signature.bind(*arguments, **options).arguments
            # Our gradients are rules for going backwards only, so forward-mode differentiation needs JAX's own.
            if not any(isinstance(value, JVPTracer) for value in given.values()):
                defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
                result = ours(**{name: value for name, value in given.items() if value is not defaults[name]})
        return original(*arguments, **options) if result is None else result

    return call
