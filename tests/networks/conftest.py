from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def _known_weights() -> None:
    """Models of these tests begin with the same weights every time."""
    import keras

    keras.utils.set_random_seed(0)
