"""Plots that the templates draw as SVG: x in percent of the width, y in pixels of a fixed height.

So one drawing fits every screen and stands in line with its neighbours; it takes milliseconds and no other package.
Colours are classes, which the style of the page, or of a notebook's card, fills in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fittingroom.reports.drawing.axes import Axis

# On a phone 13% are 44 pixels: room for `0.005` in 12-pixel digits. In pixels the plot could not stretch with the page.
LEFT, RIGHT = 13.0, 97.0
"""Where the axes of a plot begin and end, in percent of its width."""

HEIGHT = 270
"""Of a plot in pixels, unless it says another."""

_TOP, _BOTTOM = 28, 40  # pixels, for the title of the vertical axis and for all of the horizontal one
CHARACTER = 6.6
"""Pixels that a character of a name needs, about."""

_LINE = 14  # pixels, of text
_MOST_CHARACTERS = 22


Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """The axes of a plot, and where a value lies between them.

    Args:
        x: the horizontal axis.
        y: the vertical axis.
        height: pixels of the whole plot, ticks and titles included.
    """

    x: Axis
    y: Axis
    height: int = HEIGHT

    @property
    def top(self) -> int:
        """The pixel of the upper end of the vertical axis, counted from above."""
        return _TOP

    @property
    def bottom(self) -> int:
        """The pixel of its lower end."""
        return self.height - _BOTTOM

    def at_x(self, value: float) -> float:
        """Where a value lies along the width, in percent."""
        return round(LEFT + (RIGHT - LEFT) * self.x.share(value), 2)

    def at_y(self, value: float) -> float:
        """Where a value lies from above, in pixels."""
        return round(self.bottom - (self.bottom - self.top) * self.y.share(value), 1)

    def x_ticks(self, unit: str = "") -> tuple[tuple[float, str], ...]:
        """Place and text of each tick of the horizontal axis, with the unit behind."""
        return tuple(zip(map(self.at_x, self.x.ticks), self.x.tick_texts(unit), strict=True))

    def y_ticks(self, unit: str = "") -> tuple[tuple[float, str], ...]:
        """The same of the vertical axis."""
        return tuple(zip(map(self.at_y, self.y.ticks), self.y.tick_texts(unit), strict=True))

    def path(self, points: Iterable[Point]) -> str:
        """A line through points, as SVG has it."""
        return " ".join(f"{self.at_x(x):g},{self.at_y(y):g}" for x, y in points)

    def area(self, points: Sequence[tuple[float, float, float]]) -> str:
        """The area between the lower and the upper value at each x, as SVG has it."""
        lower = [(x, low) for x, low, _ in points]
        return self.path([*lower, *((x, high) for x, _, high in reversed(points))])


@dataclass(frozen=True)
class Name:
    """A name in a plot.

    Args:
        x: in percent.
        y: in pixels, of the middle of the text.
        text: the name, cut where it is long.
        color: the class of its colour.
        end: whether the text ends at `x`, and does not begin there.
    """

    x: float
    y: float
    text: str
    color: str
    end: bool = False


@dataclass(frozen=True)
class Plot:
    """A plot as the template writes it: x in percent, y in pixels.

    Args:
        frame: its axes.
        x_ticks: place and text of each tick of the horizontal axis.
        y_ticks: the same of the vertical axis.
        x_title: what the horizontal axis shows, and in what.
        y_title: what the vertical axis shows, and in what; empty where the heading says it.
        areas: points as SVG has them, and a class.
        lines: the same, above the areas.
        rules: vertical lines: x, upper and lower end, and a class.
        dots: place, radius in pixels, and class.
        names: names within the plot.
        beside: names to the right of it.
    """

    frame: Frame
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_title: str
    y_title: str = ""
    areas: tuple[tuple[str, str], ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    rules: tuple[tuple[float, float, float, str], ...] = ()
    dots: tuple[tuple[float, float, float, str], ...] = ()
    names: tuple[Name, ...] = ()
    beside: tuple[Name, ...] = ()

    @classmethod
    def over_epochs(
        cls,
        frame: Frame,
        unit: str = "",
        y_title: str = "",
        *,
        areas: Sequence[tuple[str, str]] = (),
        lines: Sequence[tuple[Sequence[Point], str]] = (),
        rules: Sequence[tuple[float, float, float, str]] = (),
        beside: Sequence[Name] = (),
    ) -> Plot:
        """A plot over epochs. A line of a single epoch is drawn as a dot.

        Args:
            frame: its axes.
            unit: what is written behind the ticks of the vertical axis.
            y_title: what that axis shows.
            areas: as the plot has them.
            lines: the points of each in the units of the axes, and a class.
            rules: as the plot has them.
            beside: names to the right of the plot.
        """
        single = [(*points[0], kind) for points, kind in lines if len(points) == 1]
        return cls(
            frame,
            x_ticks=frame.x_ticks(),
            y_ticks=frame.y_ticks(unit),
            x_title="epoch",
            y_title=f"{y_title}, logarithmic" if y_title and frame.y.log else y_title,
            areas=tuple(areas),
            lines=tuple((frame.path(points), kind) for points, kind in lines),
            rules=tuple(rules),
            dots=tuple((frame.at_x(x), frame.at_y(y), 4.5, f"alone {kind}") for x, y, kind in single),
            beside=tuple(beside),
        )

    @classmethod
    def of_lines(
        cls,
        lines: Sequence[Line],
        unit: str = "",
        framed: Sequence[Line] = (),
        *,
        y_title: str = "",
        named: bool = True,
        banded: bool = False,
        marked: tuple[float, float] | None = None,
    ) -> Plot:
        """Numbers over the epochs: each mean, with its seeds behind; grey ones first, so that others lie on top.

        Args:
            lines: at least one, with a finite mean.
            unit: `%` for percentages, whose axis stays within 0 and 100; empty for losses.
            framed: what the axes must have room for, so that several plots have the same; by default the lines.
            y_title: what the vertical axis shows.
            named: whether the names of the lines stand beside the plot, where they end.
            banded: whether the seeds of a line get a band from the lowest to the highest.
            marked: first and last of the epochs to mark.
        """
        every = framed or lines
        values = [y for line in every for points in (line.mean, *line.seeds) for _, y in points]
        frame = Frame(Axis.of_epochs([epoch for line in every for epoch, _ in line.mean]), Axis.of_values(values, unit))
        ordered = sorted(lines, key=lambda line: bool(line.color))  # what is drawn later lies on top
        bands = [(frame.area(_band(line.seeds)), f"band {line.color}") for line in ordered if banded and line.seeds]
        marks, rules = _marks(frame, marked)
        means = [(line.mean, f"mean {line.color or 'rest'}{' dashed' if line.dashed else ''}") for line in ordered]
        ends = [(line, line.mean[-1][1]) for line in lines if named and line.color]
        names = [Name(0, frame.at_y(value), cut(line.name), line.color) for line, value in ends]
        return cls.over_epochs(
            frame,
            unit,
            y_title,
            areas=(*marks, *bands),
            lines=(*((seed, f"seed {line.color}") for line in ordered for seed in line.seeds if len(seed) > 1), *means),
            rules=rules,
            beside=_apart(names, frame.bottom),
        )

    @property
    def log(self) -> bool:
        """Whether the vertical axis has equal distances for equal factors."""
        return self.frame.y.log

    @property
    def left(self) -> float:
        """Where the horizontal axis begins, in percent of the width."""
        return LEFT

    @property
    def right(self) -> float:
        """Where it ends."""
        return RIGHT

    @property
    def beside_width(self) -> int:
        """Pixels that the names beside it need."""
        return round(12 + CHARACTER * 1.1 * max((len(name.text) for name in self.beside), default=0))


@dataclass(frozen=True)
class Line:
    """What is drawn over the epochs of a recipe, or of a part of its data.

    Args:
        name: the recipe, or the part of the data.
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

    @classmethod
    def of(cls, name: str, color: str, seeds: Sequence[Sequence[Point]], *, dashed: bool = False) -> Line | None:
        """The line of some seeds, each drawn too if there are several and it has a colour; None without numbers."""
        known = [points for one in seeds if (points := [point for point in one if math.isfinite(point[1])])]
        if not known:
            return None
        values = _by_epoch(known)
        mean = [(epoch, math.fsum(values[epoch]) / len(values[epoch])) for epoch in sorted(values)]
        return Line(name, color, mean, known if len(known) > 1 and color else (), dashed)


