"""What is unlike the training data is found, and few images like them are."""

from __future__ import annotations

import numpy as np
import pytest

from fittingroom.answers.out_of_distribution import (
    ConfidenceDetector,
    NeighbourDetector,
    hog_features,
    unit_features,
)


def squares(count: int, seed: int, shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bright rectangles on black, upright (class 0) and lying (class 1), and their classes."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 20, (count, 28, 28)).astype(np.uint8)
    labels = np.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        long, short = generator.integers(8, 11), generator.integers(3, 6)
        tall, wide = (long, short) if label == 0 else (short, long)
        image[14 - tall + shift : 14 + tall + shift, 14 - wide : 14 + wide] = generator.integers(120, 255)
    return images, labels


def certain(labels: np.ndarray, classes: int = 2) -> np.ndarray:
    """Logarithms of probabilities of a model that is sure of these labels."""
    return np.log(np.where(np.arange(classes) == labels[:, None], 0.98, 0.02 / (classes - 1)))


@pytest.fixture(scope="module")
def fitted() -> NeighbourDetector:
    images, labels = squares(600, 0)
    return NeighbourDetector.of(hog_features(images, 255.0), labels, certain(labels))


def test_about_five_percent_of_new_images_of_the_same_kind_are_called_unlike(fitted: NeighbourDetector) -> None:
    images, labels = squares(2000, 1)
    unlike, _ = fitted.detect(hog_features(images, 255.0), certain(labels))
    assert 0.02 < unlike.mean() < 0.08


def test_at_most_five_percent_of_the_held_out_images_are_rarer_than_the_threshold(
    fitted: NeighbourDetector,
) -> None:
    own = np.arange(len(fitted.classes))
    rarity = fitted.rarity(fitted.features, certain(fitted.classes), own)
    assert 0.03 < (rarity < fitted.threshold).mean() <= 0.05


def test_rarity_weighs_both_shares_of_the_held_out_images_with_the_new_one() -> None:
    images, labels = squares(60, 8)
    logs = np.log(np.random.default_rng(0).dirichlet([9, 1], 60))
    rule = NeighbourDetector.of(hog_features(images[:40], 255.0), labels[:40], logs[:40])
    found = hog_features(images[40:], 255.0)
    apart = rule.distances(found, logs[40:].argmax(axis=1))
    unsure = -logs[40:].max(axis=1)
    plain = [
        min(1 + (rule.held_out_distances >= far).sum(), 2 * (1 + (rule.surprises >= np.float32(value)).sum())) / 41
        for far, value in zip(apart, unsure, strict=True)
    ]
    np.testing.assert_allclose(rule.rarity(found, logs[40:]), plain)


def test_low_confidence_makes_an_unusual_shape_unlike(fitted: NeighbourDetector) -> None:
    images, labels = squares(600, 9)
    sure = np.where(np.arange(600) % 10 < 8, 0.98, 0.7)  # a model that is unsure of one image in five
    logs = np.log(np.where(np.arange(2) == labels[:, None], sure[:, None], 1 - sure[:, None]))
    rule = NeighbourDetector.of(hog_features(images, 255.0), labels, logs)
    others, their_labels = squares(200, 10)
    alone, _ = rule.detect(hog_features(others, 255.0), certain(their_labels))
    refused, _ = rule.detect(
        hog_features(others, 255.0), np.log(np.where(np.arange(2) == their_labels[:, None], 0.6, 0.4))
    )
    assert alone.mean() < 0.1
    assert refused.mean() > 0.5
    assert refused[alone].all()


@pytest.mark.parametrize("kind", ["noise", "flat", "negative", "circles"])
def test_what_is_nothing_like_them_is_unlike(kind: str, fitted: NeighbourDetector) -> None:
    images, labels = squares(100, 2)
    generator = np.random.default_rng(3)
    rows, columns = np.mgrid[:28, :28] - 13.5
    others = {
        "noise": generator.integers(0, 256, images.shape).astype(np.uint8),
        "flat": np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None], images.shape),
        "negative": 255 - images,
        "circles": np.broadcast_to(np.uint8(200) * (np.hypot(rows, columns) < 10).astype(np.uint8), images.shape),
    }
    unlike, _ = fitted.detect(hog_features(others[kind], 255.0), certain(labels))
    assert unlike.mean() >= 0.95


def test_an_image_of_another_class_than_the_model_says_is_unlike_and_closest_to_its_own(
    fitted: NeighbourDetector,
) -> None:
    images, labels = squares(200, 4)
    unlike, closest = fitted.detect(hog_features(images, 255.0), certain(1 - labels))
    assert unlike.all()
    np.testing.assert_array_equal(closest, labels)


def test_distance_is_that_to_the_tenth_nearest_of_the_predicted_class(fitted: NeighbourDetector) -> None:
    images, labels = squares(20, 5)
    found = hog_features(images, 255.0)
    for vector, label, distance in zip(found, labels, fitted.distances(found, labels), strict=True):
        bank = fitted.features[fitted.classes == label].astype(float)
        plain = sorted(np.sqrt(((vector - other) ** 2).sum()) / 255 for other in bank)
        assert distance == pytest.approx(plain[9], abs=1e-3)


def test_a_class_without_held_out_images_is_compared_with_all(fitted: NeighbourDetector) -> None:
    images, labels = squares(100, 6)
    unlike, _ = fitted.detect(hog_features(images, 255.0), certain(np.full(100, 2), classes=3))
    assert unlike.mean() < 0.2
    assert len(labels) == 100


@pytest.mark.parametrize("count", [1, 2, 5, 18])
def test_too_few_held_out_images_call_nothing_unlike(count: int) -> None:
    images, labels = squares(count, 7)
    rule = NeighbourDetector.of(hog_features(images, 255.0), labels, certain(labels))
    unlike, _ = rule.detect(hog_features(255 - images, 255.0), certain(labels))
    assert not unlike.any()


def test_by_probability_the_least_sure_five_percent_are_unlike() -> None:
    logs = np.log(np.random.default_rng(0).dirichlet(np.ones(10) / 3, 3000))
    unlike, closest = ConfidenceDetector.of(logs[:2000]).detect(np.zeros(0), logs[2000:])
    assert 0.03 < unlike.mean() < 0.07
    np.testing.assert_array_equal(closest, logs[2000:].argmax(axis=1))


def test_features_of_a_backbone_are_compared_as_vectors_of_length_one() -> None:
    maps = np.random.default_rng(0).random((3, 2, 4, 5), np.float32)
    found = unit_features(maps)
    pooled = maps.mean(axis=(1, 2))
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(found.astype(np.float32), expected, atol=1e-3)
    np.testing.assert_array_equal(unit_features(7 * pooled), unit_features(pooled))
    assert not unit_features(np.zeros((1, 5), np.float32)).any()


def test_about_five_percent_of_new_features_of_the_same_kind_are_called_unlike_and_others_are() -> None:
    generator = np.random.default_rng(1)
    labels = np.arange(1200) % 2
    middle = np.array([[5.0, 1, 1, 1, 1, 1], [1.0, 5, 1, 1, 1, 1]])
    features = unit_features(middle[labels] + generator.normal(0, 0.5, (1200, 6)))
    rule = NeighbourDetector.of(features[:600], labels[:600], certain(labels[:600]))
    unlike, _ = rule.detect(features[600:], certain(labels[600:]))
    assert 0.02 < unlike.mean() < 0.09
    others = unit_features(np.array([1.0, 1, 1, 1, 5, 5]) + generator.normal(0, 0.5, (100, 6)))
    assert rule.detect(others, certain(labels[:100]))[0].mean() > 0.95
