"""The paired bootstrap: how much means over the same images would vary with other images, and with other seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.seeds import generator

Floats = npt.NDArray[np.float64]

RESAMPLES = 4000
_DRAWS_AT_ONCE = 2**20  # images drawn together, which bounds the memory: 16 MB


def resampled_means(values: npt.NDArray[Any], resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """The mean of each row over images drawn with replacement, float64 `(resamples, rows)`.

    All rows have the same images drawn, so that differences between rows are paired. Source: Efron and Tibshirani, An
    Introduction to the Bootstrap (1993).

    Args:
        values: one row per model, one column per image; at least one image.
        resamples: how many times as many images are drawn as there are.
        seed: of the draws; equal seeds give equal numbers.
    """
    images = values.shape[1]
    columns = np.ascontiguousarray(values.T, np.float64)
    draws = generator(seed, "bootstrap")
    means = np.empty((resamples, len(values)))
    rows = max(1, _DRAWS_AT_ONCE // images)
    for start in range(0, resamples, rows):
        part = means[start : start + rows]
        # How often each image was drawn: a matrix product of counts is faster than adding up the drawn values.
        drawn = draws.integers(images, size=(len(part), images)) + images * np.arange(len(part))[:, None]
        counts = np.bincount(drawn.ravel(), minlength=len(part) * images).reshape(len(part), images)
        part[:] = counts.astype(np.float64) @ columns / images
    return means


def resampled_seeds(means: Floats, side: int, seed: int = 0) -> Floats:
    """The mean of each row over replicas drawn with replacement, `(rows,)`; the replicas are drawn anew for each row.

    One replica fewer is drawn than there are, so that the variance of the result is that of the mean without bias,
    which counts where replicas are few. Source: McCarthy and Snowden, The Bootstrap and Finite Population Sampling
    (1985).

    Args:
        means: one row per resample of the images, one column per replica; at least two replicas.
        side: 0 or 1, so that two recipes draw independently.
        seed: of the draws.
    """
    resamples, replicas = means.shape
    drawn = generator(seed, "bootstrap", 1, side).integers(replicas, size=(resamples, replicas - 1))
    chosen: Floats = np.take_along_axis(means, drawn, axis=1)
    return np.asarray(chosen.mean(axis=1))
