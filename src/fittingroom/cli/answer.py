"""What a command answers: aligned plain text, the same with and without a terminal."""

from __future__ import annotations

import contextlib
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
