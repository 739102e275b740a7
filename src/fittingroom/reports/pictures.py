"""Pictures in a page: thumbnails of many images in one PNG, and rows of a few."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

COLUMNS = 32
LARGEST_SIDE = 32
"""Thumbnails are made smaller than this where images are larger, in pixels."""


@dataclass(frozen=True)
class Sheet:
    """Thumbnails side by side in one picture, `COLUMNS` in a row.

    Args:
        url: the PNG as a `data:` address.
        rows: how many rows.
        ratio: width of an image over its height.
    """

    url: str
    rows: int
    ratio: float

    @property
    def style(self) -> str:
        """The style rule that gives elements of the class `thumb` this picture."""
        return f".thumb{{background-image:url({self.url})}}"


def sheet(images: Pixels, scale: float) -> Sheet:
    """The thumbnails of images `(n, height, width[, 3])`, in order; `scale` is what divides them to lie in 0 to 1."""
    small = _small(_shades(images, scale))
    rows = -(-len(small) // COLUMNS)
    padded = np.zeros((rows * COLUMNS, *small.shape[1:]), np.uint8)
    padded[: len(small)] = small
    height, width, *channels = small.shape[1:]
    table = padded.reshape(rows, COLUMNS, height, width, *channels).swapaxes(1, 2)
    return Sheet(_url(table.reshape(rows * height, COLUMNS * width, *channels)), rows, width / height)


def strip(images: Pixels, scale: float) -> str:
    """A few images in a row, as a `data:` address."""
    return _url(np.concatenate(list(_small(_shades(images, scale))), axis=1))


def thumbnail_bytes(image_shape: tuple[int, ...]) -> int:
    """Bytes of a thumbnail before it is compressed."""
    height, width = _thumbnail_size(image_shape)
    return height * width * (image_shape[2] if len(image_shape) > 2 else 1)


def _thumbnail_size(image_shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = image_shape[:2]
    factor = min(LARGEST_SIDE / max(height, width), 1.0)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def _small(images: Pixels) -> Pixels:
    """The images, made smaller where they are larger than a thumbnail may be."""
    from PIL import Image

    height, width = _thumbnail_size(images.shape[1:])
    if (height, width) == images.shape[1:3]:
        return images
    return np.stack(
        [np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX)) for image in images]
    )


def _shades(images: Pixels, scale: float) -> Pixels:
    """The images with 255 for the brightest shade there can be."""
    if scale == 255:
        return images
    return np.asarray(np.clip(np.rint(images * (255 / scale)), 0, 255), np.uint8)


def _url(pixels: npt.NDArray[Any]) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=9)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
