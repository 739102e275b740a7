"""A training as data: its plan, its finished epochs, what it leaves behind, and the snapshots that it continues from.

Snapshots are saved as often as the plan says, and seldom enough to cost next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from fittingroom.engine.callbacks import Numbers
from fittingroom.engine.epoch import ImageOutcomes
from fittingroom.engine.state import State


@dataclass(frozen=True)
class TrainingPlan:
    """How long and in which order to train. Epochs are counted from 0.

    Args:
        epochs: the epoch to train to.
        batch_size: images per step.
        seed: of the shuffle.
        shuffle: whether each pass has an order of its own.
        first_epoch: where to start.
        steps_per_epoch: fewer steps than a pass through the images has; None for a pass.
        validation_batch_size: images per step of validation; None for `batch_size`.
        validation_freq: validate after every so many epochs, or after those listed (counted from 1), as in Keras.
        batch_hooks_every: after how many batches callbacks that watch batches are called (an argument of `fit`).
        checkpoint_every: after how many epochs a snapshot is saved; an interrupted training saves one besides.
    """

    epochs: int
    batch_size: int
    seed: int
    shuffle: bool = True
    first_epoch: int = 0
    steps_per_epoch: int | None = None
    validation_batch_size: int | None = None
    validation_freq: int | tuple[int, ...] = 1
    batch_hooks_every: int = 1
    checkpoint_every: int = 1

    def validates(self, epoch: int) -> bool:
        """Whether there is validation after this epoch."""
        if isinstance(self.validation_freq, int):
            return (epoch + 1) % self.validation_freq == 0
        return epoch + 1 in self.validation_freq


class ValidationResult(NamedTuple):
    """The numbers that some weights have on the validation images.

    Args:
        logs: loss and metrics, named as in the history but without `val_`.
        outcomes: NumPy arrays whose first axis is the image.
        labels: class indices `(images,)`, where an iterable gave the images in an order of its own; else None.
    """

    logs: Numbers
    outcomes: ImageOutcomes
    labels: np.ndarray[Any, Any] | None


Status = Literal["finished", "stopped", "interrupted", "diverged"]


@dataclass(frozen=True)
class FinishedEpoch:
    """One finished epoch.

    Args:
        epoch: counted from 0.
        logs: its row of Keras's history.
        outcomes: of the weights after its last step on each validation image, NumPy arrays `(images, ...)`; None
            without validation, and where an iterable was validated on, whose images may come in another order next
            time.
        seconds: how long it took.
        images: how many were trained on.
    """

    epoch: int
    logs: Numbers
    outcomes: ImageOutcomes | None
    seconds: float
    images: int = 0


class EpochPlace(NamedTuple):
    """A place within an epoch.

    Args:
        state: there, as the callbacks left it.
        step: how many steps of the epoch are done.
        logs: the numbers after the last of them; empty where none is done yet.
        begun: whether callbacks have heard that the next batch begins.
        ended: whether the epoch ends here.
    """

    state: State
    step: int
    logs: Numbers
    begun: bool = False
    ended: bool = False


@dataclass(frozen=True)
class Snapshot:
    """Everything that a training needs to continue as if it had never stopped, to the last bit.

    Args:
        state: the model, its optimizer and its metrics.
        epochs: the finished epochs, oldest first.
        first_epoch: where the training began; the order of the images depends on it.
        epoch: the epoch to continue with.
        step: how many of its steps are done; after some, `epoch_begin` has been called.
        seconds: how long those steps took.
        kept: the state after the last finished epoch; None before there was one.
        memories: what each callback remembers, plain data and arrays (see `Callback.memory`).
        stop: why training ends here, if a callback wants that.
    """

    state: State
    epochs: tuple[FinishedEpoch, ...]
    first_epoch: int
    epoch: int
    step: int
    seconds: float
    kept: State | None
    memories: tuple[Any, ...]
    stop: str | None

    def on(self, device: jax.Device) -> Snapshot:
        """The same with its state on a device."""
        return replace(self, state=jax.device_put(self.state, device))


@dataclass
class Training:
    """What training left behind: the state belongs to the last of the finished epochs, whatever happened after it.

    At the end, callbacks and optimizers may put other weights in their place (restored, or averaged ones). Then
    `validation` is the result of those, while the epochs keep the results of their own weights.

    Args:
        state: the weights that are kept, optimizer and metrics.
        epochs: the finished epochs, oldest first.
        status: how training ended.
        reason: why, where it did not finish.
        validation: the result of the kept weights.
        devices: how many shared each batch.
        last_validation: the last state that was validated, and its result.
        as_trained: whether the weights are the last finished epoch's own.
        views: of each image, whose answers `validation` averages.
    """

    state: State
    epochs: list[FinishedEpoch] = field(default_factory=list)
    status: Status = "finished"
    reason: str | None = None
    validation: ValidationResult | None = None
    devices: int = 1
    last_validation: tuple[State, ValidationResult] | None = None
    as_trained: bool = True
    views: int = 1

    @property
    def kept_epoch(self) -> int | None:
        """The epoch whose weights these are, counted from 0; None where they are of no single epoch, such as means.

        Weights that a callback restored are recognised by their outcomes on the validation images, to the last bit.
        """
        if self.as_trained and self.epochs:
            return self.epochs[-1].epoch
        if self.validation is not None:
            for epoch in reversed(self.epochs):
                if epoch.outcomes is not None and _same_outcomes(epoch.outcomes, self.validation.outcomes):
                    return epoch.epoch
        return None


def _same_outcomes(first: ImageOutcomes, second: ImageOutcomes) -> bool:
    """Whether both are equal, bit for bit."""
    pairs = zip(first, second, strict=True)
    return all(np.asarray(one).tobytes() == np.asarray(other).tobytes() for one, other in pairs)


# A training that ends so soon after its last snapshot writes its run alone, with no checkpoint before it.
LEAST_SECONDS_TO_LOSE = 1.0
# A snapshot waits until training has taken this many times as long as saving takes: it costs 5% at most, and a crash
# loses at most that much training.
TRAINING_PER_SAVING = 20
# How long saving is thought to take before the first time: waiting for the disk, and the bytes.
SECONDS_TO_SYNC, BYTES_PER_SECOND = 0.003, 200e6


class SnapshotSaver:
    """Holds the latest snapshot of a training, and decides when it is worth saving.

    A small model's snapshot takes milliseconds, and so may its epoch. One of a model with 24 million weights and Adam
    has 290 MB; saved after each short epoch, it would take most of the time.

    Args:
        save: writes a snapshot; None where none is written. Its errors are passed on.
        every: after how many epochs one is due.
    """

    def __init__(self, save: Callable[[Snapshot], None] | None, every: int) -> None:
        self._save = save
        self._every = every
        self._unsaved: Snapshot | None = None
        self._saved_at = time.perf_counter()
        self._last_took: float | None = None  # seconds
        self._due = False

    def take(self, snapshot: Snapshot) -> None:
        """Makes this the latest snapshot."""
        self._unsaved = snapshot

    def after_epoch(self, snapshot: Snapshot, *, over: bool) -> None:
        """Makes this the latest snapshot, and saves it if it is due and worth its time.

        Args:
            snapshot: after a whole epoch.
            over: whether training ends with it, so that the run itself is written next.
        """
        self.take(snapshot)
        self._due |= (snapshot.epoch - snapshot.first_epoch) % self._every == 0
        if self._save is not None and self._due and self._is_worth_it(snapshot, over=over):
            self.save()

    def save(self) -> None:
        """Saves the latest snapshot, unless that has been done."""
        unsaved, self._unsaved = self._unsaved, None
        if self._save is None or unsaved is None:
            return
        began = time.perf_counter()
        self._save(unsaved)
        self._saved_at = time.perf_counter()
        self._last_took = self._saved_at - began
        self._due = False

    def _is_worth_it(self, snapshot: Snapshot, *, over: bool) -> bool:
        """Whether the training that a crash would lose is worth the time that saving takes."""
        trained = time.perf_counter() - self._saved_at
        if over and trained < LEAST_SECONDS_TO_LOSE:
            return False
        if self._last_took is None:
            size = sum(value.nbytes for group in snapshot.state for value in group)
            return trained >= TRAINING_PER_SAVING * (SECONDS_TO_SYNC + size / BYTES_PER_SECOND)
        return trained >= TRAINING_PER_SAVING * self._last_took
