"""What came of a benchmark: read from its runs, and put together as a `Benchmark`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.estimate import accuracy_interval
from fittingroom.experiments.benchmark_methods import BenchmarkTask, Method
from fittingroom.experiments.benchmark_result import Benchmark
from fittingroom.experiments.cell_server import TIME_LIMIT
from fittingroom.experiments.experiment_store import CellState
from fittingroom.experiments.method_result import BenchmarkCell, CellStatus, MethodResult
from fittingroom.experiments.summary import trained_numbers
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.record import Environment, now
from fittingroom.runs.validation_outcomes import ValidationOutcomes
from fittingroom.runs.weights import WEIGHTS_NAME

_EMPTY = 256  # bytes of a weights file without arrays: what was fitted cannot be kept
_Bits = npt.NDArray[np.bool_]


def benchmark_of(
    path: Path, tasks: Sequence[BenchmarkTask], methods: Sequence[Method], facts: Mapping[str, Any]
) -> Benchmark:
    """The benchmark in a folder, of what its datasets' experiments hold.

    Args:
        path: the folder.
        tasks: its datasets.
        methods: the methods of each of them.
        facts: how it was asked for, and how long it took.

    Raises:
        RunError: a run is damaged.
    """
    results, right = [], dict[tuple[str, str], _Bits]()
    for task in tasks:
        for method in methods:
            result, bits = _result(path, task, method, facts["seeds"], final=facts["part"] == "test")
            results.append(result)
            if bits is not None:
                right[task.key, method.name] = bits
    environment = Environment.current("cpu", 1, 1)
    about = {
        "format": 1,
        **facts,
        "datasets": [_about_dataset(task) for task in tasks],
        "methods": [
            {
                "method": one.name,
                "kind": "classical" if one.recipe.estimator else "network",
                "settings": one.recipe.to_dict(),
            }
            for one in methods
        ],
        "environment": {
            "date": now(),
            "machine": f"{environment.processor}, {environment.cores} cores",
            "versions": dict(environment.versions),
            "seconds": facts["seconds"],
        },
    }
    return Benchmark(path, about, results, right)


def _result(
    path: Path, task: BenchmarkTask, method: Method, seeds: Sequence[int], *, final: bool
) -> tuple[MethodResult, _Bits | None]:
    """What came of a method on a dataset, and which images it had right with each seed, if it is done with all."""
    best = task.chosen(method)
    states = [task.state(best, seed) for seed in method.seeds]
    cells = [_cell(path, task, state) for state in states]
    bits = None
    if all(state.status == "done" for state in states):
        rows = [ValidationOutcomes.read(state.folder).kept.right for state in states if state.folder is not None]
        bits = task.right_on_test(states) if final else np.stack(rows)
        if final:
            cells = [_tested(cell, state, row) for cell, state, row in zip(cells, states, bits, strict=True)]
    varies = len(method.seeds) == len(seeds)
    if not varies:  # what a seed changes nothing of is the same with all
        (only,) = cells
        cells = [only, *(replace(only, seed=seed, repeats=only.seed, memory=None) for seed in seeds[1:])]
        bits = None if bits is None else np.repeat(bits, len(seeds), axis=0)
    first = next((state.folder for state in states if state.status == "done"), None)
    return (
        MethodResult(
            task.key,
            method.name,
            tuple(cells),
            best.settings,
            trials=len(method.trials),
            parameters=None if first is None else None if method.recipe.estimator else trained_numbers(first),
            size=None if first is None else _size(first),
            interval=None if bits is None else accuracy_interval(bits if varies else bits[:1]),
        ),
        bits,
    )


def _cell(path: Path, task: BenchmarkTask, state: CellState) -> BenchmarkCell:
    status: CellStatus = state.status
    if state.status == "failed" and (state.reason or "").startswith(f"{TIME_LIMIT}: "):
        status = "timed out"
    cost, record = task.folder.cost(state.cell), state.record
    found = BenchmarkCell(
        state.cell.seed,
        status,
        state.reason,
        cell_seconds=cost.get("seconds"),
        core_seconds=cost.get("core_seconds"),
        memory=cost.get("memory"),
        cell=state.cell.id,
        run=None if state.folder is None else state.folder.relative_to(path).as_posix(),
    )
    if record is None or record.validation is None or status != "done":
        return found
    accuracy, loss = record.validation.accuracy, record.validation.loss
    return replace(found, accuracy=accuracy, loss=loss, val_accuracy=accuracy, seconds=record.seconds.train)


def _tested(cell: BenchmarkCell, state: CellState, right: _Bits) -> BenchmarkCell:
    """A cell with its score on the test part in place of that on validation."""
    looks = () if state.record is None else state.record.looks
    score = next((look.score for look in reversed(looks) if look.score is not None), None)
    return replace(cell, accuracy=float(right.mean()), loss=None if score is None else score["loss"])


def _size(folder: Path) -> int | None:
    """The bytes of a fitted model on the disk."""
    file = SeedFiles(folder).folder / WEIGHTS_NAME
    size = file.stat().st_size if file.is_file() else 0
    return size if size > _EMPTY else None


def _about_dataset(task: BenchmarkTask) -> dict[str, Any]:
    dataset = task.dataset
    held_out = 0 if dataset.validation is None else len(dataset.validation)
    return {
        "dataset": task.key,
        "name": dataset.name,
        "family": dataset.family,
        "about": dataset.info.about or dataset.info.title,
        "shape": list(dataset.image_shape),
        "scale": dataset.scale,
        "classes": list(dataset.classes),
        "images": {"training": len(dataset.train), "validation": held_out, "test": len(dataset.test)},
        "limited": dataset.arguments.get("train"),
        "fingerprint": dataset.fingerprint,
    }
