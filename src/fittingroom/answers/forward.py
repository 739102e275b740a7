"""`Forward`: the compiled model of a seed, or of all seeds of a run together; and what is known of held-out images.

Where a recipe has a backbone, what that makes of an image is computed once, for all seeds, and for all that is asked:
the probabilities, what the image is compared by with others, and which training images are most like it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fittingroom.answers.judgement import Judgement
from fittingroom.answers.out_of_distribution import Features
from fittingroom.data.dataset import Part
from fittingroom.errors import FittingRoomError, RunError
from fittingroom.photos.drawing import PenStyle
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.images import RunImages
from fittingroom.runs.validation_outcomes import ValidationOutcomes

if TYPE_CHECKING:
    from fittingroom.runs.outcomes import KeptOutcomes, Outcomes

Array = np.ndarray[Any, Any]

_MEASURED = 1_000  # training images by which drawings are made


@dataclass(frozen=True)
class Forward:
    """The compiled model of one seed: from images in its form to logarithms of probabilities.

    Args:
        inputs: what its programs take of images: the images themselves, or features that a backbone gives of them,
            which all seeds of a run share.
        logs: from these to logarithms of probabilities, float32 `(n, classes)`, none of them NaN.
        features: what images are compared by, from images and what `inputs` gives of them.
        held_out: what `inputs` gives of many images that will be asked for again, from the cache where it has them.
        cross_fitted: of each validation image, logarithms of probabilities by models like this one that had not seen
            it, float32 `(n, classes)`, where this one has seen them all; else None.
    """

    inputs: Callable[[Array], Array]
    logs: Callable[[Array], Array]
    features: Callable[[Array, Array], Features]
    held_out: Callable[[Array], Array]
    cross_fitted: Array | None = None

    def __call__(self, images: Array) -> Array:
        """Logarithms of the probabilities of the classes, float32 `(n, classes)`."""
        return self.logs(self.inputs(images))

    @classmethod
    def together(cls, seeds: Sequence[Forward]) -> Forward:
        """All seeds of a run, at least one: the mean of their probabilities, of inputs that are made once."""

        def mean(inputs: Array) -> Array:
            return np.asarray(_mean_of([one.logs(inputs) for one in seeds]), np.float32)

        return replace(seeds[0], logs=mean)


class TrainedSeed(Protocol):
    """What a predictor needs of each trained model that answers with others."""

    @property
    def path(self) -> Path:
        """The folder that holds its weights."""

    @property
    def outcomes(self) -> Outcomes | None:
        """What it made of each validation image; None without validation."""

    def forward(self) -> Forward:
        """Its compiled model, which reads nothing from the folder any more."""


def held_out_part(images: RunImages, labels: Array, most: int | None) -> Part | None:
    """The validation images of a run, or those that it keeps, where they are those of its outcomes; None where not.

    Args:
        images: of the run.
        labels: the true class of every validation image, as the outcomes have them.
        most: how many are wanted, spread over all; None for every one.
    """
    part, index = images.validation, images.index
    # The dataset may have changed since: then these are not what was held out.
    if part is None or len(index) != len(part) or index[-1] >= len(labels):
        return None
    if not np.array_equal(part.labels, labels[index]):
        return None
    if most is None or len(part) <= most:
        return part
    chosen = np.linspace(0, len(part) - 1, most).astype(np.int64)
    return Part(part.images[chosen], part.labels[chosen], part.classes, part.scale)


def pen_of(data: DataRecord, training_images: Callable[[], Part]) -> tuple[PenStyle | None, str | None]:
    """How drawings become images like those of a run, or why they cannot.

    Args:
        data: what the run was trained on.
        training_images: gives some of its training images.
    """
    if not data.takes_pictures:
        return None, (
            "This run was trained on arrays of numbers, and it is not known how a picture becomes such numbers. "
            "Ask it from Python: run.answer(array)."
        )
    try:
        if data.load is None:
            return PenStyle.unknown(), None
        train = training_images()
        brightness = np.float32(255 / train.scale)
        return PenStyle.of(train.images[:_MEASURED].astype(np.float32) * brightness), None
    except FittingRoomError as error:
        return None, f"The training images are not at hand, so it is not known how to draw like them. {error}"


def judgement_of_outcomes(seeds: Sequence[TrainedSeed]) -> Judgement:
    """What can be told without the images: what the kept weights made of each. Nothing, where that is not known."""
    kept = [_kept_outcomes(seed) for seed in seeds]
    known = [one for one in kept if one is not None]
    if len(known) < len(kept) or not known[0].log_probabilities.shape[-1]:
        return Judgement.nothing()
    labels = known[0].labels
    if not all(np.array_equal(one.labels, labels) for one in known):
        return Judgement.nothing()
    mean = _mean_of([one.log_probabilities.astype(np.float32) for one in known])
    finite = ~np.isnan(mean).any(axis=1)  # an image with NaN in it has no answer, and teaches nothing
    return Judgement.of(mean[finite], labels[finite]) if finite.any() else Judgement.nothing()


def _kept_outcomes(seed: TrainedSeed) -> KeptOutcomes | None:
    """What the kept weights of a seed made of each validation image, where that is known."""
    outcomes = seed.outcomes
    if outcomes is None or not outcomes.loss.size:
        return None
    if outcomes.kept is not None:
        return outcomes.kept
    try:
        validated = ValidationOutcomes.read(
            seed.path
        )  # a run of an older version: its last epoch may be that of the weights
    except RunError:
        return None
    return validated.kept if validated.known else None


def _mean_of(log_probabilities: Sequence[Array]) -> Array:
    """Logarithms of the mean probabilities, from the logarithms of each seed."""
    if len(log_probabilities) == 1:  # to the bit what the model gives
        return log_probabilities[0]
    total = np.logaddexp.reduce(np.stack(log_probabilities), axis=0)
    return np.asarray(total - np.float32(np.log(len(log_probabilities))))
