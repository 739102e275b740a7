"""What the bytes of a JPEG say before it is decoded, and pictures that are decoded at an eighth of their size."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fittingroom.data import headers
from fittingroom.data.pictures import MOST_BYTES, Picture
from fittingroom.errors import DataError

NAME = Path("photo.jpg")
AT_LEAST = 8


def noisy(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A picture with detail at every scale."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 200, (height // 8 + 1, width // 8 + 1, 4)).repeat(8, 0).repeat(8, 1)[:height, :width]
    pixels = (coarse + rng.integers(0, 56, coarse.shape)).astype(np.uint8)
    return Image.fromarray(pixels, "CMYK").convert(mode)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, "JPEG", **{"progressive": True, "quality": 80, **options})
    return stream.getvalue()


def whole(content: bytes) -> np.ndarray[Any, Any]:
    """What Pillow makes of all of the file at an eighth."""
    with Image.open(BytesIO(content)) as image:
        image.draft(None, (AT_LEAST, AT_LEAST))
        return np.asarray(image.convert("L" if image.mode == "L" else "RGB"))


CONTENT = jpeg(noisy(70, 75))


@given(length=st.integers(1, len(CONTENT) - 1))
@settings(max_examples=300, deadline=None)
def test_wherever_it_is_cut_off_it_is_refused(length: int) -> None:
    with Picture.quiet(), pytest.raises(DataError, match=r"cut off or damaged|not an image"):
        Picture.read(BytesIO(CONTENT[:length]), NAME, at_least=AT_LEAST)


def test_what_comes_with_the_pixels_stays(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    content = jpeg(noisy(160, 80), exif=exif)
    opened = Picture.read(BytesIO(content), NAME, at_least=AT_LEAST)
    assert opened.image.size == (10, 20)
    assert opened.changes == ("turned upright as its EXIF data say",)
    frames = [noisy(64, 64), noisy(64, 64)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:], progressive=True)
    content = (tmp_path / "a.jpg").read_bytes()
    opened = Picture.open(tmp_path / "a.jpg", at_least=AT_LEAST)
    assert opened.changes == ("animated: its first frame is used",)
    np.testing.assert_array_equal(np.asarray(opened.image), whole(content))


class Walk:
    """How far a file was walked through: its segments, and the bytes that were searched for the next marker."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.segments = 0
        self.searched = 0
        self._marker = headers._MARKER
        monkeypatch.setattr(headers, "_MARKER", self)

    def search(self, content: bytes, start: int) -> re.Match[bytes] | None:
        found = self._marker.search(content, start)
        self.segments += found is not None
        self.searched += (len(content) if found is None else found.end()) - start
        return found


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch) -> Walk:
    return Walk(monkeypatch)


@pytest.mark.parametrize("before", [b"", b"\xff\x02\xff\xff", b"\xff" * 9])
def test_scans_without_end_are_refused_before_they_are_walked_or_decoded(
    before: bytes, walk: Walk, opened_by_pillow: list[object]
) -> None:
    content = jpeg(Image.new("L", (3600, 3600)))
    last = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(DataError, match=r"photo.jpg has more than 100 scans, which no photo has. Save it again"):
        Picture.read(BytesIO(content[:-2] + before + last * 300_000 + content[-2:]), NAME)
    assert 100 < walk.segments < 200
    assert opened_by_pillow == []


def test_segments_without_end_are_refused_before_they_are_walked_or_decoded(
    walk: Walk, opened_by_pillow: list[object]
) -> None:
    with pytest.raises(DataError, match="more than 10,000 segments"):
        Picture.read(BytesIO(CONTENT[:2] + b"\xff\xfe\0\2" * 3_000_000 + CONTENT[2:]), NAME)
    assert walk.segments == 10_001
    assert opened_by_pillow == []


def test_a_run_of_fill_bytes_is_walked_once(walk: Walk) -> None:
    filled = CONTENT[:-2] + b"\xff" * 20_000_000 + CONTENT[-2:]
    assert headers.check_pieces(BytesIO(filled), NAME) == 10
    assert 20_000_000 < walk.searched <= len(filled)
    assert walk.segments < 100


def test_several_scans_take_more_memory_progressive_or_not() -> None:
    plain = jpeg(Image.new("L", (64, 64)), progressive=False)
    scan = plain[plain.rindex(b"\xff\xda") : -2]
    size = plain.index(b"\xff\xc0") + 5
    large = plain[:size] + (4000).to_bytes(2, "big") * 2 + plain[size + 4 : -2] + scan + plain[-2:]
    with pytest.raises(DataError, match=f"4000×4000 pixels; at most {MOST_BYTES // 12:,} are decoded"):
        Picture.read(BytesIO(large), NAME)
