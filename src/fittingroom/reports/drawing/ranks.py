"""Ranks of methods over datasets: the axis that their intervals share, and the critical-difference diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fittingroom.reports.drawing.axes import Axis

_LEFT, _RIGHT = 3.0, 97.0  # percent of the width: where the axis begins and ends
_TOP = 34  # pixels: room for the bar of the critical difference and the ticks
_ROW = 23  # pixels of a method's name and its line
_GROUP = 9  # pixels between two bars of methods that are not shown to differ
_MOST_TICKS = 16


def rank_axis(methods: int) -> Axis:
    """The axis of ranks 1 to `methods`, with a tick for each of a few, else for every so manyth."""
    step = -(-methods // _MOST_TICKS)
    ticks = [*range(1, methods + 1, step)]
    return Axis(0.6, methods + 0.4, tuple(map(float, ticks)))


@dataclass(frozen=True)
class _RankLabel:
    """A method in the diagram: its name at a side, from where a line leads to its rank.

    Args:
        x: its mean rank, in percent of the width.
        y: the pixel of its line.
        name: the method.
        color: the class of its colour.
        right: whether the name stands on the right, as those of the worse half do.
    """

    x: float
    y: int
    name: str
    color: str
    right: bool


@dataclass(frozen=True)
class RankDiagram:
    """Mean ranks on a line; methods under one bar are not shown to differ (Demšar, 2006).

    Args:
        ticks: place in percent and text of each.
        axis: the pixel of the axis.
        bar: the ends of the bar that is as long as the critical difference, in percent.
        labels: the methods.
        groups: left end, right end and pixel of the bar of each group.
        height: pixels of the whole.
    """

    ticks: tuple[tuple[float, str], ...]
    axis: int
    bar: tuple[float, float]
    labels: tuple[_RankLabel, ...]
    groups: tuple[tuple[float, float, int], ...]
    height: int

    @classmethod
    def of(
        cls,
        ranks: Mapping[str, float],
        difference: float,
        groups: Sequence[Sequence[str]],
        colors: Mapping[str, str],
    ) -> RankDiagram:
        """The diagram of some methods.

        Args:
            ranks: method -> its mean rank over the datasets, 1 for the best; at least two.
            difference: how far apart two mean ranks must be.
            groups: methods that are not shown to differ; those of a single method are not drawn.
            colors: method -> the class of its colour.
        """
        axis = rank_axis(len(ranks))
        at = {method: round(_LEFT + (_RIGHT - _LEFT) * axis.share(rank), 2) for method, rank in ranks.items()}
        order = sorted(ranks, key=lambda method: (ranks[method], method))
        drawn = [sorted(at[method] for method in group) for group in groups if len(group) > 1]
        under = _TOP + 12 + _GROUP * len(drawn)
        half = (len(order) + 1) // 2
        better = [(method, place, False) for place, method in enumerate(order[:half])]
        worse = [(method, place, True) for place, method in enumerate(reversed(order[half:]))]
        labels = tuple(
            _RankLabel(at[method], under + _ROW * (place + 1), method, colors.get(method, ""), right)
            for method, place, right in (*better, *worse)
        )
        start = axis.share(1.0)
        bar = tuple(_LEFT + (_RIGHT - _LEFT) * min(share, 1.0) for share in (start, axis.share(1.0 + difference)))
        ticks = zip(axis.ticks, axis.tick_texts(), strict=True)
        return cls(
            ticks=tuple((round(_LEFT + (_RIGHT - _LEFT) * axis.share(tick), 2), text) for tick, text in ticks),
            axis=_TOP,
            bar=(round(bar[0], 2), round(bar[1], 2)),
            labels=labels,
            groups=tuple((ends[0], ends[-1], _TOP + 12 + _GROUP * place) for place, ends in enumerate(drawn)),
            height=under + _ROW * half + 8,
        )
