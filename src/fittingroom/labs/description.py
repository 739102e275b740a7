"""A lab as a teacher describes it: its texts, what it trains, and the claims that it judges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fittingroom.experiments.planfile import PlanFile

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
