"""Synthetic photos: made from a dataset's own images, whose classes are known, and converted as photos are.

Each foreground is enlarged, turned, widened, bent, folded and lit at random. They are no photographs, but a model
confuses in them what it confuses in real ones, so answers to photos are recalibrated on them. How the changes are drawn
was set by eye. Nothing is mirrored, as a digit would become another sign.

A run makes 3,000 before it answers its first photo, so they are made in blocks, whose silhouettes are compared with
those of training images by one product of matrices.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.photos.conversion import Cutout, Floats, ForegroundStyle, Pixels
from fittingroom.photos.foreground import Mask
from fittingroom.seeds import generator

_LARGER = 3  # pixels of a photo for each of an image of 28 x 28
_MARGIN = 8  # of these pixels of the image, on each side of it
_APART = 12  # of 255: what is nearer to the background is not foreground

_BLOCK = 250  # images; the pictures of a block of 28 x 28 have 5 MB


def synthetic_inputs(images: NDArray[np.uint8], style: ForegroundStyle, scale: float) -> NDArray[np.uint8]:
    """Images of a dataset, each as a model would see a photo of its foreground; the same ones every time.

    Where the foreground is counts as known.

    Args:
        images: `(n, height, width)` or `(n, height, width, 3)`.
        style: of the dataset.
        scale: the largest value of its images; what comes back is on it, too.
    """
    shape = images.shape[1:]

    def block(start: int) -> list[Pixels]:
        numbered = enumerate(images[start : start + _BLOCK], start)
        cutouts = [
            Cutout.of(*synthetic_photo(image * np.float32(255 / scale), style, generator(0, "augment", number)))
            for number, image in numbered
        ]
        chosen = zip(cutouts, Cutout.likest(cutouts, style), strict=True)
        return [cutout.image(mask, style, shape) for cutout, mask in chosen]

    made = [image for start in range(0, len(images), _BLOCK) for image in block(start)]
    return np.asarray(np.rint(np.stack(made) * (scale / 255)), np.uint8)


def synthetic_photo(image: Floats, style: ForegroundStyle, random: np.random.Generator) -> tuple[Pixels, Mask]:
    """A picture of an image's foreground, and where it is in the picture; what lies around it means nothing.

    Args:
        image: 0 to 255, `(height, width)` or `(height, width, 3)`.
        style: of the dataset that has it.
        random: what the changes are drawn from.

    Returns:
        `(h, w)` where the image is grey, else `(h, w, 3)`; and `(h, w)`.
    """
    import cv2

    grey = image if image.ndim == 2 else image.mean(axis=2)
    apart = (np.abs(grey - style.background) > _APART).astype(np.float32)
    closed = cv2.morphologyEx(apart, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    rows, columns = _places(grey.shape, random)
    mask = np.asarray(cv2.remap(closed, columns, rows, cv2.INTER_LINEAR) > 0.5)
    if not mask.any():  # a foreground of hardly any pixels
        mask[:] = True
    moved = np.asarray(cv2.remap(image, columns, rows, cv2.INTER_CUBIC), np.float32)
    strength = np.float32(np.exp(random.normal(0, 0.4)))
    light = _light(mask.shape, random).reshape(*mask.shape, *[1] * (image.ndim - 2))
    lit = (moved - moved[mask].mean()) * strength + light
    return np.rint(np.clip(lit, 0, 255)).astype(np.uint8), mask


def _places(shape: tuple[int, ...], random: np.random.Generator) -> tuple[Floats, Floats]:
    """Where each pixel of the photo lies in the image, in its rows and columns: turned, widened, bent."""
    down, right = _from_the_middle(shape)
    angle, wider = np.radians(random.normal(0, 8)), np.exp(random.uniform(-0.1, 0.4))
    size = down.shape[0], right.shape[1]
    bends = [smooth_noise(size, 5, random) * random.uniform(0, max(shape) / 28) for _ in range(2)]
    turned = np.cos(angle) * down + np.sin(angle) * right, np.cos(angle) * right - np.sin(angle) * down
    return (
        np.asarray(turned[0] + bends[0] + (shape[0] - 1) / 2, np.float32),
        np.asarray(turned[1] / wider + bends[1] + (shape[1] - 1) / 2, np.float32),
    )


@lru_cache(maxsize=4)
def _from_the_middle(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """How far each row of a photo is below its middle, `(h, 1)`, and each column right of it, `(1, w)`, in pixels.

    These are pixels of the image, which has this shape.
    """
    sides = [side + 2 * _MARGIN * side / 28 for side in shape]
    larger = _LARGER * 28 / max(shape)
    rows, columns = (np.arange(round(side * larger), dtype=np.float32) for side in sides)
    return (rows / larger - sides[0] / 2)[:, None], (columns / larger - sides[1] / 2)[None]


def _light(shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """The brightness of plain cloth: any level, folds, and light from one side."""
    light = np.full(shape, random.uniform(60, 200))
    for least, most, strength in ((5, 14, 45), (12, 28, 25)):  # wide folds and small ones
        light += smooth_noise(shape, int(random.integers(least, most)), random) * random.uniform(0, strength)
    slope = random.normal(0, 15, 2)
    light += slope[0] * np.linspace(-1, 1, shape[0])[:, None] + slope[1] * np.linspace(-1, 1, shape[1])
    return np.asarray(light, np.float32)


def smooth_noise(shape: tuple[int, ...], cells: int, random: np.random.Generator) -> NDArray[Any]:
    """Smooth noise with mean 0 and a deviation of about 1, so many blotches high and wide.

    Args:
        shape: `(height, width)` of what comes back.
        cells: blotches along each edge.
        random: what it is drawn from.
    """
    import cv2

    coarse = random.normal(size=(cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC))
