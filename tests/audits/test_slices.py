"""Slices: none is found where outcomes are shuffled, planted ones are, and the check says it in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.audits.slice_search import ImageSlice, SliceData, SliceSearch, smallest_gap
from fittingroom.recipes.named import NAMED


def _data(draw: np.random.Generator, images: int = 4000, seeds: int = 1, classes: int = 5) -> SliceData:
    """Images with mistakes at random, 12 of 100; properties that say something of the class."""
    labels = draw.integers(0, classes, images)
    wrong = draw.random((seeds, images)) < 0.12
    predicted = np.where(wrong, (labels + draw.integers(1, classes, (seeds, images))) % classes, labels)
    properties = {
        "brightness": draw.normal(labels / 2, 1),
        "width": np.round(draw.normal(0, 3, images)),
        "contrast": draw.random(images),
    }
    return SliceData(labels, predicted, classes, properties, draw.integers(0, 12, images))


@pytest.mark.parametrize(("images", "seeds", "trials"), [(1500, 1, 40), (300, 1, 60), (600, 3, 12)])
def test_shuffled_outcomes_have_hardly_ever_a_slice(images: int, seeds: int, trials: int) -> None:
    alarms = sum(
        bool(SliceSearch.of(_data(np.random.default_rng([images, seed]), images, seeds)).confirmed)
        for seed in range(trials)
    )
    assert alarms <= trials / 8  # measured are 2%


def test_a_planted_slice_is_found_and_named() -> None:
    found = 0
    for seed in range(20):
        draw = np.random.default_rng([7, seed])
        data = _data(draw)
        values = data.properties["contrast"]
        inside = (values >= 0.5) & (values <= 0.54) if seed % 2 else values >= 0.96
        extra = inside & (draw.random(len(values)) < 0.25)
        predicted = np.where(extra, (data.labels + 1) % 5, data.predicted)
        planted = SliceData(data.labels, predicted, 5, data.properties, data.clusters)
        groups = [one for one in SliceSearch.of(planted).confirmed if one.group.name == "contrast"]
        members = [one.group.members(planted) for one in groups]
        found += any((one & inside).sum() > 0.5 * (one | inside).sum() for one in members)
    assert found >= 17


def test_a_weak_class_and_a_confusion_are_found_once_with_the_numbers_of_all_images() -> None:
    draw = np.random.default_rng(3)
    data = _data(draw)
    taken = (data.labels == 2) & (draw.random(4000) < 0.3)
    data = SliceData(data.labels, np.where(taken, 4, data.predicted), 5, data.properties, data.clusters)
    confirmed = SliceSearch.of(data).confirmed
    groups = [one.group for one in confirmed]
    assert groups.count(ImageSlice("class", 2)) == 1
    assert ImageSlice("confusion", 2, 4) in groups
    weak = next(one for one in confirmed if one.group.kind == "class")
    assert weak.gap.accuracy == pytest.approx(1 - data.wrong[data.labels == 2].mean())
    assert weak.count == (data.labels == 2).sum()


def test_more_images_show_smaller_gaps() -> None:
    few, many = smallest_gap(1000, 0.88), smallest_gap(20000, 0.88)
    assert few is not None
    assert many is not None
    assert many < few
    assert smallest_gap(100, 0.88) is None


def test_odd_data_are_searched_too() -> None:
    draw = np.random.default_rng(0)
    for images, classes in ((30, 2), (200, 100), (1, 2), (500, 2)):
        labels = draw.integers(0, classes, images)
        labels[0] = classes - 1
        predicted = draw.integers(0, classes, (2, images))
        data = SliceData(labels, predicted, classes, {"width": np.zeros(images)}, np.empty(0, np.int64))
        assert SliceSearch.of(data).tested >= 0
    right = SliceData(labels, labels[None], 2, {}, np.empty(0, np.int64))
    assert SliceSearch.of(right).confirmed == ()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fr.Run:
    """Two seeds on digits."""
    folder: Path = tmp_path_factory.mktemp("slices")
    return fr.train("digits", NAMED["course"].recipe.with_settings(["epochs=3"]), seeds=2, out=folder / "run")


def test_the_check_of_a_run_and_of_a_dataset(run: fr.Run) -> None:
    (result,) = run.audit(only="slices").results
    assert result.verdict in {"found", "unsure"}  # so few images would not show much
    assert result.facts["seeds"] == 2
    assert "were looked at, each on one half" in result.sentences[-1]
    for one in result.facts["slices"]:
        assert one["shown"]
        assert one["interval"][1] < 0
    (without,) = fr.audit(fr.load("digits"), only="slices").results
    assert without.verdict == "not examined"
