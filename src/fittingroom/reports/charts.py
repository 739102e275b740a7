"""The charts of a page: drawn by Altair as SVG, each in a wide and in a narrow form.

Colours are the variables of `templates/style.css`, so that a chart follows light, dark and print with the page around
it. The texts in charts are ours and numbers; names of other people stand in the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt
    from markupsafe import Markup

Rows = Sequence[Mapping[str, Any]]

WIDTHS = {"wide": (460, 230), "narrow": (268, 200)}
"""Of the plot itself in pixels, without its axes: width and height."""

_PARTS = ["training", "validation"]
_FEW_EPOCHS = 7
_CONFIG: Mapping[str, Any] = {
    "background": None,
    "font": "inherit",
    "padding": {"left": 2, "right": 12, "top": 6, "bottom": 2},
    "view": {"stroke": None},
    "axis": {
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "gridColor": "var(--grid)",
        "labelColor": "var(--muted)",
        "titleColor": "var(--ink)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
    "axisY": {"minExtent": 40, "domain": False, "ticks": False, "tickCount": 5},
    "axisX": {"grid": False, "tickCount": 7, "tickMinStep": 1},
}


@dataclass(frozen=True)
class Chart:
    """A chart in both forms, as SVG that can stand in the page.

    Args:
        wide: for screens.
        narrow: for phones.
        first: the epoch at the left end of its axis of epochs.
        last: the one at the right end.
    """

    wide: Markup
    narrow: Markup
    first: float = 0
    last: float = 1


def curve_rows(quantity: str, replicas: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Loss or accuracy of training and validation, a row for each epoch, part and replica that has a number.

    Args:
        quantity: `loss` or `accuracy`.
        replicas: of each the rows of its history, with `epoch` counted from 1.
    """
    keys = {"training": quantity, "validation": f"val_{quantity}"}
    return [
        {"epoch": logs["epoch"], "value": logs[key], "part": part, "replica": replica}
        for replica, history in enumerate(replicas)
        for logs in history
        for part, key in keys.items()
        if logs.get(key) is not None
    ]


def curves(
    quantity: str, rows: Rows, marked: tuple[int, int] | None = None, domain: tuple[float, float] | None = None
) -> Chart:
    """Loss or accuracy of training and validation over the epochs: each replica, their mean and their band.

    Args:
        quantity: `loss` or `accuracy`.
        rows: as `curve_rows` gives them, at least one.
        marked: first and last of the epochs to mark, where validation was best.
        domain: lowest and highest value of the axis; by default those of the rows.
    """
    import altair as alt

    replicas = {row["replica"] for row in rows}
    x, first, last = _epochs(alt, [row["epoch"] for row in rows])
    y = alt.Y("value:Q", **_axis(quantity, domain))
    color = alt.Color(
        "part:N", legend=None, scale=alt.Scale(domain=_PARTS, range=["var(--training)", "var(--validation)"])
    )
    dash = alt.StrokeDash("part:N", legend=None, scale=alt.Scale(domain=_PARTS, range=[[6, 3], [1, 0]]))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, color=color)
    layers = [_marked(alt, marked, x)] if marked else []
    if len(replicas) > 1:
        layers += [
            base.mark_area(opacity=0.16).encode(y=alt.Y("min(value):Q", **_axis(quantity, domain)), y2="max(value):Q"),
            base.mark_line(opacity=0.35, strokeWidth=1).encode(y=y, detail="replica:N"),
        ]
    mean = alt.Y("mean(value):Q", **_axis(quantity, domain))
    layers.append(base.mark_line(strokeWidth=2.2).encode(y=mean, strokeDash=dash))
    if first == last:
        layers.append(base.mark_point(filled=True, size=50).encode(y=mean))
    return _drawn(alt.layer(*layers), first, last)


