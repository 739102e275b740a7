"""Whether the confidence is honest (of predictions made with 80% confidence, are 80% right?), and the Brier score.

Confidences are sorted into 15 bins of equal width, as in Guo et al. (arXiv 1706.04599), so that numbers compare with
published ones and the diagram's axis is the confidence itself. Even an honest model shows a calibration error above 0,
because a bin with few images is noisy; how large that error would be with these confidences is computed beside it.

The Brier score and its parts: how far all class probabilities are from what was true.

    score = reliability - resolution + uncertainty + within

The first three are Murphy's, computed with bins for each class by itself and added up. They are exact only if all
probabilities of a bin are equal. `within` is what they leave out: how probabilities differ within the bins, and how far
these differences are right. With it the sum is exact. Sources: Brier, Verification of
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
from fittingroom.evaluation.spread import Interval, plain
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.seeds import generator

BINS = 15

_DRAWS = 1000


@dataclass(frozen=True)
class _Bin:
    """The predictions whose confidence is in one range.

    Args:
        low: lower edge of the range, 0 to 1, not included (in the first bin it is).
        high: upper edge of the range, included.
        count: the number of predictions.
        confidence: their mean confidence, 0 to 1; None if there are none.
        accuracy: the share of them that is right, 0 to 1; None if there are none.
        interval: 95% interval (Wilson) of that share; None if there are none.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None
    interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "low": self.low,
            "high": self.high,
            "count": self.count,
            "confidence": self.confidence,
            "accuracy": self.accuracy,
            "interval": plain(self.interval),
        }


@dataclass(frozen=True)
class Reliability:
    """The expected calibration error, what an honest model would show, and the diagram.

    Args:
        error: the expected calibration error: |accuracy - confidence| of each bin, weighted with its count; 0 to 1.
        floor: the mean error of a perfectly calibrated model with these confidences, 0 to 1.
        ceiling: the error below which 95% of such models stay, 0 to 1.
        confidence: mean confidence, 0 to 1.
        accuracy: share of right predictions, 0 to 1.
        bins: the `BINS` bins, from the least confident.
    """

    error: float
    floor: float
    ceiling: float
    confidence: float
    accuracy: float
    bins: tuple[_Bin, ...]

    @classmethod
    def of(cls, confidence: npt.NDArray[Any], right: npt.NDArray[np.bool_]) -> Reliability:
        """How far confidence and accuracy are apart.

        The floor is simulated with a fixed seed: 1,000 times, the number of right images in each bin is drawn from the
        binomial distribution with the bin's mean confidence. That confidences differ within a bin makes the true noise
        slightly smaller.

        Args:
            confidence: probability of the predicted class, 0 to 1, `(images,)`.
            right: whether the prediction is right, `(images,)`.

        Raises:
            InputError: there are no images, the lengths differ, or a confidence is not between 0 and 1.
        """
        if len(confidence) != len(right) or len(right) == 0:
            raise InputError(
                f"{len(confidence)} confidences, {len(right)} predictions: expected as many of each, at least one."
            )
        values = np.asarray(confidence, np.float64)
        if not ((values >= 0) & (values <= 1)).all():
            raise InputError(f"confidences from {values.min()} to {values.max()}: expected 0 to 1.")
        index = _bin_of(values)
        counts = np.bincount(index, minlength=BINS)
        correct = np.bincount(index, right, BINS)
        total = np.bincount(index, values, BINS)
        means = np.clip(total / np.maximum(counts, 1), 0, 1)
        drawn = generator(0, "bootstrap", 3).binomial(counts, means, size=(_DRAWS, BINS))
        errors = np.abs(drawn - counts * means).sum(axis=1) / len(values)
        return cls(
            error=float(np.abs(correct - total).sum() / len(values)),
            floor=float(errors.mean()),
            ceiling=float(np.quantile(errors, 0.95)),
            confidence=float(values.mean()),
            accuracy=float(right.mean()),
            bins=tuple(
                _bin(place, int(counts[place]), int(correct[place]), float(means[place])) for place in range(BINS)
            ),
        )

    @classmethod
    def after(cls, trajectories: Trajectories, epoch: int) -> Reliability | None:
        """The reliability after an epoch; None where the probabilities of all classes were not stored.

        Raises:
            InputError: that epoch was not validated.
        """
        confidence = trajectories.confidence(epoch)
        return None if confidence is None else cls.of(confidence, trajectories.right[trajectories.row(epoch)])

    @property
    def shown(self) -> bool:
        """Whether a perfectly calibrated model would show so large an error in at most 5% of cases."""
        return self.error > self.ceiling

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "error": self.error,
            "floor": self.floor,
            "ceiling": self.ceiling,
            "shown": self.shown,
            "confidence": self.confidence,
            "accuracy": self.accuracy,
            "bins": [part.to_dict() for part in self.bins],
        }


@dataclass(frozen=True)
class Brier:
    """The Brier score of a set of images and its parts; all are squared probabilities, without a unit.

    Args:
        score: mean over images of the sum over classes of (probability - truth)²: 0 is perfect, 2 is sure and wrong.
        reliability: squared distance of probabilities from how often they came true; 0 is honest, smaller is better.
        resolution: how much the frequencies differ from bin to bin; larger is better.
        uncertainty: the score of a model that always predicts each class with its share of the images.
        within: what the bins hide; may be below 0.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float

    @classmethod
    def of(cls, probabilities: npt.NDArray[Any], labels: npt.NDArray[np.integer[Any]]) -> Brier:
        """The Brier score and its parts, with 15 bins of equal width for each class.

        Args:
            probabilities: the probability of each class, 0 to 1, `(images, classes)`.
            labels: true classes, `(images,)`.

        Raises:
            InputError: there are no images, or the shapes do not fit together.
        """
        if probabilities.ndim != 2 or len(labels) == 0 or len(probabilities) != len(labels):
            shapes = f"{probabilities.shape} and {np.shape(labels)}"
            raise InputError(f"probabilities and labels of shapes {shapes}: expected (images, classes) and (images,).")
        images, classes = probabilities.shape
        forecasts = np.asarray(probabilities, np.float64)
        cells = _bin_of(forecasts) + BINS * np.arange(classes)
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
        return cls(
            score=float((values @ values - 2 * true_forecasts.sum()) / images + 1),
            reliability=float((filled * (mean - frequency) ** 2).sum() / images),
            resolution=float((filled * (frequency - np.repeat(shares, BINS)) ** 2).sum() / images),
            uncertainty=float((shares * (1 - shares)).sum()),
            within=float((squares - 2 * products).sum() / images),
        )

    @classmethod
    def after(cls, trajectories: Trajectories, epoch: int) -> Brier | None:
        """The Brier score after an epoch; None where the probabilities of all classes were not stored.

        Raises:
            InputError: that epoch was not validated.
        """
        if not trajectories.has_all_classes:
            return None
        return cls.of(np.exp(trajectories.all_log_probabilities(epoch)), trajectories.labels)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "score": self.score,
            "reliability": self.reliability,
            "resolution": self.resolution,
            "uncertainty": self.uncertainty,
            "within": self.within,
        }


def _bin_of(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """The bin of each probability, 0 to `BINS` - 1: a bin holds its upper edge, the first one 0 too."""
    return np.clip(np.ceil(probability * BINS).astype(np.intp) - 1, 0, BINS - 1)


def _bin(place: int, count: int, correct: int, confidence: float) -> _Bin:
    low, high = place / BINS, (place + 1) / BINS
    if count == 0:
        return _Bin(low, high, 0, None, None, None)
    return _Bin(low, high, count, confidence, correct / count, Interval.wilson(correct, count))
