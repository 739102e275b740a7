"""The page of an experiment: what was asked, what validation chose, and how sure that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

from fittingroom.reports.drawing import scatter
from fittingroom.reports.drawing.axes import Axis, Scale, Strip
from fittingroom.reports.drawing.figures import Figure
from fittingroom.reports.drawing.plots import Line, Plot
from fittingroom.reports.drawing.scatter import Dot
from fittingroom.reports.pages.document import Report, harmless, settings_text
from fittingroom.text import points

Facts = Mapping[str, Any]
Histories = Mapping[str, Sequence[Mapping[str, Any]]]

_MOST_WITH_SEEDS = 12  # recipes whose seeds are drawn in the plots of costs
_MOST_NAMED = 8  # names beside dots; more would leave no room for the dots


_FEW = 6
"""So many have a colour and a name in every drawing; of more, the best so many."""

_LETTER_COLORS = tuple(f"s{place}" for place in range(_FEW))


def experiment_report(facts: Facts, histories: Histories) -> Report:
    """The page of an experiment, made from its facts alone. No test set is opened.

    Args:
        facts: `Experiment.to_dict()`.
        histories: id of a cell -> the numbers of each of its epochs, with `epoch` counted from 1; cells without any may
            be missing.
    """
    facts, histories = harmless(facts), harmless(histories)
    recipes = _recipe_rows(facts)
    count = len(recipes)
    title = f"{count} recipes on {facts['dataset']}" if count > 1 else f"{recipes[0].name} on {facts['dataset']}"
    chosen = next((one for one in recipes if one.chosen), None)
    names = {one.facts["recipe"]: one.name for one in recipes}
    context = {
        "title": title,
        "facts": facts,
        "recipes": recipes,
        "few": count <= _FEW,
        "most_colored": _FEW,
        "chosen": chosen,
        "cells": sum(facts["cells"].values()),
        "varied": _differing(facts["recipes"]),
        "same": _same_settings(facts["recipes"]),
        "failed": [(one, cell) for one in recipes for cell in one.facts["cells"] if cell["status"] == "failed"],
        "strips": _strips(recipes),
        "curves": dict(_curves(recipes, histories)),
        "costs": dict(_costs(recipes)),
        "pairs": PairTable.of(facts["comparison"], names, facts["chosen"]),
        "colored": [(one.color, one.name) for one in recipes if one.color],
        "test": _test(facts["test"]),
    }
    return Report.of(f"experiment: {title}", "experiment.html", context)


def _strips(recipes: Sequence[_RecipeRow]) -> dict[str, Any] | None:
    """The row of each recipe's accuracies in percent, and the scale that they share; None where there are none."""
    known = [one.facts["accuracy"] for one in recipes if one.facts["accuracy"] is not None]
    if not known:
        return None
    axis = Axis.of_accuracies(known, (end for one in recipes for end in one.facts["interval"] or ()))
    rows = {}
    for one in recipes:
        spread, interval = one.facts["accuracy"], one.facts["interval"]
        if spread is not None:
            values = [100 * value for value in spread["values"]]
            bounds = None if interval is None else [100 * end for end in interval]
            rows[one.name] = Strip.of(axis, 100 * spread["mean"], bounds, values)
    return {"rows": rows, "scale": Scale.of(axis, "%")}


def _curves(recipes: Sequence[_RecipeRow], histories: Histories) -> Iterator[tuple[str, Figure]]:
    """Validation loss and accuracy over the epochs, each with what it shows in words."""
    for quantity, unit in (("loss", ""), ("accuracy", "%")):
        factor = 100 if unit else 1
        lines = [
            line
            for one in recipes
            if (line := Line.of(one.name, one.color, _seeds(one, histories, f"val_{quantity}", factor)))
        ]
        if lines:
            told = "; ".join(
                f"{line.name} ends at {line.mean[-1][1]:.3g}{unit or ' nats'}" for line in lines if line.color
            )
            plot = Plot.of_lines(lines, unit, y_title="accuracy (share right)" if unit else "loss (nats)")
            yield quantity, Figure(plot, f"Line chart of validation {quantity} by epoch: {told}.")


def _seeds(one: _RecipeRow, histories: Histories, key: str, factor: int) -> list[list[tuple[float, float]]]:
    """A number after each epoch, for each finished cell of a recipe."""
    return [
        [(row["epoch"], factor * row[key]) for row in histories.get(cell["cell"], ()) if row.get(key) is not None]
        for cell in one.facts["cells"]
        if cell["status"] == "done"
    ]


