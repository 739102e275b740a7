"""What JPEG loses of a picture: the coefficients of its blocks in steps, by the tables of the standard.

Encoders and decoders differ by a level here and there, from version to version. So this one is ours: 8×8 blocks, their
cosine transform, the tables of Annex K of ITU-T T.81 (1992) at a quality as libjpeg scales them, luma and chroma at
full resolution. The entries of the transform are whole numbers, and sums of whole numbers below 2**53 are exact in any
order; so the products are matrix products of floats, which are fast, and the bits are the same everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.image_bits import ImageBits

_Pixels = npt.NDArray[np.int32]

# The cosine transform of eight points, times 4,096. Constants: a machine's library may round a cosine differently.
_HALF = (2009, 1892, 1703, 1448, 1138, 784, 400)  # 4096/2 · cos(k·π/16), k = 1 to 7
_EVEN = 1448  # 4096/sqrt(8)


def _transform() -> npt.NDArray[np.float64]:
    rows = [[_EVEN] * 8]
    for row in range(1, 8):
        turns = [row * (2 * column + 1) % 32 for column in range(8)]
        rows.append([_cosine(turn) for turn in turns])
    return np.asarray(rows, np.float64)


def _cosine(turn: int) -> int:
    """2,048 times the cosine of so many sixteenths of half a turn."""
    turn = min(turn, 32 - turn)
    sign, turn = (1, turn) if turn <= 8 else (-1, 16 - turn)
    return sign * {0: 2048, 8: 0, **dict(enumerate(_HALF, 1))}[turn]


_COSINES = _transform()
_UNIT = 4096 * 4096  # what a coefficient is multiplied by

_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_CHROMA = np.full((8, 8), 99)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


def compressed(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """As JPEG of quality 25, 15, 10, 6 and 3 shows them."""
    del bits
    quality = (25, 15, 10, 6, 3)[level]
    full = (pixels * 510 + top) // (2 * top)  # 0 to 255, whatever the range is
    coloured = pixels.shape[3] == 3
    shown = _rgb(_in_steps(_luma_and_chroma(full), quality)) if coloured else _in_steps(full, quality)
    return (np.clip(shown, 0, 255) * (2 * top) + 255) // 510


def _in_steps(planes: _Pixels, quality: int) -> _Pixels:
    """Planes, luma first, as their coefficients in steps give them back."""
    count, height, width, channels = planes.shape
    padded = np.pad(planes, ((0, 0), (0, -height % 8), (0, -width % 8), (0, 0)), "edge")
    down, right = padded.shape[1] // 8, padded.shape[2] // 8
    blocks = (padded - 128).reshape(count, down, 8, right, 8, channels).transpose(0, 5, 1, 3, 2, 4).astype(np.float64)
    coefficients = _COSINES @ blocks @ _COSINES.T
    steps = np.stack([_steps(_LUMA, quality), *[_steps(_CHROMA, quality)] * (channels - 1)])[:, None, None]
    whole = np.floor(coefficients / (steps * _UNIT) + 0.5) * steps
    back = _COSINES.T @ whole @ _COSINES
    found = np.floor(back / _UNIT + 0.5).astype(np.int32) + 128
    joined: _Pixels = found.transpose(0, 2, 4, 3, 5, 1).reshape(padded.shape)
    return joined[:, :height, :width].copy()


def _steps(table: npt.NDArray[Any], quality: int) -> npt.NDArray[np.float64]:
    """A table of the standard at a quality below 50, as libjpeg scales it."""
    return np.asarray(np.clip((table * (5000 // quality) + 50) // 100, 1, 255), np.float64)


def _luma_and_chroma(colours: _Pixels) -> _Pixels:
    """YCbCr of colours, as JFIF defines it, in whole numbers."""
    red, green, blue = np.moveaxis(colours, 3, 0)
    luma = 19595 * red + 38470 * green + 7471 * blue
    first = -11059 * red - 21709 * green + 32768 * blue + (128 << 16)
    second = 32768 * red - 27439 * green - 5329 * blue + (128 << 16)
    return np.stack([(plane + 32768) >> 16 for plane in (luma, first, second)], axis=3)


def _rgb(planes: _Pixels) -> _Pixels:
    """Colours of YCbCr."""
    luma, first, second = np.moveaxis(planes, 3, 0)
    first, second = first - 128, second - 128
    red = luma + ((91881 * second + 32768) >> 16)
    green = luma - ((22554 * first + 46802 * second + 32768) >> 16)
    blue = luma + ((116130 * first + 32768) >> 16)
    return np.stack([red, green, blue], axis=3)
