"""Numbers, lists and durations in words: one way to write them in terminal text, on pages and in messages.

A true minus sign stands before what is below zero, as on pages so in a terminal (one whose encoding lacks it gets a
hyphen from `cli`). What rounds to zero has no sign. JSON, and values quoted as Python or TOML write them, are no
business of this module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

MINUS = "\u2212"
# What turns the order of letters round, and control characters: in a name they could disguise what a sentence says.
_DISGUISE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NOTHING = "-"
"""What stands in a table where there is no number."""


def undisguised(text: str) -> str:
    """A text of other people, such as a file's name, without control and direction marks that could disguise it."""
    return _DISGUISE.sub("\ufffd", text)


class _NumberFormat(Protocol):
    """A number with its sign or without, such as `nats` and `points` write it."""

    def __call__(self, value: float, /, *, signed: bool = False) -> str:
        """The number as text."""


def number(value: float | None, digits: int = 0, *, signed: bool = False) -> str:
    """`55,000`, `0.3352`, `−0.003`; `+0.011` with its sign; `not finite`; a hyphen for None.

    Args:
        value: the number.
        digits: how many after the decimal point.
        signed: whether a number above zero has a plus.
    """
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return "not finite"
    text = f"{abs(value):,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return text
    return f"{MINUS if value < 0 else '+' if signed else ''}{text}"


def percent(share: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """A share of 0 to 1, such as an accuracy: `87.9%`; a hyphen for None."""
    return NOTHING if share is None else f"{number(100 * share, digits, signed=signed)}%"


def percent_range(interval: Sequence[float] | None, digits: int = 1) -> str:
    """The interval of a share: `87.0–88.8%`; a hyphen for None.

    An interval from few seeds may reach beyond 0 and 1, where no accuracy lies; its ends are cut there.
    """
    if interval is None:
        return NOTHING
    low, high = max(interval[0], 0.0), min(interval[1], 1.0)
    return f"{number(100 * low, digits)}–{percent(high, digits)}"


def nats(loss: float, *, signed: bool = False) -> str:
    """A loss without its unit: three decimals, four below 0.01; a change of one with its sign, `+0.058`."""
    return number(loss, 3 if round(abs(loss), 4) >= 0.01 else 4, signed=signed)


def points(value: float, *, signed: bool = False) -> str:
    """Percentage points without their unit: one decimal, two below a tenth."""
    return number(value, 1 if round(abs(value), 2) >= 0.1 or value == 0 else 2, signed=signed)


def interval_of_change(interval: Sequence[float], written: _NumberFormat) -> str:
    """The interval of a change: `−0.003 to +0.011`; `0.003 to 0.011`, the smaller end first, on one side of 0.

    Args:
        interval: the lower and the upper end.
        written: how one number is written, for example `nats`.
    """
    low, high = interval
    if low <= 0 <= high:
        return f"{written(low, signed=True)} to {written(high, signed=True)}"
    smaller, larger = sorted((abs(low), abs(high)))
    return f"{written(smaller)} to {written(larger)}"


def amount(count: int, noun: str, plural: str | None = None) -> str:
    """An amount with its noun: `1 epoch`, `1,200 images`, `2 classes`.

    Args:
        count: how many.
        noun: for one of them.
        plural: for several, where it is not the noun with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def word_list(words: Iterable[object], last: str = "and", *, most: int | None = None) -> str:
    """`a`, `a and b`, `a, b and c`; with at most two of five, `a, b and 3 more`; empty for none.

    Args:
        words: each is written as `str` writes it.
        last: stands before the last one.
        most: how many are named where there are more.
    """
    parts = [str(word) for word in words]
    if most is not None and len(parts) > most:
        parts = [*parts[:most], f"{len(parts) - most:,} more"]
    return f" {last} ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def file_size(count: float) -> str:
    """Bytes: `25 kB`, `0.3 MB`, `12.0 MB`, `1.4 GB`."""
    if 0 < count < 0.95e5:
        return f"{number(count / 1e3, 0 if count >= 9.5e3 else 1)} kB"
    return f"{number(count / 1e9, 1)} GB" if count >= 1e9 else f"{number(count / 1e6, 1)} MB"


def duration(seconds: float) -> str:
    """`4.2 s`, `12 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.{1 if seconds < 9.95 else 0}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
