"""Seeds side by side or one after the other: decided from measurements that are kept, and the weights are the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import fittingroom
from fittingroom.engine import lane_choice
from fittingroom.engine.lanes import Lane

TINY = fittingroom.Recipe(name="tiny", hidden=(8,), dropout=0.1, epochs=3)  # a program that other tests have compiled


class _Machine:
    """A machine on which `gain` times as much is done side by side; notes what was decided on it."""

    def __init__(self, gain: float) -> None:
        self.gain = gain
        self.asked = 0
        self.lanes: list[int] = []

    def measured(self, works: Sequence[object], steps_of_all: int) -> list[float]:
        assert len(works) == 2
        assert steps_of_all > 0
        self.asked += 1
        return [self.gain] * 6

    def noted(self, chosen: list[Lane]) -> list[Lane]:
        self.lanes.append(len(chosen))
        return chosen


def test_the_faster_way_is_measured_twice_and_kept_and_the_weights_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = fittingroom.load("digits")
    kept, usual, weights = tmp_path / "programs" / "seeds.json", lane_choice.faster_lanes, []
    monkeypatch.setattr(lane_choice, "cache_dir", lambda: tmp_path)
    fittingroom.train(digits, TINY, seeds=2)
    assert not kept.exists()  # so short a training is not held up by measuring
    for gain in (0.8, 1.7):
        machine = _Machine(gain)
        monkeypatch.setattr(lane_choice, "_measured", machine.measured)
        monkeypatch.setattr(
            "fittingroom.training.job.faster_lanes", lambda *given, machine=machine: machine.noted(usual(*given))
        )
        runs = [fittingroom.train(digits, TINY, seeds=2) for _ in range(3)]
        weights.append([array for seed in runs[-1] for array in seed.model.get_weights()])
        assert machine.lanes == [1 if gain < 1 else 2] * 3
        assert machine.asked == 2  # twice six pairs are enough
        kept.write_bytes(b"damaged")
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
