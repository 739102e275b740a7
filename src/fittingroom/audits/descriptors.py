"""A few numbers for an image that a copy of it shares, however it was shifted, mirrored, saved again or brightened.

The magnitudes of an image's Fourier transform do not change when it is shifted, and added to those of its mirror image
not when it is mirrored. What shifting still changes at the edges, and saving again in the fine detail, is learned from
copies that are planted into the data themselves: directions in which copies differ from their originals count little,
those in which images differ from each other count much (Fisher's linear discriminant, each image being a class).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.data.values import Images, image_blocks

Float32 = npt.NDArray[np.float32]

SMALL = 32
"""Pixels of the longer side of the images that are compared; smaller images stay as they are."""

_NARROW, _LONGEST = 16, 256  # pixels: of what is long and narrow the shorter side keeps so many, if the longer one may

_DIMENSIONS = 96
_LEAST_VARIANCE = 0.01  # of the mean one: in directions that planted copies hardly change, others may
_BLOCK = 4096  # images that are transformed at a time
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # as in ITU-R BT.601


def small_images(images: Any, progress: Callable[[int, int], None] | None = None) -> Images:
    """The images at most 32 pixels high and wide, each new pixel the mean of those that it covers.

    Of images that are more than twice as long as wide, the shorter side has 16 pixels, and the longer one at most 256.

    Args:
        images: uint8, `(n, height, width)` or `(n, height, width, 3)`: an array, or a `StoredImages` whose blocks are
            read one after the other.
        progress: told how many are done, of how many.
    """
    height, width = images.shape[1:3]
    if max(height, width) <= SMALL:
        return np.concatenate([np.asarray(block) for block in image_blocks(images)])
    from PIL import Image

    longer, shorter = max(height, width), min(height, width)
    factor = min(max(SMALL / longer, min(_NARROW / shorter, 1)), max(_LONGEST, SMALL) / longer)
    size = max(round(width * factor), 2), max(round(height * factor), 2)
    small = np.empty((len(images), size[1], size[0], *images.shape[3:]), np.uint8)
    for row, image in enumerate(image for block in image_blocks(images) for image in block):
        if progress is not None and row % 500 == 0:
            progress(row, len(images))
        small[row] = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    return small


def grey(images: Images) -> Float32:
    """Images as float32, `(n, height, width)`; of colours their luminance."""
    values = np.asarray(images, np.float32)
    return values if values.ndim == 3 else np.asarray(values @ _GREY, np.float32)


@dataclass(frozen=True, eq=False)
class Descriptor:
    """From small images to points whose distance is small for copies.

    Args:
        mean: of the magnitudes, `(magnitudes,)`.
        directions: `(magnitudes, dimensions)`.
    """

    mean: Float32
    directions: Float32

    @classmethod
    def learned(cls, originals: Images, copies: Sequence[Images]) -> Descriptor:
        """The directions that tell these images apart and their copies not.

        Args:
            originals: small images, at least 2.
            copies: several of each, in the same order.
        """
        from scipy.linalg import eigh

        magnitudes = _magnitudes(originals)
        changes = np.concatenate([_magnitudes(each) - magnitudes for each in copies]).astype(np.float64)
        within = changes.T @ changes / len(changes)
        within += np.eye(len(within)) * max(float(np.trace(within)) / len(within) * _LEAST_VARIANCE, 1e-12)
        mean = magnitudes.mean(axis=0)
        centred = (magnitudes - mean).astype(np.float64)
        many = len(within)
        _, vectors = eigh(
            centred.T @ centred / len(centred), within, subset_by_index=[max(many - _DIMENSIONS, 0), many - 1]
        )
        return cls(mean, np.ascontiguousarray(vectors[:, ::-1], np.float32))

    def of(self, images: Images) -> Float32:
        """The points of small images, `(n, dimensions)`; in units of what planting a copy changes."""
        return np.asarray((_magnitudes(images) - self.mean) @ self.directions, np.float32)


def _magnitudes(images: Images) -> Float32:
    """What neither a shift nor a mirror changes, of length 1 for each image."""
    return np.concatenate([_of_block(block) for block in _blocks(images)])


def _blocks(images: Images) -> Iterator[Float32]:
    for start in range(0, len(images), _BLOCK):
        yield grey(images[start : start + _BLOCK])


def _of_block(images: Float32) -> Float32:
    from scipy import fft

    # With a border, so that what is shifted out on one side does not come in on the other.
    rows, columns = ((side + 5) // 2 * 2 for side in images.shape[1:])
    found = np.abs(fft.rfft2(images, (rows, columns), axes=(1, 2)))
    half = rows // 2
    found[:, 1:half] += found[:, :half:-1]  # the mirror image has them in the other order
    found[:, [0, half]] *= 2
    flat = found[:, : half + 1].reshape(len(images), -1)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), np.float32)
