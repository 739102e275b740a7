"""A lab as a teacher describes it: its texts, what it trains, and the claims that it judges.

The numbers that a lab's claims can be about, each read from a trained run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from fittingroom.experiments.planfile import PlanFile
from fittingroom.runs.history import History
from fittingroom.runs.outcomes import Kept
from fittingroom.runs.record import RunRecord

DEFAULT_DATASET = "fashion-mnist"

PICTURES = ("accuracy", "cost", "curves", "numbers", "images")
Expectation = Literal["higher", "lower", "same", "error"]
EXPECTED: tuple[Expectation, ...] = get_args(Expectation)


@dataclass(frozen=True)
class Prediction:
    """What the learner is asked before the lab runs.

    Args:
        ask: the question.
        answers: those to choose from.
        claim: which of the claims tells what came true, from 0.
        bounds: rising numbers between the answers, in the unit of that claim's effect.
    """

    ask: str
    answers: tuple[str, ...]
    claim: int
    bounds: tuple[float, ...]


@dataclass(frozen=True)
class Picture:
    """The picture that the lab shows.

    Args:
        kind: one of `PICTURES`.
        arms: those it shows; empty for all.
        text: what stands below it.
    """

    kind: str
    arms: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class LabExperiment:
    """An experiment of a lab.

    Args:
        plan: what it trains.
        optional: whether the lab goes on without it where its dataset cannot be had.
    """

    plan: PlanFile
    optional: bool = False

    @property
    def dataset(self) -> str:
        """The name of its dataset."""
        return self.plan.dataset or DEFAULT_DATASET


@dataclass(frozen=True)
class LabCode:
    """Python that a lab runs as it stands.

    Args:
        name: of its arm.
        code: the text.
        dataset: what it is given as `data`.
    """

    name: str
    code: str
    dataset: str = DEFAULT_DATASET


@dataclass(frozen=True)
class Claim:
    """A statement that the lab judges.

    Args:
        says: it, in a sentence.
        arm: what it is about.
        expected: what it claims of it.
        measure: the number that is compared; empty where an error is expected.
        than: the arm or the number that it is compared with; None where an error is expected.
        within: how large a difference still counts as the same, in the unit of the effect.
    """

    says: str
    arm: str
    expected: Expectation
    measure: str = ""
    than: str | float | None = None
    within: float = 0.0


@dataclass(frozen=True)
class Lab:
    """A lab, as its file says.

    Args:
        path: the file.
        title: a few words.
        question: what is asked.
        explanation: what to make of the results, whatever they are.
        next: one thing to try.
        claims: what is judged.
        picture: what is shown.
        number: its place in the list; None for none.
        course: what a course says; None for nothing.
        predict: what the learner is asked first; None for nothing.
        experiments: what is trained by recipes.
        codes: what is trained by code.
    """

    path: Path
    title: str
    question: str
    explanation: str
    next: str
    claims: tuple[Claim, ...]
    picture: Picture
    number: int | None = None
    course: str | None = None
    predict: Prediction | None = None
    experiments: tuple[LabExperiment, ...] = ()
    codes: tuple[LabCode, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without its ending and without a number in front."""
        return self.path.stem.lstrip("0123456789").lstrip("-") or self.path.stem


Unit = Literal["points", "nats", "times", "epochs"]


@dataclass(frozen=True)
class Measure:
    """A number of a trained run.

    Args:
        words: what it is called in a sentence.
        unit: of a difference: percentage points, nats, epochs; `times` for numbers that are compared by their ratio.
        of_images: the number for each validation image from what the kept weights make of it, `(images,)`; its mean is
            the run's.
        of_run: the number from the run's record and history, for one that belongs to no image.
    """

    words: str
    unit: Unit
    of_images: Callable[[Kept], npt.NDArray[Any]] | None = None
    of_run: Callable[[RunRecord, History], float | None] | None = None

    @property
    def scale(self) -> float:
        """What the number is multiplied by to have its unit."""
        return 100.0 if self.unit == "points" else 1.0


def _confidence(kept: Kept) -> npt.NDArray[Any]:
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
    }
)
"""Name in a lab's file -> measure. Those of training images are the last epoch's means while the weights changed."""
