"""Finds the four files of a dataset of the MNIST form: in a folder, where a system package puts them, by download.

Downloads the four files of a dataset, checked by their published checksums.

Says when files are not the dataset that they are taken for.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fittingroom.data.cache import cache_dir
from fittingroom.data.catalogue import CATALOGUE, FOUR_FILES, CatalogueEntry
from fittingroom.data.contents import Contents
from fittingroom.data.progress import Bar, progress_bar
from fittingroom.data.values import count_per_class
from fittingroom.errors import DataError, DatasetNotFoundError


@dataclass(frozen=True)
class FourFiles:
    """Where the four files are, by their names in `FOUR_FILES`, and in words."""

    paths: Mapping[str, Path]
    source: str


def in_folder(folder: Path) -> FourFiles | None:
    """The four files of a folder, packed or not; None if it has none of them.

    Raises:
        DatasetNotFoundError: it has some of the four only.
    """
    paths = {name: path for name in FOUR_FILES if (path := _variant(folder, name)) is not None}
    if paths and len(paths) < len(FOUR_FILES):
        missing = ", ".join(name for name in FOUR_FILES if name not in paths)
        raise DatasetNotFoundError(
            f"{folder} has only {len(paths)} of the four files; missing: {missing} (with or without .gz)."
        )
    return FourFiles(paths, f"folder {folder}") if paths else None


def _variant(folder: Path, name: str) -> Path | None:
    """The file under the names that it goes by; the packed one first, because its checksum is published."""
    dotted = name.replace("-idx", ".idx")
    candidates = (folder / variant for variant in (f"{name}.gz", name, f"{dotted}.gz", dotted))
    return next((path for path in candidates if path.is_file()), None)


def is_test_images(path: Path) -> bool:
    """Whether a file has the name of the test images among the four."""
    return path.name.replace(".idx", "-idx").removesuffix(".gz") == FOUR_FILES[2]


def in_data_folder(entry: CatalogueEntry, folder: Path) -> FourFiles | None:
    """The four files of a folder of the user's: in its sub-folder with the dataset's name, or in it; None if neither.

    Raises:
        DatasetNotFoundError: some of the four files are missing.
    """
    return in_folder(folder / entry.name) or in_folder(folder)


def in_system(entry: CatalogueEntry) -> FourFiles | None:
    """The four files where a package of the operating system puts them."""
    found = in_folder(entry.system_folder) if entry.system_folder else None
    return FourFiles(found.paths, f"Debian package {entry.system_package} ({entry.system_folder})") if found else None


@contextmanager
def by_download(entry: CatalogueEntry) -> Iterator[FourFiles]:
    """The four files, downloaded into our cache, or for the time being if the cache cannot be written.

    Raises:
        DatasetNotFoundError: they cannot be downloaded; the message names every way out.
    """
    with _download_folder(entry.name) as folder:
        try:
            paths = download(entry, folder)
        except DatasetNotFoundError as error:
            raise not_found(entry, str(error)) from error
        yield FourFiles(paths, f"download from {entry.mirrors[0]}")


@contextmanager
def _download_folder(name: str) -> Iterator[Path]:
    folder = cache_dir() / "downloads" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if writable:
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="fittingroom-") as temporary:
            yield Path(temporary)


def not_found(entry: CatalogueEntry, reason: str) -> DatasetNotFoundError:
    """The error that says where a dataset was looked for, and all the ways to get it."""
    ways = [
        f"put the four files ({', '.join(f'{name}.gz' for name in FOUR_FILES)}) into a folder and name it with "
        "--data-dir or FITTINGROOM_DATA_DIR",
        f"copy {cache_dir()} from a machine where {entry.name} was loaded",
    ]
    if entry.system_package:
        ways.append(f"on Debian or Ubuntu: apt-get install {entry.system_package}")
    ways.append(f"connect to the network (or set HTTPS_PROXY) and try again, so that it comes from {entry.mirrors[0]}")
    listed = "\n".join(f"  {number}. {way}" for number, way in enumerate(ways, 1))
    return DatasetNotFoundError(f"{entry.info.title} was found nowhere. {reason} Ways out:\n{listed}")


_ROUNDS = 3
_TIMEOUT = (5, 30)
"""Seconds to connect, and between two packets."""


def download(entry: CatalogueEntry, folder: Path, pause: float = 1.0) -> Mapping[str, Path]:
    """The four files of a dataset by their names in `FOUR_FILES`, downloaded unless the folder has them already.

    Each file is asked from each mirror in turn, in three rounds. A file with a wrong checksum is deleted. Progress goes
    to standard error if that is a terminal.

    Args:
        entry: the dataset; its mirrors and checksums are used.
        folder: exists, and can be written.
        pause: seconds before the second round; twice that before the third.

    Raises:
        DatasetNotFoundError: no mirror gave a file with the right checksum; the message has the reason of each.
    """
    with _quiet_pooch(), progress_bar(f"Downloading {entry.info.title}") as bar:
        return {name: _download_file(f"{name}.gz", entry, folder, bar, pause) for name in FOUR_FILES}


def _download_file(file: str, entry: CatalogueEntry, folder: Path, bar: Bar | None, pause: float) -> Path:
    import pooch

    reasons: dict[str, str] = {}
    for attempt in range(_ROUNDS):
        time.sleep(pause * attempt)
        for mirror in entry.mirrors:
            try:
                path = pooch.retrieve(
                    f"{mirror}{file}",
                    known_hash=f"md5:{entry.info.checksums[file]}",
                    fname=file,
                    path=folder,
                    downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16, timeout=_TIMEOUT),
                )
            except (ValueError, OSError) as error:  # every exception of requests is an OSError
                reasons[mirror] = _reason(error)
            else:
                return Path(path)
    listed = "; ".join(f"{mirror}: {reason}" for mirror, reason in reasons.items())
    raise DatasetNotFoundError(f"{file} of {entry.info.title} could not be downloaded ({listed}).")


def _reason(error: Exception) -> str:
    """One clause about a failure; requests' own messages are long and nested."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    # pooch says of a wrong checksum what was expected and what came, then that it deleted the file, then its advice.
    return str(error).replace(". Deleted download for safety", ", so the file was deleted").partition(". ")[0]


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keeps pooch from announcing each file on standard error."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


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
