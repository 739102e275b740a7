"""Finds the thing in a photo: where it is, as a mask.

Training silhouettes, laid over a small copy of the photo, and the colours that they part say for each pixel how likely
it belongs to the thing (`templates.py`). GrabCut (Rother, Kolmogorov and Blake 2004) begins from that, and again from a
frame. The mask that parts the colours better is refined along its outline in a larger copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.photos.silhouettes import Mask
from fittingroom.photos.templates import ColourKinds, colour_kinds, expected, kind_of, on_grid, parting

Colours = NDArray[np.uint8]
"""`(height, width, 3)`, RGB."""

SEARCHED = 64
"""Longest edge, in pixels, of the copy that is searched."""

REFINED = 128
"""Longest edge, in pixels, of the copy that gives the final mask."""

_FRAME = 0.05  # share of the longest edge at each side that is taken to be background
_SPECK = 0.25  # parts with less than this share of the largest part's weight are left out
_HOLE = 0.06  # holes up to this share of the thing are filled
_ROUNDS = 2  # of GrabCut from a frame; from a mask, one does
_DOUBT = 0.1  # no place is likelier than 1 - this to be of the thing, or of the background, before its colour is seen
_PLACE = 0.5  # what the odds by place count for
_COLOUR = 1.5  # what the odds by colour count for: more than 1, as a pixel's neighbours mostly have its colour
_LOOKS = 3  # times that the colours of the thing are learned from where it seems to be
_SURE = 0.02  # GrabCut may not change pixels that are less likely than this to be of the thing, or of the background


@dataclass(frozen=True)
class Found:
    """Where the thing is.

    Args:
        mask: of the picture that was searched.
        way: which way found it.
    """

    mask: Mask
    way: str


def find_thing(picture: Colours, templates: NDArray[np.float32]) -> Found:
    """The thing in a picture of `REFINED` pixels at its longest edge.

    Args:
        picture: `(height, width, 3)`.
        templates: where things may be, as `templates.templates_of` makes them of silhouettes.
    """
    import cv2

    small = resized(picture, SEARCHED)
    kinds = colour_kinds(small)
    masks = {
        "GrabCut from where training silhouettes part its colours": cleaned(_from_templates(small, kinds, templates)),
        "GrabCut from a frame": cleaned(_from_frame(small)),
    }
    way = max(masks, key=lambda name: float(parting(on_grid(masks[name]), kinds)[0]))
    height, width = picture.shape[:2]
    larger = cv2.resize(masks[way].astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR) > 0
    return Found(cleaned(_refined(picture, larger)), way)


def resized(picture: Colours, longest: int) -> Colours:
    """A picture whose longest edge has so many pixels, each the mean of those that it covers."""
    import cv2

    ratio = longest / max(picture.shape[:2])
    size = max(round(picture.shape[1] * ratio), 1), max(round(picture.shape[0] * ratio), 1)
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


# What GrabCut calls its pixels.
_BACKGROUND, _THING, _LIKELY_BACKGROUND, _LIKELY_THING = range(4)


def _from_templates(picture: Colours, kinds: ColourKinds, templates: NDArray[np.float32]) -> Mask:
    """GrabCut, begun from what is likely to be the thing; what is all but sure stays as it is."""
    likely = _likely(picture, kinds, templates)
    start = np.where(likely > 0.5, _LIKELY_THING, _LIKELY_BACKGROUND).astype(np.uint8)
    start[likely < _SURE], start[likely > 1 - _SURE] = _BACKGROUND, _THING
    return _grab_cut(picture, start, 1)


def _likely(picture: Colours, kinds: ColourKinds, templates: NDArray[np.float32]) -> NDArray[np.float64]:
    """How likely each pixel belongs to the thing, by its place and its kind of colour: `(height, width)`, 0 to 1.

    How often the thing and the background show each kind is learned from where they seem to be, by turns with that
    (expectation and maximization).
    """
    import cv2

    height, width = picture.shape[:2]
    likely = cv2.resize(expected(templates, kinds), (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    by_place = _PLACE * _log_odds(np.clip(likely, _DOUBT, 1 - _DOUBT))
    shown = kind_of(np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.7), np.uint8), kinds)
    count = len(kinds.centres)
    for _ in range(_LOOKS):
        thing = np.bincount(shown.ravel(), likely.ravel(), minlength=count) + 1
        other = np.bincount(shown.ravel(), 1 - likely.ravel(), minlength=count) + 1
        by_colour = np.log(thing / thing.sum()) - np.log(other / other.sum())
        likely = 1 / (1 + np.exp(-by_place - _COLOUR * by_colour[shown]))
    return np.asarray(likely)


def _log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(probability) - np.log1p(-probability)


def _from_frame(picture: Colours) -> Mask:
    """GrabCut, begun from all but a frame."""
    start = np.full(picture.shape[:2], _LIKELY_THING, np.uint8)
    start[_frame(picture.shape, _FRAME)] = _BACKGROUND
    return _grab_cut(picture, start, _ROUNDS)


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
