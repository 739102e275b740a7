"""A model from a file is measured before anything of its size is allocated."""

from __future__ import annotations

import copy
import json
from typing import Any

import keras
import numpy as np
import pytest

from fittingroom.engine.blueprint import Outline, _check_metrics, _no_values
from fittingroom.engine.description import describe, rebuild
from fittingroom.engine.model_checks import ModelChecks
from fittingroom.engine.state import State
from fittingroom.errors import RunError
from tests.engine import models, zoo

pytestmark = pytest.mark.usefixtures("quick_compiler")

SHAPE = (28, 28)
DESCRIBABLE = ["attention", "mixed-bfloat16", "normalizations", "recurrent", "residual", "separable", "sgd-cosine"]


def outline_of(model: keras.Model, shape: tuple[int, ...]) -> Outline:
    ModelChecks(model).build_layers(np.zeros((1, *shape), np.float32))
    return Outline(shape, State.weight_shapes(model))


@pytest.mark.parametrize("name", DESCRIBABLE)
def test_the_outline_of_a_model_is_its_own(name: str) -> None:
    (case,) = (case for case in zoo.CASES if case.name == name)
    model = case.model(SHAPE)
    outline = outline_of(model, SHAPE)
    again = rebuild(json.loads(json.dumps(describe(model))), outline)
    assert State.weight_shapes(again) == outline.weights
    assert all(variable.value.shape == variable.shape for variable in again.variables)  # it has values after all


def changed(**config: Any) -> dict[str, Any]:
    """The description of a small model whose dense layer has other settings."""
    description = copy.deepcopy(describe(models.small()))
    description["keras"]["config"]["layers"][2]["config"].update(config)
    return description


def test_a_model_with_other_weights_is_refused_and_gets_no_values() -> None:
    model = models.small()
    outline = outline_of(model, model.input_shape[1:])
    description = describe(model)
    rebuild(description, outline)
    with pytest.raises(
        RunError, match=r"model\.json is refused: .*its weights do not have the shapes of those in the run"
    ):
        rebuild(description, Outline(outline.image_shape, ((), ())))


def test_variables_without_values_are_forgotten() -> None:
    with _no_values():
        layer = keras.layers.Dense(10**6)
        layer.build((None, 10**6))  # 4 TB
        assert layer.kernel.shape == (10**6, 10**6)
    with keras.StatelessScope():  # at its end Keras gives values to all that have none
        pass


def test_a_layer_that_makes_far_too_much_of_an_image_is_refused() -> None:
    inputs = keras.Input((8, 8))
    hidden = keras.layers.RepeatVector(10**6)(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalMaxPooling1D()(hidden)))
    with pytest.raises(RunError, match=r"gives 64,000,000 numbers for one image; at most"):
        rebuild(describe(model), outline_of(model, (8, 8)))


def test_metrics_that_keep_far_too_much_are_refused() -> None:
    settings = {"module": "keras.metrics", "class_name": "MeanIoU", "config": {"num_classes": 10_000}}
    with pytest.raises(RunError, match="metrics keep 100,000,000 numbers; at most"):
        _check_metrics([[settings], None])
    _check_metrics([["accuracy"], None])


@pytest.mark.parametrize(("key", "value"), [("num_heads", 10**6), ("num_bins", 10**18)])
def test_numbers_that_only_cost_time_are_refused(key: str, value: int) -> None:
    with pytest.raises(RunError, match=rf"model\.json is refused: it has {key} = {value:,}; at most"):
        rebuild(changed(**{key: value}))
