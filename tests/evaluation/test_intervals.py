from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from fittingroom.errors import InputError
from fittingroom.evaluation.spread import Interval


@given(count=st.integers(1, 100_000), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
def test_wilson_is_scipys(count: int, share: float, confidence: float) -> None:
    correct = round(share * count)
    expected = binomtest(correct, count).proportion_ci(confidence, method="wilson")
    assert Interval.wilson(correct, count, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nine_thousand_of_ten_thousand() -> None:
    assert Interval.wilson(9000, 10_000) == pytest.approx((0.8940, 0.9057), abs=5e-5)


@given(count=st.integers(1, 10_000))
def test_all_wrong_and_all_right_reach_their_end_exactly(count: int) -> None:
    none, everything = Interval.wilson(0, count), Interval.wilson(count, count)
    assert none.low == 0 < none.high
    assert everything.high == 1 > everything.low
    assert none.high == pytest.approx(1 - everything.low)


@given(count=st.integers(1, 10_000), data=st.data())
def test_interval_holds_the_proportion(count: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, count))
    interval = Interval.wilson(correct, count)
    assert 0 <= interval.low <= correct / count <= interval.high <= 1


def test_more_images_make_it_narrower_and_more_confidence_wider() -> None:
    def width(*arguments: float) -> float:
        low, high = Interval.wilson(*arguments)  # type: ignore[arg-type]
        return high - low

    assert width(900, 1000) < width(90, 100) < width(90, 100, 0.99)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "correct=0, count=0: expected count of 1 or more"),
        ((-1, 5), "correct=-1, count=5"),
        ((6, 5), "correct=6, count=5"),
        ((1, 2, 1.0), "confidence=1.0: expected a number between 0 and 1"),
        ((1, 2, 0.0), "confidence=0.0"),
    ],
)
def test_impossible_counts_are_refused(arguments: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Interval.wilson(*arguments)
