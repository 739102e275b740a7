"""Random changes of training images, and test-time augmentation: answers averaged over changed copies of an image.

Both are pure functions around a model's step functions, not layers. So a recipe's model is made of Keras's own layers
alone, and nothing random is left in it when it predicts. The random numbers come from a state of their own (a seed and
the number of the step), which rides at the end of the optimizer's part of `State`.

- `flip`, `shift`, `cutout`: shifts are slices of padded images; Keras's `RandomTranslation` computes every pixel from
  four others.
- `rotate`, `stretch`, `bend` change the shape: for every new pixel they look up a place between four pixels of the
  image. What comes in at the edge is 0.
- `contrast`, `invert`, `texture`, `bite`, `clutter`, `blur` make a bright foreground on black look as if it were
  cut out of a photograph. Brightness counts in units of an image's brightest pixel, so that the scale of the images
  does not matter.
- `crop` and `colour` are those of photographs: a part of the image enlarged, and brightness, contrast and saturation.
- `crop` and `colour` change photographs as a camera would, whatever is in them.
- Test views: an image and its mirror image, or itself one pixel further, show the same thing, but a
  network's errors on them differ in part, so the mean of its answers is right more often. Training, and validation
  while it lasts, see images as they are: six views would cost validation six times its time. `recipes.build` does the
  same in Keras, for `run.model`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from fittingroom.engine.epoch import Examples, Logs, StepFunctions
from fittingroom.engine.state import State
from fittingroom.recipes.settings import Augmentation


def changing_images(
    steps: StepFunctions, augmentations: Sequence[Augmentation] = (), views: Sequence[Augmentation] = ()
) -> StepFunctions:
    """The same step functions, which train on changed images, and average their answers over views of an image.

    Args:
        steps: those of the model.
        augmentations: the changes in training; `Blueprint.with_augmentation_seed` has the seed of their random numbers.
        views: what else to look at in prediction: `flip` for the mirror image, `shift` for the image moved.
    """
    augmented = _augmenting(steps, augmentations) if augmentations else steps
    return averaging(augmented, lambda images: _views(images, views)) if views else augmented


def _augmenting(steps: StepFunctions, augmentations: Sequence[Augmentation]) -> StepFunctions:
    return changed_in_training(steps, lambda key, images: _augmented(key, images, augmentations))


def changed_in_training(steps: StepFunctions, change: Callable[[jax.Array, jax.Array], jax.Array]) -> StepFunctions:
    """The same step functions, whose training images go through `change`, with a random key of each step, before."""

    def train_step(state: State, examples: Examples) -> tuple[State, Logs]:
        *optimizer, seed = state.optimizer
        seed = jnp.asarray(seed)
        key = jax.random.fold_in(jax.random.key(seed[0]), seed[1])
        changed = examples._replace(images=change(key, examples.images))
        after, logs = steps.train_step(state._replace(optimizer=tuple(optimizer)), changed)
        return after._replace(optimizer=(*after.optimizer, seed + jnp.array([0, 1], jnp.uint32))), logs

    return dataclasses.replace(steps, train_step=train_step)


def _augmented(key: jax.Array, images: jax.Array, augmentations: Sequence[Augmentation]) -> jax.Array:
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


def _crop(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """A part of each image, at least 100 - percent of its area, is enlarged to the whole (arXiv 1409.4842)."""
    shares, aspects, *places = jax.random.uniform(key, (4, len(images), 1, 1))
    area, aspect = 1 - percent / 100 * shares, (4 / 3) ** (2 * aspects - 1)
    found = []
    for axis, (offsets, side) in enumerate(zip(_from_centre(images), (area / aspect, area * aspect), strict=True)):
        kept = jnp.minimum(jnp.sqrt(side), 1.0)
        found.append(offsets * kept + (1 - kept) * (places[axis] - 0.5) * images.shape[axis + 1])
    return _looked_up(images, *found)


def _colour(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """Brightness, contrast and saturation of each image change by factors of 1 - percent / 100 to 1 + percent / 100."""
    factors = 1 + _uniform(key, (3, len(images), *[1] * (images.ndim - 1)), percent / 100)
    most = jnp.where(_peaks(images) > 1, 255.0, 1.0)  # the value of a white pixel
    images = images * factors[0]
    mean = images.mean(axis=tuple(range(1, images.ndim)), keepdims=True)
    images = mean + factors[1] * (images - mean)
    if images.ndim == 4:
        grey = images.mean(axis=3, keepdims=True)
        images = grey + factors[2] * (images - grey)
    return jnp.clip(images, 0.0, most)


_BENDS = 4  # random movements along each axis of an image; what lies between them follows smoothly


def _rotate(key: jax.Array, images: jax.Array, degrees: int) -> jax.Array:
    """Each image is turned around its centre, by up to so many degrees either way."""
    angles = _uniform(key, (len(images), 1, 1), math.radians(degrees))
    down, right = _from_centre(images)
    return _looked_up(
        images,
        jnp.cos(angles) * down + jnp.sin(angles) * right,
        jnp.cos(angles) * right - jnp.sin(angles) * down,
    )


def _stretch(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """Each image grows or shrinks around its centre by a factor of up to 1 + percent / 100, each axis by its own."""
    factors = jnp.exp(_uniform(key, (2, len(images), 1, 1), math.log1p(percent / 100)))
    down, right = _from_centre(images)
    return _looked_up(images, down / factors[0], right / factors[1])


def _bend(key: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
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


_BACKGROUND = 0.04  # what is darker, in units of the brightest pixel, is background


def _contrast(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """The differences within the foreground, and its mean, change by a factor of up to 1 + percent / 100."""
    return _on_foreground(images, lambda foreground, values: _recontrasted(key, foreground, values, percent))


def _invert(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """In so many percent of the images, on average, what is bright in the foreground becomes dark, and the reverse."""
    chosen = _chosen(key, len(images), percent, images.ndim)
    return _on_foreground(images, lambda _, values: jnp.where(chosen, 1.1 - values, values))


def _texture(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """Blotches, stripes and grain, up to so many percent of the brightest pixel, are added to the foreground."""
    kinds = jax.random.split(key, 4)

    def textured(_: jax.Array, values: jax.Array) -> jax.Array:
        count = len(images)
        strengths = jax.random.uniform(kinds[0], (3, count, 1, 1)) ** 3 * percent / 100
        pattern = strengths[0] * _smooth_noise(kinds[1], images.shape[:3], 5)
        pattern += strengths[1] * _stripes(kinds[2], images.shape[:3])
        pattern += strengths[2] * 0.25 * jax.random.normal(kinds[3], images.shape[:3])
        return values + pattern.reshape(*pattern.shape, *[1] * (images.ndim - 3))

    return _on_foreground(images, textured)


def _bite(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """In so many percent of the images, on average, pieces of the foreground are missing, as where it was not found."""
    which, where, how_much = jax.random.split(key, 3)
    least = 1.0 + 1.5 * jax.random.uniform(how_much, (len(images), 1, 1))
    missing = _smooth_noise(where, images.shape[:3], 6) > least
    missing = missing.reshape(*missing.shape, *[1] * (images.ndim - 3))
    return jnp.where(_chosen(which, len(images), percent, images.ndim) & missing, 0.0, images)


def _clutter(key: jax.Array, images: jax.Array, percent: int) -> jax.Array:
    """In so many percent of the images, on average, pieces of a background are left beside the foreground."""
    which, where, how_much, light = jax.random.split(key, 4)
    least = 1.2 + 1.5 * jax.random.uniform(how_much, (len(images), 1, 1))
    left = _smooth_noise(where, images.shape[:3], 6) > least
    shape = (*left.shape, *[1] * (images.ndim - 3))
    brightness = jax.random.uniform(light, (len(images), *[1] * (images.ndim - 1)), minval=0.2) * _peaks(images)
    added = _chosen(which, len(images), percent, images.ndim) & left.reshape(shape)
    return jnp.where(added & ~_foreground(images), brightness, images)


def _blur(key: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
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


def _smooth_noise(key: jax.Array, shape: tuple[int, ...], cells: int) -> jax.Array:
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


def _recontrasted(key: jax.Array, foreground: jax.Array, values: jax.Array, percent: int) -> jax.Array:
    axes = tuple(range(1, values.ndim))
    mean = (values * foreground).sum(axes, keepdims=True) / jnp.maximum(foreground.sum(axes, keepdims=True), 1)
    most = math.log1p(percent / 100)
    shape = (2, len(values), *[1] * (values.ndim - 1))
    spread, level = jnp.exp(jax.random.uniform(key, shape, minval=-most, maxval=most))
    changed: jax.Array = mean * level + (values - mean) * spread
    return changed


def _on_foreground(images: jax.Array, change: Callable[[jax.Array, jax.Array], jax.Array]) -> jax.Array:
    """Images whose foreground is changed. It stays brighter than the background, and its outline gets no brighter.

    Args:
        images: what is changed.
        change: from where the foreground is and its brightness, in units of the brightest pixel, to a new brightness.
    """
    peaks, foreground = _peaks(images), _foreground(images)
    values = images / peaks
    new = jnp.clip(change(foreground, values), _BACKGROUND, 1.0)
    inside = ~_around(~foreground)
    # Pixels of the outline are mixed with the background; brightened, they would be a bright frame.
    return jnp.where(foreground, jnp.where(inside, new, jnp.minimum(new, values)) * peaks, images)


def _peaks(images: jax.Array) -> jax.Array:
    """The brightest pixel of each image, in its shape but for the batch; never 0."""
    return jnp.maximum(images.max(axis=tuple(range(1, images.ndim)), keepdims=True), 1e-6)


def _foreground(images: jax.Array) -> jax.Array:
    """Where the foreground is, the dark spots in it included: a morphological closing with a window of 3 × 3."""
    return ~_around(~_around(images > _BACKGROUND * _peaks(images)))


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


_CHANGES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "flip": _flip,
        "shift": _shift,
        "cutout": _cutout,
        "rotate": _rotate,
        "stretch": _stretch,
        "bend": _bend,
        "contrast": _contrast,
        "invert": _invert,
        "texture": _texture,
        "bite": _bite,
        "clutter": _clutter,
        "blur": _blur,
        "crop": _crop,
        "colour": _colour,
    }
)


def averaging(steps: StepFunctions, views: Callable[[jax.Array], Sequence[jax.Array]]) -> StepFunctions:
    """The same step functions, whose answers are the mean over `views` of what is asked about."""

    def answer(state: State, images: jax.Array) -> jax.Array:
        found = [steps.log_probabilities(steps.forward(state, view)) for view in views(images)]
        return jax.nn.logsumexp(jnp.stack(found), axis=0) - math.log(len(found))

    return dataclasses.replace(steps, answer=answer)


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
