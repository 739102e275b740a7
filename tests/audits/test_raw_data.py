"""The check of the raw data: what was planted is found and named, and clean data are called clear."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import fittingroom as fr
from fittingroom.audits.check import AuditSubject, CheckResult, EvidenceTable, Gallery
from fittingroom.audits.image_properties import WORDS
from fittingroom.audits.raw_data import check_raw_data
from fittingroom.audits.raw_differences import ERROR, PartComparison
from fittingroom.audits.raw_measures import MeasuredPart, RawMeasures
from fittingroom.data.dataset import Dataset, Part
from fittingroom.data.load import load
from fittingroom.recipes.named import NAMED

RANDOM = np.random.default_rng(0)
STEPS: list[str] = []


def checked(dataset: Dataset) -> CheckResult:
    """The check alone, on a dataset whose test part nothing may open or inspect."""
    STEPS.clear()

    def progress(what: str, done: int = 0, total: int = 0) -> None:
        assert 0 <= done <= total or not total
        STEPS.append(what)

    return check_raw_data(AuditSubject(dataset, NAMED["course"].recipe, None, (), None, progress))


def noise(count: int, *shape: int) -> NDArray[np.uint8]:
    return RANDOM.integers(0, 256, (count, *(shape or (12, 12))), np.uint8)


def saved(path: Path, images: NDArray[np.uint8], labels: NDArray[Any], **arrays: Any) -> str:
    np.savez(path, x_train=images, y_train=labels, **arrays)
    return f"npz:{path}"


def test_clean_data_are_clear_and_the_test_part_stays_sealed() -> None:
    dataset = load("digits")
    result = checked(dataset)
    assert result.verdict == "clear"
    assert result.sentences == (
        "1,437 images of 10 classes: none is blank or clipped, the classes are even, and no difference between the "
        "parts was shown.",
    )
    assert (result.findings, result.advice) == ((), ())
    assert (dataset.test.openings, dataset.test.inspections) == ((), ())
    counts, sheet, *_ = result.evidence
    assert isinstance(counts, EvidenceTable)
    assert counts.rows[-1] == ("all", "1,317", "120", "360")
    assert isinstance(sheet, Gallery)
    assert (len(sheet.images), sheet.columns) == (40, 4)
    assert max(image.pixels.max() for image in sheet.images) == 255  # of 0 to 16
    assert {"looking at the training images", "looking at the validation images"} <= {*STEPS}


def test_images_in_which_nothing_shows_are_found_where_they_are(tmp_path: Path) -> None:
    images = noise(200, 12, 12, 3)
    images[3] = [200, 10, 30]
    images[5] = 0
    images[7] = 128 + RANDOM.integers(0, 4, images[7].shape)
    images[9, :, :7] = 255
    images[11, :9] = 0
    result = checked(load(saved(tmp_path / "a.npz", images, np.arange(200) % 4), validation=0))
    assert result.verdict == "found"
    train = load(f"npz:{tmp_path / 'a.npz'}", validation=0).train
    assert train.rows is not None
    found = {}
    for finding in result.findings:
        image = train.images[finding.index]
        (place,) = np.flatnonzero((images == image).all(axis=(1, 2, 3)))
        found[int(place)] = finding.why
        assert finding.label == train.classes[train.labels[finding.index]]
    kept = {3: "blank", 5: "blank", 7: "nearly blank", 9: "of it is pure white", 11: "of it is pure black"}
    here = {int(np.flatnonzero((images == image).all(axis=(1, 2, 3)))[0]) for image in train.images}  # some are tested
    assert {place for place in kept if place in here} == {*found}
    assert all(kept[place] in why for place, why in found.items())
    assert sum(result.facts["images"].values()) == len(found)
    assert any("--exclude" in sentence for sentence in result.advice)
    galleries = [one for one in result.evidence if isinstance(one, Gallery)]
    assert sum(len(one.images) for one in galleries[1:]) == len(found)


def test_a_background_of_pure_black_or_white_is_not_called_clipped(tmp_path: Path) -> None:
    images = np.zeros((120, 12, 12), np.uint8)
    images[:, 4:7, 4:8] = noise(120, 3, 4)
    images[60:] = 255 - images[60:]
    for chosen in (images[:60], images[60:]):
        result = checked(load(saved(tmp_path / "a.npz", chosen, np.arange(60) % 2)))
        assert result.verdict == "clear"
    # Where only a few have it, it is told.
    mixed = np.concatenate([noise(110), images[:4], images[60:64]])
    result = checked(load(saved(tmp_path / "b.npz", mixed, np.arange(118) % 2), validation=0))
    assert {"clipped_black", "clipped_white"} <= {kind for kind, count in result.facts["images"].items() if count}


def test_uneven_small_and_missing_classes_are_told(tmp_path: Path) -> None:
    labels = np.array([0] * 60 + [1] * 12 + [2] * 1)
    test = {"x_test": noise(20), "y_test": np.arange(20) % 2}
    result = checked(load(saved(tmp_path / "a.npz", noise(73), labels, **test)))
    said = " ".join(result.sentences)
    assert "The classes are uneven: 56 training images of 0, 1 of 2." in said
    assert "The class 2 has fewer than 10 training images." in said
    assert "The validation part has no image of 2." in said
    assert "The test part has no image of 2." in said
    assert "The classes have other shares in the parts: 1 is 15% of training and 50% of test images." in said
    assert any("class_weight" in sentence for sentence in result.advice)
    two = checked(load(saved(tmp_path / "b.npz", noise(6), np.array([0, 0, 0, 1, 1, 1])), validation=0))
    assert "There is no validation part to compare the training images with." in two.sentences
    assert two.facts["comparisons"] == []
    many = checked(load(saved(tmp_path / "c.npz", noise(300), np.arange(300) % 100), validation=0))
    sheet = many.evidence[1]
    assert isinstance(sheet, Gallery)
    assert len(sheet.images) == 40
    more = checked(load(saved(tmp_path / "d.npz", noise(450), np.arange(450) % 150), validation=0))
    counts = more.evidence[0]
    assert isinstance(counts, EvidenceTable)
    assert (counts.title, len(counts.rows)) == ("Images of the 50 largest and the 50 smallest classes", 101)


def test_a_validation_part_of_another_origin_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for part, light in (("train", 0), ("validation", 60)):
        for label in ("a", "b"):
            (folder / part / label).mkdir(parents=True)
            for number, image in enumerate(noise(30, 28, 28) // 2):
                Image.fromarray((image + light).astype(np.uint8)).save(folder / part / label / f"{number}.png")
    result = checked(load(f"folder:{folder}"))
    assert any(
        sentence.startswith("Validation images differ from training images in bright") for sentence in result.sentences
    )
    assert {one["test"] for one in result.facts["comparisons"]} >= {"brightness", "contrast", "class shares"}


def photos(folder: Path, sizes: dict[str, tuple[int, int]], suffixes: dict[str, str], count: int = 30) -> Dataset:
    """A folder with a class for each name; sizes are (height, width)."""
    for label, size in sizes.items():
        (folder / label).mkdir(parents=True)
        for number, image in enumerate(noise(count, *size, 3)):
            Image.fromarray(image).save(folder / label / f"{number}{suffixes.get(label, '.png')}")
    return load(f"folder:{folder}", image_size=32)


def test_what_a_file_is_and_not_what_it_shows_may_tell_its_class(tmp_path: Path) -> None:
    alike = checked(photos(tmp_path / "alike", {"a": (30, 40), "b": (30, 40)}, {}))
    assert alike.verdict == "clear"
    assert alike.sentences[1] == (
        "Every picture could be read. They are 40 pixels wide and 30 high; the model sees 32x32."
    )
    result = checked(photos(tmp_path / "told", {"a": (30, 40), "b": (60, 80)}, {"b": ".jpg"}))
    said = " ".join(result.sentences)
    assert "The format of a file tells something of its class: the shares of .jpg and .png differ." in said
    assert "The picture size tells something of the class: classes explain 100% of its variation" in said
    small = checked(photos(tmp_path / "small", {"a": (9, 9), "b": (40, 30)}, {}, count=12))
    assert small.facts["images"]["enlarged"] == sum("enlarged" in one.why for one in small.findings) > 5
    assert any("pictures were enlarged more than twice" in sentence for sentence in small.sentences)


def test_borders_of_padded_pictures_are_not_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for number, image in enumerate(noise(20, 10, 40, 3)):
            Image.fromarray(image).save(folder / label / f"{number}.png")
    blank = folder / "a" / "blank.png"
    Image.new("RGB", (40, 10), (240, 240, 240)).save(blank)
    turned = Image.fromarray(noise(1, 10, 40, 3)[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera stood on its side
    turned.save(folder / "b" / "turned.jpg", exif=exif)
    dataset = load(f"folder:{folder}", image_size=32, validation=0)
    result = checked(dataset)
    names = [dataset.train.files[finding.index] for finding in result.findings]
    assert names == (["a/blank.png"] if "a/blank.png" in dataset.train.files else [])
    assert result.facts["images"]["clipped_black"] == 0


@pytest.mark.parametrize(("images", "audits"), [(600, 150), pytest.param(3000, 3000, marks=pytest.mark.slow)])
def test_random_splits_of_the_same_data_seldom_differ(images: int, audits: int) -> None:
    """At most 1% of audits of data that were split at random tell a difference; a planted one is told."""
    dataset = load("digits")
    alarms = 0
    for _ in range(audits):
        order = RANDOM.permutation(images)
        properties = {name: RANDOM.beta(2, 5, images) for name in WORDS}
        labels = RANDOM.integers(0, 10, images).astype(np.int32)
        cut = images // 6
        parts = [
            _measured(dataset.train, name, rows, labels, properties)
            for name, rows in (("train", order[cut:]), ("validation", order[:cut]))
        ]
        data = dataclasses.replace(dataset, train=parts[0].part, validation=parts[1].part)
        alarms += bool(PartComparison.shown(PartComparison.all_of(data, parts)))
    assert alarms <= 3 * ERROR * audits
    half = parts[1].properties["brightness"] / 2
    darker = dataclasses.replace(parts[1], properties={**parts[1].properties, "brightness": half})
    assert [one.test for one in PartComparison.shown(PartComparison.all_of(data, [parts[0], darker]))] == ["brightness"]


def _measured(like: Part, name: Any, rows: Any, labels: Any, properties: dict[str, Any]) -> MeasuredPart:
    none = np.zeros(len(rows))
    measures = RawMeasures(none, none, none > 0, none, none, none)
    part = Part(np.broadcast_to(like.images[:1], (len(rows), 8, 8)), labels[rows], like.classes, like.scale)
    chosen = {key: values[rows] for key, values in properties.items()}
    return MeasuredPart(name, part, measures, np.empty((0, 3), np.int64), chosen)


def test_it_is_made_by_an_audit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    audit = fr.audit("digits", only="raw-data", again=True)
    assert audit["raw-data"].verdict == "clear"
    assert not (tmp_path / "ledger.sqlite").exists()
