"""The segments of a JPEG file: whether there are too many, and which of them an eighth of its size needs.

Refuses pictures in so many pieces that it takes long only to pass over them, as Pillow does one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from fittingroom.errors import DataError

START = b"\xff\xd8"

_MOST_SCANS = 100  # a progressive photo has about ten; each takes milliseconds, however few bytes it has

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE, _HUFFMAN, _END, _SCAN, _QUANTIZATION = 0xC2, 0xC4, 0xD9, 0xDA, 0xDB
_FIRST_WITH_LENGTH = 0xC0  # markers below are reserved; where restarts are out of order, libjpeg goes on behind them
_LAST_COEFFICIENT = 63
_MOST_SHIFT = 13

# In a scan's codes 0xFF is followed by 0, by a restart (D0 to D7), or by as many 0xFF as one likes.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, slots=True)
class Segment:
    """What lies between two markers: `content[start:end]`, of which `content[start + 4:codes]` are its parameters.

    Args:
        marker: the second byte of its marker.
        start: where its marker is.
        codes: where its parameters end. What follows are the codes of a scan; after others it means nothing.
        end: where the next marker is.
    """

    marker: int
    start: int
    codes: int
    end: int


@dataclass(frozen=True)
class JpegFile:
    """A file that begins as a JPEG.

    Args:
        content: its bytes; of an enormous file the first ones.
        segments: up to the end of its picture, or of the bytes.
    """

    content: bytes
    segments: tuple[Segment, ...]

    @classmethod
    def read(cls, stream: BinaryIO, name: Path) -> JpegFile:
        """The file that a stream is, which is left at its start.

        Raises:
            DataError: it has so many segments or scans that it was made to take long.
        """
        content = stream.read(MOST_READ)
        stream.seek(0)
        segments, scans = [], 0
        for segment in _segments(content):
            segments.append(segment)
            scans += segment.marker == _SCAN
            if scans > _MOST_SCANS:
                raise too_many(name, "scans", _MOST_SCANS)
            if len(segments) > MOST_PIECES:
                raise too_many(name, "segments", MOST_PIECES)
        return cls(content, tuple(segments))

    @property
    def has_several_scans(self) -> bool:
        """Whether a decoder must keep all coefficients until the last scan has come."""
        return sum(segment.marker == _SCAN for segment in self.segments) > 1

    def for_edges(self, at_least: int) -> BytesIO | None:
        """A shorter file, of which Pillow's `draft` makes the same picture with edges of that many pixels at least.

        At an eighth of its size, each block of 8x8 is one pixel: its mean, which has scans of its own in a progressive
        JPEG. The other scans are most of the file. Colours at half the size are decoded to 2x2 pixels a block, so
        their scans are kept. None where nothing can be left out, or the file is not understood, or is cut off.
        """
        markers = [segment.marker for segment in self.segments]
        frames = [segment for segment in self.segments if segment.marker in _FRAMES]
        if [frame.marker for frame in frames] != [_PROGRESSIVE] or _SCAN not in markers or markers[-1] != _END:
            return None
        tables = _tables_of_means(self._parameters(frames[0]), at_least)
        if tables is None or markers.index(_SCAN) < markers.index(_PROGRESSIVE):
            return None
        kept, codes = [self.content[: self.segments[0].start]], set[int]()
        for segment in self.segments:
            parameters = self._parameters(segment)
            if segment.marker == _QUANTIZATION:
                changed = _without_smoothing(parameters, frozenset(tables.values()))
                if changed is None:
                    return None
                kept += self.content[segment.start : segment.start + 4], changed
            elif segment.marker != _SCAN or not _is_detail(parameters, frozenset(tables), codes):
                codes.update(_codes(parameters) if segment.marker == _HUFFMAN else ())
                kept.append(self.content[segment.start : segment.end])
        return BytesIO(b"".join(kept))

    def _parameters(self, segment: Segment) -> bytes:
        return self.content[segment.start + 4 : segment.codes]


def _segments(content: bytes) -> Iterator[Segment]:
    """All that a decoder meets: like libjpeg, it passes over what is between segments and no marker."""
    found = _MARKER.search(content, len(START))
    while found is not None:
        start, marker = found.start(), content[found.start() + 1]
        if marker == _END:
            yield Segment(marker, start, start + 2, start + 2)
            return
        length = 0 if marker < _FIRST_WITH_LENGTH else max(int.from_bytes(content[start + 2 : start + 4], "big"), 2)
        codes = start + 2 + length
        found = _MARKER.search(content, codes)
        yield Segment(marker, start, codes, len(content) if found is None else found.start())


def _tables_of_means(frame: bytes, at_least: int) -> dict[int, int] | None:
    """The components of which only means are needed, each with its quantization table.

    None if the picture is too small to be decoded at an eighth, the frame is damaged, or a table is another's too.
    """
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    if min(height, width) < 8 * at_least or len(frame) < 6 or len(frame) != 6 + 3 * frame[5]:
        return None
    components = [(frame[at], frame[at + 1] >> 4, frame[at + 1] & 15, frame[at + 2]) for at in range(6, len(frame), 3)]
    across = max((one[1] for one in components), default=0)
    down = max((one[2] for one in components), default=0)
    means = {name: table for name, wide, high, table in components if wide == across or high == down}
    others = {table for _, wide, high, table in components if wide < across and high < down}
    distinct = len({name for name, *_ in components}) == len(components)
    return means if distinct and others.isdisjoint(means.values()) else None


def _codes(tables: bytes) -> Iterator[int]:
    """The numbers of Huffman tables, those for means 0 to 3, others 16 to 19."""
    at = 0
    while at < len(tables):
        yield tables[at]
        at += 1 + 16 + sum(tables[at + 1 : at + 17])


def _is_detail(scan: bytes, names: frozenset[int], codes: set[int]) -> bool:
    """Whether it is a sound scan of coefficients other than the means, of one of these components, in known codes."""
    if len(scan) != 6 or scan[0] != 1 or scan[1] not in names or 16 + (scan[2] & 15) not in codes:
        return False
    first, last, before, shift = scan[3], scan[4], scan[5] >> 4, scan[5] & 15
    return 1 <= first <= last <= _LAST_COEFFICIENT and shift <= _MOST_SHIFT and before in {0, shift + 1}


def _without_smoothing(tables: bytes, numbers: frozenset[int]) -> bytes | None:
    """Quantization tables, those of these numbers with a zero for the second coefficient; None if they are damaged.

    Where only means are known, libjpeg smooths from block to block, unless that coefficient's step is zero. The
    coefficient itself is not in the scans that are kept.
    """
    changed, at = bytearray(tables), 0
    while at < len(tables):
        size = 2 if tables[at] >> 4 else 1
        if at + 1 + 64 * size > len(tables):
            return None
        if tables[at] & 15 in numbers:
            changed[at + 1 + size : at + 1 + 2 * size] = bytes(size)
        at += 1 + 64 * size
    return bytes(changed)


def frame_size(content: bytes) -> tuple[int, int] | None:
    """Height and width that the first bytes of a JPEG declare; None where they have no frame."""
    for number, segment in enumerate(_segments(content)):
        if segment.marker in _FRAMES:
            size = content[segment.start + 5 : segment.start + 9]
            height, width = int.from_bytes(size[:2], "big"), int.from_bytes(size[2:], "big")
            return (height, width) if len(size) == 4 and height and width else None
        if segment.marker == _SCAN or number > MOST_PIECES:
            break
    return None


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
