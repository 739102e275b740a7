"""A search as a TOML file: an experiment's form, with ranges in place of the values to vary.

    dataset = "fashion-mnist"
    recipe = "course"
    seeds = 3                    # of each trial
    trials = 20
    objective = "accuracy"       # or "loss": what is wanted on validation

    [set]                        # the same for all trials
    epochs = 5

    [search]
    learning_rate = {low = 1e-4, high = 1e-2, log = true}
    hidden = {choices = [128, 256, [512, 256]]}
    batch_size = {low = 16, high = 128, step = 16}

All keys but [search] are optional.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fittingroom.errors import InputError, RecipeError, UnknownNameError
from fittingroom.experiments.plan import setting_text
from fittingroom.experiments.planfile import PlanFile, plan_of
from fittingroom.recipes.modelfile import parse_model_setting
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import check_setting
from fittingroom.recipes.toml import TomlFile, read_toml

DEFAULT_TRIALS = 20
MOST_TRIALS = 10_000
OBJECTIVES = ("accuracy", "loss")

_FORM = "{low = 1e-4, high = 1e-2, log = true}, {low = 16, high = 128, step = 16} or {choices = [128, 256]}"
_RANGE_KEYS = ("low", "high", "log", "step", "choices")


@dataclass(frozen=True)
class Range:
    """Numbers to propose from.

    Args:
        low: the smallest.
        high: the largest.
        log: whether as many are proposed from 0.001 to 0.01 as from 0.01 to 0.1.
        step: what they are apart; None for any.
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
        values: each by its text.
    """

    values: Mapping[str, Any]


@dataclass(frozen=True)
class SearchFile:
    """What the file asks for; None for what it leaves out.

    Args:
        plan: what it has in common with an experiment; a single recipe.
        space: key of a recipe -> what to propose.
        trials: how many to try.
        objective: what is wanted on validation: high `accuracy` or low `loss`.
    """

    plan: PlanFile
    space: Mapping[str, Range | Choices]
    trials: int = DEFAULT_TRIALS
    objective: Literal["accuracy", "loss"] = "accuracy"

    @property
    def recipe(self) -> Recipe:
        """What all trials begin with."""
        return self.plan.recipes[0]

    def digest(self, data: str, seeds: tuple[int, ...]) -> str:
        """16 hexadecimal digits for all that decides which trials come; their number does not."""
        space = {key: list(one.values) if isinstance(one, Choices) else asdict(one) for key, one in self.space.items()}
        facts = [self.recipe.digest(), data, seeds, self.objective, space]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def read_search(path: Path) -> SearchFile:
    """The search in a TOML file.

    Raises:
        RecipeError: the file is missing, is no TOML, or has a key or a value that makes no sense; with file and line.
    """
    file = read_toml(path, "search")
    stored = file.content
    if "vary" in stored:
        with file.named("vary"):
            raise RecipeError("[vary] in a search: its trials are proposed from [search]. Write ranges there.")
    plan = plan_of(file, stored, others=("trials", "objective", "search"))
    with file.named("recipe"):
        if len(plan.recipes) != 1:
            raise RecipeError(f"recipe: {len(plan.recipes)} of them; a search begins with one.")
    return SearchFile(plan, _space(file), _trials(file), _objective(file))


def _trials(file: TomlFile) -> int:
    with file.named("trials"):
        return checked_trials(file.content.get("trials", DEFAULT_TRIALS))


def checked_trials(value: Any) -> int:
    """A number of trials.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_TRIALS:
        raise InputError(f"trials = {value!r}: expected a whole number from 1 to {MOST_TRIALS:,}.")
    return value


def _objective(file: TomlFile) -> Literal["accuracy", "loss"]:
    value = file.content.get("objective", "accuracy")
    with file.named("objective"):
        if value not in OBJECTIVES:
            raise UnknownNameError("objective", str(value), OBJECTIVES)
    return "loss" if value == "loss" else "accuracy"


def _space(file: TomlFile) -> dict[str, Range | Choices]:
    space = file.content.get("search", {})
    with file.named("search"):
        if not isinstance(space, dict) or not space:
            raise RecipeError(f"search = {space!r}: expected a table [search] with a line for each key: {_FORM}.")
    found = {}
    for key, stored in space.items():
        with file.named("search", key):
            found[key] = _proposals(file, key, stored)
    return found


def _proposals(file: TomlFile, key: str, stored: Any) -> Range | Choices:
    if not isinstance(stored, dict) or not ({"low", "high"} <= stored.keys() or "choices" in stored):
        raise RecipeError(f"{key} = {stored!r}: expected a range or choices: {_FORM}.")
    for name in stored:
        if name not in _RANGE_KEYS:
            raise UnknownNameError("key of a range", name, _RANGE_KEYS)
    if "choices" in stored:
        if len(stored) > 1:
            raise RecipeError(f"{key}: choices stand alone, without {', '.join(set(stored) - {'choices'})}.")
        return _choices(file, key, stored["choices"])
    return _range(key, stored)


def _choices(file: TomlFile, key: str, values: Any) -> Choices:
    if not isinstance(values, list) or len(values) < 2:
        raise RecipeError(f"{key}: choices = {values!r}: expected a list of two values or more, such as [128, 256].")
    checked = [_placed(file, key, check_setting(key, value)) for value in values]
    found = {setting_text(value): value for value in checked}
    if len(found) < len(checked):
        raise RecipeError(f"{key}: choices = {values!r}: a value is there twice.")
    return Choices(found)


def _placed(file: TomlFile, key: str, value: Any) -> Any:
    """A relative path in `model` counts from the folder of the file."""
    if key != "model" or value is None:
        return value
    model = parse_model_setting(value)
    return f"{file.path.parent / model.path}:{model.function}"


def _range(key: str, stored: Mapping[str, Any]) -> Range:
    low, high, log, step = stored["low"], stored["high"], stored.get("log", False), stored.get("step")
    for name, value in (("low", low), ("high", high), ("step", 1 if step is None else step)):
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise RecipeError(f"{key}: {name} = {value!r}: expected a number.")
    if not isinstance(log, bool):
        raise RecipeError(f"{key}: log = {log!r}: expected true or false.")
    whole = not isinstance(check_setting(key, low), float)
    check_setting(key, high)
    if not low < high:
        raise RecipeError(f"{key}: low = {low}, high = {high}: expected low below high.")
    if log and (low <= 0 or step is not None):
        raise RecipeError(f"{key}: log = true: expected low above 0, and no step.")
    if step is not None and (step <= 0 or not math.isclose((high - low) / step, round((high - low) / step))):
        raise RecipeError(f"{key}: step = {step}: expected one that leads from {low} to {high}.")
    if whole and isinstance(step, float):
        raise RecipeError(f"{key}: step = {step}: expected a whole number.")
    return Range(low, high, log, step, whole)
