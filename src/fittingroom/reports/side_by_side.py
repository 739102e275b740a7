"""Several runs on one page: what their paired comparison shows, and each beside the others."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from fittingroom.reports.drawing import figures
from fittingroom.reports.drawing.axes import linear_axis, scale_of, strip
from fittingroom.reports.sentences import QUESTIONS, Topic

Facts = Mapping[str, Any]

_TOLD: tuple[Topic, ...] = ("overfit", "change", "stopping", "confidence", "classes")


def context(runs: Sequence[Facts], comparison: Facts) -> dict[str, Any]:
    """What the page shows of several runs.

    Args:
        runs: the facts of each.
        comparison: of the same runs in the same order, as plain JSON.
    """
    letters = [letter(place) for place in range(len(runs))]
    pairs = [_pair(pair, comparison, letters) for pair in comparison["pairs"]]
    return {
        "dataset": comparison["dataset"],
        "images": comparison["images"],
        "notes": comparison["notes"],
        "pairs": pairs,
        "differences": {name: _differences(pairs, name) for name in ("accuracy", "loss")},
        "runs": [
            {
                "letter": letters[place],
                "facts": facts,
                "score": score,
                "curves": figures.curves(facts, runs),
                "confidence": figures.confidence(facts),
                "answers": _answers(facts),
            }
            for place, (facts, score) in enumerate(zip(runs, comparison["runs"], strict=True))
        ],
        "questions": [(topic, QUESTIONS[topic]) for topic in _TOLD],
    }


def letter(place: int) -> str:
    """A, B, ..., Z, AA, BB, ..."""
    return string.ascii_uppercase[place % 26] * (place // 26 + 1)


def _pair(pair: Facts, comparison: Facts, letters: Sequence[str]) -> dict[str, Any]:
    names = [one["run"] for one in comparison["runs"]]
    first, second = (letters[names.index(pair[side])] for side in ("first", "second"))
    return {**pair, "letters": f"{first} − {second}"}


def _differences(pairs: Sequence[Facts], quantity: str) -> dict[str, Any] | None:
    """What each pair of runs differs by, drawn over one axis; None where no pair has the quantity."""
    factor = 100 if quantity == "accuracy" else 1
    known = {
        place: [factor * value for value in (pair[quantity]["difference"], *pair[quantity]["interval"])]
        for place, pair in enumerate(pairs)
        if pair[quantity] is not None
    }
    if not known:
        return None
    axis = linear_axis([0.0, *(value for values in known.values() for value in values)])
    drawings = {place: strip(axis, value, ends) for place, (value, *ends) in known.items()}
    return {"scale": scale_of(axis, mark=0.0), "drawings": drawings}


def _answers(facts: Facts) -> dict[str, list[Facts]]:
    """The sentences of each topic."""
    return {topic: [word for word in facts["words"] if word["topic"] == topic] for topic in _TOLD}
