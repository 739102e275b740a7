"""Reads NPZ files without trusting them (no pickles, no size that the file does not have), and datasets in them.

The names of the arrays say which of them are the images and labels of which part.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fittingroom.atomic import open_file
from fittingroom.data.cache import DatasetSource
from fittingroom.data.contents import RawDataset, RawPart
from fittingroom.data.csvfile import PixelTable
from fittingroom.data.labels import class_names
from fittingroom.data.sniff import LARGEST_ARRAY, LOOKED_AT, FileKind, read_declared
from fittingroom.data.values import to_images
from fittingroom.errors import DataError
from fittingroom.text import word_list

_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_LENGTHS = {(1, 0): 2, (2, 0): 4}
_LONGEST_HEADER = 10_000  # bytes; NumPy's own limit, which it applies after it has read the header

_LARGEST_READ = 2 * 2**20
"""Bytes of an archive read at once: at most its directory, of some 20,000 members."""

_END = b"PK\x05\x06"
_LONGEST_END = 22 + 65_535  # bytes of the record at the end with the longest possible comment

_PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_IMAGES = ("x", "images", "image", "data", "pixels")
_LABELS = ("y", "labels", "label", "targets", "target")
_CLASSES = ("class_names", "classes", "label_names", "categories", "target_names")

_EXPECTED = (
    "x_train and y_train, and optionally x_val, y_val, x_test, y_test and class_names (or train_images, train_labels, "
    "val_images and so on, as MedMNIST names them)"
)


@dataclass(frozen=True)
class NpzFile:
    """An NPZ file, none of which is trusted or kept: each method opens it.

    Args:
        path: where it is.
    """

    path: Path

    def names(self) -> tuple[str, ...]:
        """The names of its arrays, in the file's order.

        Raises:
            DataError: the file cannot be read or is not NPZ.
        """
        with _opened(self.path) as archive:
            for member in archive.infolist():
                # Where the directory calls a member otherwise than the member itself, this raises.
                with suppress(RuntimeError, NotImplementedError):  # encrypted, or packed in a way that `zipfile` lacks
                    archive.open(member).close()
            return _names(archive)

    @staticmethod
    def listed(names: Sequence[str]) -> str:
        """Names of arrays for a message: the first ten, with escapes for characters that cannot be printed."""
        return word_list(((name if name.isprintable() else ascii(name))[:50] for name in names), most=10) or "(none)"

    def members(self) -> tuple[str, ...]:
        """The names of all its members, arrays or not, in the file's order; any ZIP archive has them.

        Raises:
            DataError: as for `names`.
        """
        with _opened(self.path) as archive:
            return tuple(archive.namelist())

    def read(self, name: str, *, text: bool = False) -> NDArray[Any]:
        """One of its arrays.

        Args:
            name: of the array.
            text: whether it may hold text in place of numbers.

        Raises:
            DataError: there is no such array, it holds pickled objects or anything but numbers, its declared shape and
                its size differ, or the file is damaged.
        """
        what = f"array {name!r} of {self.path}"
        with _opened(self.path) as archive:
            try:
                member = archive.getinfo(f"{name}.npy")
            except KeyError:
                known = NpzFile.listed(_names(archive))
                raise DataError(f"{self.path} has no array {name!r}; its arrays are {known}.") from None
            if member.flag_bits & 0x1 or member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise DataError(
                    f"{what} is encrypted or packed in an unusual way. Save it with numpy.savez_compressed."
                )
            with cast("io.BufferedIOBase", archive.open(member)) as stream:
                header = _read_header(stream, what)
                if header.dtype.kind not in ("biufUS" if text else "biuf"):
                    raise DataError(f"{what} is of type {header.dtype}; expected numbers.")
                declared = math.prod(header.shape) * header.dtype.itemsize
                actual = member.file_size - stream.tell()  # what the archive says, against what the array says
                # Where one side is 0, the others may still be too much for NumPy.
                sides = math.prod(max(size, 1) for size in header.shape) * header.dtype.itemsize
                if (
                    declared != actual
                    or sides > LARGEST_ARRAY
                    or any(size < 0 or size is True for size in header.shape)
                ):
                    raise DataError(
                        f"{what} declares the shape {header.shape} of {header.dtype}, {declared:,} bytes, "
                        f"but has {actual:,}. Get the file again."
                    )
                stored = min(member.compress_size, self.path.stat().st_size)
                compressed = member.compress_type == zipfile.ZIP_DEFLATED
                content = read_declared(stream, declared, stored, what, compressed=compressed)
        flat: NDArray[Any] = np.frombuffer(content, dtype=header.dtype)
        values = flat.reshape(header.shape[::-1]).T if header.fortran_order else flat.reshape(header.shape)
        return values.astype(header.dtype.newbyteorder("="), order="C", copy=False)

    def dataset_source(self) -> DatasetSource:
        """The dataset in a user's file, under Keras's names (`x_train`, `y_train`) or MedMNIST's (`train_images`)."""
        return DatasetSource.of_files("npz", str(self.path), (self.path,), lambda: self.raw_dataset().checked())

    def raw_dataset(self) -> RawDataset:
        """The dataset in the file, not checked yet.

        Raises:
            DataError: the file cannot be read, or its arrays are no dataset.
        """
        return _read_npz(self)


