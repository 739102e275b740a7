"""A picture of a dataset: its first images of each class, in rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fittingroom.data.arrays import Images
from fittingroom.data.dataset import Part
from fittingroom.files import write_atomically

_GAP = 2
_SMALLEST_CELL = 28


def write_sprite(part: Part, path: Path, per_class: int = 10) -> None:
    """Writes a PNG with one row for each class, in order, of its first images.

    Images smaller than 28 pixels are enlarged by a whole factor.

    Args:
        part: where the images are taken from.
        path: the file to write.
        per_class: images in a row.

    Raises:
        StorageError: the file cannot be written.
    """
    from PIL import Image

    picture = Image.fromarray(sprite(part, per_class))
    write_atomically(path, lambda stream: picture.save(stream, format="PNG"))


def sprite(part: Part, per_class: int) -> Images:
    """The pixels of the picture that `write_sprite` writes; white between the images and where a class has fewer."""
    height, width, *channels = part.images.shape[1:]
    enlarged = max(-(-_SMALLEST_CELL // min(height, width)), 1)
    high, wide = height * enlarged + _GAP, width * enlarged + _GAP
    canvas = np.full((high * len(part.classes) + _GAP, wide * per_class + _GAP, *channels), 255, np.uint8)
    for row in range(len(part.classes)):
        for column, index in enumerate(np.flatnonzero(part.labels == row)[:per_class]):
            image = np.rint(part.images[index] * (255 / part.scale)).astype(np.uint8)
            image = image.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
            top, left = row * high + _GAP, column * wide + _GAP
            canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
