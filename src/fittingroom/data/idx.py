"""Reads IDX, the format of MNIST and its descendants, packed with gzip or not.

An IDX file is a magic number (two zero bytes, a type, the number of dimensions), the dimensions as big-endian 32-bit
numbers, and the values. It is described at http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import open_file
from fittingroom.data.sniff import LARGEST_ARRAY, LOOKED_AT, check_declared, read_declared, what_it_is
from fittingroom.errors import DataError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 4
_GZIP = b"\x1f\x8b"


def read_idx_images(path: Path) -> NDArray[Any]:
    """The images of an IDX file, `(n, height, width)` or `(n, height, width, channels)`, in the type it declares.

    Raises:
        DataError: the file cannot be read, is not IDX, has no images, or holds less or more than it declares.
    """
    return _read(path, {3, 4}, "images have 3 (or 4 in colour)")


def read_idx_labels(path: Path) -> NDArray[Any]:
    """The labels of an IDX file, `(n,)`, in the type it declares.

    Raises:
        DataError: the file cannot be read, is not IDX, has no labels, or holds less or more than it declares.
    """
    return _read(path, {1}, "labels have 1")


def _read(path: Path, dimensions: set[int], expected: str) -> NDArray[Any]:
    with _opened(path) as (stream, stored, compressed):
        dtype, shape = _read_header(stream, path)
        if len(shape) not in dimensions:
            raise DataError(
                f"{path} has {len(shape)} dimension(s), but {expected}. Are the files of images and labels swapped?"
            )
        declared = math.prod(shape) * dtype.itemsize
        if not declared and math.prod(max(size, 1) for size in shape) > LARGEST_ARRAY:
            raise DataError(f"{path} declares the shape {shape}: there are no pictures in it.")
        check_declared(str(path), declared, stored if compressed else stored - stream.tell(), compressed=compressed)
        content = read_declared(stream, declared, f"{path} ({stored:,} bytes)")
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
                f"{path} is not an IDX file: it {what_it_is(start)}. Expected two zero bytes, a type "
                "and a number of dimensions, as in train-images-idx3-ubyte."
            )
        sizes = stream.read(4 * magic[3])
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is cut off or damaged in its first bytes ({error}). Get the file again.") from error
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path} is cut off: it ends within its header. Get the file again.")
    return np.dtype(_TYPES[magic[2]]), struct.unpack(f">{magic[3]}I", sizes)
