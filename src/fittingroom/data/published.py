"""The published datasets of the catalogue: where their files are, their download, and whether they are what they seem.

The files of a dataset are looked for in a folder of the user's, in that of a system package, and on the authors'
mirrors. They are checked by their published checksums, or by their contents. The digits come with scikit-learn, so that
there is always a dataset.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fittingroom.bar import Bar
from fittingroom.data.cache import DatasetSource, cache_dir
from fittingroom.data.catalogue import CATALOGUE, DIGITS, CatalogueEntry, entry_with
from fittingroom.data.contents import Contents, RawDataset, RawPart
from fittingroom.data.published_forms import (
    PublishedFiles,
    check_published,
    expected_files,
    in_folder,
    unpack_letters,
)
from fittingroom.data.split import count_per_class
from fittingroom.errors import DataError, DatasetNotFoundError

_ROUNDS = 3
_TIMEOUT = (5, 30)
"""Seconds to connect, and between two packets."""

_TEST_DIGITS = 360


@dataclass(frozen=True)
class PublishedDataset:
    """A dataset of the catalogue, at each of the places where its files may be.

    Args:
        entry: what the catalogue knows of it.
    """

    entry: CatalogueEntry

    @staticmethod
    def digits() -> Contents:
        """scikit-learn's digits: 1,797 images with values 0 to 16, 360 of them our fixed test part."""
        from sklearn.datasets import load_digits

        data = load_digits()
        images = data.images.astype(np.uint8)
        found = RawDataset(
            train=RawPart(images, data.target),
            test=None,
            source="scikit-learn's own copy, with a train/test split of ours",
            classes=DIGITS.classes,
            scale=DIGITS.scale,
            test_fraction=_TEST_DIGITS / len(images),
        )
        return replace(found.checked(), notes=())

    def in_folder(self, folder: Path) -> DatasetSource | None:
        """It in the user's folder: in its sub-folder with the dataset's name, or in it; None if in neither.

        EMNIST's may also be in the sub-folder `gzip`, as they are in its archive.

        Raises:
            DatasetNotFoundError: of four files, some are missing.
        """
        places = [folder / self.entry.name, folder]
        if self.entry.form == "emnist":
            places += [place / "gzip" for place in places]
        found = next((files for place in places if (files := in_folder(self.entry, place)) is not None), None)
        return None if found is None else self._source(found, folder)

    def in_system(self) -> DatasetSource | None:
        """It where a package of the operating system puts it; None if that is not installed."""
        folder = self.entry.system_folder
        if folder is None:
            return None
        found = in_folder(self.entry, folder, f"Debian package {self.entry.system_package} ({folder})")
        return None if found is None else self._source(found)

    @contextmanager
    def by_download(self) -> Iterator[DatasetSource]:
        """It downloaded into the cache, or into a temporary folder if the cache cannot be written.

        Raises:
            DatasetNotFoundError: it cannot be downloaded; the message names every way out.
        """
        with _download_folder(self.entry.name) as folder:
            source = f"download from {self.entry.mirrors[0]}"
            kept = None
            if self.entry.form == "emnist":
                with suppress(DatasetNotFoundError):  # where it was killed while it unpacked
                    kept = in_folder(self.entry, folder, source)
            if kept is None or self.entry.files[0] in kept.paths:
                try:
                    paths = _download(self.entry, folder)
                except DatasetNotFoundError as error:
                    raise _not_found(self.entry, str(error)) from error
                if self.entry.form == "emnist":
                    # Its archive has half a gigabyte, of which the letters are a fifteenth.
                    unpack_letters(paths[self.entry.files[0]], folder)
                    paths[self.entry.files[0]].unlink()
                kept = in_folder(self.entry, folder, source)
            if kept is None:  # pooch has put all of them there
                raise DatasetNotFoundError(f"The files of {self.entry.info.title} vanished from {folder}. Try again.")
            yield self._source(kept, verified=self.entry.form == "emnist")

    def _source(self, files: PublishedFiles, data_dir: Path | None = None, *, verified: bool = False) -> DatasetSource:
        """Files that should be this dataset; reading them refuses any other.

        Args:
            files: where they are.
            data_dir: the user's folder that has them, which is cached apart; None for all other places.
            verified: whether the published checksum was compared already.
        """
        entry = self.entry

        def read() -> Contents:
            known = verified or _check_checksums(entry, files.paths)
            contents = files.read()
            return contents if known else _check_contents(entry, contents)

        paths = tuple(files.paths.values())
        return DatasetSource.of_files(entry.name, None if data_dir is None else str(data_dir), paths, read)


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


