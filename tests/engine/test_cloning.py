"""A model once more for another seed."""

from __future__ import annotations

import threading
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from fittingroom.engine.keras_callbacks import KerasCallbacks
from fittingroom.engine.user_model import copy_for_seed
from fittingroom.errors import InputError, ModelError
from tests.engine import models

pytestmark = pytest.mark.usefixtures("quick_compiler")


def weights(model: keras.Model) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(value) for value in model.get_weights()]


def test_the_same_seed_draws_the_same_weights_and_another_seed_others() -> None:
    model = models.small()
    before = weights(model)
    first, again, other = (copy_for_seed(model, seed) for seed in (1, 1, 2))
    assert all(map(np.array_equal, weights(first), weights(again)))
    assert not np.array_equal(weights(first)[0], weights(other)[0])
    assert all(map(np.array_equal, before, weights(model)))


def test_it_is_compiled_in_the_same_way_with_an_optimizer_and_metrics_of_its_own() -> None:
    def half(labels: object, outputs: object) -> object:
        return keras.ops.sum(outputs) / 2

    schedule = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=10)
    metric = keras.metrics.SparseTopKCategoricalAccuracy(3, name="top")
    model = models.small(
        optimizer=keras.optimizers.SGD(schedule, momentum=0.9, clipnorm=0.5), metrics=[metric, half, "accuracy"]
    )
    clone = copy_for_seed(model, 0)
    assert clone.optimizer is not model.optimizer
    assert clone.optimizer.get_config() == model.optimizer.get_config()
    assert clone.loss == model.loss
    x, y = np.zeros((4, *model.input_shape[1:]), np.float32), np.zeros(4, np.int32)
    assert set(clone.evaluate(x, y, verbose=0, return_dict=True)) == set(
        model.evaluate(x, y, verbose=0, return_dict=True)
    )
    assert not {id(variable) for variable in clone.metrics_variables} & {
        id(variable) for variable in model.metrics_variables
    }


def test_what_is_frozen_stays_frozen() -> None:
    model = models.small(lambda: [layers.Dense(8), layers.Dense(4)])
    model.layers[1].trainable = False
    assert [layer.trainable for layer in copy_for_seed(model, 0).layers] == [layer.trainable for layer in model.layers]


def test_a_model_that_cannot_be_made_again_is_refused_with_the_way_out() -> None:
    class Closed(keras.Model):
        def __init__(self, size: object) -> None:
            super().__init__()
            self.dense = layers.Dense(10)

        def call(self, inputs: object) -> object:
            return self.dense(inputs)

    with pytest.raises(ModelError, match=r"cannot copy Closed for another seed: .*Or train one seed after the other"):
        copy_for_seed(Closed(threading.Lock()), 0)


def test_callbacks_are_copied_with_their_settings() -> None:
    stopping = keras.callbacks.EarlyStopping(patience=7)
    (mine,) = KerasCallbacks.copies([stopping])
    assert mine is not stopping
    assert mine.patience == 7


def test_callbacks_that_cannot_be_copied_or_share_a_file_are_refused() -> None:
    class Locked(keras.callbacks.Callback):
        lock = None

        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    with pytest.raises(InputError, match=r"these cannot be copied: .*lock"):
        KerasCallbacks.copies([Locked()])
    with pytest.raises(InputError, match="ModelCheckpoint writes to one path"):
        KerasCallbacks.copies([keras.callbacks.ModelCheckpoint("model.keras")])
