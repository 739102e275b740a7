"""The foreground of a photo: where it is, as a mask.

Training silhouettes, laid over a small copy of the photo in many places and sizes, and the colours that they part say
for each pixel how likely it belongs to the foreground: a silhouette lies right where the colours within it are others
than those around it. That is measured for all of them at once, with one product of matrices, and without a guess of
what colours the background has. GrabCut (Rother, Kolmogorov and Blake 2004) starts from that, and again from a frame.
The mask that parts the colours better is refined along its edge in a larger copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""`(height, width)`, True where the foreground is."""

Colours = NDArray[np.uint8]
"""`(height, width, 3)`, RGB."""

Floats = NDArray[np.float32]

REFINED = 128
"""Longest edge, in pixels, of the copy that gives the final mask."""

_SEARCHED = 64  # longest edge, in pixels, of the copy that is searched

_SIDE = 28  # pixels: silhouettes are compared at this size

# Templates: silhouettes where they may lie in a photo.
_GRID = 24  # rows and columns of a template, whatever the proportions of the photo
_SHAPES = 32  # silhouettes that stand for all; 16 find a little less, 64 no more
_SIZES = (0.6, 0.8, 1.0)  # height and width of a template, as shares of the photo's: people photograph from near
_SHIFTS = (-0.12, 0.0, 0.12)  # of a template from the middle of the photo, as shares of its height and width

# Colours: how well a mask parts them.
_KINDS = 12  # kinds of colour that are told apart in a photo
_LIGHTNESS = 0.5  # what lightness counts, against the two other dimensions: shadows change it
_BORDER = 0.5  # the border counts again, as a background of this many photos: it is seldom part of the foreground
_SHARPNESS = 20.0  # how fast templates that part the colours less well lose weight, per nat

# From what is likely to a mask.
_FRAME = 0.05  # share of the longest edge at each side that is taken to be background
_SPECK = 0.25  # parts with less than this share of the largest part's weight are left out
_HOLE = 0.06  # holes up to this share of the foreground are filled
_ROUNDS = 2  # of GrabCut from a frame; from a mask, one does
_DOUBT = 0.1  # by its place alone, no pixel is more likely than 1 - this to be foreground, or background
_PLACE = 0.5  # what the odds by place count for
_COLOUR = 1.5  # what the odds by colour count for: more than 1, as a pixel's neighbours mostly have its colour
_LOOKS = 3  # times that the colours of the foreground are learned from where it seems to be
_SURE = 0.02  # GrabCut may not change pixels that are less likely than this to be foreground, or background

# What GrabCut calls its pixels.
_BACKGROUND, _FOREGROUND, _LIKELY_BACKGROUND, _LIKELY_FOREGROUND = range(4)


@dataclass(frozen=True)
class Foreground:
    """Where the foreground of a picture is.

    Args:
        mask: of the picture that was searched.
        way: what found it, in words.
    """

    mask: Mask
    way: str

    @classmethod
    def find(cls, picture: Colours, silhouettes: Silhouettes) -> Foreground:
        """The foreground of a picture of `REFINED` pixels at its longest edge.

        Args:
            picture: `(height, width, 3)`.
            silhouettes: of training images.
        """
        import cv2

        small = resized(picture, _SEARCHED)
        kinds = _colour_kinds(small)
        masks = {
            "GrabCut, started from training silhouettes": _cleaned(
                _from_templates(small, kinds, silhouettes.templates)
            ),
            "GrabCut, started from a frame": _cleaned(_from_frame(small)),
        }
        way = max(masks, key=lambda name: float(_parting(_on_grid(masks[name]), kinds)[0]))
        height, width = picture.shape[:2]
        larger = cv2.resize(masks[way].astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR) > 0
        return cls(_cleaned(_refined(picture, larger)), way)


@dataclass(frozen=True, eq=False)
class Silhouettes:
    """The shapes of foregrounds in training images.

    Args:
        values: `(n, _SIDE * _SIDE)`, 0 and 1: each mask's box, its longest edge fitted to the side, centred.
    """

    values: Floats

    @classmethod
    def of(cls, masks: Sequence[Mask]) -> Silhouettes:
        """The silhouettes of masks of any size."""
        return cls(np.stack([_silhouette(mask) for mask in masks]))

    def likeness(self, masks: Sequence[Mask]) -> Floats:
        """How much each mask is like the most similar silhouette: intersection over union, 0 to 1, `(masks,)`."""
        own = Silhouettes.of(masks).values
        common = own @ self.values.T
        either = own.sum(axis=1)[:, None] + self.values.sum(axis=1) - common
        return np.asarray((common / np.maximum(either, 1)).max(axis=1, initial=0.0))

    @property
    def typical(self) -> Floats:
        """At most `_SHAPES` of them that stand for all, `(n, _SIDE * _SIDE)`."""
        return _typical(self.values)

    @cached_property
    def templates(self) -> Floats:
        """Typical silhouettes, each in several sizes and places: `(n, _GRID * _GRID)`, 0 to 1.

        They are made when the first photo comes.
        """
        import cv2

        placed = []
        for shape in self.typical:
            for height in _SIZES:
                for width in _SIZES:
                    for down in _SHIFTS:
                        for right in _SHIFTS:
                            (across, left), (along, top) = _axis(width, right), _axis(height, down)
                            change = np.array([[across, 0, left], [0, along, top]])
                            placed.append(cv2.warpAffine(shape.reshape(_SIDE, _SIDE), change, (_GRID, _GRID)).ravel())
        return np.array(placed, np.float32)


