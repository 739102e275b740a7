from __future__ import annotations

import numpy as np
import pytest

from fittingroom.data.arrays import fingerprint, image_digests
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
