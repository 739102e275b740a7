from __future__ import annotations

import gzip
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fittingroom.data.model_inputs import ImageReader, ModelInputs
from fittingroom.data.ranges import ValueRange
from fittingroom.errors import DataError
from tests.data.builders import images, labels, picture, write_idx


def read_images(path: Path, shape: tuple[int, ...], scale: float = 255.0) -> ModelInputs:
    return ImageReader(shape, ValueRange.of_scale(scale)).read_file(path)


def tar_of_nothing() -> bytes:
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return stream.getvalue()


def test_a_csv_file_gives_its_rows_with_or_without_labels(tmp_path: Path) -> None:
    pictures = images(3, 4, 4)
    rows = pictures.reshape(3, 16).tolist()
    (tmp_path / "plain.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    (tmp_path / "labelled.csv").write_text("\n".join(",".join(map(str, [7, *row])) for row in rows))
    for name in ("plain.csv", "labelled.csv"):
        read = read_images(tmp_path / name, (4, 4))
        np.testing.assert_array_equal(read.images, pictures)
        assert any("labels are ignored" in note for note in read.notes) == (name == "labelled.csv")


def test_a_picture_of_the_right_size_is_one_image(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.png")
    read = read_images(tmp_path / "a.png", (28, 28))
    np.testing.assert_array_equal(read.images, np.asarray(picture(1))[None])
    assert (len(read), read.notes) == (1, ())


def test_a_picture_of_another_size_is_refused_with_both(tmp_path: Path) -> None:
    picture(1, (640, 480)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a.png is 480x640 pixels \(height x width\); this model takes exactly 28x28"):
        read_images(tmp_path / "a.png", (28, 28))


def test_a_coloured_picture_becomes_grey_for_a_grey_model_and_it_is_said(tmp_path: Path) -> None:
    picture(1, colour=True).save(tmp_path / "a.png")
    read = read_images(tmp_path / "a.png", (28, 28))
    assert read.images.shape == (1, 28, 28)
    assert read.notes == (f"{tmp_path / 'a.png'}: converted from colour to grey.",)


def test_a_grey_picture_has_three_channels_for_a_colour_model(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.png")
    read = read_images(tmp_path / "a.png", (28, 28, 3))
    np.testing.assert_array_equal(read.images[0, ..., 2], np.asarray(picture(1)))


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz", "no-suffix"])
def test_an_idx_file_is_known_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    read = read_images(write_idx(tmp_path / name, images(5)), (28, 28))
    np.testing.assert_array_equal(read.images, images(5))


@pytest.mark.parametrize("array", ["images", "x", "x_test", "test_images", "anything", "X_test", "data"])
def test_an_npz_file_gives_its_images(tmp_path: Path, array: str) -> None:
    arrays: dict[str, Any] = {array: images(5)}
    np.savez(tmp_path / "a.npz", **arrays)
    np.testing.assert_array_equal(read_images(tmp_path / "a.npz", (28, 28)).images, images(5))


def test_an_npz_file_with_other_arrays_lists_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=images(5), b=labels(5))
    with pytest.raises(
        DataError, match="has the arrays a and b; expected one alone, or one named images, x, x_test or test_images"
    ):
        read_images(tmp_path / "a.npz", (28, 28))


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 28, 27)])
def test_arrays_of_another_size_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones(shape, np.uint8))
    with pytest.raises(DataError, match=f"is {shape[1]}x{shape[2]} pixels"):
        read_images(tmp_path / "a.npz", (28, 28))


def test_arrays_in_colour_are_refused_by_a_grey_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.full((2, 28, 28, 3), 9, np.uint8))
    with pytest.raises(DataError, match="images in colour, but this model takes grey ones"):
        read_images(tmp_path / "a.npz", (28, 28))
    assert read_images(tmp_path / "a.npz", (28, 28, 3)).images.shape == (2, 28, 28, 3)


def test_float_images_are_guessed_and_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=images(3) / 255)
    read = read_images(tmp_path / "a.npz", (28, 28))
    np.testing.assert_array_equal(read.images, images(3))
    assert read.notes[0].endswith("up to 1 were taken as 0-1 and converted to 0-255, as in training.")


def test_images_of_every_usual_scale_become_those_of_training(tmp_path: Path) -> None:
    whole = images(3, 8, 8) // 16 + 1
    arrays = {"own": whole.astype(float), "fractions": whole / 16, "16 bits": whole.astype("u2") * 4095}
    for name, array in arrays.items():
        np.savez(tmp_path / f"{name}.npz", x=array)
        np.testing.assert_array_equal(read_images(tmp_path / f"{name}.npz", (8, 8), 16.0).images, whole)
    picture(1, (8, 8)).save(tmp_path / "c.png")
    read = read_images(tmp_path / "c.png", (8, 8), 16.0).images
    np.testing.assert_array_equal(read[0], np.rint(np.asarray(picture(1, (8, 8))) * (16 / 255)))


def test_images_to_predict_cannot_be_changed(tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="read-only"):
        read_images(tmp_path / "a.png", (28, 28)).images[0] = 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image: it is empty"),
        (b"\x1f\x8b" + bytes(20), "damaged in its first bytes"),
        (gzip.compress(tar_of_nothing(), mtime=0), "not an image: it looks like a packed tar archive"),
        (b"\x00\x00\x00\x24ftypheic", "is a HEIC picture, which cannot be read.*Save it as JPEG"),
        (b"\x00\x00\x01\x00\x05\x00\x10\x10", "is an ICO icon, which cannot be read"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "is a JPEG 2000 picture, which cannot be read"),
        (b"hello", "not an image: it looks like text"),
        (b"PK\x03\x04rubbish", "cut off or damaged"),
        (b"\x1f\x8brubbish", "cut off or damaged"),
        (b"\x00\x00\x08\x03\x00", "cut off"),
    ],
)
def test_other_files_are_refused_with_what_they_are(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_images(tmp_path / "a", (28, 28))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nowhere.png: No such file"):
        read_images(tmp_path / "nowhere.png", (28, 28))


def test_labels_are_not_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="but images have 3"):
        read_images(write_idx(tmp_path / "labels", labels(5, 5)), (28, 28))
