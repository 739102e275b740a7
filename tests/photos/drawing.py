"""Pictures made for the tests: a shirt, as a photo and as in training data."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

_RIGHT_HALF = ((0.7, 0.0), (1.0, 0.2), (0.9, 0.4), (0.75, 0.3), (0.75, 1.0))
_OUTLINE = (*_RIGHT_HALF, *((1 - x, y) for x, y in reversed(_RIGHT_HALF)))


def shirt_mask(size: tuple[int, int], corner: tuple[int, int], side: tuple[int, int]) -> Any:
    """Where the shirt is: `(height, width)` of bool. All sizes are (width, height)."""
    picture = Image.new("1", size)
    points = [(corner[0] + x * (side[0] - 1), corner[1] + y * (side[1] - 1)) for x, y in _OUTLINE]
    ImageDraw.Draw(picture).polygon(points, fill=1)
    return np.asarray(picture)


def photo(
    size: tuple[int, int] = (300, 400),
    corner: tuple[int, int] = (70, 60),
    side: tuple[int, int] = (170, 260),
    colour: tuple[int, int, int] = (40, 50, 120),
) -> tuple[Image.Image, Any]:
    """A shirt on a mottled floor, and where it is."""
    generator = np.random.default_rng(0)
    mask = shirt_mask(size, corner, side)
    floor = np.array([190, 170, 140], np.float32) + generator.normal(0, 8, (size[1], size[0], 1))
    floor += 10 * np.sin(np.arange(size[0]) / 9)[None, :, None]  # boards
    cloth = np.array(colour, np.float32) + generator.normal(0, 6, (size[1], size[0], 1))
    pixels = np.where(mask[..., None], cloth, floor)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), mask


def training_images(count: int = 60, bright: int = 160) -> Any:
    """Shirts of several widths, bright on black, as high as the image: `(n, 28, 28)`."""
    generator = np.random.default_rng(1)
    images = np.zeros((count, 28, 28), np.uint8)
    for image in images:
        width = int(generator.integers(16, 24))
        mask = shirt_mask((28, 28), ((28 - width) // 2, 0), (width, 28))
        image[mask] = np.clip(generator.normal(bright, 40, mask.sum()), 30, 255)
    return images
