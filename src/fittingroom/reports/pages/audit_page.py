"""The page of an audit: what was found first, each check with its evidence, and the review of doubtful labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fittingroom.reports.drawing.axes import Axis
from fittingroom.reports.drawing.figures import Figure
from fittingroom.reports.drawing.plots import Frame, Plot
from fittingroom.reports.pages.document import Report, harmless, pieces
from fittingroom.text import number, word_list

Facts = Mapping[str, Any]

_SIGNS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"found": ("!", "no"), "unsure": ("?", "open"), "clear": ("✓", "yes"), "not examined": ("–", "open")}
)
"""By verdict, its sign and the class of its colour."""

_COLORS = 5  # that the eye tells apart in lines; of more, the next so many are dashed, the next dotted
_DASHES = ("", " dashed", " dotted")
_FEW_COLUMNS = 6
_SCRIPTS = ("error_rate.js", "review.js")


def audit_report(facts: Facts) -> Report:
    """The page of an audit, made from its facts alone. Nothing is examined, and no test set is opened.

    Args:
        facts: `Audit.to_dict(pictures=True)`.
    """
    facts = harmless(facts)
    checks = [_check(result) for result in facts["results"]]
    review = next(
        (one for check in checks for one in check["evidence"] if one["kind"] == "review" and one["items"]), None
    )
    counts = sorted({one["columns"] for check in checks for one in check["evidence"] if one["kind"] == "gallery"} - {0})
    # A page may have no `style` in its elements, so that rows of so many pictures are rules.
    rules = "".join(f".of-{count} {{ grid-template-columns: repeat({count}, minmax(0, 84px)); }}\n" for count in counts)
    context = {"title": facts["title"], "facts": facts, "checks": checks, "review": review}
    context["unexamined"] = [check for check in checks if check["verdict"] == "not examined"]
    data = {} if review is None else {"review": {**review, "key": facts["review_key"], "rows": facts["rows"]}}
    return Report.of(facts["title"], "audit.html", context, data, rules, _SCRIPTS)


def _check(result: Facts) -> dict[str, Any]:
    """A check as the template shows it."""
    sign, color = _SIGNS[result["verdict"]]
    return {
        **result,
        "sign": sign,
        "color": color,
        "sentences": [pieces(text) for text in result["sentences"]],
        "advice": [pieces(text) for text in result["advice"]],
        "evidence": [{**one, "wide": _is_wide(one), "figure": _figure(one)} for one in result["evidence"]],
    }


def _is_wide(one: Facts) -> bool:
    """Whether a piece of evidence needs the whole width; two others stand side by side on a wide screen."""
    if one["kind"] == "gallery":
        return not 1 <= one["columns"] <= _FEW_COLUMNS
    return one["kind"] == "review" or len(one.get("header", ())) > _FEW_COLUMNS


def _figure(plot: Facts) -> Figure | None:
    """The lines of a plot, and their intervals as bands; None for other evidence, and where no number is finite."""
    if plot["kind"] != "plot":
        return None
    lines = [{**line, "points": _points(line)} for line in plot["lines"]]
    lines = [line for line in lines if line["points"]]
    if not lines:
        return None
    values = [end for line in lines for _, *ends in line["points"] for end in ends]
    within = (0.0, 1.0) if min(values) >= 0 and max(values) <= 1 else None
    places = [x for line in lines for x, *_ in line["points"]]
    # Severities and counts are whole numbers, and have no ticks between them.
    across = Axis.of_epochs([int(x) for x in places]) if all(x == int(x) for x in places) else Axis.linear(places)
    frame = Frame(across, Axis.linear(values, within))
    kinds = [_kind(place) for place in range(len(lines))]
    drawn = Plot(
        frame,
        x_ticks=frame.x_ticks(),
        y_ticks=frame.y_ticks(),
        x_title=plot["x_label"],
        y_title=plot["y_label"],
        areas=tuple(
            (frame.area([(x, low, high) for x, _, low, high in line["points"]]), f"band {kind}")
            for line, kind in zip(lines, kinds, strict=True)
            if line["low"]
        ),
        lines=tuple(
            (frame.path((x, y) for x, y, _, _ in line["points"]), f"mean {kind}")
            for line, kind in zip(lines, kinds, strict=True)
        ),
        dots=tuple(
            (frame.at_x(x), frame.at_y(y), 4.5, kind)
            for line, kind in zip(lines, kinds, strict=True)
            for x, y, _, _ in line["points"]
            if len(line["points"]) == 1
        ),
    )
    ends = word_list((f"{line['name']} ends at {number(line['points'][-1][1], 3)}" for line in lines), most=_COLORS)
    legend = tuple((kind, line["name"]) for line, kind in zip(lines, kinds, strict=True))
    banded = any(line["low"] for line in lines)
    caption = "Bands are 95% intervals." if banded else ""
    alt = f"Line chart of {plot['y_label']} by {plot['x_label']}: {ends}."
    return Figure(drawn, alt, caption, legend if len(lines) > 1 else ())


def _points(line: Facts) -> list[tuple[float, float, float, float]]:
    """x, y and the ends of the interval at each place where y is known; where there is no interval, y stands for it."""
    low, high = line["low"] or line["y"], line["high"] or line["y"]
    return [
        (x, y, *_ends(y, one, other))
        for x, y, one, other in zip(line["x"], line["y"], low, high, strict=True)
        if _is_finite(x) and _is_finite(y)
    ]


def _ends(y: float, low: Any, high: Any) -> tuple[float, float]:
    return (low if _is_finite(low) else y), (high if _is_finite(high) else y)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _kind(place: int) -> str:
    return f"s{place % _COLORS}{_DASHES[min(place // _COLORS, len(_DASHES) - 1)]}"
