"""`weights.safetensors`: the model's arrays by name, and the hash by which a run and the ledger know them.

The hash is over type, shape and bytes of each array in the order of the model's description. Names do not enter: those
that Keras makes up have numbers that it counts up within a process. It reads the file without NumPy, so that a list of
runs can be checked quickly.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.atomic import open_file
from fittingroom.errors import RunError
from fittingroom.runs.json_files import damage, read_json

if TYPE_CHECKING:
    import numpy.typing as npt

WEIGHTS_NAME = "weights.safetensors"
MODEL_NAME = "model.json"

_LARGEST_HEADER = 4 * 2**20  # bytes; two thousand weights have some three hundred thousand
_BLOCK = 2**24  # bytes that are hashed at a time


@dataclass(frozen=True)
class WeightsFile:
    """The weights of a seed, on the disk.

    Args:
        folder: the one with the seed's files, as `SeedFiles.folder` gives it.
    """

    folder: Path

    def read(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, npt.NDArray[Any]]:
        """The model's arrays by name.

        Args:
            shapes: the name and the shape of each array that there must be; None for all that there are.

        Raises:
            RunError: the file is missing or damaged, or holds other arrays, in which case none of them is read.
        """
        from safetensors import safe_open

        file = self.folder / WEIGHTS_NAME
        with damage(self.folder, WEIGHTS_NAME):
            with open_file(file) as stream:
                header = int.from_bytes(stream.read(8), "little")
            if header > _LARGEST_HEADER:
                raise ValueError(f"its header declares {header:,} bytes; ours have less than 4 MB")
            with safe_open(file, framework="np") as stored:
                if missing := sorted((shapes or {}).keys() - stored.keys()):
                    raise ValueError(f"it lacks the weights {missing[0]!r}")
                for name, shape in (shapes or {}).items():
                    found = tuple(stored.get_slice(name).get_shape())
                    if found != shape:
                        raise ValueError(f"{name} has the shape {found}, not {shape}")
                return {name: stored.get_tensor(name) for name in shapes or stored.keys()}

    def sha256(self) -> str:
        """The hash of the weights, over all arrays that `model.json` names.

        Raises:
            RunError: `weights.safetensors` or `model.json` is missing or damaged.
        """
        path = self.folder
        with damage(path, MODEL_NAME):
            model = read_json(path / MODEL_NAME)
            names = [str(start["name"]) for group in ("trainable", "non_trainable") for start in model[group]]
        with (
            damage(path, WEIGHTS_NAME),
            open_file(path / WEIGHTS_NAME) as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return WeightsFile.sha256_of(content, names)

    def check(self, recorded: str | None) -> None:
        """Makes sure that the weights are those that were written.

        Args:
            recorded: their hash, as `run.json` has it; None in runs of older versions, which are not checked.

        Raises:
            RunError: they are not, or a file is missing or damaged.
        """
        if recorded is not None and self.sha256() != recorded:
            raise RunError(
                f"{self.folder / WEIGHTS_NAME} is damaged, or is another run's: its weights are not those that were "
                f"written (SHA-256 {recorded[:12]}… in run.json). Restore the file from a backup, or train again."
            )

    @staticmethod
    def content_of(weights: Mapping[str, npt.NDArray[Any]]) -> bytes:
        """The contents of the file for some arrays."""
        from safetensors.numpy import save

        return save({name: _contiguous(array) for name, array in weights.items()})

    @staticmethod
    def sha256_of(content: bytes | mmap.mmap, names: Iterable[str]) -> str:
        """The hash of the arrays in such contents, in this order, as 64 hexadecimal digits.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: they are not such contents, or an array is not in them.
        """
        start = 8 + int.from_bytes(content[:8], "little")
        if start > min(len(content), _LARGEST_HEADER):
            raise ValueError(f"its header declares {start - 8:,} bytes")
        header, digest = json.loads(content[8:start]), hashlib.sha256()
        for name in names:
            begin, end = header[name]["data_offsets"]
            if not 0 <= begin <= end <= len(content) - start:
                raise ValueError(f"{name} lies outside the file")
            digest.update(f"{header[name]['dtype']} {header[name]['shape']}\n".encode())
            for place in range(start + begin, start + end, _BLOCK):
                digest.update(content[place : min(place + _BLOCK, start + end)])
        return digest.hexdigest()


def _contiguous(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array in C order: the memory is written as it lies, and a transposed one would come back wrong."""
    import numpy as np

    return np.asarray(array, order="C")
