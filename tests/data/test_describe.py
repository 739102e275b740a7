from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fittingroom.data.dataset import Dataset, Part
from fittingroom.data.dataset_card import DatasetCard
from fittingroom.data.load import load
from fittingroom.errors import StorageError
from tests.data.builders import images, labels, write_picture_folder


def test_the_facts_of_fashion_mnist(fashion_mnist: Dataset) -> None:
    facts = json.loads(json.dumps(fashion_mnist.describe()))
    assert facts["title"] == "Fashion-MNIST"
    assert facts["licence"] == "MIT"
    assert facts["counts"]["train"] == {"total": 55_000, "per_class": [5500] * 10}
    assert facts["counts"]["validation"] == {"total": 5000, "per_class": [500] * 10}
    assert facts["counts"]["test"] == {"total": 10_000, "per_class": [1000] * 10}
    assert facts["checksums"]["train-images-idx3-ubyte.gz"] == "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"
    assert facts["fingerprint"] == "279065e79ab125ad3826b3a6508dc296"
    assert facts["test_fingerprint"] == "331c943131ddbb3b5e9225e0c449b297"
    assert fashion_mnist.test.openings == ()


def test_own_data_say_what_is_unknown_and_how_pictures_were_resized(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "pets", {"a": 8, "b": 8})
    facts = json.loads(json.dumps(load(f"folder:{root}", validation=0).describe()))
    assert (facts["licence"], facts["homepage"], facts["checksums"]) == ("unknown", "unknown", {})
    assert facts["counts"]["validation"] is None
    assert facts["resize_rule"].startswith("the longest edge is fitted")
    assert any("no test part" in note for note in facts["notes"])


def test_a_sprite_has_a_row_for_each_class_in_order(tmp_path: Path) -> None:
    part = Part(images(9), labels(5, 3, 1).astype(np.int32), ("a", "b", "c"))
    DatasetCard(part).write_sprite(tmp_path / "s.png", per_class=4)
    with Image.open(tmp_path / "s.png") as picture:
        sprite = np.asarray(picture)
    assert sprite.shape == (3 * 30 + 2, 4 * 30 + 2)
    np.testing.assert_array_equal(sprite[2:30, 2:30], part.images[np.flatnonzero(part.labels == 0)[0]])
    np.testing.assert_array_equal(sprite[32:60, 62:90], part.images[np.flatnonzero(part.labels == 1)[2]])
    assert (sprite[62:90, 32:] == 255).all()


def test_a_sprite_of_small_dim_images_is_large_and_bright(tmp_path: Path) -> None:
    DatasetCard(load("digits").train).write_sprite(tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.size == (10 * 34 + 2, 10 * 34 + 2)
        assert np.asarray(picture)[2:34, 2:34].max() > 200


def test_a_sprite_in_colour_is_in_colour(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 3), np.uint8)
    DatasetCard(Part(colour, labels(2, 2).astype(np.int32), ("a", "b"))).write_sprite(tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.mode == "RGB"


def test_a_sprite_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    part = Part(images(9), labels(5, 3, 1).astype(np.int32), ("a", "b", "c"))
    with pytest.raises(StorageError):
        DatasetCard(part).write_sprite(tmp_path / "no" / "s.png")
