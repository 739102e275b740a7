"""The progress of several replicas at once on a terminal: where each is, and mean and spread of what they reached."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# Draws a bar: its text, the share that is done (0 to 1), and the numbers beside it.
Draw = Callable[[str, float, str], None]
Print = Callable[[str], None]


class Board:
    """Collects what the replicas report, from whichever thread, and draws one bar for all of them.

    Args:
        seeds: of the replicas.
        draw: draws the bar; called at most ten times per second.
        print_line: prints a line above it.
    """

    def __init__(self, seeds: Sequence[int], draw: Draw, print_line: Print, pause: float) -> None:
        self._lock = threading.Lock()
        self._draw = draw
        self._print = print_line
        self._pause = pause
        self._drawn = 0.0
        self.replicas = [Place(self, seed) for seed in seeds]

    def stage(self, text: str) -> None:
        """What all replicas wait for, for example `compiling`."""
        with self._lock:
            self._draw(text, 0.0, "")

    def update(self, line: str | None = None) -> None:
        """Some replica has got on; `line` is what is to be printed of it."""
        with self._lock:
            if line is not None:
                self._print(line)
                if all(each.over for each in self.replicas) and len(self.replicas) > 1:
                    self._print(f"all {len(self.replicas)}  {spread_text([each.logs for each in self.replicas])}")
            if line is not None or time.perf_counter() - self._drawn >= self._pause:
                self._drawn = time.perf_counter()
                self._draw(*self._state())

    def _state(self) -> tuple[str, float, str]:
        over = sum(place.over for place in self.replicas)
        running = [f"seed {each.seed}: {each.epochs_done + 1}/{each.epochs}" for each in self.replicas if each.runs]
        share = math.fsum(place.share for place in self.replicas) / len(self.replicas)
        reached = spread_text([dict(list(shown(each.logs).items())[-1:]) for each in self.replicas if each.logs])
        numbers = "  ".join(filter(None, [", ".join(running[:4]), reached]))
        return f"{over}/{len(self.replicas)} replicas", share, numbers


@dataclass
class Place:
    """One replica on the board: a `Progress` that tells the board instead of drawing."""

    board: Board
    seed: int
    epochs: int = 0
    epochs_done: int = 0
    part: float = 0.0  # of the running epoch, 0 to 1
    logs: dict[str, float] = field(default_factory=dict)
    over: bool = False
    started: float = 0.0

    @property
    def runs(self) -> bool:
        """Whether it has begun and is not over."""
        return self.epochs > 0 and not self.over

    @property
    def share(self) -> float:
        """How much of its training is done, 0 to 1."""
        return 1.0 if self.over else (self.epochs_done + self.part) / max(self.epochs, 1)

    def stage(self, text: str) -> None:
        """What all replicas wait for."""
        self.board.stage(text)

    def start(self, epochs: int, steps: int) -> None:
        """This replica begins."""
        del steps
        self.epochs, self.started = epochs, time.perf_counter()
        self.board.update()

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        """A part of an epoch is done."""
        del logs
        self.epochs_done, self.part = epoch, done / total
        self.board.update()

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch is finished."""
        self.epochs_done, self.part, self.logs = epoch + 1, 0.0, dict(logs)
        self.board.update()

    def finish(self, reason: str | None) -> None:
        """This replica is over."""
        self.over = True
        text = "  ".join(f"{name} {value:.4f}" for name, value in shown(self.logs).items())
        seconds = time.perf_counter() - self.started
        count = f"{self.epochs_done} epoch{'' if self.epochs_done == 1 else 's'}"
        self.board.update("  ".join(filter(None, [f"seed {self.seed}", count, text, f"{seconds:.1f}s", reason])))

    def replicas(self, seeds: Sequence[int]) -> Sequence[Place]:
        """A replica has no replicas of its own."""
        raise NotImplementedError


def shown(logs: Mapping[str, float]) -> dict[str, float]:
    """The numbers of validation where there are some, else those of training; loss first."""
    names = [name for name in logs if name.startswith("val_")] or list(logs)
    return {name: logs[name] for name in sorted(names, key=lambda name: not name.endswith("loss"))}


def spread_text(each: Sequence[Mapping[str, float]]) -> str:
    """Mean and standard deviation between replicas: `val_accuracy 0.8741 ± 0.0042`; no deviation for a single one."""
    texts = []
    for name in shown(each[0]) if each else ():
        values = [logs[name] for logs in each if name in logs]
        mean = math.fsum(values) / len(values)
        squares = math.fsum((value - mean) ** 2 for value in values)
        spread = f" ± {math.sqrt(squares / (len(values) - 1)):.4f}" if len(values) > 1 else ""
        texts.append(f"{name} {mean:.4f}{spread}")
    return "  ".join(texts)
