"""Fitting Room: where models try data on, and you see how they fit.

Importing this module chooses Keras's JAX backend (unless Keras is already loaded, or `KERAS_BACKEND` is set) and one
thread per replica for JAX on a CPU (unless `XLA_FLAGS` is set). It loads neither Keras nor JAX: the public names are
imported on first use (PEP 562).
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fittingroom.api.fitting import fit as fit
    from fittingroom.api.run import Run as Run
    from fittingroom.api.run import open_run as open_run
    from fittingroom.api.training import train as train
    from fittingroom.data.dataset import Dataset as Dataset
    from fittingroom.data.load import load as load
    from fittingroom.errors import FittingRoomError as FittingRoomError
    from fittingroom.recipes.recipe import Recipe as Recipe

__version__ = "0.1.0"

_PUBLIC = {
    "Dataset": "fittingroom.data.dataset",
    "FittingRoomError": "fittingroom.errors",
    "Recipe": "fittingroom.recipes.recipe",
    "Run": "fittingroom.api.run",
    "fit": "fittingroom.api.fitting",
    "load": "fittingroom.data.load",
    "open_run": "fittingroom.api.run",
    "train": "fittingroom.api.training",
}

__all__ = ["Dataset", "FittingRoomError", "Recipe", "Run", "fit", "load", "open_run", "train"]

# One thread per replica: as fast as two at these sizes, and the same bits every time (see docs/decisions.md).
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"

if "keras" not in sys.modules:
    os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_FLAGS", _ONE_THREAD)


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fittingroom' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
