"""The recipes that are known by name, and what each claims.

A claim rests on stored measurements: `claims.json`, beside this file, is written by the benchmarks. It maps a recipe's
name to the fields of `_MeasuredClaim`. A recipe that is not in it has not been measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fittingroom.errors import UnknownNameError
from fittingroom.recipes.recipe import DEFAULT_BACKBONE, Recipe
from fittingroom.text import number, percent, word_list

NOT_MEASURED = "not measured yet"
_CLASSICAL = "sklearn:"
_CLAIMS = Path(__file__).with_name("claims.json")


@dataclass(frozen=True)
class _NamedRecipe:
    """A recipe with a line that says what it is."""

    recipe: Recipe
    summary: str


@dataclass(frozen=True)
class _MeasuredClaim:
    """What a recipe reached in a measurement that is stored: one test accuracy per seed, and how it was measured.

    Args:
        dataset: the name of the dataset that it was trained and tested on.
        test_accuracies: accuracy on the sealed test set, one per seed, each 0 to 1.
        seconds: median time of one training with its set-up, in seconds.
        hardware: processor and number of cores, or the GPU.
        versions: package name -> version.
        command: what measures it again.
    """

    dataset: str
    test_accuracies: tuple[float, ...]
    seconds: float
    hardware: str
    versions: Mapping[str, str]
    command: str

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> _MeasuredClaim:
        """A claim from its JSON form."""
        return cls(**{**fields, "test_accuracies": tuple(fields["test_accuracies"])})

    @property
    def mean(self) -> float:
        """Mean test accuracy over the seeds, 0 to 1."""
        return sum(self.test_accuracies) / len(self.test_accuracies)

    @property
    def spread(self) -> float:
        """Standard deviation of the test accuracy between seeds (with n - 1), 0 if there is one seed only."""
        if len(self.test_accuracies) < 2:
            return 0.0
        squares = sum((accuracy - self.mean) ** 2 for accuracy in self.test_accuracies)
        return float((squares / (len(self.test_accuracies) - 1)) ** 0.5)

    @property
    def reached(self) -> str:
        """Mean and standard deviation: `86.96% ± 0.62 (5 seeds)`; one seed has no deviation."""
        seeds = len(self.test_accuracies)
        return percent(self.mean, 2) + (
            f" ± {number(100 * self.spread, 2)} ({seeds} seeds)" if seeds > 1 else " (1 seed)"
        )

    @property
    def text(self) -> str:
        """The claim as one sentence."""
        versions = word_list(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.reached} on the test set of {self.dataset}, {self.seconds:.1f} s on {self.hardware}; "
            f"{versions}; {self.command}"
        )


NAMED: Mapping[str, _NamedRecipe] = MappingProxyType(
    {
        entry.recipe.name: entry
        for entry in (
            _NamedRecipe(
                Recipe(name="linear", hidden=()),
                "No hidden layer: softmax regression, the baseline that every network has to beat.",
            ),
            _NamedRecipe(
                Recipe(name="course"),
                "The course's model: Flatten, 128 ReLU neurons, ten softmax outputs; Adam, 5 epochs, batches of 32.",
            ),
            _NamedRecipe(
                Recipe(name="wide", hidden=(512,)),
                "The course's second exercise: 512 neurons in place of 128.",
            ),
            _NamedRecipe(
                Recipe(
                    name="cnn",
                    convolutions=((32,), (64,), (64, 64)),
                    hidden=(),
                    batch_norm=True,
                    augment=("flip", "shift 2"),
                    learning_rate=0.004,
                    schedule="cosine",
                    warmup=0.2,
                    weight_decay=0.05,
                    epochs=18,
                    batch_size=128,
                    test_views=("flip", "shift 1"),
                ),
                "A small convolutional network, under 100,000 parameters, for 5 minutes on 2 CPU cores.",
            ),
            _NamedRecipe(
                Recipe(
                    name="mlp-best",
                    hidden=(1024, 1024),
                    batch_norm=True,
                    dropout=0.2,
                    augment=("flip", "shift 1"),
                    learning_rate=0.004,
                    schedule="cosine",
                    warmup=0.2,
                    epochs=45,
                    batch_size=512,
                    test_views=("flip", "shift 1"),
                ),
                "The best multilayer perceptron for 5 minutes on 2 CPU cores: wide, with dropout, flips and shifts.",
            ),
            _NamedRecipe(
                Recipe(
                    name="best-cpu",
                    convolutions=((32,), (64, 64), (128, 128)),
                    hidden=(),
                    batch_norm=True,
                    augment=("flip", "shift 2"),
                    label_smoothing=0.1,
                    learning_rate=0.004,
                    schedule="cosine",
                    warmup=0.2,
                    weight_decay=0.05,
                    epochs=20,
                    batch_size=128,
                    test_views=("flip", "shift 1"),
                ),
                "The best convolutional network for 10 minutes on 2 CPU cores.",
            ),
            _NamedRecipe(
                Recipe(
                    name="photo",
                    convolutions=((32,), (64,), (64, 64)),
                    hidden=(),
                    batch_norm=True,
                    augment=(
                        "flip",
                        "shift 2",
                        "spare 75",
                        "rotate 12",
                        "stretch 35",
                        "bend 2",
                        "invert 25",
                        "texture 30",
                        "contrast 50",
                        "bite 20",
                        "clutter 10",
                        "blur 1",
                    ),
                    learning_rate=0.004,
                    schedule="cosine",
                    warmup=0.2,
                    weight_decay=0.05,
                    epochs=16,
                    batch_size=128,
                    test_views=("flip", "shift 1"),
                ),
                "For photos: the network of cnn, trained on images as photos give them; 7 minutes on 2 CPU cores.",
            ),
            _NamedRecipe(
                Recipe(
                    name="transfer",
                    backbone=DEFAULT_BACKBONE,
                    views=1,
                    augment=("flip",),
                    hidden=(),
                    learning_rate=0.003,
                    schedule="cosine",
                    warmup=0.1,
                    weight_decay=0.3,
                    epochs=60,
                    batch_size=32,
                ),
                "For a folder of photographs: a linear classifier on the features of a pretrained network.",
            ),
            _NamedRecipe(
                Recipe(
                    name="finetune",
                    backbone=DEFAULT_BACKBONE,
                    unfreeze=3,
                    views=4,
                    augment=("crop 30", "flip"),
                    hidden=(),
                    learning_rate=0.003,
                    schedule="cosine",
                    warmup=0.1,
                    weight_decay=0.1,
                    epochs=10,
                    batch_size=32,
                ),
                "For a folder of photographs: the last blocks of a pretrained network are trained too.",
            ),
            _NamedRecipe(
                Recipe(
                    name="best",
                    convolutions=((128, 128, 128), (256,) * 5, (512,) * 5),
                    residual=True,
                    hidden=(),
                    batch_norm=True,
                    augment=("flip", "shift 3", "cutout 8"),
                    label_smoothing=0.1,
                    optimizer="adamw",
                    learning_rate=0.002,
                    weight_decay=0.05,
                    schedule="cosine",
                    warmup=0.2,
                    epochs=100,
                    batch_size=512,
                    precision="mixed_bfloat16",
                    test_views=("flip", "shift 1"),
                ),
                "For a GPU: a residual network of 13 convolutions in 16 bits, for 10 minutes on one data-centre GPU.",
            ),
        )
    }
)


def read_claims(path: Path = _CLAIMS) -> dict[str, _MeasuredClaim]:
    """The measured claims by recipe name; empty where nothing has been measured."""
    if not path.is_file():
        return {}
    stored: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return {name: _MeasuredClaim.from_dict(fields) for name, fields in stored.items()}


def find_recipe(name: str) -> Recipe:
    """The recipe with a name, or in a TOML file: what ends in `.toml`, has a path separator, or is a file.

    Raises:
        UnknownNameError: there is neither such a name nor such a file; the message lists the names.
        RecipeError: the file cannot be read as a recipe.
    """
    if name in NAMED:
        return NAMED[name].recipe
    if name.startswith(_CLASSICAL):
        from fittingroom.recipes.classical_recipes import CLASSICAL_RECIPES

        if name in CLASSICAL_RECIPES:
            return CLASSICAL_RECIPES[name].recipe
    if name.endswith(".toml") or os.sep in name or Path(name).is_file():
        return Recipe.read(Path(name))
    raise UnknownNameError("recipe", name, [*NAMED, *_classical_names(), "FILE.toml"])


def _classical_names() -> list[str]:
    from fittingroom.recipes.classical_recipes import CLASSICAL_RECIPES

    return list(CLASSICAL_RECIPES)
