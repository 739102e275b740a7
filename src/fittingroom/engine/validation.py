"""Validation: one compiled program over arrays, or batch by batch where that is what it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import numpy as np

from fittingroom.engine.arrays import Arrays
from fittingroom.engine.batches import Batches
from fittingroom.engine.callbacks import Hook, Numbers, last_of_group
from fittingroom.engine.epoch import EvaluationChangesStateError, Examples, Outcomes, numbers
from fittingroom.engine.programs import Programs
from fittingroom.engine.state import State
from fittingroom.errors import DataError

if TYPE_CHECKING:
    from fittingroom.engine.programs import BatchPrograms


class Validated(NamedTuple):
    """What some weights made of the validation images."""

    logs: Numbers
    outcomes: Outcomes  # arrays of NumPy, `(images,)` each
    labels: np.ndarray[Any, Any] | None  # class indices, where an iterable gave the images in an order of its own


class Validation(Protocol):
    """Scores a state on the validation images."""

    def prepare(self, state: State) -> None:
        """Compiles."""
        ...

    def evaluate(self, state: State, hooks: Sequence[Hook]) -> tuple[State, Validated]:
        """The state, changed only where evaluation changes it, and what came of the images."""
        ...


def validation_of(
    examples: Examples | Batches,
    programs: Programs,
    batchwise: BatchPrograms | None,
    batch_size: int,
    *,
    watched_every: int | None,
) -> Validation:
    """How these are best validated on.

    Args:
        examples: arrays, or an iterable.
        programs: for arrays.
        batchwise: for iterables, for hooks that watch batches, and for models that evaluation changes.
        batch_size: of arrays, where they are taken batch by batch.
        watched_every: after how many batches a hook wants to hear of them; None where none does.
    """
    if isinstance(examples, Batches):
        assert batchwise is not None
        return BatchValidation(batchwise, lambda: _pairs(examples.walk()), watched_every or 1, ordered=False)
    if watched_every is not None and batchwise is not None:
        return _of_arrays(examples, batchwise, batch_size, watched_every)
    return ArrayValidation(examples, programs, batchwise, batch_size)


def _pairs(walk: Iterator[Arrays]) -> Iterator[tuple[Examples, np.ndarray[Any, Any] | None]]:
    return ((batch.examples(), batch.class_indices) for batch in walk)


def _of_arrays(examples: Examples, batchwise: BatchPrograms, batch_size: int, every: int = 1) -> BatchValidation:
    def walk() -> Iterator[tuple[Examples, np.ndarray[Any, Any] | None]]:
        for start in range(0, examples.images.shape[0], batch_size):
            piece = slice(start, start + batch_size)
            weights = None if examples.weights is None else examples.weights[piece]
            yield Examples(examples.images[piece], examples.labels[piece], weights), None

    return BatchValidation(batchwise, walk, every, ordered=True)


class ArrayValidation:
    """All images in one call."""

    def __init__(
        self, examples: Examples, programs: Programs, batchwise: BatchPrograms | None, batch_size: int
    ) -> None:
        self._examples = examples
        self._programs = programs
        self._batchwise = batchwise
        self._batch_size = batch_size
        self._instead: BatchValidation | None = None

    def prepare(self, state: State) -> None:
        """Compiles; finds out, too, whether evaluation changes the state, so that batches must follow each other."""
        try:
            self._programs.prepare_evaluate(state, self._examples)
        except EvaluationChangesStateError:
            if self._batchwise is None:
                raise
            self._instead = _of_arrays(self._examples, self._batchwise, self._batch_size)
            self._instead.prepare(state)

    def evaluate(self, state: State, hooks: Sequence[Hook]) -> tuple[State, Validated]:
        """What came of the images."""
        if self._instead is not None:
            return self._instead.evaluate(state, hooks)
        logs, outcomes = self._programs.evaluate(state, self._examples)
        return state, Validated(numbers(logs), jax.tree.map(np.asarray, outcomes), None)


class BatchValidation:
    """One batch after the other."""

    def __init__(
        self,
        programs: BatchPrograms,
        walk: Callable[[], Iterator[tuple[Examples, np.ndarray[Any, Any] | None]]],
        every: int,
        *,
        ordered: bool,
    ) -> None:
        self._programs = programs
        self._walk = walk
        self._every = every
        self._ordered = ordered

    def prepare(self, state: State) -> None:
        """Compiles the step for batches like the first of arrays; an iterable is not begun only for that."""
        if self._ordered:
            self._programs.prepare_test(state, next(self._walk())[0])

    def evaluate(self, state: State, hooks: Sequence[Hook]) -> tuple[State, Validated]:
        """What came of the images; hooks that watch batches are told of each."""
        watching = [hook for hook in hooks if hook.watches_test_batches]
        logs: Any = {}
        found, labels = [], []
        for step, (batch, indices) in enumerate(self._walk()):
            if step % self._every == 0:
                for hook in watching if step else ():
                    hook.test_batch_end(step - 1, numbers(logs))
                for hook in watching:
                    hook.test_batch_begin(step)
            state, logs, outcomes = self._programs.test(state, batch, first=step == 0)
            found.append(outcomes)
            labels.append(indices)
        for hook in watching if found else ():
            hook.test_batch_end(last_of_group(len(found), self._every), numbers(logs))
        if not found:
            raise DataError("validation_data gave batches before training, and gives none now.")
        joined: Outcomes = jax.tree.map(lambda *parts: np.concatenate([np.asarray(part) for part in parts]), *found)
        own = [indices for indices in labels if indices is not None]
        return state, Validated(numbers(logs), joined, np.concatenate(own) if own else None)
