"""Refuses pictures in so many pieces that it takes long only to pass over them, as Pillow does one by one."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from fittingroom.errors import DataError

MOST_READ = 64 * 2**20
"""Bytes that are looked through for pieces; hardly a picture that may be decoded has more."""

MOST_PIECES = 10_000

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS = frozenset({b"IDAT", b"fdAT"})  # large pictures have many thousands of them, of 8 KB and more
_SMALL = 256  # bytes
_COMMENT = b"\x21\xfe"


def check_pieces(stream: BinaryIO, start: bytes, name: Path) -> None:
    """Makes sure that a PNG or a GIF has a sensible number of pieces. The stream is left at its start.

    Args:
        stream: at its start; it can be searched.
        start: its first bytes.
        name: what to call it in messages.

    Raises:
        DataError: it has more than `MOST_PIECES` comments, or chunks that have few pixels or none.
    """
    if start.startswith(_PNG):
        what, count = "chunks", _chunks(_content(stream))
    elif start.startswith(b"GIF8"):
        what, count = "comments", _content(stream).count(_COMMENT)
    else:
        return
    if count > MOST_PIECES:
        raise too_many(name, what, MOST_PIECES)


def too_many(name: Path, what: str, most: int) -> DataError:
    """The error for a picture that has more of something than pictures have."""
    return DataError(f"{name} has more than {most:,} {what}, as no photo has. Save it anew, as a plain picture.")


def _content(stream: BinaryIO) -> bytes:
    content = stream.read(MOST_READ)
    stream.seek(0)
    return content


def _chunks(content: bytes) -> int:
    """Chunks of a PNG that have few pixels or none, counted up to one more than may be."""
    count, at = 0, len(_PNG)
    while at + 8 <= len(content) and count <= MOST_PIECES:
        length = int.from_bytes(content[at : at + 4], "big")
        count += length < _SMALL or content[at + 4 : at + 8] not in _PIXELS
        at += 12 + length
    return count
