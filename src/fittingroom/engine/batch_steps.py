"""Training and validation one batch at a time: the slower path, for data and callbacks that need every batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from fittingroom.engine.batches import Batches
from fittingroom.engine.callbacks import Callback
from fittingroom.engine.epoch import Examples, ImageOutcomes, Logs, StepFunctions
from fittingroom.engine.programs import numbers
from fittingroom.engine.snapshots import ValidationResult
from fittingroom.engine.state import State
from fittingroom.errors import DataError


class BatchPrograms:
    """One compiled step per shape of batch. The logs are running means since the first batch.

    Calls return at once, before the device is done. A training step takes over the memory of the state that it is
    given, which saves a copy of the state at every step; evaluation changes nothing.

    Args:
        steps: what the model does with one batch.
        scale: what stored images are divided by, or None.
    """

    def __init__(self, steps: StepFunctions, scale: float | None) -> None:
        self._train = _compiled(steps.train_batch_program(scale), donate_argnums=(0,))
        self._group = _compiled(steps.train_batches_program(scale))
        self._test = _compiled(steps.test_batch_program(scale))
        self.compile_seconds = 0.0

    def train(self, state: State, batch: Examples, *, first: bool) -> tuple[State, Logs]:
        """One training step; the state that it is given is gone afterwards."""
        result: tuple[State, Logs] = self._train(state, batch, np.bool_(first))
        return result

    def group(self, state: State, batches: Examples, begin: int, end: int, *, first: bool) -> tuple[State, Logs, Logs]:
        """A training step on each of the batches `begin` to `end` of `(most, batch, ...)`; and the logs after each."""
        bounds = np.int32(begin), np.int32(end)
        result: tuple[State, Logs, Logs] = self._group(state, batches, *bounds, np.bool_(first))
        return result

    def test(self, state: State, batch: Examples, *, first: bool) -> tuple[State, Logs, ImageOutcomes]:
        """One step of evaluation; in the state, metrics and what the model changes in evaluation are new."""
        result: tuple[State, Logs, ImageOutcomes] = self._test(state._replace(optimizer=()), batch, np.bool_(first))
        after, logs, outcomes = result
        return after._replace(optimizer=state.optimizer), logs, outcomes

    def prepare_train(self, state: State, batch: Examples) -> None:
        """Compiles the training step for batches of this shape before the clock of training starts."""
        started = time.perf_counter()
        jax.block_until_ready(self.train(state.copied(), batch, first=True))
        self.compile_seconds += time.perf_counter() - started

    def prepare_group(self, state: State, batches: Examples) -> None:
        """Compiles the program of several training steps."""
        started = time.perf_counter()
        jax.block_until_ready(self.group(state, batches, 0, 0, first=True))
        self.compile_seconds += time.perf_counter() - started

    def prepare_test(self, state: State, batch: Examples) -> None:
        """Compiles the step of evaluation for batches of this shape."""
        started = time.perf_counter()
        jax.block_until_ready(self.test(state, batch, first=True))
        self.compile_seconds += time.perf_counter() - started


def _compiled(program: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    def rewritten(*arguments: Any) -> Any:
        from fittingroom.engine.rewriting import rewritten_for_cpu

        with rewritten_for_cpu():
            return program(*arguments)

    return jax.jit(rewritten, **options)


# The batches of one validation, in order, each with its class indices where only the batch itself tells them.
_Walk = Callable[[], Iterator[tuple[Examples, np.ndarray[Any, Any] | None]]]


class BatchValidation:
    """Validation that takes one batch after the other.

    Args:
        programs: what a batch goes through.
        walk: begins a validation.
        every: after how many batches callbacks that watch them are called.
        of_arrays: whether the batches are cut from arrays, so that looking at the first costs nothing.
    """

    def __init__(self, programs: BatchPrograms, walk: _Walk, every: int, *, of_arrays: bool) -> None:
        self._programs = programs
        self._walk = walk
        self._every = every
        self._of_arrays = of_arrays

    @classmethod
    def of_batches(cls, programs: BatchPrograms, batches: Batches, every: int) -> BatchValidation:
        """Over a user's iterable."""
        return cls(
            programs,
            lambda: ((batch.examples(), batch.class_indices) for batch in batches.walk()),
            every,
            of_arrays=False,
        )

    @classmethod
    def of_arrays(cls, programs: BatchPrograms, examples: Examples, size: int, every: int) -> BatchValidation:
        """Over arrays on the device, `size` images at a time."""

        def walk() -> Iterator[tuple[Examples, None]]:
            count = examples.images.shape[0]
            for start in range(0, count, size):
                yield examples.piece(start, min(size, count - start)), None

        return cls(programs, walk, every, of_arrays=True)

    def prepare(self, state: State) -> None:
        """Compiles the step for batches like the first of arrays; an iterable is not begun only for that."""
        if self._of_arrays:
            self._programs.prepare_test(state, next(self._walk())[0])

    def evaluate(self, state: State, callbacks: Sequence[Callback]) -> tuple[State, ValidationResult]:
        """The state, changed only where evaluation changes it, and the result.

        Args:
            state: whose weights are validated.
            callbacks: those that watch batches of validation are called at each.

        Raises:
            DataError: the iterable is empty now.
        """
        watching = [callback for callback in callbacks if callback.watches_test_batches]
        logs: Any = {}
        parts, labels = [], []
        for step, (batch, indices) in enumerate(self._walk()):
            if step % self._every == 0:
                for callback in watching if step else ():
                    callback.test_batch_end(step - 1, numbers(logs))
                for callback in watching:
                    callback.test_batch_begin(step)
            state, logs, outcomes = self._programs.test(state, batch, first=step == 0)
            parts.append(outcomes)
            labels.append(indices)
        for callback in watching if parts else ():
            callback.test_batch_end(Callback.last_of_group(len(parts), self._every), numbers(logs))
        if not parts:
            raise DataError("validation_data gave batches before training, and gives none now.")
        joined: ImageOutcomes = jax.tree.map(
            lambda *parts: np.concatenate([np.asarray(part) for part in parts]), *parts
        )
        own = [indices for indices in labels if indices is not None]
        return state, ValidationResult(numbers(logs), joined, np.concatenate(own) if own else None)


