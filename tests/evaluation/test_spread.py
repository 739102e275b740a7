from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from fittingroom.evaluation.spread import Spread


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_mean_deviation_and_interval_are_those_of_the_textbook(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.mean == pytest.approx(statistics.mean(values), abs=1e-9)
    assert spread.deviation == pytest.approx(statistics.stdev(values), abs=1e-9)
    if len(set(values)) == 1:  # an interval without width would claim to know every other seed
        assert spread.interval is None
        return
    assert spread.interval is not None
    if statistics.stdev(values) > 1e-9:
        scale = statistics.stdev(values) / len(values) ** 0.5
        expected = t.interval(0.95, len(values) - 1, statistics.mean(values), scale)
        assert spread.interval == pytest.approx(expected, abs=1e-6)


def test_one_value_has_neither_deviation_nor_interval() -> None:
    assert Spread.of([0.5]).to_dict() == {"mean": 0.5, "deviation": None, "interval": None, "values": [0.5]}
