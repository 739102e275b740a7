from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fittingroom.errors import ModelError
from fittingroom.recipes.build import build_model, with_softmax_in_the_loss
from fittingroom.recipes.named import NAMED
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import ACTIVATIONS, OPTIMIZERS

pytestmark = pytest.mark.usefixtures("quick_compiler")


def names(model: Any) -> list[str]:
    return [layer.name for layer in model.layers]


def test_course_model_is_the_courses() -> None:
    model = build_model(NAMED["course"].recipe, (28, 28), 10)
    assert names(model) == ["flatten", "hidden_1", "classes"]
    assert model.count_params() == 101_770
    assert isinstance(model.loss, keras.losses.SparseCategoricalCrossentropy)
    assert not model.loss.from_logits
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)


def test_output_is_a_probability_per_class() -> None:
    model = build_model(Recipe(hidden=(16,)), (8, 8, 3), 4)
    output = np.asarray(model(np.random.default_rng(0).random((5, 8, 8, 3), np.float32)))
    assert output.shape == (5, 4)
    np.testing.assert_allclose(output.sum(axis=1), 1, rtol=1e-5)


def test_linear_model_has_no_hidden_layer() -> None:
    assert names(build_model(NAMED["linear"].recipe, (28, 28), 10)) == ["flatten", "classes"]


def test_dropout_follows_every_hidden_layer() -> None:
    model = build_model(Recipe(hidden=(8, 4), dropout=0.25), (8, 8), 10)
    assert names(model) == ["flatten", "hidden_1", "dropout_1", "hidden_2", "dropout_2", "classes"]
    assert model.get_layer("dropout_2").rate == 0.25


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_known_optimizer_is_kerass(optimizer: str) -> None:
    model = build_model(Recipe(hidden=(), optimizer=optimizer, learning_rate=0.5), (2, 2), 2)
    assert type(model.optimizer).__name__.lower() == optimizer
    assert float(model.optimizer.learning_rate) == 0.5


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_known_activation_is_kerass(activation: str) -> None:
    model = build_model(Recipe(hidden=(3,), activation=activation), (2, 2), 2)
    assert keras.activations.serialize(model.get_layer("hidden_1").activation) == activation


def write_model(tmp_path: Path, body: str) -> Recipe:
    path = tmp_path / "own.py"
    path.write_text(f"import keras\ndef build():\n    {body}\n")
    return Recipe(model=f"{path}:build", optimizer="sgd", learning_rate=0.25)


def test_users_model_is_compiled_by_the_recipe_if_it_is_not(tmp_path: Path) -> None:
    model = build_model(
        write_model(tmp_path, "return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])"), (2, 2), 2
    )
    assert float(model.optimizer.learning_rate) == 0.25


def test_users_own_compilation_counts(tmp_path: Path) -> None:
    body = "m = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]); m.compile('rmsprop', 'mse'); return m"
    model = build_model(write_model(tmp_path, body), (2, 2), 2)
    assert (type(model.optimizer), model.loss) == (keras.optimizers.RMSprop, "mse")


def test_function_that_gives_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"own.py:build gave NoneType, not a Keras model: end the function with `return"
    ):
        build_model(write_model(tmp_path, "keras.Sequential()"), (2, 2), 2)


def learned_weight(model: Any, images: np.ndarray, label: int) -> float:
    """How far one step of gradient descent moves the last layer's weights."""
    before = np.array(model.layers[-1].kernel)
    model.fit(images, np.array([label]), verbose=0)
    return float(np.abs(np.array(model.layers[-1].kernel) - before).max())


def sure_of_class_0(recipe: Recipe) -> Any:
    model = build_model(recipe, (2, 2), 3)
    kernel = np.zeros((4, 3), np.float32)
    kernel[:, 0] = 10.0  # on a white image the logits are 40, 0, 0: the other classes are at exp(-40)
    model.layers[-1].set_weights([kernel, np.zeros(3, np.float32)])
    return model


def test_softmax_in_the_loss_learns_where_keras_has_no_gradient_left() -> None:
    recipe = Recipe(hidden=(), optimizer="sgd", learning_rate=0.1)
    white = np.ones((1, 2, 2), np.float32)
    assert learned_weight(sure_of_class_0(recipe), white, label=1) == 0.0
    assert learned_weight(with_softmax_in_the_loss(sure_of_class_0(recipe)), white, label=1) == pytest.approx(
        0.1, rel=1e-4
    )


