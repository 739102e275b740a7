"""`fittingroom predict` with photos: one short training of Fashion-MNIST's form serves all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fittingroom
from tests.cli.conftest import Command
from tests.photos.drawing import photo, training_images

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def of_shirts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained on drawn shirts, whole and upside down."""
    folder = tmp_path_factory.mktemp("shirts")
    images = training_images(80)
    images[1::2] = images[1::2, ::-1]
    labels = np.arange(80) % 2
    arrays: Any = {"x_train": images, "y_train": labels, "x_test": images[:10], "y_test": labels[:10]}
    np.savez(folder / "shirts.npz", **arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_RUNS_DIR", str(folder / "runs"))
        return fittingroom.train(f"npz:{folder / 'shirts.npz'}", fittingroom.Recipe(epochs=10), validation=20).path


def test_photo_is_cut_out_and_the_answer_says_so(command: Command, of_shirts: Path, tmp_path: Path) -> None:
    photo()[0].save(tmp_path / "x.jpg")
    photo()[0].transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(tmp_path / "y.jpg")
    done = command("predict", of_shirts, tmp_path / "x.jpg", tmp_path / "y.jpg", "--json")
    predictions = done.json["predictions"]
    assert [row["class"] for row in predictions] == done.json["classes"]
    assert [step["name"] for step in predictions[0]["steps"]][:2] == ["photo", "foreground"]
    assert "2 of 2 files are not 28×28 pixels: the foreground of each was cut out" in done.err


def test_show_draws_the_steps(command: Command, of_shirts: Path, tmp_path: Path) -> None:
    photo()[0].save(tmp_path / "x.jpg")
    command("predict", of_shirts, tmp_path / "x.jpg", "--show", tmp_path / "steps.png")
    with Image.open(tmp_path / "steps.png") as picture:
        assert picture.width > 10 * 150
        assert len(picture.getcolors(1_000_000) or []) > 100


def test_show_without_a_photo_or_to_another_format_is_refused(
    command: Command, of_shirts: Path, tmp_path: Path
) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "x.png")
    done = command("predict", of_shirts, tmp_path / "x.png", "--show", tmp_path / "steps.png")
    assert (done.status, done.out) == (2, "")
    assert "none of the files is a photo" in done.err
    done = command("predict", of_shirts, "--show", tmp_path / "x.jpg", tmp_path / "x.png")
    assert done.status == 2
    assert "expected the name of a PNG file" in done.err


def test_folder_is_predicted_and_what_cannot_be_read_is_said(command: Command, of_shirts: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    photo()[0].save(tmp_path / "photos" / "x.jpg")
    (tmp_path / "photos" / "bad.png").write_bytes(b"nothing")
    done = command("predict", of_shirts, tmp_path / "photos")
    assert len(done.out.splitlines()) == 2
    assert "left out" in done.err
    assert "bad.png is not an image" in done.err


def test_address_is_refused(command: Command, of_shirts: Path) -> None:
    done = command("predict", of_shirts, "https://example.org/x.jpg")
    assert (done.status, done.out) == (2, "")
    assert "nothing is downloaded" in done.err


def test_run_of_plain_arrays_takes_no_photo(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    run = fittingroom.fit(model, training_images(20) / np.float32(255), np.arange(20) % 2, epochs=1)
    photo()[0].save(tmp_path / "x.jpg")
    done = command("predict", run.path, tmp_path / "x.jpg")
    assert done.status == 2
    assert "trained on plain arrays" in done.err
