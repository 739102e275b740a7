"""Corruptions that cover parts of a picture: fog, stripes, scribbles and occlusion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fittingroom.audits.image_bits import ImageBits

_Pixels = npt.NDArray[np.int32]

_STEPS = 256
_CELLS = (3, 7)  # along each side of the coarse and the fine clouds


def fogged(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """Bright clouds of two sizes before the picture; the haze and the clouds grow."""
    thickness = (30, 60, 100, 145, 190)[level]  # of 256
    height, width = pixels.shape[1:3]
    clouds = np.zeros((len(pixels), height, width), np.int32)
    start = 0
    for cells, share in zip(_CELLS, (2, 1), strict=True):
        grid = bits.below(_STEPS, (cells + 1) ** 2, start).astype(np.int32).reshape(-1, cells + 1, cells + 1)
        start += (cells + 1) ** 2
        clouds += share * _between(_between(grid, height).swapaxes(1, 2), width).swapaxes(1, 2)
    # From half as bright to fully bright, 0 to 768 being what two clouds and one can reach.
    light = (top * (768 + clouds) // (2 * 768))[..., None]
    return (pixels * (_STEPS - thickness) + light * thickness + _STEPS // 2) // _STEPS


def striped(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """Bright or dark bars across, along rows or columns: 7% to 42% of the image is covered."""
    count, share = ((1, 70), (2, 140), (3, 220), (4, 310), (5, 420))[level]
    drawn = bits.below(_STEPS, 3)
    result = pixels.copy()
    for way in (0, 1):
        some = np.flatnonzero(drawn[:, 0] % 2 == way)
        length = pixels.shape[1 + way]
        width = share * length * _STEPS // (1000 * count)
        # Bars end within pixels, which they cover in part.
        edges = np.arange(length, dtype=np.int64) * _STEPS
        covered = np.zeros((len(some), length), np.int64)
        period = length * _STEPS // count
        for bar in range(-1, count + 1):
            first = (drawn[some, 1] * period // _STEPS)[:, None] + bar * period
            covered += np.clip(np.minimum(edges + _STEPS, first + width) - np.maximum(edges, first), 0, _STEPS)
        share_of = (
            covered.astype(np.int32)[:, :, None, None] if way == 0 else covered.astype(np.int32)[:, None, :, None]
        )
        ink = np.where(drawn[some, 2] % 2 == 1, top, 0).astype(np.int32)[:, None, None, None]
        result[some] = (pixels[some] * (_STEPS - share_of) + ink * share_of + _STEPS // 2) // _STEPS
    return result


def scribbled(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """Curves of a pen, one to seven, dark on bright pictures and bright on dark ones."""
    strokes = (1, 2, 3, 5, 7)[level]
    count, height, width = pixels.shape[:3]
    side = min(height, width)
    points = 2 * max(height, width)
    # Three points for each curve (Bézier): where it starts, where it is drawn to, and where it ends.
    rows = bits.below(height * 16, 21)[:, : 3 * strokes].reshape(count, strokes, 3)
    columns = bits.below(width * 16, 21, 21)[:, : 3 * strokes].reshape(count, strokes, 3)
    along = np.arange(points + 1, dtype=np.int64)
    weights = np.stack([(points - along) ** 2, 2 * along * (points - along), along**2])
    curve_rows, curve_columns = ((one @ weights) // (16 * points**2) for one in (rows, columns))
    # A pen that is a fortieth of the side wide in every direction, and one pixel at least.
    reach = side // 40
    inked = np.zeros((count, height + 2 * reach, width + 2 * reach), np.bool_)
    image = np.arange(count)[:, None, None]
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down * down + right * right <= reach * reach:
                inked[image, curve_rows + reach + down, curve_columns + reach + right] = True
    covered = inked[:, reach : reach + height, reach : reach + width, None]
    dark = pixels.sum(axis=(1, 2, 3), dtype=np.int64) * 2 <= top * pixels[0].size
    ink = np.where(dark, top, 0).astype(np.int32)[:, None, None, None]
    return np.where(covered, ink, pixels)


def occluded(pixels: _Pixels, top: int, level: int, bits: ImageBits) -> _Pixels:
    """A block of one brightness somewhere, whose sides are a fifth to three fifths of those of the picture."""
    share = (20, 30, 40, 50, 60)[level]
    drawn = bits.below(_STEPS, 3)
    inside = []
    for axis in (0, 1):
        length = pixels.shape[1 + axis]
        block = max(1, (length * share + 50) // 100)
        first = (drawn[:, axis] * (length - block + 1) // _STEPS)[:, None]
        places = np.arange(length)
        inside.append((places >= first) & (places < first + block))
    covered = (inside[0][:, :, None] & inside[1][:, None, :])[..., None]
    grey = (drawn[:, 2] * (top + 1) // _STEPS).astype(np.int32)[:, None, None, None]
    return np.where(covered, grey, pixels)


def _between(grid: _Pixels, length: int) -> _Pixels:
    """Values between those of a coarse grid along its first side, `(n, length, ...)`."""
    cells = grid.shape[1] - 1
    place = (2 * np.arange(length, dtype=np.int64) + 1) * cells * _STEPS // (2 * length)
    whole = np.minimum(place // _STEPS, cells - 1)
    rest = (place - whole * _STEPS).astype(np.int32)[:, None]
    found: _Pixels = (grid[:, whole] * (_STEPS - rest) + grid[:, whole + 1] * rest) // _STEPS
    return found