def box(mask: Mask) -> tuple[int, int, int, int]:
    """The rows and columns that a mask lies in: first row, one past the last, first column, one past the last.

    The box of an empty mask is the whole picture.
    """
    if not mask.any():
        return 0, mask.shape[0], 0, mask.shape[1]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def resized(picture: Colours, longest: int) -> Colours:
    """A picture whose longest edge has so many pixels, each the mean of those that it covers."""
    import cv2

    ratio = longest / max(picture.shape[:2])
    size = max(round(picture.shape[1] * ratio), 1), max(round(picture.shape[0] * ratio), 1)
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


def _silhouette(mask: Mask) -> NDArray[np.float32]:
    """A mask as 0 and 1 in `_SIDE * _SIDE` pixels: its box, the longest edge fitted, centred."""
    from PIL import Image

    top, bottom, left, right = box(mask)
    ratio = _SIDE / max(bottom - top, right - left)
    height, width = max(round((bottom - top) * ratio), 1), max(round((right - left) * ratio), 1)
    cut = Image.fromarray(mask[top:bottom, left:right].astype(np.uint8) * 255)
    placed = np.zeros((_SIDE, _SIDE), np.float32)
    above, before = (_SIDE - height) // 2, (_SIDE - width) // 2
    placed[above : above + height, before : before + width] = (
        np.asarray(cut.resize((width, height), Image.Resampling.BOX)) > 127
    )
    return placed.ravel()


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
    scale = share * _GRID / _SIDE
    return scale, _GRID * (0.5 + shift - share / 2) + (scale - 1) / 2


@dataclass(frozen=True, eq=False)
class _ColourKinds:
    """The kinds of colour in a picture.

    Args:
        centres: `(kinds, 3)`, as `_lab` has them.
        shown: which kind each cell of the grid shows, one-hot: `(_GRID * _GRID, kinds)`.
        border: how often the border shows each kind, as a count of cells that adds up to `_BORDER` pictures.
    """

    centres: Floats
    shown: Floats
    border: Floats


