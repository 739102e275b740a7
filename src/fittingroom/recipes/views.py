"""A Keras model that averages its answers over several views of an image, as a recipe's `test_views` say.

`run.model` gives it; what the engine runs is `engine.views`, which says more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from fittingroom.recipes.augment import parse_augmentation
from fittingroom.recipes.network import NAME, through

View = list[Callable[[Any], Any]]  # what an image goes through, in order

_AVERAGED = "averaged_classifier"


def averaged(inner: Any, texts: Sequence[str]) -> Any:
    """A model of Keras's own layers that gives the mean of a classifier's probabilities over the views."""
    shape = tuple(inner.input_shape[1:])
    images = keras.Input(shape, name="images")
    answers = [inner(through(view, images)) for view in _views(texts, shape)]
    return keras.Model(images, layers.Average(name="mean")(answers), name=_AVERAGED)


def inner_model(model: Any) -> Any:
    """The classifier inside a model that `averaged` made; any other model as it is."""
    return model.get_layer(NAME) if model.name == _AVERAGED else model


def _views(texts: Sequence[str], image_shape: tuple[int, ...]) -> list[View]:
    """Every view that the texts of `Recipe.test_views` mean, together; the first is the image as it is.

    Mirroring comes last, so that the order of the texts does not matter.
    """
    views: list[View] = [[]]
    for augmentation in sorted(map(parse_augmentation, texts), key=lambda augmentation: augmentation.name == "flip"):
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
