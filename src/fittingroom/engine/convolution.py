"""Convolutions and pooling whose gradients are as fast as they are, for programs that run on a CPU.

XLA's CPU backend has a fast convolution, but only for the order of axes that images and kernels usually have. The
gradients that JAX derives are convolutions in other orders, for which it falls back to a loop that is up to 65 times
slower, and so does every convolution with groups. Here each gradient is written as a convolution in the usual order,
and groups are taken apart.

The gradient of XLA's own maximum compares every window once more, in a loop that is not vectorised. Here the forward
pass of pooling over small windows keeps which position of each window won, one byte for each window.

`rewritten_for_cpu` replaces JAX's convolution and pooling while a program is traced.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters.ad import JVPTracer

from fittingroom.engine.depthwise import Windows, depthwise

USUAL = ("NHWC", "HWIO", "NHWC")
_ORIGINAL = jax.lax.conv_general_dilated  # its name in `jax.lax` is ours while a program is traced
# XLA's convolution is slow where windows have few numbers (three channels of 3×3) and there are few features for each
# channel. There one product of windows, laid side by side, takes half of its time or less (decision 6).
FEW_NUMBERS, FEW_FEATURES = 27, 16
# A window with more positions than this is left to XLA, since each position becomes an operation here.
LARGEST_WINDOW = 16


def _convolve(
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
    windows = Windows(tuple(strides), ((0, 0), (0, 0)), dilation)
    pads = _paddings(images.shape[1:3], windows.spread(weights), strides, padding)
    windows = windows._replace(pads=tuple(pads))
    if min(*windows.size(images, weights), *images.shape, *weights.shape) < 1:
        return None
    wide = jnp.promote_types(inputs.dtype, jnp.float32)  # a CPU has no convolution of shorter numbers
    result = _grouped(images.astype(wide), weights.astype(wide), groups, windows).astype(inputs.dtype)
    order = (layout.out_spec[0], *layout.out_spec[2:], layout.out_spec[1])
    return result.transpose([order.index(axis) for axis in range(4)])


def _grouped(images: jax.Array, weights: jax.Array, groups: int, windows: Windows) -> jax.Array:
    """One ordinary convolution for each group of channels."""
    if weights.shape[2] == 1 and groups == images.shape[3] > 1:
        return depthwise(images, weights, windows)
    if groups == 1:
        return _dense(images, weights, windows)
    parts = zip(jnp.split(images, groups, axis=3), jnp.split(weights, groups, axis=3), strict=True)
    return jnp.concatenate([_dense(image, weight, windows) for image, weight in parts], axis=3)


def _dense(images: jax.Array, weights: jax.Array, windows: Windows) -> jax.Array:
    if weights.shape[:2] == (1, 1):
        return _product(images, weights, windows)
    return _convolution(images, weights, windows)


def _product(images: jax.Array, weights: jax.Array, windows: Windows) -> jax.Array:
    """The product of each window, flattened to `height * width * channels` numbers, with the kernel."""
    side_by_side = jnp.concatenate(windows.met(images, weights), axis=3)
    return side_by_side @ weights.reshape(-1, weights.shape[3])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolution(images: jax.Array, weights: jax.Array, windows: Windows) -> jax.Array:
    """A convolution without groups, whose gradients are convolutions in the usual order of axes."""
    height, width, channels, features = weights.shape
    if height * width * channels <= FEW_NUMBERS and features <= FEW_FEATURES * channels:
        return _product(images, weights, windows)
    return _xla(images, weights, windows.pads, window_strides=windows.strides, rhs_dilation=windows.dilation)


def _forward(images: jax.Array, weights: jax.Array, windows: Windows) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolution(images, weights, windows), (images, weights)


def _backward(windows: Windows, kept: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    images, weights = kept
    return _images_gradient(images, weights, gradient, windows), _kernel_gradient(images, weights, gradient, windows)


_convolution.defvjp(_forward, _backward)


def _images_gradient(images: jax.Array, weights: jax.Array, gradient: jax.Array, windows: Windows) -> jax.Array:
    """The gradient, with its strides filled with zeros, convolved with the kernel turned round."""
    pads = windows.pads_back(images, weights, gradient)
    turned = weights[::-1, ::-1].transpose(0, 1, 3, 2)
    return _xla(
        gradient, turned, pads, window_strides=(1, 1), lhs_dilation=windows.strides, rhs_dilation=windows.dilation
    )


def _kernel_gradient(images: jax.Array, weights: jax.Array, gradient: jax.Array, windows: Windows) -> jax.Array:
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


class _PoolingWindows(NamedTuple):
    """The windows of a pooling in a padded array, for each of its axes."""

    shape: tuple[int, ...]  # of the padded array
    extent: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def positions(self) -> list[tuple[int, ...]]:
        """The positions in a window, in the order in which XLA visits them."""
        return list(itertools.product(*(range(extent) for extent in self.extent)))

    @property
    def size(self) -> list[int]:
        """How many windows there are along each axis."""
        return [
            (length - extent) // step + 1
            for length, extent, step in zip(self.shape, self.extent, self.strides, strict=True)
        ]

    @property
    def _reach(self) -> list[int]:
        return [(count - 1) * step + 1 for count, step in zip(self.size, self.strides, strict=True)]

    def met(self, values: jax.Array, position: Sequence[int]) -> jax.Array:
        """The values at one position of all windows."""
        stops = [first + reach for first, reach in zip(position, self._reach, strict=True)]
        return jax.lax.slice(values, position, stops, self.strides)

    def spread_out(self, gradients: Callable[[int], jax.Array]) -> jax.Array:
        """The gradient of the padded array, from those at each position of the windows; where these overlap, a sum."""
        zero = jnp.zeros((), gradients(0).dtype)
        parts = []
        for number, position in enumerate(self.positions):
            after = [
                length - first - reach for length, first, reach in zip(self.shape, position, self._reach, strict=True)
            ]
            pads = list(zip(position, after, [step - 1 for step in self.strides], strict=True))
            parts.append(jax.lax.pad(gradients(number), zero, pads))
        return functools.reduce(jnp.add, parts)

    @property
    def side_by_side(self) -> bool:
        """Whether windows neither overlap nor leave gaps."""
        return self.extent == self.strides

    def each(self, per_window: jax.Array) -> jax.Array:
        """Values of windows, reshaped to broadcast against positions: each axis becomes two."""
        return per_window.reshape([length for count in self.size for length in (count, 1)])

    def numbers(self) -> jax.Array:
        """The numbers of the positions, uint8, shaped to broadcast against windows: each axis becomes two."""
        numbers = jnp.arange(len(self.positions), dtype=jnp.uint8)
        return numbers.reshape([length for extent in self.extent for length in (1, extent)])

    def joined(self, split: jax.Array) -> jax.Array:
        """The padded array, from one with two axes for each of its axes: windows, and positions in a window."""
        covered = [count * extent for count, extent in zip(self.size, self.extent, strict=True)]
        whole = jnp.broadcast_to(
            split, [length for pair in zip(self.size, self.extent, strict=True) for length in pair]
        ).reshape(covered)
        rest = [(0, length - used) for length, used in zip(self.shape, covered, strict=True)]
        return jnp.pad(whole, rest) if any(after for _, after in rest) else whole


def _pool(
    operand: jax.Array,
    init_value: Any,
    computation: Callable[..., Any],
    window_dimensions: Sequence[int],
    window_strides: Any = None,
    padding: Any = "VALID",
    **options: Any,
) -> jax.Array | None:
    """The result of `jax.lax.reduce_window` for these of its arguments, or None where they are not covered.

    Covered are the maximum and the sum over a small window. Of equal numbers the first gets the whole gradient, and NaN
    stays NaN, as in XLA.
    """
    inputs, start, combine, window, strides = operand, init_value, computation, window_dimensions, window_strides
    neutral = {jax.lax.max: -math.inf, jax.lax.add: 0.0}.get(combine)
    if neutral is None or options or not isinstance(start, int | float | np.generic) or neutral != start:
        return None
    strides = (1,) * inputs.ndim if strides is None else tuple(strides)
    if not 1 < math.prod(window) <= LARGEST_WINDOW or not len(window) == len(strides) == inputs.ndim:
        return None
    pads = _paddings(inputs.shape, window, strides, padding)
    if not jnp.issubdtype(inputs.dtype, jnp.floating):
        return None
    padded = jax.lax.pad(inputs, jnp.asarray(start, inputs.dtype), [(low, high, 0) for low, high in pads])
    windows = _PoolingWindows(padded.shape, tuple(window), strides)
    if min(windows.size) < 1:
        return None
    if combine is jax.lax.max:
        return _largest(padded, windows)
    wide = jnp.promote_types(inputs.dtype, jnp.float32)
    return _sum(padded.astype(wide), windows).astype(inputs.dtype)


def _paddings(
    extents: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: Any
) -> list[tuple[int, int]]:
    """How many zeros to add before and after each axis, from pairs of numbers or one of JAX's names ("SAME")."""
    if isinstance(padding, str):
        pads: list[tuple[int, int]] = jax.lax.padtype_to_pads(extents, window, strides, padding.upper())
        return [(int(low), int(high)) for low, high in pads]
    return [(int(low), int(high)) for low, high in padding]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _largest(values: jax.Array, windows: _PoolingWindows) -> jax.Array:
    return _largest_and_where(values, windows)[0]


