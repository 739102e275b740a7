"""Recipe -> compiled Keras model. This, `network` and `views` import Keras; they are used when nothing is cached."""

from __future__ import annotations

from typing import Any

import keras

from fittingroom.errors import ModelError
from fittingroom.recipes.last_activation import crossentropy_for
from fittingroom.recipes.modelfile import ModelFile, parse_model_setting
from fittingroom.recipes.network import network
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.views import averaged, inner_model

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


# Kernels decay; what shifts and scales does not.
_NOT_DECAYED = ("bias", "beta", "gamma")


def build_model(
    recipe: Recipe, image_shape: tuple[int, ...], classes: int, steps: int = 1, *, file: ModelFile | None = None
) -> Any:
    """The compiled `keras.Model` of a recipe. Initial weights follow `keras.utils.set_random_seed`.

    The model takes images as floats, `(batch, *image_shape)`, already divided by the dataset's scale where the recipe
    says so, and gives probabilities, `(batch, classes)`, with the recipe's `test_views` averaged. A user's own model is
    returned as its function made it, compiled here only if it was not.

    Args:
        recipe: what to build.
        image_shape: `(height, width)` or `(height, width, 3)`.
        classes: number of classes.
        steps: how many steps training takes in all, for the recipe's schedule.
        file: the user's own model file, where it is not simply the one that the recipe names (see `trust`).

    Raises:
        RecipeError, ModelError: the user's own model file has no such function, fails, or gives no Keras model; or the
            recipe does not fit the images.
    """
    if recipe.model is not None:
        model = _users_model(file or parse_model_setting(recipe.model))
    else:
        model = layers_of(recipe, image_shape, classes)
    if not getattr(model, "compiled", False):
        loss = crossentropy_for(model) if recipe.model is not None else keras.losses.SparseCategoricalCrossentropy()
        model.compile(optimizer=_optimizer(recipe, steps), loss=loss, metrics=["accuracy"])
    return model


def layers_of(recipe: Recipe, image_shape: tuple[int, ...], classes: int) -> Any:
    """The model of a recipe that names no file, not compiled."""
    model = network(recipe, image_shape, classes)
    return averaged(model, recipe.test_views) if recipe.test_views else model


def with_softmax_in_the_loss(model: Any, label_smoothing: float = 0.0) -> Any:
    """The same weights as a model that gives logits and computes its loss from them; `model` is changed in place.

    Where the model averages over views, this is the one inside, that sees each image as it is.

    On JAX, Keras takes the logarithm of the softmax's output, clipped at 1e-7. Once the true class of every image is
    below that, no gradient is left: on pixels from 0 to 255 the course's model then stays at 10% for good. (On
    TensorFlow, Keras looks behind the softmax and does not have the problem.) The loss from logits is the same function
    without the clipping, and the weights are the same weights.

    Args:
        model: from `build_model`, for a recipe without a model of the user's.
        label_smoothing: see `Recipe`.
    """
    inner = inner_model(model)
    inner.layers[-1].activation = keras.activations.linear
    inner.compile(optimizer=model.optimizer, loss=_Crossentropy(label_smoothing), metrics=["accuracy"])
    return inner


class _Crossentropy(keras.losses.SparseCategoricalCrossentropy):
    """Cross-entropy of logits, in nats, whose gradient is that for smoothed labels (arXiv 1512.00567, section 7).

    Its value is that for the true class, so that it can be compared with other recipes and with validation.
    """

    def __init__(self, label_smoothing: float) -> None:
        super().__init__(from_logits=True)
        self._smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss per image."""
        losses = super().call(y_true, y_pred)
        if self._smoothing == 0:
            return losses
        uniform = -keras.ops.mean(keras.ops.log_softmax(y_pred), axis=-1)
        # Adds nothing to the value, and makes (1 - s) * losses + s * uniform of what is differentiated.
        change = self._smoothing * (uniform - losses)
        return losses + change - keras.ops.stop_gradient(change)


def _optimizer(recipe: Recipe, steps: int) -> Any:
    options = {} if recipe.weight_decay is None else {"weight_decay": recipe.weight_decay}
    optimizer = _OPTIMIZERS[recipe.optimizer](learning_rate=_learning_rate(recipe, steps), **options)
    if options:
        optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer


def _learning_rate(recipe: Recipe, steps: int) -> Any:
    """A number, or Keras's schedule: a straight rise from 0, then half a cosine down to 0 at the last step."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    rising = int(recipe.warmup * steps)
    if not rising:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - rising, warmup_target=recipe.learning_rate, warmup_steps=rising
    )


def _users_model(file: ModelFile) -> Any:
    model = file.call()
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"{file.text} gave {type(model).__name__}, not a Keras model: end the function with `return model`."
        )
    return model
