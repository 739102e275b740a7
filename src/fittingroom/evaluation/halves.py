"""Two halves of the validation images: what is chosen or fitted on one is measured on the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.seeds import generator


def first_half(labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Which images are in the first half, bool `(images,)`: drawn at random, of each class half (±1), always the same.

    A choice looks better on the images that it was made on than on others. Measured on the other half, both ways, it
    does not.

    Args:
        labels: true class, `(images,)`.
    """
    shuffled = generator(0, "bootstrap", 2).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    half = np.zeros(len(labels), np.bool_)
    half[by_class[::2]] = True
    return half
