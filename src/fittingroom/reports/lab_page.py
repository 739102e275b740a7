"""The page of a lab: question, prediction, picture, verdicts, explanation. And the page that lists several labs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fittingroom.reports import lab_pictures
from fittingroom.reports.claims_shown import claims_shown
from fittingroom.reports.document import harmless, page
from fittingroom.reports.html import Report
from fittingroom.reports.prose import paragraphs, pieces
from fittingroom.reports.sentences import nats, percent

Facts = Mapping[str, Any]

_COLUMNS = {
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


def lab_report(facts: Facts) -> Report:
    """The page of a lab, made from its facts, and for some pictures from the run that they name.

    Nothing is trained, and no test set is opened.

    Args:
        facts: `LabResult.to_dict()`.
    """
    facts = harmless(facts)
    title = f"Lab {facts['lab']}: {facts['title']}" if facts["lab"] else str(facts["title"])
    arms = facts["arms"]
    context = {
        "title": title,
        "facts": facts,
        "question": paragraphs(facts["question"]),
        "course": paragraphs(facts["course"]),
        "prediction": facts["prediction"],
        "answer": _answer(facts["prediction"]),
        "claims": claims_shown(facts["claims"]),
        "picture": lab_pictures.picture(facts),
        "caption": pieces(facts["picture"]["text"] or ""),
        "explanation": paragraphs(facts["explanation"]),
        "next": paragraphs(facts["next"]),
        "refused": [arm for arm in arms if arm["error"]],
        "codes": [arm for arm in arms if arm["code"] and not arm["error"]],
        "left_out": [pieces(one) for one in facts.get("left_out", [])],
        "columns": [(name, words) for name, words in _COLUMNS.items() if any(_measure(arm, name) for arm in arms)],
        "rows": [{"arm": arm, "cells": {name: _cell(name, _measure(arm, name)) for name in _COLUMNS}} for arm in arms],
        "stops": [(arm["name"], stops) for arm in arms if (stops := _stops(arm["stops"]))],
    }
    return Report(page("lab.html", context, {}), title)


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
            "question": paragraphs(one["question"])[:1],
            "claims": claims_shown(one["claims"]),
            "answer": _answer(one["prediction"]),
        }
        for one, place in zip(labs, places, strict=True)
    ]
    verdicts = [claim.verdict for one in listed for claim in one["claims"]]
    counts = [(verdict, verdicts.count(verdict)) for verdict in dict.fromkeys(verdicts)]
    return Report(page("labs.html", {"title": "Labs", "labs": listed, "counts": counts}, {}), "labs")


def _answer(prediction: Facts | None) -> str:
    """Whether the learner's prediction came true; empty where nothing can be said."""
    if prediction is None:
        return ""
    if prediction["outcome"] is None:
        return (
            ""
            if not prediction["allowed"]
            else "The measurement cannot tell between the answers that its interval allows."
        )
    if prediction["chosen"] is None:
        return ""
    return "Your prediction came true." if prediction["chosen"] == prediction["outcome"] else "It came out otherwise."


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
    ends = "" if low == high else f"{_number(name, low)} to {_number(name, high)}"
    return _number(name, spread["mean"]), ends


def _number(name: str, value: float) -> str:
    minus = "\u2212" if value < 0 else ""
    if name == "overconfidence":
        text = f"{100 * value:+.1f}".replace("-", "\u2212")
        return text if float(text[1:]) else text[1:]
    if name in {"accuracy", "train_accuracy", "confidence"}:
        return f"{minus}{percent(abs(value))}"
    if name in {"loss", "train_loss"}:
        return f"{minus}{nats(value)}"
    return f"{value:.2f}" if name == "seconds" else f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _stops(reasons: Sequence[str | None]) -> list[str]:
    """Why the trainings of an arm stopped early, each reason with how many of them."""
    known = [reason for reason in reasons if reason is not None]
    return [f"{reason} ({known.count(reason)} of {len(reasons)} seeds)" for reason in dict.fromkeys(known)]
