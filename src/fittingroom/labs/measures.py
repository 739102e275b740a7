"""The numbers that a lab's claims can be about, each read from a trained run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.errors import RecipeError
from fittingroom.labs.stand_in import StandInReport
from fittingroom.runs.history import History
from fittingroom.runs.outcomes import KeptOutcomes
from fittingroom.runs.record import RunRecord

Unit = Literal["points", "nats", "times", "epochs", "looks"]


@dataclass(frozen=True)
class Measure:
    """A number of a trained seed.

    Args:
        words: what a sentence calls it.
        unit: the unit of a difference: percentage points, nats, epochs, looks; `times` for numbers compared by their
            ratio.
        of_images: gives the number for each validation image, by the kept weights, `(images,)`; their mean is the
            seed's.
        of_run: gives the number from the seed's record and history, for one that no image has.
        of_report: gives the number from what the code of a lab about scores reports; None where that does not say.
        error_of_report: gives its standard error for other images and this model; None where images do not decide it.
    """

    words: str
    unit: Unit
    of_images: Callable[[KeptOutcomes], npt.NDArray[Any]] | None = None
    of_run: Callable[[RunRecord, History], float | None] | None = None
    of_report: Callable[[StandInReport], float | None] | None = None
    error_of_report: Callable[[StandInReport], float] | None = None

    @property
    def scale(self) -> float:
        """What the number is multiplied by to have its unit."""
        return 100.0 if self.unit == "points" else 1.0


def _error(share: float, images: int) -> float:
    """The standard error of a share of images, after two more of either kind, so that it is never 0."""
    near = (share * images + 2) / (images + 4)
    return math.sqrt(near * (1 - near) / (images + 4))


def _confidence(kept: KeptOutcomes) -> npt.NDArray[Any]:
    largest: npt.NDArray[Any] = np.exp(kept.log_probabilities.astype(np.float64)).max(axis=-1)
    return largest


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "accuracy": Measure("accuracy on validation images", "points", of_images=lambda kept: kept.right),
        "loss": Measure("loss on validation images", "nats", of_images=lambda kept: kept.loss),
        "confidence": Measure("mean of the largest of the probabilities", "points", of_images=_confidence),
        "overconfidence": Measure(
            "confidence beyond accuracy",
            "points",
            of_images=lambda kept: _confidence(kept) - kept.right,
        ),
        "train_accuracy": Measure(
            "accuracy on training images", "points", of_run=lambda record, _: record.train.accuracy
        ),
        "train_loss": Measure("loss on training images", "nats", of_run=lambda record, _: record.train.loss),
        "seconds": Measure("time of training", "times", of_run=lambda record, _: record.seconds.train),
        "epochs": Measure("trained epochs", "epochs", of_run=lambda record, _: float(record.epochs)),
        "score": Measure(
            "the score that is reported",
            "points",
            of_report=lambda report: report.score,
            error_of_report=lambda report: _error(report.score, report.images),
        ),
        "fresh": Measure(
            "accuracy on fresh images",
            "points",
            of_report=lambda report: report.fresh,
            error_of_report=lambda report: _error(report.fresh, report.fresh_images),
        ),
        "excess": Measure(
            "score beyond the accuracy on fresh images",
            "points",
            of_report=lambda report: report.score - report.fresh,
            error_of_report=lambda report: math.hypot(
                _error(report.score, report.images), _error(report.fresh, report.fresh_images)
            ),
        ),
        "looks": Measure("looks at the test part", "looks", of_report=lambda report: float(report.looks)),
        "copies": Measure(
            "test images with a copy among those to learn from",
            "points",
            of_report=lambda report: None if report.copies is None else report.copies / report.images,
            error_of_report=lambda report: _error((report.copies or 0) / report.images, report.images),
        ),
    }
)
"""Name in a lab's file -> measure. Those on training images are means over the last epoch, while weights changed."""


def check_measure(name: str, *, scores: bool) -> None:
    """Makes sure that a lab can have a measure.

    Args:
        name: of the measure.
        scores: whether it is a lab about scores, with a stand-in: each seed has other images, so none has a number.

    Raises:
        RecipeError: it has no such numbers.
    """
    known = [key for key, one in MEASURES.items() if (one.of_images if scores else one.of_report) is None]
    if name not in known:
        raise RecipeError(
            f"measure = {name!r} in a lab {'with' if scores else 'without'} a [stand_in]: expected one of "
            f"{', '.join(known)}."
        )
