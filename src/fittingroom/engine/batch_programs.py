"""Training and evaluation one batch at a time: the slower path, for data or hooks that need each batch on its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from fittingroom.engine.epoch import (
    Examples,
    Logs,
    Outcomes,
    StepFunctions,
    test_batch_program,
    train_batch_program,
)
from fittingroom.engine.rewriting import rewritten_for_cpu
from fittingroom.engine.state import State, copied


class BatchPrograms:
    """One compiled step per shape of batch. The logs are running means since the first batch.

    Calls return at once, before the device is done. A training step takes over the memory of the state that it is
    given; evaluation changes nothing.
    """

    def __init__(self, steps: StepFunctions, scale: float | None) -> None:
        self._train = _compiled(train_batch_program(steps, scale), donate_argnums=(0,))
        self._test = _compiled(test_batch_program(steps, scale))
        self.compile_seconds = 0.0

    def train(self, state: State, batch: Examples, *, first: bool) -> tuple[State, Logs]:
        """One training step; the state that it is given is gone afterwards."""
        result: tuple[State, Logs] = self._train(state, batch, np.bool_(first))
        return result

    def test(self, state: State, batch: Examples, *, first: bool) -> tuple[State, Logs, Outcomes]:
        """One step of evaluation; in the state, metrics and what the model changes in evaluation are new."""
        result: tuple[State, Logs, Outcomes] = self._test(state._replace(optimizer=()), batch, np.bool_(first))
        after, logs, outcomes = result
        return after._replace(optimizer=state.optimizer), logs, outcomes

    def prepare_train(self, state: State, batch: Examples) -> None:
        """Compiles the training step for batches of this shape before the clock of training starts."""
        started = time.perf_counter()
        jax.block_until_ready(self.train(copied(state), batch, first=True))
        self.compile_seconds += time.perf_counter() - started

    def prepare_test(self, state: State, batch: Examples) -> None:
        """Compiles the step of evaluation for batches of this shape."""
        started = time.perf_counter()
        jax.block_until_ready(self.test(state, batch, first=True))
        self.compile_seconds += time.perf_counter() - started


def _compiled(program: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    def rewritten(*arguments: Any) -> Any:
        with rewritten_for_cpu():
            return program(*arguments)

    return jax.jit(rewritten, **options)
