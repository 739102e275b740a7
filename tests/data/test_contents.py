from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fittingroom.data.contents import RawDataset, RawPart
from fittingroom.data.values import fingerprint
from fittingroom.errors import DataError
from tests.data.builders import images, labels


def found(**changes: Any) -> RawDataset:
    good = RawDataset(
        RawPart(images(60, seed=1), labels(30, 20, 10)), RawPart(images(12, seed=2), labels(6, 4, 2)), "a test"
    )
    return replace(good, **changes)


def test_good_data_pass_as_they_are() -> None:
    one = found()
    assert one.test is not None
    contents = one.checked()
    assert contents.images is one.train.images
    assert contents.labels.dtype == contents.test_labels.dtype == np.int32
    assert contents.classes == ("0", "1", "2")
    assert contents.notes == ()
    assert contents.fingerprint == fingerprint(one.train.images, one.train.labels)
    assert contents.test_fingerprint == fingerprint(one.test.images, one.test.labels)


@pytest.mark.parametrize("part", ["train", "test"])
def test_numbers_of_images_and_labels_that_differ_are_both_named(part: str) -> None:
    with pytest.raises(DataError, match=f"a test: the {part} part has 9 images but 10 labels"):
        found(**{part: RawPart(images(9), labels(5, 3, 2))}).checked()


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(DataError, match="the test part has no images"):
        found(test=RawPart(images(0), labels(0, 0))).checked()


def test_one_class_only_is_refused() -> None:
    with pytest.raises(DataError, match=r"only one class \('0'\); a classifier needs at least two"):
        found(train=RawPart(images(9), labels(9)), test=RawPart(images(3, seed=3), labels(3))).checked()


def test_a_class_without_training_images_is_named() -> None:
    with pytest.raises(DataError, match="1 of 3 classes have no training image: '1'"):
        found(train=RawPart(images(9), labels(5, 0, 4))).checked()


def test_a_test_label_that_training_does_not_have_is_refused() -> None:
    with pytest.raises(DataError, match="the test part has labels that name no class: 3 in row 3"):
        found(test=RawPart(images(5, seed=3), labels(2, 1, 1, 1))).checked()


def test_more_labels_than_named_classes_are_refused() -> None:
    with pytest.raises(DataError, match="name no class: 2 in row"):
        found(classes=("a", "b")).checked()


def test_a_class_without_test_images_is_said() -> None:
    contents = found(test=RawPart(images(5, seed=3), labels(3, 0, 2)), classes=("a", "b", "c")).checked()
    assert contents.notes == ("The test part has no image of b.",)


def test_identical_train_and_test_images_are_refused() -> None:
    with pytest.raises(DataError, match="the train and test images are identical"):
        found(test=found().train).checked()


def test_a_test_part_larger_than_the_train_part_is_said() -> None:
    one = found()
    contents = found(train=one.test, test=one.train).checked()
    assert contents.notes == ("The test part (60 images) is larger than the train part (12): are they swapped?",)


def test_images_in_both_parts_are_counted() -> None:
    mixed = np.concatenate([images(9, seed=2), images(60, seed=1)[7:10]])
    contents = found(test=RawPart(mixed, labels(6, 4, 2))).checked()
    assert contents.notes == ("3 of 12 test images are also among the training images, pixel for pixel.",)
    mixed = np.concatenate([images(9, seed=2), images(60, seed=1)[54:57]])
    contents = found(test=RawPart(mixed, labels(6, 4, 2)), given_validation=5).checked()
    assert contents.notes == (
        "1 of 12 test images are also among the training images, pixel for pixel.",
        "2 of 12 test images are also among the validation images, pixel for pixel.",
    )


def test_parts_of_different_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(28, 28\) and test images \(8, 8\)"):
        found(test=RawPart(images(12, 8, 8), labels(6, 4, 2))).checked()


def test_a_test_part_is_cut_when_there_is_none() -> None:
    contents = found(test=None).checked()
    assert (len(contents.labels), len(contents.test_labels)) == (51, 9)
    assert len({image.tobytes() for image in (*contents.images, *contents.test_images)}) == 60
    assert "so one was set aside: 9 of" in contents.notes[0]


def test_whole_numbers_up_to_16_are_divided_by_16_and_it_is_said() -> None:
    few = found(train=RawPart(images(60) // 16 + 1, labels(30, 20, 10)), test=None).checked()
    assert few.scale == 16
    assert few.notes[-1].startswith("No value of the images is above 16, so 16 is taken as white")
    pictures = found(
        train=RawPart(images(60) // 16 + 1, labels(30, 20, 10)), test=None, resize_rule="as they are"
    ).checked()
    assert pictures.scale == 255
    assert "no value is above 16 of 255, and a model learns less from that" in pictures.notes[-1]
    assert "multiply their values by 15.9" in pictures.notes[-1]


@pytest.mark.parametrize(
    ("value", "words"), [(None, ""), (255, r" \(each value is 255\)"), (0, r" \(each value is 0\)")]
)
def test_training_images_that_are_all_the_same_are_refused(value: int | None, words: str) -> None:
    one = images(1) if value is None else np.full((1, 28, 28), value, np.uint8)
    with pytest.raises(DataError, match=f"a test: all 60 training images are the same, pixel for pixel{words}, so"):
        found(train=RawPart(one.repeat(60, axis=0), labels(30, 20, 10))).checked()


@pytest.mark.parametrize("colour", [False, True])
def test_images_of_one_colour_throughout_are_counted_if_there_are_many(colour: bool) -> None:
    some = images(60)
    some[:2] = some[:2, :1, :1]
    shown = some[..., None] // np.array([1, 2, 3], np.uint8) if colour else some
    parts = {"test": None, "train": RawPart(shown, labels(30, 20, 10))}
    assert not any("throughout" in note for note in found(**parts).checked().notes)
    shown[:30] = shown[:30, :1, :1]
    notes = found(**parts, test_fraction=0.01).checked().notes
    assert any(note.endswith("training images have one colour throughout: nothing shows in them.") for note in notes)
