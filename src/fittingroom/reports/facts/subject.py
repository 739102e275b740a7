"""A run as it is reported on: record, history and trajectories of each seed, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.runs.history import History
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.outcomes import KeptOutcomes
from fittingroom.runs.place import find_run
from fittingroom.runs.record import RunRecord, Seconds
from fittingroom.runs.validation_outcomes import ValidationOutcomes
from fittingroom.text import word_list

# The history's validation loss is a mean in 32 bits over batches. Within this relative distance of the outcomes' mean,
# both are the cross-entropy; a custom loss is further away, and then the training loss is one too.
_SAME = 1e-3

_CAUSE = "The training diverged. Train again with a smaller learning rate and images scaled to 0 to 1."


@dataclass(frozen=True, eq=False)
class SeedTraining:
    """One training and what its validation images went through.

    Args:
        path: its folder.
        record: its `run.json`.
        history: the numbers of each epoch.
        trajectories: each image's outcome in every validated epoch whose losses are all finite.
        left_out: epochs that were validated but have a loss that is not finite, from 1.
        kept: the kept weights' answer to each image; where `known` is false, the last epoch of `trajectories`.
        known: whether the answers of the kept weights are stored and finite. Some older versions did not store them.
        training_loss: the history's training loss at the epochs of `trajectories`, in nats; None where there is none,
            or where it is another quantity than the cross-entropy.
        files: the picture file of each validation image; empty where they came from none.
    """

    path: Path
    record: RunRecord
    history: History
    trajectories: Trajectories
    left_out: tuple[int, ...]
    kept: KeptOutcomes
    known: bool
    training_loss: npt.NDArray[np.float64] | None
    files: tuple[str, ...] = ()

    @cached_property
    def shown(self) -> Trajectories:
        """The model as it is, as trajectories of a single epoch: of the kept weights, else the last of training."""
        kept = self.kept
        return Trajectories(
            loss=kept.loss[None],
            predicted=kept.predicted[None],
            probability=kept.probability[None],
            labels=kept.labels,
            classes=self.trajectories.classes,
            epochs=(self.record.epochs if kept.epoch is None else kept.epoch + 1,),
            log_probabilities=kept.log_probabilities[None],
        )

    @property
    def shown_epoch(self) -> int:
        """The number of that epoch, from 1."""
        return self.shown.last_epoch

    @cached_property
    def shown_row(self) -> int | None:
        """The row of `trajectories` that says the same as `shown`; None where no epoch does.

        None does for weights that were averaged over epochs, nor for answers that are averaged over several views.
        """
        if self.kept.epoch is None or self.kept.views > 1 or self.shown_epoch not in self.trajectories.epochs:
            return None
        return self.trajectories.row(self.shown_epoch)

    @property
    def confidence_fitted(self) -> bool:
        """Whether a classifier's scores became probabilities by a temperature fitted on these validation images."""
        if self.record.has_epochs:
            return False
        description = SeedFiles(self.path).model().get("description")
        facts = description.get("estimator") if isinstance(description, dict) else None
        return isinstance(facts, dict) and facts.get("temperature") is not None

    @property
    def shown_as(self) -> str:
        """What the numbers of `shown` belong to, for captions: `after epoch 3`, or `of the kept weights`."""
        if not self.record.has_epochs:
            return "of the fitted classifier"
        return "of the kept weights" if self.shown_row is None else f"after epoch {self.shown_epoch}"