def _names(archive: zipfile.ZipFile) -> tuple[str, ...]:
    return tuple(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with open_file(path) as plain, _Bounded(plain.raw) as file:
            if file.peek(4)[:4] != b"PK\x03\x04":
                start = file.read(LOOKED_AT)
                raise DataError(f"{path} is not an NPZ file: it {FileKind.of(start)}. Save it with numpy.savez.")
            with zipfile.ZipFile(file) as archive:
                _check_directory(archive, file)
                yield archive
    # NotImplementedError for ways of packing that zipfile lacks, the last three for damaged names and numbers in it.
    except (zipfile.BadZipFile, NotImplementedError, UnicodeError, struct.error, OverflowError) as error:
        raise DataError(f"{path} is cut off or damaged ({error}). Get the file again.") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error


def _check_directory(archive: zipfile.ZipFile, file: io.BufferedReader) -> None:
    """Compares the members with their number in the record at the end: `zipfile` stops early where a size is damaged.

    Raises:
        BadZipFile: they differ, or two members have one name.
    """
    names = archive.namelist()
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - _LONGEST_END, 0))
    end = file.read(_LONGEST_END)
    record = end[end.rfind(_END) :]
    declared = int.from_bytes(record[10:12], "little")
    # From 65,535 members on, the number stands elsewhere; so many are not looked at.
    if declared != len(names):
        raise zipfile.BadZipFile(f"it declares {declared:,} members, but its directory has {len(names):,}")
    if len(set(names)) < len(names):
        raise zipfile.BadZipFile("two of its members have the same name")


class _Bounded(io.BufferedReader):
    """A file that is never read in large pieces: `zipfile` makes an object of each member of the directory."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As in the base, up to `_LARGEST_READ`."""
        most = _LARGEST_READ + 1
        content = super().read(most if size is None or size < 0 else min(size, most))
        if len(content) == most:
            raise zipfile.BadZipFile("its directory has far too many members")
        return content


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]


def _read_header(stream: io.BufferedIOBase, what: str) -> _Header:
    """The header of an array, with the stream left at the first value."""
    try:
        version = npy.read_magic(cast("Any", stream))
        width = _LENGTHS[version]
        length = int.from_bytes(start := stream.read(width), "little")
        if length > _LONGEST_HEADER:
            raise ValueError(f"it declares {length:,} bytes; at most {_LONGEST_HEADER:,} are read")
        header = _Header(*_READERS[version](cast("Any", io.BytesIO(start + stream.read(length)))))
    except KeyError:
        raise DataError(f"{what} is of NPY format {version}; expected 1.0 or 2.0. Save it with numpy.savez.") from None
    except Exception as error:  # NumPy reads it as a piece of Python, and meets nonsense with exceptions of every kind
        raise DataError(f"{what} has a damaged header ({str(error)[:200]}). Get the file again.") from error
    if header.dtype.hasobject:
        raise DataError(
            f"{what} holds pickled Python objects, which can run any code when read, so it is refused. "
            "Save it again as an array of numbers, for example with .astype('uint8'), or of text with .astype(str)."
        )
    return header


def _read_npz(file: NpzFile) -> RawDataset:
    path = file.path
    found = _roles(path, file.names())
    arrays = {_called(part, found, path): file.read(found.images[part]) for part in found.images}
    arrays, flat = _unflattened(arrays)
    images, notes = to_images(arrays)
    notes = (*flat, *notes)
    pairs = {
        part: RawPart(images[_called(part, found, path)], file.read(found.labels[part], text=True))
        for part in found.images
    }
    train, validation = pairs["train"], pairs.get("validation")
    if validation is not None:
        train = RawPart(*(np.concatenate(both) for both in zip(_arrays(train), _arrays(validation), strict=True)))
    unused = (*found.unused, *(name for name in file.members() if not name.endswith(".npy")))
    if unused:
        notes = (*notes, f"Not used in {path.name}: {NpzFile.listed(unused)}. Expected are {_EXPECTED}.")
    return RawDataset(
        train=train,
        test=pairs.get("test"),
        source=f"file {path}",
        classes=None if found.classes is None else _class_names(file, found.classes),
        notes=notes,
        given_validation=0 if validation is None else len(validation.labels),
    )


