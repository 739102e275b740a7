"""Reading no more of a file than was declared, and nothing that is no file, whatever is found there."""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import zipfile
import zlib
from pathlib import Path

from fittingroom.errors import DataError

LARGEST_ARRAY = 4 * 2**30
"""Bytes. A larger array is refused before anything is read, since it would have to fit in memory."""

_LARGEST_RATIO = 1032
"""Deflate cannot pack tighter than this, so a compressed file has a largest possible content."""

_SUSPICIOUS_RATIO = 100
"""Arrays of pictures pack into a tenth, floats that hold bytes into a fiftieth; what packs tighter holds nothing."""

_UNSUSPICIOUS = 16 * 2**20
"""Bytes. Below this, sorted labels and the like may pack as tight as they can."""

_CHUNK = 2**20


def open_file(path: Path) -> io.BufferedReader:
    """Opens an ordinary file to read bytes.

    Pipes would be waited for without end, and devices such as /dev/zero read without end, also behind a link.

    Raises:
        OSError: there is no such file, it cannot be read, or it is a folder, a pipe or a device.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer opens at once
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
    return os.fdopen(handle, "rb")


def read_file(path: Path, most: int) -> bytes:
    """The bytes of an ordinary file.

    Args:
        path: the file.
        most: bytes that such a file may have.

    Raises:
        OSError: it cannot be opened (see `open_file`), or is larger.
    """
    with open_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than the {most:,} bytes that such a file may have", str(path))
    return content


def check_declared(what: str, declared: int, stored: int, *, compressed: bool) -> None:
    """Compares the bytes that a header declares with the `stored` bytes of the file, before anything is allocated.

    Raises:
        DataError: the file cannot hold what it declares, is packed too tight to hold images, or declares more than
            `LARGEST_ARRAY`.
    """
    possible = stored * _LARGEST_RATIO if compressed else stored
    if declared > possible:
        most = f"; {stored:,} compressed bytes hold at most {possible:,}" if compressed else f", but it has {stored:,}"
        raise DataError(f"{what} declares {declared:,} bytes of values{most}. Get the file again.")
    if declared > LARGEST_ARRAY:
        raise DataError(f"{what} declares {declared:,} bytes of values; at most {LARGEST_ARRAY:,} are read.")
    if compressed and declared > max(_UNSUSPICIOUS, _SUSPICIOUS_RATIO * stored):
        raise DataError(
            f"{what} declares {declared:,} bytes of values in {stored:,} compressed bytes: more than "
            f"{_SUSPICIOUS_RATIO} times as much, which images never are. Save them uncompressed if they are real."
        )


def read_declared(stream: io.BufferedIOBase, declared: int, what: str) -> bytearray:
    """Exactly `declared` bytes, after which the stream must end; memory grows only with what is really there.

    Raises:
        DataError: the stream is cut off or damaged (the message has the offset), ends too early, or goes on.
    """
    content = bytearray()
    try:
        while len(content) < declared and (chunk := stream.read1(min(_CHUNK, declared - len(content)))):
            content += chunk
        goes_on = len(content) == declared and stream.read1(1) != b""
    except EOFError as error:
        raise DataError(
            f"{what} is cut off: the compressed data break off after {len(content):,} of {declared:,} bytes of values. "
            "Get the file again."
        ) from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{what} is damaged after {len(content):,} of {declared:,} bytes of values ({error}). Get the file again."
        ) from error
    if goes_on:
        raise DataError(f"{what} declares {declared:,} bytes of values, and has bytes after the end of them.")
    if len(content) < declared:
        raise DataError(f"{what} declares {declared:,} bytes of values, but it has {len(content):,}. Get it again.")
    return content