@dataclass(frozen=True, eq=False)
class Subject:
    """A run of one or several seeds, as it is reported on.

    Args:
        path: the run folder.
        trainings: in the order of their seeds; at least one.
        seeds: all seeds that were asked for. One that ended before its first epoch is in no other list.
        seconds: how long all seeds took together.
        records: the `run.json` of each seed, those that are left out among them.
        unusable: seeds that are left out, because no epoch of theirs has only finite losses.
    """

    path: Path
    trainings: tuple[SeedTraining, ...]
    seeds: tuple[int, ...]
    seconds: Seconds
    records: tuple[RunRecord, ...]
    unusable: tuple[int, ...] = ()

    @classmethod
    def read(cls, run: str | Path) -> Subject:
        """A run from its folder.

        Args:
            run: the folder, the name of a run in the runs folder, or `latest`.

        Raises:
            UnknownNameError: there is no such run.
            InputError: it has no validation images, or in no epoch finite losses; or a file is missing or damaged.
        """
        path = find_run(run)
        layout = read_layout(path)
        validated = [ValidationOutcomes.read(folder, "explain it") for folder in layout.folders.values()]
        found = [_training(one) for one in validated]
        trainings = tuple(training for training in found if training is not None)
        if not trainings:
            raise InputError(f"{path}: {_not_finite(validated[0])}")
        if any(not np.array_equal(one.trajectories.labels, trainings[0].trajectories.labels) for one in trainings):
            raise InputError(f"{path} is damaged: its seeds were validated on different images.")
        unusable = tuple(one.record.seed for one, training in zip(validated, found, strict=True) if training is None)
        return cls(path, trainings, layout.seeds, layout.seconds, tuple(one.record for one in validated), unusable)

    @property
    def example(self) -> int:
        """The place of the training that is shown image by image: its validation loss is the median.

        Of an even number of trainings it is the better one of the two in the middle.
        """
        # The median, not the best: what is shown image by image should be typical of the recipe.
        order = sorted(range(len(self.trainings)), key=lambda place: self.trainings[place].kept.mean_loss)
        return order[(len(order) - 1) // 2]


def _not_finite(validated: ValidationOutcomes) -> str:
    """Why there is nothing to explain, with the images that no epoch has a finite loss for."""
    finite = np.isfinite(validated.outcomes.loss)
    never = np.flatnonzero(~finite.any(axis=0))
    why = "no epoch has only finite validation losses, so there is nothing to explain."
    if not len(never):
        return why
    few = word_list(never.tolist(), most=5)
    return (
        f"{why} {len(never):,} of {finite.shape[1]:,} validation images never have a finite loss (counted from 0: "
        f"{few}). {_CAUSE if len(never) == finite.shape[1] else 'Look for NaN or huge values in them.'}"
    )


def _training(validated: ValidationOutcomes) -> SeedTraining | None:
    """The training; None if after no epoch are all its losses finite."""
    record, outcomes, history = validated.record, validated.outcomes, SeedFiles(validated.path).history()
    numbers = outcomes.epoch + 1
    finite = np.isfinite(outcomes.loss).all(axis=1)
    if not finite.any():
        return None
    trajectories = Trajectories(
        loss=outcomes.loss[finite],
        predicted=outcomes.predicted[finite],
        probability=outcomes.probability[finite],
        labels=outcomes.labels,
        classes=record.data.classes,
        epochs=tuple(numbers[finite].tolist()),
        log_probabilities=outcomes.log_probabilities[finite],
    )
    known = bool(validated.known and np.isfinite(validated.kept.loss).all())
    return SeedTraining(
        path=validated.path,
        record=record,
        history=history,
        trajectories=trajectories,
        left_out=tuple(numbers[~finite].tolist()),
        kept=validated.kept if known else outcomes.row_as_kept(int(np.flatnonzero(finite)[-1])),
        known=known,
        training_loss=_training_loss(history, trajectories),
        files=SeedFiles(validated.path).picture_files(trajectories.images),
    )


def _training_loss(history: History, trajectories: Trajectories) -> npt.NDArray[np.float64] | None:
    """The training loss at the validated epochs, where it and the validation loss of the history are cross-entropies.

    The loss of a model of the user's own may be anything; then the history's validation loss is no mean of outcomes.
    """
    rows = {epoch + 1: logs for epoch, logs in zip(history.epoch, history.rows, strict=True)}
    logs = [rows.get(epoch, {}) for epoch in trajectories.epochs]
    pairs = np.array([(one.get("loss", np.nan), one.get("val_loss", np.nan)) for one in logs])
    if not np.isfinite(pairs).all() or not np.allclose(pairs[:, 1], trajectories.mean_loss, rtol=_SAME, atol=1e-6):
        return None
    return np.asarray(pairs[:, 0], np.float64)
