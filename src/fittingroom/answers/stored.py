"""`judgement.npz` and `correction.npz`: what was fitted for a run's answers, kept beside the weights.

They come when an answer first needs them, and can be made again. Each belongs to the weights whose hash it has: where
these have changed, because training continued, it counts as absent. So does one of an earlier format. Both have

    format        of the file
    weights       SHA-256 of the weights, uint8 (32,)

`judgement.npz`, written when a run is first asked for an answer, has besides

    temperature   float64
    scores        float32 (n,), rising: those of `Conformal`
    outlines      uint8 (m, LENGTH), HOG features, or float16 (m, n), those of a backbone: of `NeighbourDetector`
    classes       int32 (m,), rising: its classes
    apart         float32 (m,), rising: its distances
    doubts        float32 (m,), rising: its surprises
    threshold     float64: its threshold

Format 1 lacked apart and doubts; the threshold of format 2 was for another rarity.

`correction.npz`, written when it is first asked about a photo, has besides

    sharpness     float64: of `LabelShiftCalibration`
    shifts        float64 (classes,): its shifts
    scores        float32 (n,), rising: those of its `Conformal`
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from fittingroom.answers.judgement import Judgement
from fittingroom.answers.out_of_distribution import LENGTH, MOST_IMAGES, NeighbourDetector
from fittingroom.answers.recalibration import SHARPEST, Conformal, LabelShiftCalibration
from fittingroom.atomic import open_file, write_atomically
from fittingroom.data.npz import NpzFile
from fittingroom.errors import RunError
from fittingroom.evaluation.calibration import HIGHEST, LOWEST
from fittingroom.runs.json_files import damage
from fittingroom.runs.layout import SeedFiles

T = TypeVar("T")


def digest_of(folders: Sequence[Path]) -> bytes:
    """The SHA-256 of the weights of one seed, or of several in this order.

    Raises:
        RunError: a file of weights is missing or cannot be read.
    """
    name, digest = "weights.safetensors", hashlib.sha256()
    for folder in (SeedFiles(path).folder for path in folders):
        with damage(folder, name), open_file(folder / name) as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.digest()


@dataclass(frozen=True)
class FittedFile(Generic[T]):
    """A kind of file that keeps what was fitted.

    Args:
        name: of the file in a run's folder.
        format: that is written; newer ones are refused.
        largest: bytes that one may have.
        arrays_of: arrays and numbers of NumPy, by their names in the file.
        checked: the same back from a file, for so many classes; may raise anything where that makes no sense.
        again: what makes it again where it was deleted, in words.
    """

    name: str
    format: int
    largest: int
    arrays_of: Callable[[T], Mapping[str, Any]]
    checked: Callable[[NpzFile, int], T]
    again: str = "the next answer"

    def write(self, folder: Path, fitted: T, digest: bytes) -> None:
        """Writes what was fitted into a run's folder, with the digest of the weights that it belongs to.

        Raises:
            StorageError: it cannot be written; what was there before is intact.
        """
        own = {"format": np.int64(self.format), "weights": np.frombuffer(digest, np.uint8)}
        arrays = {**own, **self.arrays_of(fitted)}
        write_atomically(folder / self.name, lambda stream: np.savez(stream, allow_pickle=False, **arrays))

    def read(self, folder: Path, digest: bytes, classes: int) -> T | None:
        """What the one in a run's folder has; None if there is none, or if its weights have another digest.

        Raises:
            RunError: the file is damaged, or written by a newer version.
        """
        file = folder / self.name
        if not file.exists() and not file.is_symlink():
            return None
        with _mendable(file, self.again), damage(folder, self.name):
            if file.stat().st_size > self.largest:
                raise ValueError(f"it is larger than the {self.largest:,} bytes that such a file may have")
            arrays = NpzFile(file)
            if "format" not in arrays.names():
                raise ValueError("it does not say its format")
            found = _number_in(arrays, "format")
            if found > self.format:
                raise RunError(
                    f"{self.name} has the format {found:g}, and this version of fittingroom reads up to {self.format}."
                )
            if found < self.format or arrays.read("weights").tobytes() != digest:
                return None
            return self.checked(arrays, classes)


@contextmanager
def _mendable(file: Path, again: str) -> Iterator[None]:
    """Adds to an error that nothing is lost."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{error} Delete {file}: {again} makes it again.") from error


