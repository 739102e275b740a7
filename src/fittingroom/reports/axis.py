"""Axes for drawings that the templates write: where a value lies, and what the ticks say.

These drawings are SVG with places in percent of the width, so that one of them fits every screen. They cost next to
nothing, where Altair takes a second or two: the page of an experiment is written whenever one ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_INSET = 5.0  # percent: room for half a tick's text, and for a dot, at either end
_MOST_TICKS = 5
_ROUND = (1.0, 2.0, 5.0, 10.0)
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0)
_FEWEST_ON_LOG = 3
_LEAST_ROOM = 1e-6


@dataclass(frozen=True)
class Axis:
    """A range of values laid over the width of a drawing.

    Args:
        low: the value at its left end.
        high: the one at its right end, which is larger.
        ticks: round values within, rising.
        log: whether equal factors are equal distances; both ends are then above 0.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 1; a value beyond an end is drawn at that end."""
        value = min(max(value, self.low), self.high)
        low, high, value = (math.log(one) if self.log else one for one in (self.low, self.high, value))
        return (value - low) / (high - low)

    def at(self, value: float) -> float:
        """Its place in a row of a table, in percent of the width."""
        return round(_INSET + (100 - 2 * _INSET) * self.share(value), 2)

    def holds(self, value: float) -> bool:
        """Whether a value lies within."""
        return self.low <= value <= self.high


def linear_axis(values: Iterable[float], limits: tuple[float, float] | None = None) -> Axis:
    """An axis that holds all values, with some room at both ends.

    Args:
        values: at least one; those that are not finite do not count.
        limits: what the axis must not go beyond, such as 0 and 100 for percentages.
    """
    low, high = _ends(values)
    room = 0.04 * (high - low) or 0.05 * abs(high)
    room = max(room, _LEAST_ROOM * max(abs(low), abs(high), 1.0))  # ticks are told apart by their digits
    low, high = low - room, high + room
    if limits is not None:
        low, high = max(low, limits[0]), min(high, limits[1])
    return Axis(low, high, _ticks(low, high))


def log_axis(values: Iterable[float]) -> Axis:
    """The same for factors, all above 0."""
    low, high = _ends(values)
    room = max((high / low) ** 0.06, 1.05)
    low, high = low / room, high * room
    known = tuple(
        factor * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factor in _ROUND[:-1]
        if low <= factor * 10.0**power <= high
    )
    if len(known) < _FEWEST_ON_LOG:
        return Axis(low, high, _ticks(low, high), log=True)
    return Axis(low, high, _thinned(known), log=True)


def tick_text(value: float, *, signed: bool = False) -> str:
    """A tick as it is written: `80`, or with its sign `+0.5`."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
    return (f"+{text}" if signed and value > 0 else text).replace("-", "\u2212")


def _ends(values: Iterable[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def _ticks(low: float, high: float) -> tuple[float, ...]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten, about `_MOST_TICKS` of them."""
    power = 10.0 ** math.floor(math.log10((high - low) / _MOST_TICKS))
    step = next(one * power for one in _STEPS if (high - low) / (one * power) < _MOST_TICKS + 0.5)
    multiples = range(math.floor(low / step), math.ceil(high / step) + 1)
    ticks = (round(step * multiple, 10) + 0.0 for multiple in multiples)
    return tuple(tick for tick in ticks if low <= tick <= high)


def _thinned(ticks: Sequence[float]) -> tuple[float, ...]:
    """Every so manyth tick, so that few are left and 1 is among them if it was."""
    step = -(-len(ticks) // _MOST_TICKS)
    start = ticks.index(1.0) % step if 1.0 in ticks else 0
    return tuple(ticks[start::step])
