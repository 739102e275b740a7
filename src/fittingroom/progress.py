"""Showing how a training gets on: nothing, or a bar with loss and accuracy on a terminal.

The engine calls these methods; it does not know who listens.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_SECONDS_BETWEEN_DRAWINGS = 0.1


class Progress(Protocol):
    """What listens to a training. Epochs are counted from 0, as in Keras's callbacks."""

    def stage(self, text: str) -> None:
        """What is being done before the first epoch, for example `compiling`."""

    def start(self, epochs: int, steps: int) -> None:
        """Training begins: at most `epochs` of `steps` each."""

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        """`done` of `total` steps of an epoch are finished; called a few times per second at most."""

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch is finished, its validation too."""

    def finish(self, reason: str | None) -> None:
        """Training is over; `reason` says why it ended before the last epoch, if it did."""

    def replicas(self, seeds: Sequence[int]) -> Sequence[Progress]:
        """A listener for each of several replicas that train at once; they are called from several threads."""


class Silent:
    """Shows nothing."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def start(self, epochs: int, steps: int) -> None:
        """Nothing."""

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        """Nothing."""

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Nothing."""

    def finish(self, reason: str | None) -> None:
        """Nothing."""

    def replicas(self, seeds: Sequence[int]) -> Sequence[Progress]:
        """Nothing for each of them."""
        return [self] * len(seeds)


class TerminalProgress:
    """A bar for the running epoch, and a line for each finished one.

    It draws only when it is called, and no more than ten times per second, so that it takes no time from the training.

    Args:
        console: where to draw; by default standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._console = console or Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[numbers]}"))
        self._bar: Bar = Bar(*columns, console=self._console, auto_refresh=False, transient=True)
        self._task: TaskID = self._bar.add_task("", total=None, numbers="")
        self._epochs = 0
        self._epoch_started = 0.0
        self._drawn = 0.0

    def stage(self, text: str) -> None:
        """Shows a text beside a bar that waits."""
        self._bar.start()
        self._draw(text, 0, None)

    def start(self, epochs: int, steps: int) -> None:
        """Shows the empty bar of the first epoch."""
        self._epochs, self._epoch_started = epochs, time.perf_counter()
        self._bar.start()
        self._draw(f"epoch 1/{epochs}", 0, steps)

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        """Moves the bar."""
        if time.perf_counter() - self._drawn >= _SECONDS_BETWEEN_DRAWINGS:
            self._draw(f"epoch {epoch + 1}/{self._epochs}", done, total, f"{done}/{total}  {_numbers(logs)}")

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Prints the epoch's line, which fits into 80 columns for fewer than 100 epochs."""
        now = time.perf_counter()
        number = f"{epoch + 1:>{len(str(self._epochs))}}"
        self._print(f"epoch {number}  {_numbers(logs)}  {now - self._epoch_started:.1f}s")
        self._epoch_started = now

    def finish(self, reason: str | None) -> None:
        """Takes the bar away."""
        self._bar.stop()
        if reason:
            self._print(reason)

    def replicas(self, seeds: Sequence[int]) -> Sequence[Progress]:
        """A bar for all replicas together, and a line for each finished one."""
        from fittingroom.board import Board

        def draw(text: str, share: float, numbers: str) -> None:
            self._draw(text, round(1000 * share), 1000 if share else None, numbers)

        return Board(seeds, draw, self._print, _SECONDS_BETWEEN_DRAWINGS).replicas

    def _draw(self, text: str, done: int, total: int | None, numbers: str = "") -> None:
        self._bar.update(self._task, description=text, completed=done, total=total, numbers=numbers)
        self._bar.refresh()
        self._drawn = time.perf_counter()

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)


class LineProgress(Silent):
    """A line for each finished epoch on standard output: in a notebook's cell, or in a file that it goes to."""

    def __init__(self) -> None:
        self._epochs = 0
        self._epoch_started = 0.0

    def start(self, epochs: int, steps: int) -> None:
        """Notes how many epochs there are."""
        del steps
        self._epochs, self._epoch_started = epochs, time.perf_counter()

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Prints the epoch's line."""
        now = time.perf_counter()
        _print_line(f"epoch {epoch + 1}/{self._epochs}  {_numbers(logs)}  {now - self._epoch_started:.1f}s")
        self._epoch_started = now

    def finish(self, reason: str | None) -> None:
        """Prints why it ended early, if it did."""
        if reason:
            _print_line(reason)

    def replicas(self, seeds: Sequence[int]) -> Sequence[Progress]:
        """A line for each finished replica."""
        from fittingroom.board import Board

        def draw_nothing(text: str, share: float, numbers: str) -> None:
            del text, share, numbers

        return Board(seeds, draw_nothing, _print_line, _SECONDS_BETWEEN_DRAWINGS).replicas


@contextmanager
def finishing(progress: Progress) -> Iterator[None]:
    """Makes sure that an error leaves no half-drawn bar on the terminal."""
    try:
        yield
    except BaseException:
        progress.finish(None)
        raise


def progress_for_terminal() -> Progress:
    """A bar if standard error is a terminal, lines in a notebook, silence otherwise."""
    if sys.stderr.isatty():
        return TerminalProgress()
    return LineProgress() if _in_notebook() else Silent()


def progress_for_verbose(verbose: str | int) -> Progress:
    """What Keras's `verbose` asks for: 0 for silence, 1 for a bar, 2 for a line for each epoch.

    As in Keras, lines take the place of the bar where nothing can be drawn over; `auto` is silent there.
    """
    if verbose == 0:
        return Silent()
    if verbose == 2 or (verbose == 1 and not sys.stderr.isatty()):
        return LineProgress()
    return progress_for_terminal()


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; IPython is looked for, and not imported."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def _print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _numbers(logs: Mapping[str, float]) -> str:
    """The numbers with loss first, those of validation in a group of their own."""

    def group(*, validation: bool) -> str:
        names = [name for name in logs if name.startswith("val_") == validation]
        names.sort(key=lambda name: name.removeprefix("val_") != "loss")
        return " ".join(f"{name} {logs[name]:.4f}" for name in names)

    return "  ".join(filter(None, (group(validation=False), group(validation=True))))
