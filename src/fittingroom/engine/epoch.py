"""The pure programs that everything is compiled from: train, evaluate, predict, and the first two for single batches.

Each is built for the sizes at hand and is a function from arrays to arrays, so that JAX compiles it once. Training is a
loop over the steps `start` to `stop` of an epoch. The bounds are arguments: the whole epoch, a quarter of a second of
it (so that Ctrl-C is heard) or one step (so that callbacks can watch batches) run the same compiled program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fittingroom.engine.state import State, Values

Logs = dict[str, jax.Array]

# With more classes than this, a run would be mostly the probabilities of all classes for each image and epoch.
MOST_CLASSES_KEPT = 100
_SMALLEST_FLOAT16 = -65504.0
# A program that notes the numbers after each step has room for so many.
MOST_STEPS_GROUPED = 64
_ALIGNMENT = 64  # bytes; what JAX shares begins at a multiple, and NumPy's arrays begin 16 bytes after one
_MOST_NUMBERS = 2**31 - 1  # that an index of 32 bits reaches


@partial(jax.tree_util.register_dataclass, data_fields=("numbers", "start"), meta_fields=("shape",))
@dataclass(frozen=True)
class ImagesInPlace:
    """Images that stay where they lie in the host's memory: a program reads them from a row of numbers around them.

    Args:
        numbers: `(start + n * numbers of an image,)`.
        start: where the first image begins, int32.
        shape: of all images, `(n, ...)`.
    """

    numbers: jax.Array
    start: jax.Array
    shape: tuple[int, ...]

    @classmethod
    def of(cls, images: np.ndarray[Any, Any]) -> Any:
        """What JAX can read without copying it, of images in the memory of a CPU; other images as they are."""
        if not images.flags.c_contiguous or jax.default_backend() != "cpu":
            return images
        before, odd = divmod(images.ctypes.data % _ALIGNMENT, images.itemsize)
        count = before + images.size
        if odd or count > _MOST_NUMBERS or jax.dtypes.canonicalize_dtype(images.dtype) != images.dtype:
            return images
        numbers = np.asarray(_Memory(images, images.ctypes.data - before * images.itemsize, count))
        return cls(numbers, np.int32(before), images.shape)  # type: ignore[arg-type]  # NumPy's

    def __getitem__(self, picked: jax.Array) -> jax.Array:
        """The images of these indices, `(len(picked), ...)`."""
        size = math.prod(self.shape[1:])
        rows = jax.lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(), start_index_map=(0,))
        begins = (picked * size + self.start)[:, None]
        found = jax.lax.gather(self.numbers, begins, rows, (size,), mode=jax.lax.GatherScatterMode.CLIP)
        return found.reshape(-1, *self.shape[1:])

    def piece(self, start: Any, count: int) -> jax.Array:
        """So many images from one on, `(count, ...)`."""
        size = math.prod(self.shape[1:])
        found = jax.lax.dynamic_slice(self.numbers, (start * size + self.start,), (count * size,))
        return found.reshape(count, *self.shape[1:])


class _Memory:
    """The memory of an array from up to 63 bytes before it on, which are in the same line of the cache.

    Args:
        owner: the array, which lives as long as this.
        address: where it begins.
        count: how many numbers of the array's type it holds.
    """

    def __init__(self, owner: np.ndarray[Any, Any], address: int, count: int) -> None:
        self._owner = owner
        self.__array_interface__ = {
            "version": 3, "data": (address, True), "shape": (count,), "typestr": owner.dtype.str,
        }  # fmt: skip


class Examples(NamedTuple):
    """Images, labels and (when some count more than others) weights, resident on the device; first axis: the image."""

    images: jax.Array  # or `ImagesInPlace`, until a step has picked its own
    labels: jax.Array
    weights: jax.Array | None = None

    def picked(self, picked: jax.Array) -> Examples:
        """Those of these indices."""
        return Examples(*(None if part is None else part[picked] for part in self))  # type: ignore[arg-type]

    def piece(self, start: Any, count: int) -> Examples:
        """So many from one on."""
        return Examples(*(None if part is None else _piece(part, start, count) for part in self))  # type: ignore[arg-type]


def _piece(part: Any, start: Any, count: int) -> jax.Array:
    if isinstance(part, ImagesInPlace):
        return part.piece(start, count)
    return jax.lax.dynamic_slice_in_dim(part, start, count)


class ImageOutcomes(NamedTuple):
    """The result for each image; the first axis of every array is the image."""

    loss: jax.Array  # cross-entropy of the true class, nats, (images,)
    predicted: jax.Array  # class index, (images,)
    probability: jax.Array  # of the true class, 0 to 1, (images,)
    log_probabilities: jax.Array  # of all classes, float16, (images, classes); (images, 0) where there are many

    @staticmethod
    def kept_probabilities(logs: jax.Array) -> jax.Array:
        """Logarithms of probabilities as a run keeps them: float16, within 0.05% of each, and never infinite."""
        kept = logs if logs.shape[1] <= MOST_CLASSES_KEPT else logs[:, :0]
        return jnp.maximum(kept, _SMALLEST_FLOAT16).astype(jnp.float16)


class EvaluationChangesStateError(Exception):
    """A layer draws random numbers, or counts, in evaluation too, so batches must be evaluated one after another."""


@dataclass(frozen=True)
class StepFunctions:
    """What a model does with one batch, as pure functions. `engine.keras_steps` makes them from a Keras model."""

    # Both also return the logs of this batch where the model has its own; else an empty dict, and the metrics count.
    train_step: Callable[[State, Examples], tuple[State, Logs]]
    test_step: Callable[[State, Examples], tuple[State, Logs]]
    forward: Callable[[State, jax.Array], jax.Array]  # (batch, classes) as the model gives them
    log_probabilities: Callable[[jax.Array], jax.Array]  # those, as logarithms of probabilities
    true_class: Callable[[jax.Array], jax.Array]  # labels in any form -> class indices
    fresh_metrics: Callable[[Values], Values]  # those after a reset, from those before it or () for the model's own
    results: Callable[[Values], Logs]
    # What `predict` answers, as logarithms of probabilities, where that is not what `forward` gives.
    answer: Callable[[State, jax.Array], jax.Array] | None = None
    own_logs: bool = False  # whether `train_step` or `test_step` may return logs
    fixed_batch: int | None = None  # how many images the model takes at once, where it takes no other number
    keeps_metrics: bool = False  # whether a metric depends on what came before its reset

    def train_program(
        self, count: int, batch_size: int, scale: float | None, *, noting: bool = False
    ) -> Callable[..., Any]:
        """A pure function `(state, examples, order, start, stop) -> (state, logs)` that runs steps `start` to `stop`.

        `order` (int32, `(count,)`) says which image comes when. Step `i` takes images `i * batch_size` and on; the last
        step takes what is left, as in Keras. Metrics start afresh when `start` is 0; `logs` are those since then.
        With `noting`, there is a third result: the logs after each step, `(MOST_STEPS_GROUPED,)`.
        """
        full, rest = divmod(count, batch_size)

        def batch(examples: Examples, picked: jax.Array) -> Examples:
            part = examples.picked(picked)
            return part._replace(images=_scaled(part.images, scale))

        def run(
            state: State, examples: Examples, order: jax.Array, start: jax.Array, stop: jax.Array
        ) -> tuple[Any, ...]:
            state = self._with_metrics(state, start == 0)
            logs = self._no_logs(self.train_step, state, batch(examples, order[:batch_size]))
            notes = self._no_notes(state, logs) if noting else {}

            def taken(now: tuple[State, Logs, Logs], given: Examples, place: Any) -> tuple[State, Logs, Logs]:
                state, logs = self.train_step(now[0], given)
                return state, logs, self._noted(now[2], place, state, logs)

            def step(index: jax.Array, now: tuple[State, Logs, Logs]) -> tuple[State, Logs, Logs]:
                picked = jax.lax.dynamic_slice(order, (index * batch_size,), (batch_size,))
                return taken(now, batch(examples, picked), index - start)

            now = jax.lax.fori_loop(start, jnp.minimum(stop, full), step, (state, logs, notes))
            if rest:  # the last batch has a shape of its own, so it cannot be a turn of the loop
                last = batch(examples, order[full * batch_size :])
                now = jax.lax.cond(stop > full, lambda now: taken(now, last, full - start), lambda now: now, now)
            state, logs, notes = now
            found = state, logs or self.results(state.metrics)
            return (*found, notes) if noting else found

        return run

    def evaluate_program(self, count: int, batch_size: int, scale: float | None) -> Callable[..., Any]:
        """A pure function `(state, examples) -> (logs, outcomes)` over all `count` images; the state is not changed.

        Tracing it raises EvaluationChangesStateError where the model would change it.
        """
        batch_size = min(batch_size, count)
        full, rest = divmod(count, batch_size)

        def run(state: State, examples: Examples) -> tuple[Logs, ImageOutcomes]:
            if self.keeps_metrics:
                raise EvaluationChangesStateError

            def batch_at(start: Any, size: int) -> Examples:
                batch = examples.piece(start, size)
                return batch._replace(images=_scaled(batch.images, scale))

            def one(now: tuple[Values, Logs], start: Any, size: int) -> tuple[tuple[Values, Logs], ImageOutcomes]:
                batch = batch_at(start, size)
                # `test_step` runs the forward pass too; XLA sees that both are the same, and computes it once.
                outputs = self.forward(state, batch.images)
                after, logs = self.test_step(state._replace(metrics=now[0]), batch)
                # While JAX traces, a value that a layer leaves alone is the very same tracer.
                if any(new is not old for new, old in zip(after.non_trainable, state.non_trainable, strict=True)):
                    raise EvaluationChangesStateError
                return (after.metrics, logs), self._outcomes(outputs, batch.labels)

            metrics = self.fresh_metrics(())
            logs = self._no_logs(self.test_step, state._replace(metrics=metrics), batch_at(0, batch_size))
            (metrics, logs), parts = jax.lax.scan(
                lambda now, index: one(now, index * batch_size, batch_size), (metrics, logs), jnp.arange(full)
            )
            found = jax.tree.map(lambda part: part.reshape(full * batch_size, *part.shape[2:]), parts)
            if rest:
                (metrics, logs), last = one((metrics, logs), full * batch_size, rest)
                found = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), found, last)
            return logs or self.results(metrics), found

        return run

    def train_batch_program(self, scale: float | None) -> Callable[..., Any]:
        """A pure function `(state, batch, first) -> (state, logs)`: one step; `first` starts metrics afresh."""

        def run(state: State, batch: Examples, first: jax.Array) -> tuple[State, Logs]:
            batch = batch._replace(images=_scaled(batch.images, scale))
            state, logs = self.train_step(self._with_metrics(state, first), batch)
            return state, logs or self.results(state.metrics)

        return run

    def train_batches_program(self, scale: float | None) -> Callable[..., Any]:
        """A pure function `(state, batches, begin, end, first) -> (state, logs, notes)`: a step on each of them.

        The arrays of `batches` have one more axis in front, of at most `MOST_STEPS_GROUPED`; the batches from `begin`
        to `end` are trained on. `notes` are the logs after each step.
        """

        def run(state: State, batches: Examples, begin: Any, end: Any, first: Any) -> tuple[State, Logs, Logs]:
            def batch(index: Any) -> Examples:
                part: Examples = jax.tree.map(lambda array: array[index], batches)
                return part._replace(images=_scaled(part.images, scale))

            def step(index: jax.Array, now: tuple[State, Logs, Logs]) -> tuple[State, Logs, Logs]:
                state, logs = self.train_step(now[0], batch(index))
                return state, logs, self._noted(now[2], index - begin, state, logs)

            state = self._with_metrics(state, first)
            logs = self._no_logs(self.train_step, state, batch(0))
            state, logs, notes = jax.lax.fori_loop(begin, end, step, (state, logs, self._no_notes(state, logs)))
            return state, logs or self.results(state.metrics), notes

        return run

    def test_batch_program(self, scale: float | None) -> Callable[..., Any]:
        """A pure function `(state, batch, first) -> (state, logs, outcomes)`: one step of evaluation."""

        def run(state: State, batch: Examples, first: jax.Array) -> tuple[State, Logs, ImageOutcomes]:
            batch = batch._replace(images=_scaled(batch.images, scale))
            outputs = self.forward(state, batch.images)
            state, logs = self.test_step(self._with_metrics(state, first), batch)
            return state, logs or self.results(state.metrics), self._outcomes(outputs, batch.labels)

        return run

    def predict_program(self, scale: float | None) -> Callable[..., Any]:
        """A pure function `(state, images) -> logarithms of probabilities`, float32 `(images, classes)`."""

        def run(state: State, images: jax.Array) -> jax.Array:
            images = _scaled(images, scale)
            return self.answer(state, images) if self.answer else self.log_probabilities(self.forward(state, images))

        return run

    def _outcomes(self, outputs: jax.Array, labels: jax.Array) -> ImageOutcomes:
        """The outcomes of a batch of images, from the model's outputs for them."""
        logs = self.log_probabilities(outputs)
        true_class = jnp.take_along_axis(logs, self.true_class(labels)[:, None], axis=1)[:, 0]
        return ImageOutcomes(
            loss=-true_class,
            predicted=jnp.argmax(logs, axis=1).astype(jnp.int32),
            probability=jnp.exp(true_class),
            log_probabilities=ImageOutcomes.kept_probabilities(logs),
        )

    def _no_logs(self, step: Callable[[State, Examples], tuple[State, Logs]], state: State, batch: Examples) -> Logs:
        """Zeros in the form of the model's own logs: what a loop carries before those of its first batch."""
        if not self.own_logs:
            return {}
        zeros: Logs = jax.tree.map(lambda log: jnp.zeros(log.shape, log.dtype), jax.eval_shape(step, state, batch)[1])
        return zeros

    def _no_notes(self, state: State, logs: Logs) -> Logs:
        """Room for the logs of each step."""
        values = logs or jax.eval_shape(self.results, state.metrics)
        return {name: jnp.zeros((MOST_STEPS_GROUPED, *value.shape), value.dtype) for name, value in values.items()}

    def _noted(self, notes: Logs, place: Any, state: State, logs: Logs) -> Logs:
        """The logs of the steps so far and, at a place among them, of one more."""
        values = (logs or self.results(state.metrics)) if notes else {}
        return {name: note.at[place].set(values[name]) for name, note in notes.items()}

    def _with_metrics(self, state: State, first: jax.Array) -> State:
        """The state, its metrics started afresh where this is the first batch."""
        fresh = self.fresh_metrics(state.metrics)
        return state._replace(metrics=jax.tree.map(lambda new, old: jnp.where(first, new, old), fresh, state.metrics))


def _scaled(images: jax.Array, scale: float | None) -> jax.Array:
    """Model input from stored images: float32 `images / scale`, or the images as they are when `scale` is None."""
    return images if scale is None else images.astype(jnp.float32) / scale
