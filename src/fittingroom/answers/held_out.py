"""What a run says of its validation images, each as if it had come new, to compare answers to new images with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fittingroom.answers.forward import Forward
from fittingroom.answers.judgement import Judgement
from fittingroom.answers.out_of_distribution import NeighbourDetector
from fittingroom.answers.recalibration import at_temperature

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class HeldOutAnswers:
    """What a run says of validation images, none of which is compared with itself; at most 5,000.

    Args:
        images: as the model takes them, `(n, ...)`.
        classes: the number of the most likely class of each, `(n,)`.
        confidence: its calibrated probability, `(n,)`.
        rarity: of each among the others, 0 to 1, `(n,)`; where images are not compared, 0 for one that the model is
            too unsure of, else 1.
        threshold: the smallest rarity, above 0, of an image that is not unlike.
    """

    images: Array
    classes: Array
    confidence: Array
    rarity: Array
    threshold: float

    @classmethod
    def of(cls, images: Array, labels: Array, forward: Forward, judgement: Judgement) -> HeldOutAnswers | None:
        """Of all of them, or of those that answers are compared with; None where `judgement` is not from these images.

        Args:
            images: the validation images, as the model takes them, `(n, ...)`.
            labels: their true classes, `(n,)`.
            forward: the run's model.
            judgement: what was learned from these images.
        """
        logs = forward.logs(forward.held_out(images)) if forward.cross_fitted is None else forward.cross_fitted
        detector = judgement.unlike
        if len(logs) != len(images) or detector is None:
            return None
        scaled = at_temperature(logs, judgement.temperature)
        if isinstance(detector, NeighbourDetector):
            chosen = detector.chosen(labels)
            if len(chosen) != len(detector.features):
                return None
            images, scaled = images[chosen], scaled[chosen]
            rarity, threshold = detector.rarity(detector.features, scaled, np.arange(len(chosen))), detector.threshold
        else:
            unlike, _ = detector.detect(np.empty((len(scaled), 0)), scaled)
            rarity, threshold = (~unlike).astype(np.float64), 0.5
        return cls(images, scaled.argmax(axis=1), np.exp(scaled.max(axis=1)), rarity, threshold)
