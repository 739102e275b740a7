"""`DatasetScores`: which images of a dataset each method of a benchmark had right, with each seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class DatasetScores:
    """Which images of a dataset each method had right, with each seed.

    Args:
        dataset: its name.
        family: what it was made from. Datasets of one family are not independent of each other, and count as one.
        right: method -> whether each image was classified rightly, `(seeds, images)`; the images are the same for all
            methods. A method that failed with any seed is not in it.
    """

    dataset: str
    family: str
    right: Mapping[str, npt.NDArray[np.bool_]]

    @property
    def accuracy(self) -> dict[str, float]:
        """Method -> share of right answers, mean over its seeds, 0 to 1."""
        return {method: float(each.mean()) for method, each in self.right.items()}
