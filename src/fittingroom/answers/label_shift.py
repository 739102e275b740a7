"""Probabilities brought to images of another origin: what is named too often there becomes less likely.

A model that is right about images like those it was trained on can prefer some classes in others, as one may call most
sweaters in photos coats. From images of that origin whose true classes are known, one number for all classes and a
shift for each are learned.

Source: bias-corrected temperature scaling, Alexandari, Kundaje and Shrikumar, Maximum Likelihood with Bias-Corrected
Calibration is Hard-To-Beat at Label Shift Adaptation, ICML 2020 (arXiv 1901.06852).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.answers.conformal import Conformal

SHARPEST = 100.0
"""The largest sharpness; the smallest is 1 / SHARPEST."""

_CAUTION = 0.01  # the images at hand are not quite those to come, so a shift has to earn its size
_LEAST_LOG = -100.0  # nats; no probability says more

Logs = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Correction:
    """What was learned of images of another origin.

    Args:
        sharpness: what logarithms of probabilities are multiplied by; below 1 the model was too sure.
        shifts: nats that are added to each class, float64 `(classes,)`.
        conformal: what prediction sets are made from, of corrected probabilities.
    """

    sharpness: float
    shifts: npt.NDArray[np.float64]
    conformal: Conformal

    @classmethod
    def of(cls, log_probabilities: Logs, labels: npt.NDArray[np.integer[Any]]) -> Correction:
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
            slope = np.append((off * logs).sum(), off.sum(axis=0) + _CAUTION * shifts)
            return float(-found[true].mean() + _CAUTION / 2 * (shifts**2).sum()), slope

        bounds = [(1 / SHARPEST, SHARPEST), *[(None, None)] * classes]
        start = np.append(1.0, np.zeros(classes))
        best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        found = cls(float(best[0]), best[1:], Conformal(np.zeros(0, np.float32)))
        return cls(found.sharpness, found.shifts, Conformal.of(found.corrected(logs), labels))

    def corrected(self, log_probabilities: Logs) -> npt.NDArray[np.float64]:
        """Logarithms of corrected probabilities, `(n, classes)`."""
        return _normalized(self.sharpness * _finite(log_probabilities) + self.shifts)


def _finite(logs: Logs) -> npt.NDArray[np.float64]:
    return np.maximum(logs.astype(np.float64), _LEAST_LOG)


def _normalized(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logs = logs - logs.max(axis=1, keepdims=True)
    return np.asarray(logs - np.log(np.exp(logs).sum(axis=1, keepdims=True)))
