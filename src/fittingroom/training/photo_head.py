"""A linear head on features of a few labelled photos, checked by cross-fitting.

The head is a logistic regression with a ridge penalty. Where a base run knows some of the classes, its log
probabilities are features too, and the head starts from what the run says: the penalty draws it towards `trust` times
the base run's log probability of the same class, and only as far as the photos speak for it away from there. Every
class weighs the same, however many photos it has: how often somebody photographed it does not say how often it comes.

How strong the penalty is, and how far the base run is trusted, is chosen by cross-fitting, by the mean loss of photos
that the head has not seen. Those same predictions are what the run reports: each photo is judged by a head that saw
neither it nor a photo nearly identical to it (`photo_features.py`). The temperature is fitted on them and becomes a
part of the weights, so the probabilities are calibrated.

Sources: cross-fitted predictions are those of Stone, Cross-Validatory Choice and Assessment of Statistical Predictions,
JRSS B 36 (1974); shrinking towards a model that is there already is Li, Grandvalet and Davoine, Explicit Inductive Bias
for Transfer Learning, ICML 2018 (arXiv 1802.01483).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.calibration import LOWEST, Temperature
from fittingroom.evaluation.learning_curve import LearningCurve, sizes_up_to
from fittingroom.seeds import generator
from fittingroom.training.photo_features import (
    FEWEST_FOLDS,
    Floats,
    Integers,
    PhotoFeatures,
    clipped,
    fold_count,
    folds_of,
    left_out_singly,
)

_CURVE_FOLDS, _CURVE_DRAWS = 10, 3
_MANY = 500  # photos, from which on one draw is enough
_STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3)  # of the penalty, summed over photos whose features have a mean square of 1
_USUAL_STRENGTH = 0.01  # where there is nothing to choose it by; measured in docs/measurements.md
_TRUSTS = (0.0, 0.25, 0.5, 1.0)
_USUAL_TRUST = 0.5
_BASE_WEIGHT = 0.1  # the spread of a base run's log probability of a class, where that of all other features is 1
_SEARCHED = 3_000  # photos that strengths are chosen on
_ITERATIONS, _FEWER_ITERATIONS = 300, 50
_LARGE = 10**8  # products of one iteration; with 200 classes of 10 photos it takes seconds for 50 iterations


@dataclass(frozen=True, eq=False)
class PhotoHead:
    """A head, and what its like make of photos that they have not seen.

    Args:
        kernel: weights of the features, the backbone's first and then the base run's, float32 `(d + b, classes)`.
        bias: float32 `(classes,)`.
        log_probabilities: cross-fitted, `(n, classes)`; those of photos that cannot be left out are NaN.
        strength: of the penalty.
        trust: how far the head starts from the base run's answer, 0 to 1.
        temperature: what the weights were divided by.
        folds: parts that were left out in turn; 0 where nothing could be.
        singly: whether at most one scene of each class was left out at a time.
    """

    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    log_probabilities: Floats
    strength: float
    trust: float
    temperature: float
    folds: int
    singly: bool


def fit_photo_head(photos: PhotoFeatures, report: Callable[[str], None] = lambda _: None) -> PhotoHead:
    """The head of labelled photos.

    Args:
        photos: at least two classes, each with a photo.
        report: called with what is being done.
    """
    space = HeadSpace.of(photos)
    folds = folds_of(photos, fold_count(len(photos.labels)))
    strength, trust = _USUAL_STRENGTH, _USUAL_TRUST if space.offset.any() else 0.0
    cross = np.full((len(photos.labels), photos.classes), np.nan)
    temperature = 1.0
    if folds is not None:
        strength, trust = _chosen(space, folds, report)
        report("checking each photo with a head that has not seen it")
        cross = space.cross_fitted(folds, strength, trust)
        seen = ~np.isnan(cross[:, 0])
        fitted = Temperature.fit(cross[seen], photos.labels[seen])
        # At the lowest temperature no photo speaks against being sure without end, which proves nothing.
        temperature = 1.0 if fitted.at_bound and fitted.value == LOWEST else fitted.value
        cross = log_softmax(cross / temperature)
    kernel, bias = space.weights(*space.fit(np.arange(len(photos.labels)), strength, trust), trust)
    return PhotoHead(
        (kernel / temperature).astype(np.float32),
        (bias / temperature).astype(np.float32),
        cross,
        strength,
        trust,
        temperature,
        0 if folds is None else int(folds.max()) + 1,
        folds is not None and left_out_singly(photos, folds),
    )


@dataclass(frozen=True, eq=False)
class HeadSpace:
    """Photos in as few coordinates as tell them apart: a ridge regression needs no other.

    Args:
        places: of the photos, `(n, r)`.
        axes: of the space, `(r, d + b)`, in scaled features.
        middle: what is taken from the features, `(d + b,)`.
        scale: what they are then multiplied by, `(d + b,)`.
        offset: the base run's log probability of each class, 0 where it has none, `(n, classes)`.
        labels: class of each photo, `(n,)`.
        known: as in `PhotoFeatures`.
        columns: how many of the features are the base run's.
    """

    places: Floats
    axes: Floats
    middle: Floats
    scale: Floats
    offset: Floats
    labels: Integers
    known: tuple[int | None, ...]
    columns: int

    @classmethod
    def of(cls, photos: PhotoFeatures) -> HeadSpace:
        """The space of some photos."""
        base = clipped(photos.base)
        features = np.concatenate([np.asarray(photos.pooled, np.float64), base], axis=1)
        middle = features.mean(axis=0)
        centred = features - middle
        size = np.sqrt((centred[:, : photos.pooled.shape[1]] ** 2).sum(axis=1).mean())
        scale = np.full(features.shape[1], 1 / max(float(size), 1e-12))
        if base.shape[1]:
            spread = np.sqrt((centred[:, -base.shape[1] :] ** 2).mean())
            scale[-base.shape[1] :] = _BASE_WEIGHT / max(float(spread), 1e-12)
        scaled = centred * scale
        _, values, axes = np.linalg.svd(scaled, full_matrices=False)
        axes = axes[values > 1e-6 * max(float(values[0]), 1e-12)]
        offset = np.zeros((len(features), photos.classes))
        for label, column in enumerate(photos.known):
            if column is not None:
                offset[:, label] = base[:, column]
        return cls(scaled @ axes.T, axes, middle, scale, offset, photos.labels, photos.known, base.shape[1])

    def fit(
        self, rows: npt.NDArray[Any], strength: float, trust: float, start: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Weights `(r, classes)` and biases `(classes,)` in this space, fitted on some of the photos.

        Args:
            rows: which photos.
            strength: of the penalty.
            trust: of the base run.
            start: weights with the bias below them, to begin from.
        """
        from scipy.optimize import minimize

        places, labels = self.places[rows], self.labels[rows]
        offset, classes = trust * self.offset[rows], self.offset.shape[1]
        counts = np.bincount(labels, minlength=classes)
        weight = 1 / (np.maximum(counts, 1)[labels] * (counts > 0).sum())
        truth = np.zeros((len(rows), classes))
        truth[np.arange(len(rows)), labels] = 1
        penalty = strength / len(rows)

        def loss(flat: Floats) -> tuple[float, Floats]:
            kernel, bias = (table := flat.reshape(-1, classes))[:-1], table[-1]
            logs = log_softmax(offset + places @ kernel + bias)
            gap = (np.exp(logs) - truth) * weight[:, None]
            slope = np.vstack([places.T @ gap + penalty * kernel, gap.sum(axis=0)])
            own = logs[np.arange(len(rows)), labels]
            return penalty / 2 * float((kernel**2).sum()) - float(weight @ own), slope.ravel()

        first = np.zeros((places.shape[1] + 1, classes)) if start is None else start
        most = _ITERATIONS if places.size * classes < _LARGE else _FEWER_ITERATIONS
        settings = {"maxiter": most, "ftol": 1e-8, "gtol": 1e-5}
        found = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options=settings).x.reshape(-1, classes)
        return found[:-1], found[-1]

    def logits(self, rows: npt.NDArray[Any], fitted: tuple[Floats, Floats], trust: float) -> Floats:
        """What such a head makes of some of the photos, `(rows, classes)`."""
        kernel, bias = fitted
        return np.asarray(trust * self.offset[rows] + self.places[rows] @ kernel + bias)

    def cross_fitted(self, folds: Integers, strength: float, trust: float) -> Floats:
        """Logarithms of the probabilities of each photo by a head that saw all folds but its own, `(n, classes)`.

        Args:
            folds: of each photo, `(n,)`; photos of fold -1 are in no fold, always seen, and get NaN.
            strength: of the penalty.
            trust: of the base run.
        """
        found = np.full((len(folds), self.offset.shape[1]), np.nan)
        start: Floats | None = None
        for fold in range(int(folds.max()) + 1):
            out = np.flatnonzero(folds == fold)
            fitted = self.fit(np.flatnonzero(folds != fold), strength, trust, start)
            start = np.vstack(fitted)  # the next fold's head is not far from this one
            found[out] = log_softmax(self.logits(out, fitted, trust))
        return found

    def weights(self, kernel: Floats, bias: Floats, trust: float) -> tuple[Floats, Floats]:
        """The kernel `(d + b, classes)` and the bias for features as they are, neither centred nor scaled."""
        whole = (self.axes.T @ kernel) * self.scale[:, None]
        bias = bias - self.middle @ whole
        for label, column in enumerate(self.known):
            if column is not None:
                whole[len(whole) - self.columns + column, label] += trust
        return whole, bias

    def part(self, rows: npt.NDArray[Any]) -> HeadSpace:
        """The same space with some of the photos."""
        return replace(self, places=self.places[rows], offset=self.offset[rows], labels=self.labels[rows])


