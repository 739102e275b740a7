"""The training loop: epochs, validation, callbacks and snapshots; what happens on Ctrl-C and on a non-finite loss."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.engine.arrays import ArrayFeed, ArrayValidation
from fittingroom.engine.batch_feed import BatchFeed
from fittingroom.engine.batch_steps import BatchLogs, BatchPrograms, BatchValidation
from fittingroom.engine.batches import Batches
from fittingroom.engine.callbacks import Callback, Numbers, StopRequest
from fittingroom.engine.epoch import EvaluationChangesStateError, Examples, Logs
from fittingroom.engine.programs import PendingCalls, Programs, numbers
from fittingroom.engine.snapshots import (
    EpochPlace,
    FinishedEpoch,
    Snapshot,
    SnapshotSaver,
    Status,
    Training,
    TrainingPlan,
    ValidationResult,
)
from fittingroom.engine.state import State
from fittingroom.errors import StorageError

if TYPE_CHECKING:
    from fittingroom.engine.grouped_steps import GroupedSteps
    from fittingroom.progress import Progress

# At most this many single steps are begun before the losses of the first are looked at, so that the next batch is made
# while a step runs.
MOST_STEPS_PENDING = 32


class _NonFiniteLossError(Exception):
    """The training loss became NaN or infinite; the message names the epoch and the step."""


@dataclass
class Trainer:
    """Trains one seed: calls the compiled programs in order and gives the results to the callbacks.

    Args:
        programs: what arrays go through.
        plan: how long, and in which order.
        examples: what to train on: arrays on the device, or an iterable of batches.
        validation: what to validate on, the same; None without validation.
        callbacks: called at each event, in this order.
        progress: shows how far training is.
        batchwise: what single batches go through; needed for iterables, for callbacks that watch the batches of
            validation, and for models that evaluation changes.
    """

    programs: Programs
    plan: TrainingPlan
    examples: Examples | Batches
    validation: Examples | Batches | None
    callbacks: Sequence[Callback]
    progress: Progress
    batchwise: BatchPrograms | None = None

    def __post_init__(self) -> None:
        self._groups: GroupedSteps | None = None  # runs the steps that a callback watches, where not each is a call
        self._feed = self._feed_of(self.examples)
        self._validation = None if self.validation is None else self._validation_of(self.validation)
        self._first_epoch = self.plan.first_epoch
        self._saving = SnapshotSaver(None, self.plan.checkpoint_every)
        self._epoch_logs: Numbers = {}  # the last epoch's own numbers, without what callbacks add to them
        self._nan: str | None = None  # why training ends, where a non-finite loss ends it quietly
        self._reached: State | None = None  # the state after all steps that are done, whatever is kept of them

    def _feed_of(self, examples: Examples | Batches) -> ArrayFeed | BatchFeed:
        if isinstance(examples, Batches):
            assert self.batchwise is not None
            feed: ArrayFeed | BatchFeed = BatchFeed(self.batchwise, examples)
        else:
            feed = ArrayFeed(self.programs, self.plan, examples)
        watching = [callback for callback in self.callbacks if callback.watches_batches]
        if not watching or self.plan.batch_hooks_every > 1:
            return feed
        alone = len(watching) == 1 and type(self.programs) is Programs  # on an accelerator, seeds ride together
        watcher = watching[0].for_groups() if alone else None
        if watcher is None:
            feed.leave_groups()
        else:
            from fittingroom.engine.grouped_steps import GroupedSteps

            feed.enter_groups()
            self._groups = GroupedSteps(feed, watcher, self._stop_reason, partial(setattr, self, "_reached"))
        return feed

    def _validation_of(self, examples: Examples | Batches) -> ArrayValidation | BatchValidation:
        watched = any(callback.watches_test_batches for callback in self.callbacks)
        if isinstance(examples, Batches):
            assert self.batchwise is not None
            return BatchValidation.of_batches(self.batchwise, examples, self.plan.batch_hooks_every if watched else 1)
        if watched and self.batchwise is not None:
            return self._in_batches(examples, self.plan.batch_hooks_every)
        return ArrayValidation(self.programs, examples)

    def _in_batches(self, examples: Examples, every: int = 1) -> BatchValidation:
        assert self.batchwise is not None
        size = self.plan.validation_batch_size or self.plan.batch_size
        return BatchValidation.of_arrays(self.batchwise, examples, size, every)

    def compile(self, state: State) -> None:
        """Compiles what training will need, so that its time is known apart."""
        self._feed.prepare(state)
        if self._validation is None:
            return
        try:
            self._validation.prepare(state)
        except EvaluationChangesStateError:
            # Only tracing finds out that a model draws random numbers, or counts, in evaluation: each batch then needs
            # the state that the one before it left.
            if self.batchwise is None or not isinstance(self.validation, Examples):
                raise
            self._validation = self._in_batches(self.validation)
            self._validation.prepare(state)

    def _after_group(self, epoch: int, end: EpochPlace, steps: int, seconds: float) -> None:
        self._reached = end.state
        self.programs.learn_pace(steps, seconds)
        self.progress.step(epoch, end.step, max(self._feed.steps or 0, end.step), end.logs)

    def train(
        self,
        state: State,
        request: StopRequest | None = None,
        resume: Snapshot | None = None,
        save: Callable[[Snapshot], None] | None = None,
    ) -> Training:
        """Trains to the end of the plan, or until a callback, Ctrl-C or a non-finite loss ends it.

        Args:
            state: where to start.
            request: whether training has been asked to stop; by default, signals are caught here.
            resume: where to continue, in place of `state`. Training then ends with the very bits of one that never
                stopped.
            save: writes a snapshot: as often as the plan says (large ones more seldom, see `SnapshotSaver`), and when
                training is interrupted or ends with an error. Its errors are passed on.
        """
        training = Training(state) if resume is None else Training(resume.kept or resume.state, list(resume.epochs))
        self._saving = SnapshotSaver(save, self.plan.checkpoint_every)
        self.progress.start(self.plan.epochs, self._feed.steps or 1)
        with StopRequest().listening() if request is None else nullcontext(request) as requested:
            try:
                self._train(training, requested, resume)
            except KeyboardInterrupt:
                self._saving.save()
                reached = self._reached
                self._cut_off(training, "interrupted", requested.reason or "interrupted")
                if reached is not None and reached is not training.state and reached.is_alive:
                    self._call("left", reached)
            except _NonFiniteLossError as error:
                self._cut_off(training, "diverged", str(error))
            except BaseException:
                self._call("failed", training.state)
                with suppress(StorageError):  # the error that ends training matters more
                    self._saving.save()
                raise
        training.devices = self.programs.devices
        self.progress.finish(training.reason)
        return training

    def validate(self, training: Training) -> None:
        """Sets the result of the kept weights on the validation images, and computes it only where it is not known."""
        if self._validation is None or not training.epochs:
            return
        last = training.epochs[-1]
        if training.status == "interrupted" and training.as_trained and last.outcomes is not None:
            # The last epoch has it, and whoever presses Ctrl-C should not wait.
            logs = {name.removeprefix("val_"): value for name, value in last.logs.items() if name.startswith("val_")}
            training.validation = ValidationResult(logs, last.outcomes, None)
        elif training.last_validation is not None and training.last_validation[0].has_weights_of(training.state):
            training.validation = training.last_validation[1]
        else:
            _, training.validation = self._validation.evaluate(training.state, ())

    def _cut_off(self, training: Training, status: Status, reason: str) -> None:
        training.status, training.reason = status, reason
        kept = training.state
        training.state = self._call("cut_off", kept)
        training.as_trained = kept.has_weights_of(training.state)

    def _train(self, training: Training, request: StopRequest, resume: Snapshot | None) -> None:
        now = self._begin(training) if resume is None else self._resume(resume)
        self._first_epoch = now.first_epoch
        while now.epoch < self.plan.epochs and now.stop is None:
            started = time.perf_counter() - now.seconds
            epoch, state = now.epoch, now.state
            if not now.step:
                state = self._call("epoch_begin", state, epoch)
            state, logs = self._epoch(training, now, state, request)
            if not logs:
                training.status, training.reason = "stopped", f"the data ended before epoch {epoch + 1}"
                break
            outcomes = None
            if self._validation is not None and self.plan.validates(epoch):
                state, result = self._validate(self._validation, state, training)
                logs |= {f"val_{name}": value for name, value in result.logs.items()}
                outcomes = result.outcomes if result.labels is None else None
            self._check_weights(epoch, state, logs)
            self._epoch_logs = dict(logs)
            state = self._call("epoch_end", state, epoch, logs)
            seconds = time.perf_counter() - started
            training.epochs.append(FinishedEpoch(epoch, logs, outcomes, seconds, self._feed.images))
            training.state = state
            if outcomes is not None:
                self.progress.validated(epoch, np.asarray(outcomes.predicted), np.asarray(outcomes.loss))
            self.progress.epoch(epoch, logs)
            now = self._after_epoch(training)
            if request and now.stop is None and now.epoch < self.plan.epochs:
                raise KeyboardInterrupt
        if now.stop:
            training.status, training.reason = "stopped", now.stop
        logs = self._epoch_logs or (dict(training.epochs[-1].logs) if training.epochs else {})
        last = training.state
        training.state = self._call("train_end", last, logs)
        training.as_trained = last.has_weights_of(training.state)

    def _begin(self, training: Training) -> Snapshot:
        """Calls the callbacks at the start of a new training; where it starts."""
        state = training.state = self._call("train_begin", training.state)
        first = self._initial_epoch()
        return Snapshot(state, (), first, first, 0, 0.0, None, (), None)

    def _resume(self, snapshot: Snapshot) -> Snapshot:
        """Gives the callbacks what they remembered; where the stopped training continues."""
        state = snapshot.state
        for callback, memory in zip(self.callbacks, snapshot.memories, strict=True):
            state = callback.resume(state, memory)
        return replace(snapshot, state=state)

    def _after_epoch(self, training: Training) -> Snapshot:
        """Where training is after an epoch, which is saved when it is due."""
        epoch = training.epochs[-1].epoch
        stop = self._stop_reason() or (f"the data ended in epoch {epoch + 1}" if self._feed.exhausted else None)
        now = self._snapshot(training, training.state, epoch + 1, 0, 0.0, stop)
        self._saving.after_epoch(now, over=stop is not None or epoch + 1 >= self.plan.epochs)
        return now

    def _snapshot(
        self, training: Training, state: State, epoch: int, step: int, seconds: float, stop: str | None
    ) -> Snapshot:
        memories = tuple(callback.memory() for callback in self.callbacks)
        kept = training.state if training.epochs else None
        return Snapshot(state, tuple(training.epochs), self._first_epoch, epoch, step, seconds, kept, memories, stop)

    def _initial_epoch(self) -> int:
        """Where to start: what the first callback says that says so (BackupAndRestore does), or the plan."""
        epochs = (callback.initial_epoch() for callback in self.callbacks)
        return next(filter(None, epochs), self.plan.first_epoch)

    def _epoch(self, training: Training, now: Snapshot, state: State, request: StopRequest) -> tuple[State, Numbers]:
        """Trains for an epoch, or for the rest of one; the logs are empty where the data had ended before."""
        began, place = time.perf_counter(), EpochPlace(state, now.step, {})
        self._feed.begin(now.epoch, self._first_epoch)
        if self._groups is not None and not self._groups.is_over:
            place = self._groups.of_epoch(place, request, partial(self._after_group, now.epoch))
            if request and not place.ended:
                self._keep_within(training, now, place.state, place.step, began)
                raise KeyboardInterrupt
        state, logs = (place.state, place.logs) if place.ended else self._calls(training, now, place, request, began)
        self._feed.end()
        return state, logs

    def _calls(
        self, training: Training, now: Snapshot, place: EpochPlace, request: StopRequest, began: float
    ) -> tuple[State, Numbers]:
        """Runs the steps from a place in the epoch on, each call as long as callbacks leave it alone."""
        feed, every, epoch = self._feed, self.plan.batch_hooks_every, now.epoch
        watching = [callback for callback in self.callbacks if callback.watches_batches]
        beginning = [callback for callback in watching if callback.watches_batch_begins]
        # As in Keras, a stop that was asked for before the first batch ends the epoch after that batch.
        pieces = every if watching or self._stop_reason() else None
        # The losses of a call that ran several steps are looked at while the state before them is there: the first
        # non-finite one is found by running them again.
        each_seen = not feed.single_steps or self._ends_quietly
        state, step, logs, begun, _ = place
        called, pending = True, PendingCalls()
        while (feed.steps is None or step < feed.steps) and (ready := feed.gather(step, self._wanted(step, pieces))):
            for callback in beginning if step % every == 0 and not begun else ():
                state = callback.batch_begin(state, step)
            begun = False
            before, start, step = state, step, step + ready
            state, on_device = feed.run(before, start, step)
            self._reached = state
            pending.add(start, step, on_device, feed.noted)
            called = step % every == 0 or step == feed.steps
            request.agree()
            enough = pending.steps >= min(self.programs.steps_per_call, MOST_STEPS_PENDING)
            looks = each_seen or bool(request) or step == feed.steps
            if looks or (enough and (len(pending.calls) == 1 or watching)):
                seen, pending, looks = pending, PendingCalls(), True
            elif enough:  # all but the last, which the device is busy with meanwhile
                seen, looks = pending.older(), True
            if looks and (bad := seen.first_bad()) is not None:
                state, logs = self._end_by_nan(epoch, before, (state, on_device), bad, (start, step))
                break
            shown = BatchLogs(on_device) if watching else None
            for callback in watching if called else ():
                state = callback.batch_end(state, Callback.last_of_group(step, every), shown or {})
            if looks:
                logs = self._seen(seen)
                self.progress.step(epoch, step, max(feed.steps or 0, step), logs)
            if request and step != feed.steps:
                self._keep_within(training, now, state, step, began)
                raise KeyboardInterrupt
            read_nan = shown is not None and shown.has_read_nan
            if (called and self._stop_reason()) or (read_nan and pending.first_bad()):
                break
        if pending.steps and self._nan is None:  # the epoch ended before it was time to look
            if (bad := pending.first_bad()) is not None:
                raise _NonFiniteLossError(self._diverged(epoch, bad[1]))
            logs = self._seen(pending)
        for callback in () if called or self._nan else watching:  # the data ended within a group of batches
            state = callback.batch_end(state, Callback.last_of_group(step, every), logs)
        return state, logs

    def _keep_within(self, training: Training, now: Snapshot, state: State, step: int, began: float) -> None:
        """Takes a snapshot of a training that stops after some steps of an epoch."""
        if self._feed.at_once:  # an iterable cannot continue from within an epoch
            seconds = now.seconds + time.perf_counter() - began
            self._saving.take(self._snapshot(training, state, now.epoch, step, seconds, None))

    @property
    def _ends_quietly(self) -> bool:
        """Whether a callback has a loss that is not finite end training without an error."""
        return any(callback.ends_quietly_on_nan for callback in self.callbacks)

    def _seen(self, pending: PendingCalls) -> Numbers:
        """The numbers after the last of some steps; how long these took sets the pace."""
        logs = numbers(pending.calls[-1][2])
        self.programs.learn_pace(pending.steps, time.perf_counter() - pending.began)
        return logs

    def _end_by_nan(
        self, epoch: int, before: State, result: tuple[State, Logs], bad: tuple[int, int], call: tuple[int, int]
    ) -> tuple[State, Numbers]:
        """Ends training after a step with a non-finite loss: by an error, or quietly, as Keras's TerminateOnNaN does.

        `bad` are the first and the last step of the first call, or part of one, after which the loss is not finite;
        `result` is that of the last `call`, and `before` the state before it.

        It returns the state after the first such step, and its numbers, or raises _NonFiniteLossError.
        """
        step = self._feed.first_bad_step(before, *bad)
        reason = self._diverged(epoch, step)
        if not self._ends_quietly:
            raise _NonFiniteLossError(reason)
        self._nan = reason
        if step != call[1]:
            result = self._feed.run(before, call[0], step)
        state, logs = result[0], numbers(result[1])
        for callback in self.callbacks:
            if callback.watches_batches or callback.ends_quietly_on_nan:
                state = callback.batch_end(state, Callback.last_of_group(step, self.plan.batch_hooks_every), logs)
        return state, logs

    def _wanted(self, step: int, pieces: int | None) -> int:
        """How many steps the next call should have: a quarter of a second, or until callbacks are called."""
        wanted = self.programs.steps_per_call
        return wanted if pieces is None else min(wanted, pieces - step % pieces)

    def _validate(
        self, validation: ArrayValidation | BatchValidation, state: State, training: Training
    ) -> tuple[State, ValidationResult]:
        state = self._call("test_begin", state)
        state, result = validation.evaluate(state, self.callbacks)
        training.last_validation = state, result
        return self._call("test_end", state, result.logs), result

    def _diverged(self, epoch: int, step: int) -> str:
        total = "" if self._feed.steps is None else f" of {self._feed.steps}"
        return f"the loss became NaN or infinite in epoch {epoch + 1}, at step {step}{total}"

    def _check_weights(self, epoch: int, state: State, logs: Numbers) -> None:
        """Raises _NonFiniteLossError where the last step spoiled the weights: its own loss is from before it."""
        if self._nan is None and not math.isfinite(logs.get("val_loss", math.nan)) and not state.is_finite:
            raise _NonFiniteLossError(f"the weights became NaN or infinite in epoch {epoch + 1}, at its last step")

    def _stop_reason(self) -> str | None:
        if self._nan is not None:
            return self._nan
        return "; ".join(reason for callback in self.callbacks if (reason := callback.stop_reason())) or None

    def _call(self, event: str, state: State, *arguments: Any) -> State:
        for callback in self.callbacks:
            state = getattr(callback, event)(state, *arguments)
        return state