def _largest_and_where(values: jax.Array, windows: _PoolingWindows) -> tuple[jax.Array, jax.Array]:
    """The largest number of each window, and the number of its position, uint8."""
    first, *others = (windows.met(values, position) for position in windows.positions)
    largest, where = first, jnp.zeros(first.shape, jnp.uint8)
    for number, other in enumerate(others, start=1):
        stays = (largest >= other) | jnp.isnan(largest)
        largest, where = jnp.where(stays, largest, other), jnp.where(stays, where, jnp.uint8(number))
    return largest, where


def _largest_backward(windows: _PoolingWindows, where: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    zero = jnp.zeros((), gradient.dtype)
    if windows.side_by_side:
        split = jnp.where(windows.each(where) == windows.numbers(), windows.each(gradient), zero)
        return (windows.joined(split),)
    return (windows.spread_out(lambda number: jnp.where(where == number, gradient, zero)),)


_largest.defvjp(_largest_and_where, _largest_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _sum(values: jax.Array, windows: _PoolingWindows) -> jax.Array:
    return functools.reduce(jnp.add, (windows.met(values, position) for position in windows.positions))


def _sum_backward(windows: _PoolingWindows, _: None, gradient: jax.Array) -> tuple[jax.Array]:
    if windows.side_by_side:
        return (windows.joined(windows.each(gradient)),)
    return (windows.spread_out(lambda _: gradient),)


_sum.defvjp(lambda values, windows: (_sum(values, windows), None), _sum_backward)


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
    return _or_else(_convolve, _originals[0]), _or_else(_pool, _originals[1])


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
