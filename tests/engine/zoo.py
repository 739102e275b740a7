"""A zoo of models and ways to train them: what `fr.fit` must do exactly as `keras.Model.fit` does.

Each case says how a model is made for images of a shape, and what both `fit`s are given. `differences` trains two equal
models, one with each, and measures what differs. `docs/keras-parity.md` is generated from it (`make parity`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, losses, metrics, optimizers

import fittingroom
from tests.engine import arrangements as given
from tests.engine.images import Images

Arguments = Callable[[Images], dict[str, Any]]
Make = Callable[[tuple[int, ...]], keras.Model]
SPARSE = "sparse_categorical_crossentropy"


@dataclass(frozen=True)
class Tolerance:
    """The largest differences that a case may show.

    Args:
        weights: in any weight, absolute.
        optimizer: in any number of the optimizer's state, as a share of the largest in its variable.
        history: in any number of the history, absolute.
        reason: why, where it is more than the default.
    """

    weights: float = 1e-5
    optimizer: float = 1e-3
    history: float = 1e-4
    reason: str = ""


@dataclass(frozen=True)
class Case:
    """One model, or one way to train it.

    Args:
        name: unique, short.
        what: what it shows, in a line.
        model: makes the compiled model for images of a shape; always the same one.
        arguments: what both `fit`s are given besides the model, made anew for each.
        keras_arguments: what Keras's is given, where it does not take the same.
        tolerance: what may differ.
    """

    name: str
    what: str
    model: Make
    arguments: Arguments
    keras_arguments: Arguments | None = None
    tolerance: Tolerance = Tolerance()

    @property
    def slow(self) -> bool:
        """Whether `make test` leaves it to `make test-all`: it takes long to compile, or others cover much of it."""
        return self.name in _SLOW

    @property
    def on_real_set(self) -> Tolerance:
        """Over hundreds of steps, differences in the last digit grow; ten times as much is allowed there."""
        allowed = self.tolerance
        return Tolerance(10 * allowed.weights, 10 * allowed.optimizer, 10 * allowed.history, allowed.reason)


_SLOW = frozenset(
    [
        "adafactor",
        "adagrad",
        "attention",
        "auc-top-k",
        "binary",
        "conv-strides",
        "dataset-steps",
        "dropout-always",
        "flip-shift",
        "focal",
        "ftrl",
        "lion",
        "mixed-bfloat16",
        "mixed-float16",
        "nadam",
        "normalizations",
        "pooling",
        "pydataset",
        "recurrent",
        "residual",
        "rmsprop",
        "rotate-zoom",
        "separable",
        "sparse-top-k",
        "stateful",
        "swap-ema",
        "transposed",
        "validation-epochs",
        "validation-split",
    ]
)


@dataclass(frozen=True)
class Differences:
    """The largest ones between the two ways; units as in `Tolerance`. Numbers that count or seed must be equal."""

    weights: float
    optimizer: float
    history: float


def differences(case: Case, images: Images, *, batch_size: int = 16) -> Differences:
    """Trains both ways from the same start and compares every weight, optimizer variable and number of the history.

    Raises:
        AssertionError: something that must be equal is not: a seed, a counter, the names in the history, its length.
    """
    shape = images.x.shape[1:]
    theirs, ours = case.model(shape), case.model(shape)
    policy = {"epochs": 2, "batch_size": batch_size, "shuffle": False, "verbose": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, for example that data ran out
        arguments = (case.keras_arguments or case.arguments)(images)
        expected = theirs.fit(**{**policy, **arguments}).history
    history = fittingroom.fit(ours, **{**_without_batch_size(policy, case.arguments(images)), **case.arguments(images)})
    return Differences(
        weights=_largest(_weights(ours), _weights(theirs), relative=False),
        optimizer=_largest(ours.optimizer.variables, theirs.optimizer.variables, relative=True),
        history=_history_difference(history.history, expected),
    )


def _without_batch_size(policy: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Iterables have batches of their own."""
    return {name: value for name, value in policy.items() if name != "batch_size" or "y" in arguments}


def _weights(model: keras.Model) -> list[Any]:
    return [*model.trainable_variables, *model.non_trainable_variables]


