"""`fit`: the user's own model on a dataset, a part of one, or arrays."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import fittingroom as fr
from fittingroom.data.dataset import Dataset
from fittingroom.errors import DataError, InputError, RunError, StorageError
from fittingroom.runs.layout import SeedFiles
from tests.engine import models


def weights_of(run: fr.Run) -> bytes:
    return (SeedFiles(run.path).folder / "weights.safetensors").read_bytes()


def test_a_dataset_its_parts_and_its_arrays_train_the_same_model(digits: Dataset) -> None:
    assert digits.validation is not None
    validation = (digits.validation.x, digits.validation.y)
    dataset = models.small()
    part = models.small()
    arrays = models.small()
    runs = [
        fr.fit(dataset, digits, epochs=2, verbose=0),
        fr.fit(part, digits.train, validation_data=digits.validation, epochs=2, verbose=0),
        fr.fit(arrays, digits.train.x, digits.train.y, validation_data=validation, epochs=2, verbose=0),
    ]
    for run, model in zip(runs, (dataset, part, arrays), strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            np.testing.assert_allclose(run.history[name], runs[0].history[name], atol=1e-6)
        for mine, other in zip(model.get_weights(), dataset.get_weights(), strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-6)


def test_parts_and_arrays_may_be_mixed(digits: Dataset) -> None:
    """Raw pixels of a part and scaled arrays reach the model on one scale."""
    part = digits.validation
    assert part is not None
    expected = fr.fit(models.small(), digits, verbose=0).history["val_loss"]
    arrays = fr.fit(models.small(), digits, validation_data=(part.x, part.y), verbose=0)
    raw = fr.fit(models.small(), digits.train.x, digits.train.y, validation_data=part, verbose=0)
    np.testing.assert_allclose(arrays.history["val_loss"], expected, atol=1e-6)
    np.testing.assert_allclose(raw.history["val_loss"], expected, atol=1e-6)


def test_the_record_counts_the_images_that_were_used(digits: Dataset) -> None:
    assert digits.validation is not None
    few = (digits.validation.x[:7], digits.validation.y[:7])
    assert fr.fit(models.small(), digits, validation_data=few, verbose=0).record.data.counts == {
        "train": 1317,
        "validation": 7,
        "test": 360,
    }
    all_of_it = fr.load("digits", validation=0)
    record = fr.fit(models.small(), all_of_it, validation_split=0.5, verbose=0).record
    assert record.data.counts == {"train": 718, "validation": 719, "test": 360}
    assert record.train.count == 718


def test_the_model_that_was_given_is_trained_afterwards(digits: Dataset) -> None:
    model = models.small()
    before = model.get_weights()
    run = fr.fit(model, digits, verbose=0)
    assert all((mine != old).any() for mine, old in zip(model.get_weights(), before, strict=True))
    np.testing.assert_allclose(
        model.predict(digits.train.x[:50], verbose=0), run.predict(digits.train.images[:50]), atol=1e-6
    )


def test_what_comes_back_is_a_history_of_keras_too(digits: Dataset) -> None:
    """`pd.DataFrame(history.history).plot()` is the course's next line; pandas asks whether it is a dict."""
    x, y = digits.train.x[:44], digits.train.y[:44]
    arguments: Any = {"epochs": 3, "validation_split": 0.5, "validation_freq": 2, "verbose": 0, "shuffle": False}
    theirs, model = models.small(), models.small()
    expected, history = theirs.fit(x, y, **arguments), fr.fit(model, x, y, **arguments)
    assert isinstance(history, fr.Run)
    assert isinstance(history, keras.callbacks.History)
    assert history.model is model
    assert (history.epoch, history.params) == (expected.epoch, expected.params)
    assert isinstance(history.history, dict)
    assert list(history.history) == list(expected.history)
    assert json.loads(json.dumps(history.history)) == dict(history.history) == history.history | {}
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, atol=1e-6)


def test_keras_can_continue_with_the_model_and_the_run_stays_what_it_was(digits: Dataset) -> None:
    model = models.small()
    x, y = digits.train.x[:44], digits.train.y[:44]
    model.fit(x, y, verbose=0)
    run = fr.fit(model, x, y, verbose=0)
    before, kept = run.predict(x), weights_of(run)
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    second = fr.fit(model, x, y, verbose=0)
    np.testing.assert_array_equal(run.predict(x), before)
    np.testing.assert_array_equal(fr.open_run(run.path).predict(x), before)
    assert weights_of(run) == kept != weights_of(second)
    np.testing.assert_allclose(model.predict(x, verbose=0), second.predict(x), atol=1e-6)


