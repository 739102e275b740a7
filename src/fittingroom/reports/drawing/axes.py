"""Axes, and rows of dots over one axis: where a value lies, and what the ticks say.

Places are in percent of a drawing's width, so that one SVG fits every screen. The templates write the SVG.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_INSET = 5.0  # percent: room for half a tick's text, and for a dot, at either end
_MOST_TICKS = 5
_ROUND = (1.0, 2.0, 5.0, 10.0)
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0)
_FEWEST_ON_LOG = 3
_LEAST_ROOM = 1e-6  # of the values' size; `%g` writes six digits
_LARGE = 1000  # from here on, decimals say nothing
_WIDE_RANGE = 20.0  # a loss that is so many times the median one would press all others flat on a linear axis
_FEW_EPOCHS = 7  # each of so many has a tick of its own


@dataclass(frozen=True)
class Axis:
    """A range of values laid over the length of a drawing.

    Args:
        low: the value at its start.
        high: the value at its end, which is larger.
        ticks: round values within, rising.
        log: whether equal factors are equal distances; both ends are then above 0.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def tick_texts(self, unit: str = "", *, signed: bool = False) -> list[str]:
        """The ticks as they are written, all with as many decimals as one of them needs: `1.0`, `1.5`.

        Args:
            unit: what is written behind each.
            signed: whether those above 0 have a sign, as differences do.
        """
        # Ticks of factors lie far apart, so there each has its own digits: `0.01`, `1`, `100`.
        most = 0 if self.log else max((_decimals(tick) for tick in self.ticks), default=0)
        texts = (f"{tick:,.{max(_decimals(tick), most) if abs(tick) < _LARGE else 0}f}" for tick in self.ticks)
        pairs = zip(texts, self.ticks, strict=True)
        return [f"{'+' if signed and tick > 0 else ''}{text}{unit}".replace("-", "\u2212") for text, tick in pairs]

    @classmethod
    def linear(cls, values: Iterable[float], limits: tuple[float, float] | None = None) -> Axis:
        """An axis that holds all values, with some room at both ends.

        Args:
            values: at least one; those that are not finite do not count.
            limits: what the axis must not go beyond, such as 0 and 100 for percentages.
        """
        low, high = _ends(values)
        room = 0.04 * (high - low) or 0.05 * abs(high)
        # An axis narrower than this would have ticks whose texts are equal, since they have few digits.
        room = max(room, _LEAST_ROOM * max(abs(low), abs(high), 1.0))
        low, high = low - room, high + room
        if limits is not None:
            low, high = max(low, limits[0]), min(high, limits[1])
        return cls(low, high, _ticks(low, high))

    @classmethod
    def logarithmic(cls, values: Iterable[float]) -> Axis:
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
            return cls(low, high, _ticks(low, high), log=True)
        return cls(low, high, _thinned(known), log=True)

    @classmethod
    def of_epochs(cls, epochs: Iterable[float]) -> Axis:
        """An axis of whole epochs, end to end: a tick for each of a few, else for 1 and round ones: 1, 5, 10."""
        first, last = min(epochs := list(epochs)), max(epochs)
        if first == last:
            return cls(first - 1, last + 1, (first,))
        if last - first < _FEW_EPOCHS:
            return cls(first, last, tuple(range(int(first), int(last) + 1)))
        power = 10 ** math.floor(math.log10(last - first))
        steps = (round(factor * power / 10) for factor in (*_ROUND, 20.0, 50.0))
        # Below ten epochs a step rounds to 0, which is none.
        step = next(step for step in steps if step and (last - first) / step < _FEW_EPOCHS)
        multiples = range(step * math.ceil(first / step), int(last) + 1, step)
        # The first epoch gets its tick too, unless the text of the next one would touch it.
        own = (int(first),) if multiples[0] - first > step / 2 else ()
        return cls(first, last, (*own, *multiples))

    @classmethod
    def of_values(cls, values: Sequence[float], unit: str) -> Axis:
        """The axis of percentages (`%`), or of losses: of factors where one of these is far above the others."""
        if unit:
            return cls.linear(values, (0, 100))
        # The median, since a single exploded epoch must not decide by itself what the others are measured against.
        wide = min(values) > 0 and max(values) / statistics.median(values) > _WIDE_RANGE
        return cls.logarithmic(values) if wide else cls.linear(values, (0, math.inf))

    @classmethod
    def of_accuracies(cls, spreads: Iterable[Mapping[str, Any]], more: Iterable[float] = ()) -> Axis:
        """An axis in percent with room for all numbers of these spreads, and for more shares of 0 to 1."""
        known = [value for one in spreads for value in (*one["values"], one["mean"], *(one["interval"] or ()))]
        return cls.linear([100 * value for value in (*known, *more)], (0, 100))

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


