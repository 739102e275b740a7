from __future__ import annotations

import numpy as np
import pytest

from fittingroom.classical.hog import BINS, hog_features


def stripes(angle: float, size: int = 28) -> np.ndarray:
    """Sine waves whose gradient points in a direction, in degrees, counted from the right and downwards."""
    rows, columns = np.mgrid[:size, :size]
    wave = np.sin((columns * np.cos(np.radians(angle)) + rows * np.sin(np.radians(angle))) * 0.9)
    return np.asarray(127 + 120 * wave, dtype=np.uint8)[None]


@pytest.mark.parametrize("number", range(BINS))
def test_the_direction_of_stripes_has_the_largest_bin(number: int) -> None:
    features = hog_features(stripes(180 * number / BINS)).reshape(-1, BINS)
    assert features.mean(axis=0).argmax() == number


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 7), (8, 8), (14, 14), (28, 28, 3), (224, 160, 3)])
def test_images_of_any_size_have_features_that_are_finite_and_do_not_depend_on_their_neighbours(
    shape: tuple[int, ...],
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    images[1] = 0
    features = hog_features(images)
    assert np.isfinite(features).all()
    assert (features >= 0).all()
    assert (features <= 1).all()
    assert not features[1].any()
    assert np.array_equal(features[2:], hog_features(images[2:]))


def test_brightness_and_a_negative_change_nothing_and_grey_is_a_colour() -> None:
    image = stripes(30) // 2
    assert np.allclose(hog_features(image), hog_features(image + 60), atol=1e-4)
    assert np.allclose(hog_features(image), hog_features(255 - image), atol=1e-4)
    assert np.allclose(hog_features(image), hog_features(np.repeat(image[..., None], 3, axis=-1)), atol=1e-6)