def test_a_second_fit_continues_where_the_first_ended(digits: Dataset) -> None:
    x, y = digits.train.x[:44], digits.train.y[:44]
    once, twice = models.small(), models.small()
    whole = fr.fit(once, x, y, epochs=4, shuffle=False, verbose=0)
    halves = [
        fr.fit(twice, x, y, epochs=2, shuffle=False, verbose=0),
        fr.fit(twice, x, y, epochs=4, initial_epoch=2, shuffle=False, verbose=0),
    ]
    assert halves[0].history["loss"] + halves[1].history["loss"] == whole.history["loss"]
    assert halves[1].history.epoch == [2, 3]
    for mine, other in zip(once.get_weights(), twice.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_the_seed_decides_the_shuffle(digits: Dataset) -> None:
    x, y = digits.train.x[:44], digits.train.y[:44]
    first, again, other = (fr.fit(models.small(), x, y, seed=seed, verbose=0).history["loss"] for seed in (0, 0, 1))
    assert first == again != other


def test_the_weights_of_later_layers_may_be_frozen_after_a_run_without_harm_to_it(digits: Dataset) -> None:
    model = models.small()
    run = fr.fit(model, digits, verbose=0)
    before = model.predict(digits.train.x[:9], verbose=0)
    model.layers[1].trainable = False
    model.compile(optimizer="sgd", loss=models.SPARSE)
    fr.fit(model, digits, verbose=0)
    np.testing.assert_allclose(run.predict(digits.train.images[:9]), before, atol=1e-6)


def test_stop_conditions_work_besides_callbacks(digits: Dataset) -> None:
    seen: list[int] = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    run = fr.fit(models.small(), digits, epochs=40, stop="loss<1.5", callbacks=[callback], verbose=0)
    assert run.record.status == "stopped"
    assert run.record.reason is not None
    assert run.record.reason.startswith("loss<1.5 after epoch")
    assert seen == run.history.epoch
    assert len(seen) < 40


def test_a_batch_larger_than_the_data_is_clamped_and_it_is_said(
    digits: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="fittingroom"):
        run = fr.fit(models.small(), digits.train.x[:20], digits.train.y[:20], batch_size=32, verbose=0)
    assert caplog.messages == ["The batch size 32 is larger than the 20 training images; 20 is used."]
    assert run.record.notes == tuple(caplog.messages)


def test_outcomes_have_a_row_for_each_validated_epoch_and_the_record_scores_the_last_weights(digits: Dataset) -> None:
    run = fr.fit(models.small(), digits, epochs=5, validation_freq=[2, 4], verbose=0)
    assert [epoch for epoch, row in zip(run.history.epoch, run.history.rows, strict=True) if "val_loss" in row] == [
        1,
        3,
    ]
    assert run.outcomes is not None
    np.testing.assert_allclose(run.outcomes.loss.mean(axis=1), run.history["val_loss"], atol=1e-5)
    assert digits.validation is not None
    predicted = run.predict(digits.validation.images).argmax(axis=1)
    assert run.record.validation is not None
    assert run.record.validation.accuracy == pytest.approx((predicted == digits.validation.y).mean())


def test_more_steps_than_the_data_have_are_said(digits: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    x, y = digits.train.x[:40], digits.train.y[:40]
    with caplog.at_level(logging.INFO, logger="fittingroom"):
        fr.fit(models.small(), x, y, steps_per_epoch=9, batch_size=10, verbose=0)
    assert caplog.messages == ["steps_per_epoch=9 is more than the 4 batches of x; an epoch has 4."]


def test_what_is_given_and_changes_nothing_is_said(digits: Dataset) -> None:
    x, y = digits.train.x[:40], digits.train.y[:40]
    run = fr.fit(models.small(), x, y, validation_steps=2, validation_freq=3, verbose=0, out=False)
    assert run.record.notes == (
        "validation_steps and validation_freq had no effect, because nothing is validated: validation_data is missing.",
    )
    run = fr.fit(models.small(), x, y, validation_split=0.5, validation_data=(x.copy(), y), verbose=0, out=False)
    assert [note.split(".")[0] for note in run.record.notes] == [
        "validation_data is used, and validation_split=0",
        "The validation images are the training images, so validation measures memorization, not how good the model is "
        "on other images",
    ]


def test_arguments_may_be_given_by_position_as_to_keras(digits: Dataset) -> None:
    run = fr.fit(models.small(), digits.train.x[:40], digits.train.y[:40], 10, 2, 0)
    assert run.record.recipe["batch_size"] == 10
    assert run.record.epochs == 2


def test_the_seed_decides_the_order_of_each_pass_where_epochs_are_shorter(digits: Dataset) -> None:
    """Two epochs of half a pass are the epoch of one pass."""
    x, y = digits.train.x[:40], digits.train.y[:40]
    whole, halves = models.small(), models.small()
    fr.fit(whole, x, y, batch_size=10, epochs=2, verbose=0)
    fr.fit(halves, x, y, batch_size=10, epochs=4, steps_per_epoch=2, verbose=0)
    for mine, other in zip(whole.get_weights(), halves.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(("verbose", "lines"), [("auto", 0), (0, 0), (1, 2), (2, 2)])
def test_without_a_terminal_it_prints_lines_where_they_are_asked_for(
    verbose: Any, lines: int, digits: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    run = fr.fit(models.small(), digits.train.x[:20], digits.train.y[:20], epochs=2, verbose=verbose)
    out, err = capfd.readouterr()
    assert (out.count("\n"), out.count("loss "), err) == (lines, lines, "")
    assert run.params["verbose"] == verbose


X, Y = np.zeros((4, 8, 8), np.float32), np.arange(4)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"x": X}, InputError, r"y is missing: .*fit\(model, x, y\)"),
        ({"x": X, "y": Y, "epochs": 0}, InputError, "epochs=0 and initial_epoch=0 leave no epoch to train"),
        ({"x": X, "y": Y, "epochs": 2, "initial_epoch": 2}, InputError, "epochs=2 and initial_epoch=2 leave no epoch"),
        ({"x": X, "y": Y, "initial_epoch": -1}, InputError, "initial_epoch=-1; expected a whole number from 0"),
        ({"x": X, "y": Y, "epochs": 1.5}, InputError, r"epochs=1\.5; expected a whole number"),
        ({"x": X, "y": Y, "batch_size": 0}, InputError, "batch_size=0; expected a whole number from 1"),
        ({"x": X, "y": Y, "batch_size": 2.5}, InputError, r"batch_size=2\.5; expected a whole number from 1"),
        ({"x": X, "y": Y, "seed": -1}, InputError, "seed=-1; expected a whole number from 0"),
        ({"x": X, "y": Y, "validation_split": 1.0}, InputError, r"validation_split=1\.0 leaves no images"),
        ({"x": X, "y": Y, "stop": "losss<0.4"}, InputError, "Did you mean 'loss'"),
        ({"x": X, "y": Y, "stop": ["val_loss<0.4"]}, InputError, "needs validation data"),
        ({"x": X[:0], "y": Y[:0]}, DataError, "x holds no images"),
        ({"x": X, "y": Y * 0 + 3}, DataError, "All 4 labels are class 3"),
        ({"x": X, "y": Y[:3]}, DataError, "x has 4 images, but y has 3 labels"),
        ({"x": abs}, InputError, r"x is a function \(abs\); expected what it gives. Call it: abs\(\)"),
        ({"x": X, "y": Y, "out": ""}, InputError, "out=''; expected a folder"),
        ({"x": X, "y": Y, "validation_data": (X, None)}, InputError, "In validation_data, y is missing"),
    ],
)
def test_wrong_arguments_are_refused_before_training(
    arguments: dict[str, Any], error: type[Exception], words: str, runs_dir: Path
) -> None:
    with pytest.raises(error, match=words):
        fr.fit(models.small(), **{"verbose": 0, **arguments})
    assert not runs_dir.exists()


