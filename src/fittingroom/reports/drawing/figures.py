"""The figures of a report: each plot with what it says in words for those who do not see it, a caption and a legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fittingroom.reports.drawing.axes import Axis
from fittingroom.reports.drawing.plots import Frame, Line, Plot, Point
from fittingroom.reports.words.quotes import epoch_span
from fittingroom.text import nats, percent

Facts = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]
_Legend = tuple[tuple[str, str], ...]

_QUANTITIES = ("loss", "accuracy")
_TITLES = {"loss": "loss (nats)", "accuracy": "accuracy (share right)"}
_LOW, _DETAIL = 180, 234  # pixels: of the plots below the slider, and of those of one image
_LARGEST_DOT = 6.0  # pixels: the radius of the fullest bin of a reliability diagram


@dataclass(frozen=True)
class Figure:
    """A plot and what belongs to it.

    Args:
        plot: as it is drawn.
        alt: what it shows, in words with its main figures.
        caption: what to see in it.
        legend: for each mark its classes in `templates/drawing.css` and what it stands for.
    """

    plot: Plot
    alt: str
    caption: str = ""
    legend: _Legend = ()


def history_plots(histories: Sequence[Rows]) -> dict[str, tuple[list[Line], Plot]]:
    """Loss and accuracy over the epochs, of those that the histories have: the lines, and their plot.

    Args:
        histories: of each seed the numbers of its epochs, with `epoch` counted from 1.
    """
    found = {quantity: _curve_lines(quantity, histories) for quantity in _QUANTITIES}
    return {quantity: (lines, _curve_plot(quantity, lines)) for quantity, lines in found.items() if lines}


def _curve_lines(quantity: str, histories: Sequence[Rows]) -> list[Line]:
    """Training and validation loss or accuracy over the epochs, of those that there are: nats, or percent.

    Args:
        quantity: `loss` or `accuracy`.
        histories: of each seed the numbers of its epochs, with `epoch` counted from 1.
    """
    factor = 100 if quantity == "accuracy" else 1
    found = []
    for part, key in (("training", quantity), ("validation", f"val_{quantity}")):
        seeds = [
            [(row["epoch"], factor * row[key]) for row in history if row.get(key) is not None] for history in histories
        ]
        line = Line.of(part, f"c-{part}", seeds, dashed=part == "training")
        found += [] if line is None else [line]
    return found


def _curve_plot(
    quantity: str, lines: Sequence[Line], framed: Sequence[Line] = (), marked: tuple[int, int] | None = None
) -> Plot:
    """The plot of such lines, each with the band of its seeds.

    Args:
        quantity: `loss` or `accuracy`.
        lines: as `_curve_lines` gives them, at least one.
        framed: the lines that the axes must have room for; by default these.
        marked: first and last of the epochs to mark.
    """
    unit = "%" if quantity == "accuracy" else ""
    return Plot.of_lines(lines, unit, framed, y_title=_TITLES[quantity], named=False, banded=True, marked=marked)


def run_figures(facts: Facts, beside: Sequence[Facts] = ()) -> dict[str, dict[str, Figure]]:
    """The figures of a run: `curves` of loss and accuracy over the epochs, and `confidence`; empty for what is unknown.

    Args:
        facts: of a run.
        beside: of all runs that are drawn side by side, whose axes are then the same.
    """
    return {"curves": _curves(facts, beside), "confidence": _confidence(facts)}


def _curves(facts: Facts, beside: Sequence[Facts]) -> dict[str, Figure]:
    found = {}
    for quantity in _QUANTITIES:
        lines, *every = (_curve_lines(quantity, _histories(one)) for one in (facts, *beside))
        if not lines:
            continue
        best = facts["stopping"][f"{quantity}_epochs"]
        marked = (best["low"], best["high"]) if any(line.name == "validation" for line in lines) else None
        found[quantity] = Figure(
            _curve_plot(quantity, lines, [line for each in every for line in each], marked),
            _curve_alt(facts, quantity),
            _curve_caption(quantity, marked),
            _curve_legend(lines, marked),
        )
    return found


def _histories(facts: Facts) -> list[Rows]:
    return [training["history"] for training in facts["per_seed"]]


def _curve_alt(facts: Facts, quantity: str) -> str:
    parts = []
    for part, key in (("Training", quantity), ("Validation", f"val_{quantity}")):
        rows = facts["curves"].get(key, [])
        known = [(row["epoch"], row["mean"]) for row in rows if row["mean"] is not None]
        if known:
            (first, start), (last, end) = known[0], known[-1]
            best = (min if quantity == "loss" else max)(known, key=lambda one: one[1])
            parts.append(
                f"{part} {quantity} from {_value(quantity, start)} after epoch {first} to {_value(quantity, end)} "
                f"after epoch {last}, best {_value(quantity, best[1])} after epoch {best[0]}."
            )
    several = len(facts["per_seed"])
    return " ".join([f"Line chart of {quantity}{f', means of {several} seeds' if several > 1 else ''}.", *parts])


def _value(quantity: str, value: float) -> str:
    return f"{nats(value)} nats" if quantity == "loss" else percent(value)


def _curve_caption(quantity: str, marked: tuple[int, int] | None) -> str:
    if marked is None:
        return ""
    best = "lowest" if quantity == "loss" else "highest"
    seeds = ", depending on the seed" if marked[0] != marked[1] else ""
    return f"Validation {quantity} was {best} after {epoch_span(*marked)}{seeds}."


def _curve_legend(lines: Sequence[Line], marked: tuple[int, int] | None) -> _Legend:
    seeds = max(len(line.seeds) for line in lines)
    best = () if marked is None else (("rule" if marked[0] == marked[1] else "area", "best for validation"),)
    return (
        *((f"dashed {line.color}" if line.dashed else line.color, line.name) for line in lines),
        *(((f"band {lines[-1].color}", f"{seeds} seeds and their band"),) if seeds > 1 else ()),
        *best,
    )


def slider_figures(facts: Facts) -> dict[str, Any]:
    """What the page of a run has for the seed that is shown image by image.

    `courses` are its validation loss and accuracy, for the slider, and `frame` the empty axes of one image's
    probabilities, in which the page's script draws lines.
    """
    training = facts["per_seed"][facts["example"]["index"]]
    found = {}
    for quantity in _QUANTITIES:
        unit = "%" if quantity == "accuracy" else ""
        values = training[f"validation_{quantity}"]
        drawn = [100 * value if unit else value for value in values]
        points = list(zip(training["validated_epochs"], drawn, strict=True))
        frame = Frame(Axis.of_epochs(training["validated_epochs"]), Axis.of_values(drawn, unit), _LOW)
        found[quantity] = Figure(
            Plot.over_epochs(frame, unit, _TITLES[quantity], lines=[(points, "mean c-validation")]),
            f"Validation {quantity} of seed {training['seed']} over the epochs, from {_value(quantity, values[0])} to "
            f"{_value(quantity, values[-1])}; two lines mark the epochs that are compared.",
        )
    shares = Axis(0.0, 100.0, (0.0, 25.0, 50.0, 75.0, 100.0))
    empty = Frame(Axis.of_epochs(training["validated_epochs"]), shares, _DETAIL)
    return {"courses": found, "frame": Plot.over_epochs(empty, "%", "probability")}


def _confidence(facts: Facts) -> dict[str, Figure]:
    """The reliability diagram, the split of the loss, and the calibration error; none where confidences are unknown."""
    found: dict[str, Figure] = {}
    if (diagram := facts["reliability"]) is not None:
        found["reliability"] = _reliability(diagram)
        found["errors"] = _errors(diagram)
    if (curves := facts["calibration_curves"]) is not None:
        found["split"] = _split(facts, curves)
    return found


def _reliability(diagram: Facts) -> Figure:
    """The share of right answers against the confidence, with what a calibrated model would show on as many images."""
    known = [one for one in diagram["bins"] if one["count"]]
    told = "; ".join(f"{percent(one['confidence'])} sure, {percent(one['accuracy'])} right" for one in known)
    most = max((one["count"] for one in known), default=1)
    plot = _shares_plot(
        "confidence",
        "share right",
        areas=[([_honest(one) for one in known], "honest")],
        lines=[([(0.0, 0.0), (100.0, 100.0)], "diagonal")],
        rules=[
            (100 * one["confidence"], *(100 * end for end in one["interval"]), "interval c-validation") for one in known
        ],
        dots=[
            (
                100 * one["confidence"],
                100 * one["accuracy"],
                # Areas grow with the count; the emptiest bin still shows.
                round(max(_LARGEST_DOT * (one["count"] / most) ** 0.5, 2.5), 2),
                "c-validation",
            )
            for one in known
        ],
    )
    return Figure(
        plot,
        f"Reliability diagram {diagram['as']}, from the least confident predictions: {told}.",
        f"{_capital(diagram['as'])}: calibration error {diagram['error']:.3f}. A perfectly calibrated model "
        f"would show about {diagram['floor']:.3f} on this many images, and rarely more than {diagram['ceiling']:.3f}. "
        "Points below the diagonal are too sure; larger points hold more images.",
        (("point c-validation", "share right, with 95% interval"), ("area", "where a calibrated model lies")),
    )


def _honest(one: Facts) -> tuple[float, float, float]:
    """Where 95% of calibrated models lie in a bin, with the normal approximation; all in percent."""
    center = one["confidence"]
    noise = 1.96 * (center * (1 - center) / one["count"]) ** 0.5
    return 100 * center, 100 * max(center - noise, 0.0), 100 * min(center + noise, 1.0)


def _errors(diagram: Facts) -> Figure:
    """The calibration error over the epochs, and what calibrated models stay below."""
    errors = diagram["errors"]
    first, last = errors[0], errors[-1]
    highest = max(max(one["error"], one["ceiling"]) for one in errors)
    # From 0, which is what a calibrated model tends to with more images.
    frame = Frame(Axis.of_epochs(one["epoch"] for one in errors), Axis.linear([0.0, highest], (0, 1)))
    plot = Plot.over_epochs(
        frame,
        y_title="calibration error (ECE)",
        areas=[(frame.area([(one["epoch"], 0.0, one["ceiling"]) for one in errors]), "honest")],
        lines=[
            ([(one["epoch"], one["floor"]) for one in errors], "diagonal"),
            ([(one["epoch"], one["error"]) for one in errors], "mean c-overconfidence"),
        ],
    )
    return Figure(
        plot,
        f"Line chart of the calibration error: {first['error']:.3f} after epoch {first['epoch']}, {last['error']:.3f} "
        f"after epoch {last['epoch']}; a calibrated model would stay below about {last['ceiling']:.3f}.",
        "How far apart confidence and the share of right answers are, on average (ECE), after each epoch.",
        (
            ("c-overconfidence", "calibration error"),
            ("dotted", "a calibrated model, on average"),
            ("area", "a calibrated model, 19 times in 20"),
        ),
    )


def _split(facts: Facts, curves: Facts) -> Figure:
    """The loss over the epochs, and the part of it that is not overconfidence: means over the seeds."""
    seeds, verdict = len(facts["per_seed"]), _verdict(facts)
    removed = {"overconfident": "too sure: overconfidence", "underconfident": "not sure enough"}
    what = {"overconfident": "too sure of", "underconfident": "not sure enough of"}.get(
        verdict, "too sure or not sure enough of"
    )
    start, end = (
        {name: curves[name][at]["mean"] for name in ("loss", "refinement", "overconfidence")} for at in (0, -1)
    )
    mean = f" Means of {seeds} seeds." if seeds > 1 else ""
    loss, rest = ([(one["epoch"], one["mean"]) for one in curves[name]] for name in ("loss", "refinement"))
    # Linear however far the loss falls: the two parts add up to it, which a logarithmic axis would hide.
    frame = Frame(Axis.of_epochs(x for x, _ in loss), Axis.linear([y for _, y in (*loss, *rest)], (0, math.inf)))
    plot = Plot.over_epochs(
        frame,
        y_title=_TITLES["loss"],
        areas=[
            (frame.area([(x, low, high) for (x, high), (_, low) in zip(loss, rest, strict=True)]), "c-overconfidence")
        ],
        lines=[(loss, "mean c-validation"), (rest, "mean c-refinement dotted")],
    )
    return Figure(
        plot,
        "Validation loss in two parts; scaling all confidences alike would remove the second. First epoch: "
        f"{nats(start['loss'])} nats, {start['overconfidence']:.3f} of it the second part. Last epoch: "
        f"{nats(end['loss'])} nats, {end['overconfidence']:.3f} of it the second part.",
        f"Loss = what it cannot tell apart (refinement) + what it is {what}.{mean}",
        (
            ("c-validation", "validation loss"),
            ("area c-overconfidence", removed.get(verdict, "too sure or not sure enough")),
            ("dotted c-refinement", "cannot tell: refinement"),
        ),
    )


def _verdict(facts: Facts) -> str:
    """`overconfident`, `underconfident`, or nothing, of the kept weights of the seed that is shown."""
    split = facts["per_seed"][facts["example"]["index"]]["shown"]["calibration"]
    return (split or {}).get("verdict") or ""


def _capital(words: str) -> str:
    """The words as the beginning of a caption."""
    return words[0].upper() + words[1:]


def _shares_plot(
    x_title: str,
    y_title: str,
    *,
    areas: Sequence[tuple[Sequence[tuple[float, float, float]], str]],
    lines: Sequence[tuple[Sequence[Point], str]],
    rules: Sequence[tuple[float, float, float, str]],
    dots: Sequence[tuple[float, float, float, str]],
) -> Plot:
    """One percentage against another, both from 0 to 100; everything in the units of the axes, radii in pixels."""
    whole = Axis(0.0, 100.0, (0.0, 20.0, 40.0, 60.0, 80.0, 100.0))
    frame = Frame(whole, whole)
    x, y = frame.at_x, frame.at_y
    return Plot(
        frame,
        x_ticks=frame.x_ticks("%"),
        y_ticks=frame.y_ticks("%"),
        x_title=x_title,
        y_title=y_title,
        areas=tuple((frame.area(points), kind) for points, kind in areas),
        lines=tuple((frame.path(points), kind) for points, kind in lines),
        rules=tuple((x(place), y(high), y(low), kind) for place, low, high, kind in rules),
        dots=tuple((x(place), y(value), radius, kind) for place, value, radius, kind in dots),
    )
