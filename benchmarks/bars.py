"""One comparison as a line of a table: figures of both sides, round by round, and their ratio."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.pairs import Spread, markdown_table, measured_on, place, store

HEADER = ("work", "Fitting Room", "compared with", "ratio")


@dataclass(frozen=True)
class Bar:
    """One kind of work, measured on both sides in the same rounds.

    Args:
        work: what was done.
        against: the other side.
        ours: our figures, one for each round.
        theirs: theirs, of the same rounds.
        unit: of the figures, as a table shows it after them, for example ` s`.
        digits: how many a table shows behind the point.
        ratio: `theirs / ours` or `ours / theirs`.
        reading: what the ratio says when it follows `3×`, for example `as fast`.
    """

    work: str
    against: str
    ours: Sequence[float]
    theirs: Sequence[float]
    unit: str = " s"
    digits: int = 2
    ratio: str = "theirs / ours"
    reading: str = "as fast"

    def ratios(self) -> Spread:
        """The ratio, taken within each round."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return Spread.of(theirs / ours if self.ratio == "theirs / ours" else ours / theirs for ours, theirs in pairs)

    @property
    def lost(self) -> bool:
        """Whether the other side is faster, or takes less memory; a part of the same work does not count."""
        median = self.ratios().median
        return median < 1 if self.reading == "as fast" else median > 1 and self.reading != "the time"

    def row(self) -> tuple[str, ...]:
        """The line of the table, as `HEADER` names its cells."""
        ours, theirs = (Spread.of(side).text(self.unit, self.digits) for side in (self.ours, self.theirs))
        winner = f"; {self.against} wins" if self.lost else ""
        return self.work, ours, f"{self.against}: {theirs}", f"{self.ratios().text('×')} {self.reading}{winner}"


def bars_table(bars: Iterable[Bar]) -> str:
    """A table with a line for each comparison; what was done on our side stays together."""
    ordered = list(bars)
    first = {bar.work: number for number, bar in reversed(list(enumerate(ordered)))}
    return markdown_table([HEADER, *(bar.row() for bar in sorted(ordered, key=lambda bar: first[bar.work]))])


def keep(name: str, bars: Sequence[Bar], facts: Mapping[str, Any]) -> None:
    """Prints the comparisons, and keeps them with other facts as `results/NAME.json`, for the README."""
    machine = measured_on()
    print(f"{bars_table(bars)}\n{place(machine)}\n")
    store(name, {"machine": machine, **facts, "bars": [dataclasses.asdict(bar) for bar in bars]})
