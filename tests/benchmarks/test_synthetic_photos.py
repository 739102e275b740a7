"""Photographs drawn from validation images show the foreground, and the pipeline finds it again."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.synthetic_photos import on_a_floor, rows_of
from fittingroom import load
from fittingroom.data.dataset import Dataset
from fittingroom.photos.conversion import Conversion, Style


@pytest.fixture(scope="module")
def fashion_mnist() -> Dataset:
    return load("fashion-mnist")


def test_the_foreground_is_found_where_it_was_laid(fashion_mnist: Dataset) -> None:
    style = Style.of(fashion_mnist.name, fashion_mnist.train)
    assert style.foreground is not None
    trousers = fashion_mnist.train.images[fashion_mnist.train.labels == 1][:5]
    for image in trousers:
        found = Conversion.of(on_a_floor(image, style.foreground, np.random.default_rng(0)), style).image
        rows, columns = np.nonzero(found > 20)
        assert np.ptp(rows) == 27
        assert np.ptp(columns) < 20  # turned and widened, but no floor beside it


def test_a_class_that_is_named_too_often_shows() -> None:
    rows = rows_of(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), ["coat", "shirt"])
    assert [(row[0], row[1], row[2], row[4]) for row in rows] == [
        ("all", "4", "75.0%", ""),
        ("coat", "2", "100.0%", "1.50"),
        ("shirt", "2", "50.0%", "0.50"),
    ]
