"""Whether an image is unlike those that a model was trained on, and which class it is closest to.

The model names a class. If the image were of that class, its outline (see `outlines`) would lie as near to outlines of
held-out images of that class as theirs lie to each other. The distance to the k-th nearest of them is what is compared;
5% of the held-out images lie farther away, each compared with the others.

It was chosen by measurement (`docs/decisions.md`, `benchmarks/unlike.py`): the model's own confidence, its energy and
distances between its last hidden layers all miss kinds of images that are nothing like its training data.

Source: the k-th neighbour's distance is that of Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors,
ICML 2022 (arXiv 2204.06507); to compare with the predicted class alone is Jiang et al., To Trust Or Not To Trust A
Classifier, NeurIPS 2018 (arXiv 1805.11783).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.conformal import conformal_quantile
from fittingroom.evaluation.outlines import Outlines, Vectors, distances, outlines
from fittingroom.seeds import generator

FALSE_ALARMS = 0.05
"""The share of images like those of training that are called unlike them."""

NEIGHBOUR = 10
"""Which neighbour's distance is taken, where there are ten times as many of the class; else every tenth of them."""

MOST_IMAGES = 5_000
"""Held-out images that are looked at; their outlines take 3 MB."""

_AT_ONCE = 500

Integers = npt.NDArray[np.integer[Any]]
Verdicts = tuple[npt.NDArray[np.bool_], Integers]
"""Whether each image is unlike, and the class it is closest to."""


@dataclass(frozen=True, eq=False)
class UnlikeByOutline:
    """Outlines of held-out images, and how far from them an image may be.

    Args:
        outlines: uint8, `(n, LENGTH)`.
        classes: the true class of each, `(n,)`, rising.
        threshold: the largest distance, 0 to 1.42, of an image that is not unlike.
    """

    outlines: Outlines
    classes: Integers
    threshold: float

    @classmethod
    def of(cls, images: npt.NDArray[Any], scale: float, labels: Integers, predicted: Integers) -> UnlikeByOutline:
        """From held-out images.

        Args:
            images: `(n, height, width)` or `(n, height, width, channels)`.
            scale: what they are divided by to lie in 0 to 1.
            labels: true class, `(n,)`.
            predicted: class that the model gives them, `(n,)`.
        """
        drawn = np.sort(generator(0, "bootstrap", 4).permutation(len(images))[:MOST_IMAGES])
        chosen = drawn[np.argsort(labels[drawn], kind="stable")]
        found = cls(outlines(images[chosen], scale), labels[chosen], 0.0)
        own = found.distances(found.outlines, predicted[chosen], itself=np.arange(len(chosen)))
        return cls(found.outlines, found.classes, conformal_quantile(np.sort(own), FALSE_ALARMS))

    def distances(
        self, some: Outlines, predicted: Integers, itself: npt.NDArray[np.intp] | None = None
    ) -> npt.NDArray[np.float32]:
        """The distance of each outline to the k-th nearest of its predicted class, float32 `(n,)`.

        Args:
            some: `(n, LENGTH)`.
            predicted: class, `(n,)`.
            itself: which of the held-out images each is, `(n,)`, so that none is compared with itself.
        """
        result = np.zeros(len(some), np.float32)
        for predicted_class in np.unique(predicted):
            places = np.flatnonzero(predicted == predicted_class)
            first, end = np.searchsorted(self.classes, (predicted_class, predicted_class + 1))
            if end - first < 2:  # then there is no such class to compare with
                first, end = 0, len(self.classes)
            k = min(NEIGHBOUR, max(1, (end - first) // 10))
            for start in range(0, len(places), _AT_ONCE):
                part = places[start : start + _AT_ONCE]
                apart = distances(Vectors.of(some[part]), self._vectors[first:end])
                if itself is not None:
                    apart[itself[part][:, None] == np.arange(first, end)] = np.inf
                result[part] = np.partition(apart, k - 1, axis=1)[:, k - 1]
        return result

    @cached_property
    def _vectors(self) -> Vectors:
        return Vectors.of(self.outlines)

    def judge(self, images: npt.NDArray[Any], scale: float, log_probabilities: npt.NDArray[Any]) -> Verdicts:
        """Whether each image is unlike, bool `(n,)`, and the class of the nearest outline for those, `(n,)`.

        Args:
            images: as for `of`.
            scale: as for `of`.
            log_probabilities: what the model makes of them, `(n, classes)`.
        """
        found, predicted = outlines(images, scale), log_probabilities.argmax(axis=1)
        unlike = self.distances(found, predicted) > self.threshold
        closest = predicted.copy()
        places = np.flatnonzero(unlike)
        for start in range(0, len(places), _AT_ONCE):
            part = places[start : start + _AT_ONCE]
            closest[part] = self.classes[distances(Vectors.of(found[part]), self._vectors).argmin(axis=1)]
        return unlike, closest


@dataclass(frozen=True)
class UnlikeByProbability:
    """The rule for runs whose held-out images are gone: an image is unlike if the model is too unsure of it.

    It finds few of those that are unlike, because models are often sure of nonsense.

    Args:
        threshold: the lowest ln of the largest probability of an image that is not unlike, nats.
    """

    threshold: float

    @classmethod
    def of(cls, log_probabilities: npt.NDArray[np.floating[Any]]) -> UnlikeByProbability:
        """From what the model makes of held-out images, `(n, classes)`."""
        return cls(-conformal_quantile(np.sort(-log_probabilities.max(axis=1)), FALSE_ALARMS))

    def judge(self, images: npt.NDArray[Any], scale: float, log_probabilities: npt.NDArray[Any]) -> Verdicts:
        """Whether each image is unlike, bool `(n,)`, and its most likely class; the image itself is not looked at."""
        del images, scale
        return log_probabilities.max(axis=1) < self.threshold, log_probabilities.argmax(axis=1)
