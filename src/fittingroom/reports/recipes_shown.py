"""The recipes of an experiment as a page shows them: short names, an order, colours for a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]

FEW = 6
"""So many have a colour and a name in every drawing; of more, the best so many."""

_LETTER_COLORS = tuple(f"s{place}" for place in range(FEW))


@dataclass(frozen=True)
class Shown:
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


def shown(facts: Facts) -> list[Shown]:
    """All recipes: a few as they were asked for, which keeps rising settings in order; of many the best first.

    Args:
        facts: of the experiment.
    """
    recipes = facts["recipes"]
    order = sorted(range(len(recipes)), key=lambda place: _rank(recipes[place]))
    ranks = {place: rank for rank, place in enumerate(order, 1) if recipes[place]["accuracy"] is not None}
    few = len(recipes) <= FEW
    colored = [place for place in (range(len(recipes)) if few else order[:FEW]) if place in ranks]
    colors = dict(zip(colored, _LETTER_COLORS, strict=False))
    names = short_names(recipes)
    return [
        Shown(recipes[place], names[place], colors.get(place, ""), ranks.get(place), _is_chosen(facts, place))
        for place in (range(len(recipes)) if few else order)
    ]


def short_names(recipes: Sequence[Facts]) -> list[str]:
    """What differs between the recipes: `hidden=64`, or with its base `cnn hidden=64`; full names if two are equal."""
    bases = [one["recipe"].split(" ")[0].rstrip("+") or one["recipe"] for one in recipes]
    differ = differing(recipes)
    with_base = len(set(bases)) > 1
    names = []
    for one, base in zip(recipes, bases, strict=True):
        settings = [f"{key}={one['varied'][key]}" for key in differ if key in one["varied"]]
        names.append(" ".join([*([base] if with_base or not settings else []), *settings]))
    return names if len(set(names)) == len(names) else [one["recipe"] for one in recipes]


def differing(recipes: Sequence[Facts]) -> dict[str, list[Any]]:
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
