"""A lab as a teacher describes it in a TOML file: its texts, what it trains, and the claims that it judges.

See docs/labs-format.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.experiments.experiment_file import EXPERIMENT_FORM, ExperimentFile
from fittingroom.labs.measures import MEASURES, check_measure
from fittingroom.labs.stand_in import STAND_IN_FORM, StandIn
from fittingroom.recipes.toml import Form, Key, Table

DEFAULT_DATASET, DEFAULT_SEEDS = "fashion-mnist", 5  # as `experiment` has them
TEXTS = Path(__file__).with_name("texts")
"""The folder of the labs that come with Fitting Room."""

QUICK_SEEDS = 2
"""How many seeds the quick form of a lab trains at most: with one, nothing would show how much seeds differ."""

PICTURES = ("accuracy", "cost", "curves", "numbers", "images", "scores")
Expectation = Literal["higher", "lower", "same", "error"]
EXPECTED: tuple[Expectation, ...] = get_args(Expectation)


@dataclass(frozen=True)
class LabPrediction:
    """What the learner is asked before the lab runs.

    Args:
        ask: the question.
        answers: the answers to choose from.
        claim: the claim whose effect tells which answer came true, from 0.
        bounds: rising numbers between the answers, in the unit of that claim's effect.
    """

    ask: str
    answers: tuple[str, ...]
    claim: int
    bounds: tuple[float, ...]


@dataclass(frozen=True)
class _LabPicture:
    """The picture that the lab shows.

    Args:
        kind: `accuracy`, `cost`, `curves`, `numbers`, `images` or `scores`.
        arms: the arms that it shows; empty for all.
        text: the caption.
    """

    kind: str
    arms: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class LabExperiment:
    """An experiment of a lab.

    Args:
        experiment: the recipes, seeds and data to train.
        optional: whether the lab continues without it where its dataset is not there.
    """

    experiment: ExperimentFile
    optional: bool = False

    @property
    def dataset(self) -> str:
        """The name of its dataset."""
        return self.experiment.dataset or DEFAULT_DATASET

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that each of its recipes is trained with."""
        asked = self.experiment.seeds
        return (
            tuple(range(asked)) if isinstance(asked, int) else tuple(range(DEFAULT_SEEDS) if asked is None else asked)
        )

    @property
    def quick(self) -> LabExperiment:
        """The experiment with two of its seeds; itself where it has no more."""
        if len(self.seeds) <= QUICK_SEEDS:
            return self
        return replace(self, experiment=replace(self.experiment, seeds=list(self.seeds[:QUICK_SEEDS])))


@dataclass(frozen=True)
class LabCode:
    """Python that a lab runs as it stands.

    Args:
        name: the name of its arm.
        code: the text of the program.
        dataset: the name of the dataset that is `data` in the code.
    """

    name: str
    code: str
    dataset: str = DEFAULT_DATASET


@dataclass(frozen=True)
class Claim:
    """A statement that the lab judges.

    Args:
        says: the claim in a sentence.
        arm: the arm that it is about.
        expected: how its number compares with the other one, or `error`.
        measure: the number that is compared; empty where an error is expected.
        than: the arm or the number to compare with; None where an error is expected.
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
    """A lab, as its file describes it.

    Args:
        path: the file.
        title: a few words.
        question: one or more paragraphs.
        explanation: what to make of the results, whatever they are.
        next: one thing to try.
        claims: the statements to judge.
        picture: the chart on the page.
        number: the place in the list; None for a lab of one's own.
        course: what a course or a book says; None for nothing.
        predict: what the learner is asked first; None for nothing.
        seconds: how long all of it takes on two cores, about; None where nobody has said.
        experiments: what recipes train.
        codes: what Python code trains.
        stand_in: what that code works on in a lab about scores; None in others.
    """

    path: Path
    title: str
    question: str
    explanation: str
    next: str
    claims: tuple[Claim, ...]
    picture: _LabPicture
    number: int | None = None
    course: str | None = None
    predict: LabPrediction | None = None
    seconds: float | None = None
    experiments: tuple[LabExperiment, ...] = ()
    codes: tuple[LabCode, ...] = ()
    stand_in: StandIn | None = None

    @classmethod
    def read(cls, path: Path) -> Lab:
        """The lab in a TOML file.

        Raises:
            RecipeError: the file is missing, is not TOML, or a key or a value makes no sense; with file and line.
        """
        table = _LAB.read(path)
        experiments = tuple(_experiment(one) for one in table.get("experiment", ()))
        codes = tuple(LabCode(**one) for one in table.get("code", ()))
        stand_in = StandIn.of(table.get("stand_in"))
        claims = tuple(_claim(one, scores=stand_in is not None) for one in table.get("claim", ()))
        for key, described in (("experiment", experiments or codes), ("claim", claims)):
            if not described:
                raise RecipeError(f"{path}: a lab needs a [[{key}]]. docs/labs-format.md shows its form.")
        if stand_in is not None and (experiments or not codes):
            raise RecipeError(f"{path}: a lab with a [stand_in] has [[code]], and no [[experiment]].")
        predict = _prediction(table["predict"], len(claims)) if "predict" in table else None
        texts = {
            name: table[name]
            for name in ("title", "question", "explanation", "next", "number", "course", "seconds")
            if name in table
        }
        return cls(
            path=path,
            **texts,
            claims=claims,
            picture=_LabPicture(**table["picture"]),
            predict=predict,
            experiments=experiments,
            codes=codes,
            stand_in=stand_in,
        )

    @classmethod
    def all(cls) -> tuple[Lab, ...]:
        """The labs that come with Fitting Room, in the order of their numbers."""
        return tuple(cls.read(path) for path in sorted(TEXTS.glob("*.toml")))

    @classmethod
    def find(cls, name: str | int | Path) -> Lab:
        """The lab with a number or a name, or that in a TOML file.

        Raises:
            UnknownNameError: the name is unknown; the message names the nearest.
            RecipeError: the file is missing, or makes no sense.
        """
        if str(name).endswith(".toml"):
            return cls.read(Path(name))  # type: ignore[arg-type]
        known = {key: one for one in cls.all() for key in (str(one.number), one.name)}
        if str(name) not in known:
            raise UnknownNameError("lab", str(name), known)
        return known[str(name)]

    @property
    def quick(self) -> Lab:
        """The lab with two seeds where it has more; itself where it has not."""
        stand_in = None if self.stand_in is None else self.stand_in.with_seeds(QUICK_SEEDS)
        return replace(self, experiments=tuple(one.quick for one in self.experiments), stand_in=stand_in)

    @property
    def name(self) -> str:
        """The file's name without its ending and without a number in front."""
        return self.path.stem.lstrip("0123456789").lstrip("-") or self.path.stem


