"""Logs for the programs that people track their trainings with: during a training, and of a run that is there."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fittingroom.api.inner_view import ViewedRun
from fittingroom.errors import FittingRoomError, InputError, RunError, StorageError
from fittingroom.tracking.events import Event, ImagesPlaced, ModelExported, WrittenLog
from fittingroom.tracking.run_log import RunLog
from fittingroom.tracking.trackers import TRACKERS, Extra, chosen_trackers

if TYPE_CHECKING:
    import keras

    from fittingroom.api.exports import Export
    from fittingroom.data.dataset import Part
    from fittingroom.runs.history import History
    from fittingroom.runs.outcomes import Outcomes


class _Seed(ViewedRun, Protocol):
    """A run of one seed, `api.run.Run`."""

    path: Path

    @property
    def history(self) -> History: ...
    @property
    def outcomes(self) -> Outcomes | None: ...


class _Run(Protocol):
    """A run of one seed or several, `api.run.Run`."""

    path: Path

    def __iter__(self) -> Iterator[_Seed]: ...
    def export(self, to: str, out: str | Path | None = None) -> Export: ...


MOST_POINTS = 1_000
"""Validation images that the projector shows, spread evenly over all of them."""

_log = logging.getLogger("fittingroom")


def training_log(log: str | Sequence[str], opened: Callable[[Path], _Run]) -> RunLog:
    """What tells trackers of a training that is about to begin.

    Args:
        log: one tracker or several: `tensorboard`, `tensorboard:DIR`, `mlflow`, `mlflow:URI`, `wandb`,
            `wandb:PROJECT`, `csv`, `csv:FILE`, `jsonl`, `jsonl:FILE`.
        opened: opens the run that the training leaves.

    Raises:
        InputError: one is unknown, or its package is not installed; the message has the line that installs it.
    """
    begun = RunLog(chosen_trackers(log))
    begun.extras = lambda wants: () if begun.path is None else _extras(opened(begun.path), wants)
    return begun


def write_log(run: _Run, to: str | Sequence[str]) -> tuple[WrittenLog, ...]:
    """Logs a run that is there, as `Run.log` says."""
    try:
        path: Path | None = run.path
    except RunError:  # it is in memory
        path = None
    seeds = [(one.record, one.history, one.outcomes) for one in run]
    places = RunLog.write_again(path, seeds, chosen_trackers(to), partial(_extras, run))
    if problems := [f"The log to {place.to} is not whole: {place.problem}" for place in places if place.problem]:
        raise StorageError(" ".join(problems))
    return places


def write_keras_logs(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Makes `keras.callbacks.TensorBoard` write without TensorFlow, where that is not installed.

    Raises:
        InputError: what it writes with instead is missing; the message has the line that installs it.
    """
    if find_spec("tensorflow") is None:
        kind = TRACKERS["tensorboard"]
        if find_spec(kind.package) is None:
            raise InputError(
                "keras.callbacks.TensorBoard needs TensorFlow, or the package tensorboardX, which is smaller: "
                f"{kind.install}"
            )
        from fittingroom.tracking.keras_tensorboard import write_without_tensorflow

        write_without_tensorflow(callbacks)


def _extras(run: _Run, wants: frozenset[Extra]) -> Iterator[Event]:
    """What takes a while to find of a run, as far as trackers want it."""
    if "points" in wants:
        for one in run:
            placed = _placed(one)
            if placed is not None:
                yield placed
    if "model" in wants:
        exported = _exported(run)
        if exported is not None:
            yield exported


def _exported(run: _Run) -> ModelExported | None:
    """The run as an ONNX model, of all its seeds; None, and a note, where it cannot be one."""
    try:
        with tempfile.TemporaryDirectory(prefix="fittingroom-") as folder:
            export = run.export("onnx", Path(folder, "model.onnx"))
            content = export.path.read_bytes()
    except FittingRoomError as error:
        _log.warning("The log is without the model: %s", error)
        return None
    return ModelExported(content=content, facts=export.facts["about"], at=time.time())


def _placed(run: _Seed) -> ImagesPlaced | None:
    """The validation images of a run with one seed as points; None where there are none, or no finite ones."""
    outcomes = run.outcomes
    if outcomes is None or outcomes.kept is None:
        return None
    kept, classes = outcomes.kept, run.record.data.classes
    index, part = _shown_images(run, len(kept.labels))
    try:
        if part is None:
            raise StorageError("The run keeps no images.")
        from fittingroom.api.backbone_view import inner_view

        view = inner_view(run)
        source, points = str(view.source), view.features(part.images)
    except FittingRoomError as error:
        logs = kept.log_probabilities[index].astype(np.float32)
        if not logs.shape[1]:
            return None
        _log.info("The projector shows what the model answers: %s", error)
        source, points = "answers", np.exp(np.maximum(logs, -80) / 2)
    if not np.isfinite(points).all():
        return None
    columns: dict[str, list[str]] = {
        "true class": [classes[label] for label in kept.labels[index].tolist()],
        "predicted class": [classes[label] for label in kept.predicted[index].tolist()],
        "right": ["yes" if right else "no" for right in kept.right[index].tolist()],
        "image": [str(number) for number in index.tolist()],
    }
    images: Any = None if part is None or part.images.dtype != np.uint8 else part.images
    epoch = run.history.epoch[-1]
    return ImagesPlaced(
        seed=run.record.seed, epoch=epoch, source=source, points=points, images=images, columns=columns,
        at=time.time(),
    )  # fmt: skip


def _shown_images(run: _Seed, count: int) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Part | None]:
    """Which validation images are shown, and the images themselves; None where the run keeps none.

    Args:
        run: of one seed.
        count: how many validation images it has.
    """
    from fittingroom.data.dataset import Part
    from fittingroom.runs.images import RunImages

    data = run.record.data
    every = np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(np.int64)
    try:
        kept = RunImages.read(run.path, data.classes, data.scale)
    except FittingRoomError:
        kept = None
    if kept is None or kept.validation is None or not len(kept.index) or kept.index[-1] >= count:
        return every, None
    rows = np.linspace(0, len(kept.index) - 1, min(len(kept.index), MOST_POINTS)).astype(np.int64)
    chosen = kept.validation
    return kept.index[rows], Part(chosen.images[rows], chosen.labels[rows], chosen.classes, chosen.scale)
