"""`Bar`: one line of progress on a terminal, for work other than training: downloads, folders of pictures, exports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress


class Bar:
    """One line of progress, with what pooch asks of a progress bar: `total`, `update`, `reset` and `close`.

    Pooch's own needs tqdm, a second library that draws.
    """

    def __init__(self, progress: RichProgress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None)
        self._total = 0

    @classmethod
    @contextmanager
    def shown(cls, title: str) -> Iterator[Bar | None]:
        """A line for the time of a `with` block: files and pictures; None if standard error is no terminal."""
        if not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import Progress as RichProgress

        with RichProgress(console=Console(stderr=True), transient=True) as progress:
            yield cls(progress, title)

    @property
    def total(self) -> int:
        """How much there is to do; setting it starts from zero."""
        return self._total

    @total.setter
    def total(self, value: int) -> None:
        self._total = value
        self._progress.update(self._task, total=value, completed=0)

    def update(self, count: int) -> None:
        """`count` more are done."""
        self._progress.advance(self._task, count)

    def reset(self) -> None:
        """Counts from zero again."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """Does nothing: the line stays until the whole job is done."""
