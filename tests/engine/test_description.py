"""A model as data and back: the same predictions, and no code from a file, ever."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest
from keras import layers

from fittingroom.engine.description import describe, rebuild
from fittingroom.errors import RunError
from tests.engine import models

pytestmark = pytest.mark.usefixtures("quick_compiler")

Json = dict[str, Any]


def sequential_with_many_kinds_of_layer() -> keras.Model:
    return models.small(
        lambda: [
            layers.Rescaling(1 / 16),
            layers.GaussianNoise(0.1),
            layers.Dense(8, activation=keras.activations.gelu, kernel_initializer=keras.initializers.HeNormal()),
            layers.LayerNormalization(),
            layers.Dense(8, kernel_regularizer="l2", kernel_constraint=keras.constraints.MaxNorm(2)),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Dropout(0.1),
            layers.Activation("tanh"),
            keras.Sequential([layers.Dense(8), layers.PReLU()]),
        ],
        optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
        loss=keras.losses.sparse_categorical_crossentropy,
        metrics=[keras.metrics.SparseTopKCategoricalAccuracy(3), keras.metrics.sparse_categorical_accuracy],
    )


def functional_with_many_kinds_of_layer() -> keras.Model:
    images = keras.Input((8, 8, 3))
    hidden = layers.RandomFlip()(images / 255.0)
    hidden = layers.Conv2D(4, 3, padding="same", activation="relu")(hidden)
    hidden = layers.Add()([hidden, layers.DepthwiseConv2D(3, padding="same")(hidden)])
    hidden = keras.ops.relu(layers.AveragePooling2D(4)(hidden))
    rows = layers.Reshape((4, 4))(hidden)
    rows = layers.MultiHeadAttention(2, 4)(rows, rows)
    hidden = layers.Concatenate()([layers.Flatten()(rows), layers.GlobalMaxPooling2D()(hidden)])
    return keras.Model(images, layers.Softmax()(layers.Dense(10)(hidden)))


@pytest.mark.parametrize("make", [sequential_with_many_kinds_of_layer, functional_with_many_kinds_of_layer])
def test_a_rebuilt_model_predicts_the_same(make: Callable[[], keras.Model]) -> None:
    model = make()
    again = rebuild(json.loads(json.dumps(describe(model))))
    assert again is not model
    assert again.compiled == model.compiled
    again.set_weights(model.get_weights())
    images = np.random.default_rng(0).random((2, *model.input_shape[1:]), np.float32)
    np.testing.assert_allclose(again.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-7)


def relu(values: Any) -> Any:
    """A function of the user's that has the name of one of Keras's, and is another."""
    return -values


def mean_output(labels: Any, outputs: Any) -> Any:
    """A metric of the user's."""
    return keras.ops.mean(outputs)


@keras.saving.register_keras_serializable()
class Registered(layers.Layer):
    """A layer of the user's, registered with Keras."""

    def call(self, inputs: Any) -> Any:
        return inputs


