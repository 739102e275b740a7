"""`SimilarImages`: the training images whose shape is most like that of an image, by their HOG features.

It is the comparison that also tells what is unlike the training images, so what a person sees here is what that verdict
goes by. It needs no model, and costs a product of matrices for the thousand training images that a run keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.answers.out_of_distribution import Features, hog_features

if TYPE_CHECKING:
    from fittingroom.data.dataset import Part

_MOST = 5_000
_LARGEST = np.sqrt(2.0) * 255


@dataclass(frozen=True, eq=False)
class SimilarImage:
    """A training image.

    Args:
        label: its class.
        image: `(height, width)` or `(height, width, 3)`, brightness 0 to 255.
        likeness: 1 for the same shape, 0 for no edge in common.
    """

    label: int
    image: npt.NDArray[np.uint8]
    likeness: float


@dataclass(frozen=True, eq=False)
class SimilarImages:
    """Training images to compare with.

    Args:
        part: the images, at most 5,000 of them.
        features: their HOG features.
    """

    part: Part
    features: Features

    @classmethod
    def of(cls, part: Part) -> SimilarImages:
        """Of training images, the first 5,000."""
        return cls(part, hog_features(np.asarray(part.images[:_MOST]), part.scale))

    def __len__(self) -> int:
        return len(self.features)

    def nearest(self, image: npt.NDArray[Any], scale: float, count: int = 6) -> list[SimilarImage]:
        """The most similar images, most similar first.

        Args:
            image: `(height, width)` or `(height, width, 3)`.
            scale: what it is divided by to lie in 0 to 1.
            count: how many; fewer where there are no more.
        """
        own = hog_features(image[None], scale).astype(np.float32)
        apart = np.sqrt(((self.features.astype(np.float32) - own) ** 2).sum(axis=1))
        order = np.argsort(apart, kind="stable")[:count]
        brightness = np.float32(255 / self.part.scale)
        return [
            SimilarImage(
                int(self.part.labels[place]),
                np.rint(np.clip(self.part.images[place] * brightness, 0, 255)).astype(np.uint8),
                float(max(1 - apart[place] / _LARGEST, 0.0)),
            )
            for place in order.tolist()
        ]
