"""How a recipe with a backbone trains: on features that are computed once, and on the backbone's last blocks.

The frozen part of a backbone gives features of each image, and of copies of it that `augment` has changed, before the
first step. They are what the engine trains on in place of images: the head, and the blocks that are not frozen. A step
takes the image or one of its copies at random; validation and answers take the image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from fittingroom.backbones.backbone import find_backbone
from fittingroom.engine.augmentation import changed_in_training
from fittingroom.engine.epoch import Examples, Logs, StepFunctions
from fittingroom.engine.state import State
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import ALL

if TYPE_CHECKING:
    from fittingroom.backbones.frozen_part import FrozenPart

BACKBONE_RATE = 0.1
"""The learning rate of a backbone's weights as a share of the head's, which starts from random numbers."""


def frozen_part(recipe: Recipe) -> FrozenPart | None:
    """The part of the recipe's backbone that is not trained; None without a backbone, and where all of it is trained.

    Raises:
        UnknownNameError: there is no such backbone.
        InputError: it has fewer blocks than are to be trained, or the extra `pretrained` is missing.
    """
    if recipe.backbone is None or recipe.unfreeze == ALL:
        return None
    assert isinstance(recipe.unfreeze, int)
    return find_backbone(recipe.backbone).frozen(recipe.unfreeze)


def picking_copies(steps: StepFunctions) -> StepFunctions:
    """The same step functions, which train on one copy of each image, picked at random: `(batch, copies, ...)`.

    `Blueprint.with_augmentation_seed` has the seed of their random numbers.
    """

    def picked(key: jax.Array, copies: jax.Array) -> jax.Array:
        which = jax.random.randint(key, (copies.shape[0],), 0, copies.shape[1])
        return copies[jnp.arange(copies.shape[0]), which]

    return changed_in_training(steps, picked)


def slowed(steps: StepFunctions, rates: Sequence[float]) -> StepFunctions:
    """The same step functions with a learning rate for each trainable variable, as a share of the optimizer's.

    A step of any of Keras's optimizers, its decoupled weight decay included, is proportional to the learning rate.
    """

    def train_step(state: State, examples: Examples) -> tuple[State, Logs]:
        after, logs = steps.train_step(state, examples)
        moved = (
            new if rate == 1 else old + rate * (new - old)
            for old, new, rate in zip(state.trainable, after.trainable, rates, strict=True)
        )
        return after._replace(trainable=tuple(moved)), logs

    return dataclasses.replace(steps, train_step=train_step)
