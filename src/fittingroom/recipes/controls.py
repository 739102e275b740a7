"""The settings of a recipe as a page offers them: which kind of control each is, its range, and what it does.

How long a training will take is told roughly, from what its arithmetic takes on the machine that was measured.
The checks of `settings.py` have the last word; a test holds that they take both ends of every range here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fittingroom.errors import InputError
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import ACTIVATIONS, ALL, AUGMENTATIONS, OPTIMIZERS, PRECISIONS, SCHEDULES

Kind = Literal["count", "factor", "share", "switch", "choice", "text"]


@dataclass(frozen=True)
class Control:
    """How one setting is chosen.

    Args:
        key: of the recipe.
        label: what it is called on a page.
        help: what it does, in a sentence.
        kind: `count` for whole numbers, `factor` for numbers that are changed by factors, `share` for 0 to below 1,
            `switch`, `choice`, or `text` as `--set` reads it.
        low: the smallest value.
        high: the largest.
        choices: of a choice.
        probe: a value, as text, that uses the setting: where the recipe refuses it, the control is closed.
        more: whether it stands behind "more settings".
    """

    key: str
    label: str
    help: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    probe: str | None = None
    more: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The control as plain JSON."""
        return {**asdict(self), "choices": list(self.choices)}


CONTROLS: tuple[Control, ...] = (
    Control(
        "hidden",
        "hidden layers",
        "Neurons of each hidden layer: 128, or 512, 256 for two layers; empty for none.",
        "text",
        more=False,
    ),
    Control("epochs", "epochs", "Passes over the training images, at most.", "count", 1, 1_000_000, more=False),
    Control(
        "learning_rate",
        "learning rate",
        "How far the weights move in each step. Too large, and the loss jumps or becomes NaN.",
        "factor",
        1e-9,
        1e9,
        more=False,
    ),
    Control("batch_size", "batch size", "Images in each step.", "count", 1, 2**31 - 1, more=False),
    Control(
        "dropout",
        "dropout",
        "The share of a hidden layer's outputs that is dropped in training, against overfitting.",
        "share",
        0.0,
        0.95,
        probe="0.2",
        more=False,
    ),
    Control("optimizer", "optimizer", "How the gradient becomes a step.", "choice", choices=OPTIMIZERS, more=False),
    Control(
        "activation",
        "activation",
        "What stands behind each hidden layer; linear makes them all one.",
        "choice",
        choices=ACTIVATIONS,
        more=False,
    ),
    Control("scale", "scale pixels to 0–1", "Off, the pixels stay 0 to 255, as in the course's exercise 8.", "switch"),
    Control(
        "convolutions",
        "convolutions",
        "Features of the 3×3 convolutions in stages, a pooling after each: 32/64,64; empty for none.",
        "text",
    ),
    Control(
        "batch_norm",
        "batch normalization",
        "Whether each layer's outputs are normalized over the batch.",
        "switch",
        probe="on",
    ),
    Control("residual", "residual pairs", "Whether pairs of convolutions add their input.", "switch", probe="on"),
    Control(
        "backbone",
        "backbone",
        "A pretrained network whose features the layers get in place of pixels: efficientnet-lite0; empty for none.",
        "text",
    ),
    Control(
        "unfreeze",
        "unfrozen blocks",
        "How many of the backbone's last blocks are trained too; all takes long.",
        "text",
        probe="1",
    ),
    Control(
        "views",
        "changed copies",
        "How many augmented copies of each image the backbone sees, once each.",
        "text",
    ),
    Control("augment", "augmentation", f"Random changes of the training images: {', '.join(AUGMENTATIONS)}.", "text"),
    Control("label_smoothing", "label smoothing", "The share of a label spread over all classes.", "share", 0.0, 0.95),
    Control("class_weight", "class weights", "balanced lets every class count alike; empty for none.", "text"),
    Control("weight_decay", "weight decay", "The share subtracted from each weight; empty for the default.", "text"),
    Control("schedule", "learning-rate schedule", "cosine lets it fall to 0.", "choice", choices=SCHEDULES),
    Control(
        "warmup", "warm-up", "The share of all steps in which the learning rate rises.", "share", 0.0, 0.95, probe="0.1"
    ),
    Control("precision", "precision", "16-bit arithmetic is for a GPU.", "choice", choices=PRECISIONS),
    Control("test_views", "test views", "Changed copies whose answers are averaged: flip, shift 1.", "text"),
)
"""The settings that a page offers, those that matter first. `stop` has a place of its own, and `model` runs a file."""


