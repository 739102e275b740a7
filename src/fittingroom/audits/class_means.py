"""Measures that let every class count alike, however many images it has: balanced accuracy and macro F1.

Their intervals are for other images of the same kind, and for other seeds where there are several. The variance over
images is that of the influence of each (for F1 as in Takahashi et al., Confidence Interval for Micro-averaged F1 and
Macro-averaged F1 Scores, Applied Intelligence 52, 2022), computed class by class. To each class are added two images
that vary as much as any can, else one whose only image is right would seem to be known without error (Agresti and
Coull, Approximate Is Better than "Exact", The American Statistician 52, 1998).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.spread import SHOWN_BELOW, Interval

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]

_MORE = 2.0  # images that are added to each class
_MOST_VARIANCE = 0.25  # of an image that is right or wrong


@dataclass(frozen=True)
class ClassMean:
    """A measure, and its 95% interval."""

    value: float
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Both as plain JSON."""
        return {"value": self.value, "interval": list(self.interval)}


@dataclass(frozen=True)
class ClassMeans:
    """Means over the classes that have images.

    Args:
        balanced: balanced accuracy, the mean over classes of the share of their images that are right.
        macro_f1: the mean over classes of F1.
        above: by how much the accuracy is above the balanced accuracy; -1 to 1.
    """

    balanced: ClassMean
    macro_f1: ClassMean
    above: ClassMean

    @classmethod
    def of(cls, labels: Integers, predicted: Integers, classes: int) -> ClassMeans:
        """The measures of what each seed predicted.

        Args:
            labels: true class, `(images,)`, at least one.
            predicted: `(seeds, images)`.
            classes: how many there are.
        """
        counts = np.bincount(labels, minlength=classes)
        there = counts > 0
        right = (predicted == labels).astype(np.float64)
        recalls = np.stack([np.bincount(labels, one, classes) for one in right]) / np.maximum(counts, 1)
        balanced, accuracy = recalls[:, there].mean(axis=1), right.mean(axis=1)
        f1, influence = _f1(labels, predicted, counts)
        left = (right - recalls[:, labels]).mean(axis=0)
        even, shares = there / there.sum(), counts / len(labels)
        weight = counts[labels] / even[labels] / len(labels)  # of the mean of a class, in the mean of all images
        # How many images each class has varies too, which moves the accuracy.
        mixture = float((shares * (recalls.mean(axis=0) - accuracy.mean()) ** 2).sum()) / len(labels)
        return cls(
            balanced=_measure(balanced, _variance(left, even, labels, counts), 0.0),
            macro_f1=_measure(f1, _variance(influence * weight, even, labels, counts), 0.0),
            above=_measure(accuracy - balanced, _variance(left, shares - even, labels, counts) + mixture, -1.0),
        )


def _f1(labels: Integers, predicted: Integers, counts: Integers) -> tuple[Floats, Floats]:
    """Macro F1 of each seed, `(seeds,)`, and the influence of each image on their mean, `(images,)`."""
    classes, images = len(counts), len(labels)
    there = counts > 0
    values, influence = [], np.zeros(images)
    for one in predicted:
        named = np.bincount(one, minlength=classes)
        both = np.bincount(labels[one == labels], minlength=classes)
        either = np.maximum(counts + named, 1)
        f1 = 2 * both / either
        values.append(float(f1[there].mean()))
        each = np.where(there, images / either / there.sum(), 0.0)
        hit = one == labels
        influence += 2 * hit * each[labels] - f1[labels] * each[labels] - f1[one] * each[one]
    return np.asarray(values), influence / len(predicted)


def _variance(left: Floats, weights: Floats, labels: Integers, counts: Integers) -> float:
    """The variance of a weighted mean of what each class has on average.

    Args:
        left: of each image, how far it is from the mean of its class.
        weights: of the classes.
        labels: true classes.
        counts: images of each class.
    """
    squares = np.bincount(labels, left**2, len(counts))
    variances = (squares + _MORE * _MOST_VARIANCE) / (counts + 1.0)
    return float((weights**2 * variances / np.maximum(counts, 1)).sum())


def _measure(values: Floats, variance: float, least: float) -> ClassMean:
    """The mean over seeds, as it varies with images and, for several, with seeds; it is from `least` to 1."""
    from scipy.special import stdtrit

    value, freedom = float(values.mean()), 1e6
    if len(values) > 1:
        between = float(values.var(ddof=1)) / len(values)
        both = variance + between
        freedom = both**2 / (between**2 / (len(values) - 1)) if between else freedom
        variance = both
    half = float(stdtrit(freedom, 1 - SHOWN_BELOW / 2)) * math.sqrt(variance)
    return ClassMean(value, Interval(max(value - half, least), min(value + half, 1.0)))
