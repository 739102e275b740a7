from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fittingroom.data.pictures import MOST_BYTES, Picture
from fittingroom.data.resizing import fitted
from fittingroom.errors import DataError
from tests.data.builders import picture


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def png_of_declared_size(width: int, height: int) -> bytes:
    """A PNG whose header says so; its pixels are one compressed block of zeros, cut short."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif"])
def test_lossless_formats_give_the_pixels_that_were_saved(tmp_path: Path, suffix: str) -> None:
    image = picture(1)
    opened = Picture.open(saved(image, tmp_path / f"a.{suffix}"))
    np.testing.assert_array_equal(Picture.pixels_of(opened.image), np.asarray(image))
    assert opened.changes == ()


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_formats_come_close(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(np.tile(np.arange(0, 224, 8, dtype=np.uint8), (28, 1)))
    opened = Picture.open(saved(image, tmp_path / f"a.{suffix}", quality=95))
    assert np.abs(np.asarray(opened.image.convert("L"), int) - np.asarray(image)).max() < 16


def test_a_picture_beyond_the_pixel_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of_declared_size(13300, 13300))
    with (
        Picture.quiet(),
        pytest.raises(DataError, match=f"13300×13300 pixels; at most {MOST_BYTES // 4:,} are decoded"),
    ):
        Picture.open(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("suffix", "options", "bytes_per_pixel"),
    [
        ("png", {"mode": "RGBA"}, 8),
        ("jpg", {"progressive": True}, 12),
        ("webp", {"lossless": True, "method": 0}, 17),
        ("webp", {"quality": 0, "method": 0}, 17),
        ("webp", {"mode": "RGBA", "quality": 0, "method": 0}, 17),
    ],
)
def test_what_takes_more_memory_per_pixel_may_have_fewer(
    tmp_path: Path, suffix: str, options: dict[str, Any], bytes_per_pixel: int
) -> None:
    side = int((MOST_BYTES / bytes_per_pixel) ** 0.5) + 1
    image = Image.new(options.pop("mode", "RGB"), (side, side))
    path = saved(image, tmp_path / f"a.{suffix}", **options)
    with Picture.quiet(), pytest.raises(DataError, match=f"at most {MOST_BYTES // bytes_per_pixel:,} are decoded"):
        Picture.open(path)


@pytest.mark.parametrize(
    ("form", "at", "piece", "what"),
    [
        ("PNG", 33, bytes(4) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd")), "chunks"),  # behind its header
        ("PNG", 33, bytes(4) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")), "chunks"),
        ("GIF", 781, b"\x21\xfe\x01a\0", "comments"),  # behind its palette
    ],
)
def test_a_picture_in_pieces_without_end_is_refused_before_pillow_walks_them(
    form: str, at: int, piece: bytes, what: str, opened_by_pillow: list[object]
) -> None:
    stream = BytesIO()
    picture(1).save(stream, form)
    content = stream.getvalue()
    many, few = (content[:at] + piece * count + content[at:] for count in (1_000_000, 5_000))
    with pytest.raises(DataError, match=f"has more than 10,000 {what}, which no photo has. Save it again as a plain"):
        Picture.read(BytesIO(many), Path("a"))
    assert opened_by_pillow == []
    np.testing.assert_array_equal(
        Picture.pixels_of(Picture.read(BytesIO(few), Path("a")).image), np.asarray(picture(1))
    )
    assert len(opened_by_pillow) == 1  # it would have been noticed


def test_a_picture_beyond_pillows_own_limit_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of_declared_size(100_000, 100_000))
    with Picture.quiet(), pytest.raises(DataError, match="far too many pixels to be decoded"):
        Picture.open(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"just some text\n", "looks like text that begins with 'just some text"),
        (b"<!doctype html><p>Not found", "looks like a web page"),
        (b'<?xml version="1.0"?><svg></svg>', "looks like an SVG picture"),
        (b"%PDF-1.7\n", "looks like a PDF document"),
        (b"PK\x03\x04", "looks like a ZIP archive"),
        (b"7z\xbc\xaf\x27\x1c", "looks like a 7-Zip archive"),
        (b"\x01\x02\x03\x04", "begins with the bytes 01 02 03 04"),
    ],
)
def test_what_is_no_picture_is_named_with_the_accepted_formats(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=f"not an image: it {message}.*Accepted are JPEG, PNG, WebP, BMP and GIF"):
        Picture.open(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "a HEIC picture"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00", "an AVIF picture"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"II*\x00\x08\x00\x00\x00", "a TIFF picture"),
        (b"\x00\x00\x01\x00\x05\x00\x10\x10", "an ICO icon"),
    ],
)
def test_a_picture_of_another_kind_is_named_with_what_to_do(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=rf"a.png is {kind}, which cannot be read. Accepted are .* Save it as JPEG"):
        Picture.open(tmp_path / "a.png")


@pytest.mark.parametrize("part", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "gif"])
def test_a_cut_off_picture_is_refused_and_never_padded(tmp_path: Path, suffix: str, part: float) -> None:
    path = saved(picture(1, (200, 150), colour=True), tmp_path / f"a.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(DataError, match=r"cut off or damaged|not an image"):
        Picture.open(path)


@given(at=st.integers(0, 2000), flip=st.integers(1, 255), suffix=st.sampled_from(["jpg", "png", "webp", "bmp", "gif"]))
@settings(max_examples=200, deadline=None)
def test_a_changed_picture_never_fails_otherwise_than_with_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int, suffix: str
) -> None:
    path = saved(picture(1, (20, 10), colour=True), tmp_path_factory.getbasetemp() / f"changed.{suffix}")
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= flip
    path.write_bytes(content)
    try:
        with Picture.quiet():
            Picture.open(path)
    except DataError:
        pass


def test_too_little_memory_is_no_damage_to_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(picture(1, (30, 20)), tmp_path / "a.png")

    def load(self: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(MemoryError):
        Picture.open(path)


def test_a_picture_turned_by_exif_stands_upright(tmp_path: Path) -> None:
    image = picture(1, (30, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    opened = Picture.open(saved(image, tmp_path / "a.png", exif=exif))
    np.testing.assert_array_equal(Picture.pixels_of(opened.image), np.rot90(np.asarray(image), -1))
    assert opened.changes == ("turned upright as its EXIF data say",)
    exif[0x0112] = 99  # means nothing
    opened = Picture.open(saved(image, tmp_path / "b.png", exif=exif))
    np.testing.assert_array_equal(Picture.pixels_of(opened.image), np.asarray(image))
    assert opened.changes == ()


def test_of_an_animation_the_first_frame_is_used_and_it_is_said(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), level) for level in (10, 200)]
    for suffix in ("gif", "webp", "png"):
        path = saved(frames[0], tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
        opened = Picture.open(path)
        assert abs(int(np.asarray(opened.image).flat[0]) - 10) <= 2
        assert opened.changes == ("animated: its first frame is used",)


def test_cmyk_becomes_rgb_and_it_is_said(tmp_path: Path) -> None:
    opened = Picture.open(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "a.jpg"))
    red, green, blue = np.asarray(opened.image)[4, 4]
    assert red > 200
    assert max(green, blue) < 60
    assert opened.changes == ("converted from CMYK",)


def test_16_bits_become_8_without_clipping_and_it_is_said(tmp_path: Path) -> None:
    levels = np.array([[0, 128, 257, 32767, 65535]], np.uint16)
    opened = Picture.open(saved(Image.fromarray(levels), tmp_path / "a.png"))
    assert Picture.pixels_of(opened.image).tolist() == [[0, 0, 1, 127, 255]]
    assert opened.changes == ("reduced from 16 bits to 8",)


def test_12_bits_in_a_file_of_16_are_not_black_and_it_is_said(tmp_path: Path) -> None:
    levels = np.array([[0, 16, 2048, 4095]], np.uint16)
    opened = Picture.open(saved(Image.fromarray(levels), tmp_path / "a.png"))
    assert Picture.pixels_of(opened.image).tolist() == [[0, 1, 128, 255]]
    assert opened.changes == ("of 16 bits without values above 4,095: taken as 12 bits",)


def test_16_bits_in_colour_are_said_too(tmp_path: Path) -> None:
    content = png_of_declared_size(2, 2)
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    data = zlib.compress((b"\0" + bytes([200, 0] * 6)) * 2)
    chunks = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )
    (tmp_path / "a.png").write_bytes(content[:8] + chunks)
    opened = Picture.open(tmp_path / "a.png")
    assert set(np.asarray(opened.image).flat) == {200}
    assert opened.changes == ("reduced from 16 bits to 8",)


def test_transparency_in_a_palette_or_a_channel_is_laid_on_white_and_it_is_said(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 4, 8))
    for name, source in {"a.png": image, "b.png": image.quantize(4), "c.webp": image}.items():
        opened = Picture.open(saved(source, tmp_path / name))
        assert opened.image.mode == "RGB"
        assert opened.image.getpixel((6, 4)) == (255, 255, 255)
        assert opened.changes == ("transparent: laid on white",)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_would_be_white_on_white_is_laid_on_black(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 4, 8))
    image.putpixel((4, 0), (255, 255, 255, 100))  # the edge of a sign
    opened = Picture.open(saved(image.quantize(4) if mode == "P" else image.convert(mode), tmp_path / "a.png"))
    assert opened.image.convert("L").getpixel((0, 0)) == 255
    assert opened.image.convert("L").getpixel((6, 4)) == 0
    assert opened.changes == ("transparent, and all that shows is white: laid on black",)


def test_a_picture_in_which_nothing_shows_is_noted(tmp_path: Path) -> None:
    opened = Picture.open(saved(Image.new("RGBA", (8, 8), (9, 9, 9, 0)), tmp_path / "a.png"))
    assert opened.changes == ("transparent throughout: laid on white",)


def test_an_alpha_channel_that_hides_nothing_is_not_worth_a_word(tmp_path: Path) -> None:
    opened = Picture.open(saved(picture(1).convert("LA"), tmp_path / "a.png"))
    np.testing.assert_array_equal(Picture.pixels_of(opened.image), np.asarray(picture(1)))
    assert opened.changes == ()


def test_black_and_white_becomes_grey(tmp_path: Path) -> None:
    opened = Picture.open(saved(Image.new("1", (3, 3), 1), tmp_path / "a.png"))
    assert Picture.pixels_of(opened.image).tolist() == [[255] * 3] * 3


def test_a_missing_file_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*a.png: No such file"):
        Picture.open(tmp_path / "a.png")


def test_a_picture_of_the_right_size_is_left_as_it_is() -> None:
    image = picture(1)
    assert fitted(image, 28, 28, "pad") is image


@pytest.mark.parametrize("size", [(56, 28), (28, 56), (1000, 500), (10, 5)])
def test_the_longest_edge_is_fitted_and_the_rest_is_black(size: tuple[int, int]) -> None:
    padded = np.asarray(fitted(Image.new("L", size, 255), 28, 28, "pad"))
    bright = np.zeros((28, 28), np.uint8)
    if size[0] > size[1]:
        bright[7:21] = 255
    else:
        bright[:, 7:21] = 255
    np.testing.assert_array_equal(padded, bright)


def test_even_a_line_keeps_a_pixel() -> None:
    assert np.asarray(fitted(Image.new("L", (10_000, 1), 255), 28, 28, "pad")).sum() == 28 * 255


def test_colour_that_is_grey_all_over_is_grey() -> None:
    assert Picture.pixels_of(picture(1).convert("RGB")).shape == (28, 28)
    assert Picture.pixels_of(picture(1, colour=True)).shape == (28, 28, 3)


def test_warnings_of_others_are_still_heard_inside() -> None:
    with pytest.warns(UserWarning, match="ours"), Picture.quiet():
        warnings.warn("ours", UserWarning, stacklevel=1)
