"""Finds the thing in a photo: where it is, as a mask.

Several ways propose a mask of a small copy of the photo: colours that the border does not have, and GrabCut (Rother,
Kolmogorov and Blake 2004) begun from that or from a frame. The best of them, which looks like a silhouette of the
training images and has other colours than the border, is refined along its outline in a larger copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.photos.silhouettes import Mask, likeness

Colours = NDArray[np.uint8]
"""`(height, width, 3)`, RGB."""

SEARCHED = 64
"""Longest edge, in pixels, of the copy that the ways search."""

REFINED = 128
"""Longest edge, in pixels, of the copy that gives the final mask."""

_FRAME = 0.05  # share of the longest edge at each side that is taken to be background
_COLOURS = 4  # kinds of colour that a background may have
_FEW = 0.06  # share of the border that a kind of colour must have to be background
_FARTHEST = 12.0  # deviations from the background; more makes no difference
_SPECK = 0.25  # parts with less than this share of the largest part's weight are left out
_HOLE = 0.06  # holes up to this share of the thing are filled
_ROUNDS = 2  # of GrabCut
_PARTED = 0.6  # what a mask gains if all of it, and nothing else, differs from the border
_BESIDE = 0.5  # what it loses if all the border of the photo belongs to it
_TOO_SMALL = 0.5  # what it loses if there is nothing left of it
_SMALL = 0.12  # share of the photo below which a mask is small: people photograph things from near


@dataclass(frozen=True)
class Found:
    """Where the thing is.

    Args:
        mask: of the picture that was searched.
        way: which way found it.
        likeness: to the most similar silhouette of the training images, 0 to 1.
    """

    mask: Mask
    way: str
    likeness: float


def find_thing(picture: Colours, silhouettes: NDArray[np.float32]) -> Found:
    """The thing in a picture of `REFINED` pixels at its longest edge.

    Args:
        picture: `(height, width, 3)`.
        silhouettes: what things look like, `(n, SIDE * SIDE)`.
    """
    import cv2

    small = resized(picture, SEARCHED)
    seen = border_distance(small)
    masks = [(cleaned(find(small, seen)), way) for way, find in WAYS.items()]
    mask, way = max(masks, key=lambda pair: _rating(pair[0], seen, silhouettes))
    height, width = picture.shape[:2]
    larger = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR) > 0
    mask = cleaned(_refined(picture, larger))
    return Found(mask, way, likeness(mask, silhouettes))


def resized(picture: Colours, longest: int) -> Colours:
    """A picture whose longest edge has so many pixels, each the mean of those that it covers."""
    import cv2

    ratio = longest / max(picture.shape[:2])
    size = max(round(picture.shape[1] * ratio), 1), max(round(picture.shape[0] * ratio), 1)
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


def border_distance(picture: Colours) -> NDArray[np.float32]:
    """How far each pixel's colour is from those of the border, in deviations: `(height, width)`."""
    import cv2

    smooth = cv2.GaussianBlur(picture, (0, 0), 0.7)
    # Lightness counts half: shadows change it, and they belong to the background.
    colours = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32) * np.array([0.5, 1, 1], np.float32)
    border = colours[_frame(picture.shape, _FRAME)]
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 10, 0)
    kinds = min(_COLOURS, len(border))
    _, labels, centres = cv2.kmeans(border, kinds, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    distance = np.full(picture.shape[:2], np.inf, np.float32)
    for kind in range(kinds):
        own = labels[:, 0] == kind
        if own.mean() >= min(_FEW, 1 / kinds):
            deviation = border[own].std(axis=0) + 4
            distance = np.minimum(distance, np.sqrt((((colours - centres[kind]) / deviation) ** 2).sum(axis=2)))
    return np.minimum(distance, np.float32(_FARTHEST))


def _other_colours(picture: Colours, seen: NDArray[np.float32]) -> Mask:
    """What has other colours than the border, where that says more towards the middle."""
    import cv2

    weighted = seen * _centre_weight(picture.shape)
    scaled = np.clip(weighted / max(float(weighted.max()), 1e-6) * 255, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_OTSU)
    return np.asarray(scaled > 0.9 * threshold)


def _from_colours(picture: Colours, seen: NDArray[np.float32]) -> Mask:
    """GrabCut, begun from what has other colours than the border."""
    start = np.where(_other_colours(picture, seen), _LIKELY_THING, _LIKELY_BACKGROUND).astype(np.uint8)
    start[_frame(picture.shape, 0.6 * _FRAME)] = _BACKGROUND
    return _grab_cut(picture, start, _ROUNDS)


def _from_frame(picture: Colours, _: NDArray[np.float32]) -> Mask:
    """GrabCut, begun from all but a frame."""
    start = np.full(picture.shape[:2], _LIKELY_THING, np.uint8)
    start[_frame(picture.shape, _FRAME)] = _BACKGROUND
    return _grab_cut(picture, start, _ROUNDS)


# What GrabCut calls its pixels.
_BACKGROUND, _THING, _LIKELY_BACKGROUND, _LIKELY_THING = range(4)

WAYS: Mapping[str, Callable[[Colours, NDArray[np.float32]], Mask]] = MappingProxyType(
    {
        "colours unlike the border's": _other_colours,
        "GrabCut from these colours": _from_colours,
        "GrabCut from a frame": _from_frame,
    }
)


def _grab_cut(picture: Colours, start: NDArray[np.uint8], rounds: int) -> Mask:
    import cv2

    cv2.setRNGSeed(0)
    if not 0 < (start % 2).sum() < start.size:
        return np.asarray(start % 2 == 1)
    models: list[Any] = [np.zeros((1, 65)), np.zeros((1, 65))]
    mask = start.copy()
    cv2.grabCut(np.ascontiguousarray(picture), mask, None, *models, rounds, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    return np.asarray(mask % 2 == 1)


def _refined(picture: Colours, mask: Mask) -> Mask:
    """The mask with a better outline: GrabCut may change what lies within a few pixels of it."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    inner = cv2.erode(mask.astype(np.uint8), kernel)
    outer = cv2.dilate(mask.astype(np.uint8), kernel)
    start = np.where(mask, _LIKELY_THING, _LIKELY_BACKGROUND).astype(np.uint8)
    start[inner == 1], start[outer == 0] = _THING, _BACKGROUND
    return _grab_cut(picture, start, 1)


def cleaned(mask: Mask) -> Mask:
    """A mask without specks and small holes: the part that weighs most near the middle, and others nearly as heavy.

    A mask with nothing left becomes the whole picture.
    """
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    count, parts = cv2.connectedComponents(opened, connectivity=8)
    if count < 2:
        return np.ones_like(mask)
    weights = np.bincount(parts.ravel(), _centre_weight(mask.shape).ravel(), minlength=count)
    weights[0] = 0
    kept = (weights > _SPECK * weights.max())[parts]
    _, gaps, facts, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8), connectivity=4)
    left, top, width, height, area = facts.T
    inside = (left > 0) & (top > 0) & (left + width < mask.shape[1]) & (top + height < mask.shape[0])
    holes = inside & (area < _HOLE * kept.sum())
    holes[0] = False  # the thing itself
    return np.asarray(kept | holes[gaps])


def _rating(mask: Mask, seen: NDArray[np.float32], silhouettes: NDArray[np.float32]) -> float:
    """How good a mask is: how much it is like training images, and how well it parts the border's colours from others.

    It is less for a mask that runs along the border of the photo, or is small.
    """
    inside = float(seen[mask].mean())
    outside = float(seen[~mask].mean()) if not mask.all() else inside
    parted = (inside - outside) / (inside + outside + 1e-6)
    at_border = float(mask[_frame(mask.shape, 1 / max(mask.shape))].mean())
    small = max(1 - float(mask.mean()) / _SMALL, 0.0)
    return likeness(mask, silhouettes) + _PARTED * parted - _BESIDE * at_border - _TOO_SMALL * small


def _frame(shape: tuple[int, ...], share: float) -> Mask:
    """The border of a picture, `share` of its longest edge wide and at least a pixel."""
    wide = max(round(share * max(shape[:2])), 1)
    frame = np.ones(shape[:2], np.bool_)
    frame[wide:-wide, wide:-wide] = False
    return frame


def _centre_weight(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """1 in the middle of a picture, less towards its corners."""
    rows, columns = (np.linspace(-1, 1, length, dtype=np.float32) for length in shape[:2])
    return np.asarray(np.exp(-(rows[:, None] ** 2 + columns[None] ** 2) / 1.2))
