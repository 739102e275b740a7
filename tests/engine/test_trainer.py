"""What is left when the loss is no number: the state of the last good epoch, and where it happened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.engine.arrays import ArrayFeed
from fittingroom.engine.snapshots import TrainingPlan
from fittingroom.errors import DivergedError
from tests.engine import models
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")

STEPS = 44 // 4


def logits() -> keras.Model:
    """A model whose loss an image of huge numbers makes NaN: infinity minus infinity."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return models.small(activation=None, loss=loss)


def poisoned(images: Images, position: int) -> Any:
    """The training images with one that no float32 arithmetic survives."""
    x = images.x.copy()
    x[position] = 3e38
    return x


@pytest.mark.parametrize("step", [1, 2, 7, STEPS])
@pytest.mark.parametrize("watch_batches", [False, True])
def test_the_step_at_which_the_loss_becomes_nan_is_named(step: int, watch_batches: bool, digits: Images) -> None:
    callbacks = [keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)] if watch_batches else []
    model = logits()
    before = model.get_weights()
    with pytest.raises(DivergedError, match=f"NaN or infinite in epoch 1, at step {step} of {STEPS}; no epoch was"):
        fittingroom.fit(
            model,
            poisoned(digits, (step - 1) * 4 + 1),
            digits.y,
            batch_size=4,
            shuffle=False,
            callbacks=callbacks,
            verbose=0,
        )
    for weights, start in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, start)


class RaiseLearningRate(keras.callbacks.Callback):
    """Makes the third epoch diverge, and notes the weights after the second."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch == 2:
            self.weights = self.model.get_weights()
            self.model.optimizer.learning_rate = 1e30


def test_finished_epochs_are_kept_and_the_error_says_where(digits: Images, runs_dir: Any) -> None:
    model, callback = logits(), RaiseLearningRate()
    with pytest.raises(DivergedError, match=r"in epoch 3, at step \d+ of 11; the 2 finished epochs are kept in .*runs"):
        fittingroom.fit(
            model, digits.x, digits.y, epochs=5, batch_size=4, callbacks=[callback], validation_split=0, verbose=0
        )
    run = fittingroom.open_run(next(runs_dir.iterdir()))
    assert run.record.status == "diverged"
    assert run.record.epochs == len(run.history["loss"]) == 2
    for weights, kept in zip(model.get_weights(), callback.weights, strict=True):
        np.testing.assert_array_equal(weights, kept)
    np.testing.assert_allclose(run.predict(digits.x), softmax(model.predict(digits.x, verbose=0)), atol=1e-6)


def softmax(outputs: Any) -> Any:
    return np.asarray(keras.ops.softmax(outputs))


class Heard(keras.callbacks.Callback):
    """What callbacks are told at the end."""

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.logs = dict(logs or {})


@pytest.mark.parametrize("batchwise", [False, True])
def test_with_terminate_on_nan_training_ends_quietly_as_in_keras(
    batchwise: bool, digits: Images, capsys: pytest.CaptureFixture[str]
) -> None:
    """The history has the epoch with NaN, its validation too, and callbacks hear of the end."""
    found, x_val = [], digits.x_val.copy()
    x_val[0] = 3e38  # on the scale of the training images, or it would be refused
    for fit in (keras.Model.fit, fittingroom.fit):
        model, heard = logits(), Heard()
        watch = [keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)] if batchwise else []
        arguments: Any = {"validation_data": (x_val, digits.y_val), "batch_size": 4, "epochs": 3, "verbose": 0}
        callbacks = [keras.callbacks.TerminateOnNaN(), heard, *watch]
        result = fit(model, poisoned(digits, 9), digits.y, shuffle=False, callbacks=callbacks, **arguments)
        steps = int(model.optimizer.iterations)
        found.append((result.epoch, {name: str(values) for name, values in result.history.items()}, heard.logs, steps))
        assert capsys.readouterr().out == "Batch 2: Invalid loss, terminating training\n"
    np.testing.assert_equal(found[1][2], found[0][2])
    assert found[0][:2] + found[0][3:] == found[1][:2] + found[1][3:]
    assert (result.record.status, result.record.train.loss) == ("stopped", None)
    assert result.record.reason == f"the loss became NaN or infinite in epoch 1, at step 3 of {STEPS}"
    assert np.isnan(fittingroom.open_run(result.path).history["loss"]).all()


def test_terminate_on_nan_raises_where_it_is_asked_to(digits: Images) -> None:
    callback = keras.callbacks.TerminateOnNaN(raise_error=True)
    arguments: Any = {"batch_size": 4, "shuffle": False, "callbacks": [callback], "verbose": 0}
    with pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch 2"):
        fittingroom.fit(logits(), poisoned(digits, 9), digits.y, **arguments)


def test_a_last_step_that_spoils_the_weights_is_found_although_its_loss_was_finite(digits: Images) -> None:
    class SpoilTheWeights(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if epoch == 1:
                self.model.optimizer.learning_rate = float("inf")

    model = models.small(optimizer=keras.optimizers.SGD(0.1))
    with pytest.raises(DivergedError, match="the weights became NaN or infinite in epoch 2, at its last step; the 1 f"):
        fittingroom.fit(model, digits.x, digits.y, epochs=3, batch_size=44, callbacks=[SpoilTheWeights()], verbose=0)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_a_validation_loss_that_is_no_number_is_said(digits: Images) -> None:
    x_val = digits.x_val.copy()
    x_val[3] = 1  # a white image, and the model divides by what is missing to white
    divided = keras.layers.Lambda(lambda x: x / (1 - keras.ops.mean(x, axis=(1, 2), keepdims=True)))
    model = keras.Sequential([keras.Input((8, 8)), divided, keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    run = fittingroom.fit(model, digits.x, digits.y, validation_data=(x_val, digits.y_val), epochs=2, verbose=0)
    assert run.record.status == "finished"
    assert run.record.notes[-1].startswith("val_loss was NaN or infinite after epoch 1 and 2, although the weights")


def orders(seed: int, *, shuffle: bool = True) -> list[list[int]]:
    """The order of ten images in the first three passes."""
    examples: Any = SimpleNamespace(images=np.zeros(10))
    nothing: Any = None
    feed = ArrayFeed(nothing, TrainingPlan(3, 4, seed, shuffle), examples)
    return [feed.order(number).tolist() for number in range(3)]


def test_each_epoch_has_an_order_of_its_own_that_the_seed_decides() -> None:
    first = orders(0)
    assert first == orders(0)
    assert first != orders(1)
    assert all(sorted(order) == list(range(10)) for order in first)
    assert len({tuple(order) for order in first}) == 3


def test_without_shuffle_images_come_as_they_are() -> None:
    assert orders(0, shuffle=False) == [list(range(10))] * 3