def course(quantity: str, epochs: Sequence[int], values: Sequence[float]) -> Chart:
    """Validation loss or accuracy of one replica, low, for the markers of the slider."""
    import altair as alt

    x, first, last = _epochs(alt, epochs)
    rows = [{"epoch": epoch, "value": value} for epoch, value in zip(epochs, values, strict=True)]
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=alt.Y("value:Q", **_axis(quantity)))
    line = base.mark_line(color="var(--validation)", strokeWidth=2.2, point={"color": "var(--validation)", "size": 14})
    return _drawn(line, first, last, height=0.55)


def reliability(bins: Rows) -> Chart:
    """The share of right answers against the confidence, with what an honest model of as many images would show."""
    import altair as alt

    known = [_bin(one) for one in bins if one["count"]]
    share = alt.Scale(domain=[0, 1], nice=False)
    x = alt.X("confidence:Q", scale=share, axis=alt.Axis(title="confidence", format="%", tickCount=5))
    base = alt.Chart(alt.Data(values=known)).encode(x=x)
    y_axis = alt.Axis(title="share right", format="%")
    diagonal = (
        alt.Chart(alt.Data(values=[{"confidence": 0, "y": 0}, {"confidence": 1, "y": 1}]))
        .mark_line(color="var(--muted)", strokeDash=[3, 3], strokeWidth=1)
        .encode(x=x, y=alt.Y("y:Q", scale=share, axis=y_axis))
    )
    noise = base.mark_area(color="var(--muted)", opacity=0.22).encode(
        y=alt.Y("honest_low:Q", scale=share, axis=y_axis), y2="honest_high:Q"
    )
    spread = base.mark_rule(color="var(--validation)").encode(y=alt.Y("low:Q", scale=share, axis=y_axis), y2="high:Q")
    points = base.mark_point(filled=True, color="var(--validation)", opacity=1).encode(
        y=alt.Y("accuracy:Q", scale=share, axis=y_axis),
        size=alt.Size("count:Q", legend=None, scale=alt.Scale(range=[20, 160])),
    )
    return _drawn(alt.layer(noise, diagonal, spread, points))


def _bin(one: Mapping[str, Any]) -> dict[str, float]:
    """A bin as the diagram draws it; `honest_*` is where 95% of honest models lie, with the normal approximation."""
    center, count = one["confidence"], one["count"]
    noise = 1.96 * (center * (1 - center) / count) ** 0.5
    return {
        "confidence": center,
        "accuracy": one["accuracy"],
        "count": count,
        "low": one["interval"][0],
        "high": one["interval"][1],
        "honest_low": max(center - noise, 0.0),
        "honest_high": min(center + noise, 1.0),
    }


def split(facts: Mapping[str, Rows]) -> Chart:
    """The loss over the epochs, and the part of it that is no overconfidence: means over the replicas."""
    import altair as alt

    x, first, last = _epochs(alt, [one["epoch"] for one in facts["loss"]])
    rows = [
        {"epoch": loss["epoch"], "loss": loss["mean"], "refinement": rest["mean"]}
        for loss, rest in zip(facts["loss"], facts["refinement"], strict=True)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    loss, rest = alt.Y("loss:Q", **_axis("loss")), alt.Y("refinement:Q", **_axis("loss"))
    return _drawn(
        alt.layer(
            base.mark_area(color="var(--overconfidence)", opacity=0.35).encode(y=rest, y2="loss:Q"),
            base.mark_line(color="var(--validation)", strokeWidth=2.2, point=first == last).encode(y=loss),
            base.mark_line(color="var(--refinement)", strokeWidth=2.2, strokeDash=[2, 2]).encode(y=rest),
        ),
        first,
        last,
    )


def calibration_errors(errors: Rows) -> Chart:
    """The calibration error over the epochs, and what honest models stay below."""
    import altair as alt

    x, first, last = _epochs(alt, [one["epoch"] for one in errors])
    base = alt.Chart(alt.Data(values=list(errors))).encode(x=x)
    axis: dict[str, Any] = {"axis": alt.Axis(title="calibration error"), "scale": alt.Scale(zero=True)}
    return _drawn(
        alt.layer(
            base.mark_area(color="var(--muted)", opacity=0.22).encode(y=alt.Y("ceiling:Q", **axis)),
            base.mark_line(color="var(--muted)", strokeDash=[3, 3], strokeWidth=1).encode(y=alt.Y("floor:Q", **axis)),
            base.mark_line(color="var(--overconfidence)", strokeWidth=2.2, point=first == last).encode(
                y=alt.Y("error:Q", **axis)
            ),
        ),
        first,
        last,
    )


def probabilities_frame(epochs: Sequence[int]) -> Chart:
    """The empty axes of one image's probabilities, in which the page draws lines."""
    import altair as alt

    x, first, last = _epochs(alt, epochs)
    axis = alt.Axis(title="probability", format="%")
    frame = alt.Chart(alt.Data(values=[{"epoch": first, "y": 0}])).mark_point(opacity=0)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=axis)
    return _drawn(frame.encode(x=x, y=y), first, last, height=0.8)


