"""A run reads outputs and labels as the compiled loss does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras import layers, losses

import fittingroom as fr
from fittingroom.engine.losses import LossFacts, OutputKind
from fittingroom.errors import ModelError
from tests.engine import models
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")

OUTPUTS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
POSITIVE = np.abs(OUTPUTS)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def own_of_logits(y_true: Any, y_pred: Any) -> Any:
    return losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)


def own_of_probabilities(y_true: Any, y_pred: Any) -> Any:
    return losses.categorical_crossentropy(y_true, y_pred)


def compiled(loss: Any, outputs: int = 3, activation: Any = None) -> keras.Model:
    return models.small(outputs=outputs, loss=loss, activation=activation, metrics=[])


SPARSE, ONE_HOT, BINARY = (
    losses.SparseCategoricalCrossentropy,
    losses.CategoricalCrossentropy,
    losses.BinaryCrossentropy,
)
LOGITS = {"from_logits": True}


@pytest.mark.parametrize(
    "loss",
    [
        *("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", "crossentropy", "ce"),
        *(losses.sparse_categorical_crossentropy, SPARSE(), SPARSE(**LOGITS), SPARSE, [SPARSE()]),
        functools.partial(losses.sparse_categorical_crossentropy, from_logits=True),
        functools.partial(losses.sparse_categorical_crossentropy, **LOGITS, axis=-1),
        *("categorical_crossentropy", ONE_HOT(), ONE_HOT(**LOGITS), losses.categorical_crossentropy),
        *(own_of_logits, own_of_probabilities),
    ],
)
def test_the_cross_entropy_of_a_run_is_the_value_of_the_loss(loss: Any) -> None:
    """For every form in which a loss may be given; positive outputs, whose rows do not sum to 1, are divided."""
    model = compiled(loss)
    kind = OutputKind.of(model)
    outputs = OUTPUTS if kind == "logits" else POSITIVE
    logs = np.asarray(kind.log_probabilities(jnp.array(outputs)))
    model.build((None, 8, 8))
    one_hot = LossFacts.of(model).function == "categorical_crossentropy" or loss is own_of_probabilities
    labels = np.eye(3, dtype=np.float32)[LABELS] if one_hot else LABELS[:, None]
    for row in range(6):
        value = model._compile_loss(labels[row : row + 1], jnp.array(outputs[row : row + 1]))
        np.testing.assert_allclose(-logs[row, LABELS[row]], value, rtol=1e-5)
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(logs.argmax(axis=1), outputs.argmax(axis=1))


@pytest.mark.parametrize("loss", ["binary_crossentropy", "bce", "ce", BINARY(), BINARY(**LOGITS)])
def test_one_output_is_the_second_of_two_classes(loss: Any) -> None:
    model = compiled(loss, outputs=1)
    outputs = np.array([[-0.5], [0.2], [0.7], [3.0]], np.float32)  # what is no probability is cut off, as Keras does
    logs = np.asarray(OutputKind.of(model).log_probabilities(jnp.array(outputs)))
    for row in range(4):
        for label in (0, 1):
            value = model._compile_loss(np.array([[label]]), jnp.array(outputs[row : row + 1]))
            np.testing.assert_allclose(-logs[row, label], value, rtol=1e-4, atol=1e-6)


def test_outputs_that_are_scored_one_by_one_are_shares_of_their_sum() -> None:
    for loss, each in ((BINARY(), POSITIVE), (BINARY(**LOGITS), 1 / (1 + np.exp(-OUTPUTS))), ("mse", POSITIVE)):
        outputs = OUTPUTS if LossFacts.of(compiled(loss)).from_logits else POSITIVE
        found = np.exp(OutputKind.of(compiled(loss)).log_probabilities(jnp.array(outputs)))
        np.testing.assert_allclose(found, each / each.sum(axis=1, keepdims=True), rtol=1e-5)


def test_a_margin_of_one_is_certain_and_zero_is_even() -> None:
    kind = OutputKind.of(compiled("hinge", outputs=1))
    found = np.exp(kind.log_probabilities(jnp.array([[-2.0], [0.0], [0.5]])))
    np.testing.assert_allclose(found[:, 1], [0, 0.5, 0.75], atol=1e-6)


@pytest.mark.parametrize("kind", ["probabilities", "sigmoid logits", "margins"])
def test_a_row_without_a_positive_output_keeps_its_order(kind: Any) -> None:
    outputs = jnp.array([[-300.0, -200.0, -400.0]])
    logs = np.asarray(OutputKind(kind).log_probabilities(outputs))
    assert logs.argmax() == 1
    assert np.isfinite(logs).all()


def test_logarithms_from_logits_are_exact_far_below_what_keras_clips() -> None:
    logs = OutputKind.LOGITS.log_probabilities(jnp.array([[0.0, 60.0]]))
    np.testing.assert_allclose(logs, [[-60.0, 0.0]], atol=1e-6)


def test_logarithms_from_probabilities_are_bounded_as_in_keras() -> None:
    logs = OutputKind.PROBABILITIES.log_probabilities(jnp.array([[0.0, 1.0]]))
    np.testing.assert_allclose(logs, [[np.log(1e-7), 0.0]], atol=1e-6)


def test_a_loss_that_keras_does_not_name_is_refused() -> None:
    with pytest.raises(
        ModelError, match=r"loss='corssentropy', which Keras does not accept.*Give a loss from keras.losses"
    ):
        OutputKind.of(compiled("corssentropy"))


def test_labels_that_the_loss_defines_name_classes() -> None:
    signed, ignoring = (
        LossFacts.label_form(compiled("hinge", outputs=1)),
        LossFacts.label_form(compiled(SPARSE(ignore_class=255))),
    )
    for labels in (np.array([-1, 1, 1]), np.array([[0], [1], [1]]), jnp.array([-1.0, 1.0, 1.0])):
        np.testing.assert_array_equal(signed.indices(labels), [0, 1, 1])
    np.testing.assert_array_equal(ignoring.indices(np.array([3, 255, 0], np.uint8)), [3, -1, 0])
    np.testing.assert_array_equal(ignoring.indices(jnp.array([3, 255, 0])), [3, -1, 0])


class OwnLoss(keras.Sequential):
    """A loss of the model's own, and none to compile."""

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *unused: Any, **more: Any) -> Any:
        return keras.ops.mean(own_of_logits(y, y_pred))


