"""The plan of a training: how long, in which order, and what happens how often."""

from __future__ import annotations

from dataclasses import dataclass


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
