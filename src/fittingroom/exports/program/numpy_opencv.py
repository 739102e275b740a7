"""What the conversion of photos asks of OpenCV, by OpenCV's names and in NumPy alone.

Only what is asked is here, and only as it is asked: bytes where bytes come, borders as OpenCV has them by default.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.exports.program.numpy_grab_cut import RandomNumbers, grab_cut
from fittingroom.exports.program.numpy_grab_cut import kmeans as kinds_of
from fittingroom.exports.program.numpy_resize import INTER_AREA, INTER_LINEAR, resize

Array = NDArray[Any]

__all__ = ["INTER_AREA", "INTER_LINEAR", "resize"]

# Numbers that callers pass back, and nobody looks at.
COLOR_RGB2LAB = GC_INIT_WITH_MASK = KMEANS_PP_CENTERS = TERM_CRITERIA_MAX_ITER = 0
MORPH_ELLIPSE = MORPH_OPEN = 0

CC_STAT_LEFT, CC_STAT_TOP, CC_STAT_WIDTH, CC_STAT_HEIGHT, CC_STAT_AREA = range(5)


def setRNGSeed(seed: int) -> None:  # noqa: N802 - OpenCV's name
    """Nothing: `kmeans` and `grabCut` begin with the numbers of the seed 0 whenever they are called."""
    del seed


def kmeans(points: Array, count: int, labels: None, criteria: tuple[int, int, float], *_: int) -> tuple[Any, ...]:
    """0, the kind of each point, `(n, 1)`, and the centres of the kinds."""
    del labels
    kinds, centres = kinds_of(points, count, criteria[1], RandomNumbers())
    return 0.0, kinds[:, None], centres


def grabCut(picture: Array, mask: Array, *others: Any) -> None:  # noqa: N802
    """Changes the mask; of the other arguments, as OpenCV has them, the fourth is the number of rounds."""
    mask[:] = grab_cut(picture, mask, others[3])


def cvtColor(picture: Array, code: int) -> Array:  # noqa: N802
    """RGB bytes, `(height, width, 3)`, as CIELAB bytes."""
    del code
    light, roots, weights = _lab_tables()
    xyz = light[picture].astype(np.int64) @ weights.T
    x, y, z = np.moveaxis(roots[(xyz + (1 << 11)) >> 12].astype(np.int64), -1, 0)
    lightness = 296 * y - ((16 * 255 * (1 << 15) + 50) // 100)
    values = np.stack([lightness, 500 * (x - y) + (128 << 15), 200 * (y - z) + (128 << 15)], axis=-1)
    return ((values + (1 << 14)) >> 15).clip(0, 255).astype(np.uint8)


@cache
def _lab_tables() -> tuple[Array, Array, Array]:
    """Linear light of each byte, cube roots, and the weights of XYZ, in whole numbers."""
    one = np.float32(1)  # in 32 bits, as OpenCV makes them, so that the tables are the same
    share = np.arange(256, dtype=np.float32) / np.float32(255)
    curve = (((share.astype(np.float64) + 0.055) / 1.055) ** 2.4).astype(np.float32)
    light = np.float32(255 * 8) * np.where(share <= 0.04045, share * np.float32(1 / 12.92), curve)
    part = np.arange(256 * 3 // 2 * 8, dtype=np.float32) * (one / np.float32(255 * 8))
    line = part * np.float32(7.787) + np.float32(16) / np.float32(116)
    roots = np.float32(1 << 15) * np.where(part < np.float32(0.008856), line, np.cbrt(part))
    white = np.array([0.950456, 1, 1.088754])
    to_xyz = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    weights = np.rint((1 << 12) * to_xyz / white[:, None])
    return np.rint(light).astype(np.int64), np.rint(roots).astype(np.int64), weights.astype(np.int64)


def GaussianBlur(picture: Array, size: tuple[int, int], deviation: float) -> Array:  # noqa: N802
    """Bytes, blurred over as many pixels as the deviation asks for, mirrored at the border."""
    del size
    reach = round(deviation * 6 + 1) // 2
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * deviation**2))
    whole = _of_256(weights / weights.sum())
    around = np.pad(picture.astype(np.int64), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    height, width = picture.shape[:2]
    rows = sum(weight * around[:, place : place + width] for place, weight in enumerate(whole))
    both = sum(weight * np.asarray(rows)[place : place + height] for place, weight in enumerate(whole))
    return ((np.asarray(both) + (1 << 15)) >> 16).clip(0, 255).astype(np.uint8)


def _of_256(weights: Array) -> list[int]:
    """Weights that add up to 1 as whole numbers that add up to 256: what rounding drops is added to the next."""
    whole, dropped = [0] * len(weights), 0.0
    for place in range(len(weights) // 2):
        wanted = weights[place] * 256 + dropped
        whole[place] = whole[-1 - place] = round(wanted)
        dropped = wanted - whole[place]
    whole[len(weights) // 2] = 256 - sum(whole)
    return whole


def getStructuringElement(shape: int, size: tuple[int, int]) -> Array:  # noqa: N802
    """An ellipse of the given width and height, 0 and 1."""
    del shape
    width, height = size
    rows, columns = height // 2, width // 2
    found = np.zeros((height, width), np.uint8)
    for row in range(height):
        reach = round(columns * np.sqrt(max(1 - ((row - rows) / max(rows, 1)) ** 2, 0)))
        found[row, max(columns - reach, 0) : columns + reach + 1] = 1
    return found


def erode(mask: Array, kernel: Array) -> Array:
    """The least of the pixels under the kernel; what lies outside does not count."""
    return 1 - dilate(1 - mask, kernel)


def dilate(mask: Array, kernel: Array) -> Array:
    """The largest of the pixels under the kernel, of a mask of 0 and 1."""
    (height, width), (rows, columns) = mask.shape, (side // 2 for side in kernel.shape)
    around = np.pad(mask, ((rows, rows), (columns, columns)))
    found = np.zeros_like(mask)
    for down, right in np.argwhere(kernel):
        found |= around[down : down + height, right : right + width]
    return found


def morphologyEx(mask: Array, operation: int, kernel: Array) -> Array:  # noqa: N802
    """Eroded, then dilated."""
    del operation
    return dilate(erode(mask, kernel), kernel)


def connectedComponents(mask: Array, connectivity: int) -> tuple[int, Array]:  # noqa: N802
    """How many parts there are, and which each pixel is in, 0 for none, as `connectedComponentsWithStats`."""
    height, width = mask.shape
    place = np.arange(1, height * width + 1).reshape(height, width)
    names = np.zeros((height + 2, width + 2), np.int64)
    inner = names[1:-1, 1:-1]
    inner[:] = np.where(mask, place, 0)
    steps = [(0, 1), (1, 0)] + ([(1, 1), (1, -1)] if connectivity == 8 else [])
    while True:  # each pixel takes the largest name around it, and then the name of the pixel that has that one
        best = inner.copy()
        for down, right in [*steps, *((-down, -right) for down, right in steps)]:
            np.maximum(best, names[1 + down : 1 + down + height, 1 + right : 1 + right + width], out=best)
        best[mask == 0] = 0
        flat = np.append(0, best.ravel())
        best = flat[best]
        if (best == inner).all():
            break
        inner[:] = best
    found, parts = np.unique(np.append(0, inner.ravel()), return_inverse=True)
    return len(found), parts[1:].reshape(height, width)


def connectedComponentsWithStats(mask: Array, connectivity: int) -> tuple[int, Array, Array, None]:  # noqa: N802
    """The same, and of each part, the first that is none included: left, top, width, height and area, `(parts, 5)`."""
    count, parts = connectedComponents(mask, connectivity)
    facts = np.zeros((count, 5), np.int64)
    for part in range(count):
        rows, columns = np.nonzero(parts == part)
        if len(rows):
            left, top = columns.min(), rows.min()
            facts[part] = left, top, columns.max() + 1 - left, rows.max() + 1 - top, len(rows)
    return count, parts, facts, None
