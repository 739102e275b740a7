"""How far a benchmark is: a live table on a terminal, or not shown at all."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from fittingroom.text import duration

_SECONDS_BETWEEN_DRAWINGS = 0.1


class BenchmarkProgress:
    """What a benchmark reports while it runs. This class shows nothing.

    Attributes:
        done: how many cells are done.
        total: how many there are to be.
    """

    def __init__(self) -> None:
        self.done = self.total = 0

    @staticmethod
    def of_terminal() -> BenchmarkProgress:
        """A live table if standard error is a terminal, silence otherwise."""
        return _LiveBenchmark() if sys.stderr.isatty() else BenchmarkProgress()

    def state(self, done: int, failed: int, total: int, running: Sequence[str]) -> None:
        """How many cells are done and how many have failed, of so many, and which train now; told again and again."""
        del failed, running
        self.done, self.total = done, total

    def close(self) -> None:
        """The benchmark is over, or was stopped."""


class _LiveBenchmark(BenchmarkProgress):
    """A table that is drawn again, ten times per second at most."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(stderr=True, highlight=False), auto_refresh=False)
        self._first: tuple[float, int] | None = None  # when the first state came, and how many cells were over then
        self._drawn = 0.0

    def state(self, done: int, failed: int, total: int, running: Sequence[str]) -> None:
        """Draws the table."""
        super().state(done, failed, total, running)
        over, clock = done + failed, time.perf_counter()
        self._first = self._first or (clock, over)
        self._live.start()
        if clock - self._drawn < _SECONDS_BETWEEN_DRAWINGS and over < self.total:
            return
        self._drawn = clock
        from rich.table import Table
        from rich.text import Text

        others = f", {failed} failed" if failed else ""
        rows = {
            "cells": f"{done} of {total} done{others}",
            "running": "; ".join(running) or "-",
            "time left": self._left(clock, over),
        }
        table = Table.grid(padding=(0, 2))
        for name, text in rows.items():
            table.add_row(name, Text(text, overflow="ellipsis", no_wrap=True))
        self._live.update(table, refresh=True)

    def close(self) -> None:
        """Leaves the last table on the screen."""
        self._live.stop()

    def _left(self, clock: float, over: int) -> str:
        """How long it will take, if the cells to come take as long as those that this call has trained."""
        started, before = self._first or (clock, over)
        if over <= before:
            return "-"
        return f"about {duration((clock - started) * (self.total - over) / (over - before))}"
