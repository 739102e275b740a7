"""The forms that published datasets have besides MNIST's four files: MedMNIST's NPZ and EMNIST's archive.

A form finds a dataset in a folder, and reads it. What it read is compared with the published numbers of images wherever
a published checksum does not say already that it is the right file.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fittingroom.data.catalogue import FOUR_FILES, CatalogueEntry
from fittingroom.data.contents import Contents, RawDataset, RawPart
from fittingroom.data.idx import FourFiles
from fittingroom.data.npz import NpzFile
from fittingroom.data.split import count_per_class
from fittingroom.data.values import to_images
from fittingroom.errors import DataError

_LARGEST_MEMBER = 128 * 2**20
"""Bytes. The largest of EMNIST's packed files has 31 MB for letters."""

_CHUNK = 2**20


@dataclass(frozen=True)
class PublishedFiles:
    """A published dataset that was found.

    Attributes:
        paths: of its files, by the names that they are published under or known by.
        source: where they were found, in words.
        read: gives the contents, without any comparison with what was published.
    """

    paths: Mapping[str, Path]
    source: str
    read: Callable[[], Contents]


def in_folder(entry: CatalogueEntry, folder: Path, source: str | None = None) -> PublishedFiles | None:
    """The files of a dataset in a folder; None if it has none of them.

    Args:
        entry: the dataset.
        folder: where to look, and in no other folder.
        source: where they were found, in words; None for the folder's path.

    Raises:
        DatasetNotFoundError: of four files, some are missing.
    """
    source = f"folder {folder}" if source is None else source
    if entry.form == "npz":
        path = folder / entry.files[0]
        if not path.is_file():
            return None
        return PublishedFiles({path.name: path}, source, lambda: _read_npz(entry, path, source))
    if entry.form == "idx":
        four = FourFiles.in_folder(folder)
        if four is None:
            return None
        named = replace(four, source=source)
        checked = {f"{name}.gz": path for name, path in four.paths.items()}
        return PublishedFiles(checked, source, lambda: named.read(entry.classes))
    return _letters_in_folder(entry, folder, source)


def _letters_in_folder(entry: CatalogueEntry, folder: Path, source: str) -> PublishedFiles | None:
    four = FourFiles.in_folder(folder, _emnist_name)
    if four is not None:
        letters = replace(four, source=source)
        return PublishedFiles(dict(four.paths), source, lambda: _read_letters(entry, letters))
    archive = folder / entry.files[0]
    if not archive.is_file():
        return None

    def read() -> Contents:
        with tempfile.TemporaryDirectory(prefix="fittingroom-") as temporary:
            unpack_letters(archive, Path(temporary))
            unpacked = FourFiles.in_folder(Path(temporary), _emnist_name)
            if unpacked is None:  # `unpack_letters` has written all of them
                raise DataError(f"{archive} could not be unpacked to {temporary}.")
            return _read_letters(entry, replace(unpacked, source=source))

    return PublishedFiles({archive.name: archive}, source, read)


def expected_files(entry: CatalogueEntry) -> str:
    """The files of a dataset, as a message names them."""
    if entry.form == "npz":
        return f"the file {entry.files[0]}"
    if entry.form == "emnist":
        inside = ", ".join(map(_emnist_name, FOUR_FILES))
        return f"EMNIST's {entry.files[0]}, or its four files {inside} (with or without .gz),"
    return f"the four files {', '.join(FOUR_FILES)} (with or without .gz)"


def unpack_letters(archive: Path, folder: Path) -> None:
    """Writes the four files of EMNIST's letters into a folder, still packed with gzip.

    Raises:
        DataError: the archive is damaged, or lacks one of them.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {Path(member.filename).name: member for member in opened.infolist()}
            for name in FOUR_FILES:
                file = f"{_emnist_name(name)}.gz"
                member = members.get(file)
                if member is None:
                    raise DataError(f"{archive} has no file {file}, so it is not EMNIST's archive. Get it again.")
                if member.file_size > _LARGEST_MEMBER:
                    raise DataError(
                        f"{file} of {archive} declares {member.file_size:,} bytes; EMNIST's has 30 million at most."
                    )
                draft = folder / f".{file}"
                with opened.open(member) as packed, draft.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, _CHUNK)
                draft.replace(folder / file)  # so that a file is whole or absent
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{archive} is cut off or damaged ({error}). Get it again.") from error


def check_published(entry: CatalogueEntry, contents: Contents) -> Contents:
    """The contents of files without a published checksum, if their numbers of images are a dataset's.

    Raises:
        DataError: they are not.
    """
    title = entry.info.title
    validation = contents.given_validation
    actual = (len(contents.labels) - validation, validation, len(contents.test_labels))
    expected = entry.sizes or (entry.train_size, 0, entry.test_size)
    counts = tuple(count_per_class(labels, len(contents.classes)) for labels in (contents.labels, contents.test_labels))
    if actual != expected or (entry.train_counts and counts != (entry.train_counts, entry.test_counts)):
        per_class = "" if actual != expected else ", but of other classes"
        raise DataError(
            f"{contents.source}: these are not {title}'s files: they have {_sizes(actual)} images{per_class}, and "
            f"{title} has {_sizes(expected)}. Are they of another version? To use them anyway, load them by their path."
        )
    if contents.images.shape[1:] != entry.image_shape:
        raise DataError(
            f"{contents.source}: the images have the shape {contents.images.shape[1:]}, and {title}'s have "
            f"{entry.image_shape}. To use them anyway, load them by their path."
        )
    note = (
        "The checksums of the files are not the published ones, so only their numbers of images say that they are "
        f"{title}."
    )
    return replace(contents, notes=(*contents.notes, note))


def _sizes(each: tuple[int, int, int]) -> str:
    train, validation, test = (f"{count:,}" for count in each)
    return (
        f"{train} training, {validation} validation and {test} test" if each[1] else f"{train} training and {test} test"
    )


def _read_npz(entry: CatalogueEntry, path: Path, source: str) -> Contents:
    contents = NpzFile(path).raw_dataset()
    return replace(contents, source=source, classes=entry.classes).checked()


def _emnist_name(name: str) -> str:
    """What EMNIST calls one of the four files."""
    part, _, rest = name.partition("-")
    return f"emnist-letters-{'test' if part == 't10k' else 'train'}-{rest}"


def _read_letters(entry: CatalogueEntry, files: FourFiles) -> Contents:
    """The letters, turned upright: their files have columns for rows, and number the classes from 1."""
    train, train_labels, test, test_labels = (files.paths[name] for name in FOUR_FILES)
    images, notes = to_images({str(path): FourFiles.images_of(path) for path in (train, test)})
    upright = {name: np.ascontiguousarray(np.swapaxes(each, 1, 2)) for name, each in images.items()}
    labels = {path: FourFiles.labels_of(path).astype(np.int64) - 1 for path in (train_labels, test_labels)}
    for path, each in labels.items():
        if each.min() < 0:
            raise DataError(f"{path} has the label 0, but EMNIST numbers its letters from 1. Is it EMNIST's file?")
    return RawDataset(
        train=RawPart(upright[str(train)], labels[train_labels]),
        test=RawPart(upright[str(test)], labels[test_labels]),
        source=files.source,
        classes=entry.classes,
        notes=notes,
    ).checked()
