"""Convolutions and pooling as matrix products and slices, which XLA's CPU backend runs many times faster in a loop.

Inside a compiled loop that backend has no fast convolution, and its pooling has a slow gradient (figures in
docs/decisions.md). The same sums as products of slices with the kernel's rows are ordinary matrix products, and their
gradients are, too. On a GPU nothing is changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

# A window with more positions than this is left to XLA: each becomes an operation of its own.
LARGEST_WINDOW = 16


@contextmanager
def as_matrix_products() -> Iterator[None]:
    """While it lasts, what is traced on a CPU has its 2-D convolutions and its pooling rewritten.

    Keras calls `jax.lax.conv_general_dilated` and `jax.lax.reduce_window`, so these two names are replaced meanwhile.
    What the replacements do not cover goes to the originals.
    """
    if jax.default_backend() != "cpu":
        yield
        return
    convolution, pooling = jax.lax.conv_general_dilated, jax.lax.reduce_window
    jax.lax.conv_general_dilated = _or_else(convolve, convolution)
    jax.lax.reduce_window = _or_else(pool, pooling)
    try:
        yield
    finally:
        jax.lax.conv_general_dilated, jax.lax.reduce_window = convolution, pooling


def _or_else(ours: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        result = ours(*arguments, **options)
        return original(*arguments, **options) if result is None else result

    return call


def convolve(
    inputs: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Any,
    **options: Any,
) -> jax.Array | None:
    """What `jax.lax.conv_general_dilated` gives, or None where this does not cover it.

    Covered are two spatial axes in any layout, with strides, padding, `rhs_dilation` and `feature_group_count`.
    """
    dilation = tuple(options.pop("rhs_dilation", None) or (1, 1))
    groups = options.pop("feature_group_count", 1)
    layout = options.pop("dimension_numbers", None)
    if inputs.ndim != 4 or options:
        return None
    layout = jax.lax.conv_dimension_numbers(inputs.shape, kernel.shape, layout)
    batch, channel, *space = layout.lhs_spec
    images = inputs.transpose(batch, *space, channel)
    weights = kernel.transpose(*layout.rhs_spec[2:], layout.rhs_spec[1], layout.rhs_spec[0])
    spread = [(size - 1) * step + 1 for size, step in zip(weights.shape[:2], dilation, strict=True)]
    pads = _pads(images.shape[1:3], spread, strides, padding)
    images = jax.lax.pad(images, jnp.zeros((), images.dtype), [(0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)])
    size = [
        (extent - reach) // step + 1 for extent, reach, step in zip(images.shape[1:3], spread, strides, strict=True)
    ]
    product = _depthwise if weights.shape[2] == 1 and groups == images.shape[3] > 1 else _grouped
    result = product(images, weights, groups, _Windows(size, strides, dilation))
    positions = {
        axis: place for place, axis in enumerate((layout.out_spec[0], *layout.out_spec[2:], layout.out_spec[1]))
    }
    return result.transpose([positions[axis] for axis in range(4)])


class _Windows:
    """Which pixels a position of the kernel meets: `size` of them per axis, `strides` apart, starting at `dilation`."""

    def __init__(self, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> None:
        self.size = size
        self._strides = strides
        self._dilation = dilation

    def along(self, images: jax.Array, axis: int, position: int) -> jax.Array:
        """What a position meets along one axis: 1 for rows, 2 for columns."""
        start, step = position * self._dilation[axis - 1], self._strides[axis - 1]
        return jax.lax.slice_in_dim(images, start, start + (self.size[axis - 1] - 1) * step + 1, step, axis)


def _grouped(images: jax.Array, weights: jax.Array, groups: int, windows: _Windows) -> jax.Array:
    """One ordinary convolution for each group of channels."""
    if groups == 1:
        return _dense(images, weights, windows)
    parts = zip(jnp.split(images, groups, axis=3), jnp.split(weights, groups, axis=3), strict=True)
    return jnp.concatenate([_dense(image, weight, windows) for image, weight in parts], axis=3)


def _dense(images: jax.Array, weights: jax.Array, windows: _Windows) -> jax.Array:
    """The columns of a kernel's row are put side by side, so that each row is one matrix product; their sum is it."""
    height, width, channels, features = weights.shape
    columns = [windows.along(images, 2, column) for column in range(width)]
    wide = columns[0] if width == 1 else jnp.concatenate(columns, axis=3)
    total = sum(
        windows.along(wide, 1, row).reshape(-1, width * channels) @ weights[row].reshape(width * channels, features)
        for row in range(height)
    )
    return jnp.asarray(total).reshape(images.shape[0], *windows.size, features)


def _depthwise(images: jax.Array, weights: jax.Array, groups: int, windows: _Windows) -> jax.Array:
    """Each channel has kernels of its own: products number by number, with nothing to sum but positions."""
    height, width, _, features = weights.shape
    weights = weights.reshape(height, width, groups, features // groups)
    total = sum(
        windows.along(windows.along(images, 1, row), 2, column)[..., None] * weights[row, column]
        for row in range(height)
        for column in range(width)
    )
    return jnp.asarray(total).reshape(images.shape[0], *windows.size, features)


def pool(
    inputs: jax.Array, start: Any, combine: Callable[..., Any], window: Sequence[int], strides: Any, padding: Any
) -> jax.Array | None:
    """What `jax.lax.reduce_window` gives for the maximum or the sum over a small window, or None otherwise."""
    axes = [axis for axis, extent in enumerate(window) if extent > 1]
    if combine not in (jax.lax.max, jax.lax.add) or math.prod(window) > LARGEST_WINDOW or inputs.dtype.kind == "i":
        return None
    steps = [1] * inputs.ndim if strides is None else list(strides)
    pads = _pads(inputs.shape, window, steps, padding)
    padded = jax.lax.pad(inputs, jnp.asarray(start, inputs.dtype), [(low, high, 0) for low, high in pads])
    join = _first_largest if combine is jax.lax.max else jnp.add
    result = padded
    for axis in reversed(range(inputs.ndim)):
        count = (padded.shape[axis] - window[axis]) // steps[axis] + 1
        if axis in axes or steps[axis] > 1:
            result = _pool_axis(result, axis, window[axis], steps[axis], count, join)
    return result


def _pool_axis(
    images: jax.Array, axis: int, extent: int, step: int, count: int, join: Callable[..., jax.Array]
) -> jax.Array:
    parts = [
        jax.lax.slice_in_dim(images, position, position + (count - 1) * step + 1, step, axis)
        for position in range(extent)
    ]
    result = parts[0]
    for part in parts[1:]:
        result = join(result, part)
    return result


def _first_largest(first: jax.Array, second: jax.Array) -> jax.Array:
    """The larger one; of equals the first, which then has the whole gradient, as in XLA's pooling. NaN stays NaN."""
    return jnp.where((first >= second) | jnp.isnan(first), first, second)


def _pads(extents: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: Any) -> list[tuple[int, int]]:
    """Zeros to add before and after each axis."""
    if isinstance(padding, str):
        pads: list[tuple[int, int]] = jax.lax.padtype_to_pads(extents, window, strides, padding.upper())
        return pads
    return [(int(low), int(high)) for low, high in padding]
