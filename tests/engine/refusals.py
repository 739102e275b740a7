"""What `fit` refuses before training, each with the words that say so. docs/keras-parity.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

import fittingroom
from fittingroom.errors import InputError
from tests.engine import models

X = np.linspace(0, 1, 6 * 64, dtype=np.float32).reshape(6, 8, 8)
Y = np.array([0, 1, 2, 0, 1, 2])


@dataclass(frozen=True)
class Refusal:
    """Something that is asked of `fit`, and a part of the answer that names it."""

    what: str
    words: str
    arguments: Callable[[], dict[str, Any]]
    model: Callable[[], keras.Model] = models.small

    def message(self) -> str:
        """What `fit` says, in one line.

        Raises:
            AssertionError: it does not refuse.
        """
        try:
            fittingroom.fit(self.model(), **{"verbose": 0, **self.arguments()})
        except InputError as error:
            return " ".join(str(error).split())
        raise AssertionError(f"{self.what} was not refused")


class Batches(keras.utils.PyDataset):
    """Three batches, or any number of them."""

    def __init__(self, count: int | None = 3) -> None:
        super().__init__()
        self.count = count

    @property
    def num_batches(self) -> int | None:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return X, Y


def batches() -> Iterator[Any]:
    yield X, Y


def arrays(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"x": X, "y": Y, **more}


def iterable(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"x": Batches(), **more}


class OwnStep(keras.Sequential):
    """A step of its own."""

    def train_step(self, *arguments: Any) -> Any:
        raise NotImplementedError


def own_step() -> keras.Model:
    model = OwnStep([keras.Input((8, 8)), layers.Flatten(), layers.Dense(10)])
    model.compile(loss=models.SPARSE)
    return model


def two_outputs() -> keras.Model:
    images = keras.Input((8, 8))
    flat = layers.Flatten()(images)
    model = keras.Model(images, [layers.Dense(10)(flat), layers.Dense(10)(flat)])
    model.compile(loss=models.SPARSE)
    return model


def two_inputs() -> keras.Model:
    images = [keras.Input((8, 8)), keras.Input((8, 8))]
    model = keras.Model(images, layers.Dense(10)(layers.Flatten()(layers.Add()(images))))
    model.compile(loss=models.SPARSE)
    return model


def eager() -> keras.Model:
    model = models.small()
    model.compile(loss=models.SPARSE, run_eagerly=True)
    return model


def without_loss() -> keras.Model:
    model = models.uncompiled()
    model.compile(optimizer="adam")
    return model


def several_numbers() -> keras.Model:
    return models.small(loss="categorical_crossentropy", metrics=[keras.metrics.F1Score()])


class OwnNumbers(keras.Sequential):
    """Gives a number of its own, and not the loss."""

    def compute_metrics(self, *arguments: Any, **options: Any) -> Any:
        return {"mine": super().compute_metrics(*arguments, **options)["loss"]}


def without_loss_in_logs() -> keras.Model:
    model = OwnNumbers([keras.Input((8, 8)), layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile(loss=models.SPARSE)
    return model


def asking_for_a_value() -> keras.Model:
    model = models.small()
    model.compile(loss=lambda labels, outputs: float(keras.ops.mean(outputs)), jit_compile=False)
    return model


def ignoring() -> keras.Model:
    return models.small(loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=-1))


def binary_logits(activation: str) -> Callable[[], keras.Model]:
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return lambda: models.small(outputs=1, activation=activation, loss=loss)


class OwnEvaluate(keras.Sequential):
    """Adds something to what Keras's evaluate gives, which Keras's fit calls after each epoch."""

    def evaluate(self, *arguments: Any, **options: Any) -> Any:
        return super().evaluate(*arguments, **options)


def own_evaluate() -> keras.Model:
    model = OwnEvaluate([keras.Input((8, 8)), layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile(loss=models.SPARSE)
    return model


class NoModel(keras.src.trainers.trainer.Trainer, layers.Dense):
    """A layer with Keras's Trainer, as Keras's own tests have it."""

    def __init__(self) -> None:
        layers.Dense.__init__(self, 3)
        keras.src.trainers.trainer.Trainer.__init__(self)


class SeveralOutputs(keras.Model):
    """Gives two outputs, which only its code says."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.out = layers.Flatten(), layers.Dense(3)

    def call(self, images: Any) -> Any:
        outputs = self.out(self.flat(images))
        return {"first": outputs, "second": outputs}


def several_outputs() -> keras.Model:
    model = SeveralOutputs()
    model.compile(loss=models.SPARSE)
    return model


def without_flatten() -> keras.Model:
    model = keras.Sequential([keras.Input((8, 8)), layers.Dense(10, activation="softmax")])
    model.compile(loss=models.SPARSE)
    return model


def one_hot() -> keras.Model:
    return models.small(loss="categorical_crossentropy")