def _largest(mine: Sequence[Any], others: Sequence[Any], *, relative: bool) -> float:
    largest = 0.0
    for variable, other in zip(mine, others, strict=True):
        assert variable.dtype == other.dtype
        left, right = np.asarray(variable.value), np.asarray(other.value)
        if left.dtype.kind in "iub":
            np.testing.assert_array_equal(left, right, err_msg=variable.path)
            continue
        left, right = left.astype(np.float64), right.astype(np.float64)
        size = max(float(np.abs(right).max(initial=0)), 1e-12) if relative else 1.0
        largest = max(largest, float(np.abs(left - right).max(initial=0)) / size)
    return largest


def _history_difference(history: Mapping[str, Sequence[float]], expected: Mapping[str, Sequence[float]]) -> float:
    assert set(history) == set(expected)
    assert {name: len(values) for name, values in history.items()} == {
        name: len(values) for name, values in expected.items()
    }
    return max(float(np.abs(np.subtract(history[name], values)).max()) for name, values in expected.items())


# Models: every one seeds first, so that two calls give equal models.


def sequential(
    hidden: Callable[[], Sequence[Any]] = lambda: [layers.Flatten(), layers.Dense(8, activation="relu")],
    *,
    outputs: int = 10,
    activation: str | None = "softmax",
    channels: bool = False,
    **compile_arguments: Any,
) -> Make:
    """A stack of layers between the images and the classes, compiled with Adam unless something else is said.

    An optimizer and metrics are given as functions that make them anew for each model, since they hold state.
    """

    def make(shape: tuple[int, ...]) -> keras.Model:
        keras.utils.set_random_seed(1)
        first = [layers.Reshape((*shape, 1))] if channels else []
        model = keras.Sequential([keras.Input(shape), *first, *hidden(), layers.Dense(outputs, activation=activation)])
        return compiled(model, **compile_arguments)

    return make


def compiled(model: keras.Model, **arguments: Any) -> keras.Model:
    """The model, compiled."""
    settings = {"optimizer": "adam", "loss": SPARSE, "metrics": lambda: ["accuracy"], **arguments}
    made = {name: value() if name != "loss" and callable(value) else value for name, value in settings.items()}
    model.compile(**made)
    return model


def images_to(*hidden: Callable[[], Any], **arguments: Any) -> Make:
    """A convolutional model: the layers, then the mean of each feature."""
    return sequential(
        lambda: [*(layer() for layer in hidden), layers.GlobalAveragePooling2D()], channels=True, **arguments
    )


def unbuilt(shape: tuple[int, ...]) -> keras.Model:
    del shape
    keras.utils.set_random_seed(1)
    stack = [layers.Rescaling(1 / 16), layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dense(10)]
    return compiled(keras.Sequential(stack), loss=losses.SparseCategoricalCrossentropy(from_logits=True))


def functional(shape: tuple[int, ...]) -> keras.Model:
    keras.utils.set_random_seed(1)
    images = keras.Input(shape)
    hidden = layers.Dense(8, activation="relu", kernel_regularizer="l2")(layers.Flatten()(images))
    side = layers.Dense(8, activation="tanh", activity_regularizer="l1", bias_regularizer="l1")(hidden)
    both = layers.Concatenate()([layers.Add()([hidden, side]), side])
    model = keras.Model(images, layers.Dense(10)(both))
    return compiled(model, loss=losses.SparseCategoricalCrossentropy(from_logits=True))


def residual(shape: tuple[int, ...]) -> keras.Model:
    keras.utils.set_random_seed(1)
    images = keras.Input(shape)
    flow = layers.Conv2D(4, 3, padding="same")(layers.Reshape((*shape, 1))(images))
    for _ in range(2):
        inner = layers.LayerNormalization()(flow)
        inner = layers.Conv2D(4, 3, padding="same", activation="gelu")(inner)
        flow = layers.Add()([flow, inner])
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalMaxPooling2D()(flow))
    return compiled(keras.Model(images, outputs), optimizer=lambda: optimizers.SGD(0.1, momentum=0.9))


