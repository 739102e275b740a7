"""The Brier score and its parts: how far all class probabilities are from what was true.

    score = reliability - resolution + uncertainty + within

The first three are Murphy's, computed with bins, for each class on its own and added up. They are exact only if all
probabilities of a bin are equal. `within` is what they leave out: how probabilities differ within the bins, and how far
these differences are right. It is shown as a part of its own, so the sum is exact. Sources: Brier, Verification of
Forecasts Expressed in Terms of Probability, Monthly Weather Review 78 (1950); Murphy, A New Vector Partition of the
Probability Score, Journal of Applied Meteorology 12 (1973); Stephenson, Coelho and Jolliffe, Two Extra Components in
the Brier Score Decomposition, Weather and Forecasting 23 (2008), whose within-bin variance less covariance it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError
from fittingroom.evaluation.reliability import BINS, bin_of
from fittingroom.evaluation.trajectories import Trajectories


@dataclass(frozen=True)
class Brier:
    """The Brier score of a set of images and its parts; all are squared probabilities, without a unit.

    Args:
        score: mean over images of the sum over classes of (probability - truth)²: 0 is perfect, 2 is sure and wrong.
        reliability: distance of probabilities from how often they came true; 0 is honest.
        resolution: how much what came true differs from bin to bin; the larger the better.
        uncertainty: the score of always giving each class its share of the images.
        within: what bins hide; may be below 0.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "score": self.score,
            "reliability": self.reliability,
            "resolution": self.resolution,
            "uncertainty": self.uncertainty,
            "within": self.within,
        }


def brier(probabilities: npt.NDArray[Any], labels: npt.NDArray[np.integer[Any]]) -> Brier:
    """The Brier score and its parts, with 15 bins of equal width for each class.

    Args:
        probabilities: of each class, 0 to 1, `(images, classes)`.
        labels: true class, `(images,)`.

    Raises:
        InputError: there are no images, or the shapes do not fit together.
    """
    if probabilities.ndim != 2 or len(labels) == 0 or len(probabilities) != len(labels):
        shapes = f"{probabilities.shape} and {np.shape(labels)}"
        raise InputError(f"probabilities and labels of shapes {shapes}: expected (images, classes) and (images,).")
    images, classes = probabilities.shape
    forecasts = np.asarray(probabilities, np.float64)
    cells = bin_of(forecasts) + BINS * np.arange(classes)
    true_cells, true_forecasts = cells[np.arange(images), labels], forecasts[np.arange(images), labels]
    size = BINS * classes
    flat, values = cells.ravel(), forecasts.ravel()
    counts = np.maximum(np.bincount(flat, minlength=size), 1)  # 1 avoids 0 / 0 in empty cells, whose sums are all 0
    true = np.bincount(true_cells, minlength=size)
    total = np.bincount(flat, values, size)
    frequency, mean = true / counts, total / counts
    filled = np.bincount(flat, minlength=size)
    shares = np.bincount(labels, minlength=classes) / images
    squares = np.bincount(flat, values**2, size) - total * mean
    products = np.bincount(true_cells, true_forecasts, size) - true * mean
    return Brier(
        score=float((values @ values - 2 * true_forecasts.sum()) / images + 1),
        reliability=float((filled * (mean - frequency) ** 2).sum() / images),
        resolution=float((filled * (frequency - np.repeat(shares, BINS)) ** 2).sum() / images),
        uncertainty=float((shares * (1 - shares)).sum()),
        within=float((squares - 2 * products).sum() / images),
    )


def brier_of(trajectories: Trajectories, epoch: int) -> Brier | None:
    """The Brier score after an epoch; None where the probabilities of all classes were not kept.

    Raises:
        InputError: that epoch was not validated.
    """
    if not trajectories.has_all_classes:
        return None
    return brier(np.exp(trajectories.all_log_probabilities(epoch)), trajectories.labels)
