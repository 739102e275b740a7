"""One training from arrays to a run folder: what `train` and `fit` have in common."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fittingroom.api.keeping import Attempt, keep
from fittingroom.engine.hooks import Hook
from fittingroom.engine.inputs import Arrays
from fittingroom.engine.programs import Programs
from fittingroom.engine.state import State
from fittingroom.engine.trainer import Plan, Trainer, Training, numbers
from fittingroom.errors import InputError
from fittingroom.runs.record import Seconds

if TYPE_CHECKING:
    from fittingroom.progress import Progress


# Notes go through Python's logging, so that a notebook shows them and a program can silence them.
_log = logging.getLogger("fittingroom")


@dataclass(frozen=True)
class Session:
    """Everything that one training needs. `started` is the `time.perf_counter()` at which the user's call began."""

    attempt: Attempt
    plan: Plan
    train: Arrays
    validation: Arrays | None
    hooks: Sequence[Hook]
    progress: Progress
    started: float

    def run(self, programs: Programs, state: State) -> tuple[Training, Seconds]:
        """Says what there is to say, compiles and trains; nothing is written yet."""
        for note in self.attempt.notes:
            _log.warning(note)
        self.progress.stage("compiling")
        trainer = Trainer(
            programs,
            self.plan,
            self.train.examples(),
            None if self.validation is None else self.validation.examples(),
            self.hooks,
            self.progress,
        )
        trainer.compile(state)
        ready = time.perf_counter()
        training = trainer.train(state)
        setup = ready - self.started - programs.compile_seconds
        return training, Seconds(setup, programs.compile_seconds, time.perf_counter() - ready)

    def validate(self, programs: Programs, training: Training) -> None:
        """Validates the weights that are kept, where callbacks or the optimizer may have put them there at the end."""
        if self.validation is not None and training.epochs:
            logs, outcomes = programs.evaluate(training.state, self.validation.examples())
            training.validation = numbers(logs), outcomes

    def keep(self, training: Training, seconds: Seconds) -> Path:
        """Writes the run folder; see `keeping.keep` for what it raises."""
        return keep(self.attempt, training, seconds)


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
