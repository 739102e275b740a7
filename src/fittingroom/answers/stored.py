"""NPZ files of what was fitted for a run's answers, kept beside what it was learned from.

They come when an answer first needs them, and can be made again. Each belongs to the weights whose hash it has: where
these have changed, because training went on, it is as good as absent. So is one of an earlier format.

    format        of the file
    weights       SHA-256 of the weights, uint8 (32,)

and what each kind of file has besides.

`judgement.npz`: what the held-out images taught about a run's answers; written when it is first asked for one.

See `fitted.py` for when it counts. It has besides:

    temperature   float64
    scores        float32 (n,), rising: see `evaluation.conformal`
    outlines      uint8 (m, LENGTH), classes int32 (m,), apart and doubts float32 (m,), the last three rising, and
    threshold     float64: see `evaluation.unlike`

Format 1 lacked apart and doubts; the threshold of format 2 was for another rarity.

`correction.npz`: what photographs made of held-out images taught about a run's answers to photos.

It is written when a run is first asked about one; see `fitted.py` for when it counts. It has besides:

    sharpness     float64
    shifts        float64 (classes,): see `evaluation.correction`
    scores        float32 (n,), rising: see `evaluation.conformal`
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fittingroom.answers.conformal import Conformal
from fittingroom.answers.judgement import Judgement
from fittingroom.answers.label_shift import SHARPEST, Correction
from fittingroom.answers.out_of_distribution import LENGTH, MOST_IMAGES, UnlikeByOutlineAndDoubt
from fittingroom.atomic import open_file, write_atomically
from fittingroom.data.npz import array_names, read_array
from fittingroom.errors import RunError
from fittingroom.evaluation.calibration import HIGHEST, LOWEST
from fittingroom.runs.json_files import damage

Read = TypeVar("Read")


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


@dataclass(frozen=True)
class FittedFile:
    """A kind of such files.

    Args:
        name: of the file in a run's folder.
        format: that is written; newer ones are refused.
        largest: bytes that one may have.
    """

    name: str
    format: int
    largest: int

    def write(self, path: Path, digest: bytes, arrays: Mapping[str, Any]) -> None:
        """Writes one into a run's folder.

        Args:
            path: the folder.
            digest: of the weights that it belongs to.
            arrays: what it has besides, arrays and numbers of NumPy by their names.

        Raises:
            StorageError: it cannot be written; what was there before is intact.
        """
        every = {"format": np.int64(self.format), "weights": np.frombuffer(digest, np.uint8), **arrays}
        write_atomically(path / self.name, lambda stream: np.savez(stream, allow_pickle=False, **every))

    def read(self, path: Path, digest: bytes, checked: Callable[[Path], Read]) -> Read | None:
        """What the one in a run's folder has; None if there is none, or if it belongs to other weights.

        Args:
            path: the folder.
            digest: of the run's weights.
            checked: reads the rest of it; may raise anything where that makes no sense.

        Raises:
            RunError: the file is damaged, or written by a newer version.
        """
        file = path / self.name
        if not file.exists() and not file.is_symlink():
            return None
        with _mendable(file), damage(path, self.name):
            if file.stat().st_size > self.largest:
                raise ValueError(f"it is larger than the {self.largest:,} bytes that such a file may have")
            if "format" not in array_names(file):
                raise ValueError("it does not say its format")
            found = number_in(file, "format")
            if found > self.format:
                raise RunError(
                    f"{self.name} has the format {found:g}, and this version of fittingroom reads up to {self.format}."
                )
            if found < self.format or read_array(file, "weights").tobytes() != digest:
                return None
            return checked(file)


@contextmanager
def _mendable(file: Path) -> Iterator[None]:
    """Adds to an error that nothing is lost."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{error} Delete {file}: the next answer makes it anew.") from error


def rising_in(file: Path, name: str) -> npt.NDArray[np.float32]:
    """Numbers in a file, float32 `(n,)`, each as large as the one before it or larger.

    Raises:
        ValueError: it has something else under this name.
    """
    array = read_array(file, name)
    rises = array.ndim == 1 and array.dtype == np.float32 and bool((array[:-1] <= array[1:]).all())
    if not rises or np.isnan(array).any():
        raise ValueError(f"its {name} are no rising numbers")
    return array


def number_in(file: Path, name: str) -> float:
    """A number in a file.

    Raises:
        ValueError: it has something else under this name.
    """
    array = read_array(file, name)
    if array.shape != () or array.dtype.kind not in "if":
        raise ValueError(f"its {name} is {array.dtype} of the shape {array.shape}, not a number")
    return float(array)


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
    return JUDGEMENT.read(path, digest, lambda file: _checked_judgement(file, class_count))


def _checked_judgement(file: Path, class_count: int) -> Judgement:
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
    return CORRECTION.read(path, digest, lambda file: _checked_correction(file, class_count))


def _checked_correction(file: Path, class_count: int) -> Correction:
    sharpness, shifts, scores = number_in(file, "sharpness"), read_array(file, "shifts"), rising_in(file, "scores")
    if not 1 / SHARPEST <= sharpness <= SHARPEST:
        raise ValueError(f"a sharpness of {sharpness} makes no sense")
    if shifts.dtype != np.float64 or shifts.shape != (class_count,) or not np.isfinite(shifts).all():
        raise ValueError(f"its shifts are no {class_count} numbers")
    return Correction(sharpness, shifts, Conformal(scores))
