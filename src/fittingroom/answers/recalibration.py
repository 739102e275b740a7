"""Probabilities and prediction sets that held-out images make honest: temperature, label shift, conformal sets.

**Label-shift calibration.** A model that is right about images like those it was trained on can prefer some classes in
images of another origin, as one may call most sweaters in photos coats. From images of that origin whose true classes
are known, one number for all classes and a shift for each are learned: bias-corrected temperature scaling, Alexandari,
Kundaje and Shrikumar, Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label Shift Adaptation,
ICML 2020 (arXiv 1901.06852).

**Prediction sets** (split conformal prediction) hold the true class as often as they say. On held-out images, each true
class gets a score: how unlikely the model held it to be. A class belongs to the set of a new image if it is no more
unlikely than `1 - alpha` of those. If the new image is drawn as the held-out ones were, its set holds the true class
with probability `1 - alpha`, whatever the model is worth. That is marginal coverage: it holds on average over images,
not for each class or each kind of image, and for photos of another origin it does not hold at all. A set may be empty,
where no class is likely enough. Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued Classifiers with Bounded Error
Levels, Journal of the American Statistical Association 114 (2019), arXiv 1609.00451 (LAC: the score is 1 - p of the
true class).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError

Logs = npt.NDArray[np.floating[Any]]
"""Logarithms of probabilities, nats, `(n, classes)`."""

ALPHA = 0.1
"""The share of sets that may miss the true class, unless another one is asked for."""

SHARPEST = 100.0
"""The largest sharpness of a label-shift calibration; the smallest is 1 / SHARPEST."""

_SHIFT_PENALTY = 0.01  # the images at hand are not quite those to come, so a shift has to earn its size
_LEAST_LOG = -100.0  # nats; no probability says more


def at_temperature(log_probabilities: Logs, temperature: float) -> npt.NDArray[np.float64]:
    """Logarithms of the probabilities at another temperature, float64 `(n, classes)`.

    The most likely class stays the same; above 1, its probability falls.
    """
    logs = log_probabilities.astype(np.float64)
    return _normalized((logs - logs.max(axis=1, keepdims=True)) / temperature)


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
    def of(cls, log_probabilities: Logs, labels: npt.NDArray[np.integer[Any]]) -> Conformal:
        """From logarithms of probabilities `(n, classes)` of held-out images, and their true classes `(n,)`."""
        return cls(np.sort(-log_probabilities[np.arange(len(labels)), labels].astype(np.float32)))

    def sets(self, log_probabilities: Logs, alpha: float = ALPHA) -> npt.NDArray[np.bool_]:
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


@dataclass(frozen=True, eq=False)
class LabelShiftCalibration:
    """What was learned from images of another origin.

    Args:
        sharpness: what logarithms of probabilities are multiplied by; below 1 the model was too sure.
        shifts: nats that are added to each class, float64 `(classes,)`.
        conformal: what prediction sets are made from, of recalibrated probabilities.
    """

    sharpness: float
    shifts: npt.NDArray[np.float64]
    conformal: Conformal

    @classmethod
    def of(cls, log_probabilities: Logs, labels: npt.NDArray[np.integer[Any]]) -> LabelShiftCalibration:
        """From what a model makes of such images, `(n, classes)`, and their true classes, `(n,)`; at least one.

        The cross-entropy is the lowest that it can be together with 0.005 times the sum of the squares of the shifts.
        Both are convex, so there is one solution.
        """
        from scipy.optimize import minimize

        logs, classes = _finite(log_probabilities), log_probabilities.shape[1]
        true = np.arange(classes) == labels[:, None]

        def loss(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            """What is to be small, and its slope."""
            sharpness, shifts = values[0], values[1:]
            found = _normalized(sharpness * logs + shifts)
            off = (np.exp(found) - true) / len(labels)
            slope = np.append((off * logs).sum(), off.sum(axis=0) + _SHIFT_PENALTY * shifts)
            return float(-found[true].mean() + _SHIFT_PENALTY / 2 * (shifts**2).sum()), slope

        bounds = [(1 / SHARPEST, SHARPEST), *[(None, None)] * classes]
        start = np.append(1.0, np.zeros(classes))
        best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        found = cls(float(best[0]), best[1:], Conformal(np.zeros(0, np.float32)))
        return cls(found.sharpness, found.shifts, Conformal.of(found.recalibrated(logs), labels))

    def recalibrated(self, log_probabilities: Logs) -> npt.NDArray[np.float64]:
        """Logarithms of recalibrated probabilities, `(n, classes)`."""
        return _normalized(self.sharpness * _finite(log_probabilities) + self.shifts)


def _finite(logs: Logs) -> npt.NDArray[np.float64]:
    return np.maximum(logs.astype(np.float64), _LEAST_LOG)


def _normalized(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logs = logs - logs.max(axis=1, keepdims=True)
    return np.asarray(logs - np.log(np.exp(logs).sum(axis=1, keepdims=True)))
