"""How an experiment gets on: nothing, or a live table on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from fittingroom.board import Board, Draw
from fittingroom.experiments.experiment_store import CellState
from fittingroom.experiments.summary import chosen, summaries
from fittingroom.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SECONDS_BETWEEN_DRAWINGS = 0.1


class Watcher(Protocol):
    """What listens to an experiment."""

    def state(self, states: Sequence[CellState]) -> None:
        """What has become of all cells; told at the beginning and after each batch."""

    def training(self, name: str, cells: int) -> Progress:
        """So many cells of a recipe are trained now; gives what listens to the training."""

    def close(self) -> None:
        """The experiment is over, or was stopped."""


class Quiet:
    """Shows nothing."""

    def state(self, states: Sequence[CellState]) -> None:
        """Nothing."""

    def training(self, name: str, cells: int) -> Progress:
        """Nothing."""
        del name, cells
        return Silent()

    def close(self) -> None:
        """Nothing."""


class LiveTable:
    """A table that is drawn anew, ten times per second at most, when there is something to tell.

    Args:
        console: where to draw; by default standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=console or Console(stderr=True, highlight=False), auto_refresh=False)
        self._states: Sequence[CellState] = ()
        self._running = ""
        self._share = 0.0
        self._cells = 0
        self._best = "-"
        self._first: tuple[float, int] | None = None  # when, and how many cells were over then

    def state(self, states: Sequence[CellState]) -> None:
        """Shows how many cells are over, and which recipe is best."""
        self._states, self._running, self._share, self._cells = states, "", 0.0, 0
        self._best = _best(states)
        self._first = self._first or (time.perf_counter(), self._over)
        self._live.start()
        self._draw()

    def training(self, name: str, cells: int) -> Progress:
        """Shows the recipe that is trained, and how far its replicas are."""
        self._running, self._cells = name, cells

        def draw(text: str, share: float, numbers: str) -> None:
            self._running, self._share = "  ".join(filter(None, [name, text, numbers])), share
            self._draw()

        return _Listener(draw)

    def close(self) -> None:
        """Leaves the last table on the screen."""
        self._live.stop()

    @property
    def _over(self) -> int:
        return sum(state.status != "missing" for state in self._states)

    @property
    def _total(self) -> int:
        return len(self._states)

    def _counted(self) -> tuple[str, str]:
        """What is counted, and how far it is."""
        failed = sum(state.status == "failed" for state in self._states)
        done = sum(state.status == "done" for state in self._states)
        return "cells", f"{done} of {self._total} done" + (f", {failed} failed" if failed else "")

    def _draw(self) -> None:
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        counted, text = self._counted()
        rows = {
            counted: text,
            "running": self._running or "-",
            "best so far": self._best,
            "time left": self._left(),
        }
        table = Table.grid(padding=(0, 2))
        for name, text in rows.items():
            table.add_row(name, Text(text, overflow="ellipsis", no_wrap=True))
        return table

    def _left(self) -> str:
        """How long it will take, if the cells to come take as long as those of this call did."""
        if self._first is None:
            return "-"
        started, before = self._first
        trained = self._over - before + self._share * self._cells
        to_come = self._total - before - trained
        if trained <= 0:
            return "-"
        return _duration((time.perf_counter() - started) * max(to_come, 0) / trained)


class _Listener(Silent):
    """What a training of several replicas tells a live table.

    Args:
        draw: draws a text, the share that is done (0 to 1), and the numbers beside it.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def stage(self, text: str) -> None:
        """What is being done before the first epoch."""
        self._draw(text, 0.0, "")

    def replicas(self, seeds: Sequence[int]) -> Sequence[Progress]:
        """A listener for each replica; together they draw one text."""

        def say_nothing(line: str) -> None:
            del line

        return Board(seeds, self._draw, say_nothing, _SECONDS_BETWEEN_DRAWINGS).replicas


def _best(states: Sequence[CellState]) -> str:
    """The recipe that validation would choose now, and what it reached; a hyphen for none."""
    best = chosen(summaries(states))
    if best is None or best.accuracy is None:
        return "-"
    return f"{best.variant.name}, {100 * best.accuracy.mean:.2f}% on validation"


def watcher_for_terminal() -> Watcher:
    """A live table if standard error is a terminal, silence otherwise."""
    return LiveTable() if sys.stderr.isatty() else Quiet()


def _duration(seconds: float) -> str:
    """`12 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
