"""A benchmark as a TOML file; only datasets and methods are required.

    datasets = ["digits", "mnist-5k", {name = "fashion-mnist", train = 10000, label = "fashion-10k"}]
    methods = ["course", "sklearn:knn", {recipe = "course", epochs = 15, name = "course, 15 epochs"}]
    seeds = 5                    # how many, or which: [3, 7, 11]
    trials = 1                   # settings of each method to try on each dataset; validation chooses
    time_limit = 600             # seconds of a cell
    validation = 5000            # images of each dataset, or a fraction

A dataset is a name or path that `fittingroom.load` knows, or a table of its arguments and a label. A method is a
recipe, its TOML file beside this one, or a table that names a recipe and the settings to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.errors import InputError, RecipeError, UnknownNameError
from fittingroom.recipes.named import NAMED, find_recipe
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.toml import Form, Key, Table

DATASET_KEYS = (
    "name",
    "label",
    "validation",
    "train",
    "split_seed",
    "data_dir",
    "image_size",
    "aspect",
    "color_mode",
    "image_column",
    "label_column",
)
"""What may be said of a dataset: the arguments of `load`, and what tables call it."""

STANDING = Path(__file__).with_name("standing.toml")
"""The file of the standing benchmark."""


@dataclass(frozen=True)
class BenchmarkFile:
    """What a file asks for; None for what it leaves out.

    Args:
        name: the name of the file, without its ending.
        datasets: each as `benchmark` takes it.
        methods: the recipe of each.
        seeds: how many, or which.
        trials: settings of each method to try.
        time_limit: seconds of a cell.
        validation: images of each dataset to hold out, or the fraction of them.
    """

    name: str
    datasets: tuple[Any, ...]
    methods: tuple[Recipe, ...]
    seeds: int | list[int] | None = None
    trials: int | None = None
    time_limit: float | None = None
    validation: float | None = None

    @classmethod
    def read(cls, path: Path) -> BenchmarkFile:
        """The benchmark in a TOML file.

        Raises:
            RecipeError: the file is missing, is not TOML, or a key or a value makes no sense; with file and line.
        """
        table = _FORM.read(path)
        with table.at("methods"):
            methods = tuple(_method(table, one) for one in table["methods"])
        options = {key: table.get(key) for key in ("seeds", "trials", "time_limit", "validation")}
        return cls(path.stem, tuple(table["datasets"]), methods, **options)


def check_entry(entry: Mapping[str, Any]) -> None:
    """Raises InputError where a table about a dataset has an unknown key, or lacks the name."""
    for key in entry:
        if key not in DATASET_KEYS:
            raise UnknownNameError("key of a dataset", key, DATASET_KEYS)
    if "name" not in entry:
        raise InputError(f"a dataset of a benchmark needs its name: {{'name': 'digits'}}, not {dict(entry)!r}.")


def changed_recipe(settings: Mapping[str, Any], folder: Path | None = None) -> Recipe:
    """The recipe that a table names, with the settings beside it.

    Args:
        settings: `recipe`, and the settings to change.
        folder: from which the path of a recipe's file counts; None for the current one.

    Raises:
        InputError: the recipe or a setting is unknown, or makes no sense.
    """
    name = settings["recipe"]
    if not isinstance(name, str):
        raise RecipeError(f"recipe = {name!r}: expected the name of a recipe, or its TOML file.")
    others = {key: value for key, value in settings.items() if key != "recipe"}
    return _found(folder, name).changed(**others)


def _method(table: Table, given: Any) -> Recipe:
    if isinstance(given, str):
        return _found(table.folder, given)
    if isinstance(given, Mapping) and "recipe" in given:
        return changed_recipe(given, table.folder)
    raise RecipeError(f"{given!r} is not a method: expected {_METHODS}.")


def _found(folder: Path | None, name: str) -> Recipe:
    beside = folder is not None and name.endswith(".toml") and name not in NAMED
    return find_recipe(str(folder / name) if beside and folder is not None else name)


def _check_datasets(key: str, value: Any) -> list[Any]:
    each = value if isinstance(value, list) else [value]
    if not each or not all(isinstance(one, str | dict) for one in each):
        raise RecipeError(f"{key} = {value!r}: expected {_DATASETS}.")
    for one in each:
        if isinstance(one, dict):
            check_entry(one)
    return each


def _check_methods(key: str, value: Any) -> list[Any]:
    each = value if isinstance(value, list) else [value]
    if not each:
        raise RecipeError(f"{key} = []: expected {_METHODS}.")
    return each


_DATASETS = "names, or tables such as {name = 'fashion-mnist', train = 10000}: datasets = ['digits', 'mnist-5k']"
_METHODS = "names, or tables such as {recipe = 'course', epochs = 15}: methods = ['course', 'sklearn:knn']"
_FORM = Form(
    "a benchmark",
    {
        "datasets": Key((str, list), _DATASETS, convert=_check_datasets, required=True),
        "methods": Key((str, list), _METHODS, convert=_check_methods, required=True),
        "seeds": Key((int, list), "how many seeds, such as 5, or which, such as [3, 7, 11]"),
        "trials": Key(int, "a whole number, the settings to try of each method"),
        "time_limit": Key((int, float), "seconds, such as 600"),
        "validation": Key((int, float), "a number of images such as 5000, or a fraction such as 0.1"),
    },
)
