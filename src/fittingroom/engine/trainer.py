"""The training loop: epochs, validation, hooks, snapshots, and what happens on Ctrl-C or when the loss is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.engine.batches import Batches
from fittingroom.engine.callbacks import Hook, Numbers, last_of_group
from fittingroom.engine.epoch import Examples, Logs, numbers
from fittingroom.engine.feeds import ArrayFeed, BatchFeed, BatchLogs, Feed
from fittingroom.engine.interrupt import StopRequest, stop_requests
from fittingroom.engine.programs import Programs
from fittingroom.engine.snapshots import FinishedEpoch, Plan, Saving, Snapshot, Status, Training
from fittingroom.engine.state import State, is_alive, same_values
from fittingroom.engine.validation import Validated, Validation, validation_of
from fittingroom.errors import StorageError

if TYPE_CHECKING:
    from fittingroom.engine.programs import BatchPrograms
    from fittingroom.progress import Progress

# One call of the compiled program takes about this long: Ctrl-C and the progress line wait no longer than that.
SECONDS_PER_CALL = 0.25
# Single steps are begun, at most so many, while the one before them runs: the next batch is made meanwhile.
MOST_STEPS_UNSEEN = 32


class _LossIsNoNumberError(Exception):
    """The training loss became NaN or infinite; the message names the epoch and the step."""


@dataclass
class Trainer:
    """Trains one replica: calls the compiled programs in order and hands the results to the hooks.

    Args:
        programs: for arrays.
        plan: how long, and in which order.
        examples: arrays on the device, or an iterable of batches.
        validation: the same, or None.
        hooks: who is told.
        progress: who shows it.
        batchwise: what single batches go through; needed for iterables, for hooks that watch the batches of validation,
            and for models that evaluation changes.
    """

    programs: Programs
    plan: Plan
    examples: Examples | Batches
    validation: Examples | Batches | None
    hooks: Sequence[Hook]
    progress: Progress
    batchwise: BatchPrograms | None = None

    def __post_init__(self) -> None:
        self._feed = self._feed_of(self.examples)
        self._validation = None if self.validation is None else self._validation_of(self.validation)
        self._first_epoch = self.plan.first_epoch
        self._saving = Saving(None, self.plan.checkpoint_every)
        self._epoch_logs: Numbers = {}  # the last epoch's own numbers, without what callbacks add to them
        self._nan: str | None = None  # why training ends, where the loss is no number and a hook takes that quietly
        self._reached: State | None = None  # the state after all steps that are done, whatever is kept of them

    def _feed_of(self, examples: Examples | Batches) -> Feed:
        if isinstance(examples, Batches):
            assert self.batchwise is not None
            return BatchFeed(self.batchwise, examples)
        single = self.plan.batch_hooks_every == 1 and any(hook.watches_batches for hook in self.hooks)
        return ArrayFeed(self.programs, self.plan, examples, single_steps=single)

    def _validation_of(self, examples: Examples | Batches) -> Validation:
        watched = any(hook.watches_test_batches for hook in self.hooks)
        size = self.plan.validation_batch_size or self.plan.batch_size
        every = self.plan.batch_hooks_every if watched else None
        return validation_of(examples, self.programs, self.batchwise, size, watched_every=every)

    def compile(self, state: State) -> None:
        """Compiles what training will need, so that its time is known apart."""
        self._feed.prepare(state)
        if self._validation is not None:
            self._validation.prepare(state)

    def train(
        self,
        state: State,
        request: StopRequest | None = None,
        resume: Snapshot | None = None,
        save: Callable[[Snapshot], None] | None = None,
    ) -> Training:
        """Trains to the end of the plan, to a hook's stop, to Ctrl-C, or until the loss is no number.

        Args:
            state: where to start.
            request: where to look whether someone wants it to stop; by default, signals are caught here.
            resume: where to go on, in place of `state`; it ends with the very bits of a training that never stopped.
            save: what keeps snapshots: as often as the plan says, but for what `Saving` says of large ones, and when
                training is interrupted or ends with an error. What it raises is raised.
        """
        training = Training(state) if resume is None else Training(resume.kept or resume.state, list(resume.epochs))
        self._saving = Saving(save, self.plan.checkpoint_every)
        self.progress.start(self.plan.epochs, self._feed.steps or 1)
        with stop_requests() if request is None else nullcontext(request) as requested:
            try:
                self._train(training, requested, resume)
            except KeyboardInterrupt:
                self._saving.save()
                reached = self._reached
                self._cut_off(training, "interrupted", requested.reason or "interrupted")
                if reached is not None and reached is not training.state and is_alive(reached):
                    self._each_hook("left", reached)
            except _LossIsNoNumberError as error:
                self._cut_off(training, "diverged", str(error))
            except BaseException:
                self._each_hook("failed", training.state)
                with suppress(StorageError):  # the error that ends training matters more
                    self._saving.save()
                raise
        training.devices = self.programs.devices
        self.progress.finish(training.reason)
        return training

    def validate(self, training: Training) -> None:
        """Finds what the kept weights make of the validation images; computes it only where it is not known already."""
        if self._validation is None or not training.epochs:
            return
        last = training.epochs[-1]
        if training.status == "interrupted" and training.as_trained and last.outcomes is not None:
            # The last epoch says it, and whoever ends a training should not wait.
            logs = {name.removeprefix("val_"): value for name, value in last.logs.items() if name.startswith("val_")}
            training.validation = Validated(logs, last.outcomes, None)
        elif training.last_validation is not None and _same_weights(training.last_validation[0], training.state):
            training.validation = training.last_validation[1]
        else:
            _, training.validation = self._validation.evaluate(training.state, ())

    def _cut_off(self, training: Training, status: Status, reason: str) -> None:
        training.status, training.reason = status, reason
        kept = training.state
        training.state = self._each_hook("cut_off", kept)
        training.as_trained = _unchanged(kept, training.state)

    def _train(self, training: Training, request: StopRequest, resume: Snapshot | None) -> None:
        now = self._begun(training) if resume is None else self._resumed(resume)
        self._first_epoch = now.first_epoch
        while now.epoch < self.plan.epochs and now.stop is None:
            started = time.perf_counter() - now.seconds
            epoch, state = now.epoch, now.state
            if not now.step:
                state = self._each_hook("epoch_begin", state, epoch)
            state, logs = self._epoch(training, now, state, request)
            if not logs:
                training.status, training.reason = "stopped", f"the data ended before epoch {epoch + 1}"
                break
            outcomes = None
            if self._validation is not None and self.plan.validates(epoch):
                state, found = self._validate(self._validation, state, training)
                logs |= {f"val_{name}": value for name, value in found.logs.items()}
                outcomes = found.outcomes if found.labels is None else None
            self._check_weights(epoch, state, logs)
            self._epoch_logs = dict(logs)
            state = self._each_hook("epoch_end", state, epoch, logs)
            seconds = time.perf_counter() - started
            training.epochs.append(FinishedEpoch(epoch, logs, outcomes, seconds, self._feed.images))
            training.state = state
            self.progress.epoch(epoch, logs)
            now = self._after_epoch(training)
            if request and now.stop is None and now.epoch < self.plan.epochs:
                raise KeyboardInterrupt
        if now.stop:
            training.status, training.reason = "stopped", now.stop
        logs = self._epoch_logs or (dict(training.epochs[-1].logs) if training.epochs else {})
        last = training.state
        training.state = self._each_hook("train_end", last, logs)
        training.as_trained = _unchanged(last, training.state)

    def _begun(self, training: Training) -> Snapshot:
        """Where a new training starts, after all hooks have been told."""
        state = training.state = self._each_hook("train_begin", training.state)
        first = self._initial_epoch()
        return Snapshot(state, (), first, first, 0, 0.0, None, (), None)

    def _resumed(self, snapshot: Snapshot) -> Snapshot:
        """Where a stopped training goes on, after all hooks have been told."""
        state = snapshot.state
        for hook, memory in zip(self.hooks, snapshot.memories, strict=True):
            state = hook.resume(state, memory)
        return replace(snapshot, state=state)

    def _after_epoch(self, training: Training) -> Snapshot:
        """Where training is after an epoch; it is saved as often as the plan says."""
        epoch = training.epochs[-1].epoch
        stop = self._stop_reason() or self._end_of_data(epoch)
        now = self._snapshot(training, training.state, epoch + 1, 0, 0.0, stop)
        self._saving.after_epoch(now, over=stop is not None or epoch + 1 >= self.plan.epochs)
        return now

    def _snapshot(
        self, training: Training, state: State, epoch: int, step: int, seconds: float, stop: str | None
    ) -> Snapshot:
        memories = tuple(hook.memory() for hook in self.hooks)
        kept = training.state if training.epochs else None
        return Snapshot(state, tuple(training.epochs), self._first_epoch, epoch, step, seconds, kept, memories, stop)

    def _initial_epoch(self) -> int:
        """Where to start: what a hook says, or the plan."""
        found = [epoch for hook in self.hooks if (epoch := hook.initial_epoch())]
        return found[0] if found else self.plan.first_epoch

    def _epoch(self, training: Training, now: Snapshot, state: State, request: StopRequest) -> tuple[State, Numbers]:
        """Trains for an epoch, or for the rest of one; there are no logs where the data had ended before."""
        feed, every, epoch, began = self._feed, self.plan.batch_hooks_every, now.epoch, time.perf_counter()
        watching = [hook for hook in self.hooks if hook.watches_batches]
        beginning = [hook for hook in watching if hook.watches_batch_begins]
        # As in Keras, a stop that was asked for before the first batch ends the epoch after that batch.
        pieces = every if watching or self._stop_reason() else None
        feed.begin(epoch, self._first_epoch)
        logs: Numbers = {}
        step, told, unseen = now.step, True, _Unseen()
        # Several steps that one call has run must be looked at while the state before them is there to run them again.
        each_seen = not feed.single_steps or any(hook.ends_quietly_on_nan for hook in self.hooks)
        while (feed.steps is None or step < feed.steps) and feed.more():
            for hook in beginning if step % every == 0 else ():
                state = hook.batch_begin(state, step)
            before, start, stop = state, step, self._next_stop(step, pieces)
            result = feed.run(before, start, stop)
            self._reached = state = result[0]
            step = stop
            unseen.add(start, stop, result[1])
            told = step % every == 0 or step == feed.steps
            looks = each_seen or bool(request) or step == feed.steps or unseen.steps >= self._most_unseen
            if looks and (bad := unseen.first_bad()) is not None:
                state, logs = self._end_by_nan(epoch, before, result, bad)
                break
            shown = BatchLogs(result[1])
            for hook in watching if told else ():
                state = hook.batch_end(state, last_of_group(step, every), shown)
            if looks:
                logs = self._seen(unseen)
                unseen = _Unseen()
                self.progress.step(epoch, step, max(feed.steps or 0, step), logs)
            if request and step != feed.steps:
                if feed.at_once:  # else the steps done could not be left out next time
                    seconds = now.seconds + time.perf_counter() - began
                    self._saving.take(self._snapshot(training, state, epoch, step, seconds, None))
                raise KeyboardInterrupt
            if (told and self._stop_reason()) or (shown.has_read_nan and unseen.first_bad()):
                break
        if unseen.steps and self._nan is None:  # the epoch ended before it was time to look
            if (bad := unseen.first_bad()) is not None:
                raise _LossIsNoNumberError(self._diverged(epoch, bad[1]))
            logs = self._seen(unseen)
        for hook in () if told or self._nan else watching:  # the data ended within what hooks are told of together
            state = hook.batch_end(state, last_of_group(step, every), logs)
        feed.end()
        return state, logs

    @property
    def _most_unseen(self) -> int:
        """How many single steps are begun before their numbers are looked at, for which all must be done."""
        return min(self.programs.steps_per_call, MOST_STEPS_UNSEEN)

    def _seen(self, unseen: _Unseen) -> Numbers:
        """The numbers after the last of some steps, which tell the pace too."""
        logs = numbers(unseen.calls[-1][2])
        self._learn_pace(unseen.steps, time.perf_counter() - unseen.began)
        return logs

    def _end_by_nan(
        self, epoch: int, before: State, result: tuple[State, Logs], bad: tuple[int, int]
    ) -> tuple[State, Numbers]:
        """Ends training after a step whose loss is no number: by an error, or quietly, as Keras's TerminateOnNaN does.

        Args:
            epoch: counted from 0.
            before: the state before the last call.
            result: of that call.
            bad: the first and the last step of the first call after which the loss is no number.

        Returns:
            The state after the first such step, and its numbers.
        """
        start, stop = bad
        step = self._first_bad_step(before, start, stop)
        reason = self._diverged(epoch, step)
        if not any(hook.ends_quietly_on_nan for hook in self.hooks):
            raise _LossIsNoNumberError(reason)
        self._nan = reason
        if step != stop:
            result = self._feed.run(before, start, step)
        state, logs = result[0], numbers(result[1])
        for hook in self.hooks:
            if hook.watches_batches or hook.ends_quietly_on_nan:
                state = hook.batch_end(state, last_of_group(step, self.plan.batch_hooks_every), logs)
        return state, logs

    def _next_stop(self, step: int, pieces: int | None) -> int:
        """Where the next call ends: after a quarter of a second, where hooks want to be told, at the epoch's end."""
        stop = step + (self.programs.steps_per_call if self._feed.at_once else 1)
        if pieces is not None:
            stop = min(stop, (step // pieces + 1) * pieces)
        return stop if self._feed.steps is None else min(stop, self._feed.steps)

    def _validate(self, validation: Validation, state: State, training: Training) -> tuple[State, Validated]:
        state = self._each_hook("test_begin", state)
        state, found = validation.evaluate(state, self.hooks)
        training.last_validation = state, found
        return self._each_hook("test_end", state, found.logs), found

    def _learn_pace(self, steps: int, seconds: float) -> None:
        """Chooses how many steps the next call runs; it may grow eightfold at a time, since first calls mislead."""
        wanted = int(steps * SECONDS_PER_CALL / max(seconds, 1e-6))
        self.programs.steps_per_call = (
            max(1, min(wanted, 8 * steps)) if steps >= self.programs.steps_per_call else self.programs.steps_per_call
        )

    def _first_bad_step(self, before: State, start: int, stop: int) -> int:
        """The first step whose loss is no number, counted from 1, by running the pure program again in halves."""
        low, high = start, stop
        while high - low > 1:
            middle = (low + high) // 2
            logs = numbers(self._feed.run(before, start, middle)[1])
            low, high = (middle, high) if math.isfinite(logs["loss"]) else (low, middle)
        return high

    def _diverged(self, epoch: int, step: int) -> str:
        total = "" if self._feed.steps is None else f" of {self._feed.steps}"
        return f"the loss became NaN or infinite in epoch {epoch + 1}, at step {step}{total}"

    def _check_weights(self, epoch: int, state: State, logs: Numbers) -> None:
        """The loss is that before a step: a last step that spoils the weights shows only in what they do then."""
        if self._nan is None and not math.isfinite(logs.get("val_loss", math.nan)) and not _finite(state):
            raise _LossIsNoNumberError(f"the weights became NaN or infinite in epoch {epoch + 1}, at its last step")

    def _stop_reason(self) -> str | None:
        if self._nan is not None:
            return self._nan
        return "; ".join(reason for hook in self.hooks if (reason := hook.stop_reason())) or None

    def _end_of_data(self, epoch: int) -> str | None:
        return f"the data ended in epoch {epoch + 1}" if self._feed.exhausted else None

    def _each_hook(self, event: str, state: State, *arguments: Any) -> State:
        for hook in self.hooks:
            state = getattr(hook, event)(state, *arguments)
        return state


class _Unseen:
    """Calls of programs that have begun, and whose logs nobody has looked at: first step, last step, logs."""

    def __init__(self) -> None:
        """Begins to count."""
        self.began = time.perf_counter()
        self.calls: list[tuple[int, int, Logs]] = []
        self.steps = 0

    def add(self, start: int, stop: int, logs: Logs) -> None:
        """Takes the logs of a call, which may still run."""
        self.calls.append((start, stop, logs))
        self.steps += stop - start

    def first_bad(self) -> tuple[int, int] | None:
        """The first and the last step of the first call after which the loss is no number; this waits for all."""
        bad = ((start, stop) for start, stop, logs in self.calls if not math.isfinite(float(np.asarray(logs["loss"]))))
        return next(bad, None)


def _unchanged(before: State, after: State) -> bool:
    """Whether the weights are the same; where nobody touched them, they need not be compared."""
    return after is before or _same_weights(before, after)


def _same_weights(first: State, second: State) -> bool:
    return same_values(first._replace(optimizer=(), metrics=()), second._replace(optimizer=(), metrics=()))


def _finite(state: State) -> bool:
    return all(bool(np.isfinite(np.asarray(value)).all()) for value in state.trainable)
