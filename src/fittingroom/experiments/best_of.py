"""How far the best of many trials may lead by luck alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.luck import expected_maximum, points


@dataclass(frozen=True)
class BestOf:
    """The lead that the best of equally good trials would have on these images.

    Args:
        trials: how many there were to choose from.
        objective: `accuracy` (a share of the images) or `loss` (nats).
        value: what the best reached on validation.
        luck: its expected lead over what it is worth, in the same unit, 0 or more.
    """

    trials: int
    objective: str
    value: float
    luck: float

    @property
    def expected(self) -> float:
        """What the best would be expected to reach on new images like these, were all trials equally good."""
        return self.value - self.luck if self.objective == "accuracy" else self.value + self.luck

    def sentence(self) -> str:
        """What this means for the winner."""
        if self.trials == 1:
            return "one trial was not chosen from others, so its score has no luck of choosing in it"
        if self.objective == "accuracy":
            return (
                f"were all {self.trials} trials equally good, the best would lead by about {points(self.luck)} points "
                f"by luck alone; that would leave {100 * self.expected:.2f}%"
            )
        return (
            f"were all {self.trials} trials equally good, the best would lead by about {self.luck:.4f} nats by luck "
            f"alone; that would leave {self.expected:.4f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "trials": self.trials,
            "objective": self.objective,
            "value": self.value,
            "luck": self.luck,
            "expected": self.expected,
            "sentence": self.sentence(),
        }


def luck_of_best(scores: Sequence[npt.NDArray[Any]], trials: int) -> float:
    """By how much the best mean of equally good trials exceeds its true value, on average.

    The differences between trials on the same images say how much a mean varies that is not common to all: half the
    variance of such a difference, over the number of images. Means are taken as normal, as in `evaluation.luck`.

    Args:
        scores: for each trial that was trained to its end, its score on each image, mean over seeds; `(images,)`.
        trials: how many there were to choose from, those too that were ended early.
    """
    count = len(scores)
    if count < 2:
        return 0.0
    images = len(scores[0])
    of_each = sum(float(np.var(each, ddof=1)) for each in scores)
    # Over all pairs, the variances of the differences sum to this.
    of_pairs = count * of_each - float(np.var(np.sum(scores, axis=0, dtype=np.float64), ddof=1))
    error = math.sqrt(max(of_pairs, 0.0) / (count * (count - 1)) / images)
    return error * expected_maximum(trials)
