"""Fitting Room: where models try data on, and you see how they fit.

Importing this module chooses Keras's JAX backend (unless Keras is already loaded, or `KERAS_BACKEND` is set), and for
JAX on a CPU one thread per operation (unless `XLA_FLAGS` is set) and a device per core (unless `JAX_NUM_CPU_DEVICES` is
set). It loads neither Keras nor JAX: the public names are imported on first use (PEP 562).
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fittingroom.answers.judgement import Answer as Answer
    from fittingroom.answers.predictor import Predictor as Predictor
    from fittingroom.api.fit import fit as fit
    from fittingroom.api.fitted import FittedRun as FittedRun
    from fittingroom.api.open_runs import compare as compare
    from fittingroom.api.open_runs import open_run as open_run
    from fittingroom.api.open_runs import report as report
    from fittingroom.api.openings import load as load
    from fittingroom.api.run import Run as Run
    from fittingroom.api.train import resume as resume
    from fittingroom.api.train import train as train
    from fittingroom.data.dataset import Dataset as Dataset
    from fittingroom.data.dataset import Part as Part
    from fittingroom.data.dataset import SealedTestSet as SealedTestSet
    from fittingroom.errors import DataError as DataError
    from fittingroom.errors import DatasetNotFoundError as DatasetNotFoundError
    from fittingroom.errors import DivergedError as DivergedError
    from fittingroom.errors import FittingRoomError as FittingRoomError
    from fittingroom.errors import InputError as InputError
    from fittingroom.errors import Interrupted as Interrupted
    from fittingroom.errors import ModelError as ModelError
    from fittingroom.errors import RecipeError as RecipeError
    from fittingroom.errors import RunError as RunError
    from fittingroom.errors import StorageError as StorageError
    from fittingroom.errors import UnknownNameError as UnknownNameError
    from fittingroom.evaluation.comparison import Comparison as Comparison
    from fittingroom.evaluation.luck import TestResult as TestResult
    from fittingroom.evaluation.scores import Scores as Scores
    from fittingroom.evaluation.spread import Spread as Spread
    from fittingroom.experiments.experiment import Experiment as Experiment
    from fittingroom.experiments.experiment import experiment as experiment
    from fittingroom.experiments.search import search as search
    from fittingroom.experiments.search_result import Search as Search
    from fittingroom.labs.lab import LabResult as LabResult
    from fittingroom.labs.lab import lab as lab
    from fittingroom.photos.style import Style as Style
    from fittingroom.recipes.recipe import Recipe as Recipe
    from fittingroom.reports.facts.explanation import Explanation as Explanation
    from fittingroom.reports.pages.document import Report as Report
    from fittingroom.runs.history import History as History
    from fittingroom.runs.outcomes import Outcomes as Outcomes
    from fittingroom.runs.record import RunRecord as RunRecord
    from fittingroom.training.replay import Replay as Replay
    from fittingroom.training.replay import replay as replay

__version__ = "0.1.0"

_PUBLIC = {
    "Answer": "fittingroom.answers.judgement",
    "Comparison": "fittingroom.evaluation.comparison",
    "DataError": "fittingroom.errors",
    "Dataset": "fittingroom.data.dataset",
    "DatasetNotFoundError": "fittingroom.errors",
    "DivergedError": "fittingroom.errors",
    "Experiment": "fittingroom.experiments.experiment",
    "Explanation": "fittingroom.reports.facts.explanation",
    "FittedRun": "fittingroom.api.fitted",
    "FittingRoomError": "fittingroom.errors",
    "History": "fittingroom.runs.history",
    "InputError": "fittingroom.errors",
    "Interrupted": "fittingroom.errors",
    "LabResult": "fittingroom.labs.lab",
    "ModelError": "fittingroom.errors",
    "Outcomes": "fittingroom.runs.outcomes",
    "Part": "fittingroom.data.dataset",
    "Predictor": "fittingroom.answers.predictor",
    "Recipe": "fittingroom.recipes.recipe",
    "RecipeError": "fittingroom.errors",
    "Replay": "fittingroom.training.replay",
    "Report": "fittingroom.reports.pages.document",
    "Run": "fittingroom.api.run",
    "RunError": "fittingroom.errors",
    "RunRecord": "fittingroom.runs.record",
    "Scores": "fittingroom.evaluation.scores",
    "SealedTestSet": "fittingroom.data.dataset",
    "Search": "fittingroom.experiments.search_result",
    "Spread": "fittingroom.evaluation.spread",
    "StorageError": "fittingroom.errors",
    "Style": "fittingroom.photos.style",
    "TestResult": "fittingroom.evaluation.luck",
    "UnknownNameError": "fittingroom.errors",
    "compare": "fittingroom.api.open_runs",
    "experiment": "fittingroom.experiments.experiment",
    "fit": "fittingroom.api.fit",
    "lab": "fittingroom.labs.lab",
    "load": "fittingroom.api.openings",
    "open_run": "fittingroom.api.open_runs",
    "replay": "fittingroom.training.replay",
    "report": "fittingroom.api.open_runs",
    "resume": "fittingroom.api.train",
    "search": "fittingroom.experiments.search",
    "train": "fittingroom.api.train",
}

__all__ = [
    "Answer",
    "Comparison",
    "DataError",
    "Dataset",
    "DatasetNotFoundError",
    "DivergedError",
    "Experiment",
    "Explanation",
    "FittedRun",
    "FittingRoomError",
    "History",
    "InputError",
    "Interrupted",
    "LabResult",
    "ModelError",
    "Outcomes",
    "Part",
    "Predictor",
    "Recipe",
    "RecipeError",
    "Replay",
    "Report",
    "Run",
    "RunError",
    "RunRecord",
    "Scores",
    "SealedTestSet",
    "Search",
    "Spread",
    "StorageError",
    "Style",
    "TestResult",
    "UnknownNameError",
    "compare",
    "experiment",
    "fit",
    "lab",
    "load",
    "open_run",
    "replay",
    "report",
    "resume",
    "search",
    "train",
]

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
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