def with_own_loss() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = OwnLoss([keras.Input((8, 8)), layers.Flatten(), layers.Dense(10)])
    model.compile("adam")
    return model


def ignored(y: Any) -> Any:
    return np.where(y == 3, -1, y)


def signed(y: Any) -> Any:
    return np.where(y > 4, 1, -1)


def named_in_a_dictionary() -> keras.Model:
    images = keras.Input((8, 8))
    keras.utils.set_random_seed(1)
    outputs = layers.Dense(10, activation="softmax", name="out")(layers.Flatten()(images))
    model = keras.Model(images, outputs)
    model.compile("adam", {"out": ["ce"]})
    return model


@pytest.mark.parametrize(
    ("make", "labels", "names"),
    [
        (with_own_loss, lambda y: y, "0123456789"),
        (named_in_a_dictionary, lambda y: y, "0123456789"),
        (lambda: models.small(loss=SPARSE(ignore_class=-1), metrics=[]), ignored, "0123456789"),
        (lambda: models.small(outputs=1, activation="tanh", loss="hinge", metrics=[]), signed, ("-1", "1")),
    ],
    ids=["compute_loss", "ce in a dictionary", "ignore_class", "hinge"],
)
def test_labels_and_losses_that_keras_takes_train_as_in_keras(
    make: Callable[[], keras.Model], labels: Callable[[Any], Any], names: Any, digits: Images
) -> None:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 32, "shuffle": False, "verbose": 0}
    settings["class_weight"] = {-1: 2.0, 1: 0.5}
    y, y_val = labels(digits.y), labels(digits.y_val)
    known = y_val >= (0 if len(names) > 2 else -1)
    validation = (digits.x_val[known], y_val[known])
    run = fr.fit(make(), digits.x, y, validation_data=validation, **settings)
    history = make().fit(digits.x, y, validation_data=validation, **settings).history
    for name, values in history.items():
        np.testing.assert_allclose(run.history[name], values, rtol=1e-4)
    assert run.record.data.classes == tuple(names)
    assert run.outcomes is not None
    assert run.record.validation is not None
    expected = validation[1] > 0 if len(names) == 2 else validation[1]
    np.testing.assert_array_equal(run.outcomes.labels, expected)
    right = run.predict(validation[0]).argmax(axis=1) == expected
    assert run.record.validation.accuracy == pytest.approx(right.mean())
