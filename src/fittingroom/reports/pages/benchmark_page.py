"""The page of a benchmark: each dataset with its methods, what holds for the next one, what it costs, and a reversal.

Accuracies are never averaged over datasets: a point on one is worth another than a point on the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fittingroom.recipes.recipe import Recipe
from fittingroom.reports.drawing import scatter
from fittingroom.reports.drawing.axes import Axis, Scale, Strip
from fittingroom.reports.drawing.figures import Figure
from fittingroom.reports.drawing.scatter import Dot
from fittingroom.reports.pages.benchmark_next import NextDatasetTable, choice_table, critical_difference, rank_range
from fittingroom.reports.pages.benchmark_pictures import BenchmarkRuns
from fittingroom.reports.pages.document import Report, harmless, rendered, settings_text
from fittingroom.text import amount, duration, file_size, percent, percent_range

Facts = Mapping[str, Any]

_COLORS = {"network": "s0", "classical": "s1"}
_LEGEND = (("point s0", "networks"), ("point s1", "classical methods"))
_COSTS = {
    "seconds": "seconds of training",
    "parameters": "trained numbers (parameters)",
    "size": "megabytes of the kept model",
}
_PREFIX = "sklearn:"
_MOST_REVERSALS = 1  # shown in pictures


def benchmark_report(facts: Facts) -> Report:
    """The page of a benchmark, made from its facts, and from the runs that they name where these are there.

    Nothing is trained, and no test part is opened.

    Args:
        facts: `Benchmark.to_dict()`.
    """
    context = _context(facts)
    return Report.of(context["title"], "benchmark.html", context)


def benchmark_results(facts: Facts) -> str:
    """What came out of a benchmark, as its page has it.

    Args:
        facts: as for `benchmark_report`.

    Returns:
        HTML for a page that has the styles of reports.
    """
    return rendered("benchmark_results.html", _context(facts))


def _context(facts: Facts) -> dict[str, Any]:
    facts = harmless(facts)
    runs = BenchmarkRuns.of(facts)
    names = method_names([one["method"] for one in facts["methods"]])
    colors = {one["method"]: _COLORS.get(one["kind"], "") for one in facts["methods"]}
    statistics = facts["statistics"] or {}
    datasets = dataset_sections(facts)
    failed = [one for one in facts["results"] if one["status"] in {"failed", "timed out"}]
    return {
        "title": benchmark_title(facts),
        "facts": facts,
        "part": "test" if facts["part"] == "test" else "validation",
        "names": names,
        "colors": colors,
        "datasets": datasets,
        "samples": {one["dataset"]: runs.samples(one["dataset"]) for one in facts["datasets"]},
        "families": list(dict.fromkeys(one["family"] for one in facts["datasets"])),
        "sentences": benchmark_sentences(statistics),
        "next": NextDatasetTable.of(statistics, names, colors),
        "critical": critical_difference(statistics.get("critical_difference"), names, colors),
        "choices": choice_table(statistics, names),
        "reversals": [_reversal(one, runs) for one in statistics.get("reversals", ())[:_MOST_REVERSALS]],
        "more_reversals": statistics.get("reversals", ())[_MOST_REVERSALS:],
        "costs": _cost_table(facts, datasets),
        "failed": failed,
        "legend_marks": list(_LEGEND),
        "interval_text": percent_range,
        "settings": {one["method"]: _own_settings(one.get("settings") or {}) for one in facts["methods"]},
        "limited": any(one.get("limited") for one in facts["datasets"]),
        "tuned": [one for one in facts["results"] if one.get("tuned")],
        "command": facts.get("command") or "fittingroom benchmark FILE.toml",
        "environment": facts["environment"],
        "time_limit": facts.get("time_limit"),
        "core_seconds": core_seconds(facts),
        "duration": duration,
        "file_size": file_size,
    }


def _own_settings(settings: Facts) -> list[tuple[str, str]]:
    """The settings of a method that are not those of every recipe."""
    usual = Recipe().to_dict()
    return settings_text({key: value for key, value in settings.items() if key != "name" and value != usual.get(key)})


def benchmark_sentences(statistics: Facts) -> list[str]:
    """What is said of all datasets together; where nothing is said of the next one, also what is said of each.

    Args:
        statistics: `BenchmarkStatistics.to_dict()`, or empty.
    """
    if statistics.get("next") is None:
        return list(statistics.get("sentences", ()))
    of_one = {sentence for dataset in statistics.get("datasets", ()) for sentence in dataset.get("sentences", ())}
    return [sentence for sentence in statistics.get("sentences", ()) if sentence not in of_one]


def core_seconds(facts: Facts) -> float:
    """What all trainings took of one core, however often the benchmark was stopped; 0 where that is not known.

    Args:
        facts: `Benchmark.to_dict()`.
    """
    cells = (cell for one in facts["results"] for cell in one["cells"] if cell.get("repeats") is None)
    return float(sum(cell.get("core_seconds") or 0.0 for cell in cells))


def dataset_sections(facts: Facts) -> list[DatasetSection]:
    """What is shown of each dataset.

    Args:
        facts: `Benchmark.to_dict()`.
    """
    names = method_names([one["method"] for one in facts["methods"]])
    colors = {one["method"]: _COLORS.get(one["kind"], "") for one in facts["methods"]}
    said = {one["dataset"]: one for one in (facts["statistics"] or {}).get("datasets", ())}
    return [DatasetSection.of(facts, one, said.get(one["dataset"], {}), names, colors) for one in facts["datasets"]]


def benchmark_title(facts: Facts) -> str:
    """`14 methods on 9 datasets`."""
    return f"{amount(len(facts['methods']), 'method')} on {amount(len(facts['datasets']), 'dataset')}"


def method_names(methods: Sequence[str]) -> dict[str, str]:
    """Method -> its name in drawings and tables: without `sklearn:`, unless two would then be the same."""
    short = {method: method.removeprefix(_PREFIX) for method in methods}
    return short if len(set(short.values())) == len(short) else {method: method for method in methods}


@dataclass(frozen=True)
class MethodLine:
    """A method on one dataset.

    Args:
        method: its full name.
        name: the short one.
        color: the class of its colour.
        result: as the facts have it.
        drawing: its accuracies over the axis of the dataset; None without any.
        interval: of its accuracy, over images and seeds where that is known.
        ranks: `2` or `1 to 4`: the ranks that it may have on this dataset; empty where that is not known.
        top: whether no other method is shown to be better here.
        front: the costs in which no other is as accurate and as cheap.
    """

    method: str
    name: str
    color: str
    result: Facts
    drawing: Strip | None
    interval: Sequence[float] | None
    ranks: str
    top: bool
    front: tuple[str, ...]


@dataclass(frozen=True)
class DatasetSection:
    """All that is shown of one dataset.

    Args:
        facts: of the dataset.
        lines: its methods, the most accurate first; those without a result last.
        scale: the axis that their drawings share; None where there is no result.
        costs: accuracy against each cost that is known.
        sentence: the best method, and how many are not shown to be worse.
        pairs: the differences between every two methods.
    """

    facts: Facts
    lines: tuple[MethodLine, ...]
    scale: Scale | None
    costs: Mapping[str, Figure]
    sentence: str
    pairs: Sequence[Facts]

    @property
    def by_method(self) -> dict[str, MethodLine]:
        """The lines by their methods."""
        return {line.method: line for line in self.lines}

    @classmethod
    def of(
        cls, facts: Facts, dataset: Facts, said: Facts, names: Mapping[str, str], colors: Mapping[str, str]
    ) -> DatasetSection:
        """The section of a dataset.

        Args:
            facts: of the benchmark.
            dataset: of the dataset.
            said: what the statistics say of it; empty for nothing.
            names: method -> its short name.
            colors: method -> the class of its colour.
        """
        results = {one["method"]: one for one in facts["results"] if one["dataset"] == dataset["dataset"]}
        ranks = {one["method"]: one for one in said.get("ranks", ())}
        known = [one["accuracy"] for one in results.values() if one["accuracy"] is not None]
        intervals = {
            method: ranks.get(method, {}).get("interval") or one["interval"] for method, one in results.items()
        }
        ends = [end for method, one in intervals.items() if one and results[method]["accuracy"] for end in one]
        axis = Axis.of_accuracies(known, ends) if known else None
        fronts = {cost: _front(results, cost) for cost in _COSTS}
        order = sorted(results, key=lambda method: -_accuracy(results[method]))
        lines = tuple(
            MethodLine(
                method=method,
                name=names[method],
                color=colors[method],
                result=results[method],
                drawing=None if axis is None else _strip(axis, results[method], intervals[method]),
                interval=intervals[method],
                ranks=rank_range(ranks.get(method)),
                top=ranks.get(method, {}).get("low") == 1,
                front=tuple(cost for cost, methods in fronts.items() if method in methods),
            )
            for method in order
        )
        return cls(
            facts=dataset,
            lines=lines,
            scale=None if axis is None else Scale.of(axis, "%"),
            costs=dict(_cost_figures(lines, dataset["dataset"])),
            sentence=_best_sentence(lines),
            pairs=said.get("pairs", ()),
        )


def _accuracy(result: Facts) -> float:
    return -math.inf if result["accuracy"] is None else float(result["accuracy"]["mean"])


def _strip(axis: Axis, result: Facts, interval: Sequence[float] | None) -> Strip | None:
    spread = result["accuracy"]
    if spread is None:
        return None
    values = [100 * value for value in spread["values"]]
    ends = None if interval is None else [100 * end for end in interval]
    seeds = values if len(values) > 1 and result.get("varies", True) else ()
    return Strip.of(axis, 100 * spread["mean"], ends, seeds)


def _best_sentence(lines: Sequence[MethodLine]) -> str:
    known = [line for line in lines if line.result["accuracy"] is not None]
    if not known:
        return "no result yet"
    best = known[0]
    told = f"{best.name} {percent(best.result['accuracy']['mean'])}"
    others = sum(line.top for line in known[1:])
    if not any(line.ranks for line in known) or len(known) == 1:
        return told
    return f"{told}; {amount(others, 'other')} not shown to be worse" if others else f"{told}, the best of all"


def _cost(result: Facts, cost: str) -> float | None:
    """What a method takes: mean seconds, trained numbers, or megabytes; None where that is not known."""
    found = result.get(cost)
    if isinstance(found, Mapping):
        found = found["mean"]
    if found is None:
        return None
    return float(found) / (1e6 if cost == "size" else 1)


def _front(results: Mapping[str, Facts], cost: str) -> set[str]:
    """The methods that no other beats: none is as accurate and as cheap, and better in one of the two."""
    known = [
        (method, _accuracy(one), price)
        for method, one in results.items()
        if one["accuracy"] is not None and (price := _cost(one, cost)) is not None
    ]
    return {
        method
        for method, good, price in known
        if not any(
            other >= good and cheaper <= price and (other, cheaper) != (good, price) for _, other, cheaper in known
        )
    }


def _cost_figures(lines: Sequence[MethodLine], dataset: str) -> list[tuple[str, Figure]]:
    found = []
    for cost, title in _COSTS.items():
        # Those on the front get their names first.
        known = [line for line in lines if line.result["accuracy"] is not None and _cost(line.result, cost) is not None]
        known.sort(key=lambda line: cost not in line.front)
        dots = [
            Dot(
                name=line.name,
                color=line.color,
                x=_cost(line.result, cost) or 0.0,
                y=100 * line.result["accuracy"]["mean"],
                front=cost in line.front,
            )
            for line in known
        ]
        if len(dots) > 1:
            front = ", ".join(dot.name for dot in dots if dot.front)
            alt = f"Accuracy on {dataset} against {title}, {len(dots)} methods. On the front: {front}."
            found.append((cost, Figure(scatter.cost(dots, title), alt)))
    return found


def _cost_table(facts: Facts, datasets: Sequence[DatasetSection]) -> dict[str, Any]:
    """Of each method the seconds on each dataset, and on how many it is on the front."""
    rows = []
    for method in (one["method"] for one in facts["methods"]):
        lines = [section.by_method.get(method) for section in datasets]
        cells = [
            None
            if line is None or (seconds := _cost(line.result, "seconds")) is None
            else (duration(seconds), "seconds" in line.front)
            for line in lines
        ]
        peak = [bytes_ for line in lines if line is not None and (bytes_ := _memory(line.result)) is not None]
        rows.append(
            {
                "method": method,
                "cells": cells,
                "fronts": sum(bool(cell and cell[1]) for cell in cells),
                "memory": file_size(max(peak)) if peak else "–",
            }
        )
    return {"rows": rows, "any": any(cell for row in rows for cell in row["cells"])}


def _memory(result: Facts) -> float | None:
    """Bytes that the largest cell took."""
    found = result.get("memory")
    if isinstance(found, Mapping):
        return max(map(float, found["values"]))
    return None if found is None else float(found)


def _reversal(said: Facts, runs: BenchmarkRuns) -> dict[str, Any]:
    """A reversal with the pictures on which it rests, on the dataset that is won and on the one that is lost."""
    first, second = said["first"], said["second"]
    sides = [
        runs.pair(said["wins_on"], first, second),
        runs.pair(said["loses_on"], second, first),
    ]
    return {"said": said, "sides": sides}
