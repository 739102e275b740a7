"""Reads arrays from an NPZ file without trusting it: no pickles, and no size that the file does not have."""

from __future__ import annotations

import io
import math
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
from fittingroom.data.sniff import LARGEST_ARRAY, LOOKED_AT, FileKind, read_declared
from fittingroom.errors import DataError

_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_LENGTHS = {(1, 0): 2, (2, 0): 4}
_LONGEST_HEADER = 10_000  # bytes; NumPy's own limit, which it applies after it has read the header

_LARGEST_READ = 2 * 2**20
"""Bytes of an archive read at once: at most its directory, of some 20,000 members."""


def array_names(path: Path) -> tuple[str, ...]:
    """The names of the arrays in an NPZ file, in the file's order.

    Raises:
        DataError: the file cannot be read or is not NPZ.
    """
    with _opened(path) as archive:
        for member in archive.infolist():
            # Where the directory calls a member otherwise than the member itself, this raises.
            with suppress(RuntimeError, NotImplementedError):  # encrypted, or packed in a way that `zipfile` lacks
                archive.open(member).close()
        return _names(archive)


def member_names(path: Path) -> tuple[str, ...]:
    """The names of all members of a ZIP archive, arrays or not, in the file's order.

    Raises:
        DataError: as for `array_names`.
    """
    with _opened(path) as archive:
        return tuple(archive.namelist())


def listed(names: Sequence[str]) -> str:
    """Names of arrays for a message: the first ten, with escapes for characters that cannot be printed."""
    shown = [name if name.isprintable() else ascii(name) for name in names[:10]]
    return ", ".join(name[:50] for name in shown) + (f" and {len(names) - 10:,} more" if names[10:] else "") or "(none)"


def _names(archive: zipfile.ZipFile) -> tuple[str, ...]:
    return tuple(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))


def read_array(path: Path, name: str, *, text: bool = False) -> NDArray[Any]:
    """One array of numbers from an NPZ file.

    Args:
        path: the file.
        name: of the array.
        text: whether it may hold text in place of numbers.

    Raises:
        DataError: there is no such array, it holds pickled objects or anything but numbers, its declared shape and its
            size differ, or the file is damaged.
    """
    what = f"array {name!r} of {path}"
    with _opened(path) as archive:
        try:
            member = archive.getinfo(f"{name}.npy")
        except KeyError:
            known = listed(_names(archive))
            raise DataError(f"{path} has no array {name!r}; its arrays are {known}.") from None
        if member.flag_bits & 0x1 or member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise DataError(f"{what} is encrypted or packed in an unusual way. Save it with numpy.savez_compressed.")
        with cast("io.BufferedIOBase", archive.open(member)) as stream:
            header = _read_header(stream, what)
            if header.dtype.kind not in ("biufUS" if text else "biuf"):
                raise DataError(f"{what} is of type {header.dtype}; expected numbers.")
            declared = math.prod(header.shape) * header.dtype.itemsize
            actual = member.file_size - stream.tell()
            # Where one side is 0, the others may still be too much for NumPy.
            sides = math.prod(max(size, 1) for size in header.shape) * header.dtype.itemsize
            if declared != actual or sides > LARGEST_ARRAY or any(size < 0 or size is True for size in header.shape):
                raise DataError(
                    f"{what} declares the shape {header.shape} of {header.dtype}, {declared:,} bytes, "
                    f"but has {actual:,}. Get the file again."
                )
            stored = min(member.compress_size, path.stat().st_size)
            compressed = member.compress_type == zipfile.ZIP_DEFLATED
            content = read_declared(stream, declared, stored, what, compressed=compressed)
    flat: NDArray[Any] = np.frombuffer(content, dtype=header.dtype)
    values = flat.reshape(header.shape[::-1]).T if header.fortran_order else flat.reshape(header.shape)
    return values.astype(header.dtype.newbyteorder("="), order="C", copy=False)


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


_END = b"PK\x05\x06"
_LONGEST_END = 22 + 65_535  # bytes of the record at the end with the longest possible comment


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