def _costs(recipes: Sequence[_RecipeRow]) -> Iterator[tuple[str, Figure]]:
    """Accuracy against seconds and against trained numbers, each with its description in words."""
    known = [one for one in recipes if one.facts["accuracy"] is not None]
    # Those that matter get their names first.
    known = sorted(known, key=lambda one: (not one.chosen, not one.facts["pareto"], one.rank or 0))
    named = {one.name for one in known[:_MOST_NAMED] if one.chosen or one.facts["pareto"] or len(recipes) <= _FEW}
    with_seeds = len(recipes) <= _MOST_WITH_SEEDS
    for kind, title in (("seconds", "seconds of training"), ("parameters", "trained numbers (parameters)")):
        dots = [_dot(one, kind, named=one.name in named, with_seeds=with_seeds) for one in known if one.facts[kind]]
        if dots:
            front = ", ".join(dot.name for dot in dots if dot.front)
            alt = (
                f"Accuracy on validation images against {title}, {len(dots)} recipes. On the front: {front or 'none'}."
            )
            yield kind, Figure(scatter.cost(dots, title), alt)


def _dot(one: _RecipeRow, kind: str, *, named: bool, with_seeds: bool) -> Dot:
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
    return settings_text({key: value for key, value in same.items() if key != "name"})


def _test(test: Facts | None) -> dict[str, Any] | None:
    """The score on the test set, and what the looks so far are worth by luck, in words."""
    if test is None:
        return None
    looks = test["looks"]
    luck = "It was the first evaluation on this test set, so there is no selection bias."
    if looks > 1:
        most = "at most about" if test["correlation"] is None else "about"
        luck = f"Best of {looks} looks: {most} {points(100 * test['luck'], signed=True)} points are luck."
    return {**test, "sentence": luck}


@dataclass(frozen=True)
class _RecipeRow:
    """A recipe.

    Args:
        facts: as `Experiment.to_dict()` has them.
        name: a short one that no other has.
        color: the class of its colour; empty for grey.
        rank: 1 for the best mean accuracy on validation; None without one.
        chosen: whether validation chose it.
    """

    facts: Facts
    name: str
    color: str
    rank: int | None
    chosen: bool

    @property
    def done(self) -> int:
        """How many of its cells are trained to their end."""
        return sum(cell["status"] == "done" for cell in self.facts["cells"])


def _recipe_rows(facts: Facts) -> list[_RecipeRow]:
    """All recipes: a few as they were asked for, which keeps rising settings in order; of many the best first.

    Args:
        facts: `Experiment.to_dict()`.
    """
    recipes = facts["recipes"]
    order = sorted(range(len(recipes)), key=lambda place: _rank(recipes[place]))
    ranks = {place: rank for rank, place in enumerate(order, 1) if recipes[place]["accuracy"] is not None}
    few = len(recipes) <= _FEW
    colored = [place for place in (range(len(recipes)) if few else order[:_FEW]) if place in ranks]
    colors = dict(zip(colored, _LETTER_COLORS, strict=False))
    names = _short_names(recipes)
    return [
        _RecipeRow(recipes[place], names[place], colors.get(place, ""), ranks.get(place), _is_chosen(facts, place))
        for place in (range(len(recipes)) if few else order)
    ]


def _short_names(recipes: Sequence[Facts]) -> list[str]:
    """What differs between the recipes: `hidden=64`, or with its base `cnn hidden=64`; full names if two are equal."""
    bases = [one["recipe"].split(" ")[0].rstrip("+") or one["recipe"] for one in recipes]
    differ = _differing(recipes)
    with_base = len(set(bases)) > 1
    names = []
    for one, base in zip(recipes, bases, strict=True):
        settings = [f"{key}={one['varied'][key]}" for key in differ if key in one["varied"]]
        names.append(" ".join([*([base] if with_base or not settings else []), *settings]))
    return names if len(set(names)) == len(names) else [one["recipe"] for one in recipes]


def _differing(recipes: Sequence[Facts]) -> dict[str, list[Any]]:
    """The varied settings that are not the same in all recipes -> their values, in the order of the recipes."""
    keys = dict.fromkeys(key for one in recipes for key in one["varied"])
    values = {key: list(dict.fromkeys(str(one["varied"].get(key, "\u2013")) for one in recipes)) for key in keys}
    return {key: found for key, found in values.items() if len(found) > 1}


def _rank(one: Facts) -> tuple[float, float]:
    if one["accuracy"] is None:
        return (1.0, 0.0)
    return (-one["accuracy"]["mean"], 0.0 if one["loss"] is None else one["loss"]["mean"])


def _is_chosen(facts: Facts, place: int) -> bool:
    """By its name, which no other recipe of an experiment has."""
    return facts["chosen"] is not None and facts["recipes"][place]["recipe"] == facts["chosen"]


Found = Mapping[tuple[str, str], Facts]

_FEW_PAIRED = 3  # recipes, up to which each pair gets a sentence
_MOST_LISTED = 66  # pairs: twelve recipes


@dataclass(frozen=True)
class _PairRow:
    """One recipe less another.

    Args:
        name: the other recipe's short name.
        facts: the difference in accuracy in points: `value`, its interval `low` to `high`, and `p`.
        loss: the difference of the losses in nats; None where it is not known.
        better: 1 if the first is shown to be right more often, -1 if the other is, 0 if neither.
        verdict: what is shown, in words.
        drawing: the difference and its interval over the shared axis.
    """

    name: str
    facts: Mapping[str, float]
    loss: float | None
    better: int
    verdict: str
    drawing: Strip


