"""Fifteen ways in which pictures go wrong, in five severities each, with the same bits on every machine.

`corrupted(images, "fog", 3)` gives the images back as fog would show them. What is drawn by chance belongs to the
image (a hash of its pixels) and the seed: not to its place, the batch, or the other images. All severities of an image
share it, so a scribble only grows. Everything is computed with whole numbers, or with numbers whose sums are whole and
exact, so neither the processor nor the version of NumPy can change a bit; `tests/audits/test_corruptions.py` holds
their hashes.

Sizes are shares of the side of the image, and brightness is a share of its range: a blur looks the same on 28×28
pixels and on a photograph. The noise alone is that of each pixel. Severity 1 is slight, and at 5 a person still names
most things. After Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations, ICLR 2019 (arXiv 1903.12261), and Mu and Gilmer, MNIST-C, 2019 (arXiv 1906.02337).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.block_compression import compressed
from fittingroom.audits.drawn_over import fogged, occluded, scribbled, striped
from fittingroom.audits.image_bits import NORMAL_UNIT, ImageBits
from fittingroom.audits.warps import blurred, moved, rotated, scaled, sheared, shifted
from fittingroom.errors import InputError
from fittingroom.text import word_list

SEVERITIES = 5

Pixels = npt.NDArray[np.int32]
"""`(n, height, width, channels)`, 0 to the brightest value."""

_Corruption = Callable[[Pixels, int, int, ImageBits], Pixels]
"""From images, the brightest value and a level of 0 to 4 to images of that shape, which are then cut to the range."""

_PIXELS_AT_ONCE = 400_000  # what the caches of a processor hold; larger blocks take longer for each image


def _noisy(pixels: Pixels, top: int, level: int, bits: ImageBits) -> Pixels:
    """Gaussian noise on each value."""
    thousandths = (40, 80, 120, 180, 260)[level] * top
    drawn = bits.normal(pixels[0].size).reshape(pixels.shape)
    return pixels + _divided(drawn * np.int64(thousandths), 1000 * NORMAL_UNIT)


def _lit(pixels: Pixels, top: int, level: int, bits: ImageBits) -> Pixels:
    """Darker towards black, or brighter towards white, one or the other by chance."""
    percent = (90, 76, 60, 44, 28)[level]
    brighter = bits.below(2, 1)[:, :, None, None] == 1
    return np.where(brighter, top - _divided((top - pixels) * percent, 100), _divided(pixels * percent, 100))


def _flattened(pixels: Pixels, top: int, level: int, bits: ImageBits) -> Pixels:
    """Less contrast: every value drawn towards the mean of the image."""
    del top, bits
    percent = (70, 50, 35, 22, 12)[level]
    mean = _divided(pixels.sum(axis=(1, 2, 3), dtype=np.int64), pixels[0].size)[:, None, None, None]
    return mean + _divided((pixels - mean) * percent, 100)


def _inverted(pixels: Pixels, top: int, level: int, bits: ImageBits) -> Pixels:
    """Values from a threshold on inverted, as a solarised picture has them; at the last severity, all of them."""
    del bits
    percent = (80, 60, 40, 20, 0)[level]
    return np.where(pixels * 100 >= top * percent, top - pixels, pixels)


CORRUPTIONS: Mapping[str, _Corruption] = MappingProxyType(
    {
        "noise": _noisy,
        "blur": blurred,
        "motion": moved,
        "shear": sheared,
        "scale": scaled,
        "rotation": rotated,
        "shift": shifted,
        "brightness": _lit,
        "contrast": _flattened,
        "fog": fogged,
        "stripes": striped,
        "scribbles": scribbled,
        "occlusion": occluded,
        "jpeg": compressed,
        "inversion": _inverted,
    }
)
"""By name, in the order in which tables list them."""


def corrupted(
    images: npt.NDArray[np.uint8], name: str, severity: int, *, scale: float = 255.0, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """Images as a corruption of a severity makes them, uint8 of the same shape, at most `scale`.

    Args:
        images: uint8, `(n, height, width)` or `(n, height, width, channels)`, from 0 to `scale`.
        name: one of `CORRUPTIONS`.
        severity: 1 (slight) to 5.
        scale: the brightest value there is, 1 to 255.
        seed: another one draws other noise, scribbles and directions; 0 to 2**64 - 1.

    Raises:
        InputError: no corruption has this name, or another argument is out of its range.
    """
    top = round(scale)
    if name not in CORRUPTIONS:
        raise InputError(f"{name!r} is not a corruption. There are {word_list(CORRUPTIONS)}.")
    if severity not in range(1, SEVERITIES + 1):
        raise InputError(f"severity={severity!r}: expected 1, 2, 3, 4 or 5.")
    if images.dtype != np.uint8 or images.ndim not in {3, 4} or 0 in images.shape[1:]:
        raise InputError(
            f"images are {images.dtype} of shape {images.shape}; expected uint8 of shape (n, height, width) or "
            "(n, height, width, channels)."
        )
    if not 1 <= top <= 255 or (images.size and images.max() > top):
        raise InputError(f"scale={scale:g}: expected 1 to 255, and no pixel above it.")
    rows = max(1, _PIXELS_AT_ONCE // max(images[:1].size, 1))
    blocks = [
        _block(images[start : start + rows], name, severity - 1, top, seed) for start in range(0, len(images), rows)
    ]
    return np.concatenate(blocks) if blocks else images.copy()


def _block(images: npt.NDArray[np.uint8], name: str, level: int, top: int, seed: int) -> npt.NDArray[np.uint8]:
    bits = ImageBits.of(images, seed, name)
    pixels = images.astype(np.int32).reshape(*images.shape[:3], -1)
    changed = CORRUPTIONS[name](pixels, top, level, bits)
    return np.clip(changed, 0, top).astype(np.uint8).reshape(images.shape)


def _divided(values: npt.NDArray[Any], by: int) -> Pixels:
    """Whole numbers divided and rounded to the nearest, halves upwards."""
    return np.asarray((2 * values + by) // (2 * by), np.int32)
