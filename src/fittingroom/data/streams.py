"""Reading from a stream no more than was declared, whatever the stream holds."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib

from fittingroom.errors import DataError

LARGEST_ARRAY = 4 * 2**30
"""Bytes. A larger array is refused before anything is read, since it would have to fit in memory."""

_LARGEST_RATIO = 1032
"""Deflate cannot pack tighter than this, so a compressed file has a largest possible content."""

_CHUNK = 2**20


def check_declared(what: str, declared: int, stored: int, *, compressed: bool) -> None:
    """Compares the bytes that a header declares with the `stored` bytes of the file, before anything is allocated.

    Raises:
        DataError: the file cannot hold what it declares, or it is more than `LARGEST_ARRAY`.
    """
    possible = stored * _LARGEST_RATIO if compressed else stored
    if declared > possible:
        most = f"; {stored:,} compressed bytes hold at most {possible:,}" if compressed else f", but it has {stored:,}"
        raise DataError(f"{what} declares {declared:,} bytes of values{most}. Get the file again.")
    if declared > LARGEST_ARRAY:
        raise DataError(f"{what} declares {declared:,} bytes of values; at most {LARGEST_ARRAY:,} are read.")


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