def _decimals(tick: float) -> int:
    text = f"{tick:g}"
    if "e" in text:
        return max(0, -int(text.split("e")[1])) + len(text.split("e", maxsplit=1)[0].partition(".")[2])
    return len(text.partition(".")[2])


def _ends(values: Iterable[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def _ticks(low: float, high: float) -> tuple[float, ...]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten, about `_MOST_TICKS` of them."""
    power = 10.0 ** math.floor(math.log10((high - low) / _MOST_TICKS))
    step = next(one * power for one in _STEPS if (high - low) / (one * power) < _MOST_TICKS + 0.5)
    multiples = range(math.floor(low / step), math.ceil(high / step) + 1)
    ticks = (round(step * multiple, 10) + 0.0 for multiple in multiples)  # adding 0.0 turns -0.0 into 0.0
    return tuple(tick for tick in ticks if low <= tick <= high)


def _thinned(ticks: Sequence[float]) -> tuple[float, ...]:
    """Every so manyth tick, so that few are left and 1 is among them if it was."""
    step = -(-len(ticks) // _MOST_TICKS)
    start = ticks.index(1.0) % step if 1.0 in ticks else 0
    return tuple(ticks[start::step])


@dataclass(frozen=True)
class Scale:
    """The axis of a table of drawings, as the templates write it.

    Args:
        axis: what the drawings of all rows share.
        ticks: for each its place in percent and its text.
        mark: the place of the value that means no difference; None for none.
    """

    axis: Axis
    ticks: tuple[tuple[float, str], ...]
    mark: float | None = None

    @classmethod
    def of(cls, axis: Axis, unit: str = "", *, mark: float | None = None) -> Scale:
        """The scale of an axis; with a mark the ticks have signs, unless factors are drawn.

        Args:
            axis: what all rows of the table share.
            unit: what is written behind each tick.
            mark: the value that means no difference.
        """
        signed = mark is not None and not axis.log
        texts = axis.tick_texts(unit, signed=signed)
        ticks = tuple((axis.at(tick), text) for tick, text in zip(axis.ticks, texts, strict=True))
        return cls(axis, ticks, None if mark is None or not axis.holds(mark) else axis.at(mark))


@dataclass(frozen=True)
class Strip:
    """A row of a table as a drawing: single values, their mean and its interval. Places are in percent of the width.

    Args:
        dots: where the single values lie.
        mean: where their mean lies, or the only value.
        ends: where the interval begins and ends; None for no interval.
        band: the range that counts as no difference; None for none.
    """

    dots: tuple[float, ...]
    mean: float
    ends: tuple[float, float] | None = None
    band: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        axis: Axis,
        mean: float,
        interval: Sequence[float] | None,
        values: Sequence[float] = (),
        band: float | None = None,
    ) -> Strip:
        """The row of a mean.

        Args:
            axis: the axis that all rows share.
            mean: the mean, in the unit of the axis.
            interval: the two ends of its interval; None for none.
            values: the single values, one for each seed.
            band: how far from no difference (0, or 1 for factors) still counts as none.
        """
        ends = None if interval is None else (axis.at(interval[0]), axis.at(interval[1]))
        around = None
        if band:
            around = (axis.at(1 / band), axis.at(band)) if axis.log else (axis.at(-band), axis.at(band))
        return cls(tuple(axis.at(value) for value in values), axis.at(mean), ends, around)
