"""The training loop: epochs, validation, hooks, and what happens when it is interrupted or the loss is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np

from fittingroom.engine.epoch import Examples, Logs, Outcomes
from fittingroom.engine.hooks import Hook, Numbers
from fittingroom.engine.interrupt import StopRequest, stop_requests
from fittingroom.engine.programs import Order, Programs
from fittingroom.engine.state import State
from fittingroom.seeds import generator

if TYPE_CHECKING:
    from fittingroom.progress import Progress

# One call of the compiled program takes about this long: Ctrl-C and the progress line wait no longer than that.
SECONDS_PER_CALL = 0.25

Status = Literal["finished", "stopped", "interrupted", "diverged"]


@dataclass(frozen=True)
class Plan:
    """How long and in which order to train."""

    epochs: int
    batch_size: int
    seed: int
    shuffle: bool = True
    first_epoch: int = 0


@dataclass(frozen=True)
class FinishedEpoch:
    """One finished epoch: its number from 0, the numbers Keras users know, and what came of each validation image."""

    epoch: int
    logs: Numbers
    outcomes: Outcomes | None  # arrays of NumPy, `(images,)` each
    seconds: float


@dataclass
class Training:
    """What training left behind: the state belongs to the last of the finished epochs, whatever happened after it.

    At the end, callbacks and optimizers may put other weights in their place (restored, or averaged ones): `validation`
    is then what those made of the validation images.
    """

    state: State
    epochs: list[FinishedEpoch] = field(default_factory=list)
    status: Status = "finished"
    reason: str | None = None
    validation: tuple[Numbers, Outcomes] | None = None


class _LossIsNoNumberError(Exception):
    """The training loss became NaN or infinite; the message names the epoch and the step."""


@dataclass
class Trainer:
    """Trains one replica: calls the compiled programs in order and hands the results to the hooks."""

    programs: Programs
    plan: Plan
    examples: Examples
    validation: Examples | None
    hooks: Sequence[Hook]
    progress: Progress

    def __post_init__(self) -> None:
        self._count = self.examples.images.shape[0]
        self._steps = -(-self._count // self.plan.batch_size)
        self._steps_per_call = 1

    def compile(self, state: State) -> None:
        """Compiles what training will need, so that its time is known apart."""
        self.programs.prepare_train(state, self.examples, self._order(self.plan.first_epoch))
        if self.validation is not None:
            self.programs.prepare_evaluate(state, self.validation)

    def train(self, state: State) -> Training:
        """Trains to the end of the plan, to a hook's stop, to Ctrl-C, or until the loss is no number."""
        training = Training(state)
        self.progress.start(self.plan.epochs, self._steps)
        with stop_requests() as request:
            try:
                self._train(training, request)
            except KeyboardInterrupt:
                training.status, training.reason = "interrupted", request.reason or "interrupted"
            except _LossIsNoNumberError as error:
                training.status, training.reason = "diverged", str(error)
        self.progress.finish(training.reason)
        return training

    def _train(self, training: Training, request: StopRequest) -> None:
        state = self._each_hook("train_begin", training.state)
        logs: Numbers = {}
        for epoch in range(self.plan.first_epoch, self.plan.epochs):
            started = time.perf_counter()
            state = self._each_hook("epoch_begin", state, epoch)
            state, logs = self._epoch(epoch, state, request)
            outcomes = None
            if self.validation is not None:
                state, validation_logs, outcomes = self._validate(state)
                logs |= validation_logs
            state = self._each_hook("epoch_end", state, epoch, logs)
            training.epochs.append(FinishedEpoch(epoch, logs, outcomes, time.perf_counter() - started))
            training.state = state
            self.progress.epoch(epoch, logs)
            if reason := self._stop_reason():
                training.status, training.reason = "stopped", reason
                break
            if request and epoch + 1 < self.plan.epochs:
                raise KeyboardInterrupt
        training.state = self._each_hook("train_end", state, logs)

    def _epoch(self, epoch: int, state: State, request: StopRequest) -> tuple[State, Numbers]:
        order = self._order(epoch)
        watching = [hook for hook in self.hooks if hook.watches_batches]
        logs: Numbers = {}
        step = 0
        while step < self._steps:
            stop = min(step + (1 if watching else self._steps_per_call), self._steps)
            for hook in watching:
                state = hook.batch_begin(state, step)
            before, started = state, time.perf_counter()
            state, logs = self._steps_to(before, order, step, stop)
            if not math.isfinite(logs["loss"]):
                raise _LossIsNoNumberError(self._diverged(epoch, before, order, step, stop))
            self._learn_pace(stop - step, time.perf_counter() - started)
            step = stop
            for hook in watching:
                state = hook.batch_end(state, step - 1, logs)
            self.progress.step(epoch, step, self._steps, logs)
            if request and step < self._steps:
                raise KeyboardInterrupt
            if watching and self._stop_reason():
                break
        return state, logs

    def _steps_to(self, state: State, order: Order, start: int, stop: int) -> tuple[State, Numbers]:
        state, logs = self.programs.train(state, self.examples, order, start, stop)
        return state, numbers(logs)

    def _validate(self, state: State) -> tuple[State, Numbers, Outcomes]:
        assert self.validation is not None
        state = self._each_hook("test_begin", state)
        logs, outcomes = self.programs.evaluate(state, self.validation)
        results = numbers(logs)
        state = self._each_hook("test_end", state, results)
        return state, {f"val_{name}": value for name, value in results.items()}, jax.tree.map(np.asarray, outcomes)

    def _order(self, epoch: int) -> Order:
        """The order of the images in an epoch, int32; it depends on the seed and the epoch alone."""
        if not self.plan.shuffle:
            return np.arange(self._count, dtype=np.int32)
        return generator(self.plan.seed, "shuffle", epoch).permutation(self._count).astype(np.int32)

    def _learn_pace(self, steps: int, seconds: float) -> None:
        """Chooses how many steps the next call runs; it may grow eightfold at a time, since first calls mislead."""
        wanted = int(steps * SECONDS_PER_CALL / max(seconds, 1e-6))
        self._steps_per_call = max(1, min(wanted, 8 * steps)) if steps >= self._steps_per_call else self._steps_per_call

    def _diverged(self, epoch: int, before: State, order: Order, start: int, stop: int) -> str:
        """Finds the first step whose loss is no number, by running the pure program again in halves."""
        low, high = start, stop
        while high - low > 1:
            middle = (low + high) // 2
            _, logs = self._steps_to(before, order, start, middle)
            low, high = (middle, high) if math.isfinite(logs["loss"]) else (low, middle)
        return f"the loss became NaN or infinite in epoch {epoch + 1}, at step {high} of {self._steps}"

    def _stop_reason(self) -> str | None:
        return "; ".join(reason for hook in self.hooks if (reason := hook.stop_reason())) or None

    def _each_hook(self, event: str, state: State, *arguments: Any) -> State:
        for hook in self.hooks:
            state = getattr(hook, event)(state, *arguments)
        return state


def numbers(logs: Logs) -> Numbers:
    """Logs as Python floats; this waits for the device."""
    return {name: float(value) for name, value in jax.device_get(logs).items()}
