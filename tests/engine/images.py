"""Small parts of real datasets, as plain arrays for Keras and for `fit` alike."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fittingroom

Array = np.ndarray[Any, Any]


class Images(NamedTuple):
    """Images as float32 in 0 to 1, and labels as int32."""

    x: Array
    y: Array
    x_val: Array
    y_val: Array


SMALL_IMAGES = 44
REAL_IMAGES = 4096


def digits_images() -> Images:
    """44 images of scikit-learn's 8x8 digits to train on: two batches of 16, and one of 12."""
    return _first(fittingroom.load("digits"), SMALL_IMAGES, 30)


def real_images() -> Images:
    """4,096 images of Fashion-MNIST to train on, and 1,000 others."""
    return _first(fittingroom.load("fashion-mnist"), REAL_IMAGES, 1000)


def fashion_images() -> Images:
    """1,000 images of Fashion-MNIST to train on."""
    return _first(fittingroom.load("fashion-mnist"), 1000, 300)


def _first(data: fittingroom.Dataset, train: int, validation: int) -> Images:
    assert data.validation is not None
    return Images(
        data.train.x[:train],
        np.array(data.train.y[:train]),
        data.validation.x[:validation],
        np.array(data.validation.y[:validation]),
    )
