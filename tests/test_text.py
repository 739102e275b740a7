"""Numbers, lists and durations are written in one way everywhere."""

from __future__ import annotations

import math

import pytest

from fittingroom import text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (text.number(55_000), "55,000"),
        (text.number(-35.174, 2), "−35.17"),
        (text.number(35.174, 2, signed=True), "+35.17"),
        (text.number(-0.0004, 3, signed=True), "0.000"),
        (text.number(None), "-"),
        (text.number(math.nan, 4), "not finite"),
        (text.percent(0.8794), "87.9%"),
        (text.percent(-0.012, signed=True), "−1.2%"),
        (text.percent(None), "-"),
        (text.percent_range((0.87, 1.02)), "87.0–100.0%"),
        (text.percent_range(None), "-"),
        (text.nats(0.3352), "0.335"),
        (text.nats(-0.00123, signed=True), "−0.0012"),
        (text.points(0.04, signed=True), "+0.04"),
        (text.points(0.0, signed=True), "0.0"),
        (text.interval_of_change((-0.003, 0.011), text.nats), "−0.0030 to +0.011"),
        (text.interval_of_change((-1.4, -0.5), text.points), "0.5 to 1.4"),
        (text.amount(1, "epoch"), "1 epoch"),
        (text.amount(1200, "image"), "1,200 images"),
        (text.amount(0, "class", "classes"), "0 classes"),
        (text.word_list([]), ""),
        (text.word_list(["a"]), "a"),
        (text.word_list([1, 2], "or"), "1 or 2"),
        (text.word_list("abc"), "a, b and c"),
        (text.word_list("abcde", most=2), "a, b and 3 more"),
        (text.file_size(312_000), "0.3 MB"),
        (text.file_size(24_600), "25 kB"),
        (text.file_size(1.44e9), "1.4 GB"),
        (text.duration(4.23), "4.2 s"),
        (text.duration(12.3), "12 s"),
        (text.duration(200), "3 min"),
        (text.duration(9000), "2.5 h"),
    ],
)
def test_numbers_and_lists_are_written_in_one_way(written: str, expected: str) -> None:
    assert written == expected
