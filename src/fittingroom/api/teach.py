"""`teach`: a new run from a run and a few photos of one's own, checked by photos that were left out.

Nothing of the base run is changed. The new run's folder holds what it needs of it, as hard links where the file system
has them, and is a run like any other: its validation outcomes are the cross-fitted ones.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.answers.judgement import Judgement
from fittingroom.answers.out_of_distribution import unit_features
from fittingroom.answers.stored import JUDGEMENT, digest_of
from fittingroom.api.lesson import Lesson
from fittingroom.api.taught_model import BIAS, KERNEL, AskedRun
from fittingroom.atomic import expanded
from fittingroom.data.catalogue import DatasetInfo
from fittingroom.data.dataset import Dataset, Part, SealedTestSet
from fittingroom.data.values import fingerprint
from fittingroom.errors import InputError
from fittingroom.progress import Progress, progress_for
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.history import History
from fittingroom.runs.images import RunImages
from fittingroom.runs.layout import RunContents, write_run
from fittingroom.runs.outcomes import KeptOutcomes, Outcomes
from fittingroom.runs.place import RunsFolder
from fittingroom.runs.record import PartResult, RunRecord, Seconds, now
from fittingroom.runs.teaching import BASE_NAME, copy_base
from fittingroom.training.photo_head import log_softmax
from fittingroom.training.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy.typing as npt

RECIPE = "taught"
"""What a taught run calls its recipe."""

_log = logging.getLogger("fittingroom")


def teach(
    run: AskedRun,
    photos: str | Path,
    *,
    out: str | Path | None = None,
    goal: float | None = None,
    backbone: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """The folder of a new run that knows what a run knew, and what a few labelled photos show.

    Args:
        run: the run that is taught; it is not changed.
        photos: a folder with a folder of photos for each class: classes that the run knows, and new ones.
        out: the new run's own folder; None for the next free one in the runs folder.
        goal: an accuracy, 0 to 1, for which the photos of each class that it takes are estimated.
        backbone: the pretrained network whose features are learned from; None for the run's own, or
            `efficientnet-lite0`.
        progress: shows what is done; None for a line on a terminal.

    Raises:
        InputError: the photos cannot teach this run, a setting makes no sense, or the extra `pretrained` is missing.
        StorageError: the new run cannot be written.
    """
    if goal is not None and not 0 < goal < 1:
        raise InputError(f"goal={goal}: expected an accuracy above 0 and below 1, such as 0.9.")
    folder = None if out is None else Path(out)
    RunsFolder().check_writable(folder)
    started = time.perf_counter()
    progress = progress or progress_for()
    with progress:
        lesson = Lesson.of(run, expanded(photos), backbone, progress, goal)
        ready = time.perf_counter()
        _ = lesson.head, lesson.curve
        seconds = Seconds(ready - started, 0.0, time.perf_counter() - ready)
        progress.stage("writing the run")
        path = _write(lesson, folder, seconds)
        progress.finish(None)
    for note in lesson.notes:
        _log.warning(note)
    return path


def _write(lesson: Lesson, out: Path | None, seconds: Seconds) -> Path:
    """Writes the new run, and gives its folder; nothing of it stays where that fails.

    Raises:
        StorageError: it cannot be written.
    """
    name = RunsFolder.name_of_run(now(), f"folder:{lesson.photos.root}", RECIPE)
    existed = out is not None and out.exists()
    folder = RunsFolder().make_run(name, out)
    try:
        copy_base(lesson.base.path, folder / BASE_NAME)
        write_run(folder, [_contents_of(lesson, seconds)])
        _keep_judgement(lesson, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if existed:
            folder.mkdir(exist_ok=True)
        raise
    return folder


def _keep_judgement(lesson: Lesson, folder: Path) -> None:
    """Keeps what the photos that were left out teach about answers."""
    if not lesson.checked.any():
        return
    logs = lesson.head.log_probabilities[lesson.checked].astype(np.float32)
    features = unit_features(lesson.features.pooled[lesson.checked])
    judgement = Judgement.of(logs, lesson.photos.part.labels[lesson.checked], features)
    JUDGEMENT.write(folder, judgement, digest_of([folder]))


def _contents_of(lesson: Lesson, seconds: Seconds) -> RunContents:
    head, result, dataset = lesson.head, lesson.result, _dataset_of(lesson)
    labels, held_out = dataset.train.labels, dataset.validation
    inputs = np.concatenate([lesson.features.pooled, lesson.features.base], axis=1).astype(np.float32)
    seen = KeptOutcomes.of_log_probabilities(log_softmax(inputs @ head.kernel + head.bias), labels, epoch=0)
    logs, kept = {"loss": seen.mean_loss, "accuracy": seen.accuracy}, None
    if held_out is not None:
        kept = KeptOutcomes.of_log_probabilities(head.log_probabilities[lesson.checked], held_out.labels, epoch=0)
        logs |= {"val_loss": kept.mean_loss, "val_accuracy": kept.accuracy}
    record = RunRecord(
        created=now(),
        status="finished",
        reason=None,
        recipe=Recipe(name=RECIPE, backbone=lesson.backbone, hidden=(), epochs=1).to_dict(),
        data=DataRecord.of(dataset),
        seed=0,
        epochs=1,
        environment=RunFolder.environment(1),
        seconds=seconds,
        train=PartResult(logs["loss"], logs["accuracy"], len(labels)),
        validation=result,
        notes=lesson.notes,
        teaching=lesson.facts(),
    )
    weights = {KERNEL: head.kernel, BIAS: head.bias}
    return RunContents(
        record=record,
        history=History([(0, logs)]),
        weights=weights,
        model=_model_of(weights),
        outcomes=None if kept is None else Outcomes.of_single_epoch(kept),
        files=() if held_out is None else held_out.files,
        images=RunImages.of(dataset),
    )


def _dataset_of(lesson: Lesson) -> Dataset:
    """The photos as a dataset: all of them to learn from, those that were left out once to validate on."""
    part, root = lesson.photos.part, lesson.photos.root.resolve()
    name, size = f"folder:{root}", list(part.images.shape[1:3])
    place = {"name": name, "validation": 0, "split_seed": 0, "data_dir": None, "image_size": size}
    none = Part(part.images[:0], part.labels[:0], part.classes, part.scale)
    return Dataset(
        name=name,
        train=part,
        validation=_some(part, lesson.checked) if lesson.checked.any() else None,
        test=SealedTestSet(none, ""),
        classes=part.classes,
        image_shape=part.images.shape[1:],
        source=f"folder {root}",
        fingerprint=fingerprint(part.images, part.labels),
        split_seed=0,
        notes=(),
        scale=part.scale,
        info=DatasetInfo(title=root.name),
        arguments={**place, **lesson.photos.resizing.arguments},
    )


def _some(part: Part, chosen: npt.NDArray[np.bool_]) -> Part:
    files = tuple(file for file, wanted in zip(part.files, chosen.tolist(), strict=True) if wanted)
    return Part(part.images[chosen], part.labels[chosen], part.classes, part.scale, files=files)


def _model_of(weights: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """What `model.json` says: the arrays, and that Keras alone does not make this model."""
    each = [{"name": name, "shape": list(value.shape), "dtype": str(value.dtype)} for name, value in weights.items()]
    reason = "it was taught by photos, and asks a backbone and its base run"
    groups = {"trainable": each, "non_trainable": [], "optimizer": [], "metrics": []}
    return {**groups, "description": {"format": 1, "keras": None, "reason": reason}}
