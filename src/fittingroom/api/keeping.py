"""From a finished training to the run folder that it leaves behind."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.data.dataset import Dataset
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.devices import device_facts, threads_per_operation
from fittingroom.engine.snapshots import Training
from fittingroom.errors import DivergedError, InputError, Interrupted, StorageError
from fittingroom.recipes.modelfile import RecordedFile
from fittingroom.runs.begun import BegunRun
from fittingroom.runs.environment import Environment, current_environment
from fittingroom.runs.history import History
from fittingroom.runs.images import RunImages, images_of
from fittingroom.runs.outcomes import Kept, Outcomes
from fittingroom.runs.record import DataRecord, PartResult, RunRecord, Seconds, now
from fittingroom.runs.store import RunContents, write_run

_log = logging.getLogger("fittingroom")
_SAME_LOSS = 1e-4  # relative: so close are two sums of the same cross-entropies in float32
_NOTHING_KEPT = "no epoch was finished, so there is no run"
_DIVERGED_MEND = "A smaller learning rate, or images scaled to 0 to 1, usually help."


@dataclass(frozen=True)
class Attempt:
    """What was trained and on what: all that a run records besides the training itself.

    `if_diverged` is what to look at where the loss becomes NaN or infinite.
    """

    recipe: Mapping[str, Any]
    data: DataRecord
    seed: int
    blueprint: Blueprint
    train_count: int
    validation: Arrays | None
    notes: tuple[str, ...]
    model_file: RecordedFile | None = None
    if_diverged: str = _DIVERGED_MEND
    dataset: Dataset | None = None

    @cached_property
    def images(self) -> RunImages | None:
        """The images that the run keeps; None for plain arrays."""
        return None if self.dataset is None else images_of(self.dataset)


def data_record(dataset: Dataset, train_count: int, validation: Arrays | None) -> DataRecord:
    """What a run records of a dataset."""
    counts = {"train": train_count, "validation": 0 if validation is None else len(validation)}
    return DataRecord(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        test_fingerprint=dataset.test.fingerprint,
        classes=dataset.classes,
        image_shape=dataset.image_shape,
        scale=dataset.scale,
        counts={**counts, "test": len(dataset.test)},
        load=dataset.arguments,
    )


def array_record(train: Arrays, validation: Arrays | None) -> DataRecord:
    """What a run records of plain arrays: they have no name, and no sealed test set."""
    return DataRecord(
        name="arrays",
        fingerprint="",
        test_fingerprint="",
        classes=max(train.class_names, () if validation is None else validation.class_names, key=len),
        image_shape=train.images.shape[1:],
        scale=train.scale or 1.0,
        counts={"train": len(train), "validation": 0 if validation is None else len(validation), "test": 0},
        load=None,
        values=train.values if train.scale is None else None,
    )


def keep(begun: BegunRun, attempt: Attempt, training: Training, seconds: Seconds) -> Path:
    """Writes the files of the run and returns its folder, or says why there is none.

    Raises:
        Interrupted: training was interrupted; `path` of the error is the run of the finished epochs, or None.
        DivergedError: the loss was no number; the message says where the finished epochs are kept.
        InputError: there was no epoch to train.
        StorageError: the files cannot be written.
    """
    _check_trained(attempt, training)
    contents = [_contents(attempt, training, seconds, attempt.images)] if training.epochs else []
    path = _finished(begun, partial(write_run, contents=contents) if contents else None, [training])
    count = len(training.epochs)
    kept = f"the {count} finished epoch{'s are' if count > 1 else ' is'} kept in {path}"
    _raise_for_all(begun, [attempt], [training], path, kept if contents else _NOTHING_KEPT)
    assert path is not None
    return path


def keep_in_memory(attempt: Attempt, training: Training, seconds: Seconds) -> RunContents:
    """What a run's folder would hold, or says why there is none.

    Raises:
        Interrupted, DivergedError, InputError: as `keep` does; nothing is kept then but the model in memory.
    """
    _check_trained(attempt, training)
    if training.status == "interrupted":
        raise Interrupted(f"{training.reason}; this training has no folder, so it cannot be resumed", None)
    if training.status == "diverged":
        raise DivergedError(f"{training.reason}. {attempt.if_diverged}")
    return _contents(attempt, training, seconds, attempt.images)


def _check_trained(attempt: Attempt, training: Training) -> None:
    if not training.epochs and training.status == "finished":
        raise InputError(
            f"A callback (BackupAndRestore, say) has it that all {attempt.recipe['epochs']} epochs are finished. Give "
            "more epochs."
        )


def keep_all(begun: BegunRun, attempts: Sequence[Attempt], trainings: Sequence[Training], seconds: Seconds) -> Path:
    """Writes the files of several seeds and returns the run's folder, or says why there is none.

    Args:
        begun: the run's folder.
        attempts: one for each seed.
        trainings: what each left behind.
        seconds: times of all together, by the clock.

    Raises:
        Interrupted: training was interrupted; `path` of the error is the run of the finished epochs, or None.
        DivergedError: the loss of every seed became NaN or infinite; where only some have failed, a warning says which.
        StorageError: the files cannot be written.
    """
    done = [pair for pair in zip(attempts, trainings, strict=True) if pair[1].epochs]
    own = [replace(seconds, train=sum(epoch.seconds for epoch in training.epochs)) for _, training in done]
    images = attempts[0].images  # one dataset for all
    contents = [_contents(attempt, training, time, images) for (attempt, training), time in zip(done, own, strict=True)]
    write = partial(write_run, contents=contents, seeds=[one.seed for one in attempts], seconds=seconds)
    path = _finished(begun, write if contents else None, trainings)
    kept = f"the finished epochs are kept in {path}" if contents else _NOTHING_KEPT
    _raise_for_all(begun, attempts, trainings, path, kept)
    assert path is not None
    return path


def _finished(begun: BegunRun, write: Callable[[Path], None] | None, trainings: Sequence[Training]) -> Path | None:
    """Ends the training in its folder; gives the folder, or None if nothing of it is left."""
    interrupted = any(training.status == "interrupted" for training in trainings)
    can_go_on = any(begun.checkpoints(seed).exist() for seed in begun.record.seeds)
    try:
        return begun.finish(write, resumable=interrupted and can_go_on)
    except StorageError as error:
        goes_on = f" {how_to_go_on(begun.path, own_model=begun.record.own_model)}" if can_go_on else ""
        raise StorageError(f"{error}{goes_on}") from error


def _raise_for_all(
    begun: BegunRun, attempts: Sequence[Attempt], trainings: Sequence[Training], path: Path | None, kept: str
) -> None:
    """Raises what became of the trainings, unless there is a result to return."""
    for training in trainings:
        if training.status == "interrupted":
            goes_on = "" if path is None else f". {how_to_go_on(path, own_model=begun.record.own_model)}"
            run = path if any(one.epochs for one in trainings) else None
            raise Interrupted(f"{training.reason}; {kept}{goes_on}", run)
    failed = {
        attempt.seed: training.reason
        for attempt, training in zip(attempts, trainings, strict=True)
        if training.status == "diverged"
    }
    alone = len(trainings) == 1
    reasons = "; ".join(f"{reason}" if alone else f"seed {seed}: {reason}" for seed, reason in failed.items())
    if len(failed) == len(trainings):
        raise DivergedError(f"{reasons}; {kept}. {attempts[0].if_diverged}")
    if failed:
        _log.warning("%s; %s. %s", reasons, kept, attempts[0].if_diverged)


def how_to_go_on(path: Path, *, own_model: bool) -> str:
    """What to do to go on with a training that was stopped."""
    if own_model:
        return f"To go on, call fit with the same arguments and resume={str(path)!r}."
    return f"`fittingroom train --resume {path}` goes on."


def environment_of(devices: int) -> Environment:
    """Software and machine of this process, where so many devices share each batch."""
    return current_environment(str(device_facts()["platform"]), threads_per_operation(), devices)


def _contents(attempt: Attempt, training: Training, seconds: Seconds, images: RunImages | None) -> RunContents:
    kept = _kept(attempt.validation, training)
    return RunContents(
        record=_record(attempt, training, seconds, _validation_result(kept, training)),
        history=History((epoch.epoch, epoch.logs) for epoch in training.epochs),
        weights=attempt.blueprint.weights(training.state),
        model=attempt.blueprint.to_json(),
        outcomes=_outcomes(kept, training),
        files=() if attempt.validation is None else attempt.validation.files,
        images=images,
    )


def _record(attempt: Attempt, training: Training, seconds: Seconds, validation: PartResult | None) -> RunRecord:
    logs = training.epochs[-1].logs
    return RunRecord(
        created=now(),
        status=training.status,
        reason=training.reason,
        recipe=attempt.recipe,
        data=attempt.data,
        seed=attempt.seed,
        epochs=len(training.epochs),
        environment=environment_of(training.devices),
        seconds=seconds,
        train=PartResult(logs["loss"], logs.get("accuracy"), attempt.train_count),
        validation=validation,
        notes=attempt.notes,
        model_file=attempt.model_file,
    )


def _validation_result(kept: Kept | None, training: Training) -> PartResult | None:
    """The numbers of the kept weights on the validation images: what everybody says of this training."""
    if kept is None or training.validation is None:
        return None
    found = PartResult.held_out(kept.mean_loss, int(kept.right.sum()), len(kept.labels))
    compiled = training.validation.logs["loss"]
    same = math.isclose(compiled, kept.mean_loss, rel_tol=_SAME_LOSS, abs_tol=1e-6)
    return found if same or not math.isfinite(compiled) else replace(found, compiled_loss=compiled)


def _kept(validation: Arrays | None, training: Training) -> Kept | None:
    """What the kept weights make of the validation images; None without any."""
    if validation is None or training.validation is None:
        return None
    arrays = {name: np.asarray(array) for name, array in training.validation.outcomes._asdict().items()}
    return Kept.of(arrays, validation.class_indices, training.kept_epoch, training.views)


def _outcomes(kept: Kept | None, training: Training) -> Outcomes | None:
    rows = [epoch.outcomes for epoch in training.epochs if epoch.outcomes is not None]
    if kept is None or not rows:
        return None
    return Outcomes.of(
        loss=np.stack([np.asarray(row.loss) for row in rows]),
        predicted=np.stack([np.asarray(row.predicted) for row in rows]),
        probability=np.stack([np.asarray(row.probability) for row in rows]),
        labels=kept.labels,
        epoch=[epoch.epoch for epoch in training.epochs if epoch.outcomes is not None],
        log_probabilities=np.stack([np.asarray(row.log_probabilities) for row in rows]),
        kept=kept,
    )
