from __future__ import annotations

import numpy as np
import pytest

from fittingroom.data.values import fingerprint, image_digests, source_fingerprint
from tests.data.builders import images, labels

X, Y = images(6), labels(3, 2, 1).astype(np.int32)


def changed(array: np.ndarray) -> np.ndarray:
    other = array.copy()
    other.flat[-1] ^= 1
    return other


def test_the_fingerprint_is_this_one_on_every_machine() -> None:
    assert (
        fingerprint(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.array([0, 1], np.int32))
        == "65bfdf8128ee070ce4a1f0a12b181dd4"
    )


@pytest.mark.parametrize(
    ("x", "y"),
    [(changed(X), Y), (X, changed(Y)), (X[::-1], Y[::-1]), (X[:5], Y[:5]), (X.reshape(6, 14, 56), Y)],
    ids=["a pixel", "a label", "the order", "an image less", "the shape"],
)
def test_any_change_of_the_data_changes_the_fingerprint(x: np.ndarray, y: np.ndarray) -> None:
    assert fingerprint(x, y) != fingerprint(X, Y)


def test_the_fingerprint_does_not_depend_on_how_arrays_lie_in_memory() -> None:
    assert fingerprint(np.asfortranarray(X), Y.astype(">i4")) == fingerprint(X, Y)


def test_equal_images_have_equal_digests() -> None:
    digests = image_digests(np.stack([X[0], X[1], X[0]]))
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X[::-1], Y[::-1]),
        (X, np.array([2, 0, 1], np.int32)[Y]),
        (X[..., None].repeat(3, axis=3), Y),
    ],
    ids=["the order", "the numbers of the classes", "equal channels"],
)
def test_the_source_is_the_same_in_another_order_and_with_other_names(x: np.ndarray, y: np.ndarray) -> None:
    assert source_fingerprint(x, y) == source_fingerprint(X, Y)


def test_the_source_is_the_same_on_another_scale() -> None:
    sixteen = (X // 16).astype(np.uint8)  # 0 to 15
    stretched = np.rint(sixteen * (255 / 15)).astype(np.uint8)
    assert source_fingerprint(sixteen, Y) == source_fingerprint(stretched, Y)


@pytest.mark.parametrize(
    ("x", "y"),
    [(changed(X), Y), (X, changed(Y)), (X[:5], Y[:5]), (X.reshape(6, 14, 56), Y), (X.swapaxes(1, 2), Y)],
    ids=["a pixel", "a label", "an image less", "the shape", "lying"],
)
def test_the_source_is_another_where_images_or_classes_are(x: np.ndarray, y: np.ndarray) -> None:
    assert source_fingerprint(x, y) != source_fingerprint(X, Y)
