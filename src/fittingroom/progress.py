"""How far a training, a download or a folder of pictures is: on a terminal, in a notebook, or not shown at all.

Whoever works tells a `Progress`, and does not know who listens. Rich draws, and is imported only where something is
drawn. Everything is drawn by the caller, ten times per second at most: no thread takes time from the training.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fittingroom.text import amount, number

if TYPE_CHECKING:
    import numpy.typing as npt
    from rich.console import Console

SAY_STAGES = "FITTINGROOM_SAY_STAGES"
"""The environment variable with which the studio asks `train` to print what comes before the first epoch."""

_SECONDS_BETWEEN_DRAWINGS = 0.1
_SECONDS_BETWEEN_LINES = 0.5  # in a notebook, which keeps what was drawn over
_BAR_WIDTH = 20  # characters

# Draws a bar: its text, the share that is done (0 to 1), and the numbers beside it.
_Draw = Callable[[str, float, str], None]
_Print = Callable[[str], None]


class Progress:
    """What a training reports while it runs. This class shows nothing; subclasses do. Epochs count from 0, as in Keras.

    As a context it makes sure that an error leaves no half-drawn bar on the terminal.
    """

    def stage(self, text: str) -> None:
        """What is being done before the first epoch, for example `compiling`."""

    def start(self, epochs: int, steps: int) -> None:
        """Training begins: at most `epochs` of `steps` each."""

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        """`done` of `total` steps of an epoch are finished; called a few times per second at most."""

    def validated(self, epoch: int, predicted: npt.NDArray[Any], loss: npt.NDArray[Any]) -> None:
        """What the weights make of each validation image after an epoch: class and loss in nats, each `(images,)`.

        Called before `epoch`, and not where the images may come in another order next time.
        """

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch is finished, its validation too."""

    def fitted(self, logs: Mapping[str, float], seconds: float) -> None:
        """A model that has no epochs is fitted, and validated; for who only knows epochs it is the first and last."""
        del seconds
        self.start(1, 1)
        self.epoch(0, logs)

    def finish(self, reason: str | None) -> None:
        """Training is over; `reason` says why it ended before the last epoch, if it did."""

    def for_seeds(self, seeds: Sequence[int]) -> Sequence[Progress]:
        """One for each of the seeds that train at once, or for the only one; each reports from a thread of its own."""
        return [self] * len(seeds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, where: TracebackType | None) -> None:
        if kind is not None:
            self.finish(None)


