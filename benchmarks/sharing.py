"""What it costs two devices to share a batch: core time per training step, for docs/measurements.md.

Usage: python -m benchmarks.sharing

Core time is that of all threads together, so it can be measured while the machine does other things. Where two devices
need no more of it than one, they can halve the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import fittingroom  # noqa: F401 - before JAX: asks it for one thread per operation and a device per core

# isort: split
import jax
import keras
import numpy as np
from keras import layers

from fittingroom.engine import devices as mesh
from fittingroom.engine.epoch import Examples
from fittingroom.engine.keras_steps import KerasSteps
from fittingroom.engine.programs import Programs, TracedPrograms
from fittingroom.engine.state import State

SECONDS, ROUNDS = 1.0, 5


def dense(*sizes: int) -> list[Any]:
    """A multilayer perceptron."""
    return [layers.Flatten(), *(layers.Dense(size, activation="relu") for size in sizes)]


def convolutions(*features: int) -> list[Any]:
    """Convolutions, each followed by pooling."""
    pairs = [(layers.Conv2D(size, 3, padding="same", activation="relu"), layers.MaxPooling2D()) for size in features]
    return [*(layer for pair in pairs for layer in pair), layers.Flatten()]


def normalised(*stages: Sequence[int]) -> list[Any]:
    """Stages of convolutions with batch normalisation, with pooling in between."""
    chain: list[Any] = []
    for number, stage in enumerate(stages):
        chain += [layers.MaxPooling2D()] if number else []
        for size in stage:
            chain += [
                layers.Conv2D(size, 3, padding="same", use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(),
            ]
    return [*chain, layers.GlobalAveragePooling2D()]


NETWORKS: list[tuple[str, Callable[[], list[Any]], tuple[int, ...]]] = [
    ("dense 128 (`course`)", lambda: dense(128), (32, 256, 1024)),
    ("dense 256, 256", lambda: dense(256, 256), (256,)),
    ("dense 512, 512", lambda: dense(512, 512), (256, 1024)),
    ("dense 1024, 1024", lambda: dense(1024, 1024), (256, 1024)),
    ("2 convolutions, 8 and 16 features", lambda: convolutions(8, 16), (32, 64)),
    ("2 convolutions, 32 and 64 features", lambda: convolutions(32, 64), (64,)),
    ("5 convolutions with batch normalisation", lambda: normalised((16,), (32, 32), (64, 64)), (64,)),
]


def model_of(chain: list[Any]) -> keras.Model:
    """A compiled model that has been trained on one batch, so that all its variables are there."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((28, 28, 1)), *chain, layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.train_on_batch(np.zeros((1, 28, 28, 1), np.float32), np.zeros(1, np.int32))
    return model


def seconds_per_step(programs: Programs, arguments: tuple[Any, ...], steps: int) -> tuple[float, float]:
    """Core time and time by the clock of one training step."""
    core, clock = time.process_time(), time.perf_counter()
    state, examples, order = arguments
    jax.block_until_ready(programs.train(state, examples, order, 0, steps))
    return (time.process_time() - core) / steps, (time.perf_counter() - clock) / steps


def line(name: str, chain: list[Any], batch_size: int) -> str:
    """A line of the table: the least of several rounds."""
    model = model_of(chain)
    steps = KerasSteps(model).functions()
    random = np.random.default_rng(0)
    count = max(1, 4096 // batch_size) * batch_size
    images = random.integers(0, 255, (count, 28, 28), dtype=np.uint8)
    examples = jax.device_put(Examples(images, random.integers(0, 10, count).astype(np.int32)))  # type: ignore[arg-type]
    arguments = (State.of(model), examples, np.arange(count, dtype=np.int32))
    traced = TracedPrograms(steps, batch_size, 255.0)
    both = [Programs(traced), Programs(traced.on(2))]
    best = []
    for programs in both:
        seconds_per_step(programs, arguments, 1)
        number = count // batch_size
        number = max(1, min(number, int(SECONDS / seconds_per_step(programs, arguments, number)[1])))
        best.append([min(times) for times in zip(*_rounds(programs, arguments, number), strict=True)])
    (core, clock), (shared_core, shared_clock) = best
    figures = [f"{1e6 * seconds:,.0f}" for seconds in (core, shared_core, clock, shared_clock)]
    return f"| {name} | {batch_size:,} | " + " | ".join(figures) + " |"


def _rounds(programs: Programs, arguments: tuple[Any, ...], steps: int) -> list[tuple[float, float]]:
    return [seconds_per_step(programs, arguments, steps) for _ in range(ROUNDS)]


def main() -> None:
    """Measures all networks with sharing forced, in microseconds per step."""
    mesh.COST_OF_MEETING = mesh.COST_PER_WEIGHT = 0
    print("| network | batch | one device, core | two devices, core | one, clock | two, clock |")
    print("|---" * 6 + "|")
    for name, chain, batch_sizes in NETWORKS:
        for batch_size in batch_sizes:
            print(line(name, chain(), batch_size), flush=True)


if __name__ == "__main__":
    main()
