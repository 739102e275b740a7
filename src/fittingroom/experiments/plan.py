"""The plan of an experiment: every combination of the settings that vary, with every seed.

A recipe with a seed is a cell: one training, known by an id that is the same on every machine and in every version.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from fittingroom.data.dataset import Dataset
from fittingroom.data.values import image_blocks
from fittingroom.errors import InputError, RecipeError
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import Setting

MOST_RECIPES = 10_000
_SYNTAX = (
    "KEY=VALUE,VALUE,... with a list in brackets, for example hidden=128,512 for two networks of one layer each, "
    "or hidden=128,[512,256],[] for one layer, two and none"
)

_LONGEST_NAME = 100  # as a recipe's name may be
_FORMAT = 1  # of experiment.json


@dataclass(frozen=True)
class Variant:
    """One of the recipes of an experiment.

    Args:
        recipe: the recipe, with a name that says what varies, such as `course hidden=512`.
        settings: the settings that vary: key -> its value as text.
    """

    recipe: Recipe
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The recipe's name, as tables show it."""
        return self.recipe.name

    @cached_property
    def digest(self) -> str:
        """The recipe's digest, which does not depend on its name."""
        return self.recipe.digest()


@dataclass(frozen=True)
class Cell:
    """One training: a recipe with a seed on some data.

    Args:
        variant: the recipe.
        seed: the seed of the training.
        data: the digest of the data, as the plan has it.
    """

    variant: Variant
    seed: int
    data: str

    @property
    def id(self) -> str:
        """Recipe, data and seed as one text; the same on every machine and in every version, whatever else is tried."""
        return f"{self.variant.digest}-{self.data}-{self.seed}"


@dataclass(frozen=True)
class ExperimentPlan:
    """What an experiment trains: each recipe with each seed.

    Args:
        dataset: the name of the dataset.
        data: 16 hexadecimal digits for the images and labels to train and validate on.
        load: the arguments that load it again, as `Dataset.arguments`.
        variants: the recipes.
        seeds: the seeds that each recipe is trained with.
    """

    dataset: str
    data: str
    load: Mapping[str, Any]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, dataset: Dataset, variants: Sequence[Variant], seeds: Sequence[int]) -> ExperimentPlan:
        """The plan of some recipes and seeds on a dataset."""
        return cls(dataset.name, _data_digest(dataset), dataset.arguments, tuple(variants), tuple(seeds))

    def of_variants(self, variants: Iterable[Variant]) -> ExperimentPlan:
        """The plan of other recipes with the same data and seeds."""
        return replace(self, variants=tuple(variants))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, recipe by recipe."""
        return tuple(Cell(variant, seed, self.data) for variant in self.variants for seed in self.seeds)

    @property
    def varied(self) -> tuple[str, ...]:
        """The keys of the settings that differ between the recipes, of those that were to vary."""
        first = self.variants[0].settings
        return tuple(key for key in first if any(one.settings[key] != first[key] for one in self.variants))

    @property
    def digest(self) -> str:
        """12 hexadecimal digits for the data and the set of recipes; the seeds and the order do not count."""
        text = " ".join([self.data, *sorted(variant.digest for variant in self.variants)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain JSON."""
        return {
            "format": _FORMAT,
            "dataset": self.dataset,
            "data": self.data,
            "load": dict(self.load),
            "seeds": list(self.seeds),
            "recipes": [
                {"name": variant.name, "digest": variant.digest, "settings": variant.recipe.to_dict()}
                for variant in self.variants
            ],
        }


def parse_vary(text: str) -> tuple[str, tuple[Any, ...]]:
    """Key and checked values of `KEY=VALUE,VALUE,...`. Commas in brackets belong to a value.

    Raises:
        RecipeError, UnknownNameError: the text has another form, the key is unknown (the nearest is named), or a value
            makes no sense for it.
    """
    key, equals, values = text.partition("=")
    if not equals:
        raise RecipeError(f"--vary {text!r}: expected {_SYNTAX}.")
    parts = _split(values)
    if not all(parts):
        raise RecipeError(f"--vary {text!r}: a value is missing before, after or between commas. Expected {_SYNTAX}.")
    return key.strip(), tuple(Setting.parse(f"{key}={part}").value for part in parts)


def variants(bases: Sequence[Recipe], vary: Mapping[str, Sequence[Any]]) -> tuple[Variant, ...]:
    """Every recipe, in every combination of the values; the last key varies fastest.

    Args:
        bases: the recipes to change, at least one.
        vary: key of a recipe -> the values that it takes.

    Raises:
        RecipeError, UnknownNameError: a key or a value makes no sense, or two values do not go together.
        InputError: there are no recipes, too many, or two that are the same.
    """
    checked = {key: _checked(key, values) for key, values in vary.items()}
    count = len(bases)
    for values in checked.values():
        count *= len(values)
    if not 1 <= count <= MOST_RECIPES:
        raise InputError(f"The experiment has {count:,} recipes: expected 1 to {MOST_RECIPES:,}.")
    found = [
        _variant(base, dict(zip(checked, chosen, strict=True)))
        for base in bases
        for chosen in itertools.product(*checked.values())
    ]
    _check_different(found)
    return tuple(found)


def setting_text(value: Any) -> str:
    """A setting as `--vary` reads it: `512`, `[512,256]`, `on`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        if len(value) == 1 and not isinstance(value[0], tuple):
            return setting_text(value[0])
        return f"[{','.join(f'[{_joined(item)}]' if isinstance(item, tuple) else str(item) for item in value)}]"
    return "" if value is None else str(value)


def _data_digest(dataset: Dataset) -> str:
    """16 hexadecimal digits for the images and labels that are trained and validated on, and which are which."""
    found = hashlib.sha256(dataset.fingerprint.encode())
    if (fewer := dataset.arguments.get("train")) is not None:
        found.update(f" {fewer} {dataset.split_seed}".encode())
    if dataset.validation is not None:
        found.update(np.ascontiguousarray(dataset.validation.labels).tobytes())
        for block in image_blocks(dataset.validation.images):
            found.update(np.ascontiguousarray(block).data)
    return found.hexdigest()[:16]


def _joined(values: Iterable[Any]) -> str:
    return ",".join(map(str, values))


def _split(text: str) -> list[str]:
    """The parts of a text between the commas that are in no brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            break
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise RecipeError(f"--vary {text!r}: its brackets do not match. Expected {_SYNTAX}.")
    return [part.strip() for part in parts]


def _checked(key: str, values: Sequence[Any]) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise RecipeError(f"vary: {key} = {values!r}: expected a list of values, for example [128, 512].")
    return tuple(Setting(key, value).value for value in values)


def _variant(base: Recipe, settings: Mapping[str, Any]) -> Variant:
    texts = {key: setting_text(value) for key, value in settings.items()}
    # Of a network there is nothing left in a classifier of scikit-learn's, and so nothing of its name.
    own = [base.name] if base.estimator is not None or settings.get("estimator") is None else []
    name = " ".join([*own, *(f"{key}={text}" for key, text in texts.items())])
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 3]}..."
    return Variant(base.changed(**{**settings, "name": name}), texts)


def _check_different(found: Sequence[Variant]) -> None:
    """Raises InputError where two recipes are one, or have one name."""
    for what in ("digest", "name"):
        first: dict[str, Variant] = {}
        for variant in found:
            other = first.setdefault(getattr(variant, what), variant)
            if other is not variant:
                same = "are the same recipe" if what == "digest" else "have the same name"
                raise InputError(f"{other.name!r} and {variant.name!r} {same}. Leave one of them out.")
