"""`accelerate`: plain Keras's `model.fit` on the engine, and Keras's own `fit` for what the engine refuses."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import fittingroom as fr
from fittingroom.errors import InputError, LabelRangeError
from tests.engine.models import SPARSE

X = np.random.default_rng(0).random((60, 8, 8)).astype(np.float32)
Y = np.arange(60) % 3


def model(outputs: int = 3, loss: Any = SPARSE, activation: str | None = "softmax") -> keras.Model:
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(outputs, activation=activation)])
    made.compile(loss=loss, metrics=["accuracy"] if loss == SPARSE else None)
    return made


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))


def test_model_fit_trains_on_the_engine_and_gives_a_history_that_is_a_run() -> None:
    plain = keras.Model.fit
    with fr.accelerate():
        one, two = model(), model()
        history = one.fit(X, Y, 20, 3, 0, validation_data=(X, Y), shuffle=False)
        assert isinstance(history, keras.callbacks.History)
        assert history.path.is_dir()
        assert history.explain()
        keras.utils.set_random_seed(2)
        first = two.fit(X, Y, verbose=0).record.seed
        keras.utils.set_random_seed(2)
        assert two.fit(X, Y, verbose=0).record.seed == first != two.fit(X, Y, verbose=0).record.seed
    assert keras.Model.fit is plain
    same = model()
    expected = same.fit(X, Y, 20, 3, 0, validation_data=(X, Y), shuffle=False)
    assert type(expected) is keras.callbacks.History
    assert history.epoch == expected.epoch
    assert history.params == expected.params
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, atol=1e-6)
    for ours, theirs in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_what_the_engine_refuses_goes_to_keras_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    def batches() -> Iterator[Any]:
        for start in range(0, 60, 20):
            asked.append(start)
            yield X[start : start + 20], X[start : start + 20, 0, :1]

    with fr.accelerate(out=False), caplog.at_level(logging.WARNING, "fittingroom"):
        for _ in range(2):
            regression = model(1, "mse", None)
            assert type(regression.fit(X, X[:, 0, 0], verbose=0)) is keras.callbacks.History
        regression.fit(batches(), steps_per_epoch=3, shuffle=False, verbose=0)
    assert asked == [0, 20, 40]  # no batch is lost to the look that the engine took
    first, second = caplog.messages
    assert first.startswith(
        "Keras's own fit trains this model, not Fitting Room's engine. 60 of 60 labels are fractions"
    )
    assert "model.fit" not in first + second


class Pictures(keras.utils.PyDataset):
    """Batches that can be read again, though they have a `__next__` as Keras's older generators of pictures do."""

    num_batches = 3

    def __getitem__(self, index: int) -> Any:
        return X[20 * index : 20 * index + 20], Y[20 * index : 20 * index + 20]

    def __next__(self) -> Any:
        return self[0]


def test_batches_that_can_be_read_again_train_on_the_engine() -> None:
    with fr.accelerate(out=False):
        run = model().fit(Pictures(), epochs=2, validation_data=Pictures(), verbose=0)
    assert run.epoch == [0, 1]
    assert run.params["steps"] == 3
    assert isinstance(run, fr.FittedRun)


def test_labels_that_no_output_stands_for_are_an_error_and_other_mistakes_have_our_reason_as_a_note() -> None:
    with fr.accelerate(out=False):
        with pytest.raises(LabelRangeError, match="has 2 outputs, but the labels name 3 classes"):
            model(2).fit(X, Y, verbose=0)
        flat = keras.Sequential([keras.Input((8, 8)), layers.Dense(3, activation="softmax")])
        flat.compile(loss=SPARSE)
        with pytest.raises(ValueError, match=r"(?i)shape") as failed:
            flat.fit(X, Y, verbose=0)
        assert any("add keras.layers.Flatten()" in note for note in failed.value.__notes__)
        uncompiled = keras.Sequential([layers.Dense(3)])
        with pytest.raises(ValueError, match="compile"):
            uncompiled.fit(X, Y, verbose=0)


def test_an_error_within_training_is_not_hidden_by_a_second_training() -> None:
    def batches() -> Iterator[Any]:
        yield X[:20], Y[:20]
        yield X[:20], Y[:20] + 7

    with fr.accelerate(out=False), pytest.raises(InputError, match="label of class 9"):
        model().fit(batches(), steps_per_epoch=2, verbose=0)


def test_it_is_turned_off_by_hand_and_again_and_says_what_out_is() -> None:
    plain = keras.Model.fit
    first = fr.accelerate()
    second = fr.accelerate(out=False)
    assert (repr(first).endswith("off>"), repr(second).endswith("on>")) == (True, True)
    first.stop()  # it is off already, and the second stays
    assert keras.Model.fit is not plain
    fr.accelerate(False)
    assert keras.Model.fit is plain
    with pytest.raises(InputError, match="expected None for a folder for each run"):
        fr.accelerate(out="runs")  # type: ignore[arg-type]


def of_tensorflow(name: str, *api_names: str) -> Any:
    """A function as TensorFlow has it: it cannot work on JAX's arrays, and is known by module and name."""

    def function(features: Any) -> Any:
        raise TypeError("not a tensor of TensorFlow's")

    function.__module__, function.__name__ = "tensorflow.python.ops.nn_ops", name
    function._tf_api_names = api_names  # type: ignore[attr-defined]
    return function


def test_activations_of_tensorflow_are_taken_by_their_names() -> None:
    relu, softmax = of_tensorflow("relu"), of_tensorflow("softmax_v2", "nn.softmax")
    made = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(4, relu), layers.Dense(3, softmax)])
    made.compile(loss=SPARSE)
    run = fr.fit(made, X, Y, out=False)
    assert [layer.activation for layer in made.layers[1:]] == [keras.activations.relu, keras.activations.softmax]
    assert run.predict(X[:2]).shape == (2, 3)
    odd = keras.Sequential([layers.Flatten(), layers.Dense(3, of_tensorflow("crelu"))])
    with pytest.raises(InputError, match="The activation crelu is a function of TensorFlow's"):
        fr.fit(odd, X, Y, out=False)
