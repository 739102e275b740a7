from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fittingroom.data.values import to_images, to_labels
from fittingroom.errors import DataError
from tests.data.builders import images

PIXELS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3), elements=st.integers(0, 255)).filter(
    lambda array: array.max() > 1
)


@given(array=PIXELS, kind=st.sampled_from(["f4", "f8", "i2", "i8", "u4"]))
def test_0_to_255_in_any_type_comes_out_as_the_same_bytes(array: np.ndarray, kind: str) -> None:
    converted, notes = to_images({"x": array.astype(kind)})
    np.testing.assert_array_equal(converted["x"], array)
    assert "taken as 0-255." in notes[0]


@given(array=PIXELS.filter(lambda array: array.max() < 256), kind=st.sampled_from(["f4", "f8"]))
def test_0_to_1_comes_out_as_the_bytes_it_was_made_from(array: np.ndarray, kind: str) -> None:
    converted, notes = to_images({"x": array.astype(kind) / 255})
    np.testing.assert_array_equal(converted["x"], array)
    assert "taken as 0-1 and multiplied by 255." in notes[0]


def test_bytes_pass_without_a_copy_or_a_note() -> None:
    array = images(3)
    converted, notes = to_images({"x": array})
    assert np.shares_memory(converted["x"], array)
    assert notes == ()


def test_zeros_and_ones_are_taken_as_0_to_1_even_as_bytes() -> None:
    converted, notes = to_images({"x": np.eye(4, dtype=np.uint8)[None]})
    assert set(np.unique(converted["x"])) == {0, 255}
    assert "multiplied by 255" in notes[0]


def test_rounding_is_said_with_its_size() -> None:
    _, notes = to_images({"x": np.full((1, 2, 2), 100.25)})
    assert "rounding changed them by at most 0.25 of 255" in notes[0]


def test_the_scale_is_guessed_for_all_arrays_together() -> None:
    converted, _ = to_images({"a": np.full((1, 2, 2), 1.0), "b": np.full((1, 2, 2), 0.2)})
    assert converted["b"].max() == 51
    with pytest.raises(DataError, match=r"the scales differ: the largest values are \{'a': 1.0, 'b': 255.0\}"):
        to_images({"a": np.full((1, 2, 2), 1.0), "b": np.full((1, 2, 2), 255)})


def test_nan_rows_are_listed() -> None:
    array = np.zeros((20, 2, 2))
    array[[3, 5, 7, 11, 13, 17], 0, 1] = np.nan
    array[4, 1, 1] = np.inf
    with pytest.raises(
        DataError, match="x has NaN or infinite values in row 3, row 4, row 5, row 7, row 11 and 2 more"
    ):
        to_images({"x": array})


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0, 300), (0, 4000.5), (-3, 255)])
def test_values_on_neither_scale_are_refused_with_their_range(low: float, high: float) -> None:
    with pytest.raises(DataError, match=f"values from {low:g} to {high:g}; expected 0-255 or 0-1"):
        to_images({"x": np.array([[[low, high]]])})


@pytest.mark.parametrize(("white", "factor"), [(4095, 16.0588), (65535, 257)])
def test_pictures_of_12_and_16_bits_become_8_and_it_is_said(white: int, factor: float) -> None:
    array = images(3)
    converted, notes = to_images({"x": np.rint(array * (white / 255)).astype(np.uint16)})
    np.testing.assert_array_equal(converted["x"], array)
    assert f"taken as 0-{white} and divided by {factor:g}" in notes[0]


def test_values_that_were_divided_twice_are_refused_and_one_dark_picture_is_not() -> None:
    with pytest.raises(DataError, match=r"from 0 to 0.0039.* divided by 255 twice. Multiply them by 255."):
        to_images({"x": images(3) / 255 / 255})
    assert to_images({"x": np.eye(8)[None] / 255})[0]["x"].max() == 1


def test_an_array_that_is_far_darker_than_another_is_noted() -> None:
    _, notes = to_images({"a": images(9), "b": images(9) // 16})
    assert notes == ("b has no value above 15, but the brightest array goes up to 255. Are they on the same scale?",)


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        ((5, 783), r"\.reshape\(n, height, width\)"),
        ((5,), r"Are images and labels swapped\?"),
        ((5, 28, 28, 4), r"transparency: \[..., :3\]"),
        ((5, 3, 28, 28), r"channels come first: \.transpose\(0, 2, 3, 1\)"),
        ((5, 28, 28, 3, 1), r"\.reshape"),
    ],
)
def test_other_shapes_are_refused_with_what_mends_them(shape: tuple[int, ...], way: str) -> None:
    with pytest.raises(DataError, match=rf"expected \(n, height, width\) or.*{way}"):
        to_images({"x": np.zeros(shape, np.uint8)})


def test_signed_bytes_are_distinguished_from_standardised_values() -> None:
    with pytest.raises(DataError, match=r"above 127 became negative: \.view\('uint8'\) restores them"):
        to_images({"x": images(3).view(np.int8)})


def test_one_channel_is_grey() -> None:
    assert to_images({"x": np.full((2, 5, 4, 1), 9, np.uint8)})[0]["x"].shape == (2, 5, 4)


def test_no_pictures_at_all_are_refused() -> None:
    with pytest.raises(DataError, match="there are no pictures in it"):
        to_images({"x": np.zeros((0, 28, 28), np.uint8)})


def test_parts_of_different_size_are_refused() -> None:
    with pytest.raises(DataError, match=r"differ in shape: \{'a': \(28, 28\), 'b': \(8, 8\)\}"):
        to_images({"a": images(1), "b": images(1, 8, 8)})


@given(values=st.lists(st.integers(0, 9)), kind=st.sampled_from(["u1", "i8", "f4", "f8"]))
def test_whole_numbers_of_any_type_are_labels(values: list[int], kind: str) -> None:
    for shape in ((-1,), (-1, 1)):
        converted = to_labels(np.array(values, kind).reshape(shape), "y", 10)
        assert converted.dtype == np.int32
        assert converted.tolist() == values


def test_bad_labels_list_the_first_five() -> None:
    values = np.array([0, -1, 1.5, 10, np.nan, 3, np.inf, 99, 2])
    with pytest.raises(
        DataError,
        match=r"y has labels that name no class: -1.0 in row 1, 1.5 in row 2, 10.0 in row 3, nan in row 4, "
        r"inf in row 6 and 1 more. Expected whole numbers from 0 to 9.",
    ):
        to_labels(values, "y", 10)


def test_one_hot_labels_say_how_to_mend_them() -> None:
    with pytest.raises(DataError, match="argmax"):
        to_labels(np.eye(10), "y")
