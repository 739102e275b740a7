"""Silhouettes: where a thing is, as a mask, and how much one mask is like another.

Where a thing may be in a photo: training silhouettes laid over it in many places and sizes.

A silhouette lies right where the colours within it are others than those around it. That is measured for all of them at
once, with one product of matrices, and without a guess of what colours the background has.

Finds the thing in a photo: where it is, as a mask.

Training silhouettes, laid over a small copy of the photo, and the colours that they part say for each pixel how likely
it belongs to the thing (`templates.py`). GrabCut (Rother, Kolmogorov and Blake 2004) begins from that, and again from a
frame. The mask that parts the colours better is refined along its outline in a larger copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


Floats = NDArray[np.float32]

GRID = 24
"""Templates have so many rows and columns, whatever the proportions of the photo."""

_SHAPES = 32  # silhouettes that stand for all; 16 find a little less, 64 no more
_SIZES = (0.6, 0.8, 1.0)  # height and width of a template, as shares of the photo's: people photograph from near
_SHIFTS = (-0.12, 0.0, 0.12)  # of a template from the middle of the photo, as shares of its height and width
_KINDS = 12  # kinds of colour that are told apart in a photo
_LIGHTNESS = 0.5  # what lightness counts, against the two other dimensions: shadows change it
_BORDER = 0.5  # the border counts again, as a background of this many photos: it is seldom part of the thing
_SHARPNESS = 20.0  # how fast templates that part the colours less well lose weight, per nat


@dataclass(frozen=True, eq=False)
class ColourKinds:
    """The kinds of colour in a picture.

    Args:
        centres: `(kinds, 3)`, as `_lab` gives colours.
        shown: which kind each cell of the grid shows, one-hot: `(GRID * GRID, kinds)`.
        border: how often the border shows each kind, as a count of cells that adds up to `_BORDER` pictures.
    """

    centres: Floats
    shown: Floats
    border: Floats


def templates_of(silhouettes: Floats) -> Floats:
    """Typical silhouettes, each in several sizes and places: `(n, GRID * GRID)`, 0 to 1.

    Args:
        silhouettes: `(n, SIDE * SIDE)`, as `silhouettes.silhouette` gives them.
    """
    import cv2

    placed = []
    for shape in _typical(silhouettes):
        for height in _SIZES:
            for width in _SIZES:
                for down in _SHIFTS:
                    for right in _SHIFTS:
                        (across, left), (along, top) = _axis(width, right), _axis(height, down)
                        change = np.array([[across, 0, left], [0, along, top]])
                        placed.append(cv2.warpAffine(shape.reshape(SIDE, SIDE), change, (GRID, GRID)).ravel())
    return np.array(placed, np.float32)


def colour_kinds(picture: NDArray[np.uint8]) -> ColourKinds:
    """The kinds of colour in a picture `(height, width, 3)`, found by k-means."""
    import cv2

    cells = _lab(np.asarray(cv2.resize(picture, (GRID, GRID), interpolation=cv2.INTER_AREA), np.uint8))
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 10, 0)
    _, labels, centres = cv2.kmeans(cells, _KINDS, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    shown = np.eye(_KINDS, dtype=np.float32)[labels[:, 0]]
    inner = np.zeros((GRID, GRID), np.bool_)
    inner[1:-1, 1:-1] = True
    border = shown[~inner.ravel()].sum(axis=0)
    return ColourKinds(centres, shown, border * np.float32(_BORDER * GRID * GRID / border.sum()))


def kind_of(picture: NDArray[np.uint8], kinds: ColourKinds) -> NDArray[np.intp]:
    """Which kind of colour each pixel shows: `(height, width)`."""
    colours = _lab(picture)
    distance = (kinds.centres**2).sum(axis=1) - 2 * colours @ kinds.centres.T
    return np.asarray(distance.argmin(axis=1).reshape(picture.shape[:2]))


def parting(masks: Floats, kinds: ColourKinds) -> Floats:
    """How well masks part the colours of a picture: `(n,)`, more is better.

    It is the mean log-likelihood of the cells' colours, in nats, if those within a mask and those around it each have
    their own frequencies. Less that of one set of frequencies for all, it is the mutual information of mask and colour.

    Args:
        masks: `(n, GRID * GRID)`, 0 to 1.
        kinds: of the picture.
    """
    within = masks @ kinds.shown
    around = kinds.shown.sum(axis=0) + kinds.border - within
    return (_log_likelihood(within) + _log_likelihood(around)) / np.float32(GRID * GRID)


def expected(templates: Floats, kinds: ColourKinds) -> Floats:
    """How likely each cell belongs to the thing, `(GRID, GRID)`: the templates' mean, by how well they part colours."""
    rating = parting(templates, kinds)
    weights = np.exp(np.float32(_SHARPNESS) * (rating - rating.max()))
    return np.asarray((weights @ templates / weights.sum()).reshape(GRID, GRID), np.float32)


def on_grid(mask: NDArray[np.bool_]) -> Floats:
    """A mask as a template: `(1, GRID * GRID)`."""
    import cv2

    cells = cv2.resize(mask.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32).reshape(1, -1)


def _typical(silhouettes: Floats) -> Floats:
    """For each k-means cluster of silhouettes, the one nearest to its centre; all, if they are few."""
    import cv2

    if len(silhouettes) <= _SHAPES:
        return silhouettes
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 15, 0)
    _, _, centres = cv2.kmeans(silhouettes, _SHAPES, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    distance = (silhouettes**2).sum(axis=1)[:, None] - 2 * silhouettes @ centres.T
    return np.asarray(silhouettes[distance.argmin(axis=0)])


def _axis(share: float, shift: float) -> tuple[float, float]:
    """Scale and offset, along one axis, that bring a silhouette's pixels to the cells of the grid."""
    scale = share * GRID / SIDE
    return scale, GRID * (0.5 + shift - share / 2) + (scale - 1) / 2


def _lab(picture: NDArray[np.uint8]) -> Floats:
    """Colours in CIELAB, lightness counting less: `(pixels, 3)`."""
    import cv2

    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    return lab.astype(np.float32) * np.array([_LIGHTNESS, 1, 1], np.float32)


def _log_likelihood(counts: Floats) -> Floats:
    """Of cells with their own frequencies of kinds, given how many show each kind `(n, kinds)`: `(n,)`."""
    counts = counts + np.float32(1e-3)  # no logarithm of 0
    return np.asarray((counts * np.log(counts / counts.sum(axis=1, keepdims=True))).sum(axis=1))


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
