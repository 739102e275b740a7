"""Photographs made of a dataset's own images: what a model's answers to photos are corrected by.

Each thing is enlarged, turned, widened, bent, folded and lit at random, and then goes the way of a photo. They are no
photographs, but a model confuses in them what it confuses in real ones, and their true classes are known. How the
changes are drawn was set by eye. Nothing is mirrored, as a digit would become another sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.photos.conversion import of_thing
from fittingroom.photos.foreground import Mask
from fittingroom.photos.style import ThingStyle
from fittingroom.seeds import generator

_LARGER = 3  # pixels of a photo for each of an image of 28 x 28
_FRAME = 8  # of these pixels of the image, on each side of it
_APART = 12  # of 255: what is nearer to the background is no part of the thing

Floats = NDArray[np.float32]


def made_inputs(images: NDArray[np.uint8], style: ThingStyle, scale: float) -> NDArray[np.uint8]:
    """Images of a dataset, each as a model would see a photo of the thing in it; the same ones every time.

    Where the thing is counts as found.

    Args:
        images: `(n, height, width)` or `(n, height, width, 3)`.
        style: of the dataset.
        scale: the largest value of its images; what comes back is on it, too.
    """
    made = []
    for number, image in enumerate(images):
        picture, mask = made_photo(image * np.float32(255 / scale), style, generator(0, "augment", number))
        made.append(of_thing(picture, mask, style, image.shape)[-1].picture)
    return np.asarray(np.rint(np.stack(made) * (scale / 255)), np.uint8)


def made_photo(image: Floats, style: ThingStyle, random: np.random.Generator) -> tuple[NDArray[np.uint8], Mask]:
    """A picture of the thing in an image, and where the thing is in it; what lies around it means nothing.

    Args:
        image: 0 to 255, `(height, width)` or `(height, width, 3)`.
        style: of the dataset that has it.
        random: what the changes are drawn from.

    Returns:
        `(h, w, 3)` and `(h, w)`.
    """
    import cv2

    grey = image if image.ndim == 2 else image.mean(axis=2)
    apart = (np.abs(grey - style.background) > _APART).astype(np.float32)
    closed = cv2.morphologyEx(apart, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    rows, columns = _places(grey.shape, random)
    mask = np.asarray(cv2.remap(closed, columns, rows, cv2.INTER_LINEAR) > 0.5)
    if not mask.any():  # a thing of hardly any pixels
        mask[:] = True
    thing = np.asarray(cv2.remap(image, columns, rows, cv2.INTER_CUBIC), np.float32)
    lit = thing.reshape(*mask.shape, -1)
    lit = (lit - lit[mask].mean()) * np.float32(np.exp(random.normal(0, 0.4))) + _light(mask.shape, random)[..., None]
    lit = np.broadcast_to(lit, (*mask.shape, 3))
    return np.rint(np.clip(lit, 0, 255)).astype(np.uint8), mask


def _places(shape: tuple[int, ...], random: np.random.Generator) -> tuple[Floats, Floats]:
    """Where each pixel of the photo lies in the image, in its rows and columns: turned, widened, bent."""
    sides = [side + 2 * _FRAME * side / 28 for side in shape]
    larger = _LARGER * 28 / max(shape)
    rows, columns = np.mgrid[: round(sides[0] * larger), : round(sides[1] * larger)].astype(np.float32)
    down, right = rows / larger - sides[0] / 2, columns / larger - sides[1] / 2
    angle, wider = np.radians(random.normal(0, 8)), np.exp(random.uniform(-0.1, 0.4))
    bends = [blotches(rows.shape, 5, random) * random.uniform(0, max(shape) / 28) for _ in range(2)]
    turned = np.cos(angle) * down + np.sin(angle) * right, np.cos(angle) * right - np.sin(angle) * down
    return (
        np.asarray(turned[0] + bends[0] + (shape[0] - 1) / 2, np.float32),
        np.asarray(turned[1] / wider + bends[1] + (shape[1] - 1) / 2, np.float32),
    )


def _light(shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """The brightness of plain cloth: any level, folds, and light from one side."""
    light = np.full(shape, random.uniform(60, 200))
    for least, most, strength in ((5, 14, 45), (12, 28, 25)):  # wide folds and small ones
        light += blotches(shape, int(random.integers(least, most)), random) * random.uniform(0, strength)
    slope = random.normal(0, 15, 2)
    light += slope[0] * np.linspace(-1, 1, shape[0])[:, None] + slope[1] * np.linspace(-1, 1, shape[1])
    return np.asarray(light, np.float32)


def blotches(shape: tuple[int, ...], cells: int, random: np.random.Generator) -> NDArray[Any]:
    """Smooth noise with mean 0 and a deviation of about 1, so many blotches high and wide."""
    import cv2

    coarse = random.normal(size=(cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC))
