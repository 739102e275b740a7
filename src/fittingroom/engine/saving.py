"""When the snapshots of a training are saved: as often as its plan says, and seldom enough to cost next to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from fittingroom.engine.training import Snapshot

# At the end of a training that has saved itself so short a time ago, the run alone is written, no checkpoint before it.
LEAST_SECONDS_TO_LOSE = 1.0
# Snapshots of so many bytes and more wait until training has taken so many times as long as saving takes.
BYTES_SAVED_AT_ONCE = 16_000_000
TRAINING_PER_SAVING = 20
# Before the first is saved, so many bytes are thought to take a second.
BYTES_PER_SECOND = 200e6


class Saving:
    """The latest snapshot of a training, and what has become of it.

    A small model's snapshot takes milliseconds, and is saved whenever it is due. One of a model with 24 million weights
    and Adam has 290 MB, so that a training of short epochs would write its snapshots most of the time.

    Args:
        save: what saves a snapshot; None where none is saved. What it raises is raised.
        every: after how many epochs one is due.
    """

    def __init__(self, save: Callable[[Snapshot], None] | None, every: int) -> None:
        self._save = save
        self._every = every
        self._unsaved: Snapshot | None = None
        self._saved_at = time.perf_counter()
        self._last_took: float | None = None  # seconds
        self._due = False

    def take(self, snapshot: Snapshot) -> None:
        """Takes the snapshot that `save` will save."""
        self._unsaved = snapshot

    def after_epoch(self, snapshot: Snapshot, *, over: bool) -> None:
        """Takes the snapshot after an epoch, and saves it if it is time.

        Args:
            snapshot: after a whole epoch.
            over: whether training ends with it, so that the run itself is written at once.
        """
        self.take(snapshot)
        self._due |= (snapshot.epoch - snapshot.first_epoch) % self._every == 0
        if self._save is not None and self._due and self._is_worth_it(snapshot, over=over):
            self.save()

    def save(self) -> None:
        """Saves the latest snapshot, if that has not been done."""
        unsaved, self._unsaved = self._unsaved, None
        if self._save is None or unsaved is None:
            return
        began = time.perf_counter()
        self._save(unsaved)
        self._saved_at = time.perf_counter()
        self._last_took = self._saved_at - began
        self._due = False

    def _is_worth_it(self, snapshot: Snapshot, *, over: bool) -> bool:
        """Whether there is enough training to lose for the time that saving takes."""
        trained = time.perf_counter() - self._saved_at
        if over and trained < LEAST_SECONDS_TO_LOSE:
            return False
        size = sum(value.nbytes for group in snapshot.state for value in group)
        seconds = size / BYTES_PER_SECOND if self._last_took is None else self._last_took
        return size < BYTES_SAVED_AT_ONCE or trained >= TRAINING_PER_SAVING * seconds
