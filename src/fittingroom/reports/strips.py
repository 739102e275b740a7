"""Rows of dots: for each name its values, their mean and its interval, all over one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fittingroom.reports.axis import Axis, tick_text


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


@dataclass(frozen=True)
class Strip:
    """A row of a drawing; all places are in percent of the width.

    Args:
        dots: of the single values.
        mean: of their mean, or of the only value.
        ends: of the interval; None for none.
        band: of what counts as no difference; None for none.
    """

    dots: tuple[float, ...]
    mean: float
    ends: tuple[float, float] | None = None
    band: tuple[float, float] | None = None


def scale_of(axis: Axis, unit: str = "", *, mark: float | None = None) -> Scale:
    """The scale of an axis; with a mark the ticks have signs, unless factors are drawn.

    Args:
        axis: it.
        unit: what is written behind each tick.
        mark: the value that means no difference.
    """
    signed = mark is not None and not axis.log
    ticks = tuple((axis.at(tick), f"{tick_text(tick, signed=signed)}{unit}") for tick in axis.ticks)
    return Scale(axis, ticks, None if mark is None or not axis.holds(mark) else axis.at(mark))


def strip(
    axis: Axis, mean: float, interval: Sequence[float] | None, values: Sequence[float] = (), band: float | None = None
) -> Strip:
    """The row of a mean.

    Args:
        axis: of the drawing.
        mean: in the unit of the axis.
        interval: its ends; None for none.
        values: the single ones.
        band: how far from no difference (0, or 1 for factors) still counts as none.
    """
    ends = None if interval is None else (axis.at(interval[0]), axis.at(interval[1]))
    around = None
    if band:
        around = (axis.at(1 / band), axis.at(band)) if axis.log else (axis.at(-band), axis.at(band))
    return Strip(tuple(axis.at(value) for value in values), axis.at(mean), ends, around)


def of_spread(spread: Mapping[str, Any], factor: float = 1.0) -> list[float]:
    """All numbers of a spread that a drawing must have room for."""
    return [factor * value for value in (*spread["values"], spread["mean"], *(spread["interval"] or ()))]
