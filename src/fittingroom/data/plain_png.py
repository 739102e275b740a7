"""`plain_png`: the pixels of the plainest PNG files, small pictures that programs send one after the other.

Pillow looks at every chunk of a PNG through Python, which takes four times as long as decoding 28 x 28 pixels. A file
of nothing but its header, its pixels and its end needs none of that. All others are left to `Picture`, damaged ones
too, so there is one place that says what is wrong with a picture.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_FORMS = {b"\x08\0\0\0\0": ("L", "L"), b"\x08\x02\0\0\0": ("RGB", "RGB")}  # 8 bits; grey or colour; not interlaced
_END = b"\0\0\0\0IEND\xaeB`\x82"
_PIXELS_AT = 33  # the header's chunk, and what comes before it


def plain_png(content: bytes, height: int, width: int) -> NDArray[Any] | None:
    """The pixels of a PNG, uint8 `(height, width)` or, with colours, `(height, width, 3)`.

    Args:
        content: the file.
        height: that it must have, as few as the caller decodes at once.
        width: the same.

    Returns:
        None for a file of another kind or size, with any chunk more, or with any damage.
    """
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    form = _FORMS.get(content[24:29])
    if form is None or not content.startswith(_START + size) or not content.endswith(_END):
        return None
    if zlib.crc32(content[12:29]) != int.from_bytes(content[29:_PIXELS_AT], "big"):
        return None
    parts, at, end = [], _PIXELS_AT, len(content) - len(_END)
    while at < end:
        last = at + 8 + int.from_bytes(content[at : at + 4], "big")
        named = content[at + 4 : last]
        if not named.startswith(b"IDAT") or zlib.crc32(named) != int.from_bytes(content[last : last + 4], "big"):
            return None
        parts.append(named[4:])
        at = last + 4
    if at != end:
        return None
    from PIL import Image

    mode, raw = form
    try:
        image = Image.frombytes(mode, (width, height), b"".join(parts), "zip", raw, 0)
    except ValueError:  # too few pixels, or no zlib stream
        return None
    return np.asarray(image)
