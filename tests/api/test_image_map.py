"""The map of a run's validation images, kept with the run, and the inside of its model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import fittingroom as fr
from fittingroom.api.image_map import MAP, ImageMap, make_map, read_map
from fittingroom.api.inner_view import InnerView
from fittingroom.api.run import Run
from fittingroom.errors import InputError, RunError
from fittingroom.evaluation.projection import nearest
from fittingroom.reports.facts.subject import Subject
from fittingroom.reports.pages.report_page import validation_images

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(16,), epochs=2, batch_size=64)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two seeds, to be read only."""
    return fr.train("digits", TINY, seeds=2, validation=100, out=tmp_path_factory.mktemp("trained") / "run").path


@pytest.fixture(scope="module")
def mapped(trained: Path) -> ImageMap:
    return make_map(Subject.read(trained))


def test_a_map_has_the_features_of_the_last_hidden_layer(trained: Path, mapped: ImageMap) -> None:
    subject = Subject.read(trained)
    training = subject.trainings[subject.example]
    _, part, _ = validation_images(training)
    assert part is not None
    model = Run(training.path).model
    inner = keras.Model(model.inputs[0], model.layers[-1].input)
    features = np.asarray(inner(part.images.astype(np.float32) / part.scale))
    assert (mapped.source, mapped.width, mapped.images) == ("hidden layer", 16, 100)
    assert InnerView.of(Run(training.path)).features(part.images) == pytest.approx(features, abs=1e-5)
    assert np.mean(mapped.neighbours[:, 0] == nearest(features)[:, 0]) > 0.98  # but for rounding
    assert mapped.tsne is not None
    assert mapped.tsne.shape == mapped.pca.shape == (100, 2)


