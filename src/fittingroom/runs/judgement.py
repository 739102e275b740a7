"""`judgement.npz`: what the held-out images taught about a run's answers; written when it is first asked for one.

See `fitted.py` for when it counts. It has besides:

    temperature   float64
    scores        float32 (n,), rising: see `evaluation.conformal`
    outlines      uint8 (m, LENGTH), classes int32 (m,), apart and doubts float32 (m,), the last three rising, and
    threshold     float64: see `evaluation.unlike`

Format 1 lacked apart and doubts; the threshold of format 2 was for another rarity.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fittingroom.data.npz import read_array
from fittingroom.evaluation.conformal import Conformal
from fittingroom.evaluation.judgement import Judgement
from fittingroom.evaluation.outlines import LENGTH
from fittingroom.evaluation.temperature import HIGHEST, LOWEST
from fittingroom.evaluation.unlike import MOST_IMAGES, UnlikeByOutlineAndDoubt
from fittingroom.runs.fitted import FittedFile, number_in, rising_in

# 5,000 outlines have three million bytes, the scores of ten million images forty.
JUDGEMENT = FittedFile("judgement.npz", 3, 64 * 2**20)


def write_judgement(path: Path, judgement: Judgement, digest: bytes) -> None:
    """Writes a judgement that has outlines into a run's folder.

    Args:
        path: the folder.
        judgement: what to keep.
        digest: of the weights that it belongs to.

    Raises:
        StorageError: it cannot be written; what was there before is intact.
    """
    unlike = judgement.unlike
    if not isinstance(unlike, UnlikeByOutlineAndDoubt):
        raise TypeError("only a judgement that has outlines is worth keeping")
    arrays = {
        "temperature": np.float64(judgement.temperature),
        "scores": judgement.conformal.scores,
        "outlines": unlike.outlines,
        "classes": unlike.classes.astype(np.int32),
        "apart": unlike.apart,
        "doubts": unlike.doubts,
        "threshold": np.float64(unlike.threshold),
    }
    JUDGEMENT.write(path, digest, arrays)


def read_judgement(path: Path, digest: bytes, class_count: int) -> Judgement | None:
    """The judgement in a run's folder; None if there is none, or if it belongs to other weights.

    Args:
        path: the folder.
        digest: of the run's weights.
        class_count: how many classes the run has.

    Raises:
        RunError: the file is damaged, or written by a newer version.
    """
    return JUDGEMENT.read(path, digest, lambda file: _checked(file, class_count))


def _checked(file: Path, class_count: int) -> Judgement:
    temperature, threshold = number_in(file, "temperature"), number_in(file, "threshold")
    outlines, classes = read_array(file, "outlines"), read_array(file, "classes")
    scores, apart, doubts = (rising_in(file, name) for name in ("scores", "apart", "doubts"))
    if not LOWEST <= temperature <= HIGHEST or not 0 <= threshold <= 1:
        raise ValueError(f"a temperature of {temperature} and a threshold of {threshold} make no sense")
    if outlines.dtype != np.uint8 or outlines.shape != (len(classes), LENGTH) or not 1 <= len(classes) <= MOST_IMAGES:
        raise ValueError(f"its outlines are {outlines.dtype} of the shape {outlines.shape}")
    if classes.dtype != np.int32 or classes.ndim != 1 or not 0 <= classes[0] <= classes[-1] < class_count:
        raise ValueError(f"its classes are not of 0 to {class_count - 1}")
    if (classes[:-1] > classes[1:]).any():
        raise ValueError("its classes do not rise")
    if not len(apart) == len(doubts) == len(classes):
        raise ValueError(f"it has {len(classes)} outlines, {len(apart)} distances and {len(doubts)} doubts")
    unlike = UnlikeByOutlineAndDoubt(outlines, classes, apart, doubts, threshold)
    return Judgement(temperature, Conformal(scores), unlike)
