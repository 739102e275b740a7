"""The layers that a recipe describes, as a Keras model with a softmax at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
from keras import layers

from fittingroom.errors import RecipeError
from fittingroom.recipes.recipe import Recipe

NAME = "classifier"


def network(recipe: Recipe, image_shape: tuple[int, ...], classes: int) -> Any:
    """A fresh model, images as floats `(batch, *image_shape)` to probabilities `(batch, classes)`, not compiled.

    Raises:
        RecipeError: the images are too small to be halved once for each stage of convolutions.
    """
    stages = len(recipe.convolutions)
    if min(image_shape[:2]) >> stages == 0:
        raise RecipeError(
            f"convolutions has {stages} stages, each of which halves the image, and the images are "
            f"{image_shape[0]}x{image_shape[1]}: expected at most {min(image_shape[:2]).bit_length() - 1} stages."
        )
    builder = _Builder(recipe)
    images = keras.Input(image_shape, name="images")
    if not recipe.residual:
        chain = [*builder.convolutional(image_shape), *builder.dense(classes)]
        return keras.Sequential([images, *chain], name=NAME)
    outputs = through(builder.dense(classes), builder.residual(images, image_shape))
    return keras.Model(images, outputs, name=NAME)


class _Builder:
    """Makes layers in the order of the data, and counts them for their names."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._policy = {} if recipe.precision == "float32" else {"dtype": recipe.precision}

    def convolutional(self, image_shape: tuple[int, ...]) -> Iterator[Any]:
        """All stages."""
        yield from self._with_channels(image_shape)
        for number, stage in enumerate(self._recipe.convolutions, start=1):
            for place, features in enumerate(stage, start=1):
                yield from self._convolution(features, number, place, pooled=place == len(stage))

    def residual(self, images: Any, image_shape: tuple[int, ...]) -> Any:
        """The output of all stages, with a shortcut past each pair of convolutions after a stage's first."""
        outputs = through(self._with_channels(image_shape), images)
        for number, stage in enumerate(self._recipe.convolutions, start=1):
            outputs = through(self._convolution(stage[0], number, 1, pooled=len(stage) == 1), outputs)
            for place in range(1, len(stage), 2):
                pair = [*self._convolution(stage[place], number, place + 1, pooled=False)]
                pair += self._convolution(stage[place + 1], number, place + 2, pooled=False)
                total = layers.Add(name=f"sum_{number}_{place + 2}", **self._policy)
                outputs = total([outputs, through(pair, outputs)])
            if len(stage) > 1:
                outputs = self._pooling(number)(outputs)
        return outputs

    def dense(self, classes: int) -> Iterator[Any]:
        """The hidden layers and the last one."""
        yield layers.Flatten(name="flatten", **self._policy)
        recipe = self._recipe
        for number, size in enumerate(recipe.hidden, start=1):
            if recipe.batch_norm:
                yield layers.Dense(size, use_bias=False, name=f"hidden_{number}", **self._policy)
                yield self._norm(str(number))
                yield layers.Activation(recipe.activation, name=f"activation_{number}", **self._policy)
            else:
                yield layers.Dense(size, activation=recipe.activation, name=f"hidden_{number}", **self._policy)
            if recipe.dropout > 0:
                yield layers.Dropout(recipe.dropout, name=f"dropout_{number}", **self._policy)
        # The last sums and the softmax are of 32 bits in any case.
        yield layers.Dense(classes, activation="softmax", name="classes", dtype="float32")

    def _with_channels(self, image_shape: tuple[int, ...]) -> Iterator[Any]:
        """Grey images have no axis of channels; convolutions need one."""
        if len(image_shape) == 2 and self._recipe.convolutions:
            yield layers.Reshape((*image_shape, 1), name="channel", **self._policy)

    def _convolution(self, features: int, stage: int, place: int, *, pooled: bool) -> Iterator[Any]:
        """A convolution, pooled or not, with what follows it.

        Pooling stands before the activation: the largest of rising functions' values is that function of the largest,
        and there is a quarter as much left to normalize and to activate, which takes as long as the convolution.
        """
        recipe, number = self._recipe, f"{stage}_{place}"
        yield layers.Conv2D(
            features,
            3,
            padding="same",
            use_bias=not recipe.batch_norm,
            name=f"convolution_{number}",
            **self._policy,
        )
        if pooled:
            yield self._pooling(stage)
        if recipe.batch_norm:
            yield self._norm(number)
        yield layers.Activation(recipe.activation, name=f"activation_{number}", **self._policy)

    def _pooling(self, stage: int) -> Any:
        return layers.MaxPooling2D(name=f"pooling_{stage}", **self._policy)

    def _norm(self, number: str) -> Any:
        # Keras's momentum of 0.99 would remember the first, wild steps for too long in a training of a few epochs.
        return layers.BatchNormalization(momentum=0.9, name=f"norm_{number}", **self._policy)


def through(chain: Iterable[Any], tensor: Any) -> Any:
    """What comes out of the last of some layers when the tensor goes into the first."""
    for layer in chain:
        tensor = layer(tensor)
    return tensor
