"""What the bytes of a picture file say before a decoder sees them: its size, and how many pieces it is in.

A file of kilobytes can be made to take minutes: a decoder steps over its pieces one by one, and draws each scan of a
JPEG over the whole picture. Measured with Pillow 12, which has no limit of its own: 1,000 scans without content
(78 kB) take 4.4 s of a core, a million (27 MB) more than an hour; a million empty chunks of a PNG (12 MB) take 1.8 s.
So pieces are counted first, and a file with more than any photo has is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fittingroom.atomic import open_file
from fittingroom.errors import DataError

_SAMPLED = 101  # pictures of a folder: the size is chosen once, and recorded in the run (decision 28)
_START = 32  # bytes, in which all formats but JPEG declare their size
_JPEG_STARTS = (64 * 1024, 2**20)  # bytes; behind the EXIF data of a camera, the size may come late

_MOST_READ = 64 * 2**20  # bytes that are searched for pieces; hardly any picture that may be decoded has more
_MOST_PIECES = 10_000
_MOST_SCANS = 100  # a progressive photo has about ten

_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = b"GIF8"

# In the codes of a scan, 0xFF is followed by 0, by a restart (D0 to D7), or by as many 0xFF as one likes.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END = 0xDA, 0xD9
_FIRST_WITH_LENGTH = 0xC0  # markers below are reserved, and have no length behind them

_PIXELS = frozenset({b"IDAT", b"fdAT"})  # large pictures have many thousands of them, of 8 KB and more
_SMALL_CHUNK = 256  # bytes
_GIF_COMMENT = b"\x21\xfe"


@dataclass(frozen=True)
class PackedPicture:
    """A picture file that lies in a cell of a table.

    Args:
        name: what to call it in messages.
        opened: gives its bytes from their start, as a stream that can be searched; it raises OSError or DataError.
    """

    name: Path
    opened: Callable[[], BinaryIO]

    def __str__(self) -> str:
        return str(self.name)


PictureFile = Path | PackedPicture


def picture_stream(file: PictureFile) -> BinaryIO:
    """The bytes of a picture file from their start.

    Raises:
        OSError: it cannot be read.
        DataError: a table has nothing in its place.
    """
    return open_file(file) if isinstance(file, Path) else file.opened()


def median_size(paths: Sequence[PictureFile]) -> tuple[int, int] | None:
    """Height and width of the picture with the median longest edge, of up to 101; None if no file declares a size."""
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), _SAMPLED)).round().astype(int).tolist()
    sizes = sorted((max(size), size) for at in chosen if (size := picture_size(paths[at])) is not None)
    return sizes[len(sizes) // 2][1] if sizes else None


def picture_size(path: PictureFile) -> tuple[int, int] | None:
    """Height and width that a picture file declares, before its EXIF orientation; None where it declares none."""
    try:
        with picture_stream(path) as stream:
            start = stream.read(_START)
            if start.startswith(_JPEG):
                for length in _JPEG_STARTS:
                    stream.seek(0)
                    size = _jpeg_size(stream.read(length))
                    if size is not None:
                        return size
    except (OSError, DataError):
        return None
    if start.startswith(_PNG):
        size = int.from_bytes(start[20:24], "big"), int.from_bytes(start[16:20], "big")
    elif start.startswith(_GIF):
        size = int.from_bytes(start[8:10], "little"), int.from_bytes(start[6:8], "little")
    elif start.startswith(b"BM"):
        size = abs(int.from_bytes(start[22:26], "little", signed=True)), int.from_bytes(start[18:22], "little")
    else:
        size = webp_size(start)[::-1]
    return size if min(size) > 0 else None


def webp_size(start: bytes) -> tuple[int, int]:
    """Width and height that the first bytes (30 are enough) of a WebP picture declare; 0 and 0 for any other file.

    The three forms are described at https://developers.google.com/speed/webp/docs/riff_container.
    """
    if start[:4] != b"RIFF" or start[8:12] != b"WEBP" or len(start) < 30:
        return 0, 0
    if start[12:16] == b"VP8X":
        return int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
    if start[12:16] == b"VP8L":
        bits = int.from_bytes(start[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(start[26:28], "little") & 0x3FFF, int.from_bytes(start[28:30], "little") & 0x3FFF


def check_pieces(stream: BinaryIO, name: Path) -> int:
    """Makes sure that a JPEG, PNG or GIF has a sensible number of pieces, and counts its scans.

    Args:
        stream: at the start of the file, where it is left; it can be searched.
        name: what to call the file in messages.

    Returns:
        The scans of a JPEG; 0 for other formats.

    Raises:
        DataError: there are more than 100 scans, or more than 10,000 segments, comments, or chunks with few pixels.
    """
    content = stream.read(len(_PNG))
    if content.startswith((_JPEG, _PNG, _GIF)):
        content += stream.read(_MOST_READ)
    stream.seek(0)
    scans = 0
    if content.startswith(_JPEG):
        for number, (marker, _) in enumerate(_segments(content)):
            scans += marker == _SCAN
            _check_count(name, "scans", scans, _MOST_SCANS)
            _check_count(name, "segments", number + 1, _MOST_PIECES)
    elif content.startswith(_PNG):
        _check_count(name, "chunks", _count_chunks(content), _MOST_PIECES)
    elif content.startswith(_GIF):
        _check_count(name, "comments", content.count(_GIF_COMMENT), _MOST_PIECES)
    return scans


def _check_count(name: Path, what: str, count: int, most: int) -> None:
    if count > most:
        raise DataError(f"{name} has more than {most:,} {what}, which no photo has. Save it again as a plain picture.")


def _segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Marker and position of each segment that libjpeg meets; as it does, this passes over bytes between segments.

    It ends where the picture ends: behind it, phones append films and further pictures.
    """
    found = _MARKER.search(content, len(_JPEG))
    while found is not None:
        start, marker = found.start(), content[found.start() + 1]
        yield marker, start
        if marker == _END:
            return
        length = 0 if marker < _FIRST_WITH_LENGTH else max(int.from_bytes(content[start + 2 : start + 4], "big"), 2)
        found = _MARKER.search(content, start + 2 + length)


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Height and width that the first bytes of a JPEG declare; None where they have no frame."""
    for number, (marker, start) in enumerate(_segments(content)):
        if marker in _FRAMES:
            size = content[start + 5 : start + 9]
            height, width = int.from_bytes(size[:2], "big"), int.from_bytes(size[2:], "big")
            return (height, width) if len(size) == 4 and height and width else None
        if marker == _SCAN or number > _MOST_PIECES:
            break
    return None


def _count_chunks(content: bytes) -> int:
    """Chunks of a PNG that have few pixels or none, counted up to one more than may be."""
    count, at = 0, len(_PNG)
    while at + 8 <= len(content) and count <= _MOST_PIECES:
        length = int.from_bytes(content[at : at + 4], "big")
        count += length < _SMALL_CHUNK or content[at + 4 : at + 8] not in _PIXELS
        at += 12 + length
    return count