class BatchLogs(dict[str, Any]):
    """The numbers of one batch as callbacks get them: a dict of floats, fetched from the device when they are read.

    Callbacks that watch batches need not look at their numbers. While none does, the next steps begin before this one
    is done.

    Args:
        logs: numbers on the device, which may still be computed. As in Keras, their names come in alphabetic order.
    """

    def __init__(self, logs: Logs) -> None:
        super().__init__((name, logs[name]) for name in sorted(logs))

    @property
    def has_read_nan(self) -> bool:
        """Whether someone has read the loss, and it is NaN or infinite. This waits for nothing."""
        loss = super().get("loss")
        return type(loss) is float and not math.isfinite(loss)

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if hasattr(value, "block_until_ready"):  # still on the device
            value = float(np.asarray(value))
            super().__setitem__(name, value)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """As that of a dict."""
        return self[name] if name in self else default  # noqa: SIM401 - that would be this method itself

    def values(self) -> Any:
        """As that of a dict."""
        self._fetch()
        return super().values()

    def items(self) -> Any:
        """As that of a dict."""
        self._fetch()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """A plain dict."""
        return dict(self)

    def pop(self, name: str, *default: Any) -> Any:
        """As that of a dict."""
        self._fetch()
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        """As that of a dict."""
        self._fetch()
        return super().popitem()

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As that of a dict."""
        super().setdefault(name, default)
        return self[name]

    def __iter__(self) -> Iterator[str]:
        # With a method of its own, `dict(logs)` and `{**logs}` read the values through `__getitem__`.
        return super().__iter__()

    def __eq__(self, other: object) -> bool:
        self._fetch()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        return dict(self) | dict(other)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def _fetch(self) -> None:
        """Fetches all values."""
        for name in self:
            self[name]
