"""`NumpyImage`: a picture in an array, with the few methods of Pillow's images that the conversion of photos calls.

With it, arrays are converted where Pillow is not installed. Pictures that Pillow has opened keep their own methods.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.exports.program.numpy_resize import resampled

Array = NDArray[Any]


class Resampling(IntEnum):
    """How pictures are resized."""

    BILINEAR = 2
    BOX = 4


class NumpyImage:
    """A picture.

    Args:
        pixels: uint8, `(height, width)` grey or `(height, width, 3)` RGB.
    """

    def __init__(self, pixels: Array) -> None:
        self.pixels = pixels
        self.height, self.width = pixels.shape[:2]
        self.size = (self.width, self.height)
        self.mode = "L" if pixels.ndim == 2 else "RGB"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.pixels, dtype, copy=copy)

    def convert(self, mode: str) -> NumpyImage:
        """The picture as `L` or `RGB`."""
        if mode == self.mode:
            return self
        if mode == "RGB":
            return NumpyImage(np.repeat(self.pixels[..., None], 3, axis=2))
        weighted = self.pixels.astype(np.int64) @ np.array([19595, 38470, 7471])
        return NumpyImage(((weighted + (1 << 15)) >> 16).astype(np.uint8))

    def resize(
        self,
        size: tuple[int, int],
        method: int,
        box: tuple[float, ...] | None = None,
        reducing_gap: float | None = None,
    ) -> NumpyImage:
        """The picture, or a box of it (left, top, right, bottom), at another size (width, height).

        A `reducing_gap` saves Pillow time on large pictures; here it changes nothing.
        """
        del reducing_gap
        return NumpyImage(resampled(self.pixels, size, box_filter=method == Resampling.BOX, part=box))

    def paste(self, other: Any, place: tuple[int, int]) -> None:
        """Lays another picture on this one, its upper left corner at the place (left, top)."""
        left, top = place
        pixels = np.asarray(other)
        self.pixels[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels


def fromarray(pixels: Array) -> NumpyImage:
    """The picture that an array holds."""
    return NumpyImage(pixels)


def new(mode: str, size: tuple[int, int]) -> NumpyImage:
    """A black picture of a size (width, height)."""
    return NumpyImage(np.zeros((size[1], size[0]) if mode == "L" else (size[1], size[0], 3), np.uint8))
