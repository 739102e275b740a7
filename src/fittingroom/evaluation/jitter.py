"""How much a curve jumps from epoch to epoch, and how far apart two of its levels must be to be more than that.

A training with batches of few images never comes to rest: after each epoch the loss is a little higher or lower than
its course, on all images together, so that no number of images averages it out. And the lowest of many such epochs is
low by luck. A rise counts only beyond what the luckiest and the last epochs of a flat course differ by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fittingroom.seeds import generator

Floats = npt.NDArray[np.float64]

_NUMBERS = 2**20  # drawn for one bound, which limits the time: 30 ms
_FEWEST, _MOST = 200, 20_000
_OUTSIDE = 0.025  # on the side of a rise


def window(epochs: int) -> int:
    """How many epochs at the end, and where the curve is lowest, are taken together: a sixth of them, one to five.

    More would count on epochs that are independent of each other, which neighbours in a long training are not.
    """
    return min(5, max(1, epochs // 6))


def jitter(curves: Sequence[Floats]) -> float:
    """The standard deviation of single epochs around the course of a curve, over one or several of the same kind.

    From second differences, e(t-1) - 2 e(t) + e(t+1), which leave nothing of a straight course, and have six times the
    variance of independent epochs. What a course bends counts as jitter, so the estimate is rather too large. Two
    epochs have a first difference only.

    Args:
        curves: one number per epoch each, two epochs at least.
    """
    parts = [np.diff(curve, 2) / math.sqrt(6) if len(curve) > 2 else np.diff(curve) / math.sqrt(2) for curve in curves]
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))


@lru_cache(maxsize=256)
def bound(epochs: int, width: int, curves: int = 1) -> float:
    """How far above the lowest the last epochs of flat curves are in all but 2.5% of cases, in units of `jitter`.

    Simulated with a fixed seed: epochs are independent and normal, each curve is measured from its own lowest stretch,
    and the mean over the curves is divided by the jitter that is estimated from them.

    Args:
        epochs: of each curve, two at least.
        width: how many epochs are taken together, as `window` says.
        curves: whose mean it is about.
    """
    if epochs < 3:
        return 6.0  # two epochs: three times their distance, so that nothing is ever shown
    draws = min(_MOST, max(_FEWEST, _NUMBERS // (epochs * curves)))
    drawn = generator(0, "bootstrap", 4).standard_normal((draws, curves, epochs))
    sums = np.concatenate([np.zeros((draws, curves, 1)), drawn.cumsum(axis=2)], axis=2)
    levels = (sums[..., width:] - sums[..., :-width]) / width
    above = (levels[..., -1] - levels.min(axis=2)).mean(axis=1)
    estimated = np.sqrt((np.diff(drawn, 2) ** 2).mean(axis=(1, 2)) / 6)
    return float(np.quantile(above / estimated, 1 - _OUTSIDE))
