"""The short way to the pixels of a PNG gives what Pillow gives, or nothing."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fittingroom.data.plain_png import plain_png


def _png(pixels: np.ndarray[Any, Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (1, 1), (5, 64)])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"compress_level": 0}])
def test_its_pixels_are_those_that_were_written(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    for pixels in (rng.integers(0, 256, shape, np.uint8), np.cumsum(rng.integers(0, 3, shape), 0).astype(np.uint8)):
        found = plain_png(_png(pixels, **options), *shape[:2])
        assert found is not None
        np.testing.assert_array_equal(found, pixels)


def test_what_is_damaged_or_of_another_kind_is_left_to_pillow() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (28, 28), np.uint8)
    whole = _png(pixels)
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        assert plain_png(bytes(flipped), 28, 28) is None
        assert plain_png(whole[:place], 28, 28) is None
    assert plain_png(whole, 28, 27) is None
    assert plain_png(_png(pixels, dpi=(300, 300)), 28, 28) is None  # a chunk more
    for content in (b"", b"x", zlib.compress(b"\0" * 100), zlib.compress(b"\7" * 28 * 29)):
        assert plain_png(whole[:33] + _chunk(b"IDAT", content) + _chunk(b"IEND", b""), 28, 28) is None
