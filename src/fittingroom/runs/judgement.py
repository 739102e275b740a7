"""`judgement.npz`: what the held-out images taught about a run's answers, kept beside what it was learned from.

It is written when a run is first asked for an answer, and belongs to the weights whose hash it has. Where these have
changed, because training went on, it is as good as absent.

    format        2
    weights       SHA-256 of the weights, uint8 (32,)
    temperature   float64
    scores        float32 (n,), rising: see `evaluation.conformal`
    outlines      uint8 (m, LENGTH), classes int32 (m,), apart and doubts float32 (m,), the last three rising, and
    threshold     float64: see `evaluation.unlike`

Files of format 1 lack apart and doubts, and are as good as absent, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.data.npz import array_names, read_array
from fittingroom.data.streams import open_file
from fittingroom.errors import RunError
from fittingroom.evaluation.conformal import Conformal
from fittingroom.evaluation.judgement import Judgement
from fittingroom.evaluation.outlines import LENGTH
from fittingroom.evaluation.temperature import HIGHEST, LOWEST
from fittingroom.evaluation.unlike import MOST_IMAGES, UnlikeByOutlineAndDoubt
from fittingroom.files import write_atomically
from fittingroom.runs.damage import damage

FORMAT = 2
FILE = "judgement.npz"

_LARGEST = 64 * 2**20  # bytes; 5,000 outlines have three million, the scores of ten million images forty

Array = npt.NDArray[Any]


def digest_of(folders: Sequence[Path]) -> bytes:
    """The SHA-256 of the weights of one run, or of several replicas in this order.

    Raises:
        RunError: a file of weights is missing or cannot be read.
    """
    name, digest = "weights.safetensors", hashlib.sha256()
    for folder in folders:
        with damage(folder, name), open_file(folder / name) as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.digest()


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
        "format": np.int64(FORMAT),
        "weights": np.frombuffer(digest, np.uint8),
        "temperature": np.float64(judgement.temperature),
        "scores": judgement.conformal.scores,
        "outlines": unlike.outlines,
        "classes": unlike.classes.astype(np.int32),
        "apart": unlike.apart,
        "doubts": unlike.doubts,
        "threshold": np.float64(unlike.threshold),
    }
    write_atomically(path / FILE, lambda stream: np.savez(stream, allow_pickle=False, **arrays))  # type: ignore[arg-type]


def read_judgement(path: Path, digest: bytes, class_count: int) -> Judgement | None:
    """The judgement in a run's folder; None if there is none, or if it belongs to other weights.

    Args:
        path: the folder.
        digest: of the run's weights.
        class_count: how many classes the run has.

    Raises:
        RunError: the file is damaged, or written by a newer version.
    """
    file = path / FILE
    if not file.exists() and not file.is_symlink():
        return None
    with _mendable(file), damage(path, FILE):
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than the {_LARGEST:,} bytes that such a file may have")
        if "format" not in array_names(file):
            raise ValueError("it does not say its format")
        found = _number(file, "format")
        if found > FORMAT:
            raise RunError(f"{FILE} has the format {found:g}, and this version of fittingroom reads up to {FORMAT}.")
        if found < FORMAT or read_array(file, "weights").tobytes() != digest:
            return None
        return _checked(file, class_count)


@contextmanager
def _mendable(file: Path) -> Iterator[None]:
    """Adds to an error that nothing is lost."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{error} Delete {file}: the next answer makes it anew.") from error


def _checked(file: Path, class_count: int) -> Judgement:
    temperature, threshold = _number(file, "temperature"), _number(file, "threshold")
    outlines, classes = read_array(file, "outlines"), read_array(file, "classes")
    scores, apart, doubts = (_rising(file, name) for name in ("scores", "apart", "doubts"))
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


def _rising(file: Path, name: str) -> npt.NDArray[np.float32]:
    array = read_array(file, name)
    rises = array.ndim == 1 and array.dtype == np.float32 and bool((array[:-1] <= array[1:]).all())
    if not rises or np.isnan(array).any():
        raise ValueError(f"its {name} are no rising numbers")
    return array


def _number(file: Path, name: str) -> float:
    array = read_array(file, name)
    if array.shape != () or array.dtype.kind not in "if":
        raise ValueError(f"its {name} is {array.dtype} of the shape {array.shape}, not a number")
    return float(array)
