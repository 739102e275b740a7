from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fittingroom.data.dataset import Opening, Part, SealedTestSet
from fittingroom.data.values import fingerprint
from fittingroom.errors import DataError
from tests.data.builders import images, labels


def part(scale: float = 255.0) -> Part:
    return Part(images(6), labels(3, 2, 1).astype(np.int32), ("a", "b", "c"), scale)


def sealed(recorder: Callable[[Opening], None] | None = None) -> SealedTestSet:
    one = part()
    return SealedTestSet(one, fingerprint(one.images, one.labels), recorder)


def test_x_is_the_images_divided_by_the_scale() -> None:
    for scale in (255.0, 16.0):
        one = part(scale)
        assert one.x.dtype == np.float32
        np.testing.assert_allclose(one.x, one.images / scale, rtol=1e-7)
    assert one.y is one.labels


def test_nothing_in_a_part_can_be_changed() -> None:
    one = part()
    for array in (one.images, one.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_part_leaves_the_arrays_it_was_made_from_writable() -> None:
    array = images(6)
    Part(array, labels(3, 2, 1).astype(np.int32), ("a", "b", "c"))
    array[0] = 0


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 2, 2)), np.zeros(3, np.int32), "images are float64 of shape"),
        (np.zeros((3, 4), np.uint8), np.zeros(3, np.int32), r"images are uint8 of shape \(3, 4\)"),
        (np.zeros((3, 2, 2), np.uint8), np.zeros(3), "labels are float64"),
        (np.zeros((3, 2, 2), np.uint8), np.zeros(4, np.int32), r"expected int32 of shape \(3,\)"),
    ],
)
def test_a_part_of_other_types_or_shapes_is_refused(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Part(x, y, ("a", "b"))


def test_counts_are_per_class_and_know_empty_classes() -> None:
    assert Part(images(2), np.array([2, 2], np.int32), ("a", "b", "c")).counts() == (0, 0, 2)


def test_a_sealed_test_set_tells_its_size_and_its_counts() -> None:
    test = sealed()
    assert (len(test), test.count, test.counts()) == (6, 6, (3, 2, 1))
    assert repr(test) == "SealedTestSet(6 images, opened 0 times)"


@pytest.mark.parametrize("name", ["images", "labels", "x", "y", "part", "__array__", "__iter__", "__getitem__"])
def test_a_sealed_test_set_gives_no_attribute_and_says_how_to_open_it(name: str) -> None:
    with pytest.raises(AttributeError, match=r"gives nothing until it is opened. Use test.open"):
        getattr(sealed(), name)


@pytest.mark.parametrize("use", [iter, list, lambda test: test[0], next])
def test_a_sealed_test_set_can_be_neither_indexed_nor_walked(use: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError):
        use(sealed())


def test_an_array_made_of_a_sealed_test_set_holds_no_image() -> None:
    array: NDArray[Any] = np.asarray(sealed())
    assert array.dtype == object
    assert array.shape == ()


@pytest.mark.parametrize("use", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_sealed_test_set_can_be_neither_pickled_nor_copied(use: Callable[[Any], object]) -> None:
    with pytest.raises(DataError, match=r"neither copied nor pickled.*test.open"):
        use(sealed())


def test_a_sealed_test_set_takes_no_new_attribute() -> None:
    with pytest.raises(AttributeError):
        sealed().images = images(6)  # type: ignore[attr-defined]


def test_opening_gives_the_part_and_records_why() -> None:
    test = sealed()
    opened = test.open("score of run 7")
    np.testing.assert_array_equal(opened.images, part().images)
    [opening] = test.openings
    assert (opening.reason, opening.count, opening.fingerprint) == ("score of run 7", 6, test.fingerprint)
    assert opening.time.tzinfo is not None


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_an_opening_needs_a_reason(reason: str) -> None:
    test = sealed()
    with pytest.raises(DataError, match="opened without a reason"):
        test.open(reason)
    assert test.openings == ()


def test_the_recorder_hears_of_an_opening_before_the_part_is_given() -> None:
    heard: list[Opening] = []
    test = sealed(heard.append)
    test.open("a look")
    assert [opening.reason for opening in heard] == ["a look"]


def test_a_recorder_that_fails_keeps_the_test_set_closed() -> None:
    def fail(opening: Opening) -> None:
        raise OSError("disk full")

    test = sealed(fail)
    with pytest.raises(OSError, match="disk full"):
        test.open("a look")
    assert test.openings == ()
