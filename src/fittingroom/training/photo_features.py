"""`PhotoFeatures`: labelled photos as a head sees them, and the folds that they are dealt into, each left out once.

With few photos one of every class is left out at a time. Plain leave-one-out would make the class of the photo the
rarest of all: with 2 photos a class it showed 22% right where 62% were. Photos that are nearly identical, such as
frames of one video, share a fold: else they would check each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.seeds import generator

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]

FEWEST_FOLDS = 5
"""Folds of very many photos, and those that strengths are chosen with."""

_FOLDS = ((500, 20), (3_000, 10))  # up to so many photos, so many folds at most
_ALIKE = 0.97  # the cosine of two photos' centred features above which they show the same scene
_AT_ONCE = 1_000  # photos that are compared with all others
_LEAST_LOG = -8.0  # below a probability of 1 in 3,000 a base run's number says no more


@dataclass(frozen=True, eq=False)
class PhotoFeatures:
    """Labelled photos as a head sees them.

    Args:
        pooled: features of the backbone, `(n, d)`.
        base: log probabilities of the base run, `(n, b)`; `(n, 0)` where it says nothing.
        labels: class of each, `(n,)`.
        known: for each class, the column of `base` that means the same; None where there is none.
        own: which are photos of the user's, `(n,)`, and not images of the base run that stand for its classes.
    """

    pooled: npt.NDArray[Any]
    base: npt.NDArray[Any]
    labels: Integers
    known: tuple[int | None, ...]
    own: npt.NDArray[np.bool_]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.known)

    @cached_property
    def scenes(self) -> Integers:
        """Which scene each photo shows, from 0, `(n,)`: photos of a class that are nearly identical share one."""
        scenes = np.arange(len(self.labels))
        for one, other in self._alike:
            if self.labels[one] == self.labels[other]:
                scenes[scenes == scenes[other]] = scenes[one]
        return np.asarray(np.unique(scenes, return_inverse=True)[1])

    @property
    def alike_across(self) -> list[tuple[int, int]]:
        """Pairs of photos that are nearly identical and have different classes."""
        return [pair for pair in self._alike if self.labels[pair[0]] != self.labels[pair[1]]]

    @cached_property
    def _alike(self) -> list[tuple[int, int]]:
        """Pairs of photos, the earlier first, whose features have nearly one direction."""
        centred = self.pooled.astype(np.float32) - self.pooled.mean(axis=0, dtype=np.float32)
        unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
        found: list[tuple[int, int]] = []
        for start in range(0, len(unit), _AT_ONCE):
            cosines = unit[start : start + _AT_ONCE] @ unit.T
            rows, columns = np.nonzero(cosines > _ALIKE)
            later = columns > rows + start
            found += zip((rows[later] + start).tolist(), columns[later].tolist(), strict=True)
        return found

    @property
    def checkable(self) -> npt.NDArray[np.bool_]:
        """Which photos can be left out, `(n,)`: of their class, a photo of another scene must be left."""
        scenes = np.array([len(np.unique(self.scenes[self.labels == label])) for label in range(self.classes)])
        return np.asarray(scenes[self.labels] > 1)


def clipped(base: npt.NDArray[Any]) -> Floats:
    """A base run's log probabilities as the head takes them: nothing below 1 in 3,000, `(n, b)`."""
    return np.maximum(np.asarray(base, np.float64), _LEAST_LOG)


def dealt(labels: Integers, scenes: Integers, folds: int, *draw: int) -> Integers:
    """A fold for each photo, `(n,)`: those of a scene share one, and each fold has its part of every class.

    Args:
        labels: class of each photo.
        scenes: scene of each photo.
        folds: how many at most; no more than the largest class has scenes.
        draw: numbers of the random draw.
    """
    random, found = generator(0, "split", *draw), np.empty(len(labels), np.int64)
    each = [random.permutation(np.unique(scenes[labels == label])) for label in np.unique(labels)]
    folds = min(folds, max(map(len, each)))
    for own in each:
        for place, scene in enumerate(own):
            found[scenes == scene] = place % folds
    return found


def fold_count(photos: int) -> int:
    """How many folds so many photos are dealt into at most."""
    return next((folds for most, folds in _FOLDS if photos <= most), FEWEST_FOLDS)


def folds_of(photos: PhotoFeatures, folds: int, *draw: int) -> Integers | None:
    """The fold of each photo, -1 for those that cannot be left out; None where none can be."""
    can = photos.checkable
    if not can.any():
        return None
    found = np.full(len(can), -1, np.int64)
    found[can] = dealt(photos.labels[can], photos.scenes[can], folds, *draw)
    return found


def left_out_singly(photos: PhotoFeatures, folds: Integers) -> bool:
    """Whether no fold has two scenes of a class.

    Args:
        photos: what was dealt.
        folds: of each, -1 for those that are never left out.
    """
    pairs = np.unique(np.stack([photos.labels, folds, photos.scenes], axis=1)[folds >= 0], axis=0)
    return len(np.unique(pairs[:, :2], axis=0)) == len(pairs)
