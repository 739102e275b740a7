"""Plots that the templates draw as SVG: x in percent of the width, y in pixels of a fixed height."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fittingroom.reports.axis import Axis, linear_axis, log_axis, tick_text

HEIGHT, _TOP, _BOTTOM = 260, 10, 40
_LEFT, _RIGHT = 13.0, 97.0  # percent
_LINE, _CHARACTER, _NARROWEST = 14, 6.6, 330  # pixels: of text, and the width that places for names are tried with
_MOST_CHARACTERS = 22
_WIDE_RANGE = 8.0  # beyond this factor an axis of costs, or of losses, has equal distances for equal factors

Point = tuple[float, float]


@dataclass(frozen=True)
class Name:
    """A name in a plot.

    Args:
        x: in percent.
        y: in pixels, of the middle of the text.
        text: it, cut where it is long.
        color: the class of its colour.
        end: whether the text ends at `x`, and does not begin there.
    """

    x: float
    y: float
    text: str
    color: str
    end: bool = False


@dataclass(frozen=True)
class Line:
    """What is drawn of one recipe over the epochs.

    Args:
        name: of the recipe.
        color: the class of its colour; empty for grey.
        mean: epoch and mean over the seeds.
        seeds: the same of each seed.
        dashed: whether the mean is drawn dashed.
    """

    name: str
    color: str
    mean: Sequence[Point]
    seeds: Sequence[Sequence[Point]] = ()
    dashed: bool = False


def line_of(name: str, color: str, seeds: Sequence[Sequence[Point]], *, dashed: bool = False) -> Line | None:
    """The line of some seeds, which are drawn where there are several and it has a colour; None without any number."""
    known = [points for one in seeds if (points := [point for point in one if math.isfinite(point[1])])]
    if not known:
        return None
    values: dict[float, list[float]] = {}
    for epoch, value in (point for one in known for point in one):
        values.setdefault(epoch, []).append(value)
    mean = [(epoch, math.fsum(values[epoch]) / len(values[epoch])) for epoch in sorted(values)]
    return Line(name, color, mean, known if len(known) > 1 and color else (), dashed)


@dataclass(frozen=True)
class Dot:
    """What is drawn of one recipe among others: what it costs and how good it is.

    Args:
        name: of the recipe.
        color: the class of its colour; empty for grey.
        x: what it costs.
        y: how good it is.
        interval: of `y`; None for none.
        front: whether it is on the Pareto front.
        seeds: both of each seed.
        named: whether its name is written beside it, where there is room.
    """

    name: str
    color: str
    x: float
    y: float
    interval: Sequence[float] | None = None
    front: bool = False
    seeds: Sequence[Point] = ()
    named: bool = True


@dataclass(frozen=True)
class Plot:
    """A plot as the template writes it; places as `Name` has them.

    Args:
        x_ticks: place and text.
        y_ticks: the same.
        x_title: what the horizontal axis shows.
        lines: points as SVG has them, and a class.
        dots: place and class.
        rules: vertical lines: x, upper and lower end, and a class.
        names: in the plot.
        beside: names to the right of it.
        log: whether the vertical axis has equal distances for equal factors.
    """

    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_title: str
    lines: tuple[tuple[str, str], ...] = ()
    dots: tuple[tuple[float, float, str], ...] = ()
    rules: tuple[tuple[float, float, float, str], ...] = ()
    names: tuple[Name, ...] = ()
    beside: tuple[Name, ...] = ()
    log: bool = False
    height: int = field(default=HEIGHT)

    @property
    def beside_width(self) -> int:
        """Pixels that the names beside it need."""
        return round(12 + _CHARACTER * 1.1 * max((len(name.text) for name in self.beside), default=0))


def curves(lines: Sequence[Line], unit: str = "", framed: Sequence[Line] = ()) -> Plot:
    """Numbers over the epochs: each recipe's mean, with its seeds behind; grey ones first, so that others lie on top.

    Args:
        lines: at least one, with a finite mean.
        unit: `%` for percentages, whose axis stays within 0 and 100; empty for losses.
        framed: what the axes must have room for, so that several plots have the same; by default the lines.
    """
    every = framed or lines
    values = [y for line in every for points in (line.mean, *line.seeds) for _, y in points]
    x = _epochs([epoch for line in every for epoch, _ in line.mean])
    y = _vertical(values, unit)
    ordered = sorted(lines, key=lambda line: bool(line.color))
    drawn = [
        *((_path(x, y, seed), f"seed {line.color}") for line in ordered for seed in line.seeds),
        *(
            (_path(x, y, line.mean), f"mean {line.color or 'rest'}{' dashed' if line.dashed else ''}")
            for line in ordered
        ),
    ]
    ends = [(line, line.mean[-1]) for line in lines if line.color]
    single = [(_x(x, line.mean[0][0]), _y(y, line.mean[0][1]), line.color) for line in ordered if len(line.mean) == 1]
    return Plot(
        x_ticks=tuple((_x(x, tick), tick_text(tick)) for tick in x.ticks),
        y_ticks=tuple((_y(y, tick), f"{tick_text(tick)}{unit}") for tick in y.ticks),
        x_title="epoch",
        lines=tuple(drawn),
        dots=tuple((one, other, f"alone {color}") for one, other, color in single),
        beside=tuple(_apart([Name(0, _y(y, value), cut(line.name), line.color) for line, (_, value) in ends])),
        log=y.log,
    )


def cost(dots: Sequence[Dot], x_title: str) -> Plot:
    """How good recipes are, in percent, against what they cost; those on the Pareto front are filled.

    Args:
        dots: at least one; those that matter most first: they get their names before others.
        x_title: what it costs, and in what.
    """
    costs = [one for dot in dots for one in (dot.x, *(seed[0] for seed in dot.seeds))]
    wide = min(costs) > 0 and max(costs) / min(costs) > _WIDE_RANGE
    x = log_axis(costs) if wide else linear_axis(costs, (0, math.inf))
    goods = [one for dot in dots for one in (dot.y, *(dot.interval or ()), *(seed[1] for seed in dot.seeds))]
    y = _vertical(goods, "%")
    places = [(_x(x, dot.x), _y(y, dot.y)) for dot in dots]
    rules = [(_x(x, dot.x), _y(y, dot.interval[1]), _y(y, dot.interval[0]), dot.color) for dot in dots if dot.interval]
    seeds = [(_x(x, one), _y(y, other), f"seed {dot.color}") for dot in dots for one, other in dot.seeds]
    means = [
        (*place, f"{'front' if dot.front else 'behind'} {dot.color}") for dot, place in zip(dots, places, strict=True)
    ]
    return Plot(
        x_ticks=tuple((_x(x, tick), _short(tick)) for tick in x.ticks),
        y_ticks=tuple((_y(y, tick), f"{tick_text(tick)}%") for tick in y.ticks),
        x_title=x_title,
        dots=(*seeds, *reversed(means)),
        rules=tuple(rules),
        names=tuple(_placed(dots, places)),
    )


def cut(name: str) -> str:
    """A name that is short enough for a drawing."""
    return name if len(name) <= _MOST_CHARACTERS else f"{name[: _MOST_CHARACTERS - 1]}\u2026"


def _short(tick: float) -> str:
    """A cost as a tick: `20k`, `1.5M`, `0.2`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if tick >= size:
            return f"{tick / size:g}{letter}"
    return tick_text(tick)