def differences(values: Rows, quantity: str) -> Chart:
    """The difference of each pair of runs with its interval, numbered from 1; 0 is no difference."""
    import altair as alt

    rows = [{**one, "pair": one["pair"]} for one in values]
    title = "difference in accuracy (points)" if quantity == "accuracy" else "difference in loss (nats)"
    base = alt.Chart(alt.Data(values=rows)).encode(y=alt.Y("pair:N", axis=alt.Axis(title=None), sort=None))
    x: dict[str, Any] = {"axis": alt.Axis(title=title, tickMinStep=0, tickCount=4), "scale": alt.Scale(zero=True)}
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color="var(--muted)", strokeDash=[3, 3])
    return _drawn(
        alt.layer(
            zero.encode(x=alt.X("zero:Q", **x)),
            base.mark_rule(color="var(--ink)", strokeWidth=2).encode(x=alt.X("low:Q", **x), x2="high:Q"),
            base.mark_point(filled=True, color="var(--ink)", opacity=1, size=70).encode(x=alt.X("value:Q", **x)),
        ),
        height=min(0.2 + 0.12 * len(rows), 3.0),
    )


def _epochs(alt: Any, epochs: Sequence[int]) -> tuple[alt.X, int, int]:
    """The axis of epochs, its first and its last."""
    first, last = min(epochs), max(epochs)
    domain = [first, last] if last > first else [first - 1, first + 1]
    few = last - first < _FEW_EPOCHS  # ticks between whole epochs would be named after them
    axis = alt.Axis(title="epoch", format="d", values=list(range(first, last + 1)) if few else alt.Undefined)
    return alt.X("epoch:Q", scale=alt.Scale(domain=domain, nice=False), axis=axis), first, last


def _axis(quantity: str, domain: tuple[float, float] | None = None) -> dict[str, Any]:
    import altair as alt

    title = "loss (nats)" if quantity == "loss" else "accuracy (share right)"
    form = alt.Undefined if quantity == "loss" else "%"
    return {
        "axis": alt.Axis(title=title, format=form),
        "scale": alt.Scale(zero=False, domain=alt.Undefined if domain is None else list(domain)),
    }


def _marked(alt: Any, marked: tuple[int, int], x: Any) -> Any:
    """A grey range of epochs, or a line for a single one."""
    rows = alt.Chart(alt.Data(values=[{"epoch": marked[0], "until": marked[1]}]))
    if marked[0] == marked[1]:
        return rows.mark_rule(color="var(--muted)", strokeDash=[3, 3]).encode(x=x)
    return rows.mark_rect(color="var(--muted)", opacity=0.18).encode(x=x, x2="until:Q")


def _drawn(chart: Any, first: float = 0, last: float = 1, height: float = 1.0) -> Chart:
    """The chart as SVG in both forms; `height` relative to the usual one."""
    import vl_convert
    from markupsafe import Markup

    found = {}
    for name, (width, high) in WIDTHS.items():
        sized = chart.properties(width=width, height=round(high * height))
        found[name] = Markup(vl_convert.vegalite_to_svg({**sized.to_dict(), "config": dict(_CONFIG)}))
    return Chart(found["wide"], found["narrow"], first, last)
