"""Silhouettes: where a thing is, as a mask, and how much one mask is like another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""`(height, width)`, True where the thing is."""

SIDE = 28
"""Silhouettes are compared at this size, in pixels."""


def box(mask: Mask) -> tuple[int, int, int, int]:
    """The rows and columns that a mask lies in: first row, one past the last, first column, one past the last.

    The box of an empty mask is the whole picture.
    """
    if not mask.any():
        return 0, mask.shape[0], 0, mask.shape[1]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def silhouette(mask: Mask) -> NDArray[np.float32]:
    """A mask as 0 and 1 in `SIDE * SIDE` pixels: its box, the longest edge fitted, centred."""
    from PIL import Image

    top, bottom, left, right = box(mask)
    ratio = SIDE / max(bottom - top, right - left)
    height, width = max(round((bottom - top) * ratio), 1), max(round((right - left) * ratio), 1)
    cut = Image.fromarray(mask[top:bottom, left:right].astype(np.uint8) * 255)
    placed = np.zeros((SIDE, SIDE), np.float32)
    above, before = (SIDE - height) // 2, (SIDE - width) // 2
    resized = np.asarray(cut.resize((width, height), Image.Resampling.BOX))
    placed[above : above + height, before : before + width] = resized > 127
    return placed.ravel()


def likeness(mask: Mask, silhouettes: NDArray[np.float32]) -> float:
    """How much a mask is like the most similar of some silhouettes: intersection over union, 0 to 1.

    Args:
        mask: of any size.
        silhouettes: `(n, SIDE * SIDE)`, as `silhouette` gives them.
    """
    own = silhouette(mask)
    common = silhouettes @ own
    return float((common / np.maximum(silhouettes.sum(axis=1) + own.sum() - common, 1)).max(initial=0.0))
