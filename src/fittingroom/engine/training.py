"""What a training is made of, as data: finished epochs, what it leaves behind, and snapshots to go on from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import numpy as np

from fittingroom.engine.epoch import Outcomes
from fittingroom.engine.hooks import Numbers
from fittingroom.engine.state import State
from fittingroom.engine.validation import Validated

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