def _marks(
    frame: Frame, marked: tuple[float, float] | None
) -> tuple[list[tuple[str, str]], list[tuple[float, float, float, str]]]:
    """Epochs as a grey area, or a single one as a dashed line."""
    if marked is None:
        return [], []
    first, last = marked
    if first == last:
        return [], [(frame.at_x(first), frame.top, frame.bottom, "best")]
    ends = frame.y.low, frame.y.high
    return [(frame.area([(first, *ends), (last, *ends)]), "best")], []


def cut(name: str) -> str:
    """A name that is short enough for a drawing."""
    return name if len(name) <= _MOST_CHARACTERS else f"{name[: _MOST_CHARACTERS - 1]}\u2026"


def _by_epoch(seeds: Sequence[Sequence[Point]]) -> dict[float, list[float]]:
    values: dict[float, list[float]] = {}
    for epoch, value in (point for points in seeds for point in points):
        values.setdefault(epoch, []).append(value)
    return values


def _band(seeds: Sequence[Sequence[Point]]) -> list[tuple[float, float, float]]:
    values = _by_epoch(seeds)
    return [(epoch, min(values[epoch]), max(values[epoch])) for epoch in sorted(values)]


def _apart(names: Sequence[Name], bottom: float) -> list[Name]:
    """The names moved up or down, so that none lies on another."""
    ordered = sorted(names, key=lambda name: name.y)
    ys = [name.y for name in ordered]
    for place in range(1, len(ys)):
        ys[place] = max(ys[place], ys[place - 1] + _LINE)
    lowest = bottom + _LINE / 2
    for place in reversed(range(len(ys))):
        ys[place] = min(ys[place], lowest)
        lowest = ys[place] - _LINE
    return [Name(name.x, y, name.text, name.color, name.end) for name, y in zip(ordered, ys, strict=True)]
