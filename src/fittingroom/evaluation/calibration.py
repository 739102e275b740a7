"""The loss of each epoch, split into what the model cannot tell apart and what it is too sure of.

    loss = refinement + overconfidence

Refinement is the loss that is left after temperature scaling: the model cannot tell the classes apart any better.
Overconfidence is what scaling removed: the model was surer than it should have been (or, where the temperature is below
1, not sure enough). The temperature is fitted on one half of the images and measured on the other, both ways, so that
nothing is removed by fitting luck; overconfidence can therefore be a little below 0 where there is none.

Source: the split of a proper score into refinement and calibration is DeGroot and Fienberg, The Comparison and
Evaluation of Forecasters, The Statistician 32 (1983); temperature scaling stands for recalibration as in Guo et al.,
arXiv 1706.04599. More flexible recalibration could remove more, so refinement is an upper bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.spread import Interval, plain
from fittingroom.evaluation.trajectories import Trajectories

LOWEST, HIGHEST = 0.01, 100.0
"""The range of temperatures."""

_ITERATIONS = 60
_PRECISION = 1e-5  # relative; what images leave open is a thousand times as much


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature: the number that logits are divided by so that probabilities fit the labels best.

    Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017 (arXiv 1706.04599).

    Args:
        value: `LOWEST` to `HIGHEST`, without a unit; above 1 the model was too sure, below 1 not sure enough.
        at_bound: whether the loss would still fall beyond that range: at the lowest temperature where all images are
            right, at the highest where all are wrong.
    """

    value: float
    at_bound: bool

    @classmethod
    def fit(cls, logits: npt.NDArray[Any], labels: npt.NDArray[np.integer[Any]]) -> Temperature:
        """The temperature with the lowest mean cross-entropy, between `LOWEST` and `HIGHEST`.

        It is 1 where every temperature gives the same loss: without images, or where all logits of an image are equal.

        Args:
            logits: logits, or logarithms of probabilities, which differ from them by a constant per image; finite,
                `(images, classes)`.
            labels: true classes, `(images,)`.
        """
        return _fit(_Logits.of(logits, labels))

    def to_dict(self) -> dict[str, Any]:
        """Both as plain JSON."""
        return {"value": self.value, "at_bound": self.at_bound}


@dataclass(frozen=True)
class Calibration:
    """The loss of one epoch, split.

    Args:
        epoch: its number, from 1.
        loss: the stored mean loss, in nats.
        refinement: mean loss after scaling, in nats.
        overconfidence: loss - refinement, in nats, by definition.
        interval: 95% interval of the overconfidence over images, paired; None for a single image.
        temperatures: fitted on the first half of the images and on the second.
        rounding: the stored loss less the loss computed from the stored probabilities of all classes, in nats: so much
            of the overconfidence may be due to their 16 bits.
    """

    epoch: int
    loss: float
    refinement: float
    overconfidence: float
    interval: Interval | None
    temperatures: tuple[Temperature, Temperature]
    rounding: float

    @classmethod
    def of_epochs(cls, trajectories: Trajectories) -> tuple[Calibration, ...] | None:
        """Refinement and overconfidence of every epoch; None where the probabilities of all classes were not stored."""
        if not trajectories.has_all_classes:
            return None
        first = trajectories.first_half
        order = np.concatenate([np.flatnonzero(first), np.flatnonzero(~first)])
        return tuple(_epoch(trajectories, epoch, order, int(first.sum())) for epoch in trajectories.epochs)

    @property
    def temperature(self) -> float:
        """The geometric mean of both temperatures."""
        return math.sqrt(self.temperatures[0].value * self.temperatures[1].value)

    @property
    def at_bound(self) -> bool:
        """Whether one of the temperatures is at a bound, so that its value says little."""
        return any(temperature.at_bound for temperature in self.temperatures)

    @property
    def verdict(self) -> Literal["overconfident", "underconfident"] | None:
        """What is shown beyond noise: both halves ask for the same correction, and it helps on the other half.

        None where the interval of the overconfidence reaches down to the rounding, or the halves disagree.
        """
        if self.interval is None or self.interval.low <= abs(self.rounding):
            return None
        used = [_used(temperature) for temperature in self.temperatures]
        if min(used) > 1:
            return "overconfident"
        return "underconfident" if max(used) < 1 else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            "refinement": self.refinement,
            "overconfidence": self.overconfidence,
            "interval": plain(self.interval),
            "temperature": self.temperature,
            "temperatures": [temperature.to_dict() for temperature in self.temperatures],
            "rounding": self.rounding,
            "verdict": self.verdict,
        }


