"""Says when files are not the dataset that they are taken for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from fittingroom.data.arrays import count_per_class
from fittingroom.data.catalogue import CATALOGUE, FOUR_FILES, CatalogueEntry
from fittingroom.data.contents import Contents
from fittingroom.errors import DataError


def md5(path: Path) -> str:
    """The MD5 of a file, as 32 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def check_checksums(entry: CatalogueEntry, paths: Mapping[str, Path]) -> bool:
    """Whether all four files are the published ones, by MD5.

    Args:
        entry: the dataset they should be.
        paths: for each name of `FOUR_FILES` the file found.

    Raises:
        DataError: a file is one of another dataset, or of another part of this one.
    """
    verified = True
    for name in FOUR_FILES:
        actual = md5(paths[name])
        if actual == entry.info.checksums[f"{name}.gz"]:
            continue
        verified = False
        file = _file_with(actual, entry)
        if file is not None:
            raise DataError(
                f"{paths[name]} holds {file} of {entry.info.title}, by its checksum: the files are swapped. "
                "Give each its own name back."
            )
        for other in CATALOGUE.values():
            if (file := _file_with(actual, other)) is not None:
                raise DataError(
                    f"{paths[name]} is {file} of {other.info.title}, by its checksum. {_mend(entry, other)}"
                )
    return verified


def _file_with(checksum: str, entry: CatalogueEntry) -> str | None:
    return next((file for file, value in entry.info.checksums.items() if value == checksum), None)


def check_contents(entry: CatalogueEntry, contents: Contents, *, verified: bool) -> tuple[str, ...]:
    """Sentences about contents that should be `entry`'s.

    Args:
        entry: the dataset they should be.
        contents: what was read.
        verified: whether the checksums of the files have already shown what they are.

    Raises:
        DataError: they are another dataset, or its parts are swapped.
    """
    if verified:
        return ()
    actual = known_as(contents)
    if actual is entry:
        return ()
    place = f"the files from the {contents.source}"
    if actual is not None:
        raise DataError(f"{place} hold {actual.info.title}, by their contents. {_mend(entry, actual)}")
    counts = tuple(count_per_class(labels, len(contents.classes)) for labels in (contents.labels, contents.test_labels))
    if counts == (entry.test_counts, entry.train_counts):
        raise DataError(
            f"{place} are swapped: the train part has {sum(counts[0]):,} images and the test part {sum(counts[1]):,}. "
            "Give each its own name back."
        )
    published = (entry.train_counts, entry.test_counts)
    if entry.train_fingerprint is None and counts == published:
        return (
            f"The files' checksums are not the published ones, so that they are {entry.info.title} rests on their "
            "counts per class only.",
        )
    alike = next((e for e in CATALOGUE.values() if (e.train_counts, e.test_counts) == counts != published), None)
    looks = f"; by their counts per class they look like {alike.info.title}" if alike else ""
    raise DataError(
        f"{place} are not {entry.info.title}'s{looks}. To use them under their own name, load them as idx:FOLDER."
    )


def known_as(contents: Contents) -> CatalogueEntry | None:
    """The dataset of the table that has these contents, by fingerprint."""
    pair = (contents.fingerprint, contents.test_fingerprint)
    return next((e for e in CATALOGUE.values() if (e.train_fingerprint, e.test_fingerprint) == pair), None)


def _mend(entry: CatalogueEntry, actual: CatalogueEntry) -> str:
    title = entry.info.title
    return f"{title} was asked for: load {actual.name!r} instead, or give the folder of {title}'s files."
