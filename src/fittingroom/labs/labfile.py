'''A lab as a TOML file.

docs/labs-format.md describes it for teachers. This is all that it can say:

title = "More neurons"
number = 2                    # its place in the list; left out for a lab of one's own
question = """..."""          # paragraphs, with an empty line between them
course = """..."""            # what a course or a book says; may be left out
explanation = """..."""
next = """..."""              # one thing to try

[predict]                     # may be left out
ask = "What happens to the accuracy?"
answers = ["It falls", "It stays, give or take half a point", "It rises"]
claim = 1                     # the claim whose effect tells which answer came true
bounds = [-0.5, 0.5]          # between the answers, in the unit of that effect

[picture]
kind = "accuracy"             # or "cost", "curves", "numbers", "images"
arms = ["hidden=128"]         # may be left out: all
text = "..."

[[experiment]]                # what `fittingroom experiment` takes, as often as needed
dataset = "fashion-mnist"
recipe = "course"
seeds = 5
optional = false              # whether the lab goes on without it where its dataset cannot be had
vary.hidden = [128, 512]

[[code]]                      # Python as a learner writes it, as often as needed
name = "without Flatten"
dataset = "fashion-mnist"     # `data` in the code
code = """..."""              # has `fr`, `keras`, `data` and `out`; makes `run`

[[claim]]                     # judged by what came out
says = "512 neurons are right more often than 128."
measure = "accuracy"          # see `measures.MEASURES`
arm = "hidden=512"
than = "hidden=128"           # another arm, or a number
expected = "higher"           # or "lower", "same", or "error", which needs neither measure nor `than`
within = 0.5                  # for "same", in the unit of the effect
'''

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.experiments.planfile import plan_of
from fittingroom.labs.lab_description import (
    DEFAULT_DATASET,
    EXPECTED,
    MEASURES,
    PICTURES,
    Claim,
    Lab,
    LabCode,
    LabExperiment,
    Picture,
    Prediction,
)
from fittingroom.recipes.toml import Place, TomlFile, read_toml

_TEXTS = ("title", "question", "explanation", "next")
_KEYS = (*_TEXTS, "number", "course", "predict", "picture", "experiment", "code", "claim")


def read_lab(path: Path) -> Lab:
    """The lab in a TOML file.

    Raises:
        RecipeError: the file is missing, is no TOML, or has a key or a value that makes no sense; with file and line.
    """
    file = read_toml(path, "lab")
    top = _Table(file, file.content, (), _KEYS, "a lab")
    experiments = tuple(_experiment(file, one, place) for one, place in top.tables("experiment"))
    codes = tuple(
        _code(_Table(file, one, place, ("name", "code", "dataset"), "code")) for one, place in top.tables("code")
    )
    claims = tuple(_claim(file, one, place) for one, place in top.tables("claim"))
    for key, found in (("experiment", experiments or codes), ("claim", claims)):
        if not found:
            raise RecipeError(f"{path}: a lab needs a [[{key}]]. docs/labs-format.md shows its form.")
    return Lab(
        path=path,
        **{name: top.prose(name) for name in _TEXTS},
        claims=claims,
        picture=_picture(file, top),
        number=top.optional("number", int, "a whole number"),
        course=top.prose("course") if "course" in file.content else None,
        predict=_prediction(file, top, len(claims)),
        experiments=experiments,
        codes=codes,
    )


@dataclass(frozen=True)
class _Table:
    """A table of the file. Its keys are checked when it is made.

    Args:
        file: the file.
        stored: what it says.
        place: where it stands.
        keys: those that it may have.
        what: what it is called in messages.
    """

    file: TomlFile
    stored: Mapping[str, Any]
    place: Place
    keys: Sequence[str]
    what: str

    def __post_init__(self) -> None:
        for key in self.stored:
            with self.file.named(*self.place, key):
                if key not in self.keys:
                    raise UnknownNameError(f"key of {self.what}", key, self.keys)

    def optional(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        """The value of a key; None where it is left out."""
        value = self.stored.get(key)
        with self.file.named(*self.place, key):
            if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
                raise RecipeError(f"{key} = {value!r}: expected {expected}.")
        return value

    def needed(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        """The value of a key that must be there."""
        value = self.optional(key, kind, expected)
        with self.file.named(*self.place):
            if value is None:
                raise RecipeError(f"{self.what} has no {key}: expected {expected}.")
        return value

    def text(self, key: str) -> str:
        """The text of a key that must be there, without space around it."""
        value: str = self.needed(key, str, "a text").strip()
        with self.file.named(*self.place, key):
            if not value:
                raise RecipeError(f"{key} is empty: expected a text.")
        return value

    def prose(self, key: str) -> str:
        """The text of a key that must be there: a line for each paragraph, however its lines were broken."""
        return _paragraphs(self.text(key))

    def tables(self, key: str) -> list[tuple[Mapping[str, Any], Place]]:
        """Each table of an array of tables, and where it stands."""
        found = self.optional(key, list, f"tables that begin with [[{key}]]") or []
        with self.file.named(key):
            if not all(isinstance(one, dict) for one in found):
                raise RecipeError(f"{key}: expected tables that begin with [[{key}]].")
        return [(one, (*self.place, key, index)) for index, one in enumerate(found)]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where it is left out."""
        found = self.optional(key, list, "a list of texts") or []
        with self.file.named(*self.place, key):
            if not all(isinstance(one, str) for one in found):
                raise RecipeError(f"{key} = {found!r}: expected a list of texts.")
        return tuple(found)


def _paragraphs(text: str) -> str:
    """Paragraphs with an empty line between them, each a single line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip()))


