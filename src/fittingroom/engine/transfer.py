"""How a recipe with a backbone trains: on features that are computed once, and on the backbone's last blocks.

The frozen part of a backbone gives features of each image, and of copies of it that `augment` has changed, before the
first step. They are what the engine trains on in place of images: the head, and the blocks that are not frozen. A step
takes the image or one of its copies at random; validation and answers take the image.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from fittingroom.backbones.backbone import find_backbone
from fittingroom.data.stored_images import machine_memory
from fittingroom.data.values import Images
from fittingroom.engine.augmentation import changed_in_training
from fittingroom.engine.epoch import Examples, Logs, StepFunctions
from fittingroom.engine.state import State
from fittingroom.engine.trainer import Trainer
from fittingroom.errors import InputError
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import ALL
from fittingroom.text import amount, duration, word_list

if TYPE_CHECKING:
    from fittingroom.backbones.frozen_part import FrozenPart

_log = logging.getLogger("fittingroom")

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


# Measured with EfficientNet-Lite0 at 224 pixels (docs/measurements.md): what a step keeps for each image of its batch.
_BYTES_PER_PIXEL = 48e6 / 224**2  # of the image, where all of the backbone is trained
_BYTES_PER_FEATURE = 600.0  # of what goes into the blocks that are trained
_BYTES_OF_COMPILING = 5e8
_MOST_OF_MEMORY = 0.9


def check_memory(recipe: Recipe, input_shape: Sequence[int], images: int, validation: int) -> None:
    """Makes sure that a training has room, before anything of its size is computed or read.

    What training keeps in memory: the features of all images and of their copies (or the images themselves, where all
    of the backbone is trained), and what one step keeps of its batch for the gradient.

    Args:
        recipe: with a backbone.
        input_shape: of what the programs take for one image.
        images: training images.
        validation: validation images.

    Raises:
        InputError: there is no room.
    """
    if recipe.backbone is None or jax.default_backend() != "cpu":
        return  # what a step needs on an accelerator is another; the device refuses by itself
    numbers = math.prod(input_shape)
    kept = (numbers if recipe.unfreeze == ALL else 2 * numbers) * (images * (1 + recipe.views) + validation)
    of_step = 0.0
    if recipe.unfreeze == ALL:
        of_step = recipe.batch_size * find_backbone(recipe.backbone).input_size ** 2 * _BYTES_PER_PIXEL
    elif recipe.unfreeze:
        of_step = recipe.batch_size * numbers * _BYTES_PER_FEATURE
    needed, free = kept + of_step + (_BYTES_OF_COMPILING if recipe.unfreeze else 0), free_memory()
    if needed <= _MOST_OF_MEMORY * free:
        return
    ways = [f"fewer views than {recipe.views}"] if recipe.views else []
    ways += [f"a smaller batch_size than {recipe.batch_size}"] if of_step > kept else []
    ways += ["unfreeze = 0"] if recipe.unfreeze else []
    raise InputError(
        f"{_what(recipe)} on {images:,} images needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB "
        f"are free. It takes less with {word_list([*ways, 'fewer images'], 'or')}."
    )


_WORTH_SAYING = 60.0  # seconds


def say_how_long(trainer: Trainer, state: State, at_once: int, seeds: int) -> None:
    """Logs how long a training will take, where that is more than a minute: a step is measured, and counts for nothing.

    Args:
        trainer: of one seed, its programs compiled.
        state: of that seed.
        at_once: how many seeds train side by side.
        seeds: how many there are.
    """
    if isinstance(trainer.examples, Examples):
        count, plan = trainer.examples.images.shape[0], trainer.plan
        order = np.arange(count, dtype=np.int32)
        started = 0.0
        for _ in range(2):  # the first touches memory that nothing has touched before
            started = time.perf_counter()
            jax.block_until_ready(trainer.programs.train(state, trainer.examples, order, 0, 1))
        epoch = (time.perf_counter() - started) * -(-count // plan.batch_size) * -(-seeds // at_once)
        epochs = plan.epochs - plan.first_epoch
        if epoch * epochs > _WORTH_SAYING:
            _log.warning(
                "Training the backbone takes about %s: %s of about %s each.",
                *(duration(epoch * epochs), amount(epochs, "epoch"), duration(epoch)),
            )


def _what(recipe: Recipe) -> str:
    if recipe.unfreeze == ALL:
        return f"Training all of {recipe.backbone} in batches of {recipe.batch_size}"
    return f"Training on features of {recipe.backbone} with unfreeze = {recipe.unfreeze} and views = {recipe.views}"


def free_memory() -> float:
    """Bytes of memory that a training can have: what is free here, within the limit of a container."""
    free = machine_memory()
    available = [line.split()[1] for line in _lines(Path("/proc/meminfo")) if line.startswith("MemAvailable:")]
    free = min(free, *(float(number) * 1024 for number in available)) if available else free
    group = Path("/sys/fs/cgroup")
    limit, used = _lines(group / "memory.max"), _lines(group / "memory.current")
    if limit and used and limit[0].isdigit():
        free = min(free, float(int(limit[0]) - int(used[0])))
    return free


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # not Linux, or not to be read
        return []


class MirroredImages:
    """Images mirrored left to right, a few at a time: those of a large folder are not all in memory."""

    def __init__(self, images: Images) -> None:
        self.shape, self.dtype, self._images = images.shape, images.dtype, images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, which: int | slice) -> np.ndarray[Any, Any]:
        return np.ascontiguousarray(
            self._images[which][..., ::-1, :] if len(self.shape) == 4 else self._images[which][..., ::-1]
        )
