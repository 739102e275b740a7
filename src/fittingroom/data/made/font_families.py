"""The datasets `letters` and `symbols`: glyphs of free fonts, those of the test part of fonts that training never saw.

The fonts of the two datasets have no file in common, and those of training and test none of a designer's family. The
outlines are read with fontTools and filled here, since a version of FreeType draws other pixels than the next one.
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
from fittingroom.data.made.made_entries import SYMBOLS
from fittingroom.data.made.outline_filling import SIDE, Draws, Outline, filled, placed
from fittingroom.data.made.packaged_files import PackagedFiles
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


@dataclass(frozen=True)
class FontFamily:
    """Fonts that belong together.

    Attributes:
        title: its name.
        files: its fonts.
        licence: of the fonts.
        designers: whose they are.
    """

    title: str
    files: PackagedFiles
    licence: str
    designers: str


_OFL = "SIL OFL 1.1"


def _family(
    title: str, package: str, fonts: str, sha256: str, designers: str, licence: str = _OFL, folder: str = "files"
) -> FontFamily:
    """A family of fonts; `fonts` are the names of its files, with a space between two."""
    return FontFamily(
        title, PackagedFiles(package, tuple(f"{folder}/{name}" for name in fonts.split()), sha256), licence, designers
    )


_MATPLOTLIB = "mpl-data/fonts/ttf"

FONTS: dict[str, tuple[tuple[FontFamily, ...], tuple[FontFamily, ...]]] = {
    "letters": (
        (
            _family(
                "Lato",
                "font_lato",
                "Lato-Light.ttf Lato-Regular.ttf Lato-Bold.ttf Lato-Black.ttf Lato-Italic.ttf",
                "6d7201d281e750ca2bce35965c5bc1d06a780a0ffdbc6fb9c40bc1c2716fc417",
                "Łukasz Dziedzic",
            ),
            _family(
                "Source Sans Pro",
                "font_source_sans_pro",
                "SourceSansPro-Light.ttf SourceSansPro-Regular.ttf SourceSansPro-Bold.ttf SourceSansPro-BoldIt.ttf",
                "973c6757599cc4f972d85943bcf4d1786edfcfa2fdab2cd2b94b8c8ef4db16b2",
                "Paul D. Hunt, Adobe",
            ),
            _family(
                "Source Serif Pro",
                "font_source_serif_pro",
                "SourceSerifPro-Light.ttf SourceSerifPro-Regular.ttf SourceSerifPro-Black.ttf SourceSerifPro-It.ttf",
                "21fb5d9bf1599b63fd896d69568356b180e5fa487eea1206b43b8a3cbd0cb679",
                "Frank Grießhammer, Adobe",
            ),
            _family(
                "Hanken Grotesk",
                "font_hanken_grotesk",
                "HankenGrotesk-Light.otf HankenGrotesk-Medium.otf HankenGrotesk-Bold.otf HankenGrotesk-Italic.otf",
                "3e239d4813e8dd00c74bfa87439680e27750f9da1a9192d98cf7dc84f1a38286",
                "Alfredo Marco Pradil",
            ),
            _family(
                "Amatic SC",
                "font_amatic_sc",
                "AmaticSC-Regular.ttf AmaticSC-Bold.ttf",
                "2980859129d21d2eaee76d20f7ef967bf46d359eeb83d61cc45f2be0692bac7d",
                "The Amatic SC Project Authors",
            ),
        ),
        (
            _family(
                "Caladea",
                "font_caladea",
                "Caladea-Regular.ttf Caladea-Bold.ttf Caladea-Italic.ttf Caladea-BoldItalic.ttf",
                "cf9eccbc686b9835311725d2d65d4729492eb9d403656e324df58b0e5c8eda7e",
                "Carolina Giovagnoli and Andrés Torresi, Huerta Tipográfica",
                "Apache 2.0",
            ),
            _family(
                "Manrope",
                "font_manrope",
                "Manrope-ExtraLight.ttf Manrope-Regular.ttf Manrope-ExtraBold.ttf",
                "9a7942700ab96755179e7507053e66466c14636c0ef687da1af9ff0f871940d5",
                "Mikhail Sharanda",
            ),
            _family(
                "Intuitive",
                "font_intuitive",
                "Intuitive.ttf",
                "8e179d0b80ee7e272bbc12b7f9aa11314ef660396101ba4e0096e535256232ab",
                "Bruno de Souza Leão",
            ),
            _family(
                "Fredoka One",
                "font_fredoka_one",
                "FredokaOne-Regular.ttf",
                "a2fbb1416510efe20330272bc182d667efe1507db5faecde893084fb15953973",
                "Milena B. Brandão",
            ),
        ),
    ),
    "symbols": (
        (
            _family(
                "DejaVu Sans",
                "matplotlib",
                "DejaVuSans.ttf DejaVuSans-Bold.ttf DejaVuSans-Oblique.ttf DejaVuSans-BoldOblique.ttf",
                "8de8dfae69fc4b5dee453241419f7f5cbda0983e704473580751cdb26d38a48c",
                "Bitstream and the DejaVu project",
                "Bitstream Vera",
                _MATPLOTLIB,
            ),
            _family(
                "DejaVu Sans Mono",
                "matplotlib",
                "DejaVuSansMono.ttf DejaVuSansMono-Bold.ttf DejaVuSansMono-Oblique.ttf",
                "9d4b2c4e46caaa718c0b19e5eb44ab091f06b2c9c3608edfbf1fc78acab10afd",
                "Bitstream and the DejaVu project",
                "Bitstream Vera",
                _MATPLOTLIB,
            ),
            _family(
                "DejaVu Serif",
                "matplotlib",
                "DejaVuSerif.ttf DejaVuSerif-Bold.ttf DejaVuSerif-Italic.ttf DejaVuSerif-BoldItalic.ttf",
                "806b87a4ea48c68b15474510f11203aeccb884effd991dace8364f7bdcb47b03",
                "Bitstream and the DejaVu project",
                "Bitstream Vera",
                _MATPLOTLIB,
            ),
        ),
        (
            _family(
                "STIX",
                "matplotlib",
                "STIXGeneral.ttf STIXGeneralBol.ttf",
                "8af99b918465c3a7456311c49bc3778b4af142837fcf89f77aff308a664d203f",
                "The STI Pub companies",
                "STIX Fonts User License",
                _MATPLOTLIB,
            ),
        ),
    ),
}
"""For each dataset the families of fonts of its training and its test part."""


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
