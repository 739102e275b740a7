"""Ways to write a convolution inside a compiled loop on a CPU: images per second in training, for docs/decisions.md.

Usage: python -m benchmarks.convolutions
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.readme import between_markers
from fittingroom.engine.convolution import convolve, pool

BATCH, STEPS, ROUNDS = 64, 8, 5
PAGE = Path(__file__).parents[1] / "docs" / "decisions.md"
Function = Callable[..., jax.Array]


def shifted(images: jax.Array) -> list[jax.Array]:
    """What each of the nine positions of a 3×3 kernel meets, padded to the same size."""
    height, width = images.shape[1:3]
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return [padded[:, row : row + height, column : column + width] for row in range(3) for column in range(3)]


def by_xla(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's own convolution."""
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def by_patches(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """All nine positions side by side (im2col), one product."""
    channels, features = kernel.shape[2:]
    patches = jnp.concatenate(shifted(images), axis=3).reshape(-1, 9 * channels)
    return (patches @ kernel.reshape(-1, features)).reshape(*images.shape[:3], features)


def by_positions(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """The sum of nine products."""
    channels, features = kernel.shape[2:]
    weights = kernel.reshape(9, channels, features)
    total = sum(part.reshape(-1, channels) @ weight for part, weight in zip(shifted(images), weights, strict=True))
    return jnp.asarray(total).reshape(*images.shape[:3], features)


def by_rows(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """The engine's way: three products, one for each row of the kernel."""
    result = convolve(images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    assert result is not None
    return result


def pool_by_xla(images: jax.Array) -> jax.Array:
    """XLA's own pooling."""
    result: jax.Array = jax.lax.reduce_window(images, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return result


def pool_by_reshape(images: jax.Array) -> jax.Array:
    """The maximum over two axes of a reshaped image."""
    count, height, width, channels = images.shape
    return images.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def pool_by_comparison(images: jax.Array) -> jax.Array:
    """The engine's way: nested comparisons of slices."""
    result = pool(images, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    assert result is not None
    return result


CONVOLUTIONS: dict[str, Function] = {
    "XLA": by_xla,
    "patches": by_patches,
    "positions": by_positions,
    "rows (used)": by_rows,
}
POOLINGS: dict[str, Function] = {
    "XLA": pool_by_xla,
    "reshape": pool_by_reshape,
    "comparisons (used)": pool_by_comparison,
}


def parameters() -> list[jax.Array]:
    """Weights of the network; their values do not matter for its speed."""
    random = np.random.default_rng(0)
    shapes = [(3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (7 * 7 * 64, 10), (10,)]
    return [jnp.asarray(random.standard_normal(shape) * 0.05, jnp.float32) for shape in shapes]


def training(convolution: Function, pooling: Function) -> Callable[[], float]:
    """A function that trains for some steps and gives the images per second; it is compiled already."""
    random = np.random.default_rng(1)
    images = jnp.asarray(random.random((BATCH, 28, 28, 1)), jnp.float32)
    labels = jnp.asarray(random.integers(0, 10, BATCH))

    def loss(weights: list[jax.Array]) -> jax.Array:
        hidden = pooling(jax.nn.relu(convolution(images, weights[0]) + weights[1]))
        hidden = pooling(jax.nn.relu(convolution(hidden, weights[2]) + weights[3]))
        outputs = hidden.reshape(BATCH, -1) @ weights[4] + weights[5]
        return -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], axis=1).mean()

    def step(_: jax.Array, weights: list[jax.Array]) -> list[jax.Array]:
        return [weight - 0.01 * slope for weight, slope in zip(weights, jax.grad(loss)(weights), strict=True)]

    run = jax.jit(lambda weights, steps: jax.lax.fori_loop(0, steps, step, weights))
    weights = parameters()
    jax.block_until_ready(run(weights, 1))

    def measure() -> float:
        started = time.perf_counter()
        jax.block_until_ready(run(weights, STEPS))
        return BATCH * STEPS / (time.perf_counter() - started)

    return measure


def main() -> None:
    """Measures all pairs in turn, and puts the table of medians into the page of decisions."""
    trainings = {
        (convolution, pooling): training(CONVOLUTIONS[convolution], POOLINGS[pooling])
        for convolution in CONVOLUTIONS
        for pooling in POOLINGS
    }
    speeds: dict[tuple[str, str], list[float]] = {pair: [] for pair in trainings}
    for _ in range(ROUNDS):
        for pair, measure in trainings.items():
            speeds[pair].append(measure())
    lines = ["| convolution \\ pooling | " + " | ".join(POOLINGS) + " |", "|---" * (len(POOLINGS) + 1) + "|"]
    for convolution in CONVOLUTIONS:
        cells = [f"{statistics.median(speeds[convolution, pooling]):,.0f}" for pooling in POOLINGS]
        lines.append(f"| {convolution} | " + " | ".join(cells) + " |")
    table = "\n".join(lines)
    print(table)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(between_markers(page, "convolutions", f"\n{table}\n\n"), encoding="utf-8")


if __name__ == "__main__":
    main()
