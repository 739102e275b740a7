"""A run of plain arrays knows the values of its training images, and converts what comes on another scale."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import fittingroom as fr
from fittingroom.cli.main import main
from fittingroom.errors import DataError
from fittingroom.runs.layout import SeedFiles
from fittingroom.serving.request_images import BodyPart, RequestReader
from tests.data.builders import write_idx

pytestmark = pytest.mark.usefixtures("quick_compiler")

Array = np.ndarray[Any, Any]


def _pixels() -> tuple[Array, Array]:
    """Digits with as many shades as photographs have, 0 to 255, and their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    mixed = (digits.images + np.roll(digits.images, 1, axis=0)) / 32
    return np.rint(mixed[:300] * 255).astype(np.uint8), digits.target[:300]


PIXELS, LABELS = _pixels()
MEAN, DEVIATION = PIXELS.mean(), PIXELS.std()

CONVERSIONS: dict[str, Any] = {
    "0-1": lambda images: images / 255.0,
    "0-255": lambda images: images,
    "-1 to 1, in a row": lambda images: images.reshape(-1, 64) / 127.5 - 1,
    "standardised, with a channel": lambda images: ((images - MEAN) / DEVIATION)[..., None].astype(np.float32),
}


def _fit(images: Array, **arguments: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(images.shape[1:]), layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return fr.fit(model, images, LABELS, verbose=0, **arguments)


@pytest.mark.parametrize("name", CONVERSIONS)
def test_pictures_and_files_become_the_values_of_training(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    images, some = CONVERSIONS[name](PIXELS), PIXELS[:3]
    run = _fit(images, **({"seeds": 2} if name == "0-1" else {}))
    expected, taken = run.predict(images[:3]), CONVERSIONS[name](some)

    def same(given: Any) -> None:
        np.testing.assert_allclose(run.predict(given), expected, rtol=1e-3, atol=1e-5)

    pictures = [Image.fromarray(image) for image in some]
    same(pictures)
    same([_saved(picture, tmp_path / f"{number}.png") for number, picture in enumerate(pictures)])
    np.savez(tmp_path / "own.npz", x=taken)
    np.savez(tmp_path / "pixels.npz", x=some)
    np.savez(tmp_path / "fractions.npz", x=(some / 255).astype(np.float32))
    files = [tmp_path / "own.npz", tmp_path / "pixels.npz", write_idx(tmp_path / "images", some)]
    if name in {"0-1", "0-255"}:  # else values of training may lie from 0 to 1, too
        files.append(tmp_path / "fractions.npz")
    for file in files:
        same(file)
    assert main(["predict", str(run.path), str(tmp_path / "0.png"), str(tmp_path / "pixels.npz"), "--json"]) == 0
    answers = [each["class"] for each in json.loads(capsys.readouterr().out)["predictions"]]
    assert answers == [answer.label for answer in run.answer(taken[[0, 0, 1, 2]])]
    loaded = run.predictor.load()
    reader = RequestReader(loaded.data, "unknown")
    picture = reader.picture(BodyPart(None, (tmp_path / "0.png").read_bytes()), 0, pictures=False)
    numbers = reader.numbers(json.dumps(some.reshape(3, *images.shape[1:]).tolist()).encode())
    for number, each in enumerate([*picture.images, *numbers.images]):
        np.testing.assert_allclose(each, taken[max(number - 1, 0)], rtol=1e-4, atol=1e-5 * np.abs(taken).max())
    caplog.clear()
    if name != "0-255":
        with caplog.at_level(logging.WARNING, "fittingroom"):
            same(some.reshape(3, *images.shape[1:]))
        assert "up to 255 were taken as 0-255 and converted to" in caplog.text
        assert [answer.label for answer in run.answer(some.reshape(3, *images.shape[1:]))] == answers[1:]


def _saved(picture: Image.Image, path: Path) -> Path:
    picture.save(path)
    return path


def test_a_run_whose_black_and_white_are_not_known_refuses_pictures_and_another_scale(tmp_path: Path) -> None:
    images = (PIXELS - PIXELS.mean(axis=0)) / (PIXELS.std(axis=0) + 1)
    run = _fit(images)
    with pytest.raises(DataError, match=r"trained on arrays with values from -3.36 to 7.91, and it is not known which"):
        run.predict(Image.fromarray(PIXELS[0]))
    with pytest.raises(DataError, match=r"images have values from 0 to 255, and the training images from -.* Convert"):
        run.answer(PIXELS)
    stored = json.loads((SeedFiles(run.path).folder / "run.json").read_text())
    assert stored["data"]["values"]["highest"] == pytest.approx(images.max())
    del stored["data"]["values"]  # as versions before wrote it
    (SeedFiles(run.path).folder / "run.json").write_text(json.dumps(stored))
    old = fr.open_run(run.path)
    assert old.predict(images[:2]).shape == (2, 10)
    with pytest.raises(DataError, match="arrays with values that an older version did not record"):
        old.predict(Image.fromarray(PIXELS[0]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_images_that_are_not_finite_are_refused(bad: float, tmp_path: Path) -> None:
    run = _fit(PIXELS / 255.0)
    images = PIXELS[:3] / 255.0
    images[1, 0, 0] = bad
    np.savez(tmp_path / "bad.npz", x=images)
    for ask in (run.predict, run.answer, run.log_probabilities):
        with pytest.raises(DataError, match="1 of 3 images hold NaN or infinite values"):
            ask(images)
    with pytest.raises(DataError, match=r"the 3 images of .*bad.npz hold NaN or infinite values"):
        run.answer(tmp_path / "bad.npz")


def test_a_run_of_digits_converts_pixels_up_to_255(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = fr.load("digits")
    run = fr.train(data, fr.Recipe(name="tiny", hidden=(16,), epochs=1, batch_size=64), out=tmp_path / "run")
    images = data.train.images[:30]
    with caplog.at_level(logging.WARNING, "fittingroom"):
        bright = run.answer(images * np.uint8(15))
        assert "values of type uint8 up to 240 were taken as 0-255 and converted to 0-16" in caplog.text
        assert [answer.unlike for answer in bright] == [answer.unlike for answer in run.answer(images)]
        caplog.clear()
        for dark in (images[:1] * 0, images[:1] // 4, images[:5] // 2):
            run.answer(dark)
        assert caplog.text == ""
    with pytest.raises(DataError, match=r"have values from -\d+ to .* Undo their standardisation"):
        run.predict(images.astype(np.int64) - 100)


class _Batches:
    """Batches of pixels from 0 to 255, as a loader of the user's gives them."""

    def __iter__(self) -> Any:
        yield PIXELS[:32], LABELS[:32]


@pytest.mark.parametrize("form", ["arrays", "batches", "part"])
def test_validation_on_another_scale_is_refused(form: str) -> None:
    images, data = PIXELS / 255.0, fr.load("digits")
    given = {"arrays": (PIXELS, LABELS), "batches": _Batches(), "part": data.validation}[form]
    if form == "part":  # whose images are divided by their scale, and training's are not
        images = PIXELS
    with pytest.raises(
        DataError, match=r"The validation images have values from 0 to (255|1), and the training images"
    ):
        _fit(images, validation_data=given)


def test_validation_images_that_are_darker_are_noted_and_dark_ones_are_not_refused() -> None:
    images = (PIXELS / 255.0).astype(np.float32)
    (note,) = _fit(images, validation_data=(images / 16, LABELS)).record.notes
    assert note.startswith("The validation images have values from 0 to 0.0625, and the training images from 0 to 1.")
    black = _fit(images, validation_data=(images[:10] * 0, LABELS[:10])).record.notes
    assert not any("values" in note for note in black)