def _unflattened(arrays: dict[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Rows of pixels as square pictures, and a sentence about them.

    Raises:
        DataError: there is one column more than a square picture has pixels.
    """
    shaped, notes = {}, []
    for name, array in arrays.items():
        shape = PixelTable.picture_shape(array.shape[1]) if array.ndim == 2 else None
        shaped[name] = array if shape is None else array.reshape(-1, *shape)
        if shape is not None:
            size = f"{shape[0]}x{shape[1]}{' in colour' if len(shape) == 3 else ''}"
            notes.append(f"{name}: each row of {array.shape[1]:,} values is taken as a picture of {size}.")
        elif array.ndim == 2 and PixelTable.picture_shape(array.shape[1] - 1) is not None:
            raise DataError(
                f"{name} has the shape {array.shape}: one column more than a square picture has pixels. Is the label "
                "still in it?"
            )
    return shaped, tuple(notes)


def _called(part: str, found: _Roles, path: Path) -> str:
    return f"{found.images[part]} of {path}"


def _arrays(pairs: RawPart) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images and labels, these without the axis of a column."""
    labels = pairs.labels
    return pairs.images, labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _class_names(file: NpzFile, name: str) -> tuple[str, ...]:
    """The names of the classes that an NPZ file brings along."""
    array, path = file.read(name, text=True), file.path
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{name} of {path} has the shape {array.shape}; expected one name for each class, (classes,).")
    names = tuple(str(one) for one in (np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array))
    class_names(names, "class")
    if len(set(names)) < len(names):
        raise DataError(
            f"{name} of {path} has a name twice: {', '.join(names[:10])}. Give each class a name of its own."
        )
    return names


@dataclass(frozen=True)
class _Roles:
    """What the arrays of a file are.

    Attributes:
        images: for each part, the name of the array of its images; the same parts as in `labels`.
        labels: the same of labels.
        classes: the name of the array with the names of the classes, or None.
        unused: arrays that are none of these.
    """

    images: dict[str, str]
    labels: dict[str, str]
    classes: str | None
    unused: tuple[str, ...]


def _roles(path: Path, names: Sequence[str]) -> _Roles:
    """What the arrays with these names are.

    Args:
        path: of their file, for messages.
        names: of all arrays.

    Raises:
        DataError: there is no training part, a part lacks images or labels, or two arrays would be the same.
    """
    images = {part: _only(path, names, _forms(part, _IMAGES), f"the {part} images") for part in _PARTS}
    labels = {part: _only(path, names, _forms(part, _LABELS), f"the {part} labels") for part in _PARTS}
    if not images["train"] and not labels["train"]:
        images["train"] = _only(path, names, _IMAGES, "the images")
        labels["train"] = _only(path, names, _LABELS, "the labels")
    present = [part for part in _PARTS if part == "train" or images[part] or labels[part]]
    missing = [
        _like(part, letter, images, labels)
        for part in present
        for letter, found in (("x", images), ("y", labels))
        if not found[part]
    ]
    if missing:
        unnamed = any(re.fullmatch(r"arr_\d+", name) for name in names)
        raise DataError(
            f"{path} has the arrays {NpzFile.listed(names)}; missing: {word_list(sorted(missing))}. Expected "
            f"{_EXPECTED}."
            + (" Save them with names: np.savez(FILE, x_train=images, y_train=labels)." if unnamed else "")
        )
    classes = _only(path, names, _CLASSES, "the names of the classes")
    found = {part: str(images[part]) for part in present}, {part: str(labels[part]) for part in present}
    used = {*found[0].values(), *found[1].values(), classes}
    return _Roles(*found, classes, tuple(name for name in names if name not in used))


def _like(part: str, letter: str, images: dict[str, str | None], labels: dict[str, str | None]) -> str:
    """How a missing array would be called, as its counterpart is."""
    other = (labels if letter == "x" else images)[part]
    short = "val" if part == "validation" else part
    words = {"x": "images", "y": "labels"}
    if other and other.lower().endswith(("_images", "_labels")):
        return f"{short}_{words[letter]}"
    return f"{letter}_{short}"


def _forms(part: str, words: Sequence[str]) -> tuple[str, ...]:
    return tuple(form for name in _PARTS[part] for word in words for form in (f"{word}_{name}", f"{name}_{word}"))


def _only(path: Path, names: Sequence[str], forms: Sequence[str], what: str) -> str | None:
    found = [name for name in names if name.lower() in forms]
    if len(found) > 1:
        raise DataError(f"{path} has {word_list(found)}, and either could be {what}. Remove or rename one.")
    return found[0] if found else None
