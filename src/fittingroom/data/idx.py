"""Reads IDX, the format of MNIST and its descendants, packed with gzip or not, and datasets of four such files.

An IDX file is a magic number (two zero bytes, a type, the number of dimensions), the dimensions as big-endian 32-bit
numbers, and the values. It is described at http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import open_file
from fittingroom.data.cache import DatasetSource
from fittingroom.data.catalogue import FOUR_FILES, entry_with
from fittingroom.data.contents import Contents, RawDataset, RawPart
from fittingroom.data.npz import NpzFile
from fittingroom.data.sniff import LARGEST_ARRAY, LOOKED_AT, FileKind, read_declared
from fittingroom.data.values import to_images
from fittingroom.errors import DataError, DatasetNotFoundError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 4
_GZIP = b"\x1f\x8b"
_LISTED = 50  # files of a folder that are opened to see whether they are IDX


@dataclass(frozen=True)
class FourFiles:
    """The files of a dataset in the MNIST form.

    Attributes:
        paths: by their names in `FOUR_FILES`.
        source: where they were found, in words.
    """

    paths: Mapping[str, Path]
    source: str

    @classmethod
    def in_folder(cls, folder: Path, called: Callable[[str], str] = str) -> FourFiles | None:
        """The four files of a folder, packed or not; None if it has none of them.

        Args:
            folder: where to look.
            called: gives the name that a file of `FOUR_FILES` has there.

        Raises:
            DatasetNotFoundError: it has only some of the four.
        """
        paths = {name: path for name in FOUR_FILES if (path := _variant(folder, called(name))) is not None}
        if paths and len(paths) < len(FOUR_FILES):
            missing = ", ".join(called(name) for name in FOUR_FILES if name not in paths)
            raise DatasetNotFoundError(
                f"{folder} has only {len(paths)} of the four files; missing: {missing} (with or without .gz)."
            )
        return cls(paths, f"folder {folder}") if paths else None

    def read(self, classes: tuple[str, ...] | None) -> Contents:
        """The checked contents of the files.

        Args:
            classes: the names of the classes; None to name them by their numbers.

        Raises:
            DataError: a file is damaged, or the files do not make a dataset.
        """
        train, train_labels, test, test_labels = (self.paths[name] for name in FOUR_FILES)
        images, notes = to_images({str(path): FourFiles.images_of(path) for path in (train, test)})
        return RawDataset(
            train=RawPart(images[str(train)], FourFiles.labels_of(train_labels)),
            test=RawPart(images[str(test)], FourFiles.labels_of(test_labels)),
            source=self.source,
            classes=classes,
            notes=notes,
        ).checked()

    @staticmethod
    def is_test_images(path: Path) -> bool:
        """Whether a file has the name of the test images among the four."""
        return path.name.replace(".idx", "-idx").removesuffix(".gz") == FOUR_FILES[2]

    @staticmethod
    def images_of(path: Path) -> NDArray[Any]:
        """The images of an IDX file, `(n, height, width)` or `(n, height, width, channels)`, in the type it declares.

        Raises:
            DataError: the file cannot be read, is not IDX, has no images, or holds less or more than it declares.
        """
        return _read(path, {3, 4}, "images have 3 (or 4 in colour)")

    @staticmethod
    def labels_of(path: Path) -> NDArray[Any]:
        """The labels of an IDX file, `(n,)`, in the type it declares.

        Raises:
            DataError: the file cannot be read, is not IDX, has no labels, or holds less or more than it declares.
        """
        return _read(path, {1}, "labels have 1")

    @staticmethod
    def dataset_source(folder: Path) -> DatasetSource:
        """The dataset in a user's folder of four IDX files, under the names that MNIST's have.

        Raises:
            DatasetNotFoundError: the folder lacks some of the files.
        """
        files = FourFiles.in_folder(folder)
        if files is None:
            there = _idx_names(folder)
            raise DatasetNotFoundError(
                f"{folder} has {f'the IDX files {NpzFile.listed(there)}' if there else 'no IDX files'}; expected "
                f"{', '.join(FOUR_FILES)}, with or without .gz.{' Rename them.' if there else ''}"
            )

        def read() -> Contents:
            contents = files.read(None)
            known = entry_with(contents.fingerprint, contents.test_fingerprint)
            if known is None:
                return contents
            note = (
                f"These are {known.info.title}'s files: `{known.name}` with --data-dir {folder} names its classes too."
            )
            return replace(contents, notes=(*contents.notes, note))

        return DatasetSource.of_files("idx", str(folder), tuple(files.paths.values()), read)


def _read(path: Path, dimensions: set[int], expected: str) -> NDArray[Any]:
    with _opened(path) as (stream, stored, compressed):
        dtype, shape = _read_header(stream, path)
        if len(shape) not in dimensions:
            raise DataError(
                f"{path} has {len(shape)} dimension(s), but {expected}. Are the files of images and labels swapped?"
            )
        declared = math.prod(shape) * dtype.itemsize
        # Where one side is 0, the others may still be too much for NumPy.
        if not declared and math.prod(max(size, 1) for size in shape) > LARGEST_ARRAY:
            raise DataError(f"{path} declares the shape {shape}, which has no values.")
        content = read_declared(
            stream, declared, stored if compressed else stored - stream.tell(), str(path), compressed=compressed
        )
    return np.frombuffer(content, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedIOBase, int, bool]]:
    """The unpacked stream of a file, the number of bytes of the file, and whether it is compressed."""
    try:
        with open_file(path) as file:
            stored = file.seek(0, io.SEEK_END)
            file.seek(0)
            if file.peek(2)[:2] == _GZIP:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield unpacked, stored, True
            else:
                yield file, stored, False
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error


def _read_header(stream: io.BufferedIOBase, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Type and shape, with the stream left at the first value."""
    try:
        magic = stream.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= _MOST_DIMENSIONS:
            start = magic + stream.read(LOOKED_AT)
            raise DataError(
                f"{path} is not an IDX file: it {FileKind.of(start)}. Expected two zero bytes, a type "
                "and a number of dimensions, as in train-images-idx3-ubyte."
            )
        sizes = stream.read(4 * magic[3])
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is cut off or damaged in its first bytes ({error}). Get the file again.") from error
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path} is cut off: it ends within its header. Get the file again.")
    return np.dtype(_TYPES[magic[2]]), struct.unpack(f">{magic[3]}I", sizes)


def _variant(folder: Path, name: str) -> Path | None:
    """The file under the names that it goes by; the packed one first, because its checksum is published."""
    dotted = name.replace("-idx", ".idx")
    candidates = (folder / variant for variant in (f"{name}.gz", name, f"{dotted}.gz", dotted))
    return next((path for path in candidates if path.is_file()), None)


def _idx_names(folder: Path) -> list[str]:
    """The names of the IDX files in a folder, whatever they are called."""
    names = []
    for path in sorted(folder.iterdir())[:_LISTED]:
        with suppress(OSError):
            if FileKind.of_file(path).is_idx:
                names.append(path.name)
    return names
