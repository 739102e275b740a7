"""A model's programs stay with it from one `fit` to the next, under all that decides them and can be seen."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, losses, metrics, optimizers

import fittingroom
from fittingroom.engine import user_model as kept_programs
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")


class CountsTraces(keras.Model):
    """Counts how often it is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Dense(8, activation="relu", kernel_regularizer=keras.regularizers.L2(0.1))
        self.dropout = layers.Dropout(0.5, seed=3)
        self.outputs = layers.Dense(10, activation="softmax")
        self.flatten = layers.Flatten()

    def call(self, images: Any, training: bool = False) -> Any:
        _TRACES.append(1)
        hidden = self.hidden(self.flatten(images))
        return self.outputs(self.dropout(hidden, training=training))


_TRACES: list[int] = []


def made() -> CountsTraces:
    keras.utils.set_random_seed(1)
    model = CountsTraces()
    model.compile(optimizers.SGD(0.1, momentum=0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: keras.Model, digits: Images, **arguments: Any) -> int:
    """Trains an epoch of one batch; gives how often the model was called, which is only while it is traced."""
    before = len(_TRACES)
    settings = {"shuffle": False, "verbose": 0, "batch_size": 44, **arguments}
    fittingroom.fit(model, digits.x, digits.y, **settings)
    return len(_TRACES) - before


def test_a_loop_of_calls_traces_and_compiles_in_the_first_alone(digits: Images) -> None:
    model, other = made(), made()
    validation = {"validation_data": (digits.x_val, digits.y_val)}
    traces = [fit(model, digits, **validation) for _ in range(3)]
    assert traces[0] > traces[1] == traces[2]
    fit(other, digits, epochs=3, **validation)
    for mine, others in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(mine, others)


def _recompiled(model: CountsTraces) -> None:
    model.hidden.trainable = False
    top = metrics.SparseTopKCategoricalAccuracy(2)
    model.compile(optimizers.SGD(0.01), losses.SparseCategoricalCrossentropy(), metrics=[top])


def _set(path: str, value: Any) -> Callable[[CountsTraces], None]:
    def change(model: CountsTraces) -> None:
        *parents, name = path.split(".")
        owner: Any = model
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, value)

    return change


CHANGES: dict[str, Callable[[CountsTraces], None]] = {
    "dropout rate": _set("dropout.rate", 0.0),
    "activation": _set("hidden.activation", keras.activations.tanh),
    "momentum": _set("optimizer.momentum", 0.0),
    "regularizer": _set("hidden.kernel_regularizer.l2", 5.0),
    "learning rate": _set("optimizer.learning_rate", 0.001),
    "schedule": _set("optimizer.learning_rate", optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)),
    "clipping": _set("optimizer.clipnorm", 0.001),
    "the layer's type of numbers": _set("hidden.dtype_policy", keras.DTypePolicy("mixed_bfloat16")),
    "frozen and compiled again": _recompiled,
}


def test_what_changes_between_two_calls_counts_in_the_second(digits: Images) -> None:
    """Programs of earlier calls are there and fit in shape; a model that has none shows what is right."""
    model, right = made(), made()
    for one in (model, right):
        fit(one, digits)
    for name, change in CHANGES.items():
        right.__dict__.pop("_fittingroom_programs")
        for one in (model, right):
            change(one)
            fit(one, digits)
        for mine, expected in zip(model.variables, right.variables, strict=True):
            np.testing.assert_array_equal(mine, expected, err_msg=name)


def test_programs_are_bounded_and_go_with_the_model(digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_programs, "MOST_KEPT", 2)
    model = made()
    for size in (20, 30, 40):
        fit(model, digits._replace(x=digits.x[:size], y=digits.y[:size]), batch_size=10)
    _, kept = vars(model)["_fittingroom_programs"]
    assert len(kept) == 2
    gone = weakref.ref(next(iter(kept.values())))
    del kept, model
    gc.collect()
    assert gone() is None
