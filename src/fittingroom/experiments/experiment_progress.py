"""How far an experiment or a search is: a live table on a terminal, or not shown at all."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fittingroom.experiments.experiment_store import CellState
from fittingroom.experiments.summary import Summary, chosen
from fittingroom.progress import Progress, seeds_progress
from fittingroom.text import duration, percent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from fittingroom.experiments.study import Trial


class ExperimentProgress:
    """What an experiment or a search reports while it runs. This class shows nothing; `_LiveTable` does."""

    def trials(self, trials: Sequence[Trial], total: int) -> None:
        """What has become of the trials of a search, of so many; told before `state`."""

    def state(self, states: Sequence[CellState]) -> None:
        """What has become of all cells; told at the beginning and after each batch."""

    def training(self, name: str, cells: int) -> Progress:
        """So many cells of a recipe are trained now.

        Returns:
            Gets the progress of the training.
        """
        del name, cells
        return Progress()

    def close(self) -> None:
        """The experiment is over, or was stopped."""


class _LiveTable(ExperimentProgress):
    """A table that is drawn again, ten times per second at most, when there is something new.

    Args:
        console: where to draw; by default standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=console or Console(stderr=True, highlight=False), auto_refresh=False)
        self._states: Sequence[CellState] = ()
        self._trials: Sequence[Trial] = ()
        self._wanted: int | None = None  # trials of a search
        self._running = ""
        self._share = 0.0
        self._cells = 0
        self._best = "-"
        self._first: tuple[float, int] | None = None  # when the first state came, and how much was over then

    def trials(self, trials: Sequence[Trial], total: int) -> None:
        """Counts trials in place of cells; the next `state` shows it."""
        self._trials, self._wanted = trials, total

    def state(self, states: Sequence[CellState]) -> None:
        """Shows how many cells are over, and which recipe is best."""
        self._states, self._running, self._share, self._cells = states, "", 0.0, 0
        self._best = _best(states)
        self._first = self._first or (time.perf_counter(), self._over)
        self._live.start()
        self._draw()

    def training(self, name: str, cells: int) -> Progress:
        """Shows the recipe that is trained, and how far its seeds are."""
        # All seeds of a trial together are one of what is counted.
        self._running, self._cells = name, cells if self._wanted is None else 1

        def draw(text: str, share: float, numbers: str) -> None:
            self._running, self._share = "  ".join(filter(None, [name, text, numbers])), share
            self._draw()

        return _SeedsInTable(draw)

    def close(self) -> None:
        """Leaves the last table on the screen."""
        self._live.stop()

    @property
    def _over(self) -> int:
        each: Sequence[CellState | Trial] = self._states if self._wanted is None else self._trials
        return sum(one.status not in {"missing", "running"} for one in each)

    @property
    def _total(self) -> int:
        return len(self._states) if self._wanted is None else self._wanted

    def _count(self) -> tuple[str, str]:
        """What is counted, and how far it is."""
        each: Sequence[CellState | Trial] = self._states if self._wanted is None else self._trials
        counts = Counter(one.status for one in each)
        # A cell that failed is not done; a trial that was pruned or failed is.
        what, done = ("cells", counts["done"]) if self._wanted is None else ("trials", self._over)
        others = "".join(f", {counts[status]} {status}" for status in ("pruned", "failed") if counts[status])
        return what, f"{done} of {self._total} done{others}"

    def _draw(self) -> None:
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        what, count = self._count()
        rows = {what: count, "running": self._running or "-", "best so far": self._best, "time left": self._left()}
        table = Table.grid(padding=(0, 2))
        for name, text in rows.items():
            table.add_row(name, Text(text, overflow="ellipsis", no_wrap=True))
        return table

    def _left(self) -> str:
        """How long it will take, if what is to come takes as long as what this call has trained."""
        if self._first is None:
            return "-"
        started, before = self._first
        trained = self._over - before + self._share * self._cells
        to_come = self._total - before - trained
        if trained <= 0:
            return "-"
        return duration((time.perf_counter() - started) * max(to_come, 0) / trained)


class _SeedsInTable(Progress):
    """A training in a live table; `draw` draws a text, the share that is done, 0 to 1, and the numbers beside it."""

    def __init__(self, draw: Callable[[str, float, str], None]) -> None:
        self._draw = draw

    def stage(self, text: str) -> None:
        self._draw(text, 0.0, "")

    def for_seeds(self, seeds: Sequence[int]) -> Sequence[Progress]:
        return seeds_progress(seeds, self._draw)


def progress_for_experiment() -> ExperimentProgress:
    """A live table if standard error is a terminal, silence otherwise."""
    return _LiveTable() if sys.stderr.isatty() else ExperimentProgress()


def _best(states: Sequence[CellState]) -> str:
    """The recipe that validation would choose now, and what it reached; a hyphen for none."""
    best = chosen(Summary.of_recipes(states))
    if best is None or best.accuracy is None:
        return "-"
    return f"{best.variant.name}, {percent(best.accuracy.mean, 2)} on validation"
