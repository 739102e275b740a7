"""The compiled programs of one model: built for the sizes they meet, compiled once, the compile time kept apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import jax
import numpy as np

from fittingroom.engine.convolution import as_matrix_products
from fittingroom.engine.epoch import (
    Examples,
    Logs,
    Outcomes,
    StepFunctions,
    evaluate_program,
    predict_program,
    train_program,
)
from fittingroom.engine.state import State

Order = np.ndarray[Any, np.dtype[np.int32]]
ProgramName = Literal["train", "evaluate", "predict"]

# Large enough that a batch keeps one core busy, small enough that a convolutional network's activations fit in memory.
EVALUATION_BATCH = 500


class ProgramSource(Protocol):
    """Where programs come from: traced from a Keras model, or read from a file."""

    def compile(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The program `name`, compiled for arguments of these shapes."""
        ...


class TracedPrograms:
    """Programs traced from the step functions of a model."""

    def __init__(
        self,
        steps: StepFunctions,
        batch_size: int,
        scale: float | None,
        *,
        evaluation_batch: int = EVALUATION_BATCH,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.scale = scale
        self.evaluation_batch = evaluation_batch

    def compile(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The program `name`, compiled for arguments of these shapes."""
        return jax.jit(self.program(name, arguments)).lower(*arguments).compile()

    def program(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The pure function `name`; `arguments` are what it will be called with."""
        function = self._function(name, arguments)

        def rewritten(*arguments: Any) -> Any:
            with as_matrix_products():
                return function(*arguments)

        return rewritten

    def _function(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        if name == "predict":
            return predict_program(self.steps, self.scale)
        count = arguments[1].images.shape[0]
        if name == "train":
            return train_program(self.steps, count, self.batch_size, self.scale)
        return evaluate_program(self.steps, count, self.evaluation_batch, self.scale)


class Programs:
    """Calls the programs of a source, compiling each once for the shapes it meets."""

    def __init__(self, source: ProgramSource) -> None:
        self._source = source
        self._compiled: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self.compile_seconds = 0.0

    @property
    def compilations(self) -> int:
        """How many programs have been compiled so far."""
        return len(self._compiled)

    def train(self, state: State, examples: Examples, order: Order, start: int, stop: int) -> tuple[State, Logs]:
        """Runs steps `start` to `stop` of an epoch; returns at once, before the device is done."""
        result: tuple[State, Logs] = self._call("train", state, examples, order, np.int32(start), np.int32(stop))
        return result

    def evaluate(self, state: State, examples: Examples) -> tuple[Logs, Outcomes]:
        """The metrics over all examples, and the outcome of each."""
        result: tuple[Logs, Outcomes] = self._call("evaluate", _weights(state), examples)
        return result

    def log_probabilities(self, state: State, images: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Logarithms of the class probabilities, float32 `(images, classes)`.

        Images go through in batches padded to a power of two, so that few shapes are ever compiled.
        """
        parts = [
            self._predict_batch(state, images[start : start + EVALUATION_BATCH])
            for start in range(0, len(images), EVALUATION_BATCH)
        ]
        return np.concatenate(parts)

    def _predict_batch(self, state: State, images: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        size = 1 << (len(images) - 1).bit_length()
        padded = np.concatenate([images, np.zeros((size - len(images), *images.shape[1:]), images.dtype)])
        return np.asarray(self._call("predict", _weights(state), padded))[: len(images)]

    def prepare_train(self, state: State, examples: Examples, order: Order) -> None:
        """Compiles the training program before the clock of training starts."""
        self._executable("train", (state, examples, order, np.int32(0), np.int32(0)))

    def prepare_evaluate(self, state: State, examples: Examples) -> None:
        """Compiles the evaluation program before the clock of training starts."""
        self._executable("evaluate", (_weights(state), examples))

    def _call(self, name: ProgramName, *arguments: Any) -> Any:
        return self._executable(name, arguments)(*arguments)

    def _executable(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        leaves, structure = jax.tree.flatten(arguments)
        key = (name, structure, *((leaf.shape, leaf.dtype) for leaf in leaves))
        if key not in self._compiled:
            started = time.perf_counter()
            self._compiled[key] = self._source.compile(name, arguments)
            self.compile_seconds += time.perf_counter() - started
        return self._compiled[key]


def _weights(state: State) -> State:
    """The part of a state that decides what a model answers."""
    return state._replace(optimizer=(), metrics=())
