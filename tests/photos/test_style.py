"""What is measured of a dataset."""

from __future__ import annotations

import numpy as np
import pytest

import fittingroom
from fittingroom.photos.conversion import ForegroundStyle, Style
from tests.photos.drawing import training_images


def test_foregrounds_on_black_are_measured() -> None:
    style = ForegroundStyle.of(training_images(bright=160).astype(np.float32))
    assert style is not None
    assert (style.background, style.extent, style.by_mass) == (0, 1.0, False)
    assert style.mean == pytest.approx(160, abs=5)
    assert style.deviation == pytest.approx(40, abs=5)
    assert style.silhouettes.values.shape == (60, 784)


def test_negative_images_have_a_white_background() -> None:
    style = ForegroundStyle.of(255 - training_images().astype(np.float32))
    assert style is not None
    assert style.background == 255
    assert style.mean == pytest.approx(95, abs=5)


def test_smaller_foregrounds_have_a_smaller_extent() -> None:
    style = ForegroundStyle.of(np.pad(training_images().astype(np.float32), [(0, 0), (7, 7), (7, 7)]))
    assert style is not None
    assert style.extent == pytest.approx(28 / 42)


def test_foregrounds_centred_by_mass_are_recognized() -> None:
    images = np.zeros((40, 28, 28), np.float32)
    generator = np.random.default_rng(0)
    for image in images:  # an L, whose box and mass have different middles, placed by its mass
        length = int(generator.integers(6, 16))
        rows = np.array([*range(length), *[length - 1] * 8])
        columns = np.array([*[0] * length, *range(1, 9)])
        image[rows - round(rows.mean()) + 14, columns - round(columns.mean()) + 14] = 200
    style = ForegroundStyle.of(images)
    assert style is not None
    assert style.by_mass


def test_whole_pictures_have_no_foregrounds() -> None:
    assert ForegroundStyle.of(np.random.default_rng(0).uniform(0, 255, (20, 28, 28)).astype(np.float32)) is None


def test_scale_of_the_dataset_does_not_matter() -> None:
    digits = fittingroom.load("digits")
    style = Style.of(digits.name, digits.train)
    assert style.image_shape == (8, 8)
    assert style.foreground is not None
    assert 100 < style.foreground.mean < 255


def test_pictures_of_a_folder_are_whole() -> None:
    digits = fittingroom.load("digits")
    assert Style.of("folder:/somewhere", digits.train).foreground is None
