"""Answers averaged over several views of an image: as it is, mirrored, moved a little (test-time augmentation).

An image and its mirror image, or itself one pixel further, show the same thing, but a network's errors on them differ
in part, so the mean of its answers is right more often. Training, and validation while it lasts, see images as they
are: six views would cost validation six times its time. `recipes.views` is the same in Keras, for `run.model`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fittingroom.engine.epoch import Outcomes, StepFunctions, kept_probabilities
from fittingroom.engine.programs import Programs
from fittingroom.engine.state import State
from fittingroom.engine.validation import Validated
from fittingroom.recipes.augment import Augmentation

Array = np.ndarray[Any, Any]


def averaging(steps: StepFunctions, augmentations: Sequence[Augmentation]) -> StepFunctions:
    """The same step functions, which predict the mean probabilities over the views of each image."""

    def answer(state: State, images: jax.Array) -> jax.Array:
        found = [steps.log_probabilities(steps.forward(state, view)) for view in _views(images, augmentations)]
        return jax.nn.logsumexp(jnp.stack(found), axis=0) - math.log(len(found))

    return dataclasses.replace(steps, answer=answer)


def count_views(augmentations: Sequence[Augmentation]) -> int:
    """How many views of an image there are, with the image itself."""
    moved = 1 + 2 * sum(augmentation.name == "shift" for augmentation in augmentations)
    return moved * (2 if any(augmentation.name == "flip" for augmentation in augmentations) else 1)


def answered(programs: Programs, state: State, images: Array, labels: Array) -> Validated:
    """What comes of images `(n, ...)` with class indices `(n,)` when they are answered as `predict` does."""
    logs = programs.log_probabilities(state, images)
    true_class = logs[np.arange(len(labels)), labels]
    predicted = logs.argmax(axis=1).astype(np.int32)
    numbers = {"accuracy": float((predicted == labels).mean()), "loss": float(-true_class.mean())}
    outcomes = Outcomes(
        *map(jnp.asarray, (-true_class, predicted, np.exp(true_class), kept_probabilities(jnp.asarray(logs))))
    )
    return Validated(numbers, outcomes, None)


def _views(images: jax.Array, augmentations: Sequence[Augmentation]) -> list[jax.Array]:
    """Every view, the first of them the images as they are: moved ones, then the mirror images of all."""
    views = [images]
    for augmentation in augmentations:
        if augmentation.name == "shift":
            pixels = augmentation.strength or 0
            views += [_moved(images, pixels), _moved(images[:, ::-1, ::-1], pixels)[:, ::-1, ::-1]]
    if any(augmentation.name == "flip" for augmentation in augmentations):
        views += [view[:, :, ::-1] for view in views]
    return views


def _moved(images: jax.Array, pixels: int) -> jax.Array:
    """Images moved by so many pixels down and to the right; what comes in at the edge is 0."""
    padding = [(0, 0), (pixels, 0), (pixels, 0), *[(0, 0)] * (images.ndim - 3)]
    return jnp.pad(images, padding)[:, : images.shape[1], : images.shape[2]]