def _experiment(file: TomlFile, stored: Mapping[str, Any], place: Place) -> LabExperiment:
    plan = plan_of(file, stored, place, others=("optional",))
    with file.named(*place, "optional"):
        optional = stored.get("optional", False)
        if not isinstance(optional, bool):
            raise RecipeError(f"optional = {optional!r}: expected true or false.")
    return LabExperiment(plan, optional)


def _code(table: _Table) -> LabCode:
    dataset = table.optional("dataset", str, "the name of a dataset")
    return LabCode(table.text("name"), f"{table.text('code')}\n", dataset or DEFAULT_DATASET)


def _claim(file: TomlFile, stored: Mapping[str, Any], place: Place) -> Claim:
    table = _Table(file, stored, place, ("says", "measure", "arm", "than", "expected", "within"), "a claim")
    says, arm, written = table.prose("says"), table.text("arm"), table.text("expected")
    expected = next((one for one in EXPECTED if one == written), None)
    with file.named(*place, "expected"):
        if expected is None:
            raise UnknownNameError("expectation", written, EXPECTED)
    if expected == "error":
        return Claim(says, arm, "error")
    measure = table.text("measure")
    with file.named(*place, "measure"):
        if measure not in MEASURES:
            raise UnknownNameError("measure", measure, MEASURES)
    than = table.needed("than", (str, int, float), "the name of an arm, or a number")
    within = table.optional("within", (int, float), "a number, 0 or above") or 0.0
    with file.named(*place, "within"):
        if (expected == "same") != ("within" in stored) or within < 0:
            raise RecipeError(
                f"within = {stored.get('within')!r} beside expected = {expected!r}: expected a number, 0 or above, for "
                "'same', and none for the others."
            )
    return Claim(says, arm, expected, measure, than, float(within))


def _picture(file: TomlFile, top: _Table) -> Picture:
    stored = top.needed("picture", dict, "a table [picture]")
    table = _Table(file, stored, ("picture",), ("kind", "arms", "text"), "a picture")
    kind = table.text("kind")
    with file.named("picture", "kind"):
        if kind not in PICTURES:
            raise UnknownNameError("kind of picture", kind, PICTURES)
    return Picture(kind, table.texts("arms"), table.optional("text", str, "a text") or "")


def _prediction(file: TomlFile, top: _Table, claims: int) -> Prediction | None:
    stored = top.optional("predict", dict, "a table [predict]")
    if stored is None:
        return None
    table = _Table(file, stored, ("predict",), ("ask", "answers", "claim", "bounds"), "a prediction")
    answers, number = table.texts("answers"), table.needed("claim", int, "the number of a claim, from 1")
    bounds = table.needed("bounds", list, "rising numbers between the answers")
    with file.named("predict", "claim"):
        if not 1 <= number <= claims:
            raise RecipeError(f"claim = {number}: expected the number of a claim, 1 to {claims}.")
    with file.named("predict", "bounds"):
        numbers = [one for one in bounds if isinstance(one, int | float) and not isinstance(one, bool)]
        if (
            len(answers) < 2
            or len(numbers) != len(answers) - 1
            or len(bounds) != len(numbers)
            or sorted(set(numbers)) != numbers
        ):
            raise RecipeError(
                f"bounds = {bounds!r} between {len(answers)} answers: expected two answers or more, and one rising "
                "number fewer than there are answers."
            )
    return Prediction(table.prose("ask"), answers, number - 1, tuple(map(float, numbers)))
