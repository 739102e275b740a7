"""The errata of Fashion-MNIST: what is written of suspects and copies, and that the published list is of its images."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from benchmarks.errata import Errata, write_errata
from fittingroom.audits.label_probabilities import LabelSuspects
from fittingroom.audits.planted_noise import WrongLabels
from fittingroom.data.catalogue import FASHION_MNIST
from fittingroom.data.listed_rows import image_name
from fittingroom.data.review_list import ReviewList

PUBLISHED = Path(__file__).parents[2] / "docs" / "errata"


def test_the_list_has_every_suspect_without_a_decision_and_the_page_says_that_nobody_checked(tmp_path: Path) -> None:
    data = fr.load("digits")
    assert data.validation is not None
    parts = {"train": data.train, "test": data.validation}  # a part whose labels the test may read
    labels = np.concatenate([part.labels for part in parts.values()])
    probability = np.zeros(len(labels))
    probability[[5, 9, len(data.train) + 3]] = 0.9, 0.6, 0.7
    logs = np.log(np.full((len(labels), 10), 0.1, np.float32))
    wrong = WrongLabels(probability, 0.01, 0.5, 0.8, 600)
    values: dict[str, Any] = {"labels": labels, "log_probabilities": logs, "wrong": wrong}
    values |= {"score": probability.astype(np.float32), "examined": np.ones(len(labels), np.bool_)}
    suspects = LabelSuspects(**{field.name: values[field.name] for field in fields(LabelSuspects)})
    write_errata(Errata(parts, suspects, ((("train", 5), ("test", 3)),)), tmp_path, 2.0)
    rows = ReviewList.read(tmp_path / "fashion-mnist.csv").rows
    assert [(row.part, row.index, row.check, row.decision) for row in rows] == [
        ("train", 5, "labels", ""),
        ("train", 9, "labels", ""),
        ("test", 3, "labels", ""),
        ("train", 5, "duplicates", ""),
    ]
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert f"| training | {len(data.train):,} | 2 | 1.5 | 1.5 |" in text
    assert "Nobody has checked them" in text
    assert {path.name for path in tmp_path.glob("*.png")} == {"fashion-mnist-train.png", "fashion-mnist-test.png"}


def test_the_published_list_is_of_the_images_of_fashion_mnist() -> None:
    rows = ReviewList.read(PUBLISHED / "fashion-mnist.csv").rows
    assert {row.part for row in rows} == {"train", "test"}
    assert not any(row.decision for row in rows)
    if FASHION_MNIST.system_folder is None or not FASHION_MNIST.system_folder.is_dir():
        pytest.skip("the package dataset-fashion-mnist is not installed")
    train = fr.load("fashion-mnist", validation=0).train
    for row in rows:
        if row.part == "train":
            assert row.index is not None
            assert row.image == image_name(None, "", np.asarray(train.images[row.index]))
            assert row.label == train.classes[train.labels[row.index]]
