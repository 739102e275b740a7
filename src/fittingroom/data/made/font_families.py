"""The fonts of `letters` and `symbols`: files of pinned packages, whose they are, and what may be done with them.

The two datasets have no file in common, and a test part has no font of a designer of its training part.
"""

from __future__ import annotations

from dataclasses import dataclass

from fittingroom.data.made.packaged_files import PackagedFiles
from fittingroom.text import word_list


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


def fonts_in_words(families: tuple[FontFamily, ...]) -> str:
    """The titles of families, and how many fonts they have together."""
    return (
        f"{sum(len(family.files.places) for family in families)} fonts ({word_list([each.title for each in families])})"
    )


def credits_of(dataset: str) -> str:
    """Whose the fonts of a dataset are, and their licences."""
    each = (f"{one.title} ({one.designers}; {one.licence})" for part in FONTS[dataset] for one in part)
    return f"Drawn by Fitting Room itself, with the fonts {', '.join(each)}"
