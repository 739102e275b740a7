"""Measures against scikit-learn and simulations, and what is said of classes, confidence and given groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, f1_score

import fittingroom as fr
from fittingroom.audits.accuracy_measures import check_measures
from fittingroom.audits.audit_progress import ShownProgress
from fittingroom.audits.check import AuditSubject, CheckResult
from fittingroom.audits.class_means import ClassMeans
from fittingroom.audits.image_groups import ImageGroups
from fittingroom.data.dataset import Dataset
from fittingroom.recipes.named import NAMED
from fittingroom.runs.outcomes import KeptOutcomes

_SHARES = np.array([0.95, 0.9, 0.6])


def _drawn(draw: np.random.Generator, images: int) -> tuple[np.ndarray, np.ndarray]:
    labels = draw.choice(3, images, p=[0.7, 0.2, 0.1])
    wrong = (labels + draw.integers(1, 3, images)) % 3
    return labels, np.where(draw.random(images) < _SHARES[labels], labels, wrong)


def test_balanced_accuracy_and_macro_f1_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    labels, one = _drawn(draw, 200)
    other = np.where(draw.random(200) < 0.1, (one + 1) % 3, one)
    means = ClassMeans.of(labels, np.stack([one, other]), 4)
    expected = [
        (balanced_accuracy_score(labels, each), f1_score(labels, each, average="macro")) for each in (one, other)
    ]
    assert (means.balanced.value, means.macro_f1.value) == pytest.approx(np.mean(expected, axis=0))
    assert means.above.value == pytest.approx(
        ((one == labels).mean() + (other == labels).mean()) / 2 - means.balanced.value
    )


@pytest.mark.parametrize("images", [150, 1000])
def test_intervals_hold_the_truth(images: int) -> None:
    many, predicted = _drawn(np.random.default_rng(1), 500_000)
    truth = ClassMeans.of(many, predicted[None], 3)
    held = np.zeros(3)
    for seed in range(200):
        labels, predicted = _drawn(np.random.default_rng([2, seed]), images)
        found = ClassMeans.of(labels, predicted[None], 3)
        held += [
            found.balanced.interval.low <= truth.balanced.value <= found.balanced.interval.high,
            found.macro_f1.interval.low <= truth.macro_f1.value <= found.macro_f1.interval.high,
            found.above.interval.low <= truth.above.value <= found.above.interval.high,
        ]
    assert (held / 200 >= 0.9).all()  # measured are 93 to 95%


def test_all_right_one_class_and_a_single_image_are_measured() -> None:
    for labels in (np.zeros(5, np.int64), np.array([1]), np.arange(4)):
        means = ClassMeans.of(labels, labels[None], 4)
        assert means.balanced.value == means.macro_f1.value == 1
        assert means.balanced.interval.low < 1
        assert means.above.interval.low <= 0 <= means.above.interval.high


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Pictures of two classes with a table that has a site, an age, and a number for each picture."""
    folder: Path = tmp_path_factory.mktemp("pictures")
    rows = ["file_name,label,site,age,id"]
    for place in range(800):
        name = f"{place:03}.png"
        Image.fromarray(np.full((4, 4), place % 251, np.uint8)).save(folder / name)
        rows.append(f"{name},{'ab'[place % 2]},{'north' if place % 3 else 'south'},{20 + place % 61},x{place}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return fr.load(f"folder:{folder}", validation=300)


def _check(dataset: Dataset, confidence: float = 0.8, south: float = 0.8, seeds: int = 1) -> CheckResult:
    """The check of answers that are right for a share of the pictures: of the site in the south, `south`.

    All seeds answer alike.
    """
    part = dataset.validation
    assert part is not None
    (site,) = (one for one in ImageGroups.all_of(dataset, part) if one.name == "site")
    kept = []
    for _ in range(seeds):
        draw = np.random.default_rng(3)
        right = draw.random(len(part)) < np.where(site.of == site.values.index("south"), south, confidence)
        predicted = np.where(right, part.labels, 1 - part.labels)
        chances = np.where(predicted[:, None] == np.arange(2), 0.8, 0.2)
        own = np.log(chances[np.arange(len(part)), part.labels])
        arrays = {
            "loss": -own,
            "predicted": predicted,
            "probability": np.exp(own),
            "log_probabilities": np.log(chances),
        }
        kept.append(KeptOutcomes.of(arrays, part.labels))
    return check_measures(AuditSubject(dataset, NAMED["course"].recipe, None, tuple(kept), None, ShownProgress()))


def test_groups_are_columns_of_few_values_and_quarters_of_numbers(pictures: Dataset) -> None:
    part = pictures.validation
    assert part is not None
    site, age = ImageGroups.all_of(pictures, part)  # the ids are not groups
    assert (site.name, site.values) == ("site", ("north", "south"))
    south = [int(Path(name).stem) % 3 == 0 for name in part.files]
    assert (site.of == 1).tolist() == south
    assert age.name == "age"
    assert len(age.values) == 4
    assert np.bincount(age.of).min() >= 0.15 * len(part)


def test_folders_inside_class_folders_are_groups(tmp_path: Path) -> None:
    for place in range(48):
        path = tmp_path / "ab"[place % 2] / f"camera{place // 2 % 2}" / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), place, np.uint8)).save(path)
    dataset = fr.load(f"folder:{tmp_path}")
    (level,) = ImageGroups.all_of(dataset, dataset.train)  # the first level is the class
    assert level.values == ("camera0", "camera1")
    assert level.of.tolist() == [int(name.split("/")[1][-1]) for name in dataset.train.files]
    assert ImageGroups.all_of(fr.load("digits"), fr.load("digits").train) == ()


def test_a_weak_group_is_told_and_equal_ones_are_not(pictures: Dataset) -> None:
    weak = _check(pictures, south=0.3)
    assert weak.verdict == "found"
    assert any("By site, the run is" in sentence for sentence in weak.sentences)
    assert "State the accuracy of each group, and find out whether" in " ".join(weak.advice)
    equal = _check(pictures, seeds=2)
    assert equal.verdict == "clear"
    assert "No difference was shown between the groups of site and age." in equal.sentences
    assert equal.facts["seeds"] == 2


def test_a_class_that_small_numbers_hide_is_told(pictures: Dataset) -> None:
    part = pictures.validation
    assert part is not None
    predicted = np.zeros_like(part.labels)
    chances = np.where(np.arange(2) == 0, 0.97, 0.03) * np.ones((len(part), 1))
    own = np.log(chances[np.arange(len(part)), part.labels])
    arrays = {"loss": -own, "predicted": predicted, "probability": np.exp(own), "log_probabilities": np.log(chances)}
    kept = (KeptOutcomes.of(arrays, part.labels),)
    result = check_measures(AuditSubject(pictures, NAMED["course"].recipe, None, kept, None, ShownProgress()))
    assert any(sentence.startswith("The worst class is b: 0.0% of its images") for sentence in result.sentences)
    assert result.facts["per_class"][1]["confidence"] is None
    nothing = check_measures(AuditSubject(pictures, NAMED["course"].recipe, None, (), None, ShownProgress()))
    assert nothing.verdict == "not examined"
