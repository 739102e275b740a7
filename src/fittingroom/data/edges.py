"""The size that the pictures of a folder get where none was asked for: by their own sizes, so the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fittingroom.data.jpeg import START, frame_size
from fittingroom.data.sniff import LOOKED_AT, webp_size
from fittingroom.data.streams import open_file

SMALL = (28, 28)
"""For icons and drawings, and the size that every folder had before sizes were looked at."""

PHOTOGRAPHS = (64, 64)
"""For photographs, of which 28x28 pixels show too little. What it costs stands in docs/decisions.md."""

_LOOKED_AT = 101
_JPEG_STARTS = (64 * 1024, 2**20)  # bytes; behind the data of a camera, a size may come late


def median_size(paths: Sequence[Path]) -> tuple[int, int] | None:
    """Height and width of the picture in the middle, by longest edge, of up to `_LOOKED_AT` evenly spaced ones.

    Only their first bytes are read. None where no size is found in any.
    """
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), _LOOKED_AT)).round().astype(int).tolist()
    sizes = sorted((max(size), size) for at in chosen if (size := size_of(paths[at])) is not None)
    return sizes[len(sizes) // 2][1] if sizes else None


def default_size(paths: Sequence[Path]) -> tuple[int, int]:
    """`PHOTOGRAPHS` if the picture in the middle has an edge of that length, else `SMALL`: nothing is blown up."""
    median = median_size(paths)
    return PHOTOGRAPHS if median is not None and max(median) >= max(PHOTOGRAPHS) else SMALL


def size_of(path: Path) -> tuple[int, int] | None:
    """Height and width that a picture file declares; None where it declares none. Its orientation is not looked at."""
    try:
        with open_file(path) as stream:
            start = stream.read(LOOKED_AT)
            if start.startswith(START):
                for length in _JPEG_STARTS:
                    stream.seek(0)
                    size = frame_size(stream.read(length))
                    if size is not None:
                        return size
    except OSError:
        return None
    return _declared(start)


def _declared(start: bytes) -> tuple[int, int] | None:
    if start.startswith(b"\x89PNG"):
        size = int.from_bytes(start[20:24], "big"), int.from_bytes(start[16:20], "big")
    elif start.startswith(b"GIF8"):
        size = int.from_bytes(start[8:10], "little"), int.from_bytes(start[6:8], "little")
    elif start.startswith(b"BM"):
        size = abs(int.from_bytes(start[22:26], "little", signed=True)), int.from_bytes(start[18:22], "little")
    else:
        size = webp_size(start)[::-1]
    return size if min(size) > 0 else None
