"""Random changes of an image's shape: turned, stretched, bent.

Each looks up, for every new pixel, a place in the image between four of its pixels. What comes in at the edge is 0.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

_BENDS = 4  # random movements along each axis of an image; what lies between them follows smoothly


def rotate(key: jax.Array, images: jax.Array, degrees: int) -> jax.Array:
    """Each image is turned around its centre, by up to so many degrees either way."""
    angles = _uniform(key, (len(images), 1, 1), math.radians(degrees))
    down, right = _from_centre(images)
    return _looked_up(
        images,
        jnp.cos(angles) * down + jnp.sin(angles) * right,
        jnp.cos(angles) * right - jnp.sin(angles) * down,
    )


def stretch(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """Each image grows or shrinks around its centre by a factor of up to 1 + percent / 100, each axis by its own."""
    factors = jnp.exp(_uniform(key, (2, len(images), 1, 1), math.log1p(percent / 100)))
    down, right = _from_centre(images)
    return _looked_up(images, down / factors[0], right / factors[1])


def bend(key: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
    """The parts of each image move against each other, by up to so many pixels along both axes.

    (Elastic distortions: Simard, Steinkraus and Platt 2003; here with a coarse grid of movements.)
    """
    coarse = _uniform(key, (2, len(images), _BENDS, _BENDS), float(pixels))
    moves = jax.image.resize(coarse, (2, *images.shape[:3]), "linear")
    down, right = _from_centre(images)
    return _looked_up(images, down + moves[0], right + moves[1])


def _uniform(key: jax.Array, shape: tuple[int, ...], most: float) -> jax.Array:
    return jax.random.uniform(key, shape, minval=-most, maxval=most)


def _from_centre(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How far each pixel lies below and to the right of the centre, in pixels: `(height, 1)` and `(1, width)`."""
    height, width = images.shape[1:3]
    return (jnp.arange(height) - (height - 1) / 2)[:, None], (jnp.arange(width) - (width - 1) / 2)[None]


def _looked_up(images: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
    """Images with the brightness that they had at these places, `(batch, height, width)` from the centre."""
    height, width = images.shape[1:3]
    down, right = (jnp.broadcast_to(place, images.shape[:3]) for place in (down, right))
    # One more row or column of black at each side is what lies outside.
    padded = jnp.pad(images, [(0, 0), (1, 1), (1, 1), *[(0, 0)] * (images.ndim - 3)])
    top = jnp.clip(down + (height + 1) / 2, 0, height + 1 - 1e-3)
    left = jnp.clip(right + (width + 1) / 2, 0, width + 1 - 1e-3)
    row, column = top.astype(jnp.int32), left.astype(jnp.int32)
    shape = (*images.shape[:3], *[1] * (images.ndim - 3))
    below, beside = (top - row).reshape(shape), (left - column).reshape(shape)
    flat = padded.reshape(len(images), -1, *images.shape[3:])

    def at(rows: jax.Array, columns: jax.Array) -> jax.Array:
        places = (rows * (width + 2) + columns).reshape(len(images), -1)
        found: jax.Array = jax.vmap(lambda pixels, place: pixels[place])(flat, places)
        return found.reshape(images.shape)

    upper = (1 - beside) * at(row, column) + beside * at(row, column + 1)
    lower = (1 - beside) * at(row + 1, column) + beside * at(row + 1, column + 1)
    return (1 - below) * upper + below * lower