def _epochs(epochs: Iterable[float]) -> Axis:
    first, last = min(epochs := list(epochs)), max(epochs)
    if first == last:
        return Axis(first - 1, last + 1, (first,))
    step = max(1, round((last - first) / 6))
    return Axis(first, last, tuple(range(int(first), int(last) + 1, step)))


def _vertical(values: Sequence[float], unit: str) -> Axis:
    if unit:
        return linear_axis(values, (0, 100))
    wide = min(values) > 0 and max(values) / statistics.median(values) > _WIDE_RANGE
    return log_axis(values) if wide else linear_axis(values, (0, math.inf))


def _x(axis: Axis, value: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * axis.share(value), 2)


def _y(axis: Axis, value: float) -> float:
    return round(HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * axis.share(value), 1)


def _path(x: Axis, y: Axis, points: Sequence[Point]) -> str:
    return " ".join(f"{_x(x, one):g},{_y(y, other):g}" for one, other in points)


def _apart(names: Sequence[Name]) -> list[Name]:
    """The names moved up or down, so that none lies on another."""
    ordered = sorted(names, key=lambda name: name.y)
    ys = [name.y for name in ordered]
    for place in range(1, len(ys)):
        ys[place] = max(ys[place], ys[place - 1] + _LINE)
    lowest = HEIGHT - _BOTTOM + _LINE / 2
    for place in reversed(range(len(ys))):
        ys[place] = min(ys[place], lowest)
        lowest = ys[place] - _LINE
    return [Name(name.x, y, name.text, name.color, name.end) for name, y in zip(ordered, ys, strict=True)]


def _placed(dots: Sequence[Dot], places: Sequence[Point]) -> list[Name]:
    """Names beside their dots, or above or below; those that would lie on something are left out."""
    taken = [(x - 2, y - 6, x + 2, y + 6) for x, y in places]
    found = []
    for dot, (x, y) in zip(dots, places, strict=True):
        text = cut(dot.name)
        width = 100 * _CHARACTER * len(text) / _NARROWEST
        tries = [(x + 2.4, y, False), (x - 2.4, y, True)]
        tries += [(x + 2, y + down, False) for down in (-13, 13)] + [(x - 2, y + down, True) for down in (-13, 13)]
        for left, middle, end in tries if dot.named else ():
            box = (left - width if end else left, middle - 7, left if end else left + width, middle + 7)
            if box[0] >= _LEFT and box[2] <= 100 and not any(_meet(box, other) for other in taken):
                taken.append(box)
                found.append(Name(left, middle, text, dot.color, end))
                break
    return found


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
