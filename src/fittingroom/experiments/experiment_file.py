"""An experiment or a search as a TOML file. All keys are optional, but for [search] in a search.

    dataset = "fashion-mnist"
    recipe = "course"            # or several, ["linear", "course"]; a name, or a file beside this one
    seeds = 5                    # how many, or which: [3, 7, 11]
    validation = 5000            # images, or a fraction

    [set]                        # the same for all recipes
    epochs = 3

    [vary]                       # every combination of these
    hidden = [128, [512, 256]]   # one layer; two layers
    batch_size = [32, 128]

A search has a single recipe and, in place of [vary], ranges that its trials are proposed from:

    trials = 20
    objective = "accuracy"       # or "loss": what is best on validation

    [search]
    learning_rate = {low = 1e-4, high = 1e-2, log = true}
    hidden = {choices = [128, 256, [512, 256]]}
    batch_size = {low = 16, high = 128, step = 16}
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from fittingroom.errors import InputError, RecipeError, UnknownNameError
from fittingroom.experiments.plan import setting_text
from fittingroom.recipes.estimator_text import EstimatorText
from fittingroom.recipes.modelfile import ModelFile
from fittingroom.recipes.named import NAMED, find_recipe
from fittingroom.recipes.recipe import RECIPE_FORM, Recipe
from fittingroom.recipes.settings import Setting
from fittingroom.recipes.toml import Form, Key, Table
from fittingroom.text import word_list

DEFAULT_TRIALS = 20
MOST_TRIALS = 10_000

_RANGES = "{low = 1e-4, high = 1e-2, log = true}, {low = 16, high = 128, step = 16} or {choices = [128, 256]}"
_RANGE_KEYS = ("low", "high", "log", "step", "choices")


@dataclass(frozen=True)
class ExperimentFile:
    """What a file asks for; None and empty for what it leaves out.

    Args:
        dataset: the name of the dataset.
        recipes: the recipes to begin with, changed by `set`.
        vary: key of a recipe -> the values that it takes.
        seeds: how many, or which.
        validation: images to hold out, or the fraction of them.
    """

    dataset: str | None = None
    recipes: tuple[Recipe, ...] = ()
    vary: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: int | list[int] | None = None
    validation: float | None = None

    @classmethod
    def read(cls, path: Path) -> ExperimentFile:
        """The experiment in a TOML file.

        Raises:
            RecipeError: the file is missing, is not TOML, or a key or a value makes no sense; with file and line.
        """
        return cls.of(EXPERIMENT_FORM.read(path))

    @classmethod
    def of(cls, table: Table) -> ExperimentFile:
        """The experiment that a table asks for.

        Raises:
            RecipeError: a recipe is unknown, or its settings do not go together; with file and line.
        """
        with table.at("recipe"):
            recipes = [_recipe(table.folder, name) for name in table.get("recipe", ["course"])]
        settings = {key: _placed(table, key, value) for key, value in table.get("set", {}).items()}
        with table.at("set"):
            changed = tuple(recipe.changed(**settings) for recipe in recipes)
        return cls(
            dataset=table.get("dataset"),
            recipes=changed,
            vary={
                key: [_placed(table, key, value) for value in values] for key, values in table.get("vary", {}).items()
            },
            seeds=table.get("seeds"),
            validation=table.get("validation"),
        )


@dataclass(frozen=True)
class Range:
    """Numbers to propose from.

    Args:
        low: the smallest.
        high: the largest.
        log: whether as many are proposed from 0.001 to 0.01 as from 0.01 to 0.1.
        step: the distance between two of them; None for any.
        whole: whether they are whole numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False


@dataclass(frozen=True)
class Choices:
    """Values to propose from.

    Args:
        values: each value by its text, as `--vary` writes it.
    """

    values: Mapping[str, Any]