class Subclassed(keras.Model):
    """A model as code, as most tutorials write it: `call` takes no `training`. Its last layer was not made last."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = layers.Dense(10, activation="softmax")
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(8, activation="relu")
        self.dropout = layers.Dropout(0.2)

    def call(self, images: Any) -> Any:
        return self.classes(self.dropout(self.hidden(self.flatten(images))))


class OwnNumbers(Subclassed):
    """Numbers of its own: one in every batch, by `compute_metrics`, and one in validation, by `test_step`."""

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return {**super().compute_metrics(x, y, y_pred, sample_weight), "surest": keras.ops.max(y_pred)}

    def test_step(self, state: Any, data: Any) -> Any:
        logs, state = super().test_step(state, data)
        return {**logs, "twice": 2 * logs["loss"]}, state


def own_numbers(shape: tuple[int, ...]) -> keras.Model:
    del shape
    keras.utils.set_random_seed(1)
    return compiled(OwnNumbers())


class Count(metrics.Metric):
    """Counts batches of training and validation together, for `reset_state` keeps half of what it has."""

    def __init__(self) -> None:
        super().__init__(name="count")
        self.batches = self.add_weight(shape=(), initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        del y_true, y_pred, sample_weight
        self.batches.assign_add(1.0)

    def result(self) -> Any:
        return self.batches + 0.0

    def reset_state(self) -> None:
        self.batches.assign(self.batches / 2)


def subclassed(shape: tuple[int, ...]) -> keras.Model:
    del shape
    keras.utils.set_random_seed(1)
    return compiled(Subclassed())


class SmallOutputs(layers.Layer):
    """Adds a loss of its own."""

    def call(self, inputs: Any) -> Any:
        self.add_loss(0.01 * keras.ops.mean(keras.ops.square(inputs)))
        return inputs


class AlwaysDropout(layers.Dropout):
    """Drops in evaluation, too: its seed moves on then."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        del training
        return super().call(inputs, training=True)


def in_lists(shape: tuple[int, ...]) -> keras.Model:
    """A graph whose one input and one output stand in lists."""
    keras.utils.set_random_seed(1)
    images = keras.Input(shape)
    outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(images))
    return compiled(keras.Model([images], [outputs]))


def stateful(shape: tuple[int, ...]) -> keras.Model:
    """It takes 16 images at once, neither more nor fewer, and remembers in one batch what was in the one before."""
    keras.utils.set_random_seed(1)
    rows = keras.Input(batch_shape=(16, *shape))
    return compiled(keras.Model(rows, layers.Dense(10, activation="softmax")(layers.GRU(4, stateful=True)(rows))))


def transformer(shape: tuple[int, ...]) -> keras.Model:
    keras.utils.set_random_seed(1)
    rows = keras.Input(shape)
    flow = layers.Dense(8)(rows)
    flow = layers.Add()([flow, layers.MultiHeadAttention(2, 4)(flow, flow)])
    flow = layers.LayerNormalization()(flow)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling1D()(flow))
    return compiled(keras.Model(rows, outputs))


def frozen(shape: tuple[int, ...]) -> keras.Model:
    model = sequential(lambda: [layers.Flatten(), layers.Dense(8, activation="relu"), layers.BatchNormalization()])(
        shape
    )
    model.layers[1].trainable = model.layers[2].trainable = False
    return compiled(model)


def with_policy(policy: str, make: Make) -> Make:
    """The model under a dtype policy."""

    def under(shape: tuple[int, ...]) -> keras.Model:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return make(shape)
        finally:
            keras.config.set_dtype_policy(before)

    return under


def own_loss(labels: Any, outputs: Any) -> Any:
    """A loss as a plain function: the Brier score."""
    truth = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32"), 10)
    return keras.ops.sum(keras.ops.square(truth - outputs), axis=-1)


def highest_probability(labels: Any, outputs: Any) -> Any:
    """A metric that depends on how images are put into batches."""
    del labels
    return keras.ops.max(outputs)


def course(**arguments: Any) -> Make:
    """The course's model, narrow."""
    return sequential(**arguments)


def with_optimizer(make: Callable[[], Any]) -> Make:
    """The course's model with another optimizer."""
    return sequential(optimizer=make)


BATCH_NORMALIZED = (
    lambda: layers.Conv2D(4, 3, use_bias=False),  # a bias would be taken away again: see `tests/engine/models.py`
    layers.BatchNormalization,
    layers.ReLU,
)

_ROUNDING = "where a gradient is zero but for rounding, Adam makes full steps of the rounding; with SGD: 4e-07"

