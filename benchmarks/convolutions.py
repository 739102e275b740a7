"""Ways to write a convolution inside a compiled loop on a CPU: images per second in training, for docs/measurements.md.

Usage: python -m benchmarks.convolutions

One device has one core; two devices share each batch of 64 images (engine/devices.py).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import fittingroom  # noqa: F401 - before JAX: asks it for one thread per operation and a device per core

# isort: split
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from benchmarks.readme import between_markers
from fittingroom.engine.convolution import BY_ONEDNN, SHARED_BY, convolve
from fittingroom.engine.devices import BATCH, Sharing, not_kept
from fittingroom.engine.pooling import pool

IMAGES, STEPS, ROUNDS = 64, 8, 5
PAGE = Path(__file__).parents[1] / "docs" / "measurements.md"
LAYOUT = ("NHWC", "HWIO", "NHWC")
Function = Callable[..., jax.Array]


def shifted(images: jax.Array) -> list[jax.Array]:
    """What each of the nine positions of a 3×3 kernel meets, padded to the same size."""
    height, width = images.shape[1:3]
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return [padded[:, row : row + height, column : column + width] for row in range(3) for column in range(3)]


def by_xla(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's own convolution, with the gradients that JAX derives."""
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


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
    """The sum of three products, one for each row of the kernel, whose columns lie side by side."""
    channels, features = kernel.shape[2:]
    parts = shifted(images)
    rows = [jnp.concatenate(parts[start : start + 3], axis=3).reshape(-1, 3 * channels) for start in (0, 3, 6)]
    weights = kernel.reshape(3, 3 * channels, features)
    total = sum(row @ weight for row, weight in zip(rows, weights, strict=True))
    return jnp.asarray(total).reshape(*images.shape[:3], features)


def with_own_gradients(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """The engine's way: XLA's convolution, and gradients that are XLA's convolution in the usual order of axes."""
    result = convolve(images, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)
    assert result is not None
    return result


def by_onednn(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """The engine's way in long trainings, its gradients by oneDNN too."""
    allowed = BY_ONEDNN.set(True)
    result = with_own_gradients(images, kernel)
    BY_ONEDNN.reset(allowed)
    return result


WINDOW = (1, 2, 2, 1)


def pool_by_xla(images: jax.Array) -> jax.Array:
    """XLA's own pooling."""
    result: jax.Array = jax.lax.reduce_window(images, -jnp.inf, jax.lax.max, WINDOW, WINDOW, "VALID")
    return result


def pool_by_comparison(images: jax.Array) -> jax.Array:
    """Nested comparisons of slices, with the gradient that JAX derives."""
    left, right = images[:, :, ::2], images[:, :, 1::2]
    wide = jnp.where(left >= right, left, right)
    upper, lower = wide[:, ::2], wide[:, 1::2]
    return jnp.where(upper >= lower, upper, lower)


def pool_by_winner(images: jax.Array) -> jax.Array:
    """The engine's way: the winner's position is kept, and the gradient is one comparison with it."""
    result = pool(images, -jnp.inf, jax.lax.max, WINDOW, WINDOW, "VALID")
    assert result is not None
    return result


CONVOLUTIONS: dict[str, Function] = {
    "XLA": by_xla,
    "patches": by_patches,
    "positions": by_positions,
    "rows": by_rows,
    "XLA, own gradients (used in short trainings)": with_own_gradients,
    "oneDNN (used in long ones)": by_onednn,
}
POOLINGS: dict[str, Function] = {
    "XLA": pool_by_xla,
    "comparisons": pool_by_comparison,
    "winner (used)": pool_by_winner,
}
DEVICES = (1, 2)


def parameters() -> list[jax.Array]:
    """Weights of the network; their values do not matter for its speed."""
    random = np.random.default_rng(0)
    shapes = [(3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (7 * 7 * 64, 10), (10,)]
    return [jnp.asarray(random.standard_normal(shape) * 0.05, jnp.float32) for shape in shapes]


def training(convolution: Function, pooling: Function, devices: int) -> Callable[[], float]:
    """A function that trains for some steps and gives the images per second; it is compiled already."""
    random = np.random.default_rng(1)
    whole = Sharing(devices).everywhere
    shares = NamedSharding(whole.mesh, PartitionSpec(BATCH))
    images = jax.device_put(random.random((IMAGES, 28, 28, 1)).astype(np.float32), shares)
    labels = jax.device_put(random.integers(0, 10, IMAGES), shares)

    def loss(weights: list[jax.Array], images: jax.Array, labels: jax.Array) -> jax.Array:
        hidden = pooling(jax.nn.relu(convolution(images, weights[0]) + weights[1]))
        hidden = pooling(jax.nn.relu(convolution(hidden, weights[2]) + weights[3]))
        outputs = hidden.reshape(IMAGES, -1) @ weights[4] + weights[5]
        return -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], axis=1).mean()

    def step(weights: list[jax.Array], images: jax.Array, labels: jax.Array) -> list[jax.Array]:
        slopes = jax.grad(loss)(weights, images, labels)
        return [weight - 0.01 * slope for weight, slope in zip(weights, slopes, strict=True)]

    def steps(weights: list[jax.Array], images: jax.Array, labels: jax.Array, count: int) -> list[jax.Array]:
        result: list[jax.Array] = jax.lax.fori_loop(0, count, lambda _, w: step(w, images, labels), weights)
        return result

    weights = jax.device_put(parameters(), whole)
    shared = SHARED_BY.set(whole.mesh if devices > 1 else None)
    with not_kept():
        run = jax.jit(steps, out_shardings=whole)
        jax.block_until_ready(run(weights, images, labels, 1))
    SHARED_BY.reset(shared)

    def measure() -> float:
        started = time.perf_counter()
        jax.block_until_ready(run(weights, images, labels, STEPS))
        return IMAGES * STEPS / (time.perf_counter() - started)

    return measure


def table(speeds: dict[tuple[str, str, int], float]) -> str:
    """Images per second, one line per way to convolve."""
    columns = [(pooling, devices) for devices in DEVICES for pooling in POOLINGS]
    heads = [f"{pooling}, {devices} device{'s' if devices > 1 else ''}" for pooling, devices in columns]
    lines = ["| convolution \\ pooling | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for convolution in CONVOLUTIONS:
        cells = [f"{speeds[convolution, pooling, devices]:,.0f}" for pooling, devices in columns]
        lines.append(f"| {convolution} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measures all combinations in turn, and puts the table of medians into the page of measurements."""
    trainings = {
        (convolution, pooling, devices): training(CONVOLUTIONS[convolution], POOLINGS[pooling], devices)
        for convolution in CONVOLUTIONS
        for pooling in POOLINGS
        for devices in DEVICES
    }
    rates: dict[tuple[str, str, int], list[float]] = {combination: [] for combination in trainings}
    for _ in range(ROUNDS):
        for combination, measure in trainings.items():
            rates[combination].append(measure())
    found = table({combination: statistics.median(measured) for combination, measured in rates.items()})
    print(found)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(between_markers(page, "convolutions", f"\n{found}\n\n"), encoding="utf-8")


if __name__ == "__main__":
    main()
