"""The page of a lab: question, prediction, picture, verdicts, explanation; and the page that lists several labs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fittingroom.reports.drawing.axes import Axis, Scale, Strip
from fittingroom.reports.pages import lab_pictures
from fittingroom.reports.pages.document import Report, TextPiece, harmless, pieces, rendered
from fittingroom.text import nats, number, percent

Facts = Mapping[str, Any]

_COLUMNS = {
    "score": "reported",
    "fresh": "fresh pictures",
    "excess": "reported beyond fresh (points)",
    "looks": "looks",
    "copies": "test images with a copy",
    "accuracy": "validation accuracy",
    "loss": "validation loss (nats)",
    "train_accuracy": "training accuracy",
    "train_loss": "training loss (nats)",
    "confidence": "confidence",
    "overconfidence": "confidence beyond accuracy (points)",
    "seconds": "seconds",
    "epochs": "epochs",
    "parameters": "parameters",
}


_SIGNS = {"supported": ("✓", "yes"), "not supported": ("✗", "no"), "no difference shown": ("≈", "open")}


def lab_report(facts: Facts) -> Report:
    """The page of a lab, made from its facts, and for some pictures from the run that they name.

    Nothing is trained, and no test set is opened.

    Args:
        facts: `LabResult.to_dict()`.
    """
    context = _context(facts)
    return Report.of(context["title"], "lab.html", context)


def lab_results(facts: Facts) -> str:
    """What came out of a lab, as its page has it: the answer, the picture, the verdicts, and what to make of them.

    Args:
        facts: as for `lab_report`.

    Returns:
        HTML for a page that has the styles of reports.
    """
    return rendered("lab_results.html", _context(facts))


def lab_curves(arms: Sequence[Facts]) -> str:
    """Validation loss and accuracy over the epochs, a line for each arm, while a lab is trained.

    Args:
        arms: of each its `name` and its `history`, as in `LabResult.to_dict`; what is not finite is None.

    Returns:
        HTML for a page that has the styles of reports; empty where there is nothing to draw.
    """
    return rendered("lab_curves.html", {"figures": lab_pictures.live_figures(harmless(arms))})


def _context(facts: Facts) -> dict[str, Any]:
    facts = harmless(facts)
    title = f"Lab {facts['lab']}: {facts['title']}" if facts["lab"] else str(facts["title"])
    arms = facts["arms"]
    return {
        "title": title,
        "facts": facts,
        "question": _paragraphs(facts["question"]),
        "course": _paragraphs(facts["course"]),
        "prediction": facts["prediction"],
        "answer": _answer(facts["prediction"]),
        "claims": _claim_cards(facts["claims"]),
        "picture": lab_pictures.picture(facts),
        "caption": pieces(facts["picture"]["text"] or ""),
        "explanation": _paragraphs(facts["explanation"]),
        "next": _paragraphs(facts["next"]),
        "told": [{"name": arm["name"], **arm["reports"][0]} for arm in arms if arm.get("reports")],
        "refused": [arm for arm in arms if arm["error"]],
        "codes": [arm for arm in arms if arm["code"] and not arm["error"]],
        "left_out": [pieces(one) for one in facts.get("left_out", [])],
        "columns": [(name, words) for name, words in _COLUMNS.items() if any(_measure(arm, name) for arm in arms)],
        "rows": [{"arm": arm, "cells": {name: _cell(name, _measure(arm, name)) for name in _COLUMNS}} for arm in arms],
        "stops": [(arm["name"], stops) for arm in arms if (stops := _stops(arm["stops"]))],
    }


def labs_index(labs: Sequence[Facts], links: Sequence[str] | None = None) -> Report:
    """The page that lists labs with their claims and verdicts.

    Args:
        labs: the facts of each, as `lab_report` takes them.
        links: the relative address of each lab's page; by default `NAME.html` beside this one.
    """
    labs = harmless(labs)
    places = [f"{one['name']}.html" for one in labs] if links is None else links
    listed: list[dict[str, Any]] = [
        {
            "facts": one,
            # Quoted, and begun with a point: whatever the name is, this is a file near this one.
            "link": "./" + quote(place),
            "question": _paragraphs(one["question"])[:1],
            "claims": _claim_cards(one["claims"]),
            "answer": _answer(one["prediction"]),
        }
        for one, place in zip(labs, places, strict=True)
    ]
    verdicts = [claim.verdict for one in listed for claim in one["claims"]]
    counts = [(verdict, verdicts.count(verdict)) for verdict in dict.fromkeys(verdicts)]
    return Report.of("labs", "labs.html", {"title": "Labs", "labs": listed, "counts": counts})


def _answer(prediction: Facts | None) -> str:
    """Whether the learner's prediction came true; empty where nothing can be said."""
    if prediction is None:
        return ""
    if prediction["outcome"] is None:
        return (
            ""
            if not prediction["allowed"]
            else "The measurement cannot decide between the answers that its interval allows."
        )
    if prediction["chosen"] is None:
        return ""
    return (
        "Your prediction came true."
        if prediction["chosen"] == prediction["outcome"]
        else "Your prediction did not come true."
    )


