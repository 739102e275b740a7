"""Pooling whose gradient is as fast as it is, for programs that run on a CPU.

The gradient of XLA's own maximum compares every window once more, in a loop that is not vectorised. Here the forward
pass over small windows keeps which position of each window won, one byte for each window.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fittingroom.engine.depthwise import paddings

# A window with more positions than this is left to XLA, since each position becomes an operation here.
LARGEST_WINDOW = 16


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


def pool(
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
    pads = paddings(inputs.shape, window, strides, padding)
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
