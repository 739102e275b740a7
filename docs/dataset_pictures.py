"""Draws the pictures of the made datasets: `python -m docs.dataset_pictures`.

A column for each class, with the first training images of it; they are the same on every machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fittingroom.data.catalogue import CATALOGUE
from fittingroom.data.load import load
from fittingroom.data.made.made_entries import MADE

PICTURES = Path(__file__).parent / "images" / "datasets"
_ROWS, _GAP, _SIDE = 4, 2, 28


def picture(name: str) -> Image.Image:
    """The first images of each class of a dataset, small ones enlarged by a whole factor."""
    part = load(name).train
    factor = _SIDE // CATALOGUE[name].image_shape[0]
    cell = _SIDE + _GAP
    canvas = np.full((_ROWS * cell + _GAP, len(part.classes) * cell + _GAP), 255, np.uint8)
    for column in range(len(part.classes)):
        for row, index in enumerate(np.flatnonzero(part.labels == column)[:_ROWS]):
            image = part.images[index].repeat(factor, axis=0).repeat(factor, axis=1)
            top, left = row * cell + _GAP, column * cell + _GAP
            canvas[top : top + _SIDE, left : left + _SIDE] = image
    return Image.fromarray(canvas)


def main() -> None:
    """Writes all of them."""
    PICTURES.mkdir(exist_ok=True)
    for entry in MADE:
        picture(entry.name).save(PICTURES / f"{entry.name}.png", optimize=True)


if __name__ == "__main__":
    main()
