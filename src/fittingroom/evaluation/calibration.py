"""Can't tell, or too sure: the loss of each epoch, split into what other confidence would remove and what it would not.

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

from fittingroom.evaluation.halves import first_half
from fittingroom.evaluation.intervals import Interval
from fittingroom.evaluation.mean_interval import mean_interval, plain
from fittingroom.evaluation.temperature import LOWEST, Logits, Temperature, fitted
from fittingroom.evaluation.trajectories import Trajectories

Verdict = Literal["overconfident", "underconfident"]


@dataclass(frozen=True)
class Calibration:
    """The loss of one epoch, split.

    Args:
        epoch: its number.
        loss: mean loss in nats, the stored one.
        refinement: mean loss after scaling, in nats.
        overconfidence: loss - refinement, in nats, by definition.
        interval: 95% interval of the overconfidence over images, paired; None for a single image.
        temperatures: fitted on the first half of the images and on the second.
        rounding: by how much the stored loss and the one computed from the stored probabilities of all classes differ,
            in nats: so much of the overconfidence may be due to their 16 bits.
    """

    epoch: int
    loss: float
    refinement: float
    overconfidence: float
    interval: Interval | None
    temperatures: tuple[Temperature, Temperature]
    rounding: float

    @property
    def temperature(self) -> float:
        """The geometric mean of both temperatures."""
        return math.sqrt(self.temperatures[0].value * self.temperatures[1].value)

    @property
    def at_bound(self) -> bool:
        """Whether one of the temperatures is at a bound, so that its value says little."""
        return any(temperature.at_bound for temperature in self.temperatures)

    @property
    def verdict(self) -> Verdict | None:
        """What is shown beyond noise: both halves ask for the same correction, and it helps on the half not asked.

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


def calibration(trajectories: Trajectories) -> tuple[Calibration, ...] | None:
    """Refinement and overconfidence of every epoch; None where the probabilities of all classes were not kept."""
    if not trajectories.has_all_classes:
        return None
    first = first_half(trajectories.labels)
    order = np.concatenate([np.flatnonzero(first), np.flatnonzero(~first)])
    return tuple(_epoch(trajectories, epoch, order, int(first.sum())) for epoch in trajectories.epochs)


def _epoch(trajectories: Trajectories, epoch: int, order: npt.NDArray[np.intp], middle: int) -> Calibration:
    """One epoch; `order` puts the first half of the images, `middle` of them, before the second."""
    stored = trajectories.loss[trajectories.row(epoch)][order].astype(np.float64)
    prepared = Logits.of(trajectories.all_log_probabilities(epoch)[order], trajectories.labels[order])
    halves = prepared.part(slice(middle)), prepared.part(slice(middle, None))
    temperatures = fitted(halves[0]), fitted(halves[1])
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
        interval=mean_interval(removed),
        temperatures=temperatures,
        rounding=float(stored.mean() - prepared.loss(1.0).mean()),
    )


def _used(temperature: Temperature) -> float:
    """The temperature to measure with: 1 where a half has no mistake that speaks against being surer without end.

    At the lowest temperature a single mistake in the other half would cost a hundred times its loss.
    """
    return 1.0 if temperature.at_bound and temperature.value == LOWEST else temperature.value
