"""Where a thing may be in a photo: training silhouettes laid over it in many places and sizes.

A silhouette lies right where the colours within it are others than those around it. That is measured for all of them at
once, with one product of matrices, and without a guess of what colours the background has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fittingroom.photos.silhouettes import SIDE

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
