from __future__ import annotations

import dataclasses

from benchmarks.bars import Bar, bars_table
from benchmarks.pairs import Spread

EPOCH = Bar("an epoch", "Keras", ours=[1.0, 10.0, 2.0], theirs=[3.0, 30.0, 6.0])


def test_ratio_is_taken_within_each_round() -> None:
    assert EPOCH.ratios() == Spread(3.0, 3.0, 3.0)


def test_more_images_per_second_are_faster() -> None:
    bar = Bar("training", "Keras", [3000.0], [1000.0], unit=" images/s", digits=0, ratio="ours / theirs")
    assert bar.row() == (
        "training",
        "3,000 images/s (3,000–3,000)",
        "Keras: 1,000 images/s (1,000–1,000)",
        "3.00× (3.00–3.00) as fast",
    )


def test_table_keeps_the_same_work_together() -> None:
    other = Bar("memory", "Keras", [1.0], [2.0])
    lines = bars_table([EPOCH, other, dataclasses.replace(EPOCH, against="PyTorch")]).splitlines()
    assert [line.split("|")[1].strip() for line in lines] == ["work", "-" * 10, "an epoch", "an epoch", "memory"]


def test_bar_survives_being_stored() -> None:
    assert Bar(**dataclasses.asdict(EPOCH)) == EPOCH
