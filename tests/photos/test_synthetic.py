"""Synthetic photos show a dataset's foregrounds, changed, and are the same ones every time."""

from __future__ import annotations

import numpy as np
import pytest

import fittingroom
from fittingroom.data.dataset import Dataset
from fittingroom.photos.conversion import ForegroundStyle, Style
from fittingroom.photos.synthetic import synthetic_inputs, synthetic_photo


@pytest.fixture(scope="module")
def fashion_mnist() -> Dataset:
    return fittingroom.load("fashion-mnist")


@pytest.fixture(scope="module")
def style(fashion_mnist: Dataset) -> ForegroundStyle:
    found = Style.of(fashion_mnist.name, fashion_mnist.train).foreground
    assert found is not None
    return found


def test_a_synthetic_photo_shows_the_whole_foreground(fashion_mnist: Dataset, style: ForegroundStyle) -> None:
    trousers = fashion_mnist.train.images[fashion_mnist.train.labels == 1][:20]
    for number, image in enumerate(trousers):
        picture, mask = synthetic_photo(image.astype(np.float32), style, np.random.default_rng(number))
        assert picture.shape == mask.shape
        assert mask[1:-1, 1:-1].sum() == mask.sum()  # nothing is cut off
        rows, columns = np.nonzero(mask)
        assert 70 < np.ptp(rows) < 100  # three pixels for each of the 28, turned a little
        assert np.ptp(columns) < 70


def test_synthetic_inputs_are_like_training_images_but_none_of_them(
    fashion_mnist: Dataset, style: ForegroundStyle
) -> None:
    images = fashion_mnist.train.images[:40]
    made = synthetic_inputs(images, style, 255.0)
    assert made.shape == images.shape
    assert made.dtype == np.uint8
    foregrounds = made > 20
    assert foregrounds.any(axis=2).sum(axis=1).max() == 28
    own = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(made, images, strict=True)]
    assert 0.5 < np.mean(own) < 0.95


def test_each_image_has_the_same_photo_every_time_whatever_comes_with_it(
    fashion_mnist: Dataset, style: ForegroundStyle
) -> None:
    images = fashion_mnist.train.images[:6]
    made = synthetic_inputs(images, style, 255.0)
    np.testing.assert_array_equal(synthetic_inputs(images, style, 255.0), made)
    np.testing.assert_array_equal(synthetic_inputs(images[:2], style, 255.0), made[:2])
    same = synthetic_inputs(np.repeat(images[:1], 2, axis=0), style, 255.0)
    assert (same[0] != same[1]).any()


def test_nothing_is_mirrored(style: ForegroundStyle) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[2:26, 4:8], image[22:26, 4:20] = 200, 200  # an L
    made = synthetic_inputs(np.repeat(image[None], 30, axis=0), style, 255.0).astype(np.float64)
    left, right = made[:, :14, :14].sum(axis=(1, 2)), made[:, :14, 14:].sum(axis=(1, 2))
    assert (left > right).all()


def test_other_scales_sizes_and_colours() -> None:
    digits = fittingroom.load("digits")
    style = Style.of(digits.name, digits.train).foreground
    assert style is not None
    made = synthetic_inputs(digits.train.images[:20], style, 16.0)
    assert made.shape == (20, 8, 8)
    assert 8 < made.max() <= 16
    coloured = np.repeat(digits.train.images[:3, :, :, None], 3, axis=3)
    assert synthetic_inputs(coloured, style, 16.0).shape == (3, 8, 8, 3)


def test_an_empty_image_is_borne(style: ForegroundStyle) -> None:
    assert synthetic_inputs(np.zeros((1, 28, 28), np.uint8), style, 255.0).shape == (1, 28, 28)