def _experiment(table: Table) -> LabExperiment:
    return LabExperiment(ExperimentFile.of(table), table.get("optional", False))


def _claim(table: Table, *, scores: bool) -> Claim:
    if table["expected"] == "error":
        return Claim(table["says"], table["arm"], "error")
    for name in ("measure", "than"):
        with table.at():
            if name not in table:
                raise RecipeError(f"a claim has no {name}: expected {_CLAIM.keys[name].expected}.")
    with table.at("measure"):
        check_measure(table["measure"], scores=scores)
    within = float(table.get("within", 0.0))
    with table.at("within"):
        if (table["expected"] == "same") != ("within" in table) or within < 0:
            raise RecipeError(
                f"within = {table.get('within')!r} beside expected = {table['expected']!r}: expected a number, 0 or "
                "above, for 'same', and none for the others."
            )
    return Claim(**{**table, "within": within})


def _prediction(table: Table, claims: int) -> LabPrediction:
    answers, number, bounds = table.get("answers", ()), table["claim"], table["bounds"]
    with table.at("claim"):
        if not 1 <= number <= claims:
            raise RecipeError(f"claim = {number}: expected the number of a claim, 1 to {claims}.")
    with table.at("bounds"):
        numbers = [one for one in bounds if isinstance(one, int | float) and not isinstance(one, bool)]
        rising = len(numbers) == len(bounds) and sorted(set(numbers)) == numbers
        if len(answers) < 2 or len(bounds) != len(answers) - 1 or not rising:
            raise RecipeError(
                f"bounds = {bounds!r} between {len(answers)} answers: expected two answers or more, and one rising "
                "number fewer than there are answers."
            )
    return LabPrediction(table["ask"], answers, number - 1, tuple(map(float, numbers)))


def _text(key: str, value: str) -> str:
    if not value.strip():
        raise RecipeError(f"{key} is empty: expected a text.")
    return value.strip()


def _paragraphs(key: str, value: str) -> str:
    """Paragraphs with an empty line between them, each a single line, however the file breaks them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", _text(key, value)))


def _texts(key: str, values: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(one, str) for one in values):
        raise RecipeError(f"{key} = {values!r}: expected a list of texts.")
    return tuple(values)


def _one_of(what: str, names: Collection[str]) -> Key:
    def check(key: str, value: str) -> str:
        if _text(key, value) not in names:
            raise UnknownNameError(what, value, names)
        return value.strip()

    return Key(str, f"one of {', '.join(names)}", check, required=True)


_PROSE = Key(str, "a text", _paragraphs, required=True)
_LINE = Key(str, "a text", _text, required=True)
_NAMES = Key(list, "a list of texts", _texts)

_CLAIM = Form(
    "a claim",
    {
        "says": _PROSE,
        "arm": _LINE,
        "expected": _one_of("expectation", EXPECTED),
        "measure": replace(_one_of("measure", MEASURES), required=False),
        "than": Key((str, int, float), "the name of an arm, or a number"),
        "within": Key((int, float), "a number, 0 or above"),
    },
)
_LAB = Form(
    "a lab",
    {
        "title": _PROSE,
        "number": Key(int, "a whole number"),
        "seconds": Key((int, float), "a number of seconds"),
        "question": _PROSE,
        "course": replace(_PROSE, required=False),
        "explanation": _PROSE,
        "next": _PROSE,
        "predict": Key(
            Form(
                "a prediction",
                {
                    "ask": _PROSE,
                    "answers": _NAMES,
                    "claim": Key(int, "the number of a claim, from 1", required=True),
                    "bounds": Key(list, "rising numbers between the answers", required=True),
                },
            ),
            "a table [predict]",
        ),
        "picture": Key(
            Form(
                "a picture",
                {
                    "kind": _one_of("kind of picture", PICTURES),
                    "arms": _NAMES,
                    "text": Key(str, "a text"),
                },
            ),
            "a table [picture]",
            required=True,
        ),
        "experiment": Key(
            Form("an experiment", {**EXPERIMENT_FORM.keys, "optional": Key(bool, "true or false")}), many=True
        ),
        "code": Key(
            Form(
                "code",
                {
                    "name": _LINE,
                    "code": Key(str, "a text", lambda key, value: f"{_text(key, value)}\n", required=True),
                    "dataset": Key(str, "the name of a dataset"),
                },
            ),
            many=True,
        ),
        "stand_in": Key(STAND_IN_FORM, "a table [stand_in]"),
        "claim": Key(_CLAIM, many=True),
    },
)
