"""The curves of a training that has not ended: they reach into the running epoch, and their axes only widen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fittingroom.reports.drawing.figures import Figure
from fittingroom.reports.drawing.plots import Line, Name, Plot, Point
from fittingroom.text import nats, number, percent

_QUANTITIES = {"loss": "loss (nats)", "accuracy": "accuracy (share right)"}
_FEW_EPOCHS = 10  # so many have their place from the start
_ROUND = (1, 2, 5)
_APART = 14.0  # pixels, of the values at the ends of two lines
_NEAR_THE_EDGE = 84.0  # percent: a value that stands behind this would leave the plot

Logs = Mapping[str, float]


@dataclass(frozen=True)
class GrowingSeed:
    """The numbers of one seed so far.

    Args:
        rows: number of epochs done, from 1 -> the numbers of the last of them.
        points: of the running epoch: epochs done, as in 2.25, and the numbers so far.
        reach: name of a number -> its lowest and its highest value so far, of what has been drawn.
    """

    rows: Mapping[int, Logs]
    points: Sequence[tuple[float, Logs]] = ()
    reach: Mapping[str, tuple[float, float]] | None = None

    def line(self, name: str, factor: float) -> list[Point]:
        """The points of a number, as far as it is known and finite."""
        every = [*sorted(self.rows.items()), *self.points]
        found = [(float(epoch), factor * logs[name]) for epoch, logs in every if name in logs]
        return [point for point in found if math.isfinite(point[1])]


def growing_figures(
    seeds: Sequence[GrowingSeed], epochs: int, earlier: Sequence[GrowingSeed] = (), earlier_name: str = ""
) -> dict[str, Figure]:
    """Loss and accuracy over the epochs, of those that there are.

    Training is dashed, validation solid, each with its last value at the end of its line. Several seeds have a band and
    their mean. An earlier run lies behind, thin and grey.

    Args:
        seeds: of the training.
        epochs: that it trains to.
        earlier: the seeds of an earlier run; none for no such run.
        earlier_name: what it is called.
    """
    found = {}
    for quantity in _QUANTITIES:
        if lines := _lines(quantity, seeds):
            found[quantity] = _figure(quantity, lines, seeds, epochs, earlier, earlier_name)
    return found


def _lines(quantity: str, seeds: Sequence[GrowingSeed], *, grey: bool = False) -> list[Line]:
    factor = _factor(quantity)
    each = (
        Line.of(
            part, "" if grey else f"c-{part}", [seed.line(key, factor) for seed in seeds], dashed=part == "training"
        )
        for part, key in (("training", quantity), ("validation", f"val_{quantity}"))
    )
    return [line if len(seeds) == 1 else _with_common_mean(line) for line in each if line is not None]


def _with_common_mean(line: Line) -> Line:
    """The mean only as far as all seeds have got: beyond, it would jump with each that comes."""
    if not line.seeds:
        return line
    least = min(seed[-1][0] for seed in line.seeds)
    whole = [point for point in line.mean if point[0] <= least and point[0] % 1 == 0]
    return replace(line, mean=whole or line.mean[:1])


def _figure(
    quantity: str,
    lines: Sequence[Line],
    seeds: Sequence[GrowingSeed],
    epochs: int,
    earlier: Sequence[GrowingSeed],
    earlier_name: str,
) -> Figure:
    grey = _lines(quantity, earlier, grey=True) if earlier else []
    unit = "%" if quantity == "accuracy" else ""
    framed = Line("", "", list(_corners(quantity, [*lines, *grey], seeds, epochs)))
    plot = Plot.of_lines(
        [*lines, *grey], unit, [framed], y_title=_QUANTITIES[quantity], named=False, banded=len(seeds) > 1
    )
    ends = _ends(plot, quantity, lines)
    legend = [(f"{'dashed ' if line.dashed else ''}{line.color}", line.name) for line in lines]
    if len(seeds) > 1:
        legend.append((f"band {lines[-1].color}", f"{len(seeds)} seeds and their band"))
    if grey:
        legend.append(("rest-line", earlier_name))
    return Figure(replace(plot, names=tuple(ends)), _alt(quantity, lines), legend=tuple(legend))


def _corners(
    quantity: str, lines: Sequence[Line], seeds: Sequence[GrowingSeed], epochs: int
) -> Iterator[tuple[float, float]]:
    """Points that the axes must hold, so that nothing that has been drawn moves when more comes."""
    factor, last = _factor(quantity), max(line.mean[-1][0] for line in lines)
    values = [y for line in lines for points in (line.mean, *line.seeds) for _, y in points]
    for seed in seeds:
        for name in (quantity, f"val_{quantity}"):
            values += [factor * value for value in (seed.reach or {}).get(name, ()) if math.isfinite(value)]
    last = max(last, *(points[-1][0] for line in lines for points in line.seeds if points), 1.0)
    yield 0.0, min(values)
    yield float(_room_for(last, epochs)), max(values)


def _room_for(done: float, epochs: int) -> int:
    """How many epochs the axis has: all of a few; of many the next round number."""
    if epochs <= _FEW_EPOCHS:
        return max(epochs, math.ceil(done), 1)
    power = 1
    while True:
        for factor in _ROUND:
            if (room := factor * power) >= max(done, _FEW_EPOCHS):
                return max(min(room, epochs), math.ceil(done))
        power *= 10


def _ends(plot: Plot, quantity: str, lines: Sequence[Line]) -> Iterator[Name]:
    """The last value of each line where it ends, moved apart where they would touch."""
    frame = plot.frame
    ends = ((frame.at_x(x), frame.at_y(y), y, line) for line in lines for x, y in [line.mean[-1]])
    ordered = sorted(ends, key=lambda end: end[1])
    # Beside the end there is room for a value; at the edge of the plot it stands above, and the lower one below.
    places = [
        at_y + (0 if at_x <= _NEAR_THE_EDGE else -11 if number_above == 0 else 13)
        for number_above, (at_x, at_y, _, _) in enumerate(ordered)
    ]
    for place in range(1, len(places)):
        places[place] = max(places[place], places[place - 1] + _APART)
    lowest = frame.bottom - 6.0
    for place in reversed(range(len(places))):
        places[place] = min(places[place], lowest)
        lowest = places[place] - _APART
    for (at_x, _, value, line), at_y in zip(ordered, places, strict=True):
        near = at_x > _NEAR_THE_EDGE
        text = f"{number(value, 1)}%" if quantity == "accuracy" else nats(value)
        yield Name(round(at_x if near else at_x + 1.2, 2), round(at_y, 1), text, line.color, end=near)


def _alt(quantity: str, lines: Sequence[Line]) -> str:
    def written(value: float) -> str:
        return percent(value / 100) if quantity == "accuracy" else f"{nats(value)} nats"

    parts = [
        f"{line.name.capitalize()} {quantity} from {written(line.mean[0][1])} to {written(line.mean[-1][1])} after "
        f"{number(line.mean[-1][0], 1)} epochs."
        for line in lines
    ]
    return " ".join([f"Line chart of {quantity}, still growing.", *parts])


def _factor(quantity: str) -> float:
    return 100.0 if quantity == "accuracy" else 1.0
