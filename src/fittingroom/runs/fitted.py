"""NPZ files of what was fitted for a run's answers, kept beside what it was learned from.

They come when an answer first needs them, and can be made again. Each belongs to the weights whose hash it has: where
these have changed, because training went on, it is as good as absent. So is one of an earlier format.

    format        of the file
    weights       SHA-256 of the weights, uint8 (32,)

and what each kind of file has besides.
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

from fittingroom.data.npz import array_names, read_array
from fittingroom.data.streams import open_file
from fittingroom.errors import RunError
from fittingroom.files import write_atomically
from fittingroom.runs.damage import damage

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
