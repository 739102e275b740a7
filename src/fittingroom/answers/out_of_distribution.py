"""Out-of-distribution images: those unlike the images that a model was trained on, and the class they are closest to.

The model names a class. Two things are then asked, and of each how many held-out images are as unusual or more so:
whether the image's features lie near to those of held-out images of that class, by the distance to the k-th nearest of
them; and how confident the model is, by the probability of the class. The smaller of the first share and twice the
second is how rare the image is, and it is unlike if that is smaller than for 95% of the held-out images, each compared
with the others. So features that hardly any image of the class has are enough, and so is low confidence that is twice
as rare: models are often sure of nonsense.

The features are the backbone's where the run has one, each image's as a vector of length 1; else HOG features.

HOG features were chosen by measurement (`docs/measurements.md`, `benchmarks/unlike.py`): the model's own confidence
alone, its energy and distances between its last hidden layers all miss kinds of images that are nothing like its
training images.

HOG features say what the edges in an image look like and where they are: histograms of the direction of brightness's
slope. The image is cut into 7 x 7 cells. In each, the slopes of the pixels are summed by their direction (12 of them,
all the way round, so that bright on dark and dark on bright differ). Each sum is taken as a share of the whole image's,
and the square root of that: the Euclidean distance of two such vectors is then the Hellinger distance of two
distributions.

`SimilarImages` shows the training images that are most like an image, by the features that the verdict goes by.

Sources: the k-th neighbour's distance is that of Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors,
ICML 2022 (arXiv 2204.06507); to compare with the predicted class alone is Jiang et al., To Trust Or Not To Trust A
Classifier, NeurIPS 2018 (arXiv 1805.11783); to take the smaller of such shares is Tippett's, The Methods of Statistics,
1931. What it is worth is not derived but counted on the held-out images, as the two may depend on each other. Dalal and
Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005, without its blocks; for the square root,
Arandjelovic and Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.answers.recalibration import conformal_quantile
from fittingroom.seeds import generator

if TYPE_CHECKING:
    from fittingroom.data.dataset import Part

FALSE_ALARMS = 0.05
"""The share of images like those of training that are called unlike them."""

NEIGHBOUR = 10
"""Which neighbour's distance is taken, where there are ten times as many of the class; else every tenth of them."""

MOST_IMAGES = 5_000
"""Held-out images that are looked at; their HOG features take 3 MB."""

_AT_ONCE = 500

_SAME = 5e-3  # the distance of an image from itself, which rounding leaves

CELLS, DIRECTIONS = 7, 12
LENGTH = CELLS * CELLS * DIRECTIONS
"""HOG features of an image."""

_FARTHEST = float(np.sqrt(2.0))
_STEP = 255
"""Vectors are kept in so many steps: a byte per number."""

_LEAST = 1.0
"""Total slope, in units of full brightness per pixel, below which there is nothing to see; clothes have 50 to 300."""

_TOO_LARGE = 56  # pixels; larger images are brought near 28 first, since the slopes of single pixels are texture

Features = npt.NDArray[Any]
"""`(images, length)`: HOG features, uint8, in steps of 1/255, or those of a backbone, float16, each row of length 1."""

Integers = npt.NDArray[np.integer[Any]]
Detected = tuple[npt.NDArray[np.bool_], Integers]
"""Whether each image is unlike, and the class it is closest to."""


