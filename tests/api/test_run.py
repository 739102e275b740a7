"""A run from its folder: it predicts exactly as the one that was saved, or says what is wrong with the folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from safetensors.numpy import load_file, save_file

import fittingroom as fr
from fittingroom.data.dataset import Dataset
from fittingroom.errors import DataError, RunError, UnknownNameError
from fittingroom.runs.layout import SeedFiles
from tests.engine import models

TINY = fr.Recipe(name="tiny", hidden=(8,), epochs=1, batch_size=64)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, to be read only."""
    return fr.train("digits", TINY, out=tmp_path_factory.mktemp("trained") / "run").path


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """The folder of a run, to be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def test_a_recipes_run_predicts_exactly_as_the_one_that_was_saved(digits: Dataset) -> None:
    run = fr.train(digits, TINY)
    for images in (digits.train.images, digits.train.images[:1], digits.train.images[:37]):
        np.testing.assert_array_equal(fr.open_run(run.path).predict(images), run.predict(images))


def test_a_fitted_run_predicts_exactly_as_the_one_that_was_saved_and_as_keras(digits: Dataset) -> None:
    model = models.small(lambda: [layers.BatchNormalization(), layers.Dense(8), layers.Dropout(0.2)])
    run = fr.fit(model, digits, verbose=0)
    opened = fr.open_run(run.path)
    images = digits.train.images[:37]
    np.testing.assert_array_equal(opened.predict(images), run.predict(images))
    np.testing.assert_allclose(opened.predict(images), model.predict(digits.train.x[:37], verbose=0), atol=1e-6)


@pytest.mark.parametrize("kind", ["recipe", "fit"])
def test_the_keras_model_of_a_run_predicts_the_same(kind: str, digits: Dataset) -> None:
    run = fr.train(digits, TINY) if kind == "recipe" else fr.fit(models.small(), digits, verbose=0)
    for each in (fr.open_run(run.path), *([run] if kind == "recipe" else [])):
        model = each.model
        predicted = model.predict(digits.train.x[:37], verbose=0)
        np.testing.assert_allclose(predicted, each.predict(digits.train.images[:37]), atol=1e-6)
        model.fit(digits.train.x[:32], digits.train.y[:32], verbose=0)  # it is compiled, and can be trained on


def test_the_model_of_a_run_is_a_new_one_so_that_the_users_own_keeps_its_weights(digits: Dataset) -> None:
    model = models.small()
    run = fr.fit(model, digits, verbose=0)
    model.set_weights([weights * 0 for weights in model.get_weights()])
    assert any(weights.any() for weights in fr.open_run(run.path).model.get_weights())
    assert not any(weights.any() for weights in model.get_weights())


def test_runs_are_found_by_path_name_and_as_the_latest(digits: Dataset) -> None:
    run = fr.train(digits, TINY)
    for name in (run.path, str(run.path), run.path.name, "latest"):
        assert fr.open_run(name).path == run.path
    with pytest.raises(UnknownNameError, match=f"unknown run 'other'.* {run.path.name}"):
        fr.open_run("other")


def test_classes_beyond_those_of_the_labels_are_predicted_too(digits: Dataset) -> None:
    few = digits.train.y < 3
    run = fr.fit(models.small(), digits.train.x[few], digits.train.y[few], verbose=0)
    assert run.predict(digits.train.x[:5]).shape == (5, 10)


@pytest.mark.parametrize("kind", ["float64", "bytes", "part", "one-hot"])
def test_images_are_predicted_in_the_form_they_were_trained_in(kind: str, digits: Dataset) -> None:
    x, y = digits.train.x[:44], digits.train.y[:44]
    raw = digits.train.images[:44]
    images: Any = raw
    model = models.small(loss="categorical_crossentropy" if kind == "one-hot" else models.SPARSE)
    if kind == "float64":
        run, images = fr.fit(model, x.astype(np.float64), y, verbose=0), x.astype(np.float64)
    elif kind == "bytes":
        run = fr.fit(model, raw, y, verbose=0)
    elif kind == "part":
        run = fr.fit(model, digits.train, verbose=0)
    else:
        run, images = fr.fit(model, x, keras.utils.to_categorical(y, 10), verbose=0), x
    expected = model.predict(raw if kind == "bytes" else x, verbose=0)
    for each in (run, fr.open_run(run.path)):
        np.testing.assert_allclose(each.predict(images), expected, atol=1e-6)


def test_images_that_would_be_scaled_twice_are_refused(digits: Dataset) -> None:
    for run in (fr.train(digits, TINY), fr.fit(models.small(), digits.train, verbose=0)):
        with pytest.raises(DataError, match=r"images are float32; expected the dataset's raw pixels.*train\.images"):
            run.predict(digits.train.x[:5])


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((3, 28, 28)), r"expected \(n, 8, 8\), as in training\.$"),
        (np.zeros((8, 8)), r"It is a single image: pass image\[None\]"),
        (np.zeros((0, 8, 8)), r"expected \(n, 8, 8\), as in training"),
        ([], r"expected \(n, 8, 8\), as in training"),
        (np.zeros((3, 64)), r"They are flat: pass images\.reshape\(-1, 8, 8\)"),
        (np.zeros((3, 8, 8, 3)), r"They are in colour: pass images\[\.\.\., :3\]\.mean\(axis=-1\)"),
        (3, "the images are of type int; expected an array, such as data.validation.images"),
        (
            fr.load("digits").validation,
            "the images are of type Part; expected an array, such as data.validation.images",
        ),
        (
            fr.load("digits").test,
            r"the images are of type SealedTestSet; .* run.evaluate\(\) scores the sealed test set",
        ),
    ],
    ids=["28x28", "one", "none", "nothing", "flat", "colour", "number", "part", "test set"],
)
def test_images_of_another_shape_are_refused(images: Any, words: str, trained: Path, digits: Dataset) -> None:
    images = images(digits) if isinstance(images, attrgetter) else images
    with pytest.raises(DataError, match=words):
        fr.open_run(trained).predict(images)


def subclassed_run(digits: Dataset) -> tuple[fr.Run, keras.Model]:
    model = models.subclassed()
    return fr.fit(model, digits, verbose=0), model


def test_a_model_with_code_of_the_users_needs_that_model_to_be_opened(digits: Dataset) -> None:
    run, model = subclassed_run(digits)
    images = digits.train.images[:37]
    with pytest.raises(RunError, match=r"names .*Subclassed.*fittingroom\.open_run\(path, model=model\)"):
        fr.open_run(run.path).predict(images)
    for fresh in (models.subclassed(), models.Subclassed()):  # compiled or not
        opened = fr.open_run(run.path, model=fresh)
        np.testing.assert_array_equal(opened.predict(images), run.predict(images))
        assert opened.model is fresh
        np.testing.assert_allclose(
            fresh.predict(digits.train.x[:37], verbose=0) if fresh.compiled else np.asarray(fresh(digits.train.x[:37])),
            model.predict(digits.train.x[:37], verbose=0),
            atol=1e-6,
        )
    assert fr.open_run(run.path).history == run.history


def test_another_model_than_the_runs_is_refused(digits: Dataset) -> None:
    run, _ = subclassed_run(digits)
    frozen = models.Subclassed()
    frozen.hidden.trainable = False
    for other in (models.small(list), frozen):
        with pytest.raises(RunError, match="The model is not the one of this run"):
            fr.open_run(run.path, model=other).predict(digits.train.images[:3])


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_blueprint(path: Path) -> None:
    path.write_text("{}")


def with_wrong_types(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "trainable": 3}))


def with_unknown_fields(path: Path) -> None:
    stored = json.loads(path.read_text())
    stored["trainable"][0]["code"] = "import os"
    path.write_text(json.dumps(stored))


def without_a_weight(path: Path) -> None:
    weights = load_file(path)
    weights.popitem()
    save_file(weights, path)


def with_a_transposed_weight(path: Path) -> None:
    save_file({name: np.ascontiguousarray(value.T) for name, value in load_file(path).items()}, path)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.json", cut_in_half),
        ("model.json", without_blueprint),
        ("model.json", with_wrong_types),
        ("model.json", with_unknown_fields),
        ("model.json", Path.unlink),
        ("weights.safetensors", cut_in_half),
        ("weights.safetensors", without_a_weight),
        ("weights.safetensors", with_a_transposed_weight),
        ("weights.safetensors", Path.unlink),
    ],
)
def test_a_damaged_file_is_named(file: str, damage: Callable[[Path], Any], copied: Path) -> None:
    damage(SeedFiles(copied).folder / file)
    with pytest.raises(RunError, match=file.replace(".", r"\.")):
        fr.open_run(copied).predict(np.zeros((3, 8, 8), np.uint8))


def test_a_folder_that_is_no_run_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run: it has no run\.json"):
        fr.open_run(tmp_path)


def test_a_run_says_in_a_word_what_it_is(trained: Path) -> None:
    assert repr(fr.open_run(trained)) == f"Run({str(trained)!r}: tiny on digits, finished)"
