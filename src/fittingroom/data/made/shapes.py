"""The dataset `shapes`: ten shapes among strokes, at random places, sizes and angles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.catalogue_entries import CatalogueEntry
from fittingroom.data.made.outline_filling import SIDE, Draws, Outline, filled, placed
from fittingroom.data.values import Images, Labels

_DATASET = 2

_STROKES = 3
"""Strokes in each image at most; one at least."""

_TURN, _SHIFT = 0.4, 3.0
"""Radians and pixels, at most, to either side."""


def shapes(entry: CatalogueEntry, count: int, part: int) -> tuple[Images, Labels]:
    """Images of one part, the classes in turn.

    Args:
        entry: of the dataset; its classes are the names of the shapes.
        count: the number of images.
        part: 0 for what is learned from, 1 for the test part.
    """
    outlines = _outlines()
    draws = Draws(_DATASET, part)
    labels = (np.arange(count) % len(entry.classes)).astype(np.int32)
    images = np.stack([_image(outlines[entry.classes[label]], draws) for label in labels.tolist()])
    return images, labels


def _image(shape: list[Outline], draws: Draws) -> NDArray[np.uint8]:
    """A shape, lighter than its ground, over strokes of any brightness, under noise."""
    ground, light = draws.between(0, 80), draws.between(150, 255)
    image = np.full((SIDE, SIDE), int(ground), np.int64)
    for _ in range(1 + draws.below(_STROKES)):
        image = _over(image, filled(_stroke(draws)), int(draws.between(0, 200)))
    radius = draws.between(7, 10.5)
    size = (radius * draws.between(0.8, 1.0), radius * draws.between(0.8, 1.0))
    centre = (SIDE / 2 + draws.between(-_SHIFT, _SHIFT), SIDE / 2 + draws.between(-_SHIFT, _SHIFT))
    turned = placed(shape, size=size, turn=draws.between(-_TURN, _TURN), centre=centre)
    image = _over(image, filled(turned), int(light))
    return (image + draws.noise(22)).clip(0, 255).astype(np.uint8)


def _over(image: NDArray[np.int64], cover: NDArray[np.int64], value: int) -> NDArray[np.int64]:
    """An image with one value laid over it, where a cover of 0 to 255 says."""
    return (image * (255 - cover) + value * cover + 127) // 255


def _stroke(draws: Draws) -> list[Outline]:
    half, length = draws.between(0.4, 1.2), draws.between(5, 14)
    bar = np.array([(-length, -half), (length, -half), (length, half), (-length, half)])
    centre = (draws.between(0, SIDE), draws.between(0, SIDE))
    return placed([bar], size=(1, 1), turn=draws.between(0, math.pi), centre=centre)


def _outlines() -> dict[str, list[Outline]]:
    """The shapes about (0, 0), within a circle of about 1."""
    return {
        "ellipse": [_ring(32)],
        "triangle": [_ring(3)],
        "rectangle": [_ring(4)],
        "pentagon": [_ring(5)],
        "hexagon": [_ring(6)],
        "star": [_ring(10, (1.0, 0.45))],
        "cross": [_cross(0.33)],
        "arrow": [np.array([(-1, -0.3), (0.1, -0.3), (0.1, -0.8), (1, 0), (0.1, 0.8), (0.1, 0.3), (-1, 0.3)])],
        "crescent": [_crescent()],
        "heart": [_heart()],
    }


def _ring(points: int, radii: tuple[float, ...] = (1.0,)) -> Outline:
    """Points on a circle, or in turn on several."""
    return np.array([
        (radius * math.sin(turn), -radius * math.cos(turn))
        for k in range(points)
        for radius, turn in [(radii[k % len(radii)], 2 * math.pi * k / points)]
    ])  # fmt: skip


def _cross(half: float) -> Outline:
    quarter = [(half, -1.0), (half, -half), (1.0, -half)]
    found = []
    for _ in range(4):
        found += quarter
        quarter = [(-y, x) for x, y in quarter]
    return np.array(found)


def _crescent() -> Outline:
    """A circle without the part of a smaller one that is moved to the right."""
    outer = [(-math.cos(turn), math.sin(turn)) for turn in np.linspace(-2.2, 2.2, 25).tolist()]
    end_x, end_y = outer[-1]
    reach = math.atan2(end_y, end_x - 0.45)
    radius = math.hypot(end_x - 0.45, end_y)
    inner = [
        (0.45 + radius * math.cos(turn), radius * math.sin(turn))
        for turn in np.linspace(reach, 2 * math.pi - reach, 25).tolist()
    ]
    return np.array(outer + inner[1:-1])


def _heart() -> Outline:
    """The usual curve of sines and cosines."""
    return np.array([
        (
            16 * math.sin(t) ** 3 / 17,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 17 - 0.15,
        )
        for t in (2 * math.pi * k / 40 for k in range(40))
    ])  # fmt: skip