def _epoch(trajectories: Trajectories, epoch: int, order: npt.NDArray[np.intp], middle: int) -> Calibration:
    """One epoch; `order` puts the first half of the images, `middle` of them, before the second."""
    stored = trajectories.loss[trajectories.row(epoch)][order].astype(np.float64)
    prepared = _Logits.of(trajectories.all_log_probabilities(epoch)[order], trajectories.labels[order])
    halves = prepared.part(slice(middle)), prepared.part(slice(middle, None))
    temperatures = _fit(halves[0]), _fit(halves[1])
    # Each half at the temperature of the other.
    scaled = np.concatenate([halves[0].loss(_used(temperatures[1])), halves[1].loss(_used(temperatures[0]))])
    removed = stored - scaled
    loss = float(trajectories.mean_loss[trajectories.row(epoch)])
    overconfidence = float(removed.mean())
    return Calibration(
        epoch=epoch,
        loss=loss,
        refinement=loss - overconfidence,
        overconfidence=overconfidence,
        interval=Interval.of_mean(removed),
        temperatures=temperatures,
        rounding=float(stored.mean() - prepared.loss(1.0).mean()),
    )


def _used(temperature: Temperature) -> float:
    """The temperature to measure the other half with: 1 where it is at its lower bound.

    There a half has no mistake to limit how sure the model may be, and at that temperature a single mistake in the
    other half would cost a hundred times its loss.
    """
    return 1.0 if temperature.at_bound and temperature.value == LOWEST else temperature.value


@dataclass(frozen=True, eq=False)
class _Logits:
    """Logits, prepared for many evaluations at different temperatures.

    Args:
        below: how far each logit is below the largest of its image, float32 `(classes, images)`, at most 0.
        true: the same of the true class, float32 `(images,)`.
    """

    below: npt.NDArray[np.float32]
    true: npt.NDArray[np.float32]

    @classmethod
    def of(cls, logits: npt.NDArray[Any], labels: npt.NDArray[np.integer[Any]]) -> _Logits:
        """From logits or logarithms of probabilities `(images, classes)`, finite, and true classes `(images,)`."""
        # One row per class: sums over classes are then sums of long rows, which is several times as fast.
        below = np.array(logits.T, np.float32, order="C")
        below -= below.max(axis=0)
        return cls(below, below[labels, np.arange(len(labels))])

    def part(self, images: slice) -> _Logits:
        """The logits of some of the images."""
        return _Logits(self.below[:, images], self.true[images])

    def loss(self, temperature: float) -> npt.NDArray[np.float64]:
        """Cross-entropy of each image at a temperature, in nats, float64 `(images,)`."""
        sharpness = np.float32(1 / temperature)
        totals = np.exp(self.below * sharpness).sum(axis=0)
        return np.asarray((np.log(totals) - sharpness * self.true).astype(np.float64))

    def slope(self, sharpness: float) -> tuple[float, float]:
        """First and second derivative of the mean loss by 1 / temperature: the second is never negative."""
        weights = np.exp(self.below * np.float32(sharpness))
        totals = weights.sum(axis=0)
        weights *= self.below
        means = weights.sum(axis=0) / totals
        weights *= self.below
        variances = weights.sum(axis=0) / totals - means * means
        first = float(np.mean(means - self.true, dtype=np.float64))
        return first, max(0.0, float(np.mean(variances, dtype=np.float64)))


def _fit(prepared: _Logits) -> Temperature:
    """The temperature with the lowest mean cross-entropy.

    In 1 / temperature the loss is convex, so its minimum is where its slope changes sign: a bound, or a root between
    the bounds. Newton's method finds it, and halves the range (of the logarithm) whenever a step leaves the range or
    does not halve the slope.
    """
    if len(prepared.true) == 0:
        return Temperature(1.0, at_bound=False)
    slope, curvature = prepared.slope(1.0)
    if slope == 0:
        return Temperature(1.0, at_bound=False)
    bound = 1 / HIGHEST if slope > 0 else 1 / LOWEST
    if prepared.slope(bound)[0] * slope >= 0:  # 0 where nothing is left of it in 32 bits
        return Temperature(1 / bound, at_bound=True)
    return Temperature(1 / _root(prepared, (slope, curvature), min(1.0, bound), max(1.0, bound)), at_bound=False)


def _root(prepared: _Logits, at_one: tuple[float, float], low: float, high: float) -> float:
    """Where the slope is 0 as a function of 1 / temperature, from 1; below 0 at `low`, above 0 at `high`."""
    sharpness, (slope, curvature) = 1.0, at_one
    halve = False
    for _ in range(_ITERATIONS):
        newton = sharpness - slope / curvature if curvature > 0 else math.inf
        new = newton if low < newton < high and not halve else math.sqrt(low * high)
        close = abs(new - sharpness) <= _PRECISION * new
        before, sharpness = slope, new
        if close:
            break
        slope, curvature = prepared.slope(sharpness)
        low, high = (low, sharpness) if slope > 0 else (sharpness, high)
        halve = abs(slope) > abs(before) / 2
    return sharpness
