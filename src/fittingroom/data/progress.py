"""A line of progress on standard error, if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """One line of progress, with the methods that pooch calls: `total`, `update`, `reset`, `close`."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None)
        self._total = 0

    @property
    def total(self) -> int:
        """How much there is to do; setting it starts from zero."""
        return self._total

    @total.setter
    def total(self, value: int) -> None:
        self._total = value
        self._progress.update(self._task, total=value, completed=0)

    def update(self, amount: int) -> None:
        """Counts `amount` more as done."""
        self._progress.advance(self._task, amount)

    def reset(self) -> None:
        """Counts from zero again."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """Does nothing: the line stays until the whole job is done."""


@contextmanager
def progress_bar(title: str) -> Iterator[Bar | None]:
    """A line of progress for the time of the block; None if standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    with RichProgress(console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, title)
