"""`tf.keras.datasets` of the stand-in: Fashion-MNIST and MNIST from the catalogue, and the ledger knows of it.

Keras's `load_data` gives the test images together with the training images. So does this one, as it must; the ledger
records it as an opening of the test set, and a message says so.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from fittingroom.api import openings
from fittingroom.data.dataset import Dataset, Part
from fittingroom.errors import DatasetNotFoundError
from fittingroom.tf.namespaces import Namespace

_log = logging.getLogger("fittingroom")

Array = np.ndarray[Any, Any]
Parts = tuple[tuple[Array, Array], tuple[Array, Array]]


def load_fashion_mnist() -> Parts:
    """Fashion-MNIST as Keras gives it: `(x_train, y_train), (x_test, y_test)`, uint8, `(60000, 28, 28)` and `(60000,)`.

    Raises:
        DatasetNotFoundError: its files are nowhere to be found; the message says how to get them.
        StorageError: the ledger cannot be written, so the test set stays closed.
    """
    kept_by_keras = _keras_home() / "fashion-mnist"
    try:
        data = openings.load("fashion-mnist", validation=0)
    except DatasetNotFoundError:
        if not kept_by_keras.is_dir():
            raise
        data = openings.load("fashion-mnist", validation=0, data_dir=kept_by_keras)
    return _both_parts(data, "fashion_mnist")


def load_mnist(path: str | os.PathLike[str] = "mnist.npz") -> Parts:
    """MNIST as Keras gives it: `(x_train, y_train), (x_test, y_test)`, uint8, `(60000, 28, 28)` and `(60000,)`.

    Args:
        path: of Keras's file `mnist.npz`, absolute or below Keras's folder of datasets. Where it is not there, the
            catalogue's four files are looked for.

    Raises:
        DatasetNotFoundError: neither is there; the message says how to get them.
        DataError: the file is damaged, or is something else.
        StorageError: the ledger cannot be written, so the test set stays closed.
    """
    file = Path(path).expanduser()
    for place in (file, _keras_home() / file):
        if place.is_file():
            return _both_parts(openings.load(f"npz:{place}", validation=0), "mnist")
    try:
        data = openings.load("mnist", validation=0)
    except DatasetNotFoundError as error:
        raise DatasetNotFoundError(f"there is no file {file}, and {error}") from error
    return _both_parts(data, "mnist")


def _both_parts(data: Dataset, name: str) -> Parts:
    train = _arrays(data.train)  # before the test set is opened: what fails here needs no opening
    test = _arrays(data.test.open(f"tf.keras.datasets.{name}.load_data"))
    _log.warning(
        "load_data gives the %s test images too, so the ledger records an opening of the test set. Choose a model by "
        "validation_split=0.1, and look at these once, at the end. (fr.load(%r) keeps them sealed.)",
        f"{len(data.test):,}",
        data.name,
    )
    return train, test


def _arrays(part: Part) -> tuple[Array, Array]:
    """Copies, since a user's own code may write to them."""
    return np.array(part.images), part.labels.astype(np.uint8)


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets"


def keras_datasets() -> ModuleType:
    """`tf.keras.datasets`: Keras's own, but for the two that are known here."""
    ours = {"fashion_mnist": load_fashion_mnist, "mnist": load_mnist}
    modules = {name: Namespace(f"keras.datasets.{name}", {"load_data": load}) for name, load in ours.items()}
    return Namespace("keras.datasets", {**_public(keras.datasets), **modules})


def _public(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}
