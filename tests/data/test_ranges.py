from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.data.ranges import ANY_VALUES, ValueRange
from fittingroom.errors import DataError

Array = np.ndarray[Any, Any]

PIXELS = (np.arange(64 * 64) * 67).reshape(64, 8, 8).astype(np.uint8)
"""64 images with all 256 values, of which each has dark and bright ones."""
MEAN, DEVIATION = PIXELS.mean(), PIXELS.std()

SCALES = {
    "0-255": PIXELS,
    "0-255 as fractions": np.minimum(PIXELS + 0.25, 255),
    "0-1": PIXELS / 255,
    "0-1 float16": (PIXELS / 255).astype(np.float16),
    "0-1, the brightest is grey": PIXELS // 3 / 255,
    "twice": PIXELS / 255 / 255,
    "-1 to 1": PIXELS / 127.5 - 1,
    "standardised": ((PIXELS - MEAN) / DEVIATION).astype(np.float32),
    "digits, standardised": ((PIXELS // 16 + (PIXELS == 255)) / 4.5 - 1.75).astype(np.float32),
    "centred": PIXELS.astype(np.int16) - 128,
    "0-16": PIXELS // 16 + (PIXELS == 255),
    "12 bits": PIXELS.astype(np.uint16) * 16 + 15 * (PIXELS > 0),
    "16 bits": PIXELS.astype(np.uint16) * 257,
    "black and white": (PIXELS > 127).astype(np.uint8),
}
ENDS = {
    "0-255": (0, 255),
    "0-255 as fractions": (0, 255),
    "0-1": (0, 1),
    "0-1 float16": (0, 1),
    "0-1, the brightest is grey": (0, 1),
    "twice": (0, 1 / 255),
    "-1 to 1": (-1, 1),
    "standardised": (-MEAN / DEVIATION, (255 - MEAN) / DEVIATION),
    "digits, standardised": (-1.75, 16 / 4.5 - 1.75),
    "centred": (-128, 127),
    "0-16": (0, 16),
    "12 bits": (0, 4095),
    "16 bits": (0, 65535),
    "black and white": (0, 1),
}


@pytest.mark.parametrize("name", SCALES)
def test_black_and_white_are_known_from_the_values_of_training(name: str) -> None:
    found = ValueRange.of(SCALES[name])
    assert (found.black, found.white) == pytest.approx(ENDS[name], rel=1e-5)


@pytest.mark.parametrize("name", ["0-255", "0-1", "-1 to 1", "standardised", "twice", "centred", "16 bits"])
def test_pixels_become_the_values_of_training(name: str) -> None:
    values = ValueRange.of(SCALES[name])
    np.testing.assert_allclose(values.of_pixels(PIXELS, "x.png"), SCALES[name], rtol=1e-5, atol=1e-6 * values.highest)
    assert ValueRange.from_dict({**vars(values)}) == values


@pytest.mark.parametrize(
    "images",
    [
        (PIXELS - PIXELS.mean(0)) / (PIXELS.std(0) + 1),  # pixel by pixel
        PIXELS // 3,  # whole numbers up to 85: 8 bits in the dark, or something else
        np.sqrt(PIXELS / 255) * 0.3,
    ],
)
def test_pixels_are_refused_where_black_and_white_are_not_known(images: Array) -> None:
    with pytest.raises(DataError, match=r"x.png cannot be converted: .* values from .* not known which .*standardised"):
        ValueRange.of(images).of_pixels(PIXELS, "x.png")
    with pytest.raises(DataError, match="values that an older version did not record"):
        ANY_VALUES.of_pixels(PIXELS, "x.png")
    assert ANY_VALUES.difference(images) is None


@pytest.mark.parametrize(
    ("trained", "given", "mend"),
    [
        ("0-1", "0-255", "values from 0 to 255, and the training images from 0 to 1. Divide them by 255."),
        ("0-1", "0-16", "Divide them by 16."),
        ("0-1", "12 bits", "Divide them by 4095."),
        ("0-1", "twice", "divided by 255 twice: multiply them by 255."),
        ("0-1", "-1 to 1", "Convert them: (x + 1) / 2."),
        ("0-1", "standardised", "Undo their standardisation first"),
        ("0-255", "0-1", "Multiply them by 255."),
        ("0-255", "-1 to 1", "Convert them: (x + 1) * 127.5."),
        ("0-255", "standardised", "Undo their standardisation first"),
        ("0-255", "16 bits", "Divide them by 257."),
        ("0-16", "0-255", "Divide them by 15.9375."),
        ("0-16", "0-1", "Multiply them by 16."),
        ("-1 to 1", "0-255", "Convert them: x / 127.5 - 1."),
        ("standardised", "0-255", "Convert them: x / "),
        ("16 bits", "0-255", "Multiply them by 257."),
        ("black and white", "0-255", "Divide them by 255."),
    ],
)
@pytest.mark.parametrize("count", [1, 64])
def test_values_of_another_scale_mean_nothing(trained: str, given: str, mend: str, count: int) -> None:
    images = SCALES[given][:count]
    difference = ValueRange.of(SCALES[trained]).difference(images)
    assert difference is not None
    assert difference.meaningless
    assert count == 1 or mend in difference.sentence


@pytest.mark.parametrize(
    ("trained", "given"), [("-1 to 1", "0-1"), ("standardised", "0-1"), ("0-255", "0-16"), ("0-255", "black and white")]
)
def test_values_that_many_images_do_not_have_are_said_and_not_refused(trained: str, given: str) -> None:
    values = ValueRange.of(SCALES[trained])
    difference = values.difference(SCALES[given])
    assert difference is not None
    assert not difference.meaningless
    assert values.difference(SCALES[given][:5]) is None


@pytest.mark.parametrize("name", ["0-255", "0-1", "-1 to 1", "standardised", "0-16", "12 bits", "black and white"])
@given(share=st.floats(0, 1), count=st.integers(1, 10), seed=st.integers(0, 99))
def test_dark_bright_black_and_sparse_images_are_on_the_scale(name: str, share: float, count: int, seed: int) -> None:
    images, (black, white) = SCALES[name], ENDS[name]
    values = ValueRange.of(images)
    some = np.random.default_rng(seed).permutation(images)[:count]
    dark = black + (some - black) * share
    if np.issubdtype(images.dtype, np.integer):
        dark = np.rint(dark).astype(images.dtype)
    elif share < 0.02:
        dark = np.full_like(some, black)  # fractions of steps are no pictures that dark
    sparse = np.full_like(some, black)
    sparse[0, 0, 0] = white
    for legitimate in (some, dark, sparse, np.full_like(some, black), np.full_like(some, white)):
        assert values.difference(legitimate) is None


def test_noise_and_brighter_light_are_on_the_scale() -> None:
    values = ValueRange.of(SCALES["0-1"])
    noisy = SCALES["0-1"] + np.random.default_rng(0).normal(0, 0.3, PIXELS.shape)
    for images in (noisy, SCALES["0-1"] * 3):
        difference = values.difference(images)
        assert difference is None or not difference.meaningless


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_images_that_are_not_finite_are_counted(bad: float) -> None:
    images = SCALES["0-1"].copy()
    images[[3, 5], 0, 0] = bad
    with pytest.raises(DataError, match=r"2 of the images hold NaN or infinite values, the first at \[3, 5\]"):
        ValueRange.require_finite(images, "the images")


@pytest.mark.parametrize(
    "change",
    [
        {"lowest": None},
        {"lowest": 2.0},
        {"black": None},
        {"white": float("nan")},
        {"whole": "x"},
        {"highest": "a"},
        {"highest": 10**400},
        {"highest": True},
    ],
)
def test_a_damaged_range_is_refused(change: dict[str, Any]) -> None:
    stored = {"lowest": 0.0, "highest": 1.0, "whole": False, "black": 0.0, "white": 1.0, **change}
    with pytest.raises((ValueError, TypeError)):
        ValueRange.from_dict(stored)