@dataclass(frozen=True, eq=False)
class NeighbourDetector:
    """Tells images apart by their features and the model's confidence: held-out images, and how rare one may be.

    Args:
        features: of held-out images, `(n, length)`.
        classes: the true class of each, `(n,)`, rising.
        held_out_distances: of these images from the others, 0 to 2, float32 `(n,)`, rising.
        surprises: -ln of the probability of their most likely class, nats, float32 `(n,)`, rising.
        threshold: the smallest `rarity`, 0 to 1, of an image that is not unlike.
    """

    features: Features
    classes: Integers
    held_out_distances: npt.NDArray[np.float32]
    surprises: npt.NDArray[np.float32]
    threshold: float

    @classmethod
    def of(
        cls, features: Features, labels: Integers, log_probabilities: npt.NDArray[np.floating[Any]]
    ) -> NeighbourDetector:
        """From the features of held-out images, their true classes, `(n,)`, and what the model makes of them.

        Args:
            features: `(n, length)`.
            labels: true class, `(n,)`.
            log_probabilities: `(n, classes)`.
        """
        chosen = cls.chosen(labels)
        logs, own = log_probabilities[chosen], np.arange(len(chosen))
        none = np.zeros(0, np.float32)
        found = cls(features[chosen], labels[chosen], none, none, 0.0)
        named = logs.argmax(axis=1)
        apart = np.sort(found.distances(found.features, named, own))
        found = replace(found, held_out_distances=apart, surprises=np.sort(_surprises(logs)))
        threshold = -conformal_quantile(np.sort(-found.rarity(found.features, logs, own)), FALSE_ALARMS)
        # With fewer than 19 images the quantile is infinite, as so few cannot tell what 5% are: nothing is unlike then.
        return replace(found, threshold=max(threshold, 0.0))

    @staticmethod
    def chosen(labels: Integers) -> npt.NDArray[np.intp]:
        """Which held-out images a detector has, at most 5,000, by label, `(n,)`; for all processes the same draw."""
        drawn = np.sort(generator(0, "bootstrap", 4).permutation(len(labels))[:MOST_IMAGES])
        return drawn[np.argsort(labels[drawn], kind="stable")]

    def rarity(
        self,
        some: Features,
        log_probabilities: npt.NDArray[Any],
        itself: npt.NDArray[np.intp] | None = None,
    ) -> npt.NDArray[np.float64]:
        """How rare each image is, 0 to 1, `(n,)`.

        It is the share of held-out images that are as far away, or twice the share that the model is as unsure of, if
        that is smaller.

        Args:
            some: the features of the images, `(n, length)`.
            log_probabilities: what the model makes of them, `(n, classes)`.
            itself: as for `distances`.
        """
        apart = self.distances(some, log_probabilities.argmax(axis=1), itself)
        # Each that is not among those held out is one more beside them.
        more = np.ones(1, np.int64) if itself is None else np.asarray(itself < 0, np.int64)
        farther = _beyond(self.held_out_distances, apart) + more
        less_sure = _beyond(self.surprises, _surprises(log_probabilities)) + more
        # Confidence counts half as much as shape: models are often sure of nonsense, and unsure of honest images.
        return np.asarray(np.minimum(farther, 2 * less_sure) / (len(self.classes) + more), np.float64)

    def distances(
        self, some: Features, named: Integers, itself: npt.NDArray[np.intp] | None = None
    ) -> npt.NDArray[np.float32]:
        """The distance of each image to the k-th nearest of the class that is named for it, float32 `(n,)`.

        Args:
            some: `(n, length)`.
            named: that class, `(n,)`.
            itself: which of the held-out images each is, `(n,)`, so that none is compared with itself; -1 for none.
        """
        result = np.zeros(len(some), np.float32)
        for one in np.unique(named):
            places = np.flatnonzero(named == one)
            first, end = np.searchsorted(self.classes, (one, one + 1))
            if end - first < 2:  # then there is no such class to compare with
                first, end = 0, len(self.classes)
            k = min(NEIGHBOUR, max(1, (end - first) // 10))
            # In parts, since all distances of many images at once would take 20 kB for each.
            for start in range(0, len(places), _AT_ONCE):
                part = places[start : start + _AT_ONCE]
                apart = _distances(_Vectors.of(some[part]), self._vectors[first:end])
                if itself is not None:
                    apart[itself[part][:, None] == np.arange(first, end)] = np.inf
                result[part] = np.partition(apart, k - 1, axis=1)[:, k - 1]
        return result

    @cached_property
    def _vectors(self) -> _Vectors:
        return _Vectors.of(self.features)

    def places_of(self, some: Features) -> npt.NDArray[np.intp]:
        """Which of the held-out images each image is, by its features, `(n, length)`; -1 for none of them, `(n,)`."""
        found = np.full(len(some), -1, np.intp)
        for start in range(0, len(some), _AT_ONCE):
            apart = _distances(_Vectors.of(some[start : start + _AT_ONCE]), self._vectors)
            nearest = apart.argmin(axis=1)
            same = apart[np.arange(len(apart)), nearest] < _SAME
            found[start : start + _AT_ONCE] = np.where(same, nearest, -1)
        return found

    def detect(
        self, found: Features, log_probabilities: npt.NDArray[Any], rarity: npt.NDArray[np.float64] | None = None
    ) -> Detected:
        """Whether each image is unlike, bool `(n,)`, and the class of the nearest held-out image for those, `(n,)`.

        Args:
            found: the features of the images, as for `of`.
            log_probabilities: what the model makes of them, `(n, classes)`.
            rarity: of these images, where it was computed before.
        """
        unlike = (self.rarity(found, log_probabilities) if rarity is None else rarity) < self.threshold
        closest = log_probabilities.argmax(axis=1)
        places = np.flatnonzero(unlike)
        for start in range(0, len(places), _AT_ONCE):
            part = places[start : start + _AT_ONCE]
            closest[part] = self.classes[_distances(_Vectors.of(found[part]), self._vectors).argmin(axis=1)]
        return unlike, closest


def _surprises(log_probabilities: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """-ln of the probability of the most likely class of each image, nats, `(n,)`."""
    return np.asarray(-log_probabilities.max(axis=1), np.float32)


def _beyond(held_out: npt.NDArray[np.float32], values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """How many of the rising held-out values are as large as each of some values, or larger, `(n,)`."""
    return np.asarray(len(held_out) - np.searchsorted(held_out, values, side="left"), np.int64)


@dataclass(frozen=True)
class ConfidenceDetector:
    """For runs whose held-out images are gone: an image is unlike if the model is too unsure of it.

    It finds few of those that are unlike, because models are often sure of nonsense.

    Args:
        threshold: the lowest ln of the largest probability of an image that is not unlike, nats.
    """

    threshold: float

    @classmethod
    def of(cls, log_probabilities: npt.NDArray[np.floating[Any]]) -> ConfidenceDetector:
        """From what the model makes of held-out images, `(n, classes)`."""
        return cls(-conformal_quantile(np.sort(-log_probabilities.max(axis=1)), FALSE_ALARMS))

    def rarity(
        self, some: Features, log_probabilities: npt.NDArray[Any], itself: npt.NDArray[np.intp] | None = None
    ) -> npt.NDArray[np.float64]:
        """The ln of the largest probability of each image, nats, `(n,)`: the smaller, the less like; no share here."""
        del some, itself
        return np.asarray(log_probabilities.max(axis=1), np.float64)

    def places_of(self, some: Features) -> npt.NDArray[np.intp]:
        """-1 for each image, `(n,)`: no features of held-out images are known."""
        return np.full(len(some), -1, np.intp)

    def detect(self, found: Features, log_probabilities: npt.NDArray[Any]) -> Detected:
        """Whether each image is unlike, bool `(n,)`, and its most likely class; its features are not looked at."""
        return self.rarity(found, log_probabilities) < self.threshold, log_probabilities.argmax(axis=1)


def unit_features(features: npt.NDArray[Any]) -> Features:
    """The features of a backbone as vectors of length 1, float16 `(n, channels)`.

    Args:
        features: `(n, channels)`, or maps `(n, height, width, channels)`, whose places are averaged.
    """
    pooled = features.astype(np.float32).reshape(len(features), -1, features.shape[-1]).mean(axis=1)
    length = np.sqrt(np.einsum("ij,ij->i", pooled, pooled))[:, None]
    return np.asarray(pooled / np.maximum(length, 1e-12), np.float16)


def hog_features(images: npt.NDArray[Any], scale: float) -> Features:
    """The HOG features of images, uint8 `(n, LENGTH)`.

    Args:
        images: `(n, height, width)` grey or `(n, height, width, channels)`, of which brightness alone is looked at.
        scale: what they are divided by to lie in 0 to 1.
    """
    parts = [_features_of_few(images[start : start + _AT_ONCE], scale) for start in range(0, len(images), _AT_ONCE)]
    return np.concatenate(parts) if parts else np.zeros((0, LENGTH), np.uint8)


def _features_of_few(images: npt.NDArray[Any], scale: float) -> Features:
    grey = images.astype(np.float32) / np.float32(scale)
    grey = _reduced(grey.mean(axis=3) if grey.ndim == 4 else grey)
    count, height, width = grey.shape
    down, right = (np.gradient(grey, axis=axis) if grey.shape[axis] > 1 else np.zeros_like(grey) for axis in (1, 2))
    slope, direction = np.hypot(right, down), np.arctan2(down, right) / (2 * np.pi) * DIRECTIONS
    direction = np.where(direction < 0, direction + DIRECTIONS, direction)  # as `np.mod`, faster
    lower = np.minimum(direction.astype(np.int64), DIRECTIONS - 1)
    share = direction - lower  # of the next direction, so that turning a little changes little
    rows, columns = (np.arange(side) * CELLS // side for side in (height, width))
    cell = (np.arange(count)[:, None, None] * CELLS + rows[:, None]) * CELLS + columns
    sums = np.zeros(count * LENGTH)
    following = np.where(lower < DIRECTIONS - 1, lower + 1, 0)
    for place, weight in ((lower, slope * (1 - share)), (following, slope * share)):
        sums += np.bincount((cell * DIRECTIONS + place).ravel(), weight.ravel(), count * LENGTH)
    found = sums.reshape(count, LENGTH)
    shares = found / np.maximum(found.sum(axis=1, keepdims=True), _LEAST)
    return np.asarray(np.rint(np.sqrt(shares) * _STEP), np.uint8)


def _reduced(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Large images, each block of pixels as its mean, and what is left at the edge cut off."""
    block = min(grey.shape[1:]) // (_TOO_LARGE // 2) if min(grey.shape[1:]) >= _TOO_LARGE else 1
    if block == 1:
        return grey
    height, width = (side // block for side in grey.shape[1:])
    cut = grey[:, : height * block, : width * block]
    return np.asarray(cut.reshape(len(grey), height, block, width, block).mean(axis=(2, 4)))


@dataclass(frozen=True, eq=False)
class _Vectors:
    """Features as what distances are taken between.

    Args:
        values: the square roots of the shares of HOG features, or a backbone's, float32 `(n, length)`.
        squares: the squared length of each, float32 `(n,)`; 1 but for rounding, and 0 where there is nothing to see.
    """

    values: npt.NDArray[np.float32]
    squares: npt.NDArray[np.float32]

    @classmethod
    def of(cls, found: Features) -> _Vectors:
        """Of features `(n, length)` of either kind."""
        values = found.astype(np.float32) / np.float32(_STEP if found.dtype == np.uint8 else 1)
        return cls(values, np.einsum("ij,ij->i", values, values))

    def __getitem__(self, places: slice | npt.NDArray[np.intp]) -> _Vectors:
        """Some of them."""
        return _Vectors(self.values[places], self.squares[places])


def _distances(some: _Vectors, others: _Vectors) -> npt.NDArray[np.float32]:
    """The Euclidean distance of each of `some` to each of `others`, float32; 1.42 is no edge in common."""
    # In this order BLAS need not pack the many others for a few: two to six times as fast for 3 to 16 images.
    squares = some.squares[:, None] + others.squares - 2 * (others.values @ np.ascontiguousarray(some.values.T)).T
    return np.ascontiguousarray(np.sqrt(np.maximum(squares, 0)), np.float32)


MOST_SIMILAR = 5_000
"""Training images that an image is compared with."""


@dataclass(frozen=True, eq=False)
class SimilarImage:
    """A training image.

    Args:
        label: its class.
        image: `(height, width)` or `(height, width, 3)`, brightness 0 to 255.
        likeness: 1 for the same features, 0 for none in common.
    """

    label: int
    image: npt.NDArray[np.uint8]
    likeness: float


@dataclass(frozen=True, eq=False)
class SimilarImages:
    """Training images to compare with.

    Args:
        part: the images, at most 5,000 of them.
        features: their features, `(n, length)`.
    """

    part: Part
    features: Features

    @classmethod
    def of(cls, part: Part, features: Callable[[npt.NDArray[Any]], Features]) -> SimilarImages:
        """Of training images, the first 5,000, with what gives the features of images."""
        return cls(part, features(np.asarray(part.images[:MOST_SIMILAR])))

    def __len__(self) -> int:
        return len(self.features)

    def nearest(self, found: Features, count: int = 6) -> list[SimilarImage]:
        """The images most similar to one image, most similar first.

        Args:
            found: its features, `(1, length)`.
            count: how many; fewer where there are no more.
        """
        apart = _distances(_Vectors.of(found), self._vectors)[0]
        order = np.argsort(apart, kind="stable")[:count]
        brightness = np.float32(255 / self.part.scale)
        return [
            SimilarImage(
                int(self.part.labels[place]),
                np.rint(np.clip(self.part.images[place] * brightness, 0, 255)).astype(np.uint8),
                self._likeness(float(apart[place])),
            )
            for place in order.tolist()
        ]

    @cached_property
    def _vectors(self) -> _Vectors:
        return _Vectors.of(self.features)

    def _likeness(self, apart: float) -> float:
        """1 less the Hellinger distance over the largest there is; of a backbone's features, the cosine."""
        return max(1 - (apart / _FARTHEST if self.features.dtype == np.uint8 else apart**2 / 2), 0.0)
