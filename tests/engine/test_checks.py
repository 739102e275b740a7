"""What does not fit is refused before training, in words that say how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras import layers

import fittingroom
from fittingroom.engine.epoch import Examples
from fittingroom.engine.losses import OutputKind
from fittingroom.engine.model_checks import ModelChecks
from fittingroom.errors import ModelError, RecipeError
from tests.engine import models
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture
def refused(digits: Images, runs_dir: Any) -> Callable[..., None]:
    """Expects a ModelError with these words, and neither a run nor a changed model."""

    def check(model: Any, words: str, y: Any = None, **arguments: Any) -> None:
        with pytest.raises(ModelError, match=words):
            fittingroom.fit(model, digits.x, digits.y if y is None else y, verbose=0, **arguments)
        assert not runs_dir.exists()

    return check


def test_without_flatten_it_says_that_flatten_is_missing(refused: Callable[..., None]) -> None:
    model = keras.Sequential([keras.Input((8, 8)), layers.Dense(8), layers.Dense(10, activation="softmax")])
    refused(model, r"output for an image has the shape \(8, 10\).*add keras.layers.Flatten\(\) after the input")


def test_five_outputs_for_ten_classes_are_refused_because_keras_would_train(refused: Callable[..., None]) -> None:
    words = r"5 outputs, but the labels name 10 classes.*train on this silently.*Dense\(10\)"
    refused(models.small(outputs=5), words)


def test_classes_that_only_validation_has_count_too(refused: Callable[..., None], digits: Images) -> None:
    validation = (digits.x_val, digits.y_val)
    refused(
        models.small(outputs=5), "5 outputs, but the labels name 10 classes", digits.y % 5, validation_data=validation
    )


def test_all_classes_of_a_dataset_count_even_if_no_label_names_them() -> None:
    with pytest.raises(ModelError, match="9 outputs, but the labels name 10 classes"):
        fittingroom.fit(models.small(outputs=9), fittingroom.load("digits"), verbose=0)


def test_another_input_shape_is_named_with_the_mend(refused: Callable[..., None]) -> None:
    words = (
        r"takes images of shape \(28, 28\), but these have the shape \(8, 8\)\. Resize .*keras\.Input\(\(8, 8\)\)\.$"
    )
    refused(models.course(), words)


def test_metrics_that_compare_each_output_with_its_label_are_named(refused: Callable[..., None]) -> None:
    model = models.small()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[keras.metrics.Precision()])
    refused(model, "such as Precision, expects one-hot labels: keras.utils.to_categorical")


@pytest.mark.parametrize(
    ("metric", "one_hot", "words"),
    [
        ("accurcy", False, r"metric identifier: accurcy\. Give a metric from keras\.metrics, such as 'accuracy'"),
        ("sparse_categorical_accuracy", True, r"does not take one-hot labels; 'accuracy' takes both\.$"),
        (lambda y_true, y_pred: np.mean(np.asarray(y_pred)), False, "needs the value of a tensor, .* keras.ops"),
    ],
)
def test_metrics_that_cannot_be_built_have_mends_of_their_own(
    metric: Any, one_hot: bool, words: str, refused: Callable[..., None], digits: Images
) -> None:
    labels = keras.utils.to_categorical(digits.y, 10) if one_hot else digits.y
    loss = "categorical_crossentropy" if one_hot else models.SPARSE
    refused(models.small(loss=loss, metrics=[metric]), words, labels)


def test_what_no_training_changes_is_said() -> None:
    model = models.small()
    model.trainable = False
    assert any("No weight of the model is trainable" in note for note in ModelChecks(model).notes())
    assert not any("trainable" in note for note in ModelChecks(models.small()).notes())


class OwnTurn(layers.RandomRotation):
    """A layer of the user's, which asks not to be compiled as Keras's does."""


@pytest.mark.parametrize(("turn", "noted"), [(layers.RandomRotation, False), (OwnTurn, True)])
def test_augmentation_of_keras_needs_no_note_on_compiling(turn: Any, noted: bool) -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), turn(0.1), layers.Flatten(), layers.Dense(10)])
    model.compile("adam", models.SPARSE)
    assert not model.jit_compile
    assert bool(ModelChecks(model).notes()) == noted


def two_inputs() -> keras.Model:
    one, two = keras.Input((8, 8)), keras.Input((8, 8))
    return keras.Model([one, two], layers.Dense(10)(layers.Flatten()(layers.Add()([one, two]))))


def two_outputs() -> keras.Model:
    images = keras.Input((8, 8))
    flat = layers.Flatten()(images)
    return keras.Model(images, [layers.Dense(10)(flat), layers.Dense(10)(flat)])


def two_outputs_in_code() -> keras.Model:
    class TwoOutputs(models.Subclassed):
        def call(self, images: Any, training: bool = False) -> Any:
            output = super().call(images, training)
            return output, output

    return TwoOutputs()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (two_inputs, "The model has 2 inputs.*Train this model with model.fit"),
        (two_outputs, "The model has 2 outputs.*Train this model with model.fit"),
        (two_outputs_in_code, "output is a tuple, not one tensor.*Train this model with model.fit"),
    ],
)
def test_a_model_that_is_no_classifier_of_images_is_sent_back_to_keras(
    make: Callable[[], keras.Model], words: str, refused: Callable[..., None]
) -> None:
    model = make()
    model.compile(optimizer="adam", loss=models.SPARSE)
    refused(model, words)


def test_a_train_step_of_the_users_own_is_refused(refused: Callable[..., None]) -> None:
    class OwnStep(models.Subclassed):
        def train_step(self, *arguments: Any) -> Any:
            return super().train_step(*arguments)

    model = OwnStep()
    model.compile(optimizer="adam", loss=models.SPARSE)
    refused(model, "OwnStep overrides train_step")


def test_a_model_compiled_without_a_loss_is_refused(refused: Callable[..., None]) -> None:
    model = models.uncompiled()
    model.compile(optimizer="adam")
    refused(model, "compiled without a loss or an optimizer")


@pytest.mark.parametrize(
    "loss",
    ["categorical_crossentropy", keras.losses.CategoricalCrossentropy(), keras.losses.categorical_crossentropy],
)
def test_a_loss_for_one_hot_labels_wants_no_class_numbers(loss: Any, refused: Callable[..., None]) -> None:
    words = r"categorical_crossentropy expects one-hot labels.*class numbers.*Use sparse_categorical_crossentropy"
    refused(models.small(loss=loss), words)


def test_a_loss_for_class_numbers_wants_no_one_hot_labels(refused: Callable[..., None], digits: Images) -> None:
    words = "sparse_categorical_crossentropy expects class numbers.*Use categorical_crossentropy"
    refused(models.small(), words, keras.utils.to_categorical(digits.y, 10))


def test_more_outputs_than_one_hot_columns_are_refused(refused: Callable[..., None], digits: Images) -> None:
    model = models.small(outputs=12, loss="categorical_crossentropy")
    refused(model, "one-hot with 10 classes, but the model has 12 outputs", keras.utils.to_categorical(digits.y, 10))


@pytest.mark.parametrize("compiled", [True, False])
def test_cross_entropy_on_one_output_is_refused_because_it_is_always_zero(
    compiled: bool, refused: Callable[..., None], digits: Images
) -> None:
    make = models.small if compiled else models.uncompiled
    model = make(outputs=1, activation="sigmoid")
    refused(model, "The model has one output.*Compile it with binary_crossentropy", digits.y % 2)


def test_a_metric_with_several_numbers_is_refused(refused: Callable[..., None], digits: Images) -> None:
    model = models.small(loss="categorical_crossentropy", metrics=[keras.metrics.F1Score()])
    refused(model, r"The metric f1_score gives an array of shape \(10,\)", keras.utils.to_categorical(digits.y, 10))


@pytest.mark.parametrize("model", ["model", None, keras.layers.Dense(10), models.small])
def test_what_is_no_model_is_named(model: Any, refused: Callable[..., None]) -> None:
    refused(model, f"The model is a {type(model).__name__}; expected a keras.Model")


def test_a_class_of_models_is_no_model(refused: Callable[..., None]) -> None:
    refused(models.Subclassed, r"The model Subclassed is a class; expected an instance of it: Subclassed\(...\)")


def test_a_stop_condition_on_a_number_that_there_will_not_be_is_refused_before_training(
    digits: Images, runs_dir: Any
) -> None:
    with pytest.raises(RecipeError, match=r"this training has no metric 'accuracy'\. It has loss"):
        fittingroom.fit(models.small(metrics=[]), digits.x, digits.y, stop="accuracy>0.5", verbose=0)
    assert not runs_dir.exists()


def test_a_stop_condition_may_watch_any_number_of_the_history(digits: Images) -> None:
    model = models.small(metrics=[keras.metrics.SparseTopKCategoricalAccuracy(k=9, name="top")])
    stop = ["val_top<=1", "top falls 3"]
    run = fittingroom.fit(model, digits.x, digits.y, epochs=3, validation_split=0.5, stop=stop, verbose=0, out=False)
    assert run.record.epochs == 1
    assert "val_top<=1 after epoch 1" in str(run.record.reason)


def test_the_one_loss_may_stand_in_a_list_or_a_dictionary() -> None:
    images = keras.Input((8, 8))
    outputs = layers.Dense(10, activation="softmax", name="classes")(layers.Flatten()(images))
    for loss in ([models.SPARSE], {"classes": models.SPARSE}):
        model = keras.Model(images, outputs)
        model.compile(optimizer="adam", loss=loss)
        ModelChecks(model).build(np.zeros((1, 8, 8), np.float32), np.zeros(1, np.int32), None, 10)
        assert OutputKind.of(model) == "probabilities"


def test_what_keras_cannot_build_is_said_in_its_words(refused: Callable[..., None]) -> None:
    refused(models.small(loss={"other": models.SPARSE}), "Keras cannot build the model's loss and metrics")


@pytest.mark.parametrize(("activation", "from_logits"), [("softmax", False), ("sigmoid", False), (None, True)])
def test_a_model_that_is_not_compiled_gets_adam_and_cross_entropy_for_its_outputs(
    activation: str | None, from_logits: bool
) -> None:
    model = models.uncompiled(activation=activation)
    ModelChecks(model).compile_if_needed(np.zeros((1, 8, 8), np.float32))
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert isinstance(model.loss, keras.losses.SparseCategoricalCrossentropy)
    assert model.loss.from_logits is from_logits
    ModelChecks(model).build(np.zeros((1, 8, 8), np.float32), np.zeros(1, np.int32), None, 10)
    batch = Examples(jnp.zeros((1, 8, 8)), jnp.zeros(1, jnp.int32), None)
    names = ModelChecks(model).logged_names(batch, validation=True)
    assert set(names) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_a_compiled_model_keeps_its_optimizer() -> None:
    model = models.small(optimizer="sgd")
    optimizer = model.optimizer
    ModelChecks(model).compile_if_needed(np.zeros((1, 8, 8), np.float32))
    assert model.optimizer is optimizer


@pytest.mark.parametrize("frozen_before", [False, True])
def test_freezing_and_unfreezing_need_a_new_compile(frozen_before: bool, digits: Images) -> None:
    model = models.small()
    layer = next(layer for layer in model.layers if layer.trainable_variables)
    layer.trainable = not frozen_before
    model.compile("adam", "sparse_categorical_crossentropy")
    fittingroom.fit(model, digits.x, digits.y, verbose=0)
    layer.trainable = frozen_before
    with pytest.raises(ModelError, match=r"frozen or unfrozen after compile: .* Compile the model again"):
        fittingroom.fit(model, digits.x, digits.y, verbose=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    fittingroom.fit(model, digits.x, digits.y, verbose=0)
