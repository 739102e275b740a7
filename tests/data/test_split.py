from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.data.split import cut_test, cut_validation
from fittingroom.errors import DataError
from tests.data.builders import images, labels


def shares(counts: Sequence[int], validation: int | float | None) -> tuple[int, ...]:
    """How many images of each class a split takes."""
    y = labels(*counts).astype(np.int32)
    return tuple(np.bincount(y[cut_validation(y, len(counts), validation, 0)], minlength=len(counts)).tolist())


COUNTS = st.lists(st.integers(1, 60), min_size=2, max_size=12)


@given(counts=COUNTS, data=st.data())
def test_shares_add_up_and_leave_one_image_of_each_class(counts: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(counts) - len(counts)))
    given_ = shares(counts, total)
    assert sum(given_) == total
    assert all(0 <= share < count for share, count in zip(given_, counts, strict=True))


@given(counts=st.lists(st.integers(20, 60), min_size=2, max_size=12), data=st.data())
def test_shares_are_within_one_of_proportional(counts: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(counts) // 2))
    for share, count in zip(shares(counts, total), counts, strict=True):
        assert abs(share - total * count / sum(counts)) < 1


def test_remainders_go_to_the_largest_fractions() -> None:
    assert shares([50, 30, 20], 11) == (6, 3, 2)  # 5.5, 3.3, 2.2
    assert shares([10, 10, 10, 10], 6) == (2, 2, 1, 1)  # ties: the earlier classes


def test_a_test_part_has_at_least_one_of_each_class_where_two_are() -> None:
    for counts, size, expected in (((100, 2, 1), 5, [4, 1, 0]), ((1000, 2, 2, 1), 1, [1, 1, 1, 0])):
        y = labels(*counts).astype(np.int32)
        chosen = cut_test(images(len(y)), y, len(counts), size / len(y))
        assert np.bincount(y[chosen], minlength=len(counts)).tolist() == expected


@given(counts=COUNTS, seed=st.integers(0, 2**32), data=st.data())
def test_a_split_takes_just_its_shares(counts: list[int], seed: int, data: st.DataObject) -> None:
    y = labels(*counts).astype(np.int32)
    size = data.draw(st.integers(0, sum(counts) - len(counts)))
    chosen = cut_validation(y, len(counts), size, seed)
    assert np.bincount(y[chosen], minlength=len(counts)).tolist() == list(shares(counts, size))


def test_the_split_is_this_one_on_every_machine() -> None:
    y = labels(300, 200, 100).astype(np.int32)
    chosen = cut_validation(y, 3, 60, 7)
    assert np.flatnonzero(chosen)[:8].tolist() == [19, 23, 35, 42, 55, 80, 85, 92]
    assert hashlib.sha256(np.packbits(chosen).tobytes()).hexdigest()[:16] == "a7f4d335aec9ce4d"


def test_another_seed_gives_another_split() -> None:
    y = labels(300, 200, 100).astype(np.int32)
    one, other = (cut_validation(y, 3, 60, seed) for seed in (1, 2))
    assert (one & other).sum() < 30


def test_a_smaller_validation_part_lies_in_a_larger_one() -> None:
    y = labels(300, 200, 100).astype(np.int32)
    small, large = (cut_validation(y, 3, size, 1) for size in (60, 120))
    assert not (small & ~large).any()


@pytest.mark.parametrize(
    ("counts", "validation", "size"),
    [
        ((6000,) * 10, None, 5000),
        ((120, 120), None, 20),
        ((2, 2), None, 2),  # a twelfth is one image, and each class gives one
        ((1, 1), None, 0),
        ((100, 100), 0, 0),
        ((100, 100), 0.0, 0),
        ((100, 100), 0.25, 50),
        ((100, 100), 0.001, 1),
        ((100, 100), 198, 198),
    ],
)
def test_size_of_the_validation_part(counts: tuple[int, ...], validation: float | None, size: int) -> None:
    assert sum(shares(counts, validation)) == size


@pytest.mark.parametrize("validation", [-1, 199, 60_000])
def test_a_number_that_cannot_be_spared_is_refused_with_the_limits(validation: int) -> None:
    with pytest.raises(DataError, match=f"validation is {validation:,} images.* a number from 0 to 198"):
        shares((100, 100), validation)


@pytest.mark.parametrize("validation", [-0.1, 1.0, 5000.0, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(validation: float) -> None:
    with pytest.raises(DataError, match="a fraction must lie between 0 and 1"):
        shares((100, 100), validation)


def test_the_test_cut_follows_the_pictures_whatever_their_order() -> None:
    x, y = images(200), labels(100, 100).astype(np.int32)
    order = np.random.default_rng(0).permutation(200)
    chosen, shuffled = cut_test(x, y, 2, 0.15), cut_test(x[order], y[order], 2, 0.15)
    np.testing.assert_array_equal(chosen[order], shuffled)
    assert np.bincount(y[chosen]).tolist() == [15, 15]


def test_pictures_added_later_move_few_between_the_parts() -> None:
    x, y = images(220), labels(110, 110).astype(np.int32)
    before, after = cut_test(x[:200], y[:200], 2, 0.15), cut_test(x, y, 2, 0.15)
    assert (before != after[:200]).sum() <= 6
