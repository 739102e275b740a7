"""What synthetic photos taught is read as it was written, or its damage is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fittingroom.answers.recalibration import LabelShiftCalibration
from fittingroom.answers.stored import LABEL_SHIFT
from fittingroom.errors import RunError

DIGEST = bytes(range(32))


@pytest.fixture
def written(tmp_path: Path) -> LabelShiftCalibration:
    generator = np.random.default_rng(0)
    fitted = LabelShiftCalibration.of(np.log(generator.dirichlet(np.ones(3), 40)), generator.integers(0, 3, 40))
    LABEL_SHIFT.write(tmp_path, fitted, DIGEST)
    return fitted


def test_what_is_written_is_read(written: LabelShiftCalibration, tmp_path: Path) -> None:
    found = LABEL_SHIFT.read(tmp_path, DIGEST, 3)
    assert found is not None
    assert found.sharpness == written.sharpness
    np.testing.assert_array_equal(found.shifts, written.shifts)
    np.testing.assert_array_equal(found.conformal.scores, written.conformal.scores)


def test_one_of_other_weights_is_as_good_as_none(written: LabelShiftCalibration, tmp_path: Path) -> None:
    assert LABEL_SHIFT.read(tmp_path, bytes(32), 3) is None
    assert LABEL_SHIFT.read(tmp_path / "none", DIGEST, 3) is None


@pytest.mark.parametrize(
    "values",
    [
        {"sharpness": np.float64("nan")},
        {"sharpness": np.float64(0)},
        {"sharpness": np.ones(2)},
        {"shifts": np.zeros(4)},
        {"shifts": np.zeros(3, np.float32)},
        {"shifts": np.array([0, np.inf, 0])},
        {"scores": np.array([2, 1], np.float32)},
        {"shifts": None},
    ],
    ids=lambda values: f"{values}"[:40],
)
def test_values_that_make_no_sense_are_refused(
    values: dict[str, Any], written: LabelShiftCalibration, tmp_path: Path
) -> None:
    file = tmp_path / LABEL_SHIFT.name
    with np.load(file) as stored:
        arrays = {name: value for name, value in {**stored, **values}.items() if value is not None}
    np.savez(file, **arrays)
    with pytest.raises(RunError, match=r"correction\.npz is damaged.*Delete .*correction\.npz: the next answer"):
        LABEL_SHIFT.read(tmp_path, DIGEST, 3)
