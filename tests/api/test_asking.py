"""Photos are asked about as arrays are: by their path, or as pictures that Pillow has opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.errors import DataError, RunError
from fittingroom.photos.conversion import convert
from tests.engine import models
from tests.photos.drawing import photo

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(16,), epochs=1, batch_size=64)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fr.Run:
    return fr.train("digits", TINY, out=tmp_path_factory.mktemp("asked") / "run")


@pytest.fixture
def shirt(tmp_path: Path) -> Path:
    path = tmp_path / "shirt.png"
    photo()[0].save(path)
    return path


def test_a_photo_is_brought_to_what_the_model_was_trained_on(run: fr.Run, shirt: Path) -> None:
    image = convert(photo()[0], run.style).image
    expected = run.predict(np.rint(image[None] * (16 / 255)).astype(np.uint8))
    for given in (shirt, str(shirt), Image.open(shirt), [shirt]):
        np.testing.assert_array_equal(run.predict(given), expected)


def test_several_photos_have_a_row_each_in_their_order(run: fr.Run, shirt: Path) -> None:
    other = photo(side=(60, 300))[0]
    both = run.predict([shirt, other])
    np.testing.assert_allclose(both, np.concatenate([run.predict(shirt), run.predict(other)]), rtol=1e-5)
    assert not np.array_equal(both[0], both[1])


def test_a_picture_of_the_models_size_goes_in_as_it_is(run: fr.Run) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    expected = run.predict(np.rint(pixels[None] * (16 / 255)).astype(np.uint8))
    np.testing.assert_array_equal(run.predict(Image.fromarray(pixels)), expected)
    np.testing.assert_array_equal(run.predict(Image.fromarray(pixels).convert("RGB")), expected)


def test_an_answer_to_a_photo_says_how_far_it_can_be_trusted(run: fr.Run, shirt: Path) -> None:
    image = convert(photo()[0], run.style).image
    [expected] = run.answer(np.rint(image[None] * (16 / 255)).astype(np.uint8))
    [answer] = run.answer(shirt)
    assert (answer.why, answer.set, answer.unlike) == (expected.why, expected.set, expected.unlike)


def test_replicas_are_asked_alike(run: fr.Run, tmp_path: Path, shirt: Path) -> None:
    replicas = fr.train("digits", TINY, seeds=2, out=tmp_path / "replicas")
    expected = np.mean([each.predict(shirt) for each in replicas], axis=0)
    np.testing.assert_allclose(replicas.predict(shirt), expected, rtol=1e-5)
    assert replicas.answer(shirt)[0].label == run.record.data.classes[int(expected.argmax())]


def test_a_photo_turned_by_its_camera_is_turned_back(run: fr.Run, tmp_path: Path) -> None:
    upright = photo()[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    expected = run.predict(upright)
    np.testing.assert_array_equal(run.predict(tmp_path / "a.png"), expected)
    np.testing.assert_array_equal(run.predict(Image.open(tmp_path / "a.png")), expected)


def test_what_is_no_photo_is_refused_with_its_name(run: fr.Run, tmp_path: Path, shirt: Path) -> None:
    (tmp_path / "no.jpg").write_text("no")
    with pytest.raises(DataError, match=r"no\.jpg is not an image"):
        run.predict(tmp_path / "no.jpg")
    with pytest.raises(DataError, match=r"is a folder. Give its files: sorted"):
        run.predict(tmp_path)
    with pytest.raises(DataError, match="30×3 pixels"):
        run.predict(Image.new("L", (30, 3)))
    cut = tmp_path / "cut.png"
    cut.write_bytes(shirt.read_bytes()[:5000])
    with Image.open(cut) as opened, pytest.raises(DataError, match=r"cut\.png cannot be decoded"):
        run.predict(opened)


def test_where_fit_was_given_arrays_a_photo_cannot_be_brought_to_them(tmp_path: Path, shirt: Path) -> None:
    x, y = np.random.default_rng(0).random((40, 8, 8), np.float32), np.arange(40) % 10
    run = fr.fit(models.small(), x, y, epochs=1, verbose=0, out=tmp_path / "run")
    with pytest.raises(RunError, match="trained on plain arrays"):
        run.predict(shirt)
