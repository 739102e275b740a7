"""How long the matrix products of exercise 2 alone take: what no engine with dense float32 products goes below here.

Usage: python -m benchmarks.exercise2_products

The exercise trains 128, 512 and 1,024 neurons with five seeds each, five epochs of 55,000 images in batches of 32. A
training step has two large products, forward and for the gradient; the rest (the last layer, the update of the weights,
validation, compiling, files) is left out. Each core runs products of its own, as seeds do, one after another with
nothing between them.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import fittingroom  # noqa: F401 - asks JAX for a device per core, before JAX is imported

import jax  # isort: skip
import jax.numpy as jnp

from benchmarks.pairs import markdown_table

HIDDEN, SEEDS, EPOCHS, IMAGES, BATCH, PIXELS = (128, 512, 1024), 5, 5, 55_000, 32, 28 * 28
STEPS = 2_000


def products(images: jax.Array, weights: jax.Array, gradient: jax.Array) -> jax.Array:
    """The two products of `STEPS` steps; each needs what the one before it gave, so that none is left out."""

    def step(_: int, carried: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        images, gradient = carried
        hidden = images @ weights
        update = images.T @ (gradient + 1e-9 * hidden[:1, :1])
        return images + 1e-9 * update[:1, :1], gradient

    result: jax.Array = jax.lax.fori_loop(0, STEPS, step, (images, gradient))[0]
    return result


def seconds_per_step(hidden: int) -> float:
    """Seconds of one step with all cores at work, divided by their number; the best of five."""
    compiled = jax.jit(products)
    shapes = ((BATCH, PIXELS), (PIXELS, hidden), (BATCH, hidden))
    devices = jax.local_devices()
    arguments = [[jax.device_put(jnp.full(shape, 0.01), device) for shape in shapes] for device in devices]

    def on_its_core(mine: list[jax.Array]) -> None:
        compiled(*mine).block_until_ready()

    times = []
    with ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(on_its_core, arguments))  # compiles
        for _ in range(5):
            started = time.perf_counter()
            list(pool.map(on_its_core, arguments))
            times.append(time.perf_counter() - started)
    return min(times) / STEPS / len(devices)


def main() -> None:
    """Measures each size and prints what the exercise would take."""
    steps = SEEDS * EPOCHS * -(-IMAGES // BATCH)
    rows, total = [("neurons", "GFLOP/s, all cores", "seconds of the exercise")], 0.0
    for hidden in HIDDEN:
        seconds = seconds_per_step(hidden)
        total += steps * seconds
        rows.append((f"{hidden:,}", f"{4 * BATCH * PIXELS * hidden / seconds / 1e9:.0f}", f"{steps * seconds:.1f}"))
    print(markdown_table([*rows, ("all", "", f"{total:.1f}")]))


if __name__ == "__main__":
    main()