def _judgement_arrays(judgement: Judgement) -> Mapping[str, Any]:
    unlike = judgement.unlike
    if not isinstance(unlike, NeighbourDetector):
        raise TypeError("only a judgement with the features of held-out images is worth keeping")
    return {
        "temperature": np.float64(judgement.temperature),
        "scores": judgement.conformal.scores,
        "outlines": unlike.features,
        "classes": unlike.classes.astype(np.int32),
        "apart": unlike.held_out_distances,
        "doubts": unlike.surprises,
        "threshold": np.float64(unlike.threshold),
    }


def _checked_judgement(file: NpzFile, class_count: int) -> Judgement:
    temperature, threshold = _number_in(file, "temperature"), _number_in(file, "threshold")
    features, classes = file.read("outlines"), file.read("classes")
    scores, distances, surprises = (_rising_in(file, name) for name in ("scores", "apart", "doubts"))
    if not LOWEST <= temperature <= HIGHEST or not 0 <= threshold <= 1:
        expected = f"expected a temperature of {LOWEST} to {HIGHEST} and a threshold of 0 to 1"
        raise ValueError(f"{expected}, got {temperature} and {threshold}")
    length = LENGTH if features.dtype == np.uint8 else min(features.shape[-1], _LONGEST)
    if features.dtype not in (np.uint8, np.float16) or features.shape != (len(classes), length):
        raise ValueError(
            f"expected HOG features of shape ({len(classes)}, {LENGTH}), uint8, or those of a backbone, float16, "
            f"got {features.shape}, {features.dtype}"
        )
    if not 1 <= len(classes) <= MOST_IMAGES or not np.isfinite(features).all():
        raise ValueError(f"expected finite features of 1 to {MOST_IMAGES} images, got {len(classes)}")
    if classes.dtype != np.int32 or classes.ndim != 1 or not 0 <= classes[0] <= classes[-1] < class_count:
        raise ValueError(f"its classes are not of 0 to {class_count - 1}")
    if (classes[:-1] > classes[1:]).any():
        raise ValueError("its classes do not rise")
    if not len(distances) == len(surprises) == len(classes):
        raise ValueError(f"expected {len(classes)} distances and surprises, got {len(distances)} and {len(surprises)}")
    unlike = NeighbourDetector(features, classes, distances, surprises, threshold)
    return Judgement(temperature, Conformal(scores), unlike)


def _label_shift_arrays(fitted: LabelShiftCalibration) -> Mapping[str, Any]:
    return {"sharpness": np.float64(fitted.sharpness), "shifts": fitted.shifts, "scores": fitted.conformal.scores}


def _checked_label_shift(file: NpzFile, class_count: int) -> LabelShiftCalibration:
    sharpness, shifts, scores = _number_in(file, "sharpness"), file.read("shifts"), _rising_in(file, "scores")
    if not 1 / SHARPEST <= sharpness <= SHARPEST:
        raise ValueError(f"expected a sharpness of {1 / SHARPEST} to {SHARPEST}, got {sharpness}")
    if shifts.dtype != np.float64 or shifts.shape != (class_count,) or not np.isfinite(shifts).all():
        raise ValueError(f"its shifts are not {class_count} finite numbers")
    return LabelShiftCalibration(sharpness, shifts, Conformal(scores))


def _rising_in(file: NpzFile, name: str) -> npt.NDArray[np.float32]:
    """Numbers in a file, float32 `(n,)`, each as large as the one before it or larger; else a ValueError."""
    array = file.read(name)
    rises = array.ndim == 1 and array.dtype == np.float32 and bool((array[:-1] <= array[1:]).all())
    if not rises or np.isnan(array).any():
        raise ValueError(f"its {name} are not rising numbers")
    return array


def _number_in(file: NpzFile, name: str) -> float:
    """A number in a file; a ValueError where it has something else under this name."""
    array = file.read(name)
    if array.shape != () or array.dtype.kind not in "if":
        raise ValueError(f"its {name} is {array.dtype} of the shape {array.shape}, not a number")
    return float(array)


_LONGEST = 4_096  # features of a backbone; the largest of keras.applications has 2,560

# 5,000 images have three million bytes of HOG features and 41 of a backbone's, the scores of ten million images forty.
JUDGEMENT = FittedFile("judgement.npz", 3, 96 * 2**20, _judgement_arrays, _checked_judgement)
LABEL_SHIFT = FittedFile("correction.npz", 1, 2**20, _label_shift_arrays, _checked_label_shift)
