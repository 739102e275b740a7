"""How long a training will take, roughly: what its arithmetic needs on a machine like the one that was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fittingroom.recipes.recipe import Recipe

# From the recipes' claims (`claims.json`), on two cores: `course` needs 0.3 s for 55,000 images, `cnn` 24 s.
_OPERATIONS_PER_SECOND_AND_CORE = 6e10
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
    own = multiply_adds(recipe, image_shape, classes)
    busy = min(cores, seeds) if own < 1e6 else cores
    arithmetic = _PASSES * own / _OPERATIONS_PER_SECOND_AND_CORE
    if own < 1e6 and seeds == 1:
        arithmetic /= min(cores, 2)  # XLA's own threads
    steps = math.ceil(images / recipe.batch_size)
    epoch = images * (arithmetic + _SECONDS_PER_IMAGE) + steps * _SECONDS_PER_STEP
    return recipe.epochs * epoch * seeds / max(1, busy)
