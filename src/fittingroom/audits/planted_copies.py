"""Copies as they come about (shifted, mirrored, saved again, brighter or darker), planted to see what is found."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from fittingroom.data.values import Images
from fittingroom.seeds import generator

_MOST_SHIFT, _OF_TINY, _TINY = 2, 1, 16  # pixels, each way; of images with a side below so many pixels
_BRIGHTNESS = (0.9, 1.1)
_JPEG_QUALITY = (50, 95)  # from what messengers send to what cameras keep

KINDS = ("shifted", "mirrored", "recompressed", "brighter or darker", "all of these")
"""What is done to an image to get a copy of it."""


def planted_copies(images: Images, scale: float, seed: int) -> Mapping[str, Images]:
    """A copy of each image by each of `KINDS`, with random shifts, qualities and brightness.

    Args:
        images: uint8, `(n, height, width)` or `(n, height, width, 3)`.
        scale: the value of white.
        seed: of the random numbers; equal arguments give equal copies on one version of Pillow.
    """
    draw = _Draw(np.asarray(images), scale, seed)
    return {
        "shifted": draw.shifted(draw.images),
        "mirrored": draw.images[:, :, ::-1],
        "recompressed": draw.recompressed(draw.images),
        "brighter or darker": draw.brightened(draw.images),
        "all of these": draw.recompressed(draw.brightened(draw.shifted(draw.mirrored(draw.images)))),
    }


class _Draw:
    """Random changes of some images."""

    def __init__(self, images: Images, scale: float, seed: int) -> None:
        self.images, self._scale = images, scale
        self._random = generator(seed, "copies")

    def shifted(self, images: Images) -> Images:
        """By 1 or 2 pixels in a direction, of tiny images by 1; what comes in is black, or continues the edge."""
        size = _MOST_SHIFT if min(images.shape[1:3]) >= _TINY else _OF_TINY
        moves = [(down, right) for down in range(-size, size + 1) for right in range(-size, size + 1) if down or right]
        chosen = self._random.integers(len(moves), size=len(images))
        fills = self._random.random(len(images)) < 0.5
        copies = images.copy()
        height, width = images.shape[1:3]
        for row, move in enumerate(chosen):
            down, right = moves[int(move)]
            from_rows, from_columns = np.arange(height) - down, np.arange(width) - right
            copy = images[row][np.clip(from_rows, 0, height - 1)][:, np.clip(from_columns, 0, width - 1)]
            if fills[row]:
                copy[(from_rows < 0) | (from_rows >= height)] = 0
                copy[:, (from_columns < 0) | (from_columns >= width)] = 0
            copies[row] = copy
        return copies

    def mirrored(self, images: Images) -> Images:
        """Every second one, left to right."""
        chosen = (self._random.random(len(images)) < 0.5).reshape(-1, *[1] * (images.ndim - 1))
        return np.where(chosen, images[:, :, ::-1], images)

    def brightened(self, images: Images) -> Images:
        """By up to 10%; what would be lighter than white is white."""
        factors = self._random.uniform(*_BRIGHTNESS, len(images)).reshape(-1, *[1] * (images.ndim - 1))
        return np.rint(np.minimum(images * factors, self._scale)).astype(np.uint8)

    def recompressed(self, images: Images) -> Images:
        """As JPEG of some quality, and back."""
        from PIL import Image

        qualities = self._random.integers(*_JPEG_QUALITY, len(images), endpoint=True)
        levels = 255 / self._scale
        copies = np.empty_like(images)
        for row, image in enumerate(images):
            file = io.BytesIO()
            Image.fromarray(np.rint(np.minimum(image * levels, 255)).astype(np.uint8)).save(
                file, "JPEG", quality=int(qualities[row])
            )
            with Image.open(file) as saved:
                copies[row] = np.rint(np.asarray(saved) / levels)
        return copies
