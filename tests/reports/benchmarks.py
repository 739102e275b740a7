"""Facts of benchmarks made up, without a training: as `Benchmark.to_dict()` has them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.data.load import load
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
    results = [
        _result(dataset["dataset"], method, place, seeds, random, late=place >= methods - failed and row == 1)
        for row, dataset in enumerate(data)
        for place, method in enumerate(names)
    ]
    if folder is not None:
        _keep_runs(results, names[:2], [data[0]["dataset"], data[-1]["dataset"]], folder)
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
        "statistics": _statistics(data, names, results, text) if len(names) > 1 else None,
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


def _result(
    dataset: str, method: str, place: int, seeds: int, random: np.random.Generator, *, late: bool
) -> dict[str, Any]:
    varies = "knn" not in method
    count = seeds if varies else 1
    values = np.clip(0.9 - 0.02 * place + 0.04 * random.normal() + 0.005 * random.normal(size=count), 0, 0.999)
    accuracy = None if late else Spread.of(values)
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
        "tuned": {"C": 10} if "svc" in method else {},
        "varies": varies,
        "cells": [
            {"cell": f"{dataset} {method} {seed}", "seed": seed, "status": status, "reason": reason, "run": None}
            for seed in range(count)
        ],
    }


def _keep_runs(results: list[dict[str, Any]], methods: list[str], datasets: list[str], folder: Path) -> None:
    """Writes a run on `digits` for the first seed of each of these cells."""
    images = RunImages.of(load("digits"))
    chosen = [one for one in results if one["method"] in methods and one["dataset"] in datasets]
    for place, one in enumerate(chosen):
        written(folder / f"cell-{place}", digits_contents(3 * place))
        images.write(folder / f"cell-{place}")
        one["cells"][0]["run"] = f"cell-{place}"


def _statistics(
    data: list[dict[str, Any]], names: list[str], results: list[dict[str, Any]], text: str
) -> dict[str, Any]:
    means = {(one["dataset"], one["method"]): one["accuracy"]["mean"] for one in results if one["accuracy"] is not None}
    each = [_of_dataset(one, names, means, text) for one in data]
    ranks = {
        name: [one["rank"] for dataset in each for one in dataset["ranks"] if one["method"] == name] for name in names
    }
    rows = [
        {
            "method": name,
            "mean_rank": float(np.mean(found)),
            "low": max(1, round(np.mean(found)) - 3),
            "high": min(len(names), round(np.mean(found)) + 3),
        }
        for name, found in ranks.items()
    ]
    order = [one["method"] for one in sorted(rows, key=lambda one: one["mean_rank"])]
    pairs = [
        {
            "first": one,
            "second": other,
            "probability": 0.5 + 0.5 * (order.index(other) - order.index(one)) / len(order),
            "interval": [0.2, 0.95],
            "wins": 5,
            "losses": 2,
            "p_corrected": 0.04,
            "better": order[0] if {one, other} == {order[0], order[-1]} else None,
        }
        for one, other in combinations(names, 2)
    ]
    first, second = names[:2]
    reversals = [
        {
            "first": first,
            "second": second,
            "wins_on": data[0]["dataset"],
            "loses_on": data[-1]["dataset"],
            "sentence": f"{first} beats {second} on {data[0]['dataset']} and loses on {data[-1]['dataset']}. {text}",
        }
    ]
    return {
        "families": {},
        "datasets": each,
        "next": {
            "families": 7,
            "level": 0.95,
            "ranks": rows,
            "pairs": pairs,
            "sentences": [f"On a new dataset, {order[0]} has a rank of 1 to 4. {text}"],
        },
        "critical_difference": {
            "difference": 4.2,
            "p": 0.0004,
            "ranks": [{"method": one["method"], "mean_rank": one["mean_rank"]} for one in rows],
            "groups": [order[:5], order[3:9], order[8:]],
            "sentences": ["Ranks show that methods differ."],
        },
        "reversals": reversals if len(data) > 1 else [],
        "sentences": [f"No method is best on all {len(data)} datasets. {text}"],
        "left_out": [{"method": names[-1], "why": f"It has no result on textures. {text}"}],
    }


def _of_dataset(
    data: dict[str, Any], names: list[str], means: dict[tuple[str, str], float], text: str
) -> dict[str, Any]:
    name = data["dataset"]
    order = sorted((one for one in names if (name, one) in means), key=lambda one: -means[name, one])
    ranks = [
        {
            "method": one,
            "accuracy": means[name, one],
            "interval": [means[name, one] - 0.03, means[name, one] + 0.03],
            "rank": place,
            "low": max(1, place - 2),
            "high": min(len(order), place + 2),
        }
        for place, one in enumerate(order, 1)
    ]
    pairs = [
        {
            "first": one,
            "second": other,
            "difference": means[name, one] - means[name, other],
            "interval": [means[name, one] - means[name, other] - 0.02, means[name, one] - means[name, other] + 0.02],
            "p_corrected": 0.01,
            "better": one if means[name, one] - means[name, other] > 0.02 else None,
        }
        for one, other in combinations(order, 2)
    ]
    return {
        "dataset": name,
        "family": data["family"],
        "images": 500,
        "ranks": ranks,
        "pairs": pairs,
        "sentences": [text],
    }
