from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.runs.json_files import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(value=VALUES)
def test_plain_values_come_back_as_they_are(value: object) -> None:
    assert json.loads(json_text(value)) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float32("nan"), np.float64("inf")])
def test_what_json_has_no_word_for_becomes_null(value: float) -> None:
    assert json.loads(json_text({"loss": value, "all": [value]})) == {"loss": None, "all": [None]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int32(7), 7),
        (np.bool_(True), True),
        (np.array([[1.0, np.nan]]), [[1.0, None]]),
        ((1, 2), [1, 2]),
        (Path("runs/1"), "runs/1"),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: 2}, {"1": 2}),
    ],
)
def test_other_values_become_plain(value: object, expected: object) -> None:
    assert json.loads(json_text(value)) == expected


def test_value_without_a_plain_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="object has no plain form"):
        json_text(object())
