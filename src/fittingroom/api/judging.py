"""Answers that say how far they can be trusted: what is fitted for them, from what, and when.

Everything is fitted on validation images, when an answer is first asked for, and kept in the run's folder. Not when the
training ends: that would compile one more program, which takes a third of the time that the course's model trains. What
cannot be kept, as in a folder that is read-only, is fitted again by the next process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.answers.judgement import Judgement
from fittingroom.answers.label_shift import Correction
from fittingroom.answers.stored import digest_of, read_correction, read_judgement, write_correction, write_judgement
from fittingroom.errors import DataError, RunError, StorageError
from fittingroom.photos.style import style_of_images
from fittingroom.photos.synthetic import made_inputs
from fittingroom.runs.store import read_validated

if TYPE_CHECKING:
    from pathlib import Path

    from fittingroom.api.run import Run
    from fittingroom.data.dataset import Part
    from fittingroom.runs.images import RunImages
    from fittingroom.runs.outcomes import Outcomes

Array = np.ndarray[Any, Any]
Predict = Callable[[Array], Array]
"""From images to logarithms of probabilities `(n, classes)`."""

MADE = 3_000
"""Photos that are made of held-out images; with fewer, which ones they are shows more in the answers."""

_log = logging.getLogger("fittingroom")


def judgement_of(path: Path, runs: Sequence[Run], predict: Predict, load_images: Callable[[], RunImages]) -> Judgement:
    """What the validation images teach about the answers of a run, or of replicas that answer together.

    It is read from `path` if it is there, and else fitted and kept there.

    Args:
        path: the folder of the run, or of all replicas.
        runs: the run, or each of the replicas.
        predict: what they make of images.
        load_images: gives images of the dataset that they were trained on.

    Raises:
        RunError: what is kept is damaged, or a file of the run is.
    """
    digest = digest_of([run.path for run in runs])
    data = runs[0].record.data
    kept = read_judgement(path, digest, len(data.classes))
    if kept is not None:
        return kept
    part = _held_out(runs[0].outcomes, load_images)
    if part is None:
        return _from_outcomes([run.path for run in runs])
    judgement = Judgement.of(predict(part.images), part.labels, part.images, data.scale)
    _keep(lambda: write_judgement(path, judgement, digest))
    return judgement


def correction_of(
    path: Path, runs: Sequence[Run], predict: Predict, load_images: Callable[[], RunImages]
) -> Correction | None:
    """What photos made of validation images teach about the answers to photos; None where none can be made.

    None can be made without the validation images, or of images that are whole pictures, as those of a folder. It is
    read from `path` if it is there, and else fitted and kept there.

    Args, Raises: as for `judgement_of`.
    """
    digest = digest_of([run.path for run in runs])
    data = runs[0].record.data
    kept = read_correction(path, digest, len(data.classes))
    if kept is not None:
        return kept
    part = _held_out(runs[0].outcomes, load_images)
    style = None if part is None else style_of_images(data.name, load_images().train).thing
    if part is None or style is None:
        return None
    images, labels = part.images[:MADE], part.labels[:MADE]
    correction = Correction.of(predict(made_inputs(images, style, data.scale)), labels)
    _keep(lambda: write_correction(path, correction, digest))
    return correction


def _keep(write: Callable[[], None]) -> None:
    """Writes what was fitted, if that can be done."""
    try:
        write()
    except StorageError as error:
        _log.info("What was learned from the validation images is not kept: %s", error)


def _held_out(outcomes: Outcomes | None, load_images: Callable[[], RunImages]) -> Part | None:
    """The images that gave these outcomes, if all of them are to be had."""
    if outcomes is None or not len(outcomes.labels):
        return None
    try:
        part = load_images().validation
    except (DataError, RunError):
        return None
    same = part is not None and np.array_equal(part.labels, outcomes.labels)
    return part if same else None


def _from_outcomes(paths: Sequence[Path]) -> Judgement:
    """What the folders tell without the images: what the kept weights made of each. Nothing, where they do not."""
    try:
        validated = [read_validated(path) for path in paths]
    except RunError:
        return Judgement.nothing()
    labels = validated[0].outcomes.labels
    logs = [one.kept.log_probabilities for one in validated if one.known]
    same = all(np.array_equal(one.outcomes.labels, labels) for one in validated)
    if len(logs) < len(paths) or not same or not logs[0].shape[-1]:
        return Judgement.nothing()
    mean = mean_of([each.astype(np.float32) for each in logs])
    known = ~np.isnan(mean).any(axis=1)  # an image with NaN in it has no answer, and teaches nothing
    return Judgement.of(mean[known], labels[known]) if known.any() else Judgement.nothing()


def mean_of(log_probabilities: Sequence[Array]) -> Array:
    """Logarithms of the mean probabilities, from the logarithms of each."""
    if len(log_probabilities) == 1:
        return log_probabilities[0]
    total = np.logaddexp.reduce(np.stack(log_probabilities), axis=0)
    return np.asarray(total - np.float32(np.log(len(log_probabilities))))
