"""Facts of benchmarks made up, without a training: as `Benchmark.to_dict()` has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.data.load import load
from fittingroom.evaluation.benchmark_scores import DatasetScores
from fittingroom.evaluation.benchmark_statistics import BenchmarkStatistics
from fittingroom.evaluation.spread import Spread
from fittingroom.runs.images import RunImages
from tests.reports.builders import digits_contents, written

METHODS = (
    "course",
    "wide",
    "cnn",
    "sklearn:knn",
    "sklearn:logistic",
    "sklearn:linear-svc",
    "sklearn:svc",
    "sklearn:random-forest",
    "sklearn:extra-trees",
    "sklearn:hist-gradient-boosting",
    "sklearn:naive-bayes",
    "sklearn:decision-tree",
    "sklearn:lda",
    "sklearn:hog-svc",
)
DATASETS = ("digits", "fashion-mnist", "fashion-mnist-14", "mnist-5k", "letters", "symbols", "shapes", "textures")


def benchmark_facts(
    methods: int = 14, datasets: int = 8, seeds: int = 5, *, text: str = "", failed: int = 0, folder: Path | None = None
) -> dict[str, Any]:
    """A benchmark whose methods have their own ranks on each dataset.

    Args:
        methods: how many, of which the first two have a reversal.
        datasets: how many.
        seeds: of each method, but for k-NN, which does the same whatever the seed.
        text: put into every text that could be another person's.
        failed: how many methods, the last ones, ran out of time on the second dataset.
        folder: where the runs of the first two methods are written; None for none.
    """
    random = np.random.default_rng(0)
    names = [f"{name}{text}" for name in METHODS[:methods]]
    data = [_dataset(name, text) for name in DATASETS[:datasets]]
    right = {
        (dataset["dataset"], method): _right(row, place, datasets, seeds if "knn" not in method else 1, random)
        for row, dataset in enumerate(data)
        for place, method in enumerate(names)
        if place < methods - failed or row != 1
    }
    results = [
        _result(one["dataset"], method, place, right.get((one["dataset"], method)), random)
        for one in data
        for place, method in enumerate(names)
    ]
    statistics = BenchmarkStatistics.of(
        [
            DatasetScores(
                name, one["family"], {method: right[name, method] for method in names if (name, method) in right}
            )
            for one in data
            if any((name := one["dataset"], method) in right for method in names)
        ]
    ).to_dict()
    if folder is not None:
        _keep_runs(results, statistics["reversals"][0], folder)
    return {
        "benchmark": str(folder or f"/benchmarks/{text}"),
        "name": f"standing{text}",
        "part": "validation",
        "seeds": list(range(seeds)),
        "trials": 3,
        "time_limit": 600.0,
        "cells": {
            state: sum(cell["status"] == state for one in results for cell in one["cells"])
            for state in ("done", "failed", "timed out", "missing")
        },
        "datasets": data,
        "methods": [
            {"method": name, "kind": "classical" if "sklearn" in name else "network", "settings": {"C": f"1{text}"}}
            for name in names
        ],
        "results": results,
        "statistics": statistics,
        "environment": {
            "date": "2026-11-30T12:00:00+00:00",
            "machine": f"a processor{text}",
            "seconds": 1800.0,
            "versions": {"fittingroom": "0.1", "scikit-learn": f"1.9{text}"},
        },
        "command": f"fittingroom benchmark standing.toml{text}",
        "tables": {},
    }


def _dataset(name: str, text: str) -> dict[str, Any]:
    return {
        "dataset": f"{name}{text}",
        "family": f"{name.removesuffix('-14')}{text}",
        "about": f"Pictures of {name}. {text}",
        "shape": [28, 28],
        "scale": 255.0,
        "classes": [f"{label}{text}" for label in range(10)],
        "images": {"training": 2000, "validation": 500, "test": 1000},
        "limited": 2000 if name == "fashion-mnist" else None,
    }


def _right(row: int, place: int, datasets: int, seeds: int, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which of 500 images a method has right, with each seed. The last dataset reverses the first two methods."""
    skill = 0.92 - 0.02 * place + 0.03 * random.normal()
    if place < 2:
        skill = 0.97 if (place == 0) == (row < datasets - 1) else 0.8
    difficulty = np.random.default_rng(row).random(500)
    return np.asarray(difficulty + 0.05 * random.normal(size=(seeds, 500)) < skill)


def _result(
    dataset: str, method: str, place: int, right: npt.NDArray[np.bool_] | None, random: np.random.Generator
) -> dict[str, Any]:
    late = right is None
    accuracy = None if right is None else Spread.of(right.mean(axis=1))
    count = 1 if right is None else len(right)
    seconds = 0.05 * 4 ** float(random.uniform(0, 5))
    status, reason = ("timed out", "It took more than 600 s.") if late else ("done", None)
    return {
        "dataset": dataset,
        "method": method,
        "status": status,
        "reason": reason,
        "accuracy": None if accuracy is None else accuracy.to_dict(),
        "interval": None if accuracy is None else [accuracy.mean - 0.02, accuracy.mean + 0.02],
        "loss": None,
        "seconds": None if late else Spread.of(seconds * (1 + 0.1 * random.random(count))).to_dict(),
        "memory": None if late else 2.5e8,
        "parameters": None if late or "sklearn" in method else 101_770 * (place + 1),
        "size": None if late else 400_000 * (place + 1),
        "tuned": {"C": "10"} if "svc" in method else {},
        "varies": "knn" not in method,
        "cells": [
            {"cell": f"{dataset} {method} {seed}", "seed": seed, "status": status, "reason": reason, "run": None}
            for seed in range(count)
        ],
    }


def _keep_runs(results: list[dict[str, Any]], reversal: Mapping[str, Any], folder: Path) -> None:
    """Writes a run on `digits` for the first seed of each cell of a reversal."""
    images = RunImages.of(load("digits"))
    methods, datasets = ({reversal[key] for key in keys} for keys in (("first", "second"), ("wins_on", "loses_on")))
    for place, one in enumerate(results):
        if one["method"] in methods and one["dataset"] in datasets:
            written(folder / f"cell-{place}", digits_contents(place))
            images.write(folder / f"cell-{place}")
            one["cells"][0]["run"] = f"cell-{place}"
