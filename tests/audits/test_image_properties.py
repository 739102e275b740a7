"""Properties of images that are made so that each is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fittingroom.audits.image_properties import MEANINGS, WORDS, image_properties
from fittingroom.data.dataset import Part


def _part(images: np.ndarray, scale: float = 255.0, files: tuple[str, ...] = ()) -> Part:
    return Part(images.astype(np.uint8), np.zeros(len(images), np.int32), ("one",), scale, files)


def _boxes() -> np.ndarray:
    """Six boxes on black, 20 × 40 pixels, each one row higher and two columns wider than the one before."""
    images = np.zeros((6, 20, 40), np.uint8)
    for place in range(6):
        images[place, 4 : 5 + place, 10 : 12 + 2 * place] = 100 + place
    return images


def test_boxes_have_their_height_width_area_and_place() -> None:
    found = image_properties(_part(_boxes()))
    assert found["height"] == pytest.approx(np.arange(1, 7) / 20)
    assert found["width"] == pytest.approx(np.arange(2, 13, 2) / 40)
    assert found["filled area"] == pytest.approx(np.arange(1, 7) * np.arange(2, 13, 2) / 800)
    assert found["brightness"] == pytest.approx(found["filled area"] * np.arange(100, 106) / 255, abs=1e-6)
    centre = np.hypot(4 + np.arange(1, 7) / 2 - 10, 10 + np.arange(1, 7) - 20) / (np.hypot(20, 40) / 2)
    assert found["distance from the centre"] == pytest.approx(centre, abs=1e-6)


def test_the_range_of_values_does_not_matter() -> None:
    images = _boxes() // 10
    one, other = image_properties(_part(images, 16.0)), image_properties(_part(images * 10, 160.0))
    assert set(one) == set(other)
    for name in one:
        assert one[name] == pytest.approx(other[name], abs=1e-5)


def test_symmetry_and_what_does_not_vary() -> None:
    draw = np.random.default_rng(0)
    half = draw.integers(0, 255, (8, 10, 5))
    same = np.concatenate([half, half[:, :, ::-1]], axis=2)
    assert "symmetry" not in image_properties(_part(same))  # 1 for all of them
    mixed = np.concatenate([same, draw.integers(0, 255, (8, 10, 10))])
    assert image_properties(_part(mixed))["symmetry"][:8] == pytest.approx(1)
    assert image_properties(_part(np.zeros((9, 4, 4)))) == {}


def test_colour_and_files(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    images = draw.integers(0, 255, (6, 8, 8, 3))
    names = tuple(f"{place}.png" for place in range(6))
    for place, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x" * (100 + place))
    found = image_properties(_part(images, files=names), tmp_path)
    assert found["size of the file"].tolist() == [100, 101, 102, 103, 104, 105]
    assert found["colourfulness"] == pytest.approx((images.max(3) - images.min(3)).mean((1, 2)) / 255, abs=1e-5)
    (tmp_path / "3.png").unlink()
    assert "size of the file" not in image_properties(_part(images, files=names), tmp_path)


def test_every_property_has_words_and_a_meaning() -> None:
    assert set(WORDS) == set(MEANINGS)
    brightness = WORDS["brightness"]
    assert brightness.range(None, 0.118) == "dark images (brightness at most 12%)"
    assert brightness.range(0.5, None, "images of Shirt") == "bright images of Shirt (brightness at least 50%)"
    assert brightness.range(0.02, 0.05) == "images with brightness from 2.0% to 5.0%"