def as_text(value: Any) -> str:
    """The value of a setting as `--set KEY=VALUE` reads it again."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple | list):
        if value and isinstance(value[0], tuple | list):
            return "/".join(",".join(map(str, stage)) for stage in value)
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def closed_controls(recipe: Recipe) -> dict[str, str]:
    """The controls that cannot be used with the other settings of a recipe, each with the reason."""
    return dict(_closed(recipe))


def _closed(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for control in CONTROLS:
        if control.probe is not None:
            try:
                recipe.with_settings([f"{control.key}={control.probe}"])
            except InputError as error:
                yield control.key, str(error)


def differing(recipe: Recipe, own: Recipe) -> Mapping[str, str]:
    """The settings, as texts, in which a recipe differs from its original, by their keys."""
    keys = [*(control.key for control in CONTROLS), "stop"]
    return {key: as_text(getattr(recipe, key)) for key in keys if getattr(recipe, key) != getattr(own, key)}


# From the recipes' claims (`claims.json`), on two cores: `course` needs 0.3 s for 55,000 images, `cnn` 8 s.
_OPERATIONS_PER_SECOND_AND_CORE = 6e10
_OF_CONVOLUTIONS = 1.8e11
_SECONDS_PER_IMAGE = 1.5e-6
_SECONDS_PER_STEP = 2e-5
_PASSES = 6  # a multiply-add is two operations; forward, and backward to weights and to inputs


def multiply_adds(recipe: Recipe, image_shape: Sequence[int], classes: int) -> float:
    """Multiply-adds for one image, forwards; normalization, activations and augmentation not counted.

    Args:
        recipe: without a model of the user's own.
        image_shape: `(height, width)`, or with channels behind.
        classes: how many.
    """
    height, width = image_shape[:2]
    features, total = (image_shape[2] if len(image_shape) > 2 else 1), 0
    for stage in recipe.convolutions:
        for size in stage:
            total += 9 * features * size * height * width
            features = size
        height, width = max(1, height // 2), max(1, width // 2)
    inputs = height * width * features
    for size in (*recipe.hidden, classes):
        total += inputs * size
        inputs = size
    return float(total)


def estimated_seconds(
    recipe: Recipe, images: int, image_shape: Sequence[int], classes: int, *, seeds: int = 1, cores: int = 1
) -> float:
    """Seconds of training to the last epoch, without set-up.

    Args:
        recipe: without a model of the user's own.
        images: training images.
        image_shape: as `multiply_adds` has it.
        classes: how many.
        seeds: how many are trained.
        cores: processor cores; each trains a seed of its own, or all share the batches of a large network.
    """
    if recipe.backbone is not None:
        return _seconds_of_backbone(recipe, images, seeds, cores)
    own = multiply_adds(recipe, image_shape, classes)
    busy = min(cores, seeds) if own < 1e6 else cores
    arithmetic = _PASSES * own / (_OF_CONVOLUTIONS if recipe.convolutions else _OPERATIONS_PER_SECOND_AND_CORE)
    if own < 1e6 and seeds == 1:
        arithmetic /= min(cores, 2)  # XLA's own threads
    steps = math.ceil(images / recipe.batch_size)
    epoch = images * (arithmetic + _SECONDS_PER_IMAGE) + steps * _SECONDS_PER_STEP
    return recipe.epochs * epoch * seeds / max(1, busy)


# Measured with EfficientNet-Lite0 (docs/measurements.md), in seconds of a core for each picture.
_SECONDS_OF_FEATURES = 8e-3
_SECONDS_OF_HEAD = 5e-6
_SECONDS_OF_BLOCK = 4e-3
_SECONDS_OF_ALL = 0.11


def _seconds_of_backbone(recipe: Recipe, images: int, seeds: int, cores: int) -> float:
    """Seconds of a training on a backbone's features, which are computed before it where no training has done so."""
    if recipe.unfreeze == ALL:
        features, step = 0.0, _SECONDS_OF_ALL
    else:
        features = (1 + recipe.views) * _SECONDS_OF_FEATURES
        step = _SECONDS_OF_HEAD + int(recipe.unfreeze) * _SECONDS_OF_BLOCK
    return images * (features + recipe.epochs * step * seeds) / max(1, cores)