@dataclass(frozen=True)
class PairTable:
    """All that is shown of a comparison.

    Args:
        reference: the recipe that the others are compared with.
        against: each of the others, in the order of the page.
        scale: the axis that their drawings share.
        listed: every pair, if they are few: names and verdict, and its difference.
        matrix: for each recipe its name and, for every recipe, 1, -1, 0, or None for itself; empty for few recipes.
        notes: what the comparison says of itself, sentence by sentence.
        images: how many validation images it rests on.
        folded: whether the matrix is so large that it is folded.
    """

    reference: str
    against: tuple[_PairRow, ...]
    scale: Scale
    listed: tuple[tuple[str, str, _PairRow], ...]
    matrix: tuple[tuple[str, tuple[int | None, ...]], ...]
    notes: tuple[str, ...]
    images: int
    folded: bool

    @classmethod
    def of(cls, comparison: Facts | None, names: Mapping[str, str], reference: str | None) -> PairTable | None:
        """What a page shows of a comparison; None where there is none.

        Args:
            comparison: `Comparison.to_dict()`.
            names: full name of a recipe -> the short one, in the order of the page.
            reference: the full name of the recipe to compare others with; None for the most accurate one.
        """
        if comparison is None:
            return None
        scores = {one["run"]: one["accuracy"] for one in comparison["runs"]}
        # Without a choice (an unfinished experiment), the most accurate recipe is what others are compared with.
        best: str = max(scores, key=lambda name: float(scores[name]))
        first = reference if reference is not None and reference in scores else best
        found = {(pair["first"], pair["second"]): pair for pair in comparison["pairs"]}
        order = [name for name in names if name in scores]
        others = [name for name in order if name != first]
        every = list(combinations(order, 2))
        axis = Axis.linear([0.0, *(end for other in others for end in _points(found, first, other)[1:])])
        drawn = partial(_against, found, names=names, axis=axis, spoken=_spoken(names))
        return cls(
            reference=names[first],
            against=tuple(drawn(first, other) for other in others),
            scale=Scale.of(axis, mark=0.0),
            listed=tuple((names[one], names[other], drawn(one, other)) for one, other in every)
            if 1 < len(every) <= _MOST_LISTED
            else (),
            matrix=_matrix(order, names, found) if len(order) > _FEW_PAIRED else (),
            notes=tuple(comparison["notes"]),
            images=comparison["images"],
            folded=len(every) > _MOST_LISTED,
        )

    @property
    def counts(self) -> dict[int, int]:
        """How many of the others the reference is shown to beat (1), how many beat it (-1), and neither (0)."""
        return {kind: sum(one.better == kind for one in self.against) for kind in (1, 0, -1)}


def _against(
    found: Found,
    one: str,
    other: str,
    *,
    names: Mapping[str, str],
    axis: Axis,
    spoken: Callable[[str], str],
) -> _PairRow:
    pair, turn = _pair(found, one, other)
    value, low, high = _points(found, one, other)
    loss = None if pair["loss"] is None else pair["loss"]["difference"] * (-1 if turn else 1)
    facts = {"value": value, "low": low, "high": high, "p": pair["accuracy"]["p_corrected"]}
    drawing = Strip.of(axis, value, (low, high))
    return _PairRow(names[other], facts, loss, _better(found, one, other), spoken(pair["verdict"]), drawing)


def _pair(found: Found, one: str, other: str) -> tuple[Facts, bool]:
    """The facts of two recipes, and whether they are those of the second less the first."""
    return (found[one, other], False) if (one, other) in found else (found[other, one], True)


def _points(found: Found, one: str, other: str) -> tuple[float, float, float]:
    """The difference of the accuracies of one recipe less another, in percentage points, and its interval."""
    pair, turn = _pair(found, one, other)
    value = 100 * pair["accuracy"]["difference"]
    low, high = (100 * end for end in pair["accuracy"]["interval"])
    return (-value, -high, -low) if turn else (value, low, high)


def _better(found: Found, one: str, other: str) -> int:
    better = _pair(found, one, other)[0]["better"]
    return 0 if better is None else 1 if better == one else -1


def _spoken(names: Mapping[str, str]) -> Callable[[str], str]:
    """Puts short names into a sentence with full ones; the longest first, since one name may begin another."""
    pattern = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))
    return lambda sentence: pattern.sub(lambda found: names[found[0]], sentence)


def _matrix(
    order: Sequence[str], names: Mapping[str, str], found: Found
) -> tuple[tuple[str, tuple[int | None, ...]], ...]:
    return tuple(
        (names[one], tuple(None if one == other else _better(found, one, other) for other in order)) for one in order
    )
