"""The plan of a training: how long, in which order, and what happens how often.

What a training is made of, as data: finished epochs, what it leaves behind, and snapshots to go on from.

When the snapshots of a training are saved: as often as its plan says, and seldom enough to cost next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import numpy as np

from fittingroom.engine.callbacks import Numbers
from fittingroom.engine.epoch import Outcomes
from fittingroom.engine.state import State
from fittingroom.engine.validation import Validated


@dataclass(frozen=True)
class Plan:
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
        batch_hooks_every: after how many batches hooks that watch batches are called.
        checkpoint_every: after how many epochs a snapshot is saved; one is saved, too, when training is interrupted.
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


Status = Literal["finished", "stopped", "interrupted", "diverged"]


@dataclass(frozen=True)
class FinishedEpoch:
    """One finished epoch: its number from 0, the numbers Keras users know, and what came of each validation image.

    Outcomes are those of the weights as the epoch's last step left them; None where nothing was validated, and where
    validation was on an iterable, whose images need not come in the same order twice.
    """

    epoch: int
    logs: Numbers
    outcomes: Outcomes | None  # arrays of NumPy, `(images, ...)` each
    seconds: float
    images: int = 0  # trained on


@dataclass(frozen=True)
class Snapshot:
    """Everything from which a training goes on as if it had never stopped, to the last bit.

    Args:
        state: the model, its optimizer and its metrics.
        epochs: the finished epochs, oldest first.
        first_epoch: where the training began; the order of the images depends on it.
        epoch: the epoch to go on with.
        step: how many of its steps are done; after some, `epoch_begin` has been called.
        seconds: how long those steps took.
        kept: the state after the last finished epoch, where that is not `state`; None before there was one.
        memories: what each hook remembers, plain data and arrays (see `Hook.memory`).
        stop: why training ends here, if a hook wants that.
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
        """The same, its state on a device."""
        return replace(self, state=jax.device_put(self.state, device))


@dataclass
class Training:
    """What training left behind: the state belongs to the last of the finished epochs, whatever happened after it.

    At the end, callbacks and optimizers may put other weights in their place (restored, or averaged ones): `validation`
    is then what those made of the validation images, while the epochs keep what their own weights did.
    """

    state: State
    epochs: list[FinishedEpoch] = field(default_factory=list)
    status: Status = "finished"
    reason: str | None = None
    validation: Validated | None = None
    devices: int = 1  # that shared each batch
    last_validation: tuple[State, Validated] | None = None  # the last state that was validated, and what came of it
    as_trained: bool = True  # whether the weights are the last finished epoch's own
    views: int = 1  # of each image, that `validation` is averaged over

    @property
    def kept_epoch(self) -> int | None:
        """Number of the epoch whose weights these are, from 0; None where they are those of no single epoch.

        Weights that a callback put back are known by what they make of the validation images, to the last bit.
        """
        if self.as_trained and self.epochs:
            return self.epochs[-1].epoch
        if self.validation is not None:
            for epoch in reversed(self.epochs):
                if epoch.outcomes is not None and same_outcomes(epoch.outcomes, self.validation.outcomes):
                    return epoch.epoch
        return None


def same_outcomes(first: Outcomes, second: Outcomes) -> bool:
    """Whether two are equal, bit for bit."""
    pairs = zip(first, second, strict=True)
    return all(np.asarray(one).tobytes() == np.asarray(other).tobytes() for one, other in pairs)


# At the end of a training that has saved itself so short a time ago, the run alone is written, no checkpoint before it.
LEAST_SECONDS_TO_LOSE = 1.0
# Snapshots of so many bytes and more wait until training has taken so many times as long as saving takes.
BYTES_SAVED_AT_ONCE = 16_000_000
TRAINING_PER_SAVING = 20
# Before the first is saved, so many bytes are thought to take a second.
BYTES_PER_SECOND = 200e6


class Saving:
    """The latest snapshot of a training, and what has become of it.

    A small model's snapshot takes milliseconds, and is saved whenever it is due. One of a model with 24 million weights
    and Adam has 290 MB, so that a training of short epochs would write its snapshots most of the time.

    Args:
        save: what saves a snapshot; None where none is saved. What it raises is raised.
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
        """Takes the snapshot that `save` will save."""
        self._unsaved = snapshot

    def after_epoch(self, snapshot: Snapshot, *, over: bool) -> None:
        """Takes the snapshot after an epoch, and saves it if it is time.

        Args:
            snapshot: after a whole epoch.
            over: whether training ends with it, so that the run itself is written at once.
        """
        self.take(snapshot)
        self._due |= (snapshot.epoch - snapshot.first_epoch) % self._every == 0
        if self._save is not None and self._due and self._is_worth_it(snapshot, over=over):
            self.save()

    def save(self) -> None:
        """Saves the latest snapshot, if that has not been done."""
        unsaved, self._unsaved = self._unsaved, None
        if self._save is None or unsaved is None:
            return
        began = time.perf_counter()
        self._save(unsaved)
        self._saved_at = time.perf_counter()
        self._last_took = self._saved_at - began
        self._due = False

    def _is_worth_it(self, snapshot: Snapshot, *, over: bool) -> bool:
        """Whether there is enough training to lose for the time that saving takes."""
        trained = time.perf_counter() - self._saved_at
        if over and trained < LEAST_SECONDS_TO_LOSE:
            return False
        size = sum(value.nbytes for group in snapshot.state for value in group)
        seconds = size / BYTES_PER_SECOND if self._last_took is None else self._last_took
        return size < BYTES_SAVED_AT_ONCE or trained >= TRAINING_PER_SAVING * seconds
