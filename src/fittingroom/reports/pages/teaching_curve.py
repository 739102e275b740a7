"""The curve of a teaching: accuracy against photos of each class, with its interval and a forecast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fittingroom.reports.drawing.axes import Axis
from fittingroom.reports.drawing.figures import Figure
from fittingroom.reports.drawing.plots import Frame, Plot
from fittingroom.reports.pages.document import rendered

_TITLE = "Accuracy by photos of each class"
_HEIGHT = 230  # pixels


def teaching_curve(teaching: Mapping[str, Any]) -> str:
    """The curve as HTML for a page that has the styles of reports; empty where there are no two points.

    Args:
        teaching: as `RunRecord.teaching` has it: `curve` with `photos_per_class`, `accuracy` and `interval` of each
            point, and `forecast`, a point further on, or None.
    """
    points = [_point(one) for one in teaching.get("curve") or ()]
    if len(points) < 2:
        return ""
    forecast = None if not teaching.get("forecast") else _point(teaching["forecast"])
    every = [*points, *([forecast] if forecast else [])]
    values = [100 * value for _, accuracy, low, high in every for value in (accuracy, low, high)]
    frame = Frame(_photo_axis([x for x, *_ in every]), Axis.of_values(values, "%"), _HEIGHT)
    plot = Plot.over_epochs(
        frame,
        "%",
        "accuracy (share right)",
        areas=[(frame.area([(x, 100 * low, 100 * high) for x, _, low, high in points]), "band s0")],
        lines=[([(x, 100 * accuracy) for x, accuracy, _, _ in points], "mean s0")],
    )
    legend = [("s0", "measured on photos that were left out"), ("band s0", "95% interval")]
    if forecast is not None:
        x, accuracy, low, high = forecast
        last = points[-1]
        plot = replace(
            plot,
            lines=(*plot.lines, (frame.path([(last[0], 100 * last[1]), (x, 100 * accuracy)]), "mean s0 dashed")),
            rules=((frame.at_x(x), frame.at_y(100 * high), frame.at_y(100 * low), "interval s0"),),
            dots=((frame.at_x(x), frame.at_y(100 * accuracy), 4.5, "alone s0"),),
        )
        legend.append(("dashed s0", "forecast"))
    plot = replace(plot, x_title="photos of each class")
    told = ", ".join(f"{x:g} photos: {100 * accuracy:.0f}%" for x, accuracy, _, _ in points)
    figure = Figure(plot, f"Line chart of {_TITLE.lower()}: {told}.", legend=tuple(legend))
    return rendered("lab_curves.html", {"figures": {_TITLE: figure}})


def _point(one: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Photos of each class, accuracy and its interval."""
    low, high = one["interval"]
    found = float(one["photos_per_class"]), float(one["accuracy"]), float(low), float(high)
    if not all(map(math.isfinite, found)):
        raise ValueError("a point of the curve is not finite")
    return found


def _photo_axis(counts: list[float]) -> Axis:
    """From the fewest photos to the most, with ticks at whole numbers."""
    return Axis.of_epochs([round(count) for count in counts])
