"""`Benchmark`: how each method did on each dataset. Its folder holds all of it, and `Benchmark.read` reads it again.

benchmark.json    the whole result, as `Benchmark.to_dict` gives it
right.npz         which images each method had right: `<dataset>/<method>`, bits, `(seeds, images)`
cells.csv         a row for each cell, without what depends on the machine; the same as cells.parquet
costs.csv         what each cell took; the same as costs.parquet
benchmark.html    the page about it
progress.json     how far a benchmark that is under way is
experiments/      `<dataset>/`: the runs, as an experiment keeps them (`experiment_store.py`)
lock              held by the process that trains
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt

from fittingroom.atomic import write_bytes
from fittingroom.evaluation.benchmark_scores import DatasetScores
from fittingroom.experiments.method_result import MethodResult
from fittingroom.experiments.summary import ColumnKind, TypedTable
from fittingroom.runs.json_files import damage, json_text, read_json

if TYPE_CHECKING:
    from fittingroom.evaluation.benchmark_statistics import BenchmarkStatistics
    from fittingroom.reports.pages.document import Report

RESULT_NAME, RIGHT_NAME, PAGE_NAME = "benchmark.json", "right.npz", "benchmark.html"
PROGRESS_NAME = "progress.json"

_Part = Literal["validation", "test"]

Right = Mapping[tuple[str, str], npt.NDArray[np.bool_]]
"""Dataset and method -> which images it had right, `(seeds, images)`."""


class Benchmark:
    """The result of a benchmark: each method on each dataset.

    Attributes:
        path: the folder of the benchmark.
        results: one for each dataset and method, dataset by dataset.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], results: Iterable[MethodResult], right: Right) -> None:
        self.path = path
        self.results = tuple(results)
        self._facts = facts
        self._right = right

    def __repr__(self) -> str:
        counts = self._counts
        done, total = counts["done"], sum(counts.values())
        return f"Benchmark({str(self.path)!r}: {done} of {total} cells done, on {self.part} images)"

    def _repr_html_(self) -> str:
        from fittingroom.reports.pages.benchmark_card import benchmark_card

        return benchmark_card(self.to_dict())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The benchmark in a folder. Nothing is trained.

        Raises:
            RunError: there is none, or a file of it is damaged.
        """
        folder = Path(path)
        with damage(folder, RESULT_NAME):
            facts = read_json(folder / RESULT_NAME)
            results = [MethodResult.from_dict(one) for one in facts["results"]]
        with damage(folder, RIGHT_NAME):
            right = _read_right(folder / RIGHT_NAME, results)
        return cls(folder, facts, results, right)

    @property
    def part(self) -> _Part:
        """The images that the scores are of: `validation`, or `test` after it was opened."""
        found: _Part = self._facts["part"]
        return found

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of the datasets."""
        return tuple(one["dataset"] for one in self._facts["datasets"])

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods."""
        return tuple(one["method"] for one in self._facts["methods"])

    @property
    def families(self) -> dict[str, str]:
        """Dataset -> what it was made from."""
        return {one["dataset"]: one["family"] for one in self._facts["datasets"]}

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(self._facts["seeds"])

    @property
    def failures(self) -> tuple[MethodResult, ...]:
        """The results of methods that failed, or were ended at the time limit, with any seed."""
        return tuple(one for one in self.results if one.status in {"failed", "timed out"})

    @cached_property
    def scores(self) -> list[DatasetScores]:
        """Per dataset, which images each method had right with each seed; methods that are done with all seeds."""
        return [
            DatasetScores(
                dataset,
                self.families[dataset],
                {method: self._right[dataset, method] for method in self.methods if (dataset, method) in self._right},
            )
            for dataset in self.datasets
        ]

    @cached_property
    def statistics(self) -> BenchmarkStatistics | None:
        """What the scores show on each dataset, and of the next one; None where no two methods are done anywhere."""
        from fittingroom.evaluation.benchmark_statistics import BenchmarkStatistics

        compared = [one for one in self.scores if len(one.right) > 1]
        return BenchmarkStatistics.of(compared) if compared else None

    def result(self, dataset: str, method: str) -> MethodResult:
        """What came of a method on a dataset.

        Raises:
            KeyError: the benchmark has no such dataset or method.
        """
        found = next((one for one in self.results if (one.dataset, one.method) == (dataset, method)), None)
        if found is None:
            raise KeyError((dataset, method))
        return found

    @property
    def page(self) -> Path:
        """The file with the page about it."""
        return self.path / PAGE_NAME

    @overload
    def report(self) -> Report: ...
    @overload
    def report(self, path: str | Path) -> Path: ...
    def report(self, path: str | Path | None = None) -> Report | Path:
        """A page about the benchmark, one HTML file that loads nothing.

        Args:
            path: the file to write.

        Returns:
            The path of the file; without `path` the page itself, which a notebook shows inline.

        Raises:
            StorageError: the file cannot be written.
        """
        from fittingroom.reports.pages.benchmark_page import benchmark_report

        page = benchmark_report(self.to_dict())
        return page if path is None else page.save(path)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            **self._facts,
            "benchmark": str(self.path),
            "cells": self._counts,
            "results": [one.to_dict() for one in self.results],
            "statistics": None if self.statistics is None else self.statistics.to_dict(),
            "tables": {name: str(self.path / name) for name in _TABLES},
        }

    def write(self) -> None:
        """Writes the result and its tables into the folder.

        Raises:
            StorageError: one cannot be written.
        """
        stream = io.BytesIO()
        packed = {f"{dataset}/{method}": np.packbits(right, axis=1) for (dataset, method), right in self._right.items()}
        counts = {f"{key}/images": np.int64(right.shape[1]) for key, right in _named(self._right)}
        np.savez_compressed(stream, **packed, **counts)  # type: ignore[arg-type]
        write_bytes(self.path / RIGHT_NAME, stream.getvalue())
        for name, table in (("cells", self._cells_table()), ("costs", self._costs_table())):
            write_bytes(self.path / f"{name}.csv", table.csv())
            write_bytes(self.path / f"{name}.parquet", table.parquet())
        write_bytes(self.path / RESULT_NAME, json_text(self.to_dict()).encode())

    @cached_property
    def _counts(self) -> dict[str, int]:
        """Status -> how many cells have it."""
        statuses = [cell.status for one in self.results for cell in one.cells]
        return {status: statuses.count(status) for status in ("done", "failed", "timed out", "missing")}

    def _cells_table(self) -> TypedTable:
        """A row for each cell. Nothing in it depends on the machine, nor on when or how often it was stopped."""
        rows = [
            {
                "dataset": one.dataset,
                "family": self.families[one.dataset],
                "method": one.method,
                "seed": cell.seed,
                "part": self.part,
                "status": cell.status,
                "reason": cell.reason and " ".join(cell.reason.split()),
                "accuracy": cell.accuracy,
                "loss": cell.loss,
                "val_accuracy": cell.val_accuracy,
                "tuned": " ".join(f"{key}={value}" for key, value in one.tuned.items()) or None,
                "repeats": cell.repeats,
                "cell": cell.cell,
            }
            for one in self.results
            for cell in one.cells
        ]
        return TypedTable(_CELL_COLUMNS, rows)

    def _costs_table(self) -> TypedTable:
        """What each cell took that was trained."""
        rows = [
            {
                "dataset": one.dataset,
                "method": one.method,
                **{name: getattr(cell, name) for name in ("seed", "seconds", "cell_seconds", "core_seconds", "memory")},
                "parameters": one.parameters,
                "size": one.size,
            }
            for one in self.results
            for cell in one.cells
            if cell.repeats is None
        ]
        return TypedTable(_COST_COLUMNS, rows)


_CELL_COLUMNS: dict[str, ColumnKind] = {
    "dataset": "text",
    "family": "text",
    "method": "text",
    "seed": "integer",
    "part": "text",
    "status": "text",
    "reason": "text",
    "accuracy": "float",
    "loss": "float",
    "val_accuracy": "float",
    "tuned": "text",
    "repeats": "integer",
    "cell": "text",
}
_COST_COLUMNS: dict[str, ColumnKind] = {
    "dataset": "text",
    "method": "text",
    "seed": "integer",
    "seconds": "float",
    "cell_seconds": "float",
    "core_seconds": "float",
    "memory": "integer",
    "parameters": "integer",
    "size": "integer",
}
_TABLES = ("cells.csv", "costs.csv", "cells.parquet", "costs.parquet")


def _named(right: Right) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    return [(f"{dataset}/{method}", one) for (dataset, method), one in right.items()]


def _read_right(path: Path, results: Sequence[MethodResult]) -> dict[tuple[str, str], npt.NDArray[np.bool_]]:
    found = {}
    with np.load(path, allow_pickle=False) as stored:
        for one in results:
            name = f"{one.dataset}/{one.method}"
            if name in stored:
                images = int(stored[f"{name}/images"])
                found[one.dataset, one.method] = np.unpackbits(stored[name], axis=1, count=images).astype(bool)
    return found
