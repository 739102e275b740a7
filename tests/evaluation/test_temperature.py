from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.evaluation.calibration import HIGHEST, LOWEST, Temperature, _Logits
from tests.evaluation.examples import honest_logits


def mean_loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Written another way than the code under test, in 64 bits."""
    from scipy.special import logsumexp

    scaled = logits / temperature
    return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]))


@given(seed=st.integers(0, 2**32), scale=st.floats(0.05, 30), images=st.integers(2, 200))
def test_the_fit_is_as_good_as_scipys(seed: int, scale: float, images: int) -> None:
    from scipy.optimize import minimize_scalar

    logits, labels = honest_logits(np.random.default_rng(seed), images, classes=4)
    found = Temperature.fit(scale * logits, labels)
    bounds = (np.log(LOWEST), np.log(HIGHEST))
    best = minimize_scalar(lambda log: mean_loss(scale * logits, labels, np.exp(log)), bounds=bounds, method="bounded")
    assert mean_loss(scale * logits, labels, found.value) <= best.fun + 1e-6
    assert found.at_bound == (found.value in {LOWEST, HIGHEST})


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0, 20.0])
def test_the_scale_of_honest_logits_is_found(scale: float) -> None:
    logits, labels = honest_logits(np.random.default_rng(1), 20_000)
    assert Temperature.fit(scale * logits, labels).value == pytest.approx(scale, rel=0.03)


def test_logarithms_of_probabilities_do_as_well_as_logits() -> None:
    from scipy.special import log_softmax

    logits, labels = honest_logits(np.random.default_rng(2), 500)
    expected = Temperature.fit(3 * logits, labels).value
    assert Temperature.fit(log_softmax(3 * logits, axis=1), labels).value == pytest.approx(expected, rel=1e-4)


def test_all_right_and_all_wrong_reach_the_bounds() -> None:
    logits = np.random.default_rng(3).normal(size=(50, 4))
    assert Temperature.fit(logits, logits.argmax(axis=1)) == Temperature(LOWEST, at_bound=True)
    assert Temperature.fit(logits, logits.argmin(axis=1)) == Temperature(HIGHEST, at_bound=True)


@pytest.mark.parametrize(
    "logits", [np.zeros((5, 3)), np.full((5, 3), -1e6), np.ones((5, 1)), np.zeros((0, 3))], ids=str
)
def test_where_temperature_changes_nothing_it_is_one(logits: np.ndarray) -> None:
    labels = np.zeros(len(logits), np.int64)
    assert Temperature.fit(logits, labels) == Temperature(1.0, at_bound=False)


def test_probabilities_of_zero_and_one_are_fitted() -> None:
    logits = np.array([[0.0, -65504.0], [0.0, -65504.0], [-65504.0, 0.0]])
    found = Temperature.fit(logits, np.array([0, 0, 0]))
    assert found == Temperature(HIGHEST, at_bound=True)
    assert np.isfinite(_Logits.of(logits, np.array([0, 0, 0])).loss(found.value)).all()


def test_one_sure_mistake_among_sure_successes_is_fitted() -> None:
    logits = np.zeros((1000, 2))
    logits[:, 0] = 30.0
    labels = np.zeros(1000, np.int64)
    labels[0] = 1
    # The best probability of class 0 is 999 / 1000, so 30 / T is the logarithm of 999.
    assert Temperature.fit(logits, labels).value == pytest.approx(30 / np.log(999), rel=1e-4)
