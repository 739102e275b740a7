"""Which images a page holds, and that what it keeps of them is what was stored."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from fittingroom.data.dataset import Part
from fittingroom.reports.pages.explorer import (
    COLUMNS,
    LARGEST_SIDE,
    MOST_CLASSES,
    MOST_IMAGES,
    Explorer,
    _choose,
    _Sheet,
    picture_row,
)
from tests.evaluation.examples import all_lists
from tests.reports.builders import course_of, subject_of

COURSE = course_of([0.5, 1.0, 2.0], images=3000, classes=4)
REPLICA = subject_of(COURSE).trainings[0]
LISTS = [one.to_dict() for one in all_lists(COURSE, 1, 3)]
LISTED = [[image["index"] for image in one["images"]] for one in LISTS]


def test_listed_images_come_first_then_mistakes_and_right_answers() -> None:
    chosen = _choose(REPLICA, LISTED, MOST_IMAGES)
    assert len(chosen) == len(set(chosen.tolist())) == MOST_IMAGES
    assert {index for one in LISTED for index in one} <= set(chosen.tolist())
    assert COURSE.right[-1][chosen].sum() >= MOST_IMAGES // 5
    assert (chosen[:-1] < chosen[1:]).all()


def test_mistakes_of_all_pairs_are_there_before_any_pair_has_many() -> None:
    chosen = _choose(REPLICA, [], 400)
    wrong = chosen[~COURSE.right[-1][chosen]]
    pairs, counts = np.unique(COURSE.labels[wrong] * 4 + COURSE.predicted[-1][wrong], return_counts=True)
    assert len(pairs) == 12
    assert counts.max() - counts.min() <= 1


def test_right_answers_are_of_all_classes_alike() -> None:
    chosen = _choose(REPLICA, [], 200)
    right = chosen[COURSE.right[-1][chosen]]
    assert np.ptp(np.bincount(COURSE.labels[right])) <= 1


def test_few_images_are_all_chosen() -> None:
    few = course_of([1.0], images=50)
    assert _choose(subject_of(few).trainings[0], [], MOST_IMAGES).tolist() == list(range(50))


def unpacked(text: str, kind: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)


def test_what_is_kept_is_what_was_stored() -> None:
    found = Explorer.of(REPLICA, LISTS, None)
    data, chosen = found.data, found.chosen
    shares = unpacked(data["probabilities"], "u1", len(chosen), 4, 3) / 255
    assert COURSE.log_probabilities is not None
    stored = np.exp(COURSE.log_probabilities[:, chosen].astype(float)).transpose(1, 2, 0)
    assert shares == pytest.approx(stored, abs=0.5 / 255 + 1e-3)
    assert unpacked(data["loss"], "<u2", len(chosen), 3) / 1000 == pytest.approx(COURSE.loss[:, chosen].T, abs=1e-3)
    assert (unpacked(data["predicted"], "<u2", len(chosen), 3) == COURSE.predicted[:, chosen].T).all()
    assert data["label"] == COURSE.labels[chosen].tolist()
    first = data["lists"][0]["images"]
    assert [data["index"][place] for place in first] == LISTED[0]


def test_of_many_classes_the_true_one_and_the_most_probable_are_kept() -> None:
    many = course_of([1.0, 2.0], images=300, classes=40)
    data = Explorer.of(subject_of(many).trainings[0], [], None).data
    kept = unpacked(data["keptClasses"], "<u2", len(data["index"]), MOST_CLASSES)
    shares = unpacked(data["probabilities"], "u1", len(data["index"]), MOST_CLASSES, 2)
    assert (kept[:, 0] == data["label"]).all()
    assert all(label in row for label, row in zip(data["label"], kept, strict=True))
    assert all(many.predicted[-1][index] in row for index, row in zip(data["index"], kept, strict=True))
    assert many.log_probabilities is not None
    assert shares[5, 3, 1] / 255 == pytest.approx(np.exp(float(many.log_probabilities[1, 5, kept[5, 3]])), abs=3e-3)


@pytest.mark.parametrize("size", [(1, 28, 28), (40, 8, 8), (3, 100, 50), (33, 28, 28, 3), (2, 90, 90, 3)])
def test_a_sheet_has_each_image_in_its_place(size: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    found = _Sheet.of(images, 255.0)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.url.partition(",")[2]))))
    height, width = pixels.shape[0] // found.rows, pixels.shape[1] // COLUMNS
    assert max(height, width) <= LARGEST_SIDE
    assert found.ratio == pytest.approx(width / height)
    last = len(images) - 1
    top, left = last // COLUMNS * height, last % COLUMNS * width
    cell = pixels[top : top + height, left : left + width]
    if max(size[1:3]) <= LARGEST_SIDE:
        assert (cell == images[last]).all()
    else:
        assert cell.mean() == pytest.approx(images[last].mean(), abs=2)


def test_shades_are_spread_over_what_a_picture_can_show() -> None:
    images = np.full((2, 8, 8), 16, np.uint8)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture_row(images, 16.0).partition(",")[2]))))
    assert pixels.shape == (8, 16)
    assert (pixels == 255).all()


def test_large_pictures_are_fewer() -> None:
    images = np.zeros((3000, 32, 32, 3), np.uint8)
    part = Part(images, COURSE.labels.astype(np.int32), COURSE.classes)
    found = Explorer.of(REPLICA, LISTS, part)
    assert len(found.chosen) == 1_000_000 // (32 * 32 * 3)
    assert found.sheet is not None
