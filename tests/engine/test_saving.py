"""When snapshots are saved: when one is due, and training has taken much longer than saving takes."""

from __future__ import annotations

import numpy as np
import pytest

from fittingroom.engine import snapshots as saving
from fittingroom.engine.snapshots import Snapshot, SnapshotSaver
from fittingroom.engine.state import State


def snapshot(epoch: int, size: int) -> Snapshot:
    """After so many epochs, with so many bytes of state."""
    return Snapshot(State((np.zeros(size, np.uint8),), (), (), ()), (), 0, epoch, 0, 0.0, None, (), None)


def saved(size: int, every: int = 1) -> list[int]:
    """After which of six epochs, which take no time, the snapshot is saved; the last one ends the training."""
    found: list[Snapshot] = []
    kept = SnapshotSaver(found.append, every)
    for epoch in range(1, 7):
        kept.after_epoch(snapshot(epoch, size), over=epoch == 6)
    return [one.epoch for one in found]


@pytest.mark.parametrize("size", [100, 16_000_000])
def test_a_snapshot_waits_until_training_has_taken_much_longer(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert saved(size) == []
    monkeypatch.setattr(saving, "TRAINING_PER_SAVING", 0)
    assert saved(size) == [1, 2, 3, 4, 5]  # the last ends training, so the run itself is written next
    assert saved(size, every=2) == [2, 4]


def test_the_latest_snapshot_is_saved_when_asked_for_and_once() -> None:
    found: list[Snapshot] = []
    kept = SnapshotSaver(found.append, 1)
    for epoch in (1, 2):
        kept.after_epoch(snapshot(epoch, 100), over=False)
    kept.save()
    kept.save()
    assert [one.epoch for one in found] == [2]
