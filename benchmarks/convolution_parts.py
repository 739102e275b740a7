"""What one core computes in a convolution and its two gradients, by XLA and by oneDNN, for docs/measurements.md.

Usage: python -m benchmarks.convolution_parts

Core time, the least of seven calls of a loop of twenty, 64 images at a time, at the shapes of `cnn` and `best-cpu`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import fittingroom  # noqa: F401 - before JAX: asks it for one thread per operation and a device per core

# isort: split
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.pairs import markdown_table
from fittingroom.engine import convolution, onednn
from fittingroom.engine.depthwise import Windows
from fittingroom.engine.devices import not_kept

IMAGES, LOOP, CALLS = 64, 20, 7
SHAPES = ((28, 1, 32), (14, 32, 64), (14, 64, 64), (7, 64, 64), (7, 64, 128))
WINDOWS = Windows((1, 1), ((1, 1), (1, 1)), (1, 1))


def plain_kernel_gradient(images: jax.Array, gradient: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """By oneDNN, as a convolution whose kernel is the gradient: the images' channels are the batch."""
    turned = onednn.convolution(images.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3), WINDOWS)
    return turned.transpose(1, 2, 0, 3).reshape(shape)


def by_xla(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """In 32 bits, since XLA has no fast convolution of shorter numbers on a CPU."""

    def call(first: jax.Array, second: jax.Array) -> jax.Array:
        return function(first.astype(jnp.float32), second.astype(jnp.float32)).astype(first.dtype)

    return call


def core_milliseconds(function: Callable[..., jax.Array], first: jax.Array, second: jax.Array) -> float:
    """Of one call inside a compiled loop, in which nothing stays the same from turn to turn."""

    def turn(_: Any, now: Any) -> Any:
        first, second, _ = now
        first, second = first.at[(0,) * first.ndim].add(1), second.at[(0,) * second.ndim].add(1)
        return first, second, function(first, second)

    loop = jax.jit(lambda *now: jax.lax.fori_loop(0, LOOP, turn, now))
    with not_kept():
        result = jax.block_until_ready(loop(first, second, function(first, second)))
    times = []
    for _ in range(CALLS):
        started = time.process_time()
        jax.block_until_ready(loop(*result))
        times.append(time.process_time() - started)
    return 1e3 * min(times) / LOOP


def main() -> None:
    """Measures, and prints the table."""
    rows = [("shape", "numbers", "part", "XLA, ms", "oneDNN, ms", "GFLOP/s a core")]
    random = np.random.default_rng(0)
    for kind in sorted(onednn.types_computed(), reverse=True):
        for side, channels, features in SHAPES:
            shape = (3, 3, channels, features)
            images, weights, gradient = (
                jnp.asarray(random.standard_normal(size), kind)
                for size in ((IMAGES, side, side, channels), shape, (IMAGES, side, side, features))
            )
            extent, work = (side, side), 2 * IMAGES * side * side * 9 * channels * features

            parts: dict[str, Any] = {
                "forward": (
                    images,
                    weights,
                    by_xla(lambda x, w: convolution._by_xla(x, w, WINDOWS)),
                    lambda x, w: onednn.convolution(x, w, WINDOWS),
                ),
                "images' gradient": (
                    gradient,
                    weights,
                    by_xla(lambda g, w, e=extent: convolution._images_gradient(e, w, g, WINDOWS)),
                    lambda g, w, e=extent: onednn.images_gradient(g, w, e, WINDOWS),
                ),
                "kernel's gradient": (
                    images,
                    gradient,
                    by_xla(lambda x, g, s=shape: convolution._kernel_gradient(x, s, g, WINDOWS)),
                    lambda x, g, s=shape: onednn.kernel_gradient(x, g, s, WINDOWS),
                ),
                "the same, plainly": (
                    images,
                    gradient,
                    None,
                    lambda x, g, s=shape: plain_kernel_gradient(x, g, s),
                ),
            }
            for part, (first, second, theirs, ours) in parts.items():
                taken = core_milliseconds(ours, first, second)
                compared = f"{core_milliseconds(theirs, first, second):.2f}" if theirs else ""
                where = f"{side}x{side}, {channels} to {features}"
                rows.append((where, kind, part, compared, f"{taken:.2f}", f"{work / taken / 1e6:.0f}"))
    print(markdown_table(rows))


if __name__ == "__main__":
    main()
