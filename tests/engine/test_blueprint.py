"""How variables start: the distributions of Keras's initializers, from one seed and streams of their own."""

from __future__ import annotations

import json
import math
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from fittingroom.engine.blueprint import Blueprint, _InitialValue
from fittingroom.engine.description import describe
from fittingroom.engine.model_checks import ModelChecks
from fittingroom.engine.state import State
from fittingroom.errors import ModelError
from tests.engine import models

Array = np.ndarray[Any, Any]


def started(initializer: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    """The start of a lone variable."""
    start = _InitialValue("kernel", shape, "float32", initializer=initializer)
    (value,) = Blueprint((start,), (), (), (), {}).initial_state(seed).trainable
    assert isinstance(value, np.ndarray)
    assert value.shape == shape
    assert value.dtype == np.float32
    return value


# Glorot and Bengio 2010; He et al. 2015; LeCun et al. 1998: the variance of 300 x 200 weights.
VARIANCES = {
    "GlorotUniform": 2 / (300 + 200),
    "GlorotNormal": 2 / (300 + 200),
    "HeUniform": 2 / 300,
    "HeNormal": 2 / 300,
    "LecunUniform": 1 / 300,
    "LecunNormal": 1 / 300,
}


@pytest.mark.parametrize("initializer", VARIANCES)
def test_initial_weights_have_the_mean_the_variance_and_the_limits_of_their_law(initializer: str) -> None:
    values = started(initializer, (300, 200))
    variance = VARIANCES[initializer]
    # The mean of n draws strays by sqrt(variance / n), their variance by less than sqrt(2 / n): four times that is
    # allowed.
    assert abs(values.mean()) < 4 * math.sqrt(variance / values.size)
    assert values.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / values.size))
    if initializer.endswith("Uniform"):
        limit = math.sqrt(3 * variance)
        # A uniform law fills its interval to the edge.
        assert 0.999 * limit < np.abs(values).max() <= limit * (1 + 1e-6)
    else:
        # A normal law, cut off at two of its standard deviations and widened to keep its variance.
        cut = 2 * math.sqrt(variance) / 0.8796256610342398
        assert 0.99 * cut < np.abs(values).max() <= cut * (1 + 1e-6)
        assert np.mean(np.abs(values) < cut / 2) == pytest.approx(0.6827 / 0.9545, abs=0.01)


def test_a_convolution_counts_its_window_into_the_fan() -> None:
    values = started("HeUniform", (3, 3, 40, 50))
    assert values.var() == pytest.approx(2 / (3 * 3 * 40), rel=4 * math.sqrt(2 / values.size))


def test_the_same_seed_gives_the_same_values_and_another_seed_others() -> None:
    first, again, other = (started("HeNormal", (5, 4), seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, other).any()


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    model = models.small(lambda: [layers.Dense(10), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(10)])
    ModelChecks(model).build(np.zeros((1, 8, 8), np.float32), np.zeros(1, np.int32), None, 10)
    return Blueprint.of(model, describe(model))


def test_variables_of_one_shape_start_with_different_values(blueprint: Blueprint) -> None:
    state = blueprint.initial_state(0)
    kernels = [value for value in state.trainable if value.shape == (10, 10)]
    assert len(kernels) == 2
    assert not np.isin(kernels[0], kernels[1]).any()


def test_a_blueprint_starts_every_variable_as_keras_does_but_for_the_draw(blueprint: Blueprint) -> None:
    """Same shapes and types; the same values where nothing is drawn; the same law where something is."""
    model = models.small(lambda: [layers.Dense(10), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(10)])
    ModelChecks(model).build(np.zeros((1, 8, 8), np.float32), np.zeros(1, np.int32), None, 10)
    compared = 0
    for ours, theirs, starts in zip(
        blueprint.initial_state(0),
        State.of(model),
        State(blueprint.trainable, blueprint.non_trainable, blueprint.optimizer, blueprint.metrics),  # type: ignore[arg-type]
        strict=True,
    ):
        for mine, other, start in zip(ours, theirs, starts, strict=True):
            assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
            if start.initializer is None:  # type: ignore[union-attr]
                np.testing.assert_array_equal(mine, other)
                compared += 1
    assert compared > 10
    assert [start.initializer for start in blueprint.trainable if start.name.endswith("kernel")] == [
        "GlorotUniform"
    ] * 3
    assert [start.initializer for start in blueprint.non_trainable if start.initializer] == ["seed"]


def test_dropout_differs_in_each_seed(blueprint: Blueprint) -> None:
    seeds = [
        next(value for value in blueprint.initial_state(seed).non_trainable if value.dtype == np.uint32).tolist()
        for seed in (0, 1, 0)
    ]
    assert seeds[0] == seeds[2] != seeds[1]


def test_it_counts_the_numbers_that_training_may_change(blueprint: Blueprint) -> None:
    assert blueprint.parameters == (64 * 10 + 10) + 2 * 10 + (10 * 10 + 10) + (10 * 10 + 10)


def test_it_survives_json(blueprint: Blueprint) -> None:
    assert Blueprint.from_json(json.loads(json.dumps(blueprint.to_json()))) == blueprint


def test_weights_by_name_become_the_same_state_again(blueprint: Blueprint) -> None:
    state = blueprint.initial_state(3)
    weights = blueprint.weights(state)
    assert len(weights) == len(state.trainable) + len(state.non_trainable)
    again = blueprint.state_of_weights(weights)
    for mine, other in zip(
        (*again.trainable, *again.non_trainable), (*state.trainable, *state.non_trainable), strict=True
    ):
        np.testing.assert_array_equal(mine, other)


def test_layers_of_one_name_keep_their_weights_apart() -> None:
    class Twins(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.classes = layers.Dense(8, name="same"), layers.Dense(10, name="same")

        def call(self, images: Any) -> Any:
            return self.classes(self.hidden(keras.ops.reshape(images, (-1, 64))))

    model = Twins()
    model(np.zeros((1, 8, 8), np.float32))
    model.compile(optimizer="adam", loss=models.SPARSE)
    names = [start.name for start in Blueprint.of(model, {}).trainable]
    assert len({name.removesuffix("#2") for name in names}) == 2
    assert len(set(names)) == len(names) == 4


def test_what_no_rule_starts_is_refused() -> None:
    given = _InitialValue("kernel", (2,), "float32")
    with pytest.raises(ModelError, match="The initial value of the variable kernel is not known"):
        Blueprint((given,), (), (), (), {}).initial_state(0)
