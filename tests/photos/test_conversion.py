"""From a photo to a model's input: what each step promises."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fittingroom.photos.conversion import Conversion, ForegroundStyle, Style
from tests.photos.drawing import photo, shirt_mask, training_images

NAMES = ["photo", "foreground", "crop", "proportions", "grey", "polarity", "contrast", "size", "centre"]


@pytest.fixture(scope="module")
def style() -> Style:
    return Style((28, 28), ForegroundStyle.of(training_images().astype(np.float32)))


def overlap(conversion: Conversion) -> float:
    """How much of the image is the shirt: intersection over union with a training shirt of the same proportions."""
    found = conversion.image > 20
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    corner, side = (int(columns[0]), int(rows[0])), (int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
    expected = shirt_mask((28, 28), corner, side)
    return float((found & expected).sum() / (found | expected).sum())


def test_every_step_keeps_its_picture_and_says_what_it_did(style: Style) -> None:
    conversion = Conversion.of(photo()[0], style)
    assert [step.name for step in conversion.steps] == NAMES
    for step in conversion.steps:
        assert step.note
        assert step.picture is not None
        assert step.picture.dtype == np.uint8
    assert conversion.image is conversion.steps[-1].picture


def test_dark_shirt_becomes_a_bright_shirt_on_black(style: Style) -> None:
    conversion = Conversion.of(photo()[0], style)
    assert conversion.image.shape == (28, 28)
    assert overlap(conversion) > 0.85
    assert conversion.image[10:20, 12:16].mean() == pytest.approx(160, abs=25)
    assert conversion.image[:, 0].max() == conversion.image[:, -1].max() == 0
    assert "negative" in conversion.steps[5].note


def test_bright_shirt_stays_bright(style: Style) -> None:
    conversion = Conversion.of(photo(colour=(250, 250, 250))[0], style)
    assert overlap(conversion) > 0.85
    assert "as it is" in conversion.steps[5].note


@pytest.mark.parametrize("corner", [(30, 30), (110, 120)])
def test_place_of_the_foreground_does_not_matter(style: Style, corner: tuple[int, int]) -> None:
    assert overlap(Conversion.of(photo(corner=corner)[0], style)) > 0.85


def test_longest_edge_fills_the_image_as_in_training(style: Style) -> None:
    image = Conversion.of(photo()[0], style).image
    assert image[0].max() > 20
    assert image[-1].max() > 20


def test_wide_shirt_gets_the_proportions_of_training_images(style: Style) -> None:
    conversion = Conversion.of(photo(size=(400, 300), corner=(60, 40), side=(280, 220))[0], style)
    assert "64% of its width" in conversion.steps[3].note


def test_same_photo_gives_the_same_image(style: Style) -> None:
    picture = photo()[0]
    first = Conversion.of(picture, style).image
    Conversion.of(photo(colour=(200, 30, 30))[0], style)
    np.testing.assert_array_equal(first, Conversion.of(picture, style).image)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(16, 16), (17, 300), (640, 40)])
def test_flat_pictures_of_any_size_have_no_foreground_and_no_error(
    style: Style, mode: str, size: tuple[int, int]
) -> None:
    conversion = Conversion.of(Image.new(mode, size, 128 if mode == "L" else (128, 128, 128)), style)
    assert conversion.image.shape == (28, 28)


def test_noise_is_no_error(style: Style) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    assert Conversion.of(Image.fromarray(pixels), style).image.shape == (28, 28)


def test_images_in_colour_keep_it(style: Style) -> None:
    conversion = Conversion.of(photo(colour=(200, 30, 30))[0], Style((32, 24, 3), style.foreground))
    assert conversion.image.shape == (32, 24, 3)
    red, green, blue = conversion.image[10:20, 9:14].reshape(-1, 3).mean(axis=0)
    assert red > green
    assert red > blue


def test_whole_pictures_are_resized_as_those_of_a_folder() -> None:
    conversion = Conversion.of(photo()[0], Style((28, 28)))
    assert [step.name for step in conversion.steps] == ["photo", "size"]
    assert conversion.foreground is None
    assert conversion.image[:, 4:24].min() > 0  # the floor is still there
    assert conversion.image[:, :3].max() == 0
