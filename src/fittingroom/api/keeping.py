"""From a finished training to the run folder that it leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fittingroom.data.dataset import Dataset
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.inputs import Arrays
from fittingroom.engine.runtime import device_facts, threads_per_replica
from fittingroom.engine.trainer import Training
from fittingroom.errors import DivergedError, Interrupted
from fittingroom.runs.environment import current_environment
from fittingroom.runs.history import History
from fittingroom.runs.outcomes import Outcomes
from fittingroom.runs.record import DataRecord, PartResult, RunRecord, Seconds, now
from fittingroom.runs.replicas import ReplicasRecord, create_replicas
from fittingroom.runs.store import RunContents, create

_log = logging.getLogger("fittingroom")
_DIVERGED_MEND = "A smaller learning rate, or images scaled to 0 to 1, usually help."


@dataclass(frozen=True)
class Attempt:
    """What was trained and on what: all that a run records besides the training itself."""

    recipe: Mapping[str, Any]
    data: DataRecord
    seed: int
    blueprint: Blueprint
    train_count: int
    validation: Arrays | None
    notes: tuple[str, ...]
    out: Path | None


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
        classes=tuple(
            str(number) for number in range(max(train.classes, 0 if validation is None else validation.classes))
        ),
        image_shape=train.images.shape[1:],
        scale=train.scale or 1.0,
        counts={"train": len(train), "validation": 0 if validation is None else len(validation), "test": 0},
        load=None,
    )


def keep(attempt: Attempt, training: Training, seconds: Seconds) -> Path:
    """Writes the run folder and returns it, or says why there is none.

    Raises:
        Interrupted: training was interrupted; `path` of the error is the run of the finished epochs, or None.
        DivergedError: the loss was no number; the message says where the finished epochs are kept.
        StorageError: the folder cannot be written.
    """
    path = create(_contents(attempt, training, seconds), attempt.out) if training.epochs else None
    if training.status == "interrupted":
        raise Interrupted(f"{training.reason}; {_kept(training, path)}", path)
    if training.status == "diverged":
        _raise_diverged(training, path)
    assert path is not None
    return path


def keep_replicas(attempts: Sequence[Attempt], trainings: Sequence[Training], seconds: Seconds) -> Path:
    """Writes the folder of several replicas and returns it, or says why there is none.

    Args:
        attempts: one per replica; `out` is the same in all of them.
        trainings: what each left behind.
        seconds: times of all together, by the clock.

    Raises:
        Interrupted: training was interrupted; `path` of the error is the run of the finished epochs, or None.
        DivergedError: the loss of every replica was no number; where only some have failed, a warning says which.
        StorageError: the folder cannot be written.
    """
    done = [pair for pair in zip(attempts, trainings, strict=True) if pair[1].epochs]
    path = None
    if done:
        own = [replace(seconds, train=sum(epoch.seconds for epoch in training.epochs)) for _, training in done]
        contents = {
            attempt.seed: _contents(attempt, training, time)
            for (attempt, training), time in zip(done, own, strict=True)
        }
        record = ReplicasRecord(tuple(attempt.seed for attempt in attempts), tuple(contents), seconds)
        path = create_replicas(record, contents, attempts[0].out)
    _raise_for_all(attempts, trainings, path)
    assert path is not None
    return path


def _raise_for_all(attempts: Sequence[Attempt], trainings: Sequence[Training], path: Path | None) -> None:
    """Raises what became of the replicas, unless there is a result to return."""
    kept = "no epoch was finished, so there is no run" if path is None else f"the finished epochs are kept in {path}"
    for training in trainings:
        if training.status == "interrupted":
            raise Interrupted(f"{training.reason}; {kept}", path)
    failed = {
        attempt.seed: training.reason
        for attempt, training in zip(attempts, trainings, strict=True)
        if training.status == "diverged"
    }
    reasons = "; ".join(f"seed {seed}: {reason}" for seed, reason in failed.items())
    if len(failed) == len(trainings):
        raise DivergedError(f"{reasons}; {kept}. {_DIVERGED_MEND}")
    if failed:
        _log.warning("%s; %s. %s", reasons, kept, _DIVERGED_MEND)


def _raise_diverged(training: Training, path: Path | None) -> NoReturn:
    raise DivergedError(f"{training.reason}; {_kept(training, path)}. {_DIVERGED_MEND}")


def _kept(training: Training, path: Path | None) -> str:
    count = len(training.epochs)
    if path is None:
        return "no epoch was finished, so there is no run"
    return f"the {count} finished epoch{'s are' if count > 1 else ' is'} kept in {path}"


def _contents(attempt: Attempt, training: Training, seconds: Seconds) -> RunContents:
    return RunContents(
        record=_record(attempt, training, seconds),
        history=History((epoch.epoch, epoch.logs) for epoch in training.epochs),
        weights=attempt.blueprint.weights(training.state),
        model=attempt.blueprint.to_json(),
        outcomes=_outcomes(attempt.validation, training),
    )


def _record(attempt: Attempt, training: Training, seconds: Seconds) -> RunRecord:
    logs = training.epochs[-1].logs
    return RunRecord(
        created=now(),
        status=training.status,
        reason=training.reason,
        recipe=attempt.recipe,
        data=attempt.data,
        seed=attempt.seed,
        epochs=len(training.epochs),
        environment=current_environment(str(device_facts()["platform"]), threads_per_replica(), training.devices),
        seconds=seconds,
        train=PartResult(logs["loss"], logs.get("accuracy"), attempt.train_count),
        validation=_validation_result(attempt.validation, training),
        notes=attempt.notes,
    )


def _validation_result(validation: Arrays | None, training: Training) -> PartResult | None:
    """What the kept weights make of the validation images."""
    last = training.epochs[-1]
    if validation is None:
        return None
    if training.validation is not None:
        loss, outcomes = training.validation.logs["loss"], training.validation.outcomes
    elif last.outcomes is not None:
        loss, outcomes = last.logs["val_loss"], last.outcomes
    else:
        return None
    correct = int((np.asarray(outcomes.predicted) == validation.class_indices).sum())
    return PartResult.held_out(loss, correct, len(validation))


def _outcomes(validation: Arrays | None, training: Training) -> Outcomes | None:
    rows = [epoch.outcomes for epoch in training.epochs if epoch.outcomes is not None]
    if validation is None or not rows:
        return None
    return Outcomes.of(
        loss=np.stack([np.asarray(row.loss) for row in rows]),
        predicted=np.stack([np.asarray(row.predicted) for row in rows]),
        probability=np.stack([np.asarray(row.probability) for row in rows]),
        labels=validation.class_indices,
    )
