"""When to stop: the epoch that loss would choose, the one that accuracy would choose, and whether they truly differ.

The best of many epochs looks better on the images it was chosen on than on others. So every difference here is measured
on images that had no part in the choice: each half of the images chooses its epochs, and the other half measures them.
And the best of many epochs is partly best by luck, on all images: curves jitter from epoch to epoch
(`change.most_jitter`). The intervals allow for both: for other images (from five seeds on, for other seeds too), and
for the jitter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError
from fittingroom.evaluation.change import most_jitter, window
from fittingroom.evaluation.differences import ENOUGH_SEEDS, Difference
from fittingroom.evaluation.estimate import Estimate
from fittingroom.evaluation.trajectories import Flags, Trajectories

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Differences:
    """What the choice of an epoch is worth on images that had no part in it.

    "Loss's epoch" is the one with the lowest loss, "accuracy's epoch" the one with the highest accuracy. In longer
    trainings a few epochs around each, and the last few, are averaged (`change.window`).

    Args:
        accuracy: accuracy at accuracy's epoch less that at loss's, a share of the images.
        loss: loss at accuracy's epoch less that at loss's, in nats.
        rise: loss at the last epochs less that at loss's, in nats.
        accuracy_since: accuracy at the last epochs less that at loss's, a share of the images.
        gap_growth: generalisation gap at the last epochs less the smallest, in nats; None without training losses.
    """

    accuracy: Difference
    loss: Difference
    rise: Difference
    accuracy_since: Difference
    gap_growth: Difference | None

    @property
    def differ(self) -> bool:
        """Whether loss and accuracy would stop at epochs that differ by more than noise, in loss or in accuracy."""
        return self.accuracy.shown or self.loss.shown

    @property
    def rises(self) -> bool:
        """Whether the loss rose: at the end it is higher than at its lowest, beyond other images and jitter."""
        return self.rise.shown and self.rise.value > 0

    @property
    def gap_grows(self) -> bool:
        """Whether the generalisation gap is larger at the last epoch than where it was smallest."""
        return self.gap_growth is not None and self.gap_growth.shown and self.gap_growth.value > 0

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "accuracy": self.accuracy.to_dict(),
            "loss": self.loss.to_dict(),
            "rise": self.rise.to_dict(),
            "accuracy_since": self.accuracy_since.to_dict(),
            "gap_growth": None if self.gap_growth is None else self.gap_growth.to_dict(),
            "differ": self.differ,
            "rises": self.rises,
            "gap_grows": self.gap_grows,
        }


@dataclass(frozen=True)
class _SeedStopping:
    """When one seed should have stopped. The epochs are those that all images choose; of several, the first.

    Args:
        loss_epoch: the epoch with the lowest validation loss.
        accuracy_epoch: the epoch with the highest validation accuracy.
        last_epoch: the last validated epoch.
        gaps: generalisation gap of each validated epoch, in nats: validation loss less training loss. The training loss
            is a mean over the epoch while the weights changed, so early gaps come out too small, often below 0. None
            where the training loss is missing.
        smallest_gap_epoch: the epoch with the smallest gap; None without gaps.
        differences: what the choices are worth on images that had no part in them.
    """

    loss_epoch: int
    accuracy_epoch: int
    last_epoch: int
    gaps: tuple[float, ...] | None
    smallest_gap_epoch: int | None
    differences: _Differences

    @property
    def rising_since(self) -> int | None:
        """The epoch after which the validation loss rises to the end; None if that is not shown."""
        return self.loss_epoch if self.differences.rises else None

    @property
    def gap_growing_since(self) -> int | None:
        """The epoch after which the generalisation gap grows; None if that is not shown."""
        return self.smallest_gap_epoch if self.differences.gap_grows else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "loss_epoch": self.loss_epoch,
            "accuracy_epoch": self.accuracy_epoch,
            "last_epoch": self.last_epoch,
            "rising_since": self.rising_since,
            "gaps": None if self.gaps is None else list(self.gaps),
            "smallest_gap_epoch": self.smallest_gap_epoch,
            "gap_growing_since": self.gap_growing_since,
            "differences": self.differences.to_dict(),
        }


@dataclass(frozen=True)
class Stopping:
    """When to stop, for one or more seeds of a run.

    Args:
        seeds: each seed by itself, in the order given.
        differences: the means over seeds.
        over_seeds: whether the differences hold for other seeds too: with `ENOUGH_SEEDS` they do, with fewer they are
            about these trained models on other images.
        window: over how many of the last epochs a rise is measured.
    """

    seeds: tuple[_SeedStopping, ...]
    differences: _Differences
    over_seeds: bool
    window: int

    @classmethod
    def of(
        cls, seeds: Sequence[Trajectories], training_losses: Sequence[npt.NDArray[np.floating[Any]] | None]
    ) -> Stopping:
        """When the seeds of a run should have stopped.

        Args:
            seeds: one or more, with the same validation images.
            training_losses: for each seed the training loss of the history at its validated epochs, in nats,
                `(epochs,)`; None where there is none. Penalties that layers add to it make gaps too small.

        Raises:
            InputError: there is no seed, the images differ, or a training loss does not fit the epochs.
        """
        _check(seeds, training_losses)
        half = seeds[0].first_half
        train = [None if losses is None else np.asarray(losses, np.float64) for losses in training_losses]
        with_gap = all(losses is not None for losses in train)
        each = [_measured(*pair, half, with_gap) for pair in zip(seeds, train, strict=True)]
        alone = tuple(
            _seed_stopping(one, losses, _differences([measured]))
            for one, losses, measured in zip(seeds, train, each, strict=True)
        )
        width = max(window(len(one.epochs)) for one in seeds)
        return cls(alone, _differences(each), len(seeds) >= ENOUGH_SEEDS, width)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "per_seed": [seed.to_dict() for seed in self.seeds],
            "differences": self.differences.to_dict(),
            "over_seeds": self.over_seeds,
            "window": self.window,
        }


def _check(seeds: Sequence[Trajectories], training_losses: Sequence[npt.NDArray[Any] | None]) -> None:
    if not seeds or len(seeds) != len(training_losses):
        raise InputError(
            f"{len(seeds)} seeds and {len(training_losses)} training losses: expected as many of each, 1 or more."
        )
    for one, losses in zip(seeds, training_losses, strict=True):
        if not np.array_equal(one.labels, seeds[0].labels):
            raise InputError("seeds with different validation images: expected the same images for all.")
        if losses is not None and np.shape(losses) != (len(one.epochs),):
            raise InputError(f"training loss of shape {np.shape(losses)}: expected one per epoch {one.epochs}.")


@dataclass(frozen=True, eq=False)
class _Measured:
    """One difference in one seed.

    Args:
        values: the difference for each image, at epochs that the other half of the images chose, `(images,)`.
        curve: the curve whose jitter may look like such a difference, `(epochs,)`.
        width: how many epochs are averaged on either side.
    """

    values: Floats
    curve: Floats
    width: int


def _measured(trajectories: Trajectories, train: Floats | None, half: Flags, with_gap: bool) -> list[_Measured]:
    """The differences of a seed, in the order of `Differences`."""
    width = window(len(trajectories.epochs))
    values = np.empty((5 if with_gap else 4, trajectories.images))
    for chosen_by, measured in ((half, ~half), (~half, half)):
        # One image has no other half: it chooses for itself.
        choosers = chosen_by if chosen_by.any() else measured
        losses = trajectories.loss[:, choosers].mean(axis=1, dtype=np.float64)
        accuracies = trajectories.right[:, choosers].mean(axis=1)
        loss, right = trajectories.loss[:, measured].astype(np.float64), trajectories.right[:, measured]
        lowest, highest = _stretch(losses, width), _stretch(-accuracies, width)
        values[0, measured] = right[highest].mean(axis=0) - right[lowest].mean(axis=0)
        values[1, measured] = loss[highest].mean(axis=0) - loss[lowest].mean(axis=0)
        values[2, measured] = loss[-width:].mean(axis=0) - loss[lowest].mean(axis=0)
        values[3, measured] = right[-width:].mean(axis=0) - right[lowest].mean(axis=0)
        if with_gap and train is not None:
            smallest = _stretch(losses - train, width)
            since = train[-width:].mean() - train[smallest].mean()
            values[4, measured] = loss[-width:].mean(axis=0) - loss[smallest].mean(axis=0) - since
    loss, accuracy = trajectories.mean_loss, trajectories.accuracy
    curves = [accuracy, loss, loss, accuracy]
    if with_gap and train is not None:
        curves.append(loss - train)
    return [_Measured(each, curve, width) for each, curve in zip(values, curves, strict=True)]


def _stretch(curve: Floats, width: int) -> slice:
    """So many epochs in a row, where a curve is lowest."""
    sums = np.concatenate([[0.0], curve.cumsum()])
    start = int((sums[width:] - sums[:-width]).argmin())
    return slice(start, start + width)


def _differences(each: Sequence[Sequence[_Measured]]) -> _Differences:
    """The differences over seeds, from what was measured in each."""
    found = [_difference(measured) for measured in zip(*each, strict=True)]
    # Whether loss and accuracy choose differently is asked twice: of the accuracy and of the loss.
    accuracy, loss = found[0].among(2), found[1].among(2)
    return _Differences(accuracy, loss, found[2], found[3], found[4] if len(found) > 4 else None)


def _difference(measured: Sequence[_Measured]) -> Difference:
    values = np.stack([one.values for one in measured])
    enough = len(values) >= ENOUGH_SEEDS
    estimate = Estimate.over_seeds_and_images([values]) if enough else Estimate.over_images(values.mean(axis=0))
    return Difference(float(values.mean()), estimate.widened(_jitter(measured)))


def _jitter(measured: Sequence[_Measured]) -> float:
    """By how much flat curves would seem to differ, at most, in 97.5% of cases; 0 where all are the same epoch."""
    if not any(one.values.any() for one in measured):
        return 0.0
    return most_jitter([one.curve for one in measured], min(one.width for one in measured))


def _seed_stopping(trajectories: Trajectories, train: Floats | None, differences: _Differences) -> _SeedStopping:
    gaps = None if train is None else trajectories.mean_loss - train
    return _SeedStopping(
        loss_epoch=trajectories.best_loss_epoch,
        accuracy_epoch=trajectories.best_accuracy_epoch,
        last_epoch=trajectories.last_epoch,
        gaps=None if gaps is None else tuple(float(gap) for gap in gaps),
        smallest_gap_epoch=None if gaps is None else trajectories.epochs[int(gaps.argmin())],
        differences=differences,
    )