def _colour_kinds(picture: NDArray[np.uint8]) -> _ColourKinds:
    """The kinds of colour in a picture `(height, width, 3)`, found by k-means."""
    import cv2

    cells = _lab(np.asarray(cv2.resize(picture, (_GRID, _GRID), interpolation=cv2.INTER_AREA), np.uint8))
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 10, 0)
    _, labels, centres = cv2.kmeans(cells, _KINDS, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    shown = np.eye(_KINDS, dtype=np.float32)[labels[:, 0]]
    inner = np.zeros((_GRID, _GRID), np.bool_)
    inner[1:-1, 1:-1] = True
    border = shown[~inner.ravel()].sum(axis=0)
    return _ColourKinds(centres, shown, border * np.float32(_BORDER * _GRID * _GRID / border.sum()))


def _kind_of(picture: NDArray[np.uint8], kinds: _ColourKinds) -> NDArray[np.intp]:
    """Which kind of colour each pixel shows: `(height, width)`."""
    colours = _lab(picture)
    distance = (kinds.centres**2).sum(axis=1) - 2 * colours @ kinds.centres.T
    return np.asarray(distance.argmin(axis=1).reshape(picture.shape[:2]))


def _parting(masks: Floats, kinds: _ColourKinds) -> Floats:
    """How well masks part the colours of a picture: `(n,)`, more is better.

    It is the mean log-likelihood of the cells' colours, in nats, if those within a mask and those around it each have
    their own frequencies. Less that of one set of frequencies for all, it is the mutual information of mask and colour.

    Args:
        masks: `(n, _GRID * _GRID)`, 0 to 1.
        kinds: of the picture.
    """
    within = masks @ kinds.shown
    around = kinds.shown.sum(axis=0) + kinds.border - within
    return (_log_likelihood(within) + _log_likelihood(around)) / np.float32(_GRID * _GRID)


def _expected(templates: Floats, kinds: _ColourKinds) -> Floats:
    """How likely each cell is foreground, `(_GRID, _GRID)`: the templates' mean, by how well they part colours."""
    rating = _parting(templates, kinds)
    weights = np.exp(np.float32(_SHARPNESS) * (rating - rating.max()))
    return np.asarray((weights @ templates / weights.sum()).reshape(_GRID, _GRID), np.float32)


def _on_grid(mask: NDArray[np.bool_]) -> Floats:
    """A mask as a template: `(1, _GRID * _GRID)`."""
    import cv2

    cells = cv2.resize(mask.astype(np.float32), (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32).reshape(1, -1)


def _lab(picture: NDArray[np.uint8]) -> Floats:
    """Colours in CIELAB, lightness counting less: `(pixels, 3)`."""
    import cv2

    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    return lab.astype(np.float32) * np.array([_LIGHTNESS, 1, 1], np.float32)


def _log_likelihood(counts: Floats) -> Floats:
    """Of cells with their own frequencies of kinds, given how many show each kind `(n, kinds)`: `(n,)`."""
    counts = counts + np.float32(1e-3)  # no logarithm of 0
    return np.asarray((counts * np.log(counts / counts.sum(axis=1, keepdims=True))).sum(axis=1))


def _from_templates(picture: Colours, kinds: _ColourKinds, templates: NDArray[np.float32]) -> Mask:
    """GrabCut, begun from what is likely to be foreground; what is all but sure stays as it is."""
    likely = _likely(picture, kinds, templates)
    start = np.where(likely > 0.5, _LIKELY_FOREGROUND, _LIKELY_BACKGROUND).astype(np.uint8)
    start[likely < _SURE], start[likely > 1 - _SURE] = _BACKGROUND, _FOREGROUND
    return _grab_cut(picture, start, 1)


def _likely(picture: Colours, kinds: _ColourKinds, templates: NDArray[np.float32]) -> NDArray[np.float64]:
    """How likely each pixel belongs to the foreground, by its place and its kind of colour: `(height, width)`, 0 to 1.

    How often foreground and background show each kind is learned from where they seem to be, by turns with that
    (expectation and maximization).
    """
    import cv2

    height, width = picture.shape[:2]
    likely = cv2.resize(_expected(templates, kinds), (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    by_place = _PLACE * _log_odds(np.clip(likely, _DOUBT, 1 - _DOUBT))
    shown = _kind_of(np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.7), np.uint8), kinds)
    count = len(kinds.centres)
    for _ in range(_LOOKS):
        own = np.bincount(shown.ravel(), likely.ravel(), minlength=count) + 1
        other = np.bincount(shown.ravel(), 1 - likely.ravel(), minlength=count) + 1
        by_colour = np.log(own / own.sum()) - np.log(other / other.sum())
        likely = 1 / (1 + np.exp(-by_place - _COLOUR * by_colour[shown]))
    return np.asarray(likely)


def _log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(probability) - np.log1p(-probability)


def _from_frame(picture: Colours) -> Mask:
    """GrabCut, begun from all but a frame."""
    start = np.full(picture.shape[:2], _LIKELY_FOREGROUND, np.uint8)
    start[_frame(picture.shape, _FRAME)] = _BACKGROUND
    return _grab_cut(picture, start, _ROUNDS)


def _grab_cut(picture: Colours, start: NDArray[np.uint8], rounds: int) -> Mask:
    import cv2

    cv2.setRNGSeed(0)  # GrabCut draws from it: the same photo must give the same answer
    if not 0 < (start % 2).sum() < start.size:
        return np.asarray(start % 2 == 1)
    models: list[Any] = [np.zeros((1, 65)), np.zeros((1, 65))]
    mask = start.copy()
    cv2.grabCut(np.ascontiguousarray(picture), mask, None, *models, rounds, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    return np.asarray(mask % 2 == 1)


def _refined(picture: Colours, mask: Mask) -> Mask:
    """The mask with a better edge: GrabCut may change what lies within a few pixels of it."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    inner = cv2.erode(mask.astype(np.uint8), kernel)
    outer = cv2.dilate(mask.astype(np.uint8), kernel)
    start = np.where(mask, _LIKELY_FOREGROUND, _LIKELY_BACKGROUND).astype(np.uint8)
    start[inner == 1], start[outer == 0] = _FOREGROUND, _BACKGROUND
    return _grab_cut(picture, start, 1)


def _cleaned(mask: Mask) -> Mask:
    """A mask without specks and small holes: the part that weighs most near the middle, and others nearly as heavy.

    If nothing is left, it is the whole picture.
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
    holes[0] = False  # the foreground itself
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
