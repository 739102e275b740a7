"""Histograms of oriented gradients, for images of any size, without a dependency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.values import Images


def hog_features(images: Images) -> NDArray[np.float32]:
    """Features of each image, float32 `(n, features)`.

    Source: Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005.

    Args:
        images: uint8, `(n, height, width)` or `(n, height, width, 3)`.
    """
    raise NotImplementedError(f"{len(images)} images")
