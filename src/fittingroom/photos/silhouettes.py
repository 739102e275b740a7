"""Silhouettes: where a thing is, as a mask, and how much one mask is like another."""

from __future__ import annotations

from collections.abc import Sequence

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


def likeness(masks: Sequence[Mask], silhouettes: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each mask is like the most similar of some silhouettes: intersection over union, 0 to 1, `(masks,)`.

    Args:
        masks: of any size.
        silhouettes: `(n, SIDE * SIDE)`, as `silhouette` gives them.
    """
    own = np.stack([silhouette(mask) for mask in masks])
    common = own @ silhouettes.T
    either = own.sum(axis=1)[:, None] + silhouettes.sum(axis=1) - common
    return np.asarray((common / np.maximum(either, 1)).max(axis=1, initial=0.0))