@dataclass(frozen=True)
class SearchFile:
    """What the file of a search asks for.

    Args:
        experiment: the dataset, the recipe (one), the seeds and the validation images.
        space: key of a recipe -> what to propose.
        trials: how many to try.
        objective: what decides on validation: a high `accuracy`, or a low `loss`.
    """

    experiment: ExperimentFile
    space: Mapping[str, Range | Choices]
    trials: int = DEFAULT_TRIALS
    objective: Literal["accuracy", "loss"] = "accuracy"

    @classmethod
    def read(cls, path: Path) -> SearchFile:
        """The search in a TOML file.

        Raises:
            RecipeError: the file is missing, is not TOML, or a key or a value makes no sense; with file and line.
        """
        table = _SEARCH_FORM.read(path)
        experiment = ExperimentFile.of(table)
        with table.at("recipe"):
            if len(experiment.recipes) != 1:
                raise RecipeError(f"recipe: {len(experiment.recipes)} recipes; a search begins with one.")
        with table.at("search"):
            if not table.get("search"):
                raise RecipeError(f"a search needs a table [search] with a line for each setting to search: {_RANGES}.")
        space = {key: _placed_choices(table, key, one) for key, one in table["search"].items()}
        trials, objective = table.get("trials", DEFAULT_TRIALS), table.get("objective", "accuracy")
        return cls(experiment, space, trials, objective)

    @property
    def recipe(self) -> Recipe:
        """What all trials begin with."""
        return self.experiment.recipes[0]

    def digest(self, data: str, seeds: tuple[int, ...]) -> str:
        """16 hexadecimal digits for all that decides which trials come; their number does not.

        Args:
            data: the digest of the data.
            seeds: the seeds of each trial.
        """
        space = {key: list(one.values) if isinstance(one, Choices) else asdict(one) for key, one in self.space.items()}
        facts = [self.recipe.digest(), data, seeds, self.objective, space]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def check_trials(key: str, value: Any) -> int:
    """A number of trials; `key` is what messages call it.

    Raises:
        InputError: it is not a whole number from 1 to `MOST_TRIALS`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_TRIALS:
        raise InputError(f"{key} = {value!r}: expected a whole number from 1 to {MOST_TRIALS:,}.")
    return value


def _check_names(key: str, value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not names or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"{key} = {value!r}: expected a name or a list of them, for example ['linear', 'course'].")
    return list(names)


def _check_values(key: str, values: Any) -> list[Any]:
    if not values:
        raise RecipeError(f"{key} = []: expected a list of values to vary, for example [128, 512].")
    return [Setting(key, value).value for value in values]


def _check_objective(key: str, value: str) -> str:
    if value not in {"accuracy", "loss"}:
        raise UnknownNameError(key, value, ("accuracy", "loss"))
    return value


def _check_proposals(key: str, content: Mapping[str, Any]) -> Range | Choices:
    if not ({"low", "high"} <= content.keys() or "choices" in content):
        raise RecipeError(f"{key} = {content!r}: expected a range or choices: {_RANGES}.")
    for name in content:
        if name not in _RANGE_KEYS:
            raise UnknownNameError("key of a range", name, _RANGE_KEYS)
    if "choices" not in content:
        return _range(key, content)
    if len(content) > 1:
        raise RecipeError(
            f"{key}: choices stand alone, without {word_list(name for name in content if name != 'choices')}."
        )
    values = content["choices"]
    if not isinstance(values, list) or len(values) < 2:
        raise RecipeError(f"{key}: choices = {values!r}: expected a list of two values or more, such as [128, 256].")
    return _choices(key, [Setting(key, value).value for value in values])


def _choices(key: str, values: Sequence[Any]) -> Choices:
    texts = [setting_text(value) for value in values]
    twice = next((text for text in texts if texts.count(text) > 1), None)
    if twice is not None:
        raise RecipeError(f"{key}: {twice} is among the choices twice. Remove one.")
    return Choices(dict(zip(texts, values, strict=True)))


def _range(key: str, content: Mapping[str, Any]) -> Range:
    low, high, log, step = content["low"], content["high"], content.get("log", False), content.get("step")
    for name, value in (("low", low), ("high", high), ("step", 1 if step is None else step)):
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise RecipeError(f"{key}: {name} = {value!r}: expected a number.")
    if not isinstance(log, bool):
        raise RecipeError(f"{key}: log = {log!r}: expected true or false.")
    whole = not isinstance(Setting(key, low).value, float)
    Setting(key, high)  # refuses what the key cannot hold
    if not low < high:
        raise RecipeError(f"{key}: low = {low}, high = {high}: expected low below high.")
    if log and (low <= 0 or step is not None):
        raise RecipeError(f"{key}: log = true: expected low above 0, and no step.")
    if step is not None and (step <= 0 or not math.isclose((high - low) / step, round((high - low) / step))):
        raise RecipeError(f"{key}: step = {step}: expected one that leads from {low} to {high}.")
    if whole and isinstance(step, float):
        raise RecipeError(f"{key}: step = {step}: expected a whole number.")
    return Range(low, high, log, step, whole)


def _recipe(folder: Path, name: str) -> Recipe:
    return find_recipe(name if name in NAMED or not name.endswith(".toml") else str(folder / name))


def _placed(table: Table, key: str, value: Any) -> Any:
    """A relative path in `model` or `estimator` counts from the folder of the file."""
    if value is None or key not in {"model", "estimator"}:
        return value
    return (ModelFile if key == "model" else EstimatorText).of(value).beside(table.folder).text


def _placed_choices(table: Table, key: str, one: Range | Choices) -> Range | Choices:
    if isinstance(one, Range):
        return one
    with table.at("search", key):
        return _choices(key, [_placed(table, key, value) for value in one.values.values()])


def _unknown_in_search(key: str) -> InputError:
    if key == "vary":
        return RecipeError("[vary] in a search: its trials are proposed from [search]. Write ranges there.")
    return UnknownNameError("key of a search", key, _SEARCH_KEYS)


_VARY_FORM = Form(
    "a recipe",
    dict.fromkeys(
        RECIPE_FORM.keys, Key(list, "a list of values to vary, for example [128, 512]", convert=_check_values)
    ),
    unknown=RECIPE_FORM.unknown,
)
_SPACE_FORM = Form(
    "a recipe",
    dict.fromkeys(RECIPE_FORM.keys, Key(dict, f"a range or choices: {_RANGES}", convert=_check_proposals)),
    unknown=RECIPE_FORM.unknown,
)
_COMMON_KEYS = {
    "dataset": Key(str, "the name of a dataset, for example 'digits'"),
    "recipe": Key((str, list), "a name or a list of them, for example ['linear', 'course']", convert=_check_names),
    "seeds": Key((int, list), "how many seeds, such as 5, or which, such as [3, 7, 11]"),
    "validation": Key((int, float), "a number of images such as 5000, or a fraction such as 0.1"),
    "set": Key(RECIPE_FORM, "a table, [set] and below it for example epochs = 3"),
}
_SEARCH_KEYS = {
    **_COMMON_KEYS,
    "trials": Key(convert=check_trials),
    "objective": Key(str, "'accuracy' or 'loss'", convert=_check_objective),
    "search": Key(_SPACE_FORM, f"a table [search] with a line for each setting to search: {_RANGES}"),
}

EXPERIMENT_FORM = Form(
    "an experiment",
    {**_COMMON_KEYS, "vary": Key(_VARY_FORM, "a table, [vary] and below it for example hidden = [128, 512]")},
)
"""The keys of an experiment, as a file or as a table in another one."""

_SEARCH_FORM = Form("a search", _SEARCH_KEYS, unknown=_unknown_in_search)