def test_a_map_is_kept_and_goes_with_a_copy(trained: Path, mapped: ImageMap, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    again = read_map(Subject.read(copy))
    assert again is not None
    assert np.asarray(again.tsne).tolist() == np.asarray(mapped.tsne).tolist()
    assert make_map(Subject.read(copy)).pca.tolist() == mapped.pca.tolist()
    assert fr.open_run(copy).validation == fr.open_run(trained).validation


def test_a_map_of_other_weights_counts_as_absent(trained: Path, mapped: ImageMap, tmp_path: Path) -> None:
    other = fr.train("digits", TINY, seed=5, validation=100, out=tmp_path / "other").path
    shutil.copy(trained / MAP.name, other / MAP.name)
    assert read_map(Subject.read(other)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"pca": np.full((100, 2), np.nan, np.float32)},
        {"pca": np.zeros((100, 2))},
        {"neighbours": np.full((100, 3), 100, np.int32)},
        {"neighbours": np.zeros((100, 99), np.int32)},
        {"index": np.zeros(100, np.int64)},
        {"index": np.arange(1, 101)},
        {"shares": np.array([2.0, 0.0])},
        {"source": np.uint8(9)},
        {"tsne": np.zeros((7, 2), np.float32)},
        {"images": np.int64(-1)},
        {"width": np.float64(2)},
    ],
)
def test_a_damaged_map_is_refused_with_the_way_out(
    trained: Path, mapped: ImageMap, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    with np.load(copy / MAP.name) as stored:
        arrays = {**stored, **wrong}
    np.savez(copy / MAP.name, **arrays)
    with pytest.raises(RunError, match=r"map\.npz is damaged.*Delete .* opening the map makes it again"):
        read_map(Subject.read(copy))


def test_a_read_only_folder_still_gets_its_map(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    (copy / MAP.name).unlink(missing_ok=True)

    def full(*_: object) -> None:
        raise fr.errors.StorageError("the disk is full")

    monkeypatch.setattr("fittingroom.answers.stored.FittedFile.write", full)
    assert make_map(Subject.read(copy)).tsne is not None
    assert not (copy / MAP.name).exists()


def test_contributions_of_a_relu_network_and_its_biases_make_the_difference_of_two_logits() -> None:
    keras.utils.set_random_seed(3)
    hidden, last = layers.Dense(20, activation="relu", bias_initializer="normal"), layers.Dense(4, activation="softmax")
    model = keras.Sequential([keras.Input((5, 6)), layers.Flatten(), hidden, last])
    image = np.random.default_rng(0).integers(0, 255, (5, 6)).astype(np.uint8)
    found = InnerView(model, 255.0).pixels(image, 2, 0)
    pixels = image.reshape(-1) / 255
    on = np.asarray(hidden.kernel).T @ pixels + np.asarray(hidden.bias) > 0
    apart = np.asarray(last.kernel)[:, 2] - np.asarray(last.kernel)[:, 0]
    expected = pixels * (np.asarray(hidden.kernel) @ (on * apart))
    biases = (on * np.asarray(hidden.bias)) @ apart
    assert found.kind == "contributions"
    assert found.exact
    assert found.values.reshape(-1) == pytest.approx(expected, abs=1e-5)
    assert found.difference == pytest.approx(expected.sum() + biases, abs=1e-5)
    weights = InnerView(model, 255.0).first_weights((5, 6))
    assert weights is not None
    assert np.array_equal(weights[7].reshape(-1), np.asarray(hidden.kernel)[:, 7])


def test_a_gradient_map_of_convolutions_is_the_slope_of_the_difference() -> None:
    keras.utils.set_random_seed(3)
    chain = [layers.Conv2D(3, 3, activation="tanh"), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((6, 6, 3)), *chain])
    image = np.full((6, 6, 3), 100.0, np.float32)
    view = InnerView(model, 255.0)
    found = view.pixels(image, 0, 1)
    moved = image.copy()
    moved[2, 3, 1] += 1.0
    changes = [abs(view.pixels(m, 0, 1).difference - found.difference) * 255 for m in (moved,)]
    assert found.kind == "gradient"
    assert not found.exact
    assert found.values.shape == (6, 6)
    assert changes[0] <= found.values[2, 3] + 1e-2
    assert view.first_weights((6, 6, 3)) is None


def test_one_number_for_two_classes_speaks_for_the_second() -> None:
    last = layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([keras.Input((2, 2)), layers.Flatten(), last])
    image = np.array([[10, 20], [30, 40]], np.uint8)
    second, first = (InnerView(model, 1.0).pixels(image, *pair) for pair in ((1, 0), (0, 1)))
    expected = np.asarray(last.kernel)[:, 0] * image.reshape(-1)
    assert second.values.reshape(-1) == pytest.approx(expected, rel=1e-5)
    assert first.values.tolist() == (-second.values).tolist()
    assert second.difference == pytest.approx(expected.sum(), rel=1e-5)


def test_where_there_is_no_hidden_layer_the_features_are_the_pixels() -> None:
    model = keras.Sequential([keras.Input((4, 4)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    view = InnerView(model, 15.0)
    assert view.source == "pixels"
    assert view.features(image)[0] == pytest.approx(np.arange(16) / 15)


class _Own(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.flat, self.last = layers.Flatten(), layers.Dense(10, activation="softmax")

    def call(self, images: Any) -> Any:
        return self.last(self.flat(images))


def test_a_model_that_cannot_be_taken_apart_is_mapped_by_its_answers(tmp_path: Path) -> None:
    dataset = fr.load("digits", validation=80)
    model = _Own()
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    run = fr.fit(model, dataset, epochs=1, out=tmp_path / "own")
    found = make_map(Subject.read(run.path))
    assert found.source == "answers"
    assert found.width == 10
    assert len(found.pca) == 80


def test_plain_arrays_are_mapped_by_their_answers(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = np.random.default_rng(0).random((60, 8, 8), np.float32), np.arange(60) % 3
    run = fr.fit(model, images, labels, validation_data=(images[:12], labels[:12]), epochs=1, out=tmp_path / "arrays")
    assert make_map(Subject.read(run.path)).source == "answers"


def test_features_that_are_not_finite_have_no_map(trained: Path, tmp_path: Path, monkeypatch: Any) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    (copy / MAP.name).unlink(missing_ok=True)
    monkeypatch.setattr(InnerView, "features", lambda self, images, progress: np.full((len(images), 2), np.inf))
    with pytest.raises(InputError, match="not finite"):
        make_map(Subject.read(copy))
