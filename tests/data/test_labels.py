from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fittingroom.data.contents import _say_uneven
from fittingroom.data.labels import named
from fittingroom.errors import DataError


@pytest.mark.parametrize(
    ("train", "test", "classes", "expected", "names"),
    [
        ([0, 1, 2], [1], None, [0, 1, 2], None),
        ([1, 2, 3], [1], None, [0, 1, 2], ("1", "2", "3")),
        ([0, 2, 9], [9], None, [0, 1, 2], ("0", "2", "9")),
        ([1.0, 2.0], [1.0], ("a", "b"), [0, 1], ("a", "b")),
        ([0, 1], [1], ("a", "b", "c"), [0, 1], ("a", "b", "c")),
        (["x10", "x2", "x10"], ["x2"], None, [1, 0, 1], ("x2", "x10")),
        (["b", "a"], None, ("b", "a"), [0, 1], ("b", "a")),
        ([b"b", b"a"], None, None, [1, 0], ("a", "b")),
        ([-1, 1], [1], None, [-1, 1], None),
        ([0.5, 1], [1], None, [0.5, 1], None),
    ],
)
def test_labels_become_positions_of_names(
    train: list[Any], test: list[Any] | None, classes: tuple[str, ...] | None, expected: list[Any], names: Any
) -> None:
    found = named(np.array(train), None if test is None else np.array(test), classes)
    assert (found.train.tolist(), found.classes) == (expected, names)
    assert (found.test is None) == (test is None)
    guessed = isinstance(train[0], int | float) and found.train.tolist() != train
    assert bool(found.notes) == guessed


@pytest.mark.parametrize(
    ("train", "classes", "message"),
    [
        (["a", ""], None, "some labels are empty"),
        (["Cat", "cat"], None, "labels 'Cat' and 'cat' differ only in case"),
        (["a", "c"], ("a", "b"), r"the label 'c' is not among the class names \(a and b\)"),
        ([b"\xff", b"a"], None, "labels are bytes that are not ASCII"),
    ],
)
def test_labels_that_cannot_be_names_are_refused(
    train: list[Any], classes: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        named(np.array(train), None, classes)


def test_uneven_classes_are_said_with_what_helps() -> None:
    labels = np.repeat(np.array([0, 1], np.int32), [112, 795])
    (note,) = _say_uneven(labels, ("skirt", "t-shirt"))
    assert "795 images of 't-shirt' and 112 of 'skirt'" in note
    assert "class_weight" in note
    assert _say_uneven(np.repeat(np.array([0, 1], np.int32), [112, 400]), ("a", "b")) == []
