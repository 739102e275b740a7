"""Runs made of trajectories, without a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fittingroom.data.load import load
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.recipes.recipe import Recipe
from fittingroom.reports.facts.subject import SeedTraining, Subject
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.history import History
from fittingroom.runs.layout import RunContents, write_run
from fittingroom.runs.outcomes import Outcomes
from fittingroom.runs.record import Environment, PartResult, RunRecord, Seconds
from tests.evaluation.examples import trajectories_of

SECONDS = Seconds(0.5, 0.25, 1.25)


def record_of(trajectories: Trajectories, seed: int = 0) -> RunRecord:
    """The record of a run that kept the weights of the last epoch."""
    right = int(trajectories.right[-1].sum())
    count = trajectories.images
    return RunRecord(
        created="2026-03-04T12:00:00.000+00:00",
        status="finished",
        reason=None,
        recipe=Recipe(name="course").to_dict(),
        data=DataRecord(
            name="made up",
            fingerprint="ab12",
            test_fingerprint="cd34",
            classes=trajectories.classes,
            image_shape=(2, 2),
            scale=255.0,
            counts={"train": 100, "validation": count, "test": 20},
            load=None,
        ),
        seed=seed,
        epochs=trajectories.last_epoch,
        environment=Environment({"python": "3.13.1"}, "a processor", 2, 1, "Linux", "cpu"),
        seconds=SECONDS,
        train=PartResult(0.4, min(1.0, right / count + 0.01), 100),
        validation=PartResult.held_out(float(trajectories.mean_loss[-1]), right, count),
    )


def history_of(trajectories: Trajectories, training: Sequence[float] | None = None) -> History:
    """Its history: training losses as given, halving otherwise."""
    losses = [0.5**row for row in range(len(trajectories.epochs))] if training is None else training
    rows = zip(trajectories.epochs, losses, trajectories.mean_loss, trajectories.accuracy, strict=True)
    return History(
        (epoch - 1, {"loss": loss, "val_loss": float(held_out), "val_accuracy": float(accuracy)})
        for epoch, loss, held_out, accuracy in rows
    )


def contents_of(trajectories: Trajectories, seed: int = 0, training: Sequence[float] | None = None) -> RunContents:
    """All that the folder of such a run holds."""
    return RunContents(
        record=record_of(trajectories, seed),
        history=history_of(trajectories, training),
        weights={"step": np.asarray(7, np.int32)},
        model={"format": 1},
        outcomes=outcomes_of(trajectories),
    )


def outcomes_of(trajectories: Trajectories, kept: int = -1) -> Outcomes:
    """What the folder of such a run holds of the images: the kept weights are those after the epoch of a row."""
    rows = Outcomes.of(
        trajectories.loss,
        trajectories.predicted,
        trajectories.probability,
        trajectories.labels,
        np.array(trajectories.epochs) - 1,
        trajectories.log_probabilities,
    )
    return replace(rows, kept=rows.row_as_kept(kept))


def written(folder: Path, *contents: RunContents) -> Path:
    """The folder of a run with these seeds."""
    folder.mkdir(parents=True)
    write_run(folder, contents, seconds=SECONDS if len(contents) > 1 else None)
    return folder


def subject_of(*trainings: Trajectories) -> Subject:
    """A run that was read already."""
    return Subject(
        path=Path("made-up"),
        trainings=tuple(
            SeedTraining(
                path=Path("made-up"),
                record=record_of(one, seed),
                history=history_of(one),
                trajectories=one,
                left_out=(),
                kept=outcomes_of(one).row_as_kept(-1),
                known=True,
                training_loss=np.asarray(0.5 ** np.arange(len(one.epochs)), np.float64),
            )
            for seed, one in enumerate(trainings)
        ),
        seeds=tuple(range(len(trainings))),
        seconds=SECONDS,
        records=tuple(record_of(one, seed) for seed, one in enumerate(trainings)),
    )


def course_of(sharpness: Sequence[float], images: int = 2000, classes: int = 4, seed: int = 0) -> Trajectories:
    """A training that always predicts the same, but with another confidence after each epoch.

    A sharpness of 1 is honest, for labels are drawn with the probabilities that the model then gives; above 1 it is too
    sure, below 1 not sure enough.
    """
    random = np.random.default_rng(seed)
    logits = 2.5 * random.normal(size=(images, classes))
    labels = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    return trajectories_of(np.stack([sharp * logits for sharp in sharpness]), labels)


def digits_contents(seed: int = 0) -> RunContents:
    """A run on `digits` without a training: four epochs that get surer, with the dataset's own images and labels."""
    dataset = load("digits")
    assert dataset.validation is not None
    labels = np.asarray(dataset.validation.labels)
    logits = np.random.default_rng(seed).normal(size=(len(labels), 10)) + 1.6 * np.eye(10)[labels]
    noise = np.random.default_rng(seed + 1).normal(size=(4, len(labels), 10))
    sharpness = np.array([0.5, 1.0, 2.0, 4.0])[:, None, None]
    contents = contents_of(trajectories_of(sharpness * (logits + 0.3 * noise), labels), seed)
    data = replace(
        contents.record.data,
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        test_fingerprint=dataset.test.fingerprint,
        classes=dataset.classes,
        image_shape=dataset.image_shape,
        scale=dataset.scale,
        load=dataset.arguments,
    )
    return replace(contents, record=replace(contents.record, data=data))
