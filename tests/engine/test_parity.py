"""`fit` means what `model.fit` means: the same weights and the same history from the same start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import fittingroom
from tests.engine import models
from tests.engine.images import Images


def assert_equal_training(make: Callable[[], keras.Model], *data: Any, epochs: int = 3, **arguments: Any) -> None:
    """Trains two equal models, one with Keras and one here, and compares what came of them."""
    theirs, ours = make(), make()
    expected = theirs.fit(*data, epochs=epochs, shuffle=False, verbose=0, **arguments).history
    history = fittingroom.fit(ours, *data, epochs=epochs, shuffle=False, verbose=0, **arguments).history
    assert set(history) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, atol=1e-4, rtol=0, err_msg=name)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(np.array(mine.value), np.array(other.value), atol=1e-5, rtol=0, err_msg=mine.path)


def test_the_course_model_trains_as_in_keras(fashion: Images) -> None:
    validation = (fashion.x_val[:288], fashion.y_val[:288])
    assert_equal_training(models.course, fashion.x, fashion.y, validation_data=validation, batch_size=32)


def test_convolution_pooling_and_batch_normalisation_train_as_in_keras(fashion: Images) -> None:
    assert_equal_training(
        models.convolutional, fashion.x[:108], fashion.y[:108], validation_data=(fashion.x_val[:32], fashion.y_val[:32])
    )


def dropout_and_noise() -> keras.Model:
    return models.small(lambda: [layers.GaussianNoise(0.2), layers.Dense(8, activation="relu"), layers.Dropout(0.3)])


def with_schedule_and_averaged_weights() -> keras.Model:
    schedule = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=10)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, clipnorm=0.5, use_ema=True, ema_momentum=0.9)
    return models.small(optimizer=optimizer)


def frozen() -> keras.Model:
    model = models.small(lambda: [layers.Dense(8, activation="relu"), layers.BatchNormalization()])
    model.layers[1].trainable = False
    model.compile(optimizer="adam", loss=models.SPARSE, metrics=["accuracy"])
    return model


def batch_dependent() -> keras.Model:
    """A loss and a metric that depend on the size of the batch, in validation too."""

    def highest_probability(labels: Any, outputs: Any) -> Any:
        return keras.ops.max(outputs)

    loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
    return models.small(loss=loss, metrics=[highest_probability])


@pytest.mark.parametrize(
    "make",
    [
        with_schedule_and_averaged_weights,
        frozen,
        models.functional,
        models.subclassed,
    ],
)
def test_a_model_trains_as_in_keras(make: Callable[[], keras.Model], digits: Images) -> None:
    assert_equal_training(make, digits.x, digits.y, batch_size=22)


@pytest.mark.parametrize("make", [dropout_and_noise, batch_dependent])
def test_validation_is_that_of_keras(make: Callable[[], keras.Model], digits: Images) -> None:
    assert_equal_training(make, digits.x, digits.y, batch_size=22, validation_data=(digits.x_val, digits.y_val))


WEIGHTS = np.linspace(0, 2, 44, dtype=np.float32)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"class_weight": {0: 2.0, 2: 0.5, 5: 0.0}, "validation_split": 0.5}, id="class_weight and split"),
        pytest.param({"sample_weight": WEIGHTS, "validation_split": 0.5}, id="sample_weight and split"),
        pytest.param({"initial_epoch": 2, "epochs": 4, "batch_size": 44}, id="initial_epoch, one batch"),
    ],
)
def test_an_argument_of_fit_means_what_it_means_in_keras(arguments: dict[str, Any], digits: Images) -> None:
    def make() -> keras.Model:
        return models.small(weighted_metrics=["accuracy"], metrics=[])

    assert_equal_training(make, digits.x, digits.y, **{"batch_size": 22, **arguments})


def test_sample_weights_of_validation_count_as_in_keras(digits: Images) -> None:
    validation = (digits.x_val, digits.y_val, np.linspace(1, 0, 30, dtype=np.float32))
    assert_equal_training(
        models.small, digits.x, digits.y, batch_size=22, sample_weight=WEIGHTS, validation_data=validation
    )


def test_one_hot_labels_with_auc_and_top_k_give_keras_numbers(digits: Images) -> None:
    def make() -> keras.Model:
        metrics = [
            keras.metrics.AUC(multi_label=True, num_thresholds=20, name="auc"),
            keras.metrics.TopKCategoricalAccuracy(3, name="top"),
        ]
        return models.small(loss="categorical_crossentropy", metrics=metrics)

    y, y_val = (keras.utils.to_categorical(labels, 10) for labels in (digits.y, digits.y_val))
    assert_equal_training(make, digits.x, y, batch_size=22, validation_data=(digits.x_val, y_val))


def test_a_model_without_an_input_learns_its_shape_from_the_data_and_takes_bytes(digits: Images) -> None:
    assert_equal_training(models.unbuilt, np.uint8(digits.x * 16), np.uint8(digits.y[:, None]), batch_size=22)
