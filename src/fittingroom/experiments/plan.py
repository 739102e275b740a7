"""The plan of an experiment: its cells, each one training, known by a stable id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fittingroom.data.dataset import Dataset
from fittingroom.experiments.grid import Variant

FORMAT = 1


@dataclass(frozen=True)
class Cell:
    """One training: a recipe with a seed on some data.

    Args:
        variant: the recipe.
        seed: the seed.
        data: what `data_digest` says of the data.
    """

    variant: Variant
    seed: int
    data: str

    @property
    def id(self) -> str:
        """Recipe, data and seed as one text; the same on every machine and in every version, whatever else is tried."""
        return f"{self.variant.digest}-{self.data}-{self.seed}"


@dataclass(frozen=True)
class Plan:
    """What an experiment is to train.

    Args:
        dataset: name of the dataset.
        data: what `data_digest` says of it.
        load: what loads it again, as `Dataset.arguments`.
        variants: the recipes.
        seeds: those that each recipe is trained with.
    """

    dataset: str
    data: str
    load: Mapping[str, Any]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]

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
            "format": FORMAT,
            "dataset": self.dataset,
            "data": self.data,
            "load": dict(self.load),
            "seeds": list(self.seeds),
            "recipes": [
                {"name": variant.name, "digest": variant.digest, "settings": variant.recipe.to_dict()}
                for variant in self.variants
            ],
        }


def data_digest(dataset: Dataset) -> str:
    """16 hexadecimal digits for the images and labels that are trained and validated on, and which are which."""
    found = hashlib.sha256(dataset.fingerprint.encode())
    if dataset.validation is not None:
        found.update(np.ascontiguousarray(dataset.validation.labels).tobytes())
        found.update(np.ascontiguousarray(dataset.validation.images).data)
    return found.hexdigest()[:16]
