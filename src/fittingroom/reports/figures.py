"""The figures of a page: each chart with what it says in words for those who do not see it, a caption and a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fittingroom.reports import charts
from fittingroom.reports.charts import Chart
from fittingroom.reports.document import epochs
from fittingroom.reports.sentences import nats, percent

Facts = Mapping[str, Any]

_PARTS = (("training dashed", "training"), ("validation", "validation"))
_QUANTITIES = ("loss", "accuracy")


@dataclass(frozen=True)
class Figure:
    """A chart and what belongs to it.

    Args:
        chart: as it is drawn.
        alt: what it shows, in words with its main figures.
        caption: what to see in it.
        legend: for each mark its class in `templates/style.css` and what it stands for.
    """

    chart: Chart
    alt: str
    caption: str
    legend: tuple[tuple[str, str], ...] = ()


def curves(facts: Facts, domains: Mapping[str, tuple[float, float]] | None = None) -> dict[str, Figure]:
    """Loss and accuracy over the epochs, of those that the histories have.

    Args:
        facts: of a run.
        domains: lowest and highest value of the axis of each, where several runs are to be compared.
    """
    histories = [replica["history"] for replica in facts["replicas"]]
    found = {}
    for quantity in _QUANTITIES:
        rows = charts.curve_rows(quantity, histories)
        if not rows:
            continue
        best = facts["stopping"][f"{quantity}_epochs"]
        marked = (best["low"], best["high"]) if any(row["part"] == "validation" for row in rows) else None
        chart = charts.curves(quantity, rows, marked, None if domains is None else domains[quantity])
        found[quantity] = Figure(
            chart,
            _curve_alt(facts, quantity),
            _curve_caption(quantity, marked),
            _curve_legend(facts, rows, marked),
        )
    return found


def curve_domains(runs: Sequence[Facts]) -> dict[str, tuple[float, float]]:
    """The lowest and the highest value of each quantity in all of several runs."""
    found = {}
    for quantity in _QUANTITIES:
        values = [
            row["value"]
            for facts in runs
            for row in charts.curve_rows(quantity, [replica["history"] for replica in facts["replicas"]])
        ]
        found[quantity] = (min(values, default=0.0), max(values, default=1.0))
    return found


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
    several = len(facts["replicas"])
    return " ".join([f"Line chart of {quantity}{f', means of {several} replicas' if several > 1 else ''}.", *parts])


def _value(quantity: str, value: float) -> str:
    return f"{nats(value)} nats" if quantity == "loss" else percent(value)


def _curve_caption(quantity: str, marked: tuple[int, int] | None) -> str:
    if marked is None:
        return ""
    best = "lowest" if quantity == "loss" else "highest"
    seeds = ", depending on the seed" if marked[0] != marked[1] else ""
    return f"Validation {quantity} was {best} after {epochs(*marked)}{seeds}."


def _curve_legend(facts: Facts, rows: charts.Rows, marked: tuple[int, int] | None) -> tuple[tuple[str, str], ...]:
    shown = {row["part"] for row in rows}
    several = len(facts["replicas"]) > 1
    return (
        *(part for part in _PARTS if part[1] in shown),
        *((("replicas", f"{len(facts['replicas'])} replicas, and their band"),) if several else ()),
        *((("best", "best for validation"),) if marked else ()),
    )


def courses(facts: Facts) -> dict[str, Figure]:
    """Validation loss and accuracy of the replica that is shown image by image, for the slider."""
    replica = facts["replicas"][facts["example"]["index"]]
    found = {}
    for quantity in _QUANTITIES:
        values = replica[f"validation_{quantity}"]
        chart = charts.course(quantity, replica["validated_epochs"], values)
        found[quantity] = Figure(
            chart,
            f"Validation {quantity} of seed {replica['seed']} over the epochs, from {_value(quantity, values[0])} to "
            f"{_value(quantity, values[-1])}; two lines mark the epochs that are compared.",
            "",
        )
    return found


def confidence(facts: Facts) -> dict[str, Figure]:
    """The reliability diagram, the split of the loss, and the calibration error; none where confidences are unknown."""
    found: dict[str, Figure] = {}
    if (diagram := facts["reliability"]) is not None:
        found["reliability"] = _reliability(diagram)
        found["errors"] = _errors(diagram)
    if (curves := facts["calibration_curves"]) is not None:
        found["split"] = _split(facts, curves)
    return found


def _reliability(diagram: Facts) -> Figure:
    known = [one for one in diagram["bins"] if one["count"]]
    told = "; ".join(f"{percent(one['confidence'])} sure, {percent(one['accuracy'])} right" for one in known)
    return Figure(
        charts.reliability(diagram["bins"]),
        f"Reliability diagram {diagram['as']}, from the least confident predictions: {told}.",
        f"{_capital(diagram['as'])}: calibration error {diagram['error']:.3f}. An honest model would show about "
        f"{diagram['floor']:.3f} on as many images, and seldom more than {diagram['ceiling']:.3f}. Points below the "
        "diagonal are too sure; larger points hold more images.",
        (("validation", "share right, with 95% interval"), ("honest", "where an honest model lies")),
    )


def _errors(diagram: Facts) -> Figure:
    errors = diagram["errors"]
    first, last = errors[0], errors[-1]
    return Figure(
        charts.calibration_errors(errors),
        f"Line chart of the calibration error: {first['error']:.3f} after epoch {first['epoch']}, {last['error']:.3f} "
        f"after epoch {last['epoch']}; an honest model would stay below about {last['ceiling']:.3f}.",
        "How far confidence and share of right answers are apart, on average (ECE), after each epoch.",
        (("overconfidence", "calibration error"), ("honest", "an honest model, 19 times of 20")),
    )


def _split(facts: Facts, curves: Facts) -> Figure:
    replicas, verdict = len(facts["replicas"]), _verdict(facts)
    removed = {"overconfident": "too sure: overconfidence", "underconfident": "not sure enough"}
    what = {"overconfident": "too sure of", "underconfident": "not sure enough of"}.get(
        verdict, "too sure or not sure enough of"
    )
    start, end = (
        {name: curves[name][at]["mean"] for name in ("loss", "refinement", "overconfidence")} for at in (0, -1)
    )
    mean = f" Means of {replicas} replicas." if replicas > 1 else ""
    return Figure(
        charts.split(curves),
        "Validation loss in two parts; scaling all confidences alike would remove the second. First epoch: "
        f"{nats(start['loss'])} nats, {start['overconfidence']:.3f} of it the second part. Last epoch: "
        f"{nats(end['loss'])} nats, {end['overconfidence']:.3f} of it the second part.",
        f"Loss = what it cannot tell apart (refinement) + what it is {what}.{mean}",
        (
            ("validation", "validation loss"),
            ("overconfidence", removed.get(verdict, "too sure, or not sure enough")),
            ("refinement", "cannot tell: refinement"),
        ),
    )


def _verdict(facts: Facts) -> str:
    """`overconfident`, `underconfident`, or nothing, of the kept weights of the replica that is shown."""
    split = facts["replicas"][facts["example"]["index"]]["shown"]["calibration"]
    return (split or {}).get("verdict") or ""


def _capital(words: str) -> str:
    """The words as the beginning of a caption."""
    return words[0].upper() + words[1:]


def frame(facts: Facts) -> Chart:
    """The axes for the probabilities of one image."""
    return charts.probabilities_frame(facts["replicas"][facts["example"]["index"]]["validated_epochs"])


def differences(pairs: Sequence[Facts], quantity: str) -> Figure | None:
    """What each pair of runs differs by; None where no pair has the quantity."""
    factor = 100 if quantity == "accuracy" else 1
    rows = [
        {
            "pair": str(number),
            "value": factor * pair[quantity]["difference"],
            "low": factor * pair[quantity]["interval"][0],
            "high": factor * pair[quantity]["interval"][1],
        }
        for number, pair in enumerate(pairs, 1)
        if pair[quantity] is not None
    ]
    if not rows:
        return None
    told = "; ".join(
        f"pair {row['pair']}: {row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})" for row in rows
    )
    unit = "percentage points" if quantity == "accuracy" else "nats"
    return Figure(
        charts.differences(rows, quantity),
        f"Difference in {quantity} of each pair with its 95% interval, in {unit}: {told}.",
        "The first run less the second, with 95% intervals. An interval that holds 0 shows no difference by itself.",
    )
