"""A pairwise comparison as a table: one recipe against the others first, then every two."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

from fittingroom.reports.drawing.axes import Axis, Scale, Strip

Facts = Mapping[str, Any]
Found = Mapping[tuple[str, str], Facts]

_FEW = 3  # recipes, up to which each pair gets a sentence
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
            matrix=_matrix(order, names, found) if len(order) > _FEW else (),
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
