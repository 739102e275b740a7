from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from fittingroom.engine.arrays import Arrays
from fittingroom.engine.data_checks import _augmentation_notes, _scale_notes

PIXELS = (np.arange(64 * 64) * 67).reshape(64, 8, 8).astype(np.uint8)

RAW = Arrays(PIXELS, PIXELS[:, 0, 0])
DATASET = Arrays(PIXELS, PIXELS[:, 0, 0], scale=255.0)
SCALED = Arrays(PIXELS / np.float32(255), PIXELS[:, 0, 0])
TWICE = Arrays(PIXELS / np.float32(255) / np.float32(255), PIXELS[:, 0, 0])
STANDARDISED = Arrays(((PIXELS - PIXELS.mean()) / PIXELS.std()).astype(np.float32), PIXELS[:, 0, 0])
CENTRED = Arrays(PIXELS / np.float32(127.5) - 1, PIXELS[:, 0, 0])


def _model(*before: Any) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8)), *before, layers.Flatten(), layers.Dense(10)])


def _adapted(images: Any) -> keras.Model:
    normalization = layers.Normalization(axis=None)
    normalization.adapt(images)
    return _model(normalization)


def _functional(use: Callable[[Any], Any]) -> keras.Model:
    images = keras.Input((8, 8, 1))
    return keras.Model(images, layers.Dense(10)(layers.Flatten()(layers.Conv2D(2, 3)(use(images)))))


def _nested() -> keras.Model:
    inner = keras.Sequential([layers.RandomFlip("horizontal"), layers.Rescaling(1 / 255)])
    return _model(layers.Reshape((8, 8, 1)), inner, layers.Conv2D(2, 3))


class _Own(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.flat, self.dense = layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10)

    def call(self, images: Any) -> Any:
        return self.dense(self.flat(self.scale(images)))


QUIET: dict[str, tuple[Callable[[], keras.Model], Arrays]] = {
    "0-1": (_model, SCALED),
    "a dataset": (_model, DATASET),
    "standardised": (_model, STANDARDISED),
    "-1 to 1": (_model, CENTRED),
    "one bright image among black ones": (
        _model,
        Arrays(np.eye(1000, dtype=np.float32)[500].repeat(64).reshape(1000, 8, 8), np.zeros(1000)),
    ),
    "Rescaling of raw pixels": (lambda: _model(layers.Rescaling(1 / 255)), RAW),
    "Rescaling to -1 to 1": (lambda: _model(layers.Rescaling(1 / 127.5, offset=-1)), RAW),
    "Normalization of raw pixels": (lambda: _adapted(PIXELS), RAW),
    "Normalization of a dataset": (lambda: _adapted(SCALED.images), DATASET),
    "division": (lambda: _functional(lambda images: images / 255.0), RAW),
    "nested": (_nested, RAW),
    "batch normalisation of raw pixels": (lambda: _model(layers.BatchNormalization()), RAW),
    "batch normalisation of small ones": (lambda: _model(layers.BatchNormalization()), TWICE),
    "a model of the user's own code": (_Own, DATASET),
    "a layer of the user's own code": (lambda: _model(layers.Lambda(lambda images: images * 255)), TWICE),
}


@pytest.mark.parametrize("name", QUIET)
def test_images_that_reach_the_weights_scaled_are_not_worth_a_word(name: str) -> None:
    make, arrays = QUIET[name]
    assert (*_scale_notes(make(), arrays), *_augmentation_notes(make(), arrays)) == ()


@pytest.mark.parametrize(
    ("before", "arrays", "spoils"),
    [
        ((layers.RandomBrightness(0.2),), SCALED, r"RandomBrightness layer expects values from 0 to 255, .* 0 to 1,"),
        ((layers.RandomBrightness(0.2),), DATASET, r"Give it value_range=\(0, 1\)"),
        ((layers.RandomBrightness(0.2), layers.Rescaling(1 / 255)), RAW, ""),
        ((layers.Rescaling(1 / 255), layers.RandomBrightness(0.2)), RAW, r"reach it with values from 0 to 1,"),
        ((layers.RandomBrightness(0.2, value_range=(0, 1)),), SCALED, ""),
        ((layers.AutoContrast(value_range=(0, 1)),), RAW, r"from 0 to 1, .* 0 to 255, .* value_range=\(0, 255\)"),
        ((layers.RandomContrast(0.2), layers.RandomFlip()), SCALED, ""),
    ],
)
def test_augmentation_for_values_of_another_scale_is_named(before: Any, arrays: Arrays, spoils: str) -> None:
    notes = _augmentation_notes(_model(layers.Reshape((8, 8, 1)), *before), arrays)
    assert re.search(spoils, " ".join(notes)) if spoils else notes == ()


TOLD: dict[str, tuple[Callable[[], keras.Model], Arrays, str]] = {
    "raw": (_model, RAW, "The images are not scaled: values go up to 255. .* (divide by 255)"),
    "digits": (_model, Arrays(PIXELS // 16, PIXELS[:, 0, 0]), "values go up to 15. .* (divide by 16)"),
    "12 bits": (_model, Arrays(PIXELS.astype(np.uint16) * 16, PIXELS[:, 0, 0]), "up to 4080. .* (divide by 4095)"),
    "divided twice": (_model, TWICE, "from 0 to 0.00392, as if they were divided by 255 twice. .* Multiply by 255,"),
    "dark": (_model, Arrays(SCALED.images / 20, PIXELS[:, 0, 0]), "from 0 to 0.05. .* Multiply by 20,"),
    "all alike": (
        _model,
        Arrays(np.ones((9, 8, 8)), np.zeros(9)),
        "All training images are the same: every value is 1.",
    ),
    "Rescaling of a dataset": (
        lambda: _model(layers.Rescaling(1 / 255)),
        DATASET,
        "scaled twice: .* from 0 to 1, and after the model's Rescaling layer from 0 to 0.00392. .* raw pixels",
    ),
    "Rescaling of scaled arrays": (
        lambda: _model(layers.Rescaling(1 / 127.5, offset=-1)),
        SCALED,
        "after the model's Rescaling layer from -1 to -0.992. .* Remove the layer, or give images as it expects",
    ),
    "Normalization of raw pixels, given a dataset": (
        lambda: _adapted(PIXELS),
        DATASET,
        "scaled twice: .* after the model's Normalization layer from -1.73 to -1.71",
    ),
    "Normalization of scaled pixels, given raw ones": (
        lambda: _adapted(SCALED.images),
        RAW,
        "from 0 to 255, and after the model's Normalization layer from -1.73 to 878. That layer is set to",
    ),
    "division of a dataset": (
        lambda: _functional(lambda images: images / 255.0),
        DATASET,
        "after the model's arithmetic from 0 to 0.00392",
    ),
    "nested": (_nested, SCALED, "after the model's Rescaling layer from 0 to 0.00392"),
    "two Rescaling layers": (
        lambda: _model(layers.Rescaling(1 / 255), layers.Rescaling(1 / 255)),
        RAW,
        "from 0 to 255, and after the model's Rescaling layer and Rescaling layer from 0 to 0.00392",
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_images_on_a_scale_that_learns_badly_are_noted_with_the_numbers(name: str) -> None:
    make, arrays, words = TOLD[name]
    (note,) = _scale_notes(make(), arrays)
    assert re.search(words.replace("(", r"\(").replace(")", r"\)"), note), note
