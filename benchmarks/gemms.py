"""The matrix products of one epoch of `course` at batch 32, alone, with one thread: timed in JAX and in NumPy.

Usage: python -m benchmarks.gemms

For each library it prints `ready`, waits for a line on its standard input, and goes: so several processes can go at the
same moment. The last line is a JSON object, the seconds of each epoch by library.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

IMAGES, BATCH, PIXELS, HIDDEN, CLASSES = 60_000, 32, 28 * 28, 128, 10
STEPS = IMAGES // BATCH
EPOCHS = 7

ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""The environment that gives JAX and whichever BLAS NumPy has one thread. It counts when they are imported."""

OPERATIONS = 2 * BATCH * (2 * PIXELS * HIDDEN + 3 * HIDDEN * CLASSES) * STEPS
"""Multiplications and additions in all: two products that touch the pixels, and three between hidden and output."""

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Epoch = Callable[[], tuple[Any, Any]]
"""Does the products of one epoch; gives the last step's gradients, first layer and second."""


def operands() -> tuple[Array, Array, Array]:
    """A batch of images and both layers' weights. Each has the norm 1, so that repeated products stay in range."""
    random = np.random.default_rng(0)
    shapes = [(BATCH, PIXELS), (PIXELS, HIDDEN), (HIDDEN, CLASSES)]
    matrices = [random.random(shape, np.float32) for shape in shapes]
    images, first, second = (matrix / np.linalg.norm(matrix, ord=2) for matrix in matrices)
    return images, first, second


def jax_epoch() -> Epoch:
    """The products of an epoch as a compiled loop."""
    import jax

    images, first, second = (jax.device_put(matrix) for matrix in operands())

    def step(_: int, weights: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        # Each gradient takes the place of weights, so every product is needed, and none can move out of the loop.
        first = weights[0]
        hidden = images @ first
        outputs = hidden @ second
        return images.T @ (outputs @ second.T), hidden.T @ outputs

    epoch = jax.jit(lambda first, second: jax.lax.fori_loop(0, STEPS, step, (first, second)))
    return lambda: tuple(jax.block_until_ready(epoch(first, second)))


def numpy_epoch() -> Epoch:
    """The same in NumPy, into memory that is there already."""
    images, first, second = operands()
    hidden, outputs, back = (np.empty((BATCH, size), np.float32) for size in (HIDDEN, CLASSES, HIDDEN))
    gradient = np.empty_like(second)

    def epoch() -> tuple[Array, Array]:
        for _ in range(STEPS):
            np.matmul(images, first, out=hidden)
            np.matmul(hidden, second, out=outputs)
            np.matmul(hidden.T, outputs, out=gradient)
            np.matmul(outputs, second.T, out=back)
            np.matmul(images.T, back, out=first)
        return first, gradient

    return epoch


LIBRARIES: dict[str, Callable[[], Epoch]] = {"jax": jax_epoch, "numpy": numpy_epoch}


def seconds(epoch: Epoch) -> Iterator[float]:
    """The seconds of each of some epochs."""
    for _ in range(EPOCHS):
        start = time.perf_counter()
        epoch()
        yield time.perf_counter() - start


def main() -> None:
    """Times both libraries."""
    os.environ.update(ONE_THREAD)  # JAX is not imported yet; for NumPy's BLAS whoever starts this process sets it
    times = {}
    for library, make in LIBRARIES.items():
        epoch = make()
        epoch()
        print("ready", flush=True)
        sys.stdin.readline()
        times[library] = statistics.median(seconds(epoch))
    print(json.dumps(times))


if __name__ == "__main__":
    main()
