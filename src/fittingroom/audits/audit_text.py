"""The results of an audit as plain text: what was found first, each check with its sentences, evidence and advice."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from fittingroom.audits.check import CheckResult, Evidence, EvidencePlot, EvidenceTable, Gallery, Review, Verdict
from fittingroom.text import amount, duration, number, word_list

_WIDTH = 100
_MOST_ROWS = 12
_MOST_POINTS = 8

_RANKS: Mapping[Verdict, int] = MappingProxyType({"found": 0, "unsure": 1, "clear": 2, "not examined": 3})

_COUNTED: Mapping[Verdict, tuple[str, str]] = MappingProxyType(
    {
        "found": ("check found something", "checks found something"),
        "unsure": ("cannot tell", "cannot tell"),
        "clear": ("is clear", "are clear"),
        "not examined": ("was not examined", "were not examined"),
    }
)


def by_weight(results: Sequence[CheckResult]) -> list[CheckResult]:
    """The results in the order in which they matter: what was found, what cannot be told, what is clear."""
    return sorted(results, key=lambda result: _RANKS[result.verdict])


def overview(results: Sequence[CheckResult]) -> str:
    """How many checks came out how, in a sentence, such as `2 checks found something and 4 are clear`."""
    if not results:
        return "No check was finished."
    counts = {verdict: sum(one.verdict == verdict for one in results) for verdict in _RANKS}
    parts = [f"{count} {_COUNTED[verdict][count > 1]}" for verdict, count in counts.items() if count]
    if not counts["found"]:
        first = next(verdict for verdict, count in counts.items() if count)
        noun = "check" if counts[first] == 1 else "checks"
        parts[0] = f"{counts[first]} {noun} {_COUNTED[first][counts[first] > 1]}"
    return f"{word_list(parts)}."


def audit_text(title: str, results: Sequence[CheckResult]) -> str:
    """The whole audit.

    Args:
        title: what was audited, in a line.
        results: of its checks, in any order.
    """
    seconds = math.fsum(result.seconds for result in results)
    head = f"{title}\n{overview(results)} The checks took {duration(seconds)}."
    return "\n\n".join([head, *("\n".join(_lines(result)) for result in by_weight(results))])


def check_text(result: CheckResult) -> str:
    """One check alone."""
    return "\n".join(_lines(result))


def _lines(result: CheckResult) -> Iterator[str]:
    yield f"{result.verdict.upper()}: {result.title} ({result.check})"
    yield from _wrapped(" ".join(result.sentences), "  ")
    for one in result.evidence:
        yield from ("", *(f"  {line}" for line in _evidence_lines(one)))
    if result.advice:
        yield ""
    for sentence in result.advice:
        yield from _wrapped(sentence, "  - ")


def _wrapped(text: str, start: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start))


def _evidence_lines(evidence: Evidence) -> Iterator[str]:
    if isinstance(evidence, Gallery):
        yield f"{evidence.title}: {amount(len(evidence.images), 'image')}, on the page (--report)"
    elif isinstance(evidence, Review):
        yield f"{evidence.title}: {amount(len(evidence.items), 'image')} to review, on the page (--report)"
    elif isinstance(evidence, EvidenceTable):
        yield f"{evidence.title}:"
        yield from _table(evidence)
    else:
        yield f"{evidence.title}:"
        yield from _table(_as_table(evidence))


def _as_table(plot: EvidencePlot) -> EvidenceTable:
    """A plot as a table: a column for each line, a row for each of a few points."""
    points = sorted({x for line in plot.lines for x in line.x})
    step = -(-len(points) // _MOST_POINTS) if points else 1
    columns = []
    for line in plot.lines:
        values = dict(zip(line.x, line.y, strict=True))
        digits = 3 if max((abs(y) for y in line.y), default=0) < 10 else 1
        columns.append([number(values.get(x), digits) for x in points[::step]])
    rows = tuple(zip((f"{x:g}" for x in points[::step]), *columns, strict=True))
    return EvidenceTable(plot.title, (plot.x_label, *(line.name for line in plot.lines)), rows)


def _table(table: EvidenceTable) -> Iterator[str]:
    lines = [table.header, *table.rows[:_MOST_ROWS]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    for line in lines:
        cells = [
            cell.ljust(width) if column < table.left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
    if len(table.rows) > _MOST_ROWS:
        yield f"... and {amount(len(table.rows) - _MOST_ROWS, 'more row')}"
