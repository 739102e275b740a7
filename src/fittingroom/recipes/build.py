"""Recipe -> compiled Keras model. The only module of `recipes` that imports Keras; used when nothing is cached."""

from __future__ import annotations

from typing import Any

import keras

from fittingroom.errors import ModelError
from fittingroom.recipes.modelfile import parse_model_setting
from fittingroom.recipes.recipe import Recipe

_OPTIMIZERS = {
    "adadelta": keras.optimizers.Adadelta,
    "adagrad": keras.optimizers.Adagrad,
    "adam": keras.optimizers.Adam,
    "adamax": keras.optimizers.Adamax,
    "adamw": keras.optimizers.AdamW,
    "lion": keras.optimizers.Lion,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


def build_model(recipe: Recipe, image_shape: tuple[int, ...], classes: int) -> Any:
    """The compiled `keras.Model` of a recipe. Initial weights follow `keras.utils.set_random_seed`.

    The model takes images as floats, `(batch, *image_shape)`, already divided by the dataset's scale where the recipe
    says so, and gives probabilities, `(batch, classes)`. A user's own model is returned as its function made it,
    compiled here only if it was not.

    Args:
        recipe: what to build.
        image_shape: `(height, width)` or `(height, width, 3)`.
        classes: number of classes.

    Raises:
        RecipeError, ModelError: the user's own model file has no such function, fails, or gives no Keras model.
    """
    model = _sequential(recipe, image_shape, classes) if recipe.model is None else _users_model(recipe.model)
    if not getattr(model, "compiled", False):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not _ends_with_softmax(model))
        optimizer = _OPTIMIZERS[recipe.optimizer](learning_rate=recipe.learning_rate)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


def with_softmax_in_the_loss(model: Any) -> Any:
    """The same model, computing its loss from logits; changed in place.

    On JAX, Keras takes the logarithm of the softmax's output, clipped at 1e-7. Once the true class of every image is
    below that, no gradient is left: on pixels from 0 to 255 the course's model then stays at 10% for good. (On
    TensorFlow, Keras looks behind the softmax and does not have the problem.) The loss from logits is the same function
    without the clipping, and the weights are the same weights.
    """
    model.layers[-1].activation = keras.activations.linear
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=model.optimizer, loss=loss, metrics=["accuracy"])
    return model


def _ends_with_softmax(model: Any) -> bool:
    last = model.layers[-1] if model.layers else None
    return isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax


def _sequential(recipe: Recipe, image_shape: tuple[int, ...], classes: int) -> Any:
    layers = [keras.Input(image_shape, name="images"), keras.layers.Flatten(name="flatten")]
    for number, size in enumerate(recipe.hidden, start=1):
        layers.append(keras.layers.Dense(size, activation=recipe.activation, name=f"hidden_{number}"))
        if recipe.dropout > 0:
            layers.append(keras.layers.Dropout(recipe.dropout, name=f"dropout_{number}"))
    layers.append(keras.layers.Dense(classes, activation="softmax", name="classes"))
    return keras.Sequential(layers, name="classifier")


def _users_model(setting: str) -> Any:
    model = parse_model_setting(setting).call()
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"{setting} gave {type(model).__name__}, not a Keras model: end the function with `return model`."
        )
    return model