def channels_first() -> dict[str, Any]:
    return {"x": np.repeat(X[:, None], 3, axis=1), "y": Y}


def colour() -> keras.Model:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    model.compile(loss=models.SPARSE)
    return model


def any_size() -> keras.Model:
    model = keras.Sequential([keras.Input((None, None, 1)), layers.GlobalMaxPooling2D(), layers.Dense(3, "softmax")])
    model.compile(loss=models.SPARSE)
    return model


class Sparse:
    """What matters of a matrix of SciPy's."""

    todense = shape = None


REFUSALS: tuple[Refusal, ...] = (
    Refusal("a layer that is trained without being a model", "expected a keras.Model", arrays(), NoModel),
    Refusal("a fit or an evaluate of the model's own", "overrides evaluate", arrays(), own_evaluate),
    Refusal("a train_step of the model's own", "overrides train_step", arrays(), own_step),
    Refusal("two outputs", "2 outputs", arrays(), two_outputs),
    Refusal("two inputs", "2 inputs", arrays(), two_inputs),
    Refusal("several inputs for a model as code", "takes for 2 inputs", lambda: {"x": [X, X], "y": Y}),
    Refusal("several targets in a list", "takes for 2 outputs", lambda: {"x": X, "y": [Y, Y]}),
    Refusal("several outputs of a model as code", "output is a dict", arrays(), several_outputs),
    Refusal(
        "an output for each part of an image", "output for an image has the shape (8, 10)", arrays(), without_flatten
    ),
    Refusal("run_eagerly", "run_eagerly=True", arrays(), eager),
    Refusal("no loss", "without a loss", arrays(), without_loss),
    Refusal("too few outputs", "has 2 outputs, but the labels name 3", arrays(), lambda: models.small(outputs=2)),
    Refusal(
        "no softmax before a loss on probabilities",
        "The softmax is missing",
        arrays(),
        lambda: models.small(activation=None),
    ),
    Refusal("relu before a loss on probabilities", "0 / 0 is NaN", arrays(), lambda: models.small(activation="relu")),
    Refusal(
        "softmax over one output",
        "1 for every image",
        arrays(y=Y % 2),
        lambda: models.small(outputs=1, loss="binary_crossentropy"),
    ),
    Refusal(
        "sigmoid before a loss on the logit of two classes",
        "no image could be of class 0",
        arrays(y=Y % 2),
        binary_logits("sigmoid"),
    ),
    Refusal(
        "class numbers for a loss on one-hot labels",
        "expects one-hot labels",
        arrays(),
        lambda: models.small(loss="mean_squared_error"),
    ),
    Refusal(
        "regression",
        "This looks like regression",
        arrays(),
        lambda: models.small(outputs=1, activation=None, loss="mean_squared_error"),
    ),
    Refusal("regression on fractions", "6 of 6 labels are fractions", arrays(y=X.mean(axis=(1, 2)))),
    Refusal("several targets", "regression with several targets", arrays(y=X[:, 0, :2])),
    Refusal(
        "several classes for an image",
        "images with several classes, or with none",
        arrays(y=(X[:, 0, 5:] > 0.5).astype(int)),
    ),
    Refusal("labels for parts of an image", "segmentation", arrays(y=np.zeros((6, 8, 8), int))),
    Refusal("metric learning", "The loss circle", arrays(), lambda: models.small(loss=keras.losses.Circle())),
    Refusal("a single class", "All 6 labels are class 0", arrays(y=np.zeros(6, int))),
    Refusal(
        "validation images whose class the loss ignores",
        "2 of 6 validation images",
        arrays(validation_data=(X, np.where(Y == 2, -1, Y))),
        ignoring,
    ),
    Refusal(
        "a loss that Keras does not name", "which Keras does not accept", arrays(), lambda: models.small(loss="cross")
    ),
    Refusal(
        "a metric that gives several numbers",
        "f1_score gives an array",
        arrays(y=np.eye(10, dtype=np.float32)[Y]),
        several_numbers,
    ),
    Refusal(
        "class_weight with sample_weight",
        "sample_weight and class_weight cannot be given together",
        arrays(class_weight={0: 2.0}, sample_weight=np.ones(6)),
    ),
    Refusal("numbers of the model's own without a loss", "have no 'loss'", arrays(), without_loss_in_logs),
    Refusal("Python code that asks for a tensor's value", "needs the value", arrays(), asking_for_a_value),
    Refusal("shuffle='batch'", "shuffle='batch'", arrays(shuffle="batch")),
    Refusal(
        "a metric that the labels do not suit",
        "Keras cannot build the model's loss and metrics",
        arrays(),
        lambda: models.small(metrics=[keras.metrics.Precision()]),
    ),
    Refusal(
        "labels that are infinite",
        "6 labels are not class numbers",
        arrays(y=np.full(6, np.inf)),
    ),
    Refusal("labels counted from 1", "Give y - 1", arrays(y=Y + 1), lambda: models.small(outputs=3)),
    Refusal("labels as text", "numpy.unique", arrays(y=np.array(list("abcabc")))),
    Refusal("one-hot labels for a loss on class numbers", "expects class numbers", arrays(y=np.eye(10)[Y])),
    Refusal("one-hot labels of other classes", "one-hot with 3 classes", arrays(y=np.eye(3)[Y]), one_hot),
    Refusal(
        "one output with a loss on classes",
        "it would learn nothing",
        arrays(y=Y % 2),
        lambda: models.small(outputs=1, activation="sigmoid"),
    ),
    Refusal("more images than labels", "6 images, but y has 5 labels", arrays(y=Y[:5])),
    Refusal("no images", "x holds no images", lambda: {"x": X[:0], "y": Y[:0]}),
    Refusal("None among the values", "values in x are None", arrays(x=np.full((6, 8, 8), None))),
    Refusal("images of another shape than the input", "Resize the images", arrays(x=X[:, :7])),
    Refusal("channels first for an input with channels last", "channels first", channels_first, colour),
    Refusal("weights of another number", "sample_weight has the shape", arrays(sample_weight=np.ones(5))),
    Refusal("negative weights", "negative or not finite", arrays(sample_weight=-np.ones(6))),
    Refusal("weights that are all 0", "All sample weights are 0", arrays(sample_weight=np.zeros(6))),
    Refusal("class weights that are no numbers", "expected a number, 0 or more", arrays(class_weight={0: "heavy"})),
    Refusal("class weights under names", "names the class", arrays(class_weight={"shirt": 2.0})),
    Refusal("balanced classes of an iterable", "class_weight='balanced'", iterable(class_weight="balanced")),
    Refusal("validation_data without labels", "expected (x_val, y_val)", arrays(validation_data=X)),
    Refusal("a split that leaves nothing", "leaves no images", arrays(validation_split=0.99)),
    Refusal("validation labels of another form", "Give both", arrays(validation_data=(X, np.eye(10)[Y]))),
    Refusal("x without y", "y is missing", lambda: {"x": X}),
    Refusal("a sparse matrix", "x is a sparse matrix", lambda: {"x": Sparse(), "y": Y}),
    Refusal("NaN in the images", "hold NaN", arrays(x=np.full_like(X, np.nan))),
    Refusal(
        "validation images of another size",
        "The validation images have the shape",
        arrays(x=X[..., None], validation_data=(np.ones((6, 9, 9, 1), np.float32), Y)),
        any_size,
    ),
    Refusal("no epoch to train", "leave no epoch to train", arrays(epochs=0)),
    Refusal("a callback's class", "is a class; expected an instance", arrays(callbacks=[keras.callbacks.History])),
    Refusal(
        "a callback that watches an unknown number",
        "Did you mean 'val_accuracy'",
        arrays(callbacks=[keras.callbacks.EarlyStopping("val_acc")]),
    ),
    Refusal("one array in a dictionary", "Give the array itself", lambda: {"x": {"image": X}, "y": Y}),
    Refusal("several arrays in a dictionary", "dict of 2", lambda: {"x": {"a": X, "b": X}, "y": Y}),
    Refusal("labels besides an iterable", "y= cannot be used with an iterable", iterable(y=Y)),
    Refusal("batch_size besides an iterable", "batch_size= cannot be used with an iterable", iterable(batch_size=32)),
    Refusal("sample_weight besides an iterable", "sample_weight= cannot be used", iterable(sample_weight=np.ones(6))),
    Refusal("validation_split of an iterable", "validation_split= cannot be used", iterable(validation_split=0.5)),
    Refusal("a generator for several epochs", "Give steps_per_epoch", lambda: {"x": batches(), "epochs": 2}),
    Refusal(
        "a generator to validate on",
        "validation_data is a generator",
        lambda: {"x": X, "y": Y, "validation_data": batches()},
    ),
    Refusal("batches without end", "never ends. Give steps_per_epoch", lambda: {"x": Batches(None)}),
    Refusal("validation without end", "Give validation_steps", arrays(validation_data=Batches(None))),
    Refusal("no batches", "x gives no batches", lambda: {"x": iter(())}),
    Refusal("something else than batches", "a dict where a batch", lambda: {"x": iter([{"image": X}])}),
    Refusal(
        "a stop condition that validation_freq would starve",
        "stop='val_loss<0.4'",
        arrays(validation_split=0.5, validation_freq=2, stop="val_loss<0.4"),
    ),
    Refusal(
        "validation images on another scale than the training images",
        "Divide them by 255",
        arrays(validation_data=(X * 255, Y)),
    ),
    Refusal("validation_freq=0", "validation_freq=0", arrays(validation_freq=0)),
    Refusal("steps_per_epoch=0", "steps_per_epoch=0", arrays(steps_per_epoch=0)),
)
