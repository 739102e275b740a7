"""What a command answers, and how numbers look in it: aligned plain text, the same with and without a terminal."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Compiled here, so that an error can be printed when memory has run out.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Answer:
    """What a command has to say on standard output.

    Args:
        facts: for `--json`.
        text: for people.
        status: exit status.
    """

    facts: Mapping[str, Any]
    text: str
    status: int = 0


def say(kind: str, text: str) -> None:
    """Prints a line that is no result, such as a note, on standard error. Where that fails, the work goes on."""
    with contextlib.suppress(OSError):
        print(printable(f"fittingroom: {kind}: {text}"), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """The text without what moves a cursor, clears a screen or turns the order of letters, whoever wrote it."""
    return _UNPRINTABLE.sub("\ufffd", text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Columns two spaces apart; the first `left` of them flush left, the others, numbers, flush right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def cell(text: str, column: int) -> str:
        return text.ljust(widths[column]) if column < left else text.rjust(widths[column])

    return "\n".join("  ".join(cell(text, column) for column, text in enumerate(line)).rstrip() for line in lines)


def percent(share: float | None) -> str:
    """An accuracy and the like: `87.9%`; a hyphen for none."""
    return "-" if share is None else f"{100 * share:.1f}%"


def percent_range(interval: Sequence[float] | None) -> str:
    """The interval of an accuracy: `87.0–88.8%`; a hyphen for none.

    One that few seeds give may reach beyond 0 to 1, where no accuracy lies.
    """
    return "-" if interval is None else f"{100 * max(interval[0], 0):.1f}–{100 * min(interval[1], 1):.1f}%"


def nats(loss: float | None) -> str:
    """A loss, without its unit, or another number: `0.3352`, `not finite`; a hyphen for none."""
    return "-" if loss is None else f"{loss:.4f}" if math.isfinite(loss) else "not finite"


def number(count: int | None) -> str:
    """A count: `55,000`; a hyphen for none."""
    return "-" if count is None else f"{count:,}"
