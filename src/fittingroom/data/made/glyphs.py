"""The datasets `letters` and `symbols`: glyphs of free fonts, those of the test part of fonts that training never saw.

The outlines are read with fontTools and filled here, since a version of FreeType draws other pixels than the next one.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont
from numpy.typing import NDArray

from fittingroom.data.catalogue_entries import CatalogueEntry
from fittingroom.data.made.font_families import FONTS
from fittingroom.data.made.made_entries import SYMBOLS
from fittingroom.data.made.outline_filling import SIDE, Draws, Outline, filled, placed
from fittingroom.data.values import Images, Labels

_DATASETS = {"letters": 4, "symbols": 5}
_POINTS = 8
"""Straight lines in place of each curve of an outline."""


@dataclass(frozen=True)
class _Variety:
    """How much glyphs differ from one image to the next: as much as leaves the best methods a few errors.

    Attributes:
        sizes: the shortest and the longest longer side, in pixels.
        shift: to each side at most, in pixels.
        turn: to each side at most, in radians.
        noise: its standard deviation.
    """

    sizes: tuple[float, float]
    shift: float
    turn: float
    noise: int


_VARIETIES = {"letters": _Variety((15, 23), 2.5, 0.2, 16), "symbols": _Variety((12, 20), 4, 0.35, 46)}


def glyphs(entry: CatalogueEntry, count: int, part: int) -> tuple[Images, Labels]:
    """Images of one part, the classes in turn; each family of fonts is drawn from equally often.

    Args:
        entry: of `letters` or `symbols`.
        count: the number of images.
        part: 0 for what is learned from, 1 for the test part.

    Raises:
        DatasetNotFoundError: the package of a font is not installed.
        DataError: a font is another one than expected.
    """
    families = [[_Font(content) for content in family.files.read()] for family in FONTS[entry.name][part]]
    draws = Draws(_DATASETS[entry.name], part)
    labels = (np.arange(count) % len(entry.classes)).astype(np.int32)
    images = []
    for label in labels.tolist():
        family = families[draws.below(len(families))]
        name = entry.classes[label]
        images.append(
            _image(family[draws.below(len(family))].outlines(SYMBOLS.get(name, name)), draws, _VARIETIES[entry.name])
        )
    return np.stack(images), labels


def _image(outlines: list[Outline], draws: Draws, variety: _Variety) -> NDArray[np.uint8]:
    """A glyph, light on dark, of random size, stretch, slant, place and angle, under noise."""
    shift, turn = variety.shift, variety.turn
    every = np.concatenate(outlines)
    low, high = every.min(axis=0), every.max(axis=0)
    size = draws.between(*variety.sizes) / float((high - low).max())
    slant = draws.between(-0.15, 0.15)
    middle = [outline - (low + high) / 2 for outline in outlines]
    slanted = [np.stack([each[:, 0] + slant * each[:, 1], each[:, 1]], axis=1) for each in middle]
    centre = (SIDE / 2 + draws.between(-shift, shift), SIDE / 2 + draws.between(-shift, shift))
    stretched = (size * draws.between(0.8, 1.0), -size * draws.between(0.8, 1.0))
    cover = filled(placed(slanted, size=stretched, turn=draws.between(-turn, turn), centre=centre))
    image = cover * int(draws.between(150, 255)) // 255
    return (image + draws.noise(variety.noise)).clip(0, 255).astype(np.uint8)


class _Font:
    """One font, whose glyphs are read when they are first drawn."""

    def __init__(self, content: bytes) -> None:
        font: Any = TTFont(io.BytesIO(content), lazy=True)
        self._names, self._glyphs = font.getBestCmap(), font.getGlyphSet()
        self._known: dict[str, list[Outline]] = {}

    def outlines(self, character: str) -> list[Outline]:
        """The outlines of a character, in the font's own units, y upwards."""
        if character not in self._known:
            pen = _OutlinePen(self._glyphs)
            self._glyphs[self._names[ord(character)]].draw(pen)
            self._known[character] = [np.array(points) for points in pen.found]
        return self._known[character]


class _OutlinePen(BasePen):
    """Collects the points of a glyph's outlines, with straight lines in place of curves."""

    def __init__(self, glyph_set: Any) -> None:
        super().__init__(glyph_set)
        self.found: list[list[tuple[float, float]]] = []

    def _moveTo(self, pt: tuple[float, float]) -> None:  # noqa: N802 - as fontTools calls it
        self.found.append([pt])

    def _lineTo(self, pt: tuple[float, float]) -> None:  # noqa: N802
        self.found[-1].append(pt)

    def _curveToOne(  # noqa: N802
        self, pt1: tuple[float, float], pt2: tuple[float, float], pt3: tuple[float, float]
    ) -> None:
        start = self.found[-1][-1]
        for step in range(1, _POINTS + 1):
            t = step / _POINTS
            weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
            points = (start, pt1, pt2, pt3)
            x, y = (sum(weight * point[axis] for weight, point in zip(weights, points, strict=True)) for axis in (0, 1))
            self.found[-1].append((x, y))
