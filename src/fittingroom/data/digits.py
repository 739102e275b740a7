"""Reads the 8x8 digits that come with scikit-learn, so that there is always a dataset."""

from __future__ import annotations

import numpy as np

from fittingroom.data.catalogue import DIGITS
from fittingroom.data.contents import Found, Pairs

_TEST_IMAGES = 360


def read_digits() -> Found:
    """All 1,797 digits, values 0 to 16; 360 of them are to become the test part."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = data.images.astype(np.uint8)
    return Found(
        train=Pairs(images, data.target),
        test=None,
        source="scikit-learn's own copy, with a train/test split of ours",
        classes=DIGITS.classes,
        scale=DIGITS.scale,
        test_fraction=_TEST_IMAGES / len(images),
    )
