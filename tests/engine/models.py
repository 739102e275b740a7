"""Keras models to train in tests. Every function seeds first, so that two calls give equal models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

Layers = Callable[[], Sequence[Any]]
SPARSE = "sparse_categorical_crossentropy"


def course(metrics: Sequence[Any] = ("accuracy",)) -> keras.Model:
    """The course's model for Fashion-MNIST."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss=SPARSE, metrics=list(metrics))
    return model


def convolutional() -> keras.Model:
    """Convolution, pooling and batch normalisation, for Fashion-MNIST.

    The convolution before the batch normalisation has no bias: normalisation takes any bias away again, so that its
    gradient is zero but for rounding, and Adam, which divides a gradient by its own size, makes full steps of that
    noise. Two correct programs then differ by whole learning rates in a number that changes nothing.
    """
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(4, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(6, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss=SPARSE, metrics=["accuracy"])
    return model


def small(
    hidden: Layers = lambda: [layers.Dense(8, activation="relu")],
    *,
    outputs: int = 10,
    activation: str | None = "softmax",
    optimizer: Any = "adam",
    loss: Any = SPARSE,
    metrics: Sequence[Any] = ("accuracy",),
    weighted_metrics: Sequence[Any] | None = None,
) -> keras.Model:
    """A small compiled model for the 8x8 digits."""
    model = uncompiled(hidden, outputs=outputs, activation=activation)
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics), weighted_metrics=weighted_metrics)
    return model


def uncompiled(
    hidden: Layers = lambda: [layers.Dense(8, activation="relu")],
    *,
    outputs: int = 10,
    activation: str | None = "softmax",
) -> keras.Model:
    """A small model for the 8x8 digits."""
    keras.utils.set_random_seed(1)
    last = layers.Dense(outputs, activation=activation)
    return keras.Sequential([keras.Input((8, 8)), layers.Flatten(), *hidden(), last])


def unbuilt() -> keras.Model:
    """A model that learns the shape of its input from the data, which it scales itself."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            layers.Rescaling(1 / 16),
            layers.Flatten(),
            layers.Dense(8, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss=SPARSE, metrics=["accuracy"])
    return model


def functional() -> keras.Model:
    """A graph with a side path, regularizers, and logits."""
    keras.utils.set_random_seed(1)
    images = keras.Input((8, 8))
    hidden = layers.Dense(8, activation="relu", kernel_regularizer="l2")(layers.Flatten()(images))
    hidden = layers.Add()([hidden, layers.Dense(8, activation="tanh", activity_regularizer="l1")(hidden)])
    model = keras.Model(images, layers.Dense(10)(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model


class Subclassed(keras.Model):
    """A model as code, whose last layer was not made last."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = layers.Dense(10, activation="softmax")
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(8, activation="relu")
        self.dropout = layers.Dropout(0.2)

    def call(self, images: Any, training: bool = False) -> Any:
        return self.classes(self.dropout(self.hidden(self.flatten(images)), training=training))


def subclassed() -> keras.Model:
    """A compiled `Subclassed`."""
    keras.utils.set_random_seed(1)
    model = Subclassed()
    model.compile(optimizer="adam", loss=SPARSE, metrics=["accuracy"])
    return model
