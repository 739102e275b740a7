"""What the page of a benchmark says of a dataset that was not among its own: ranks, and which method beats which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fittingroom.reports.drawing.axes import Scale, Strip
from fittingroom.reports.drawing.ranks import RankDiagram, rank_axis
from fittingroom.text import number, percent, percent_range, word_list

Facts = Mapping[str, Any]


def rank_range(rank: Facts | None) -> str:
    """`2` or `1 to 4`: the ranks that a method may have; empty where that is not known."""
    if rank is None or rank.get("low") is None:
        return ""
    low, high = round(rank["low"]), round(rank["high"])
    return str(low) if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class NextDatasetTable:
    """What is said of a dataset that was not among these.

    Args:
        said: as the statistics have it.
        scale: the axis of ranks; None where nothing is said of ranks.
        rows: of each method, the best mean rank first: name, class of its colour, drawing, mean rank and rank interval.
        matrix: of each of these its name, and for every method the chance that it beats it on the next dataset: a
            share and what is shown (1, -1, 0); None for itself.
        pairs: every two methods, in words.
    """

    said: Facts
    scale: Scale | None
    rows: tuple[dict[str, Any], ...]
    matrix: tuple[tuple[str, tuple[tuple[float, int] | None, ...]], ...]
    pairs: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, statistics: Facts, names: Mapping[str, str], colors: Mapping[str, str]) -> NextDatasetTable | None:
        """What the statistics say; None where they say nothing.

        Args:
            statistics: `BenchmarkStatistics.to_dict()`, or empty.
            names: method -> its short name.
            colors: method -> the class of its colour.
        """
        said = statistics.get("next")
        if not said:
            return None
        ranks = sorted(said.get("ranks", ()), key=lambda one: (one["mean_rank"], one["method"]))
        own = _ranks_by_method(statistics)
        axis = rank_axis(max(len(ranks), 2))
        rows = tuple(
            {
                "name": names[one["method"]],
                "color": colors[one["method"]],
                "mean": one["mean_rank"],
                "ranks": rank_range(one),
                "drawing": Strip.of(
                    axis,
                    one["mean_rank"],
                    None if one.get("low") is None else (one["low"] - 0.3, one["high"] + 0.3),
                    own.get(one["method"], ()),
                ),
            }
            for one in ranks
        )
        found = {(pair["first"], pair["second"]): pair for pair in said.get("pairs", ())}
        order = list(dict.fromkeys([*(one["method"] for one in ranks), *(one for pair in found for one in pair)]))
        matrix = tuple(
            (names[one], tuple(None if one == other else _chance(found, one, other) for other in order))
            for one in order
        )
        pairs = tuple(_pair_words(pair, names) for pair in said.get("pairs", ()))
        return cls(said, Scale.of(axis) if ranks else None, rows, matrix if found else (), pairs)


def _ranks_by_method(statistics: Facts) -> dict[str, list[float]]:
    """The rank of each method on each dataset."""
    found: dict[str, list[float]] = {}
    for dataset in statistics.get("datasets", ()):
        for one in dataset.get("ranks", ()):
            found.setdefault(one["method"], []).append(one["rank"])
    return found


def _chance(found: Mapping[tuple[str, str], Facts], one: str, other: str) -> tuple[float, int] | None:
    """The chance that a method beats another on the next dataset, and whether either is shown to be better."""
    turned = (one, other) not in found
    pair = found.get((other, one) if turned else (one, other))
    if pair is None or pair.get("probability") is None:
        return None
    share = 1 - pair["probability"] if turned else pair["probability"]
    better = pair.get("better")
    return share, 0 if better is None else 1 if better == one else -1


def _pair_words(pair: Facts, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "first": names[pair["first"]],
        "second": names[pair["second"]],
        "probability": percent(pair.get("probability"), 0),
        "interval": percent_range(pair.get("interval"), 0),
        "wins": _count(pair.get("wins")),
        "losses": _count(pair.get("losses")),
        "better": None if pair.get("better") is None else names[pair["better"]],
    }


def _count(families: float | None) -> str:
    """A number of families, which may have half ones; a hyphen for None."""
    return number(families, int(families is not None and families % 1 > 0))


def critical_difference(
    said: Facts | None, names: Mapping[str, str], colors: Mapping[str, str]
) -> dict[str, Any] | None:
    """The critical-difference diagram, with what it shows in words."""
    if not said or len(said["ranks"]) < 2:
        return None
    ranks = {names[one["method"]]: one["mean_rank"] for one in said["ranks"]}
    groups = [[names[method] for method in group] for group in said["groups"]]
    drawn = RankDiagram.of(
        ranks, said["difference"], groups, {names[method]: color for method, color in colors.items()}
    )
    order = sorted(ranks, key=lambda name: ranks[name])
    told = ", ".join(f"{name} {number(ranks[name], 1)}" for name in order)
    alt = (
        f"Critical-difference diagram. Mean ranks: {told}. Two methods differ where their mean ranks lie at least "
        f"{number(said['difference'], 2)} apart."
    )
    return {"drawing": drawn, "alt": alt, "said": said}


def choice_table(statistics: Facts, names: Mapping[str, str]) -> dict[str, Any] | None:
    """What the best method of each dataset is worth on each other one; None where nothing is said of that.

    Args:
        statistics: `BenchmarkStatistics.to_dict()`, or empty.
        names: method -> its short name.
    """
    said = statistics.get("conclusions")
    if not said or not said["choices"]:
        return None
    found = {(one["source"], one["target"]): one for one in said["choices"]}
    datasets = [one["dataset"] for one in statistics["datasets"]]
    rows = []
    for source in datasets:
        cells = [found.get((source, target)) for target in datasets]
        # Each choice is made of the methods that both datasets have, so it may differ between the columns of a row.
        choices = list(dict.fromkeys(names[one["choice"]] for one in cells if one is not None))
        if choices:
            rows.append((source, word_list(choices, "or", most=2), cells))
    return {"datasets": datasets, "rows": rows}
