"""What listens to a search: the table on a terminal, and the training of a trial that may be ended early."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from fittingroom.experiments.live import LiveTable, Quiet, Watcher
from fittingroom.experiments.store import CellState
from fittingroom.experiments.study import Proposal, Trial
from fittingroom.progress import Progress


class SearchWatcher(Watcher, Protocol):
    """What listens to a search."""

    def trials(self, trials: Sequence[Trial], total: int) -> None:
        """What has become of the trials so far, of so many; told before `state`."""


class QuietSearch(Quiet):
    """Shows nothing."""

    def trials(self, trials: Sequence[Trial], total: int) -> None:
        """Nothing."""


class SearchTable(LiveTable):
    """The table of an experiment, which counts trials."""

    _trials: Sequence[Trial] = ()
    _wanted = 0

    def trials(self, trials: Sequence[Trial], total: int) -> None:
        """Takes over what has become of the trials; the next `state` shows it."""
        self._trials, self._wanted = trials, total

    @property
    def _over(self) -> int:
        return sum(trial.status != "running" for trial in self._trials)

    @property
    def _total(self) -> int:
        return self._wanted

    def _counted(self) -> tuple[str, str]:
        counts = {status: sum(trial.status == status for trial in self._trials) for status in ("pruned", "failed")}
        others = "".join(f", {count} {status}" for status, count in counts.items() if count)
        return "trials", f"{self._over} of {self._total} done{others}"


def search_watcher_for_terminal() -> SearchWatcher:
    """A live table if standard error is a terminal, silence otherwise."""
    return SearchTable() if sys.stderr.isatty() else QuietSearch()


class Pruning:
    """Watches the training of a trial for another watcher, and ends it where its first seed falls behind.

    A single seed decides, so that what is decided does not depend on how many train side by side.

    Args:
        watcher: is told of the training.
        proposal: the trial.
        seed: the first.
        metric: what is wanted, as the epochs' numbers name it.
    """

    def __init__(self, watcher: Watcher, proposal: Proposal, seed: int, metric: str) -> None:
        self.pruned = threading.Event()
        self.seed = seed
        self._watcher = watcher
        self._proposal = proposal
        self._metric = metric

    def state(self, states: Sequence[CellState]) -> None:
        """Nothing: the search tells what has become of all trials."""

    def training(self, name: str, cells: int) -> Progress:
        """What listens to the replicas."""
        del cells
        return _Listener(self._watcher.training(name, 1), self)

    def close(self) -> None:
        """Nothing: the search goes on."""

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch of the first seed is over, and it was not the last."""
        if self._metric in logs and self._proposal.epoch(epoch, logs[self._metric]):
            self.pruned.set()


class _Listener:
    """Hands on what it hears, and ends a training as Ctrl-C would when the trial is pruned.

    Args:
        listener: hears all of it too.
        pruning: is told of the epochs.
        decides: whether this is the first seed.
    """

    def __init__(self, listener: Progress, pruning: Pruning, *, decides: bool = False) -> None:
        self._listener = listener
        self._pruning = pruning
        self._decides = decides
        self._epochs = 0

    def stage(self, text: str) -> None:
        """What is being done before the first epoch."""
        self._listener.stage(text)

    def start(self, epochs: int, steps: int) -> None:
        """Training begins."""
        self._epochs = epochs
        self._listener.start(epochs, steps)

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        """A part of an epoch is done."""
        self._listener.step(epoch, done, total, logs)
        self._end_if_pruned()

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch is finished."""
        self._listener.epoch(epoch, logs)
        if epoch + 1 < self._epochs:
            if self._decides:
                self._pruning.epoch(epoch, logs)
            self._end_if_pruned()

    def finish(self, reason: str | None) -> None:
        """Training is over."""
        self._listener.finish(reason)

    def replicas(self, seeds: Sequence[int]) -> Sequence[Progress]:
        """A listener for each replica."""
        listeners = zip(seeds, self._listener.replicas(seeds), strict=True)
        return [_Listener(one, self._pruning, decides=seed == self._pruning.seed) for seed, one in listeners]

    def _end_if_pruned(self) -> None:
        if self._pruning.pruned.is_set():
            raise KeyboardInterrupt
