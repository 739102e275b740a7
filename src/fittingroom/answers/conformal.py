"""Prediction sets that hold the true class as often as they say (split conformal prediction).

On images that the model was not trained on, each true class gets a score: how unlikely the model held it to be. A class
belongs to the set of a new image if it is no more unlikely than `1 - alpha` of those. If the new image is drawn as the
held-out ones were, its set holds the true class with probability `1 - alpha`, whatever the model is worth.

That is marginal coverage: it holds on average over images, not for each class or each kind of image, and for photos of
another origin it does not hold at all. A set may be empty, where no class is likely enough.

Source: Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued Classifiers with Bounded Error Levels, Journal of the
American Statistical Association 114 (2019), arXiv 1609.00451 (LAC: the score is 1 - p of the true class).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError

ALPHA = 0.1
"""The share of sets that may miss the true class, unless another one is asked for."""


def conformal_quantile(scores: npt.NDArray[np.floating[Any]], alpha: float) -> float:
    """The score that a new one exceeds with probability `alpha` at most: the ceil((n + 1)(1 - alpha))-th smallest of n.

    Infinite where there are too few scores to say so. Without ties a new score exceeds it with probability
    `alpha - 1 / (n + 1)` at least, too.

    Args:
        scores: `(n,)`, rising.
        alpha: above 0 and below 1.

    Raises:
        InputError: alpha is something else.
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}: expected a share above 0 and below 1, such as 0.1 for sets that hold 90%.")
    # 10 * (1 - 0.7) is 3.0000000000000004 in floating point, and the rank is 3.
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)
    return float(scores[rank - 1]) if rank <= len(scores) else math.inf


@dataclass(frozen=True, eq=False)
class Conformal:
    """What prediction sets are made from.

    Args:
        scores: -ln p of the true class of each held-out image, nats, float32, `(n,)`, rising. The order is that of
            1 - p, so the sets are the same, and 32 bits tell 0.9999999 from 1.
    """

    scores: npt.NDArray[np.float32]

    @classmethod
    def of(cls, log_probabilities: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]]) -> Conformal:
        """From logarithms of probabilities `(n, classes)` of held-out images, and their true classes `(n,)`."""
        return cls(np.sort(-log_probabilities[np.arange(len(labels)), labels].astype(np.float32)))

    def sets(self, log_probabilities: npt.NDArray[np.floating[Any]], alpha: float = ALPHA) -> npt.NDArray[np.bool_]:
        """Which classes are in the set of each image, bool `(images, classes)`.

        Args:
            log_probabilities: logarithms of the probabilities of all classes, `(images, classes)`, made as those of the
                held-out images were.
            alpha: the share of sets that may miss the true class.

        Raises:
            InputError: alpha is not between 0 and 1.
        """
        inside: npt.NDArray[np.bool_] = -log_probabilities.astype(np.float32) <= conformal_quantile(self.scores, alpha)
        return inside
