"""One training from arrays to a run folder: what `train` and `fit` have in common."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fittingroom.api.keeper import Keeper, saver
from fittingroom.api.keeping import Attempt, keep, keep_in_memory
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.batches import Batches
from fittingroom.engine.callbacks import Callback
from fittingroom.engine.epoch import Examples
from fittingroom.engine.programs import Programs
from fittingroom.engine.snapshots import Snapshot, Training, TrainingPlan
from fittingroom.engine.state import State
from fittingroom.engine.trainer import Trainer
from fittingroom.errors import InputError
from fittingroom.runs.record import Seconds
from fittingroom.runs.store import RunContents

if TYPE_CHECKING:
    from fittingroom.engine.batch_steps import BatchPrograms
    from fittingroom.progress import Progress


# Notes go through Python's logging, so that a notebook shows them and a program can silence them.
_log = logging.getLogger("fittingroom")


@dataclass(frozen=True)
class Session:
    """Everything that one training needs. `started` is the `time.perf_counter()` at which the user's call began.

    `batchwise` is what the trainer puts single batches through, where it must; see there. `views` is how many of
    each image predicting averages over (`engine.views`); with several, the kept weights are validated by their
    predictions.
    `resume` is where a stopped training goes on.
    """

    attempt: Attempt
    plan: TrainingPlan
    train: Arrays | Batches
    validation: Arrays | Batches | None
    hooks: Sequence[Callback]
    progress: Progress
    started: float
    batchwise: BatchPrograms | None = None
    views: int = 1
    resume: Snapshot | None = None

    def run(self, programs: Programs, state: State, keeper: Keeper) -> tuple[Path | RunContents, Training]:
        """Says what there is to say, compiles, trains, and writes the run; see `keeping.keep` for what it raises.

        Returns:
            The run's folder, or its contents where `keeper` has it that there is no folder; and the training.
        """
        for note in self.attempt.notes:
            _log.warning(note)
        self.progress.stage("compiling")
        validation = None if self.validation is None else self.validation.examples()
        trainer = self.trainer(programs, self.train.examples(), validation)
        trainer.compile(state)
        ready = time.perf_counter()
        with nullcontext() if keeper.why_no_folder else keeper.begin([self.attempt]) as begun:
            save = None if begun is None else saver(begun, self.attempt.seed)
            training = trainer.train(state, resume=self.resume, save=save)
            train_seconds = time.perf_counter() - ready + self.seconds_before
            compile_seconds = programs.compile_seconds + (self.batchwise.compile_seconds if self.batchwise else 0.0)
            self.validate(trainer, programs, training)
            seconds = Seconds(ready - self.started - compile_seconds, compile_seconds, train_seconds)
            attempt = self.attempt_after(training)
            if begun is None:
                return keep_in_memory(attempt, training, seconds), training
            return keep(begun, attempt, training, seconds), training

    @property
    def seconds_before(self) -> float:
        """How long the part of the training took that is not done again."""
        if self.resume is None:
            return 0.0
        return sum(epoch.seconds for epoch in self.resume.epochs) + self.resume.seconds

    def validate(self, trainer: Trainer, programs: Programs, training: Training) -> None:
        """Finds what the kept weights make of the validation images."""
        trainer.validate(training)
        # Whoever ends a training waits for no more than must be.
        if (
            training.status != "interrupted"
            and self.views > 1
            and training.epochs
            and isinstance(self.validation, Arrays)
        ):
            images, labels = self.validation.images, self.validation.class_indices
            training.validation, training.views = programs.validate(training.state, images, labels), self.views

    def trainer(self, programs: Programs, train: Examples | Batches, validation: Examples | Batches | None) -> Trainer:
        """What trains, from the arrays as they lie on a device."""
        return Trainer(programs, self.plan, train, validation, self.hooks, self.progress, self.batchwise)

    def attempt_after(self, training: Training) -> Attempt:
        """The attempt with what only training could tell, which is said too."""
        notes = _notes_after(training)
        for note in notes:
            _log.warning(note)
        return self._counted(replace(self.attempt, notes=(*self.attempt.notes, *notes)), training)

    def _counted(self, attempt: Attempt, training: Training) -> Attempt:
        """The attempt with what only training could tell: how many images iterables gave, and their labels."""
        if not training.epochs:
            return attempt
        counts = dict(attempt.data.counts)
        attempt = replace(attempt, train_count=training.epochs[-1].images)
        if isinstance(self.train, Batches):
            counts["train"] = attempt.train_count
        if training.validation is not None and training.validation.labels is not None:
            labels = training.validation.labels
            counts["validation"] = len(labels)
            attempt = replace(attempt, validation=Arrays(labels, labels))  # its labels are all that a run records of it
        return replace(attempt, data=replace(attempt.data, counts=counts))


def _notes_after(training: Training) -> tuple[str, ...]:
    """What should be said about a training that is over."""
    bad = [epoch.epoch + 1 for epoch in training.epochs if not math.isfinite(epoch.logs.get("val_loss", 0.0))]
    if not bad:
        return ()
    return (
        f"val_loss was NaN or infinite after epoch {', '.join(map(str, bad))}, although the weights are finite. Try a "
        "smaller learning rate, and look for huge values in the validation images, or for a loss that divides by what "
        "may be zero.",
    )


def clamped_batch_size(batch_size: int, count: int) -> tuple[int, tuple[str, ...]]:
    """A batch size that is no larger than the data, and the note that says so."""
    if batch_size <= count:
        return batch_size, ()
    return count, (f"The batch size {batch_size:,} is larger than the {count:,} training images; {count:,} is used.",)


def whole_number(name: str, value: int, *, lowest: int) -> int:
    """An argument that counts something.

    Raises:
        InputError: it is no whole number, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
        raise InputError(f"{name}={value!r}; expected a whole number from {lowest}.")
    return int(value)
