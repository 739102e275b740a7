"""Plots of points: what a recipe costs and how good it is, and one share against another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fittingroom.reports.drawing.axes import Axis
from fittingroom.reports.drawing.plots import CHARACTER, LEFT, Frame, Name, Plot, Point, cut

_WIDE_RANGE = 8.0  # beyond this factor an axis of costs has equal distances for equal factors
_NARROWEST = 330  # pixels: the width that places for names are tried with
_NEAR = 6  # pixels: by so much another dot may be nearer to a name than its own


@dataclass(frozen=True)
class Dot:
    """What is drawn of one recipe among others: what it costs and how good it is.

    Args:
        name: the recipe's short name.
        color: the class of its colour; empty for grey.
        x: what it costs.
        y: how good it is.
        interval: the two ends of the interval of `y`; None for none.
        front: whether it is on the Pareto front.
        seeds: cost and quality of each seed.
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


def cost(dots: Sequence[Dot], x_title: str) -> Plot:
    """How good recipes are, in percent, against what they cost; those on the Pareto front are filled.

    Args:
        dots: at least one; those that matter most first: they get their names before others.
        x_title: what it costs, and in what.
    """
    costs = [one for dot in dots for one in (dot.x, *(seed[0] for seed in dot.seeds))]
    wide = min(costs) > 0 and max(costs) / min(costs) > _WIDE_RANGE
    goods = [one for dot in dots for one in (dot.y, *(dot.interval or ()), *(seed[1] for seed in dot.seeds))]
    frame = Frame(Axis.logarithmic(costs) if wide else Axis.linear(costs, (0, math.inf)), Axis.of_values(goods, "%"))
    x, y = frame.at_x, frame.at_y
    rules = [(x(dot.x), y(dot.interval[1]), y(dot.interval[0]), dot.color) for dot in dots if dot.interval]
    seeds = [(x(one), y(other), 2.6, f"seed {dot.color}") for dot in dots for one, other in dot.seeds]
    means = [(x(dot.x), y(dot.y), 5.5, f"{'front' if dot.front else 'behind'} {dot.color}") for dot in dots]
    return Plot(
        frame,
        x_ticks=tuple(zip(map(x, frame.x.ticks), _short(frame.x), strict=True)),
        y_ticks=frame.y_ticks("%"),
        x_title=x_title,
        y_title="accuracy (share right)",
        dots=(*seeds, *reversed(means)),
        rules=tuple(rules),
        names=tuple(_placed(frame, dots)),
    )


def _short(axis: Axis) -> list[str]:
    """The ticks of costs: `20k`, `1.5M`, `0.2`."""
    units = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
    long = axis.tick_texts()
    return [
        next((f"{tick / size:g}{letter}" for size, letter in units if tick >= size), text)
        for tick, text in zip(axis.ticks, long, strict=True)
    ]


def _placed(frame: Frame, dots: Sequence[Dot]) -> list[Name]:
    """Names beside their dots, or above or below; one that would lie on a dot, a seed, an interval is left out."""
    places = [(frame.at_x(dot.x), frame.at_y(dot.y)) for dot in dots]
    taken = [(x - 2, y - 6, x + 2, y + 6) for x, y in places]
    for dot, (x, _) in zip(dots, places, strict=True):
        seeds = [(frame.at_x(one), frame.at_y(other)) for one, other in dot.seeds]
        taken += [(one - 0.9, other - 3, one + 0.9, other + 3) for one, other in seeds]
        if dot.interval:
            taken.append((x - 0.4, frame.at_y(dot.interval[1]), x + 0.4, frame.at_y(dot.interval[0])))
    # Right of the dot reads best, then left of it; farther places only where both are taken.
    found = []
    for dot, (x, y) in zip(dots, places, strict=True):
        text = cut(dot.name)
        width = 100 * CHARACTER * len(text) / _NARROWEST
        far = [(x + 2, y + down, False) for down in (-13, 13, -26, 26)]
        far += [(x - 2, y + down, True) for down in (-13, 13, -26, 26)]
        tries = [(x + 2.4, y, False), (x - 2.4, y, True), *far]
        for left, middle, end in tries if dot.named else ():
            box = (left - width if end else left, middle - 7, left if end else left + width, middle + 7)
            inside = box[0] >= LEFT and box[2] <= 100 and frame.top - 14 <= box[1] and box[3] <= frame.bottom
            # A name that is nearer to another dot would be read as that one's.
            own = _gap(box, (x, y)) <= min(_gap(box, place) for place in places) + _NEAR
            if inside and own and not any(_meet(box, other) for other in taken):
                taken.append(box)
                found.append(Name(left, middle, text, dot.color, end))
                break
    return found


def _gap(box: tuple[float, float, float, float], place: Point) -> float:
    """Pixels between a box and a point, at the narrowest width."""
    across = max(box[0] - place[0], place[0] - box[2], 0.0) * _NARROWEST / 100
    return math.hypot(across, max(box[1] - place[1], place[1] - box[3], 0.0))


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