class _LineProgress(Progress):
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
        self._print(f"epoch {self._numbered(epoch)}  {_numbers(logs)}  {now - self._epoch_started:.1f}s")
        self._epoch_started = now

    def fitted(self, logs: Mapping[str, float], seconds: float) -> None:
        """Prints the line of a model without epochs."""
        self._print(f"fitted  {_numbers(logs)}  {seconds:.1f}s")

    def finish(self, reason: str | None) -> None:
        """Prints why training ended early, if it did."""
        if reason:
            self._print(reason)

    def for_seeds(self, seeds: Sequence[int]) -> Sequence[Progress]:
        """This one for a single seed; several print a line for each finished seed."""
        if len(seeds) == 1:
            return [self]
        return seeds_progress(seeds, self._draw_seeds, self._print)

    def _numbered(self, epoch: int) -> str:
        return f"{epoch + 1}/{self._epochs}"

    def _draw_seeds(self, text: str, share: float, numbers: str) -> None:
        """Nothing: lines cannot be drawn over."""

    def _print(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


class _NotebookProgress(_LineProgress):
    """The lines of a notebook's cell, and below them how far the running epoch is, or the seeds are.

    The last line begins anew with a carriage return, as notebooks of every kind show it; the line of the finished epoch
    takes its place.
    """

    def __init__(self) -> None:
        super().__init__()
        self._drawn = time.perf_counter()
        self._wide = 0  # characters of the line that is drawn over

    def stage(self, text: str) -> None:
        """Shows the text until the first epoch begins."""
        self._draw(text)

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        """Draws how much of the epoch is done."""
        self._draw_seeds(f"epoch {self._numbered(epoch)}", done / total, f"{done}/{total}  {_numbers(logs)}")

    def finish(self, reason: str | None) -> None:
        """Takes the line away, and prints why training ended early, if it did."""
        self._write("\r" + " " * self._wide + "\r" if self._wide else "")
        self._wide = 0
        super().finish(reason)

    def _draw_seeds(self, text: str, share: float, numbers: str) -> None:
        if time.perf_counter() - self._drawn >= _SECONDS_BETWEEN_LINES:
            full = round(_BAR_WIDTH * min(share, 1.0))
            self._draw(f"{text} {'█' * full}{'░' * (_BAR_WIDTH - full)} {numbers}".rstrip())

    def _draw(self, text: str) -> None:
        self._write(f"\r{text:<{self._wide}}" if self._wide else text)
        self._wide, self._drawn = len(text), time.perf_counter()

    def _print(self, text: str) -> None:
        self._write(f"\r{text:<{self._wide}}\n" if self._wide else f"{text}\n")
        self._wide = 0

    def _write(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()


class _TerminalProgress(_LineProgress):
    """A bar for the running epoch, and a line for each finished one; of several seeds one bar and a line for each.

    Args:
        console: where to draw; by default standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        super().__init__()
        self._console = console or Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[numbers]}"))
        # Rich's own thread would draw whether or not there is anything new, and take the lock from Python's other ones.
        self._bar = RichProgress(*columns, console=self._console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=None, numbers="")
        self._drawn = 0.0

    def stage(self, text: str) -> None:
        """Shows a text beside a bar that waits."""
        self._bar.start()
        self._draw(text, 0, None)

    def start(self, epochs: int, steps: int) -> None:
        """Shows the empty bar of the first epoch."""
        super().start(epochs, steps)
        self._bar.start()
        self._draw(f"epoch 1/{epochs}", 0, steps)

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        """Moves the bar."""
        if time.perf_counter() - self._drawn >= _SECONDS_BETWEEN_DRAWINGS:
            self._draw(f"epoch {epoch + 1}/{self._epochs}", done, total, f"{done}/{total}  {_numbers(logs)}")

    def finish(self, reason: str | None) -> None:
        """Takes the bar away, and prints why training ended early, if it did."""
        self._bar.stop()
        super().finish(reason)

    def _numbered(self, epoch: int) -> str:
        # Without the number of epochs, which the bar shows, a line of fewer than 100 epochs fits into 80 columns.
        return f"{epoch + 1:>{len(str(self._epochs))}}"

    def _draw_seeds(self, text: str, share: float, numbers: str) -> None:
        self._draw(text, round(1000 * share), 1000 if share else None, numbers)

    def _draw(self, text: str, done: int, total: int | None, numbers: str = "") -> None:
        self._bar.update(self._task, description=text, completed=done, total=total, numbers=numbers)
        self._bar.refresh()
        self._drawn = time.perf_counter()

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)


def progress_for(verbose: str | int = "auto") -> Progress:
    """What Keras's `verbose` asks for: 0 for silence, 1 for a bar, 2 for a line for each epoch.

    `auto` is a bar if standard error is a terminal, lines in a notebook with a bar below them while an epoch takes
    long, and silence elsewhere. Where nothing can be drawn over, 1 gives lines, as in Keras.
    """
    if verbose == 0:
        return Progress()
    if verbose != 2 and sys.stderr.isatty():
        return _TerminalProgress()
    if verbose != 2 and _in_notebook():
        return _NotebookProgress()
    return _LineProgress() if verbose in {1, 2} else Progress()


def seeds_progress(seeds: Sequence[int], draw: _Draw, print_line: _Print | None = None) -> Sequence[Progress]:
    """One for each of several seeds, told from any thread: they draw one bar, and a line for each finished seed.

    Args:
        seeds: the seeds that train at once.
        draw: draws the bar; called at most ten times per second.
        print_line: prints a line above it; None for no lines.
    """
    return _SeedBoard(seeds, draw, print_line).seeds


class _SeedBoard:
    """Where several seeds are, and mean and spread of what they reached. See `seeds_progress`."""

    def __init__(self, seeds: Sequence[int], draw: _Draw, print_line: _Print | None) -> None:
        self._lock = threading.Lock()
        self._draw = draw
        self._print = print_line
        self._drawn = 0.0
        self.seeds = [_SeedProgress(self, seed) for seed in seeds]

    def stage(self, text: str) -> None:
        with self._lock:
            self._draw(text, 0.0, "")

    def update(self, line: str | None = None) -> None:
        """Some seed has got further; `line` is what is to be printed of it."""
        with self._lock:
            if line is not None and self._print is not None:
                self._print(line)
                if all(each.over for each in self.seeds) and len(self.seeds) > 1:
                    self._print(f"all {len(self.seeds)}  {_spread([each.logs for each in self.seeds])}")
            if line is not None or time.perf_counter() - self._drawn >= _SECONDS_BETWEEN_DRAWINGS:
                self._drawn = time.perf_counter()
                self._draw(*self._state())

    def _state(self) -> tuple[str, float, str]:
        over = sum(each.over for each in self.seeds)
        running = [
            f"seed {each.seed}: {each.epochs_done + 1}/{each.epochs}"
            for each in self.seeds
            if each.epochs and not each.over
        ]
        share = math.fsum(each.share for each in self.seeds) / len(self.seeds)
        reached = _spread([dict(list(_main(each.logs).items())[-1:]) for each in self.seeds if each.logs])
        numbers = "  ".join(filter(None, [", ".join(running[:4]), reached]))
        return f"{over}/{len(self.seeds)} seeds", share, numbers


class _SeedProgress(Progress):
    """One seed: tells the board instead of drawing."""

    def __init__(self, board: _SeedBoard, seed: int) -> None:
        self._board = board
        self.seed = seed
        self.epochs = 0
        self.epochs_done = 0
        self.logs: dict[str, float] = {}
        self.over = False
        self._part = 0.0  # of the running epoch, 0 to 1
        self._started = 0.0
        self._fitted: float | None = None  # seconds, of a model without epochs

    @property
    def share(self) -> float:
        """How much of its training is done, 0 to 1."""
        return 1.0 if self.over else (self.epochs_done + self._part) / max(self.epochs, 1)

    def stage(self, text: str) -> None:
        self._board.stage(text)

    def start(self, epochs: int, steps: int) -> None:
        del steps
        self.epochs, self._started = epochs, time.perf_counter()
        self._board.update()

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        del logs
        self.epochs_done, self._part = epoch, done / total
        self._board.update()

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        self.epochs_done, self._part, self.logs = epoch + 1, 0.0, dict(logs)
        self._board.update()

    def fitted(self, logs: Mapping[str, float], seconds: float) -> None:
        self.logs, self._fitted = dict(logs), seconds

    def finish(self, reason: str | None) -> None:
        self.over = True
        text = "  ".join(f"{name} {number(value, 4)}" for name, value in _main(self.logs).items())
        took = time.perf_counter() - self._started if self._fitted is None else self._fitted
        epochs = amount(self.epochs_done, "epoch") if self._fitted is None else None
        parts = [f"seed {self.seed}", epochs, text, f"{took:.1f}s", reason]
        self._board.update("  ".join(filter(None, parts)))


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; IPython is looked for, and not imported."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def _numbers(logs: Mapping[str, float]) -> str:
    """The numbers with loss first, those of validation in a group of their own."""

    def group(*, validation: bool) -> str:
        names = [name for name in logs if name.startswith("val_") == validation]
        names.sort(key=lambda name: name.removeprefix("val_") != "loss")
        return " ".join(f"{name} {number(logs[name], 4)}" for name in names)

    return "  ".join(filter(None, (group(validation=False), group(validation=True))))


def _main(logs: Mapping[str, float]) -> dict[str, float]:
    """The numbers of validation where there are some, else those of training; loss first."""
    names = [name for name in logs if name.startswith("val_")] or list(logs)
    return {name: logs[name] for name in sorted(names, key=lambda name: not name.endswith("loss"))}


def _spread(each: Sequence[Mapping[str, float]]) -> str:
    """Mean and standard deviation over seeds: `val_accuracy 0.8741 ± 0.0042`; no deviation for a single one."""
    texts = []
    for name in _main(each[0]) if each else ():
        values = [logs[name] for logs in each if name in logs]
        mean = math.fsum(values) / len(values)
        squares = math.fsum((value - mean) ** 2 for value in values)
        spread = f" ± {number(math.sqrt(squares / (len(values) - 1)), 4)}" if len(values) > 1 else ""
        texts.append(f"{name} {number(mean, 4)}{spread}")
    return "  ".join(texts)
