"""The picture of a lab: one of five kinds, each the context of a template of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fittingroom.errors import FittingRoomError
from fittingroom.reports import lab_images
from fittingroom.reports.drawing import plots, scatter
from fittingroom.reports.drawing.axes import linear_axis, scale_of, spread_values, strip
from fittingroom.reports.drawing.figures import Figure
from fittingroom.reports.drawing.plots import Line
from fittingroom.reports.drawing.scatter import Dot
from fittingroom.reports.subject import read_subject

Facts = Mapping[str, Any]
Picture = dict[str, Any]

_COLORS = 6


def picture(facts: Facts) -> Picture:
    """What the template shows: always `kind`, and `why_not`, which is None unless the picture cannot be drawn."""
    asked = facts["picture"]
    arms = [arm for arm in facts["arms"] if not asked["arms"] or arm["name"] in asked["arms"]]
    colors = {arm["name"]: f"s{place}" if place < _COLORS else "" for place, arm in enumerate(arms)}
    kind = asked["kind"]
    if kind in {"numbers", "images"}:
        return {"kind": kind, **_of_run(kind, arms)}
    drawn = {"accuracy": _accuracy, "cost": _cost, "curves": _curves}[kind](arms, colors)
    return {"kind": kind, "why_not": None if drawn else "there is nothing to draw: no arm was trained", **drawn}


def _of_run(kind: str, arms: Sequence[Facts]) -> Picture:
    """The picture of the first arm that was trained, read from its run."""
    run = next((arm["run"] for arm in arms if arm["run"] is not None), None)
    if run is None:
        return {"why_not": "no arm was trained"}
    try:
        subject = read_subject(run)
    except FittingRoomError as error:
        return {"why_not": str(error).rstrip(".")}
    return {"why_not": None, **(lab_images.numbers(subject) if kind == "numbers" else lab_images.images(subject))}


def _accuracy(arms: Sequence[Facts], colors: Mapping[str, str]) -> Picture:
    """Each seed of each arm as a dot, with the mean and its interval, in percent."""
    known = [arm["measures"]["accuracy"] for arm in arms if "accuracy" in arm["measures"]]
    if not known:
        return {}
    axis = linear_axis([value for spread in known for value in spread_values(spread, 100)], (0, 100))
    rows = []
    for arm in arms:
        spread = arm["measures"].get("accuracy")
        drawing = None
        if spread is not None:
            ends = None if spread["interval"] is None else [100 * end for end in spread["interval"]]
            drawing = strip(axis, 100 * spread["mean"], ends, [100 * value for value in spread["values"]])
        rows.append({"arm": arm, "spread": spread, "drawing": drawing, "color": colors[arm["name"]]})
    return {"rows": rows, "scale": scale_of(axis, "%")}


def _cost(arms: Sequence[Facts], colors: Mapping[str, str]) -> Picture:
    """Accuracy against seconds: each seed, and the means."""
    dots = []
    for arm in arms:
        accuracy, seconds = (arm["measures"].get(name) for name in ("accuracy", "seconds"))
        if accuracy is None or seconds is None:
            continue
        pairs = zip(seconds["values"], accuracy["values"], strict=False)
        dots.append(
            Dot(
                name=arm["name"],
                color=colors[arm["name"]],
                x=seconds["mean"],
                y=100 * accuracy["mean"],
                interval=None if accuracy["interval"] is None else [100 * end for end in accuracy["interval"]],
                front=True,
                seeds=[(x, 100 * y) for x, y in pairs] if len(accuracy["values"]) > 1 else (),
            )
        )
    if not dots:
        return {}
    told = "; ".join(f"{dot.name}: {dot.y:.1f}% in {dot.x:.3g} s" for dot in dots)
    return {
        "figure": Figure(
            scatter.cost(dots, "seconds of training"),
            f"Accuracy on validation images against seconds of training: {told}.",
            legend=tuple((dot.color, dot.name) for dot in dots),
        )
    }


def _curves(arms: Sequence[Facts], colors: Mapping[str, str]) -> Picture:
    """Loss and accuracy of training and validation by epoch, a plot for each arm over the same axes."""
    del colors  # here colours tell training from validation
    lines = {
        quantity: {arm["name"]: _lines(arm["history"], quantity, 100 if quantity == "accuracy" else 1) for arm in arms}
        for quantity in ("loss", "accuracy")
    }
    found = []
    for arm in arms:
        drawn = {}
        for quantity, each in lines.items():
            own = each[arm["name"]]
            if own:
                unit = "%" if quantity == "accuracy" else ""
                every = [line for others in each.values() for line in others]
                told = "; ".join(f"{line.name} ends at {line.mean[-1][1]:.3g}{unit or ' nats'}" for line in own)
                alt = f"Line chart of {quantity} by epoch, {arm['name']}: {told}."
                plot = plots.curves(own, unit, every, y_title="accuracy (share right)" if unit else "loss (nats)")
                drawn[quantity] = Figure(plot, alt)
        if drawn:
            found.append({"arm": arm, "plots": drawn})
    return {"arms": found} if found else {}


def _lines(history: Facts, quantity: str, factor: int) -> list[Line]:
    found = []
    for part, key in (("training", quantity), ("validation", f"val_{quantity}")):
        seeds = [
            [(epoch, factor * value) for epoch, value in enumerate(values, 1) if value is not None]
            for values in history.get(key, ())
        ]
        line = plots.line_of(part, f"c-{part}", seeds, dashed=part == "training")
        if line is not None:
            found.append(line)
    return found
