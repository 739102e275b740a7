"""`correction.npz`: what photographs made of held-out images taught about a run's answers to photos.

It is written when a run is first asked about one; see `fitted.py` for when it counts. It has besides:

    sharpness     float64
    shifts        float64 (classes,): see `evaluation.correction`
    scores        float32 (n,), rising: see `evaluation.conformal`
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fittingroom.data.npz import read_array
from fittingroom.evaluation.conformal import Conformal
from fittingroom.evaluation.correction import SHARPEST, Correction
from fittingroom.runs.fitted import FittedFile, number_in, rising_in

CORRECTION = FittedFile("correction.npz", 1, 2**20)


def write_correction(path: Path, correction: Correction, digest: bytes) -> None:
    """Writes a correction into a run's folder.

    Args:
        path: the folder.
        correction: what to keep.
        digest: of the weights that it belongs to.

    Raises:
        StorageError: it cannot be written; what was there before is intact.
    """
    arrays = {
        "sharpness": np.float64(correction.sharpness),
        "shifts": correction.shifts,
        "scores": correction.conformal.scores,
    }
    CORRECTION.write(path, digest, arrays)


def read_correction(path: Path, digest: bytes, class_count: int) -> Correction | None:
    """The correction in a run's folder; None if there is none, or if it belongs to other weights.

    Args:
        path: the folder.
        digest: of the run's weights.
        class_count: how many classes the run has.

    Raises:
        RunError: the file is damaged, or written by a newer version.
    """
    return CORRECTION.read(path, digest, lambda file: _checked(file, class_count))


def _checked(file: Path, class_count: int) -> Correction:
    sharpness, shifts, scores = number_in(file, "sharpness"), read_array(file, "shifts"), rising_in(file, "scores")
    if not 1 / SHARPEST <= sharpness <= SHARPEST:
        raise ValueError(f"a sharpness of {sharpness} makes no sense")
    if shifts.dtype != np.float64 or shifts.shape != (class_count,) or not np.isfinite(shifts).all():
        raise ValueError(f"its shifts are no {class_count} numbers")
    return Correction(sharpness, shifts, Conformal(scores))
