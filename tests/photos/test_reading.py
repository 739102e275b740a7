"""Photos from files: what is read, and what is refused."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fittingroom.data.model_inputs import ModelInputs
from fittingroom.data.pictures import Picture
from fittingroom.data.ranges import ValueRange
from fittingroom.errors import DataError
from fittingroom.photos.conversion import Conversion, ForegroundStyle, Style
from fittingroom.photos.photo_reader import PhotoReader, _open_photo, _picture_files
from tests.photos.drawing import photo, training_images


@pytest.fixture(scope="module")
def style() -> Style:
    return Style((28, 28), ForegroundStyle.of(training_images().astype(np.float32)))


def reader(style: Style) -> PhotoReader:
    return PhotoReader((28, 28), ValueRange.of_scale(255.0), lambda: style)


def read(path: Path, style: Style) -> ModelInputs:
    return reader(style).read_file(path)


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.bmp", "x.gif"])
def test_every_accepted_format_gives_much_the_same_image(tmp_path: Path, style: Style, name: str) -> None:
    picture = photo()[0]
    picture.save(tmp_path / name)
    found, expected = read(tmp_path / name, style).images[0], Conversion.of(picture, style).image
    assert np.abs(found.astype(int) - expected).mean() < 12


def test_photo_turned_by_its_exif_data_is_turned_back(tmp_path: Path, style: Style) -> None:
    picture = photo()[0]
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "x.png", exif=_turned())
    given = read(tmp_path / "x.png", style)
    np.testing.assert_array_equal(given.images[0], Conversion.of(picture, style).image)
    assert "turned upright" in given.notes[0]


def test_images_in_which_nothing_shows_are_said(tmp_path: Path, style: Style) -> None:
    Image.new("L", (28, 28), 200).save(tmp_path / "a.png")
    np.savez(tmp_path / "a.npz", x=np.stack([np.zeros((28, 28), np.uint8), np.eye(28, dtype=np.uint8) * 255]))
    assert read(tmp_path / "a.png", style).notes[-1].endswith("it has one colour throughout: nothing shows.")
    assert "1 of 2 images have one colour throughout" in read(tmp_path / "a.npz", style).notes[-1]
    photo()[0].save(tmp_path / "b.png")
    assert read(tmp_path / "b.png", style).notes == ()


def _turned() -> Any:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_read(tmp_path: Path, style: Style, mode: str) -> None:
    picture = photo()[0].convert("L") if mode == "I;16" else photo()[0]
    changed = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257) if mode == "I;16" else picture.convert(mode)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    changed.save(path)
    assert read(path, style).images.shape == (1, 28, 28)


def test_large_jpeg_is_decoded_smaller_and_shows_the_same(tmp_path: Path) -> None:
    picture = photo()[0].resize((2400, 3200))
    picture.save(tmp_path / "x.jpg")
    assert _open_photo(tmp_path / "x.jpg", (28, 28)).image.size == (300, 400)
    assert _open_photo(tmp_path / "x.jpg", (200, 200)).image.size == (600, 800)
    assert Picture.open(tmp_path / "x.jpg").image.size == (2400, 3200)


def test_picture_of_the_models_size_stays_as_it_is(tmp_path: Path, style: Style) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    given = read(tmp_path / "x.png", style)
    np.testing.assert_array_equal(given.images[0], pixels)
    assert given.steps == ()


def test_array_files_stay_as_they_are(tmp_path: Path, style: Style) -> None:
    np.savez(tmp_path / "x.npz", x=training_images(3))
    np.testing.assert_array_equal(read(tmp_path / "x.npz", style).images, training_images(3))


@pytest.mark.parametrize("size", [(1, 1), (10_000, 1), (15, 400), (1700, 80)])
def test_no_foreground_is_looked_for_in_few_pixels_and_a_whole_picture_has_always_enough(
    tmp_path: Path, style: Style, size: tuple[int, int]
) -> None:
    Image.new("RGB", size).save(tmp_path / "x.png")
    with pytest.raises(
        DataError, match=rf"x.png has {size[0]}×{size[1]} pixels, too few to find a foreground; expected"
    ):
        read(tmp_path / "x.png", style)
    assert read(tmp_path / "x.png", replace(style, foreground=None)).images.shape == (1, 28, 28)


def test_cut_off_jpeg_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    photo()[0].resize((1200, 1600)).save(stream, "JPEG")
    (tmp_path / "x.jpg").write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(DataError, match="cut off or damaged"):
        _open_photo(tmp_path / "x.jpg", (28, 28))


@pytest.mark.parametrize("url", ["https://example.org/x.jpg", "http://example.org", "data:image/png;base64,xx"])
def test_addresses_are_refused(url: str) -> None:
    with pytest.raises(DataError, match=r"nothing is downloaded. Save the picture, and pass the file"):
        list(_picture_files([Path(url)]))


def test_all_pictures_below_a_folder_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.JPG", "a.webp", ".hidden.png", ".git/x.png", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.webp")
    found = [str(path.relative_to(tmp_path)) for path, in_folder in _picture_files([tmp_path]) if in_folder]
    assert found == ["a.webp", "b/1.JPG", "b/2.png"]


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no pictures in it. Accepted are JPEG, PNG"):
        list(_picture_files([tmp_path]))
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x24ftypheic")
    with pytest.raises(DataError, match=r"has no pictures in it. Skipped in .*IMG_1.HEIC, a HEIC picture: Save it as"):
        list(_picture_files([tmp_path]))


def test_picture_of_a_folder_that_cannot_be_read_is_left_out_and_said(tmp_path: Path, style: Style) -> None:
    photo()[0].save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "q.tif").write_bytes(b"II*\0")
    said: list[str] = []
    given = list(reader(style).read_all([tmp_path], said.append))
    assert [Path(str(each.source)).name for each in given] == ["good.png"]
    assert len(said) == 2
    assert "bad.png is not an image" in said[0]
    assert "1 .tif file (such as q.tif, a TIFF picture: Save it as JPEG or PNG). Accepted" in said[1]


def test_named_picture_that_cannot_be_read_is_an_error(tmp_path: Path, style: Style) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"bad.png is not an image"):
        list(reader(style).read_all([tmp_path / "bad.png"], print))


def test_folder_with_nothing_that_can_be_read_is_an_error(tmp_path: Path, style: Style) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"no picture in the folder .* can be read. The last error: .*bad.png"):
        list(reader(style).read_all([tmp_path], lambda _: None))
