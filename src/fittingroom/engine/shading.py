"""Random changes of a bright thing on black that make it look as if it were cut out of a photograph.

Brightness counts in units of the brightest pixel of an image, so that the scale of the images does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

_THING = 0.04  # what is darker, in units of the brightest pixel, is background


def contrast(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """The differences within each thing, and its mean, change by a factor of up to 1 + percent / 100."""
    return _on_thing(images, lambda thing, values: _recontrasted(key, thing, values, percent))


def invert(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """In so many percent of the images, on average, what is bright in the thing becomes dark, and the reverse."""
    chosen = _chosen(key, len(images), percent, images.ndim)
    return _on_thing(images, lambda _, values: jnp.where(chosen, 1.1 - values, values))


def texture(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """Blotches, stripes and grain, up to so many percent of the brightest pixel, are added to each thing."""
    kinds = jax.random.split(key, 4)

    def textured(_: jax.Array, values: jax.Array) -> jax.Array:
        count = len(images)
        strengths = jax.random.uniform(kinds[0], (3, count, 1, 1)) ** 3 * percent / 100
        pattern = strengths[0] * smooth_noise(kinds[1], images.shape[:3], 5)
        pattern += strengths[1] * _stripes(kinds[2], images.shape[:3])
        pattern += strengths[2] * 0.25 * jax.random.normal(kinds[3], images.shape[:3])
        return values + pattern.reshape(*pattern.shape, *[1] * (images.ndim - 3))

    return _on_thing(images, textured)


def bite(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """In so many percent of the images, on average, pieces of the thing are missing, as where it was not found."""
    which, where, how_much = jax.random.split(key, 3)
    least = 1.0 + 1.5 * jax.random.uniform(how_much, (len(images), 1, 1))
    missing = smooth_noise(where, images.shape[:3], 6) > least
    missing = missing.reshape(*missing.shape, *[1] * (images.ndim - 3))
    return jnp.where(_chosen(which, len(images), percent, images.ndim) & missing, 0.0, images)


def clutter(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """In so many percent of the images, on average, pieces of a background are left beside the thing."""
    which, where, how_much, light = jax.random.split(key, 4)
    least = 1.2 + 1.5 * jax.random.uniform(how_much, (len(images), 1, 1))
    left = smooth_noise(where, images.shape[:3], 6) > least
    shape = (*left.shape, *[1] * (images.ndim - 3))
    brightness = jax.random.uniform(light, (len(images), *[1] * (images.ndim - 1)), minval=0.2) * _peaks(images)
    added = _chosen(which, len(images), percent, images.ndim) & left.reshape(shape)
    return jnp.where(added & ~_thing(images), brightness, images)


def blur(key: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
    """Every second image, on average, is blurred by a Gaussian with a deviation of up to so many pixels."""
    which, how_much = jax.random.split(key)
    width = jax.random.uniform(how_much, (len(images),), minval=0.05, maxval=float(pixels))
    blurred = images
    for axis in (1, 2):
        place = jnp.arange(images.shape[axis])
        apart = (place[:, None] - place)[None]
        weights = jnp.exp(-(apart**2) / (2 * width[:, None, None] ** 2))
        weights /= weights.sum(axis=2, keepdims=True)
        order = "bij,bjk...->bik..." if axis == 1 else "bij,bkj...->bki..."
        blurred = jnp.einsum(order, weights, blurred)
    return jnp.where(_chosen(which, len(images), 50, images.ndim), blurred, images)


def smooth_noise(key: jax.Array, shape: tuple[int, ...], cells: int) -> jax.Array:
    """Blotches, `(batch, height, width)`: values with mean 0, and 1 as their deviation where they are not blended."""
    coarse = jax.random.normal(key, (shape[0], cells, cells))
    fine: jax.Array = jax.image.resize(coarse, shape, "cubic")
    return fine


def _stripes(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Waves of -1 to 1 with a length of 3 to 16 pixels, in any direction."""
    angle, length, start = jax.random.uniform(key, (3, shape[0], 1, 1))
    rows, columns = jnp.arange(shape[1])[:, None], jnp.arange(shape[2])[None]
    along = jnp.cos(math.pi * angle) * columns + jnp.sin(math.pi * angle) * rows
    return jnp.sin(2 * math.pi * (along / (3 + 13 * length) + start))


def _recontrasted(key: jax.Array, thing: jax.Array, values: jax.Array, percent: int) -> jax.Array:
    axes = tuple(range(1, values.ndim))
    mean = (values * thing).sum(axes, keepdims=True) / jnp.maximum(thing.sum(axes, keepdims=True), 1)
    most = math.log1p(percent / 100)
    shape = (2, len(values), *[1] * (values.ndim - 1))
    spread, level = jnp.exp(jax.random.uniform(key, shape, minval=-most, maxval=most))
    changed: jax.Array = mean * level + (values - mean) * spread
    return changed


def _on_thing(images: jax.Array, change: Callable[[jax.Array, jax.Array], jax.Array]) -> jax.Array:
    """Images whose things are changed. A thing stays brighter than its background, and its outline gets no brighter.

    Args:
        images: what is changed.
        change: gets where the thing is and the brightness, in units of the brightest pixel, and gives a new brightness.
    """
    peaks, thing = _peaks(images), _thing(images)
    values = images / peaks
    new = jnp.clip(change(thing, values), _THING, 1.0)
    inside = ~_around(~thing)
    # Pixels of the outline are mixed with the background; brightened, they would be a bright frame.
    return jnp.where(thing, jnp.where(inside, new, jnp.minimum(new, values)) * peaks, images)


def _peaks(images: jax.Array) -> jax.Array:
    """The brightest pixel of each image, in its shape but for the batch; never 0."""
    return jnp.maximum(images.max(axis=tuple(range(1, images.ndim)), keepdims=True), 1e-6)


def _thing(images: jax.Array) -> jax.Array:
    """What is no background, with the dark spots in it: a closing with a window of 3 x 3."""
    return ~_around(~_around(images > _THING * _peaks(images)))


def _around(mask: jax.Array) -> jax.Array:
    """The pixels of a mask and the eight around each. As products of matrices, a CPU is quick to do it."""
    counts = mask.astype(jnp.float32)
    for axis in (1, 2):
        place = jnp.arange(mask.shape[axis])
        near = (jnp.abs(place[:, None] - place) <= 1).astype(jnp.float32)
        counts = jnp.moveaxis(jnp.tensordot(near, counts, (1, axis)), 0, axis)
    return counts > 0.5


def _chosen(key: jax.Array, count: int, percent: int, ndim: int) -> jax.Array:
    return jax.random.bernoulli(key, percent / 100, (count, *[1] * (ndim - 1)))
