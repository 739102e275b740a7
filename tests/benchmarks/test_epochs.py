from __future__ import annotations

import pytest

from benchmarks.epochs import our_epoch, their_epochs
from benchmarks.pairs import Sample

SECONDS = {"setup": 0.5, "compile": 0.25, "train": 6.0}


def test_our_epoch_is_training_time_alone() -> None:
    assert our_epoch({"seconds": SECONDS, "epochs": 5}) == pytest.approx(1.2)


def test_time_of_a_group_is_shared_by_its_seeds() -> None:
    assert our_epoch({"seconds": SECONDS, "epochs": 5, "per_seed": [{}, {}]}) == pytest.approx(0.6)


def test_first_epoch_with_its_compilation_stands_apart() -> None:
    assert their_epochs(Sample(9, 1, "loss: 0.3\n[5.0, 1.0, 3.0, 2.0]\n")) == (2.0, 5.0)