def _measure(arm: Facts, name: str) -> Facts | None:
    """The spread of a measure; the number of parameters has none, and may stand beside the measures."""
    found = arm["measures"].get(name)
    if found is None and name == "parameters" and arm.get("parameters") is not None:
        return {"mean": arm["parameters"], "interval": None, "values": []}
    return found if found is not None and found.get("mean") is not None else None


def _cell(name: str, spread: Facts | None) -> tuple[str, str]:
    """A mean and its interval as text; the interval is empty where there is none, or where nothing varies."""
    if spread is None:
        return "–", ""
    low, high = spread["interval"] or (spread["mean"], spread["mean"])
    # Of copies, only two seeds are audited, and each knows its own share.
    ends = "" if low == high or name == "copies" else f"{_number(name, low)} to {_number(name, high)}"
    return _number(name, spread["mean"]), ends


def _number(name: str, value: float) -> str:
    if name in {"overconfidence", "excess"}:
        return number(100 * value, 1, signed=True)
    if name in {"accuracy", "train_accuracy", "confidence", "score", "fresh", "copies"}:
        return percent(value)
    if name in {"loss", "train_loss"}:
        return nats(value)
    return number(value, 2 if name == "seconds" else 0 if value == round(value) else 1)


def _stops(reasons: Sequence[str | None]) -> list[str]:
    """Why the trainings of an arm stopped early, each reason with how many of them."""
    known = [reason for reason in reasons if reason is not None]
    return [f"{reason} ({known.count(reason)} of {len(reasons)} seeds)" for reason in dict.fromkeys(known)]


@dataclass(frozen=True)
class _ClaimCard:
    """A claim and its verdict.

    Args:
        says: the claim's own sentence.
        verdict: in words.
        sign: the same as a sign.
        color: the class of its colour.
        sentence: effect and interval in words.
        unit: what the effect is measured in; empty where that is not known.
        drawing: the effect and its interval; None where there is none.
        scale: the axis of the drawing.
    """

    says: list[TextPiece]
    verdict: str
    sign: str
    color: str
    sentence: list[TextPiece]
    unit: str = ""
    drawing: Strip | None = None
    scale: Scale | None = None


def _claim_cards(claims: Sequence[Facts]) -> list[_ClaimCard]:
    """The claims, in order. Differences of one measure between arms share an axis, so that they compare by eye."""
    # An axis of its own for each claim would make small and large effects look alike.
    axes = {key: _axis([one for one in claims if _key(one) == key]) for key in map(_key, claims)}
    return [_claim(one, axes[_key(one)]) for one in claims]


def _sign_of(verdict: str) -> tuple[str, str]:
    """The sign of a verdict, and the class of its colour."""
    return _SIGNS.get(verdict, ("–", "open"))


def _key(one: Facts) -> tuple[str, str, bool]:
    return one["kind"], one["measure"], isinstance(one["second"], str)


def _claim(one: Facts, axis: Axis | None) -> _ClaimCard:
    sign, color = _sign_of(one["verdict"])
    told = _ClaimCard(pieces(one["says"]), one["verdict"], sign, color, pieces(one["sentence"]))
    if axis is None or one["value"] is None:
        return told
    ratio = one["kind"] == "ratio"
    drawing = Strip.of(axis, one["value"], one["interval"], band=one.get("within") or None)
    unit = "times" if ratio else one.get("unit") or ""
    scale = Scale.of(axis, mark=1.0 if ratio else 0.0)
    return _ClaimCard(told.says, told.verdict, sign, color, told.sentence, unit, drawing, scale)


def _axis(claims: Sequence[Facts]) -> Axis | None:
    """An axis for effects of one kind, with no difference on it; None where nothing can be drawn."""
    kind = claims[0]["kind"]
    if kind not in {"difference", "ratio"}:
        return None
    values = [end for one in claims if one["value"] is not None for end in (one["value"], *(one["interval"] or ()))]
    bands = [one["within"] for one in claims if one.get("within")]
    if kind == "ratio":
        values = [one for one in values if one > 0 and math.isfinite(one)]
        return Axis.logarithmic([1.0, *values, *bands, *(1 / band for band in bands)]) if values else None
    return Axis.linear([0.0, *values, *bands, *(-band for band in bands)]) if values else None


def _paragraphs(text: str | None) -> list[list[TextPiece]]:
    """The paragraphs of a text, which blank lines separate; none for None."""
    return [pieces(one) for one in re.split(r"\n\s*\n", text or "") if one.strip()]
