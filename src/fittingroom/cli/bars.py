"""Small charts made of characters, for a terminal: the line of a curve, and bars."""

from __future__ import annotations

from collections.abc import Sequence

_LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None], width: int) -> str:
    """The course of some values, the lowest `▁` and the highest `█`; a space for none.

    More values than there is room for are told by some of them, evenly spaced, the first and the last among them.
    """
    if len(values) > width:
        values = [values[round(place * (len(values) - 1) / max(width - 1, 1))] for place in range(width)]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    step = (high - low) / (len(_LEVELS) - 1) or 1.0
    return "".join(" " if value is None else _LEVELS[round((value - low) / step)] for value in values)


def signed_bar(value: float, most: float, width: int) -> str:
    """A bar to the right of a line for what is above 0, to its left for what is below; `width` characters each way."""
    cells = round(width * abs(value) / most) if most > 0 else 0
    left, right = ("█" * cells, "") if value < 0 else ("", "█" * cells)
    return f"{left:>{width}}│{right:<{width}}"


def marked_bar(value: float, mark: float, width: int) -> str:
    """A bar of `value`, 0 to 1, over `width` characters, with a `┃` at `mark`."""
    filled, place = round(value * width), min(width - 1, int(mark * width))
    cells = ["█" if cell < filled else "·" for cell in range(width)]
    cells[place] = "┃"
    return "".join(cells)


def dots(values: Sequence[float], low: float, high: float, width: int) -> str:
    """Values as dots on an axis from `low` to `high` over `width` characters, with a `┃` at their mean."""
    step = (high - low) / (width - 1) or 1.0

    def place(value: float) -> int:
        return min(width - 1, max(0, round((value - low) / step)))

    cells = ["·"] * width
    for value in values:
        cells[place(value)] = "•"
    cells[place(sum(values) / len(values))] = "┃"
    return "".join(cells)
