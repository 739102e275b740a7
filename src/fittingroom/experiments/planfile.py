"""An experiment as a TOML file.

    dataset = "fashion-mnist"
    recipe = "course"            # or several, ["linear", "course"]; a name, or a file beside this one
    seeds = 5                    # how many, or which: [3, 7, 11]
    validation = 5000            # images, or a fraction

    [set]                        # the same for all recipes
    epochs = 3

    [vary]                       # every combination of these
    hidden = [128, [512, 256]]   # one layer; two layers
    batch_size = [32, 128]

All keys are optional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.recipes.modelfile import parse_model_setting
from fittingroom.recipes.named import NAMED, find_recipe
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import check_setting
from fittingroom.recipes.toml import Place, TomlFile, read_toml

KEYS = ("dataset", "recipe", "seeds", "validation", "set", "vary")


@dataclass(frozen=True)
class PlanFile:
    """What the file asks for; None and empty for what it leaves out.

    Args:
        dataset: its name.
        recipes: those to begin with, `set` already done.
        vary: key of a recipe -> the values that it takes.
        seeds: how many, or which.
        validation: images to hold out, or the fraction of them.
    """

    dataset: str | None = None
    recipes: tuple[Recipe, ...] = ()
    vary: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: int | list[int] | None = None
    validation: float | None = None


def read_plan(path: Path) -> PlanFile:
    """The experiment in a TOML file.

    Raises:
        RecipeError: the file is missing, is no TOML, or has a key or a value that makes no sense; with file and line.
    """
    file = read_toml(path, "experiment")
    return plan_of(file, file.content)


def plan_of(file: TomlFile, stored: Mapping[str, Any], place: Place = (), others: Sequence[str] = ()) -> PlanFile:
    """The experiment that a file, or a table of it, asks for.

    Args:
        file: the file.
        stored: the table.
        place: where in the file the table stands.
        others: keys that it may have besides those of an experiment.

    Raises:
        RecipeError: a key or a value makes no sense; with file and line.
    """
    section = _Section(file, stored, place)
    for key in stored:
        with section.named(key):
            if key not in (*KEYS, *others):
                raise UnknownNameError("key of an experiment", key, (*KEYS, *others))
    for table in ("set", "vary"):
        with section.named(table):
            _check(table, stored.get(table, {}), dict, "a table, for example [vary] and below it hidden = [128, 512]")
    settings = {key: section.setting(key, value) for key, value in stored.get("set", {}).items()}
    with section.named("recipe"):
        recipes = [_recipe(file.path.parent, name) for name in _names(stored.get("recipe", "course"))]
    with section.named("set"):
        changed = tuple(recipe.changed(**settings) for recipe in recipes)
    return PlanFile(
        dataset=section.value("dataset", str, "the name of a dataset, for example 'digits'"),
        recipes=changed,
        vary={key: section.values(key, values) for key, values in stored.get("vary", {}).items()},
        seeds=section.value("seeds", (int, list), "how many seeds, such as 5, or which, such as [3, 7, 11]"),
        validation=section.value(
            "validation", (int, float), "a number of images such as 5000, or a fraction such as 0.1"
        ),
    )


@dataclass(frozen=True)
class _Section:
    """A table of a file.

    Args:
        file: the file.
        stored: what the table says.
        place: where it stands.
    """

    file: TomlFile
    stored: Mapping[str, Any]
    place: Place

    def named(self, *keys: str) -> AbstractContextManager[None]:
        """Puts file and line in front of the message of an error about a key."""
        return self.file.named(*self.place, *keys)

    def value(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        """The checked value of a key; None where it is left out."""
        if key not in self.stored:
            return None
        with self.named(key):
            _check(key, self.stored[key], kind, expected)
        return self.stored[key]

    def setting(self, key: str, value: Any) -> Any:
        """The checked value of a key in `set`."""
        with self.named("set", key):
            return self._placed(key, check_setting(key, value))

    def values(self, key: str, values: Any) -> list[Any]:
        """The checked values of a key in `vary`."""
        with self.named("vary", key):
            if not isinstance(values, list) or not values:
                raise RecipeError(f"{key} = {values!r}: expected a list of values to vary, for example [128, 512].")
            return [self._placed(key, check_setting(key, value)) for value in values]

    def _placed(self, key: str, value: Any) -> Any:
        """A relative path in `model` counts from the folder of the experiment's file."""
        if key != "model" or value is None:
            return value
        model = parse_model_setting(value)
        return f"{self.file.path.parent / model.path}:{model.function}"


def _check(key: str, value: Any, kind: type | tuple[type, ...], expected: str) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RecipeError(f"{key} = {value!r}: expected {expected}.")


def _names(value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"recipe = {value!r}: expected a name or a list of them, for example ['linear', 'course'].")
    return names


def _recipe(folder: Path, name: str) -> Recipe:
    return find_recipe(name if name in NAMED or not name.endswith(".toml") else str(folder / name))