def _not_found(entry: CatalogueEntry, reason: str) -> DatasetNotFoundError:
    """The error that says where a dataset was looked for, and all the ways to get it."""
    ways = [
        f"put {expected_files(entry)} into a folder and name it with --data-dir or FITTINGROOM_DATA_DIR",
        f"copy the cache folder of a machine where {entry.name} was loaded to {cache_dir()}",
    ]
    if entry.system_package:
        ways.append(f"on Debian or Ubuntu: apt-get install {entry.system_package}")
    ways.append(f"connect to the network (or set HTTPS_PROXY) and try again, so that it comes from {entry.mirrors[0]}")
    listed = "\n".join(f"  {number}. {way}" for number, way in enumerate(ways, 1))
    return DatasetNotFoundError(f"{entry.info.title} was not found anywhere. {reason} Ways to get it:\n{listed}")


def _download(entry: CatalogueEntry, folder: Path, pause: float = 1.0) -> Mapping[str, Path]:
    """The files of a dataset by their names, downloaded unless the folder has them already.

    Each file is asked from each mirror in turn, in three rounds. A file with a wrong checksum is deleted. Progress goes
    to standard error if that is a terminal.

    Args:
        entry: the dataset; its mirrors and checksums are used.
        folder: exists, and can be written.
        pause: seconds before the second round; twice that before the third.

    Raises:
        DatasetNotFoundError: no mirror gave a file with the right checksum; the message has the reason of each.
    """
    with _quiet_pooch(), Bar.shown(f"Downloading {entry.info.title}") as bar:
        return {name: _download_file(name, entry, folder, bar, pause) for name in entry.files}


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


def _md5(path: Path) -> str:
    """The MD5 of a file, as 32 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def _check_checksums(entry: CatalogueEntry, paths: Mapping[str, Path]) -> bool:
    """Whether all files are the published ones, by MD5; not where they have no published checksum.

    Args:
        entry: the dataset they should be.
        paths: for each name the file found.

    Raises:
        DataError: a file is one of another dataset, or of another part of this one.
    """
    verified = True
    for name, path in paths.items():
        actual = _md5(path)
        if actual == entry.info.checksums.get(name):
            continue
        verified = False
        file = _file_with(actual, entry)
        if file is not None:
            raise DataError(
                f"{path} holds {file} of {entry.info.title}, by its checksum: the files are swapped. Rename them."
            )
        for other in CATALOGUE.values():
            if (file := _file_with(actual, other)) is not None:
                raise DataError(f"{path} is {file} of {other.info.title}, by its checksum. {_mend(entry, other)}")
    return verified


def _file_with(checksum: str, entry: CatalogueEntry) -> str | None:
    return next((file for file, value in entry.info.checksums.items() if value == checksum), None)


def _check_contents(entry: CatalogueEntry, contents: Contents) -> Contents:
    """The contents of files whose checksums are not the published ones, if they are `entry`'s.

    Raises:
        DataError: they are another dataset, or its parts are swapped.
    """
    if entry.form != "idx":
        return check_published(entry, contents)
    actual = entry_with(contents.fingerprint, contents.test_fingerprint)
    if actual is entry:
        return contents
    place = f"the files from the {contents.source}"
    if actual is not None:
        raise DataError(f"{place} hold {actual.info.title}, by their contents. {_mend(entry, actual)}")
    counts = tuple(count_per_class(labels, len(contents.classes)) for labels in (contents.labels, contents.test_labels))
    if counts == (entry.test_counts, entry.train_counts):
        raise DataError(
            f"{place} are swapped: the train part has {sum(counts[0]):,} images and the test part {sum(counts[1]):,}. "
            "Rename them."
        )
    published = (entry.train_counts, entry.test_counts)
    if entry.train_fingerprint is None and counts == published:
        note = (
            f"The checksums of the files are not the published ones, so only their counts per class say that they are "
            f"{entry.info.title}."
        )
        return replace(contents, notes=(*contents.notes, note))
    alike = next((e for e in CATALOGUE.values() if (e.train_counts, e.test_counts) == counts != published), None)
    looks = f"; by their counts per class they look like {alike.info.title}" if alike else ""
    raise DataError(f"{place} are not {entry.info.title}'s{looks}. To use them anyway, load them as idx:FOLDER.")


def _mend(entry: CatalogueEntry, actual: CatalogueEntry) -> str:
    title = entry.info.title
    return f"{title} was expected: load {actual.name!r} instead, or give the folder of {title}'s files."
