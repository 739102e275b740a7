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

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fittingroom.errors import InputError, RecipeError, UnknownNameError
from fittingroom.recipes.files import read_toml
from fittingroom.recipes.modelfile import parse_model_setting
from fittingroom.recipes.named import NAMED, find_recipe
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import check_setting

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
    text, stored = read_toml(path, "experiment")
    lines = _Lines(path, text)
    for key in stored:
        with lines.named(key):
            if key not in KEYS:
                raise UnknownNameError("key of an experiment", key, KEYS)
    for table in ("set", "vary"):
        with lines.named(table):
            _check(table, stored.get(table, {}), dict, "a table, for example [vary] and below it hidden = [128, 512]")
    settings = {key: _setting(lines, key, value) for key, value in stored.get("set", {}).items()}
    with lines.named("recipe"):
        recipes = [_recipe(path.parent, name) for name in _names(stored.get("recipe", "course"))]
    with lines.named("set"):
        changed = tuple(recipe.changed(**settings) for recipe in recipes)
    return PlanFile(
        dataset=_value(lines, stored, "dataset", str, "the name of a dataset, for example 'digits'"),
        recipes=changed,
        vary={key: _values(lines, key, values) for key, values in stored.get("vary", {}).items()},
        seeds=_value(lines, stored, "seeds", (int, list), "how many seeds, such as 5, or which, such as [3, 7, 11]"),
        validation=_value(
            lines, stored, "validation", (int, float), "a number of images such as 5000, or a fraction such as 0.1"
        ),
    )


@dataclass(frozen=True)
class _Lines:
    """Where things stand in the file."""

    path: Path
    text: str

    @contextmanager
    def named(self, key: str, table: str = "") -> Iterator[None]:
        """Puts file and line in front of the message of an error."""
        try:
            yield
        except InputError as error:
            raise RecipeError(f"{self.path}, line {self._of(key, table)}: {error}") from error

    def _of(self, key: str, table: str) -> int:
        """The number of the line that sets a key, or begins a table, counted from 1."""
        current = ""
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := re.match(r"\s*\[+\s*[\"']?([^\"'\].]+)", line):
                current = header[1].strip()
                if not table and current == key:
                    return number
            pattern = rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]"
            dotted = rf"\s*{re.escape(table)}\s*\.\s*[\"']?{re.escape(key)}[\"']?\s*="
            if (current == table and re.match(pattern, line)) or (table and re.match(dotted, line)):
                return number
        return 1


def _check(key: str, value: Any, kind: type | tuple[type, ...], expected: str) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RecipeError(f"{key} = {value!r}: expected {expected}.")


def _value(lines: _Lines, stored: Mapping[str, Any], key: str, kind: type | tuple[type, ...], expected: str) -> Any:
    if key not in stored:
        return None
    with lines.named(key):
        _check(key, stored[key], kind, expected)
    return stored[key]


def _names(value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"recipe = {value!r}: expected a name or a list of them, for example ['linear', 'course'].")
    return names


def _recipe(folder: Path, name: str) -> Recipe:
    return find_recipe(name if name in NAMED or not name.endswith(".toml") else str(folder / name))


def _setting(lines: _Lines, key: str, value: Any) -> Any:
    with lines.named(key, "set"):
        return _placed(lines, key)(check_setting(key, value))


def _values(lines: _Lines, key: str, values: Any) -> list[Any]:
    with lines.named(key, "vary"):
        if not isinstance(values, list) or not values:
            raise RecipeError(f"{key} = {values!r}: expected a list of values to vary, for example [128, 512].")
        return [_placed(lines, key)(check_setting(key, value)) for value in values]


def _placed(lines: _Lines, key: str) -> Callable[[Any], Any]:
    """Makes a relative path in `model` count from the folder of the experiment's file."""

    def placed(value: Any) -> Any:
        if key != "model" or value is None:
            return value
        model = parse_model_setting(value)
        return f"{lines.path.parent / model.path}:{model.function}"

    return placed