def _chosen(space: HeadSpace, folds: Integers, report: Callable[[str], None]) -> tuple[float, float]:
    """The strength and the trust with the lowest cross-fitted loss."""
    rows = np.arange(len(folds))
    if len(rows) > _SEARCHED:
        rows = np.sort(generator(0, "split", 1).permutation(rows)[:_SEARCHED])
    space, few = space.part(rows), np.where(folds[rows] < 0, -1, folds[rows] % FEWEST_FOLDS)
    best = np.inf, _USUAL_STRENGTH, 0.0
    trusts = _TRUSTS if space.offset.any() else (0.0,)
    pairs = [(strength, trust) for trust in trusts for strength in _STRENGTHS]
    for number, (strength, trust) in enumerate(pairs, 1):
        report(f"choosing by photos left out, {number} of {len(pairs)}")
        logs = space.cross_fitted(few, strength, trust)
        seen = few >= 0
        # Losses at the best temperature, since that is what the head will have.
        own, labels = logs[seen], space.labels[seen]
        scaled = log_softmax(own / Temperature.fit(own, labels).value)
        loss = -float(scaled[np.arange(len(labels)), labels].mean())
        best = min(best, (loss, strength, trust))
    return best[1], best[2]


def measured_curve(
    photos: PhotoFeatures, head: PhotoHead, report: Callable[[str], None] = lambda _: None
) -> LearningCurve | None:
    """How often photos are named rightly by heads that saw fewer of them; the last point is the cross-fitting itself.

    Each fold is answered by heads that saw so many photos of each class of the others, drawn at random; several times,
    with other folds and draws.

    Args:
        photos: those of the head.
        head: as `fit_photo_head` gives it.
        report: called with what is being done.

    Returns:
        The curve over the photos that can be left out; None where none can be.
    """
    can = photos.checkable & photos.own
    if not can.any():
        return None
    taught = np.unique(photos.labels[photos.own])
    space, count = HeadSpace.of(photos), len(photos.labels)
    folds = min(fold_count(count), _CURVE_FOLDS)
    largest = int(np.bincount(photos.labels[photos.own]).max())
    sizes = sizes_up_to(largest)
    repeats = _CURVE_DRAWS if count <= _MANY else 1
    right, seen = np.zeros((len(sizes), count)), np.zeros(len(sizes))
    trained = 0
    for repeat in range(repeats):
        fold_of = folds_of(photos, folds, 2, repeat)
        assert fold_of is not None
        for fold in range(int(fold_of.max()) + 1):
            report(f"measuring how accuracy grows with photos, {repeat + 1} of {repeats}")
            out, others = np.flatnonzero((fold_of == fold) & can), np.flatnonzero((fold_of != fold) & ~photos.own)
            rest = np.flatnonzero((fold_of != fold) & photos.own)
            rest, start = generator(0, "split", 3, repeat, fold).permutation(rest), None
            own = [rest[photos.labels[rest] == label] for label in taught]
            for place, size in enumerate(sizes):
                rows = np.concatenate([*(each[:size] for each in own), others])
                fitted = space.fit(rows, head.strength, head.trust, start)
                start = np.vstack(fitted)
                named = space.logits(out, fitted, head.trust).argmax(axis=1)
                right[place, out] += named == photos.labels[out]
                seen[place] += (len(rows) - len(others)) / len(taught)
            trained += 1
    last = head.log_probabilities[can].argmax(axis=1) == photos.labels[can]
    used = [*(seen / trained), _seen_in_cross_fitting(photos, head)]
    rights = np.vstack([right[:, can] / repeats, last.astype(np.float64)])
    # Where classes differ in size, the last sizes are nearly the same number of photos.
    apart = [place for place, photos_seen in enumerate(used[:-1]) if photos_seen < 0.9 * used[-1]]
    kept = [*apart, len(used) - 1]
    return LearningCurve(np.asarray(used)[kept], rights[kept], photos.scenes[can])


def _seen_in_cross_fitting(photos: PhotoFeatures, head: PhotoHead) -> float:
    """Photos of each class that a head of the cross-fitting saw, mean over folds and the classes that have any."""
    folds = folds_of(photos, fold_count(len(photos.labels)))
    assert folds is not None
    seen = [((folds != fold) & photos.own).sum() for fold in range(head.folds)]
    return float(np.mean(seen)) / len(np.unique(photos.labels[photos.own]))


def log_softmax(logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Logarithms of the probabilities that logits `(n, classes)` mean."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