def smoothed(label_smoothing: float) -> Any:
    return with_softmax_in_the_loss(
        sure_of_class_0(Recipe(hidden=(), optimizer="sgd", learning_rate=0.1)), label_smoothing
    )


def test_smoothed_labels_leave_the_loss_that_is_shown_as_it_is() -> None:
    images, labels = np.random.default_rng(0).random((9, 2, 2)).astype(np.float32), np.arange(9) % 3
    losses = [smoothed(smoothing).evaluate(images, labels, verbose=0)[0] for smoothing in (0.0, 0.3)]
    assert losses[0] == losses[1]


def test_smoothed_labels_have_keras_s_gradient() -> None:
    images, labels = np.random.default_rng(0).random((9, 2, 2)).astype(np.float32), np.arange(9) % 3
    ours, keras_s = smoothed(0.3), smoothed(0.0)
    keras_s.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3))
    keras_s.optimizer.learning_rate = 0.1
    ours.fit(images, labels, verbose=0)
    keras_s.fit(images, keras.utils.to_categorical(labels), verbose=0)
    np.testing.assert_allclose(ours.get_weights()[0], keras_s.get_weights()[0], rtol=1e-5)


def rates(recipe: Recipe, steps: int) -> list[float]:
    schedule = build_model(recipe, (2, 2), 2, steps).optimizer._learning_rate
    return [float(schedule(step)) for step in range(steps + 1)]


def test_cosine_rises_then_falls_to_zero_at_the_last_step() -> None:
    found = rates(Recipe(hidden=(), schedule="cosine", warmup=0.25, learning_rate=0.4), 100)
    assert (found[0], found[100]) == pytest.approx((0, 0), abs=1e-7)
    assert found[25] == max(found) == pytest.approx(0.4)
    assert found[5] == pytest.approx(0.08)
    assert found[25 + 75 // 3] == pytest.approx(0.3)


def test_cosine_without_warmup_starts_at_the_top() -> None:
    found = rates(Recipe(hidden=(), schedule="cosine", learning_rate=0.4), 10)
    assert (found[0], found[5], found[10]) == pytest.approx((0.4, 0.2, 0), abs=1e-7)


def test_weight_decay_is_for_kernels_and_left_to_keras_where_it_is_not_set() -> None:
    model = build_model(Recipe(batch_norm=True, hidden=(3,), weight_decay=0.1), (2, 2), 2)
    model.optimizer.build(model.trainable_variables)
    decayed = [variable.name for variable in model.trainable_variables if model.optimizer._use_weight_decay(variable)]
    assert decayed == ["kernel", "kernel"]
    defaults = {name: build_model(Recipe(optimizer=name), (2, 2), 2).optimizer for name in ("adam", "adamw")}
    assert defaults["adam"].weight_decay is None
    assert defaults["adamw"].weight_decay == keras.optimizers.AdamW().weight_decay > 0
    assert build_model(Recipe(optimizer="adamw", weight_decay=0), (2, 2), 2).optimizer.weight_decay == 0


def test_softmax_in_the_loss_is_the_same_function_elsewhere() -> None:
    recipe = Recipe(hidden=(5,))
    images, labels = np.random.default_rng(0).random((20, 2, 2)).astype(np.float32), np.arange(20) % 3
    models = [build_model(recipe, (2, 2), 3) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    losses = [model.fit(images, labels, epochs=5, shuffle=False, verbose=0).history["loss"]
              for model in (models[0], with_softmax_in_the_loss(models[1]))]  # fmt: skip
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


@pytest.mark.parametrize(("last", "from_logits"), [("Dense(2, activation='softmax')", False), ("Dense(2)", True)])
def test_users_model_without_a_loss_gets_the_one_for_its_outputs(tmp_path: Path, last: str, from_logits: bool) -> None:
    body = f"return keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten(), keras.layers.{last}])"
    model = build_model(write_model(tmp_path, body), (2, 2), 2)
    assert model.loss.from_logits is from_logits
