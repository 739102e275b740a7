"""From a recipe to a compiled Keras model: its layers, its optimizer, and the mean over its `test_views`.

This imports Keras, and is used only where no compiled program is stored. `run.model` gives this model; what the engine
runs for `test_views` is `engine.recipe_programs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
from keras import layers

from fittingroom.errors import ModelError, RecipeError
from fittingroom.recipes.last_activation import crossentropy_for
from fittingroom.recipes.modelfile import ModelFile
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import ALL, Augmentation

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


# Kernels decay; what shifts and scales does not, as is usual: decay would pull the normalization away from what it
# measures.
_NOT_DECAYED = ("bias", "beta", "gamma")


def build_model(
    recipe: Recipe,
    image_shape: tuple[int, ...],
    classes: int,
    steps: int = 1,
    *,
    file: ModelFile | None = None,
    tail: Any = None,
) -> Any:
    """The compiled `keras.Model` of a recipe. Initial weights follow `keras.utils.set_random_seed`.

    The model takes images as floats, `(batch, *image_shape)`, already divided by the dataset's scale where the recipe
    says so, and gives probabilities, `(batch, classes)`, with the recipe's `test_views` averaged. A user's own model is
    returned as its function made it, compiled here only if it was not. The model of a recipe with a backbone takes what
    the frozen part of the backbone gives.

    Args:
        recipe: the recipe of the model.
        image_shape: `(height, width)` or `(height, width, 3)`; behind a frozen part of a backbone, the shape of one
            image's features.
        classes: number of classes.
        steps: how many steps training takes in all, for the recipe's schedule.
        file: the user's own model file, where it is not the one that the recipe names (see `modelfile`).
        tail: the part of the recipe's backbone that is trained, a Keras model; None where all of it is frozen.

    Raises:
        RecipeError, ModelError: the user's own model file has no such function, fails, or gives no Keras model; or the
            recipe does not fit the images.
    """
    if recipe.model is not None:
        model = _users_model(file or ModelFile.of(recipe.model))
    else:
        model = layers_of(recipe, image_shape, classes, tail)
    if not getattr(model, "compiled", False):
        loss = crossentropy_for(model) if recipe.model is not None else keras.losses.SparseCategoricalCrossentropy()
        model.compile(optimizer=_optimizer(recipe, steps), loss=loss, metrics=["accuracy"])
    return model


def layers_of(recipe: Recipe, image_shape: tuple[int, ...], classes: int, tail: Any = None) -> Any:
    """The model of a recipe that names no file, not compiled; its arguments are those of `build_model`."""
    model = _network(recipe, image_shape, classes, tail)
    if not recipe.test_views or (
        recipe.backbone is not None and recipe.unfreeze != ALL
    ):  # features have no mirror image
        return model
    return _averaged(model, recipe.test_views)


def with_frozen_part(recipe: Recipe, frozen: Any, trained: Any, image_shape: tuple[int, ...]) -> Any:
    """The whole model of a recipe with a backbone, from images, 0 to 255, to probabilities; not compiled.

    Args:
        recipe: the recipe, whose `test_views` are averaged.
        frozen: the frozen part of the backbone, a Keras model from images of its own size to features.
        trained: what was trained, a Keras model from features to probabilities.
        image_shape: `(height, width)` or `(height, width, 3)`, of the dataset's images.
    """
    images = keras.Input(image_shape, name="images")
    height, width = frozen.input_shape[1:3]
    seen = keras.layers.Reshape((*image_shape, 1), name="channel")(images) if len(image_shape) == 2 else images
    if image_shape[:2] != (height, width):
        # As Pillow does, along one axis and then the other, in whole numbers: a backbone's features of images that are
        # enlarged, and so smooth, move by a tenth with such rounding.
        for size in ((image_shape[0], width), (height, width)):
            seen = keras.ops.floor(layers.Resizing(*size, interpolation="bilinear")(seen) + 0.5)
    seen = layers.Concatenate(name="rgb")([seen] * 3) if len(image_shape) == 2 else seen
    model = keras.Model(images, trained(frozen(seen)), name=_NAME)
    return _averaged(model, recipe.test_views) if recipe.test_views else model


def with_softmax_in_the_loss(model: Any, label_smoothing: float = 0.0) -> Any:
    """The same weights as a model that gives logits and computes its loss from them; `model` is changed in place.

    Where the model averages over views, this is the one inside, that sees each image as it is.

    On JAX, Keras takes the logarithm of the softmax's output, clipped at 1e-7. Once the true class of every image is
    below that, no gradient is left: on pixels from 0 to 255 the course's model then stays at 10% for good. (On
    TensorFlow, Keras looks behind the softmax and does not have the problem.) The loss from logits is the same function
    without the clipping, and the weights are the same weights.

    Args:
        model: a model of `build_model`, for a recipe without a model file.
        label_smoothing: see `Recipe`.
    """
    inner = _inner_model(model)
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
    if options:  # only kernels decay
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


_NAME = "classifier"


def _network(recipe: Recipe, image_shape: tuple[int, ...], classes: int, tail: Any) -> Any:
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
    if tail is not None:
        outputs = passed_through(builder.dense(classes), tail(_as_tail_wants(images, tail.input_shape[1:])))
        return keras.Model(images, outputs, name=_NAME)
    if not recipe.residual:
        chain = [*builder.convolutional(image_shape), *builder.dense(classes)]
        return keras.Sequential([images, *chain], name=_NAME)
    outputs = passed_through(builder.dense(classes), builder.residual(images, image_shape))
    return keras.Model(images, outputs, name=_NAME)


def _as_tail_wants(images: Any, shape: tuple[int, ...]) -> Any:
    """Inputs as they are where they have this shape; images are resized to it (bilinear), grey ones made RGB."""
    if tuple(images.shape[1:]) == tuple(shape):
        return images
    if len(images.shape) == 3:
        grey = layers.Reshape((*images.shape[1:], 1), name="channel")(images)
        images = layers.Concatenate(name="rgb")([grey, grey, grey])
    if tuple(images.shape[1:3]) == tuple(shape[:2]):
        return images
    return layers.Resizing(*shape[:2], interpolation="bilinear", name="resized")(images)


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
        outputs = passed_through(self._with_channels(image_shape), images)
        for number, stage in enumerate(self._recipe.convolutions, start=1):
            outputs = passed_through(self._convolution(stage[0], number, 1, pooled=len(stage) == 1), outputs)
            for place in range(1, len(stage), 2):
                pair = [*self._convolution(stage[place], number, place + 1, pooled=False)]
                pair += self._convolution(stage[place + 1], number, place + 2, pooled=False)
                total = layers.Add(name=f"sum_{number}_{place + 2}", **self._policy)
                outputs = total([outputs, passed_through(pair, outputs)])
            if len(stage) > 1:
                outputs = self._pooling(number)(outputs)
        return outputs

    def dense(self, classes: int) -> Iterator[Any]:
        """The hidden layers and the last one."""
        # Flattened, not averaged: in few epochs an average over the image learns much more slowly.
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


def passed_through(chain: Iterable[Any], tensor: Any) -> Any:
    """What comes out of the last of some layers when the tensor goes into the first."""
    for layer in chain:
        tensor = layer(tensor)
    return tensor


View = list[Callable[[Any], Any]]  # what an image goes through, in order

_AVERAGED = "averaged_classifier"


def _averaged(inner: Any, texts: Sequence[str]) -> Any:
    """A model of Keras's own layers that gives the mean of a classifier's probabilities over the views."""
    shape = tuple(inner.input_shape[1:])
    images = keras.Input(shape, name="images")
    answers = [inner(passed_through(view, images)) for view in view_layers(texts, shape)]
    return keras.Model(images, layers.Average(name="mean")(answers), name=_AVERAGED)


def _inner_model(model: Any) -> Any:
    """The classifier inside a model that `averaged` made; any other model as it is."""
    return model.get_layer(_NAME) if model.name == _AVERAGED else model


def view_layers(texts: Sequence[str], image_shape: tuple[int, ...]) -> list[View]:
    """Every view that the texts of `Recipe.test_views` mean, together; the first is the image as it is.

    Mirroring comes last, so that the order of the texts does not matter.
    """
    views: list[View] = [[]]
    for augmentation in sorted(map(Augmentation.of, texts), key=lambda augmentation: augmentation.name == "flip"):
        if augmentation.name == "flip":
            more: list[View] = [[_mirrored]]
        else:
            pixels = augmentation.strength or 0
            more = [_moved(image_shape, (pixels, 0)), _moved(image_shape, (0, pixels))]
        views += [[*view, *change] for change in more for view in views]
    return views


def _mirrored(images: Any) -> Any:
    return keras.ops.flip(images, axis=2)


def _moved(image_shape: tuple[int, ...], before: tuple[int, int]) -> View:
    """Moves images, along both axes: by `before[0]` pixels down and right, or by `before[1]` up and left."""
    after = before[::-1]
    move: View = [layers.ZeroPadding2D((before, before)), layers.Cropping2D((after, after))]
    if len(image_shape) == 3:
        return move
    return [layers.Reshape((*image_shape, 1)), *move, layers.Reshape(image_shape)]
