from __future__ import annotations

import numpy as np
import pytest

from fittingroom.errors import InputError
from fittingroom.runs.outcomes import Outcomes


def test_types_are_small() -> None:
    outcomes = Outcomes.of([[0.5]], [[3]], [[0.5]], [3])
    types = [np.float32, np.uint8, np.float32, np.float16, np.int32, np.int32]
    assert [array.dtype for array in outcomes.arrays().values()] == types


def test_many_classes_need_two_bytes() -> None:
    outcomes = Outcomes.of([[0.5, 0.5]], [[256, 65535]], [[0.5, 0.5]], [256, 0])
    assert outcomes.predicted.dtype == np.uint16
    assert outcomes.predicted.tolist() == [[256, 65535]]


@pytest.mark.parametrize(
    ("loss", "labels"), [([[0.1, 0.2]], [1, 2]), ([[0.1]], [1, 2]), ([0.1], [1])], ids=["loss", "labels", "no epochs"]
)
def test_shapes_that_do_not_fit_are_refused(loss: object, labels: list[int]) -> None:
    with pytest.raises(InputError, match=r"expected three of \(epochs, images\), labels of \(images,\)"):
        Outcomes.of(loss, [[1]], [[0.5]], labels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("loss", -1e30, "losses are below 0"),
        ("probability", np.nan, "probabilities are not from 0 to 1"),
        ("probability", 7.0, "probabilities are not from 0 to 1"),
        ("log_probabilities", np.nan, "logarithms of probabilities"),
        ("predicted", 9, "labels or predictions"),
        ("labels", -1, "labels or predictions"),
        ("epoch", 0, "epochs do not rise"),
    ],
)
def test_values_from_a_file_that_make_no_sense_are_refused(name: str, value: float, message: str) -> None:
    logs = np.log(np.full((2, 3, 2), 0.5))
    rows = np.full((2, 3), 0.5)
    arrays = Outcomes.of(rows, np.zeros((2, 3)), rows, [0, 1, 1], [0, 1], logs).arrays()
    Outcomes.from_arrays(arrays)
    arrays[name].flat[-1] = value
    with pytest.raises(InputError, match=message):
        Outcomes.from_arrays(arrays)
