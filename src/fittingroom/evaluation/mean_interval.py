"""How sure a mean over images is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.intervals import Interval

_Z = 1.959963984540054  # of 95%, both sides


def mean_interval(values: npt.NDArray[Any]) -> Interval | None:
    """The 95% interval of a mean over images, mean ± 1.96·s/√n; None for a single image.

    By the central limit theorem, in closed form, because it is needed for every epoch and replica.

    Args:
        values: a number per image, `(images,)`; at least one.
    """
    mean = float(np.mean(values, dtype=np.float64))
    if len(values) < 2:
        return None
    half = _Z * float(np.std(values, dtype=np.float64, ddof=1)) / math.sqrt(len(values))
    return Interval(mean - half, mean + half)


def plain(interval: Interval | None) -> list[float] | None:
    """An interval as plain JSON."""
    return None if interval is None else list(interval)
