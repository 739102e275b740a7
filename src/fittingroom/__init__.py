"""Fitting Room: where models try data on, and you see how they fit.

Importing this module chooses Keras's JAX backend (unless Keras is already loaded, or `KERAS_BACKEND` is set), and for
JAX on a CPU one thread per operation (unless `XLA_FLAGS` is set) and a device per core (unless `JAX_NUM_CPU_DEVICES` is
set). It loads neither Keras nor JAX: the public names are imported on first use (PEP 562).
"""

from __future__ import annotations

import gc
import importlib
import os
import re
import sys
from pathlib import Path

__version__ = "0.1.0"

_STUB = Path(__file__).with_suffix(".pyi")
_PUBLIC = {
    name: module for module, name in re.findall(r"^from (\S+) import (\w+)", _STUB.read_text("utf-8"), re.MULTILINE)
}
"""Public name -> its module, from the stub, which is the only list of them."""

__all__ = sorted(_PUBLIC)  # noqa: PLE0605 - a list of texts, though not a literal one

# One thread per seed: as fast as two at these sizes, and the same bits every time (see docs/decisions.md).
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if "keras" not in sys.modules:
    os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_FLAGS", _ONE_THREAD)
if "host_platform_device_count" not in os.environ["XLA_FLAGS"]:  # the older way to say the same
    os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(_usable_cores()))

jax_ran_before_fork = False
"""Whether this process was forked from one in which JAX had run. Its threads are gone then (`engine/devices.py`)."""


def _note_fork() -> None:
    bridge = sys.modules.get("jax._src.xla_bridge")
    initialized = getattr(bridge, "backends_are_initialized", None)  # no public name tells without starting them
    if initialized is not None and initialized():
        global jax_ran_before_fork  # noqa: PLW0603 - a fact about this process
        jax_ran_before_fork = True


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_note_fork)


_GONE = {
    "Replicas": "A run has one or more seeds: train(..., seeds=5) gives a Run, and run[2] is the third of them.",
    "ReplicasRecord": "A run has one or more seeds: run.seeds names them, and run[0].record is that of the first.",
    "ReplicasTestResult": "A TestResult is of one seed or several: result.accuracy is the mean, result[1] the second.",
    "open_replicas": "A run has one or more seeds, and open_run opens it.",
}
"""What version 0.1 had, and the way to go instead."""


def __getattr__(name: str) -> object:
    if name in _GONE:
        raise AttributeError(f"fittingroom.{name} is gone. {_GONE[name]}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fittingroom' has no attribute {name!r}; it has {', '.join(__all__)}")
    # Importing JAX makes a hundred thousand objects that live to the end. Looking through them for garbage again and
    # again takes a tenth of a second.
    collects = gc.isenabled()
    gc.disable()
    try:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
    finally:
        if collects:
            gc.enable()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
