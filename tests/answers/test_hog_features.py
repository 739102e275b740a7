"""HOG features tell edges by their place and direction, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from fittingroom.answers.out_of_distribution import CELLS, DIRECTIONS, LENGTH, _distances, _Vectors, hog_features

RANDOM = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)


def apart(one: np.ndarray, other: np.ndarray, scale: float = 255.0) -> float:
    return float(
        _distances(_Vectors.of(hog_features(one[None], scale)), _Vectors.of(hog_features(other[None], scale)))[0, 0]
    )


def square(brightness: int = 200, background: int = 0) -> np.ndarray:
    image = np.full((28, 28), background, np.uint8)
    image[8:20, 8:20] = brightness
    return image


def test_an_edge_has_its_place_and_its_direction() -> None:
    image = np.zeros((28, 28), np.uint8)
    image[:, 14:] = 255
    found = hog_features(image[None], 255.0).reshape(CELLS, CELLS, DIRECTIONS)
    assert set(zip(*np.nonzero(found.any(axis=0)), strict=True)) == {(3, 0)}  # the fourth column; brighter to the right


def test_contrast_makes_no_difference_and_polarity_does() -> None:
    assert apart(square(200), square(100)) < 0.02
    assert apart(square(200, 0), square(0, 200)) > 1.0


def test_scale_makes_no_difference() -> None:
    small = np.minimum(RANDOM, 15)
    np.testing.assert_array_equal(hog_features(small, 16.0), hog_features(small * 15, 240.0))


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_flat_image_has_no_hog_features(value: int) -> None:
    assert not hog_features(np.full((1, 28, 28), value, np.uint8), 255.0).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 8), (5, 40), (32, 32, 3), (100, 64), (224, 224, 3)])
def test_images_of_any_size_and_colour_have_one(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.uint8)
    assert hog_features(images, 255.0).shape == (2, LENGTH)


def test_a_large_image_is_seen_as_the_small_one() -> None:
    assert apart(square(), square().repeat(8, axis=0).repeat(8, axis=1)) < 1e-6


def test_distances_are_those_of_hellinger() -> None:
    found = _Vectors.of(hog_features(RANDOM, 255.0))
    shares = found.values.astype(float) ** 2
    plain = [[np.sqrt(((np.sqrt(one) - np.sqrt(other)) ** 2).sum()) for other in shares] for one in shares]
    np.testing.assert_allclose(_distances(found, found), plain, atol=1e-3)
    assert np.diag(_distances(found, found)).max() < 1e-3


def test_the_number_of_images_at_once_makes_no_difference() -> None:
    images = np.tile(RANDOM, (200, 1, 1))
    np.testing.assert_array_equal(hog_features(images, 255.0)[:3], hog_features(RANDOM, 255.0))
    assert hog_features(images[:0], 255.0).shape == (0, LENGTH)
