"""What an audit shows while it works: a bar on a terminal, a line for each finished check in a notebook, or nothing."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from fittingroom.audits.check import CheckResult
from fittingroom.text import duration

_SECONDS_BETWEEN_DRAWINGS = 0.1


class ShownProgress:
    """Told what an audit does; shows nothing. As a context, it leaves no half-drawn bar behind."""

    def begin(self, check: str, place: int, count: int) -> None:
        """A check begins, the `place`-th from 1 of `count`."""

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        """How far the check is, as `AuditProgress` has it."""

    def finish(self, result: CheckResult) -> None:
        """A check is done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, where: TracebackType | None) -> None:
        """Nothing is left to take away."""

    @staticmethod
    def usual() -> ShownProgress:
        """A bar if standard error is a terminal, lines in a notebook, and silence elsewhere."""
        if sys.stderr.isatty():
            return _AuditBar()
        ipython = sys.modules.get("IPython")
        shell = None if ipython is None else ipython.get_ipython()
        return _AuditLines() if hasattr(shell, "kernel") else ShownProgress()


def _line(result: CheckResult) -> str:
    return f"{result.check}: {result.verdict} ({duration(result.seconds)})"


class _AuditLines(ShownProgress):
    """A line for each finished check on standard output."""

    def finish(self, result: CheckResult) -> None:
        sys.stdout.write(f"{_line(result)}\n")
        sys.stdout.flush()


class _AuditBar(ShownProgress):
    """A bar for the check that is being made, and a line for each finished one, on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._console = Console(stderr=True, highlight=False, markup=False)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(20), TimeElapsedColumn())
        self._bar = RichProgress(*columns, console=self._console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=None)
        self._check = ""
        self._drawn = 0.0

    def begin(self, check: str, place: int, count: int) -> None:
        self._check = f"{place}/{count} {check}"
        self._bar.reset(self._task, total=None, description=self._check)
        self._bar.start()
        self._bar.refresh()

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        now = time.perf_counter()
        if now - self._drawn < _SECONDS_BETWEEN_DRAWINGS and done < total:
            return
        self._drawn = now
        self._bar.update(self._task, description=f"{self._check}: {what}", completed=done, total=total or None)
        self._bar.refresh()

    def finish(self, result: CheckResult) -> None:
        self._console.print(_line(result), markup=False)

    def __exit__(self, kind: type[BaseException] | None, error: object, where: TracebackType | None) -> None:
        self._bar.stop()
