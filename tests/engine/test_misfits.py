"""An activation and a loss that do not fit are said before training; what fits is never blamed."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, losses

import fittingroom as fr
from fittingroom.engine.misfits import check_end
from fittingroom.engine.model_checks import ModelChecks
from fittingroom.errors import DivergedError, ModelError
from tests.engine import models
from tests.engine.images import Images

pytestmark = pytest.mark.usefixtures("quick_compiler")

IMAGES = np.random.default_rng(0).random((8, 8, 8), np.float32)
FROM_LOGITS = {"from_logits": True}


def said(model: keras.Model, labels: Any = None) -> str:
    """What is said of a compiled model before training, or refused."""
    labels = np.zeros(1, np.int32) if labels is None else labels
    outputs = ModelChecks(model).build(IMAGES[:1], labels, None, 2)
    try:
        misfits, meanings, _ = check_end(model, IMAGES, labels, outputs)
        return " ".join((*misfits, *meanings))
    except ModelError as error:
        return f"refused: {error}"


CLASS = ("sparse_categorical_crossentropy", losses.SparseCategoricalCrossentropy)
ONE_HOT = ("categorical_crossentropy", losses.CategoricalCrossentropy)
BINARY = ("binary_crossentropy", losses.BinaryCrossentropy)
PROBABILITIES = {
    "softmax": "",
    "sigmoid": r"need not sum to 1\. The loss \w+ divides them by their sum.*model.predict does not",
    None: r"^refused: The last layer has no activation.*softmax is missing.*'softmax' in the last layer, or loss=keras"
    r"\.losses\.\w+\(from_logits=True\)\.$",
    "relu": r"^refused: The last activation is relu.*0 / 0 is NaN\. The softmax is missing.*from_logits=True",
}
LOGITS = {
    "softmax": r"softmax to numbers from 0 to 1: no probability can be higher than 40%, the loss stays above 0\.90",
    "sigmoid": r"softmax to numbers from 0 to 1.*Remove the activation or from_logits=True",
    None: "",
    "relu": "logits may be negative, and this activation makes them 0 or more.*Remove it from the last layer",
}
ONE_OUTPUT = {
    "softmax": "^refused: The last activation is softmax over one output.*1 for every image.*activation='sigmoid'",
    "sigmoid": "",
    None: r"no activation, but the loss \w+ reads the outputs as probabilities: below 0 counts as 0.*'sigmoid', or no"
    r" activation and loss=keras\.losses\.BinaryCrossentropy\(from_logits=True\)",
    "relu": "The last activation is relu, but the loss .* reads the outputs as probabilities",
}
ONE_LOGIT = {
    "softmax": ONE_OUTPUT["softmax"],
    "sigmoid": r"^refused: The last activation is sigmoid.*no image could be of class 0\. Remove the activation",
    None: r"^In the history, accuracy counts an output above 0\.5 as class 1.* loss both classes are equally likely at",
    "relu": "^refused: The last activation is relu.*no image could be of class 0",
}


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # Keras's own word on a softmax over one output
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None, "relu"])
@pytest.mark.parametrize(
    ("kind", "outputs"), [(CLASS, 5), (ONE_HOT, 5), (BINARY, 1)], ids=["class", "one-hot", "binary"]
)
def test_every_pair_fits_or_is_explained_before_training(
    kind: tuple[str, Callable[..., Any]], outputs: int, activation: str | None
) -> None:
    name, make = kind
    labels = np.eye(5, dtype=np.float32)[:1] if kind is ONE_HOT else None
    for loss, words in (
        (name, ONE_OUTPUT if kind is BINARY else PROBABILITIES),
        (make(), ONE_OUTPUT if kind is BINARY else PROBABILITIES),
        (make(**FROM_LOGITS), ONE_LOGIT if kind is BINARY else LOGITS),
    ):
        answer = said(models.small(outputs=outputs, activation=activation, loss=loss), labels)
        pattern = words[activation]
        assert answer == "" if pattern == "" else re.search(pattern, answer), answer


class Code(keras.Model):
    """A model as code, which names its layers in another order than it calls them."""

    def __init__(self, activation: str | None, after: Callable[[Any], Any] = lambda outputs: outputs) -> None:
        super().__init__()
        self.classes = layers.Dense(5, activation=activation)
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(4, activation="relu")
        self.after = after

    def call(self, images: Any) -> Any:
        return self.after(self.classes(self.hidden(self.flatten(images))))


def stack(*last: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((8, 8)), layers.Flatten(), *last])


def graph(last: Callable[[Any], Any]) -> keras.Model:
    keras.utils.set_random_seed(1)
    images = keras.Input((8, 8))
    return keras.Model(images, last(images))


def places(activation: str | None) -> keras.Model:
    keras.utils.set_random_seed(1)
    convolution = layers.Conv2D(5, 3, activation=activation)
    return keras.Sequential(
        [keras.Input((8, 8)), layers.Reshape((8, 8, 1)), convolution, layers.GlobalAveragePooling2D()]
    )


def own_softmax(outputs: Any) -> Any:
    exponents = keras.ops.exp(outputs - keras.ops.max(outputs, axis=-1, keepdims=True))
    return exponents / keras.ops.sum(exponents, axis=-1, keepdims=True)


GIVE_PROBABILITIES = {
    "a layer of its own": lambda: stack(layers.Dense(5), layers.Softmax()),
    "an activation of its own, in float32": lambda: stack(
        layers.Dense(5), layers.Activation("softmax", dtype="float32")
    ),
    "a layer as activation": lambda: stack(layers.Dense(5, activation=layers.Softmax())),
    "a function of the user's": lambda: stack(layers.Dense(5, activation=own_softmax)),
    "an operation": lambda: graph(lambda x: keras.ops.softmax(layers.Dense(5)(layers.Flatten()(x)))),
    "nested": lambda: graph(lambda x: layers.Identity()(stack(layers.Dense(5, activation="softmax"))(x))),
    "averaged over places": lambda: places("softmax"),
    "an ensemble": lambda: graph(
        lambda x: layers.Average()([stack(layers.Dense(5, activation="softmax"))(x) for _ in range(2)])
    ),
    "code": lambda: Code("softmax"),
    "code with an operation": lambda: Code(None, keras.ops.softmax),
    "code that divides": lambda: Code("softplus", lambda x: x / keras.ops.sum(x, axis=-1, keepdims=True)),
}


def mixture() -> keras.Model:
    """Probabilities weighed by a layer without activation."""
    share = keras.initializers.Constant(0.2)
    weighed = layers.Dense(5, use_bias=False, kernel_initializer=share, kernel_constraint="non_neg")
    return stack(layers.Dense(5, activation="softmax"), weighed)


GIVE_LOGITS = {
    "no activation": lambda: stack(layers.Dense(5)),
    "batch normalization": lambda: stack(layers.Dense(5), layers.BatchNormalization()),
    "averaged over places": lambda: places(None),
    "log-softmax": lambda: stack(layers.Dense(5, activation="log_softmax")),
    "code": lambda: Code(None),
    "nested": lambda: stack(stack_of_logits()),
}


def stack_of_logits() -> keras.Model:
    return keras.Sequential([keras.Input((64,)), layers.Dense(5), layers.Dropout(0.2)])


@pytest.mark.parametrize("make", GIVE_PROBABILITIES.values(), ids=GIVE_PROBABILITIES)
def test_probabilities_of_any_origin_fit_a_loss_on_probabilities_only(make: Callable[[], keras.Model]) -> None:
    model = make()
    model.compile(loss="sparse_categorical_crossentropy")
    assert said(model) == ""
    model.compile(loss=losses.SparseCategoricalCrossentropy(from_logits=True))
    assert "so it applies softmax to numbers from 0 to 1" in said(model)


@pytest.mark.parametrize("make", GIVE_LOGITS.values(), ids=GIVE_LOGITS)
def test_logits_of_any_origin_fit_a_loss_on_logits_only(make: Callable[[], keras.Model]) -> None:
    model = make()
    model.compile(loss=losses.SparseCategoricalCrossentropy(from_logits=True))
    assert said(model) == ""
    model.compile(loss="sparse_categorical_crossentropy")
    assert "The softmax is missing" in said(model)


def test_a_mixture_of_probabilities_is_not_refused() -> None:
    model = mixture()
    model.compile(loss="sparse_categorical_crossentropy")
    assert said(model) == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda: stack(layers.Dense(5), layers.ReLU()),
        lambda: stack(layers.Dense(5), layers.Activation("relu")),
        lambda: Code("relu"),
        lambda: Code(None, lambda x: keras.ops.maximum(x, 0.0)),
    ],
    ids=["a layer", "an activation", "code", "a maximum"],
)
def test_a_relu_at_the_end_is_found_wherever_it_is(make: Callable[[], keras.Model]) -> None:
    model = make()
    model.compile(loss="sparse_categorical_crossentropy")
    assert "The last activation is relu" in said(model)


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ("mse", None),
        ("mse", "softmax"),
        ("categorical_hinge", None),
        ("kl_divergence", "softmax"),
        (lambda y_true, y_pred: losses.categorical_crossentropy(y_true, y_pred, from_logits=True), None),
    ],
)
def test_other_losses_with_what_they_take_are_not_blamed(loss: Any, activation: str | None) -> None:
    model = models.small(outputs=5, activation=activation, loss=loss)
    ModelChecks(model).build(IMAGES[:1], np.eye(5, dtype=np.float32)[:1], None, 5)
    misfits, _, _ = check_end(model, IMAGES, np.eye(5, dtype=np.float32), 5)
    assert misfits == ()


def test_dropout_behind_the_softmax_is_said_to_make_nan() -> None:
    model = stack(layers.Dense(5, activation="softmax"), layers.Dropout(0.5))
    model.compile("adam", models.SPARSE)
    assert re.search(r"^Dropout is the last layer: .* loss is NaN\. Move it before", said(model))
    code = Code("softmax")
    code.dropout = layers.Dropout(0.5)
    code.compile("adam", models.SPARSE)
    assert said(code) == ""


class AddsLoss(layers.Layer):
    """A layer with a penalty of its own."""

    def call(self, inputs: Any) -> Any:
        self.add_loss(keras.ops.mean(inputs))
        return inputs


@pytest.mark.parametrize(
    "last",
    [
        lambda: (layers.Dense(5, activation="softmax", kernel_regularizer="l2"),),
        lambda: (layers.ActivityRegularization(0.1), layers.Dense(5, activation="softmax")),
        lambda: (AddsLoss(), layers.Dense(5, activation="softmax")),
    ],
)
def test_penalties_in_the_loss_of_the_history_are_named(last: Callable[[], Any]) -> None:
    model = stack(*last())
    model.compile("adam", models.SPARSE)
    assert re.search("^In the history, loss and val_loss include the penalties", said(model))


def test_what_the_numbers_of_the_history_mean_is_said() -> None:
    answer = said(models.small(outputs=5, metrics=["categorical_accuracy"]))
    assert re.search(
        r"^In the history, categorical_accuracy means nothing: it expects one-hot.*SparseCategoricalAccuracy\(\)",
        answer,
    )
    assert said(models.small(outputs=5, metrics=["accuracy", "sparse_categorical_accuracy"])) == ""
    margins = models.small(outputs=1, activation="tanh", loss="hinge")
    assert "so no image of class -1 counts as right" in said(margins, np.array([-1]))
    assert "so no image of class -1 counts as right" not in said(margins, np.array([0]))
    one_hot = np.eye(5, dtype=np.float32)[:1]
    each = models.small(outputs=5, activation="sigmoid", loss="binary_crossentropy", metrics=["binary_accuracy"])
    found = said(each, one_hot)
    assert "binary_crossentropy is a mean over the 5 outputs" in found
    assert "In the history, binary_accuracy counts outputs, 5 for each image" in found
    smoothed = models.small(outputs=5, loss=losses.CategoricalCrossentropy(label_smoothing=0.1))
    assert "val_loss are those of categorical_crossentropy with label_smoothing" in said(smoothed, one_hot)
    shares = models.small(outputs=5, loss="categorical_crossentropy")
    assert "1 of 1 labels are shares of several classes" in said(shares, one_hot * 0.9 + 0.02)
    even = [keras.metrics.BinaryAccuracy(threshold=0.0)]
    logit = losses.BinaryCrossentropy(from_logits=True)
    assert said(models.small(outputs=1, activation=None, loss=logit, metrics=even)) == ""
    ranks = [keras.metrics.AUC(), keras.metrics.AUC(from_logits=True, name="b"), keras.metrics.Recall(thresholds=0.0)]
    answer = said(models.small(outputs=1, activation=None, loss=logit, metrics=[*ranks, keras.metrics.Precision()]))
    assert re.findall(r"Use keras.metrics.([^.]+)\.", answer) == ["AUC(from_logits=True)", "Precision(thresholds=0"]
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    answer = said(models.small(outputs=5, activation=None, loss=loss, metrics=[models.SPARSE]))
    assert "Use keras.metrics.SparseCategoricalCrossentropy(from_logits=True)" in answer


def test_a_loss_that_becomes_nan_is_explained_by_the_misfit_not_the_learning_rate(digits: Images) -> None:
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    model = models.small(activation="relu", optimizer=keras.optimizers.SGD(1e30), loss=loss)
    with pytest.raises(DivergedError, match=r"The likely cause: The last activation is relu.*Remove it"):
        fr.fit(model, digits.x, digits.y, verbose=0)
    with pytest.raises(
        DivergedError, match=r"A smaller learning rate usually helps, or clipnorm=1.0 in the optimizer\.$"
    ):
        fr.fit(models.small(optimizer=keras.optimizers.SGD(1e30)), digits.x, digits.y, verbose=0)


@pytest.mark.parametrize(
    ("outputs", "activation", "loss", "says"),
    [
        (10, "sigmoid", "sparse_categorical_crossentropy", "divides them by their sum"),
        (
            10,
            "softmax",
            losses.SparseCategoricalCrossentropy(from_logits=True),
            "no probability can be higher than 23%",
        ),
        (1, None, "binary_crossentropy", "reads the outputs as probabilities"),
        (1, None, losses.BinaryCrossentropy(from_logits=True), "In the history, accuracy counts an output above 0.5"),
    ],
)
def test_history_predict_explain_and_evaluate_are_one_or_it_is_said(
    outputs: int, activation: str | None, loss: Any, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = fr.load("digits")
    images, labels = data.validation.images, data.validation.labels  # type: ignore[union-attr]
    model = models.small(outputs=outputs, activation=activation, loss=loss)
    with caplog.at_level(logging.WARNING, logger="fittingroom"):
        if outputs > 1:
            run = fr.fit(model, data, epochs=2, verbose=0)
        else:
            images, labels = images / np.float32(16), (labels > 4).astype(int)
            train = data.train.images[:300] / np.float32(16), (data.train.labels[:300] > 4).astype(int)
            run = fr.fit(model, *train, validation_data=(images, labels), epochs=2, verbose=0)
    (note,) = run.record.notes
    assert says in note
    assert note in caplog.text
    probabilities, result = run.predict(images), run.record.validation
    right = (probabilities.argmax(axis=1) == labels).mean()
    loss_of_true_class = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert result is not None
    assert result.accuracy == pytest.approx(right)
    assert f"gets {right:.1%} of the" in " ".join(str(run.explain()).split())
    losses_said = np.array([result.loss, run.history["val_loss"][-1]])
    np.testing.assert_allclose(losses_said, loss_of_true_class, rtol=1e-4)
    if "In the history, accuracy" not in says:
        assert run.history["val_accuracy"][-1] == pytest.approx(right)
    if outputs > 1:
        scored = run.evaluate("whether it agrees")
        test = data.test.open("the same images")
        logs = np.log(run.predict(test.images)[np.arange(len(test)), test.labels])
        assert scored.loss == pytest.approx(-logs.mean(), rel=1e-4)
