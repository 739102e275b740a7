"""The datasets that are known by name, in one table, and the forms of a user's own.

The first few are found without an import, since most trainings need no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from fittingroom.data.catalogue_entries import (
    DIGITS,
    EMNIST_LETTERS,
    FASHION_MNIST,
    FOUR_FILES,
    KMNIST,
    MNIST,
    CatalogueEntry,
    DatasetInfo,
)

__all__ = [
    "CATALOGUE",
    "DIGITS",
    "EMNIST_LETTERS",
    "FASHION_MNIST",
    "FORMS",
    "FOUR_FILES",
    "KMNIST",
    "MNIST",
    "CatalogueEntry",
    "DatasetInfo",
    "entry_with",
]

FORMS = ("folder:FOLDER", "npz:FILE", "csv:FILE", "parquet:FILE", "idx:FOLDER")
"""How a user's own data are named."""


class _Catalogue(Mapping[str, CatalogueEntry]):
    """All datasets by name."""

    _first: Mapping[str, CatalogueEntry] = MappingProxyType(
        {entry.name: entry for entry in (FASHION_MNIST, MNIST, KMNIST, DIGITS, EMNIST_LETTERS)}
    )

    def __getitem__(self, name: str) -> CatalogueEntry:
        return self._first[name] if name in self._first else _others()[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._first
        yield from _others()

    def __len__(self) -> int:
        return len(self._first) + len(_others())


@cache
def _others() -> Mapping[str, CatalogueEntry]:
    """The datasets after the first few."""
    from fittingroom.data.made.made_entries import MADE
    from fittingroom.data.medmnist_entries import MEDMNIST

    return {entry.name: entry for entry in (*MADE, *MEDMNIST)}


CATALOGUE: Mapping[str, CatalogueEntry] = _Catalogue()


def entry_with(fingerprint: str, test_fingerprint: str) -> CatalogueEntry | None:
    """The dataset of the catalogue that has these fingerprints; None if no dataset has."""
    pair = (fingerprint, test_fingerprint)
    return next((row for row in CATALOGUE.values() if (row.train_fingerprint, row.test_fingerprint) == pair), None)