class Dense(layers.Dense):
    """A layer of the user's that has the name of one of Keras's."""


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (models.Subclassed, "Subclassed"),
        (lambda: models.small(lambda: [Registered()]), "Registered"),
        (lambda: models.small(lambda: [Dense(8)]), "Dense"),
        (lambda: models.small(lambda: [layers.Lambda(lambda values: values)]), "<lambda>"),
        (lambda: models.small(lambda: [layers.Dense(8, activation=lambda values: values)]), "<lambda>"),
        (lambda: models.small(lambda: [layers.Dense(8, activation=relu)]), "relu"),
        (lambda: models.small(lambda: [layers.Dense(8, activation=jax.nn.relu)]), "relu|custom_jvp"),
        (lambda: models.small(loss=lambda labels, outputs: outputs), "<lambda>"),
        (lambda: models.small(metrics=[mean_output]), "mean_output"),
    ],
    ids=["subclass", "registered", "namesake", "Lambda", "activation", "namesake function", "jax", "loss", "metric"],
)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`:UserWarning")
def test_a_model_with_code_of_the_users_has_no_description_and_a_reason(
    make: Callable[[], keras.Model], reason: str
) -> None:
    description = describe(make())
    assert description["keras"] is None
    assert any(name in description["reason"] for name in reason.split("|"))
    with pytest.raises(
        RunError, match=r"cannot be built from its folder \(.*fittingroom.open_run\(path, model=model\)"
    ):
        rebuild(description)


@pytest.fixture(scope="module")
def description() -> Json:
    return describe(models.small())


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that comes into being if code is run: modules of these names on the import path make it."""
    made = tmp_path / "canary"
    code = f"open({str(made)!r}, 'w').close()\nclass Dense: pass\ndef relu(x): return x\nsystem = relu\n"
    for module in ("evil", "layers", "metrics", "activations", "kerasevil"):
        (tmp_path / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return made


# What replaces a layer or an activation in an honest description. `{canary}` is the file that must not come to be.
LAYERS: list[Json] = [
    {"class_name": "Lambda", "module": "keras.layers"},
    {"class_name": "Lambda", "module": "keras"},
    {"class_name": "Lambda", "module": None},
    {"class_name": "TFSMLayer", "module": "keras.layers"},
    {"class_name": "JaxLayer", "module": "keras.layers"},
    {"class_name": "system", "module": "os"},
    {"class_name": "system", "module": "posix", "config": {"command": "touch {canary}"}},
    {"class_name": "Dense", "module": "evil"},
    {"class_name": "Dense", "module": "layers"},
    {"class_name": "Dense", "module": "kerasevil"},
    {"class_name": "Dense", "module": "keras.layers.evil"},
    {"class_name": "Dense", "module": "keras.layers", "registered_name": "Custom>Registered"},
    {"class_name": "Registered", "module": "tests.engine.test_description"},
    {"class_name": "Registered", "module": None, "registered_name": "Custom>Registered"},
    {"class_name": "Dense", "module": "keras.src.layers.core.dense"},
    {"class_name": "load_model", "module": "keras.models", "config": {"filepath": "{canary}"}},
    {"class_name": "get_file", "module": "keras.utils"},
    {"class_name": "deserialize", "module": "keras.layers"},
    {"class_name": "Operation", "module": "keras.src.ops.evil"},
    {"class_name": "__lambda__", "module": None, "config": {"value": "4wEAAAA="}},
    {"class_name": "__typespec__", "module": "os", "spec_name": "system", "config": ["touch {canary}"]},
    {"class_name": ["Dense"], "module": "keras.layers"},
    {"class_name": {"Dense": 1}, "module": ["keras.layers"]},
    {"class_name": None, "module": 3},
]
ACTIVATIONS: list[Json] = [
    {"class_name": "function", "config": "relu", "module": "evil"},
    {"class_name": "function", "config": "relu", "module": "activations"},
    {"class_name": "function", "config": "relu", "module": "builtins", "registered_name": "Custom>relu"},
    {"class_name": "function", "config": "system", "module": "os"},
    {"class_name": "function", "config": "exec", "module": "builtins"},
    {"class_name": "function", "config": "get_file", "module": "keras.utils"},
    {"class_name": "function", "config": ["relu"], "module": "builtins"},
]


def changed(description: Json, layer: Json | None = None, activation: Json | None = None) -> Json:
    changed = copy.deepcopy(description)
    dense = changed["keras"]["config"]["layers"][2]
    assert dense["class_name"] == "Dense"
    dense.update(layer or {})
    if activation is not None:
        dense["config"]["activation"] = activation
    return changed


@pytest.mark.parametrize(
    ("layer", "activation"), [(layer, None) for layer in LAYERS] + [(None, activation) for activation in ACTIVATIONS]
)
def test_what_is_not_keras_own_is_refused_and_nothing_of_it_is_run(
    layer: Json | None, activation: Json | None, description: Json, canary: Path
) -> None:
    hostile = json.loads(json.dumps(changed(description, layer, activation)).replace("{canary}", str(canary)))
    with pytest.raises(RunError, match=r"model\.json is refused: it names") as refusal:
        rebuild(hostile)
    assert "\n" not in str(refusal.value)
    assert not canary.exists()


@pytest.mark.parametrize(
    "structure",
    [
        [],
        [1, 2],
        "Dense",
        {},
        7,
        {"class_name": "Dense", "module": "keras.layers", "config": {"units": 3}, "registered_name": None},
        {"class_name": "Sequential", "module": "keras", "config": {"layers": "none"}, "registered_name": None},
    ],
)
def test_what_describes_no_model_is_refused(structure: Any) -> None:
    with pytest.raises(RunError, match=r"model\.json describes a|does not describe a model that Keras can build"):
        rebuild({"format": 1, "keras": structure})


@pytest.mark.parametrize("units", [-1, "os.system", None, 1.5])
def test_values_that_keras_refuses_are_one_sentence(units: Any, description: Json) -> None:
    broken = copy.deepcopy(description)
    broken["keras"]["config"]["layers"][2]["config"]["units"] = units
    with pytest.raises(RunError, match="does not describe a model that Keras can build") as refusal:
        rebuild(broken)
    assert "\n" not in str(refusal.value)
