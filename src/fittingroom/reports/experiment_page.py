"""The page of an experiment: what was asked, what validation chose, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fittingroom.evaluation.luck import points
from fittingroom.reports.document import harmless, page
from fittingroom.reports.drawing import plots, scatter
from fittingroom.reports.drawing.axes import linear_axis, scale_of, spread_values, strip
from fittingroom.reports.drawing.figures import Figure
from fittingroom.reports.drawing.scatter import Dot
from fittingroom.reports.html import Report
from fittingroom.reports.pairs_shown import pairs_shown
from fittingroom.reports.recipes_shown import FEW, Shown, differing, shown
from fittingroom.reports.settings import settings_shown

Facts = Mapping[str, Any]
Histories = Mapping[str, Sequence[Mapping[str, Any]]]

_MOST_WITH_SEEDS = 12  # recipes whose seeds are drawn in the plots of costs
_MOST_NAMED = 8


def experiment_report(facts: Facts, histories: Histories) -> Report:
    """The page of an experiment, made from its facts alone. No test set is opened.

    Args:
        facts: `Experiment.to_dict()`.
        histories: id of a cell -> the numbers of each of its epochs, with `epoch` counted from 1; cells without any may
            be missing.
    """
    facts, histories = harmless(facts), harmless(histories)
    recipes = shown(facts)
    count = len(recipes)
    title = f"{count} recipes on {facts['dataset']}" if count > 1 else f"{recipes[0].name} on {facts['dataset']}"
    chosen = next((one for one in recipes if one.chosen), None)
    names = {one.facts["recipe"]: one.name for one in recipes}
    context = {
        "title": title,
        "facts": facts,
        "recipes": recipes,
        "few": count <= FEW,
        "most_colored": FEW,
        "chosen": chosen,
        "cells": sum(facts["cells"].values()),
        "varied": differing(facts["recipes"]),
        "same": _same_settings(facts["recipes"]),
        "failed": [(one, cell) for one in recipes for cell in one.facts["cells"] if cell["status"] == "failed"],
        "strips": _strips(recipes),
        "curves": dict(_curves(recipes, histories)),
        "costs": dict(_costs(recipes)),
        "pairs": pairs_shown(facts["comparison"], names, facts["chosen"]),
        "colored": [(one.color, one.name) for one in recipes if one.color],
        "test": _test(facts["test"]),
    }
    return Report(page("experiment.html", context, {}), f"experiment: {title}")


def _strips(recipes: Sequence[Shown]) -> dict[str, Any] | None:
    """The row of each recipe's accuracies in percent, and the scale that they share; None where there are none."""
    known = [one.facts["accuracy"] for one in recipes if one.facts["accuracy"] is not None]
    if not known:
        return None
    ends = [100 * end for one in recipes for end in one.facts["interval"] or ()]
    axis = linear_axis([*(value for spread in known for value in spread_values(spread, 100)), *ends], (0, 100))
    rows = {}
    for one in recipes:
        spread, interval = one.facts["accuracy"], one.facts["interval"]
        if spread is not None:
            values = [100 * value for value in spread["values"]]
            bounds = None if interval is None else [100 * end for end in interval]
            rows[one.name] = strip(axis, 100 * spread["mean"], bounds, values)
    return {"rows": rows, "scale": scale_of(axis, "%")}


def _curves(recipes: Sequence[Shown], histories: Histories) -> Iterator[tuple[str, Figure]]:
    """Validation loss and accuracy over the epochs, each with what it shows in words."""
    for quantity, unit in (("loss", ""), ("accuracy", "%")):
        factor = 100 if unit else 1
        lines = [
            line
            for one in recipes
            if (line := plots.line_of(one.name, one.color, _seeds(one, histories, f"val_{quantity}", factor)))
        ]
        if lines:
            told = "; ".join(
                f"{line.name} ends at {line.mean[-1][1]:.3g}{unit or ' nats'}" for line in lines if line.color
            )
            plot = plots.curves(lines, unit, y_title="accuracy (share right)" if unit else "loss (nats)")
            yield quantity, Figure(plot, f"Line chart of validation {quantity} by epoch: {told}.")


def _seeds(one: Shown, histories: Histories, key: str, factor: int) -> list[list[tuple[float, float]]]:
    """A number after each epoch, for each finished cell of a recipe."""
    return [
        [(row["epoch"], factor * row[key]) for row in histories.get(cell["cell"], ()) if row.get(key) is not None]
        for cell in one.facts["cells"]
        if cell["status"] == "done"
    ]


def _costs(recipes: Sequence[Shown]) -> Iterator[tuple[str, Figure]]:
    """Accuracy against seconds and against trained numbers, each with its description in words."""
    known = [one for one in recipes if one.facts["accuracy"] is not None]
    # Those that matter get their names first.
    known = sorted(known, key=lambda one: (not one.chosen, not one.facts["pareto"], one.rank or 0))
    named = {one.name for one in known[:_MOST_NAMED] if one.chosen or one.facts["pareto"] or len(recipes) <= FEW}
    with_seeds = len(recipes) <= _MOST_WITH_SEEDS
    for kind, title in (("seconds", "seconds of training"), ("parameters", "trained numbers (parameters)")):
        dots = [_dot(one, kind, named=one.name in named, with_seeds=with_seeds) for one in known if one.facts[kind]]
        if dots:
            front = ", ".join(dot.name for dot in dots if dot.front)
            alt = (
                f"Accuracy on validation images against {title}, {len(dots)} recipes. On the front: {front or 'none'}."
            )
            yield kind, Figure(scatter.cost(dots, title), alt)


def _dot(one: Shown, kind: str, *, named: bool, with_seeds: bool) -> Dot:
    accuracy, found = one.facts["accuracy"], one.facts[kind]
    seeds = []
    if kind == "seconds" and with_seeds and len(accuracy["values"]) > 1:
        pairs = zip(found["values"], accuracy["values"], strict=False)
        seeds = [(seconds, 100 * value) for seconds, value in pairs]
    return Dot(
        name=one.name,
        color=one.color,
        x=found["mean"] if kind == "seconds" else found,
        y=100 * accuracy["mean"],
        interval=[100 * end for end in one.facts["interval"]] if one.facts["interval"] and with_seeds else None,
        front=one.facts["pareto"],
        seeds=seeds,
        named=named,
    )


def _same_settings(recipes: Sequence[Facts]) -> list[tuple[str, str]]:
    """The settings that all recipes share, as text."""
    first = recipes[0]["settings"]
    same = {key: value for key, value in first.items() if all(one["settings"].get(key) == value for one in recipes)}
    return settings_shown({key: value for key, value in same.items() if key != "name"})


def _test(test: Facts | None) -> dict[str, Any] | None:
    """The score on the test set, and what the looks so far are worth by luck, in words."""
    if test is None:
        return None
    looks = test["looks"]
    luck = "A first look has no luck of choosing in it."
    if looks > 1:
        most = "at most about" if test["correlation"] is None else "about"
        luck = f"The best of {looks} looks is worth {most} {points(test['luck'])} points of luck."
    return {**test, "sentence": luck}
