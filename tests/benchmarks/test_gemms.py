from __future__ import annotations

import numpy as np
import pytest

from benchmarks import gemms
from benchmarks.gemms import LIBRARIES, OPERATIONS, STEPS, operands


def test_epoch_of_products_has_1875_steps_of_five() -> None:
    assert STEPS == 1_875
    assert OPERATIONS == 2 * 32 * 1_875 * (2 * 784 * 128 + 3 * 128 * 10)


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_product_is_done(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemms, "STEPS", 75)
    images, first, second = (matrix.astype(np.float64) for matrix in operands())
    for _ in range(gemms.STEPS):
        hidden = images @ first
        outputs = hidden @ second
        first, gradient = images.T @ (outputs @ second.T), hidden.T @ outputs
    found = LIBRARIES[library]()()
    np.testing.assert_allclose(np.asarray(found[0], np.float64), first, rtol=0.01)
    np.testing.assert_allclose(np.asarray(found[1], np.float64), gradient, rtol=0.01)
    assert np.abs(first).max() > 1e-4  # far from the numbers that a processor is slow with
