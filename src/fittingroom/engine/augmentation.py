"""Random changes of the training images, as pure functions inside the training step.

They are no layers, so a recipe's model is made of Keras's own layers alone, and nothing random is left in it when it
predicts. The random numbers come from a state of their own, a seed and the number of the step, which rides at the end
of the optimizer's part of `State`.

Shifts are slices of padded images. (Keras's `RandomTranslation` computes every pixel from four others.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from fittingroom.engine import shading, warping
from fittingroom.engine.blueprint import Blueprint, Start
from fittingroom.engine.epoch import Examples, Logs, StepFunctions
from fittingroom.engine.state import State
from fittingroom.recipes.augment import Augmentation


def augmenting(steps: StepFunctions, augmentations: Sequence[Augmentation]) -> StepFunctions:
    """The same step functions, which train on changed images. `with_seed` adds what they need to the blueprint."""

    def train_step(state: State, examples: Examples) -> tuple[State, Logs]:
        *optimizer, seed = state.optimizer
        seed = jnp.asarray(seed)
        key = jax.random.fold_in(jax.random.key(seed[0]), seed[1])
        changed = examples._replace(images=augmented(key, examples.images, augmentations))
        after, logs = steps.train_step(state._replace(optimizer=tuple(optimizer)), changed)
        return after._replace(optimizer=(*after.optimizer, seed + jnp.array([0, 1], jnp.uint32))), logs

    return dataclasses.replace(steps, train_step=train_step)


def with_seed(blueprint: Blueprint) -> Blueprint:
    """The blueprint of a training that `augmenting` gave its random numbers."""
    seed = Start("augmentation/seed", (2,), "uint32", initializer="augmentation seed")
    return dataclasses.replace(blueprint, optimizer=(*blueprint.optimizer, seed))


def augmented(key: jax.Array, images: jax.Array, augmentations: Sequence[Augmentation]) -> jax.Array:
    """Images changed at random, each in its own way: `(batch, height, width)` or `(batch, height, width, channels)`.

    `spare` takes some images out of all changes that follow it.
    """
    spared = []
    for number, augmentation in enumerate(augmentations):
        own_key = jax.random.fold_in(key, number)
        if augmentation.name == "spare":
            share = (augmentation.strength or 0) / 100
            spared.append((jax.random.bernoulli(own_key, share, (images.shape[0], *[1] * (images.ndim - 1))), images))
        else:
            images = _CHANGES[augmentation.name](own_key, images, augmentation.strength)
    for chosen, before in reversed(spared):
        images = jnp.where(chosen, before, images)
    return images


def _flip(key: jax.Array, images: jax.Array, strength: None) -> jax.Array:
    """Every second image, on average, is mirrored left to right."""
    del strength
    chosen = jax.random.bernoulli(key, 0.5, (images.shape[0], *[1] * (images.ndim - 1)))
    return jnp.where(chosen, images[:, :, ::-1], images)


def _shift(key: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
    """Each image moves by up to so many pixels along both axes; what comes in at the edge is 0."""
    padding = [(0, 0), (pixels, pixels), (pixels, pixels), *[(0, 0)] * (images.ndim - 3)]
    offsets = jax.random.randint(key, (images.shape[0], 2), 0, 2 * pixels + 1)

    def cut(image: jax.Array, offset: jax.Array) -> jax.Array:
        start = [offset[0], offset[1], *[jnp.zeros_like(offset[0])] * (image.ndim - 2)]
        return jax.lax.dynamic_slice(image, start, images.shape[1:])

    return jax.vmap(cut)(jnp.pad(images, padding), offsets)


def _cutout(key: jax.Array, images: jax.Array, side: int) -> jax.Array:
    """A square of each image, centred anywhere in it, becomes 0 (DeVries and Taylor 2017, arXiv 1708.04552)."""
    inside = None
    for axis, axis_key in zip((1, 2), jax.random.split(key), strict=True):
        extent = images.shape[axis]
        start = jax.random.randint(axis_key, (images.shape[0], 1), 0, extent) - side // 2
        place = jnp.arange(extent)
        hit = (place >= start) & (place < start + side)
        inside = hit[:, :, None] if inside is None else inside & hit[:, None, :]
    assert inside is not None
    return jnp.where(inside.reshape(*inside.shape, *[1] * (images.ndim - 3)), 0.0, images)


_CHANGES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "flip": _flip,
        "shift": _shift,
        "cutout": _cutout,
        "rotate": warping.rotate,
        "stretch": warping.stretch,
        "bend": warping.bend,
        "contrast": shading.contrast,
        "invert": shading.invert,
        "texture": shading.texture,
        "bite": shading.bite,
        "clutter": shading.clutter,
        "blur": shading.blur,
    }
)