def test_a_dataset_takes_no_labels_besides_and_its_test_set_no_training(digits: Dataset) -> None:
    with pytest.raises(InputError, match="y= cannot be used with a dataset, which has its own labels"):
        fr.fit(models.small(), digits, digits.train.y, verbose=0)
    with pytest.raises(InputError, match="x is a SealedTestSet; expected a NumPy or JAX array"):
        fr.fit(models.small(), digits.test, digits.train.y, verbose=0)
    with pytest.raises(InputError, match="validation_data is a SealedTestSet"):
        fr.fit(models.small(), digits, validation_data=digits.test, verbose=0)


@pytest.mark.parametrize(
    ("place", "error"),
    [(lambda folder: folder, RunError), (lambda folder: folder / "file" / "run", StorageError)],
    ids=["taken", "no folder"],
)
def test_a_place_that_cannot_be_written_is_found_before_training(
    place: Callable[[Path], Path], error: type[Exception], digits: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    class MustNotStart(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            raise AssertionError

    with pytest.raises(error):
        fr.fit(models.small(), digits, callbacks=[MustNotStart()], out=place(tmp_path), verbose=0)


def test_a_convolutional_network_trains_on_colour_images() -> None:
    generator = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = generator.random((60, 6, 6, 3), np.float32) * 0.1
    x[np.arange(60), :, :, y] += 0.9  # class 0 is red, class 1 is green, class 2 is blue
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Conv2D(4, 3, activation="relu"), layers.GlobalMaxPooling2D(), layers.Dense(3)]
    )
    run = fr.fit(model, x, y, epochs=40, batch_size=10, verbose=0)
    assert run.history["accuracy"][-1] == 1
    assert (run.predict(x).argmax(axis=1) == y).all()