CASES: tuple[Case, ...] = (
    # What is given
    Case("course", "the course's model: NumPy arrays, validation_data", course(), given.with_validation),
    Case("lists", "[x] and [y] for a model with lists of one input and one output", in_lists, given.in_lists),
    Case("jax-arrays", "x and y as JAX arrays", course(), given.jax_arrays),
    Case(
        "bytes", "uint8 images, labels (n, 1), a model that learns its input's shape from them", unbuilt, given.bytes_
    ),
    Case("validation-split", "validation_split with class_weight", course(), given.split_and_class_weight),
    Case(
        "sample-weight",
        "sample_weight in training and validation, weighted_metrics, 101 outputs",
        sequential(weighted_metrics=lambda: ["accuracy"], metrics=list, outputs=101),
        given.sample_weights,
    ),
    Case("validation-freq", "validation_freq=2 over five epochs", course(), given.every_second_epoch),
    Case("validation-epochs", "validation_freq=[1, 4]", course(), given.listed_epochs),
    Case("initial-epoch", "initial_epoch, one batch an epoch", course(), given.initial_epoch),
    Case("steps-per-epoch", "steps_per_epoch: the pass goes on in the next epoch", course(), given.two_steps),
    Case("steps-no-batch", "steps_per_epoch decides the batch size", course(), given.steps_without_batch_size),
    Case(
        "validation-steps",
        "validation_steps and validation_batch_size, a loss and a metric that depend on the batch",
        sequential(loss=losses.SparseCategoricalCrossentropy(reduction="sum"), metrics=lambda: [highest_probability]),
        given.validation_steps,
    ),
    # Iterables
    Case(
        "pydataset",
        "x and validation_data as PyDatasets that reorder themselves after each epoch",
        course(),
        given.datasets,
    ),
    Case("generator", "x as a generator of (x, y, sample_weight), steps_per_epoch", course(), given.generator),
    Case(
        "loader",
        "a loader of tensors, iterated anew each epoch (Keras is given a PyDataset)",
        course(),
        given.loader,
        given.loader_for_keras,
    ),
    Case("dataset-steps", "a PyDataset with steps_per_epoch and class_weight", course(), given.dataset_with_steps),
    # Callbacks
    Case(
        "early-stopping",
        "EarlyStopping with restore_best_weights",
        with_optimizer(lambda: optimizers.SGD(3.0)),
        given.early_stopping,
    ),
    Case("plateau", "ReduceLROnPlateau", course(), given.plateau),
    Case("scheduler", "LearningRateScheduler", course(), given.scheduler),
    Case("batch-callback", "a callback that changes the learning rate at each batch", course(), given.batch_callback),
    Case(
        "every-second-batch",
        "batch callbacks every 2 batches (Keras: steps_per_execution=2)",
        sequential(steps_per_execution=2),
        given.batch_callback,
    ),
    Case("stop-at-once", "stop_training set in on_train_begin", course(), given.stop_at_once),
    Case("stop-within", "stop_training set at the second batch", course(), given.stop_within),
    Case("test-batches", "a callback that watches the batches of validation", course(), given.test_batches),
    Case(
        "swap-ema",
        "SwapEMAWeights: averaged weights are validated",
        with_optimizer(lambda: optimizers.Adam(use_ema=True)),
        given.swap_ema,
    ),
    # Losses and metrics
    Case(
        "label-smoothing",
        "CategoricalCrossentropy with label_smoothing and logits, one-hot labels",
        sequential(activation=None, loss=losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)),
        given.one_hot,
    ),
    Case("own-loss", "a loss as a plain function", sequential(loss=own_loss), given.validated),
    Case(
        "binary",
        "one output, binary_crossentropy, precision, recall, AUC",
        sequential(
            outputs=1,
            activation="sigmoid",
            loss="binary_crossentropy",
            metrics=lambda: [
                "accuracy",
                metrics.Precision(name="precision"),
                metrics.Recall(name="recall"),
                metrics.AUC(name="auc"),
            ],
        ),
        given.two_classes,
    ),
    Case(
        "auc-top-k",
        "AUC, top-k accuracy, macro F1, a metric as a function; one-hot labels",
        sequential(
            loss="categorical_crossentropy",
            metrics=lambda: [
                metrics.AUC(multi_label=True, num_thresholds=20, name="auc"),
                metrics.TopKCategoricalAccuracy(3),
                metrics.F1Score(average="macro"),
                highest_probability,
            ],
        ),
        given.one_hot,
    ),
    Case(
        "sparse-top-k",
        "sparse top-k accuracy, cross-entropy as metric and as weighted metric",
        sequential(
            metrics=lambda: [metrics.SparseTopKCategoricalAccuracy(2)],
            weighted_metrics=lambda: [metrics.SparseCategoricalCrossentropy(name="nats")],
        ),
        given.sample_weights,
    ),
    Case(
        "focal", "CategoricalFocalCrossentropy", sequential(loss=losses.CategoricalFocalCrossentropy()), given.one_hot
    ),
    # Losses of layers, layers with state
    Case(
        "functional",
        "a graph with a side path, L1 and L2 on kernels, biases and activities",
        functional,
        given.validated,
    ),
    Case(
        "add-loss",
        "a layer with add_loss",
        sequential(lambda: [layers.Flatten(), layers.Dense(8, activation="relu"), SmallOutputs()]),
        given.validated,
    ),
    Case(
        "subclassed",
        "a subclassed model with dropout, whose call takes no training argument",
        subclassed,
        given.validated,
    ),
    Case(
        "own-numbers",
        "compute_metrics and test_step of the model's own add numbers, one of which EarlyStopping watches",
        own_numbers,
        given.stopping_on_an_own_number,
    ),
    Case(
        "lasting-metric",
        "a metric whose reset_state keeps something, from training to validation and on",
        course(metrics=lambda: [Count()]),
        given.validated,
    ),
    Case("frozen", "a frozen dense layer and a frozen BatchNormalization", frozen, given.validated),
    Case("batch-norm", "Conv2D, BatchNormalization", images_to(*BATCH_NORMALIZED), given.validated),
    Case(
        "dropout",
        "Dropout, GaussianNoise, GaussianDropout, AlphaDropout",
        sequential(
            lambda: [
                layers.Flatten(),
                layers.GaussianNoise(0.2),
                layers.Dense(8, activation="relu"),
                layers.Dropout(0.3),
                layers.GaussianDropout(0.1),
                layers.AlphaDropout(0.1),
            ]
        ),
        given.validated,
    ),
    Case(
        "dropout-always",
        "a layer that drops in evaluation, too: its seed moves on there",
        sequential(lambda: [layers.Flatten(), layers.Dense(8, activation="relu"), AlwaysDropout(0.3)]),
        given.validated,
    ),
    Case(
        "flip-shift",
        "RandomFlip, RandomTranslation, SpatialDropout2D",
        images_to(
            lambda: layers.RandomFlip("horizontal"),
            lambda: layers.RandomTranslation(0.1, 0.1),
            lambda: layers.Conv2D(4, 3, activation="relu"),
            lambda: layers.SpatialDropout2D(0.2),
        ),
        given.validated,
    ),
    Case(
        "rotate-zoom",
        "RandomRotation, RandomZoom, RandomContrast, RandomBrightness",
        images_to(
            lambda: layers.RandomRotation(0.1),
            lambda: layers.RandomZoom(0.1),
            lambda: layers.RandomContrast(0.2, value_range=(0, 1)),
            lambda: layers.RandomBrightness(0.2, value_range=(0, 1)),
            lambda: layers.Conv2D(4, 3, activation="relu"),
        ),
        given.plain,
    ),
    # Convolutions, pooling, other layers
    Case(
        "conv-strides",
        "Conv2D: strides, same and valid padding",
        images_to(
            lambda: layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            lambda: layers.Conv2D(4, (2, 3), padding="valid", activation="tanh"),
        ),
        given.plain,
    ),
    Case(
        "conv-dilation",
        "Conv2D: dilation_rate and groups",
        images_to(
            lambda: layers.Conv2D(4, 3, dilation_rate=2, activation="relu"),
            lambda: layers.Conv2D(8, 3, groups=2, padding="same", activation="relu"),
        ),
        given.plain,
        tolerance=Tolerance(weights=1e-4, reason=_ROUNDING),
    ),
    Case(
        "separable",
        "SeparableConv2D and DepthwiseConv2D, with strides and a depth multiplier",
        images_to(
            lambda: layers.Conv2D(4, 1),
            lambda: layers.SeparableConv2D(6, 3, depth_multiplier=2, padding="same", activation="relu"),
            lambda: layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
        ),
        given.plain,
    ),
    Case(
        "pooling",
        "MaxPooling2D and AveragePooling2D, same and valid, overlapping",
        images_to(
            lambda: layers.Conv2D(4, 3, padding="same"),
            lambda: layers.MaxPooling2D(3, strides=2),
            lambda: layers.AveragePooling2D(2, strides=1, padding="same"),
            lambda: layers.MaxPooling2D(2, strides=1, padding="same"),
        ),
        given.validated,
    ),
    Case(
        "transposed",
        "Conv2DTranspose and UpSampling2D",
        images_to(
            lambda: layers.Conv2D(4, 3, strides=3, activation="relu"),
            lambda: layers.Conv2DTranspose(4, 3, strides=2, activation="relu"),
            lambda: layers.UpSampling2D(2),
            lambda: layers.Conv2D(4, 3, activation="relu"),
        ),
        given.plain,
    ),
    Case("residual", "residual connections, LayerNormalization, GELU, SGD with momentum", residual, given.plain),
    Case(
        "normalizations",
        "GroupNormalization, UnitNormalization, SpectralNormalization",
        images_to(
            lambda: layers.Conv2D(4, 3, use_bias=False),
            lambda: layers.GroupNormalization(2),
            lambda: layers.SpectralNormalization(layers.Conv2D(4, 1)),
            layers.UnitNormalization,
        ),
        given.plain,
    ),
    Case("attention", "MultiHeadAttention over the rows of an image", transformer, given.plain),
    Case("recurrent", "a GRU over the rows of an image", sequential(lambda: [layers.GRU(6)]), given.plain),
    # Optimizers
    Case("stateful", "a stateful GRU, built for batches of 16", stateful, given.in_batches_of_16),
    Case(
        "sgd-cosine",
        "SGD with Nesterov momentum, CosineDecay, clipnorm",
        with_optimizer(
            lambda: optimizers.SGD(
                optimizers.schedules.CosineDecay(0.1, 8, warmup_steps=2), momentum=0.9, nesterov=True, clipnorm=0.1
            )
        ),
        given.plain,
    ),
    Case(
        "rmsprop",
        "RMSprop, centred, clipvalue, ExponentialDecay",
        with_optimizer(
            lambda: optimizers.RMSprop(
                optimizers.schedules.ExponentialDecay(0.01, 2, 0.9), centered=True, clipvalue=0.01
            )
        ),
        given.plain,
    ),
    Case(
        "adamw",
        "AdamW: weight decay with exceptions, global_clipnorm, PiecewiseConstantDecay",
        with_optimizer(given.adamw),
        given.plain,
    ),
    Case(
        "ema",
        "averaged weights that overwrite every third step",
        with_optimizer(lambda: optimizers.Adam(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)),
        given.plain,
    ),
    Case(
        "accumulation",
        "gradient_accumulation_steps=2",
        with_optimizer(lambda: optimizers.Adam(gradient_accumulation_steps=2)),
        given.plain,
    ),
    Case("adagrad", "Adagrad", with_optimizer(lambda: optimizers.Adagrad(0.1)), given.plain),
    Case("adafactor", "Adafactor", with_optimizer(lambda: optimizers.Adafactor(0.01)), given.plain),
    Case("nadam", "Nadam", with_optimizer(lambda: optimizers.Nadam(0.01)), given.plain),
    Case("lion", "Lion", with_optimizer(lambda: optimizers.Lion(0.001)), given.plain),
    Case(
        "ftrl",
        "Ftrl with L1 and L2",
        with_optimizer(lambda: optimizers.Ftrl(0.1, l1_regularization_strength=0.01, l2_regularization_strength=0.01)),
        given.plain,
    ),
    # Mixed precision
    Case("mixed-bfloat16", "mixed_bfloat16", with_policy("mixed_bfloat16", course()), given.validated),
    Case(
        "mixed-float16",
        "mixed_float16 with a dynamic loss scale",
        with_policy("mixed_float16", course()),
        given.plain,
    ),
)
