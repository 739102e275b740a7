from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from fittingroom.evaluation.calibration import HIGHEST, LOWEST, Calibration
from fittingroom.evaluation.trajectories import Trajectories
from tests.evaluation.examples import any_trajectories, honest_logits, is_json, trajectories_of


def only(trajectories: Trajectories) -> Calibration:
    """The calibration of the only epoch."""
    found = Calibration.of_epochs(trajectories)
    assert found is not None
    (one,) = found
    return one


@given(any_trajectories())
def test_refinement_and_overconfidence_sum_to_the_loss(trajectories: Trajectories) -> None:
    found = Calibration.of_epochs(trajectories)
    assert found is not None
    assert tuple(each.epoch for each in found) == trajectories.epochs
    for row, each in enumerate(found):
        loss = float(trajectories.loss[row].mean(dtype=np.float64))
        assert each.loss == pytest.approx(loss, rel=1e-12)
        assert each.refinement + each.overconfidence == pytest.approx(loss, rel=1e-12, abs=1e-12)
        assert is_json(each.to_dict())


@pytest.mark.parametrize(("scale", "verdict"), [(3.0, "overconfident"), (0.3, "underconfident")])
def test_what_a_wrong_scale_costs_is_separate_from_what_nobody_can_know(scale: float, verdict: str) -> None:
    logits, labels = honest_logits(np.random.default_rng(0), 10_000)
    honest = trajectories_of(logits[None], labels).mean_loss[0]
    found = only(trajectories_of(scale * logits[None], labels))
    assert found.refinement == pytest.approx(honest, abs=1e-3)
    assert found.temperature == pytest.approx(scale, rel=0.05)
    assert found.verdict == verdict
    assert found.interval is not None
    assert found.interval.low <= found.overconfidence <= found.interval.high


def test_an_honest_model_is_rarely_called_anything_else() -> None:
    verdicts = []
    for seed in range(100):
        logits, labels = honest_logits(np.random.default_rng(seed), 400)
        verdicts.append(only(trajectories_of(logits[None], labels)).verdict)
    assert sum(verdict is not None for verdict in verdicts) <= 8


def test_fitting_luck_removes_nothing() -> None:
    """Fitted and measured on the same images, scaling always helps; on others, an honest model is left worse off."""
    removed = []
    for seed in range(200):
        logits, labels = honest_logits(np.random.default_rng(seed), 100)
        removed.append(only(trajectories_of(logits[None], labels)).overconfidence)
    assert np.mean(removed) < 0


def test_all_right_is_not_called_underconfident() -> None:
    logits = np.random.default_rng(0).normal(size=(1, 60, 4))
    found = only(trajectories_of(logits, logits[0].argmax(axis=1)))
    assert [temperature.value for temperature in found.temperatures] == [LOWEST, LOWEST]
    assert found.at_bound
    assert found.verdict is None
    assert found.overconfidence == pytest.approx(0, abs=1e-3)


def test_one_mistake_in_one_half_does_not_explode() -> None:
    logits = np.zeros((1, 60, 4))
    logits[..., 0] = 3.0
    labels = np.zeros(60, np.int32)
    labels[0] = 1
    found = only(trajectories_of(logits, labels))
    assert abs(found.overconfidence) < found.loss


def test_sure_and_always_wrong_is_all_overconfidence() -> None:
    logits = 500 * np.random.default_rng(0).normal(size=(1, 60, 4))
    found = only(trajectories_of(logits, logits[0].argmin(axis=1)))
    assert [temperature.value for temperature in found.temperatures] == [HIGHEST, HIGHEST]
    assert found.verdict == "overconfident"


def test_one_class_has_nothing_to_split() -> None:
    found = only(trajectories_of(np.ones((1, 5, 1)), np.zeros(5)))
    assert (found.loss, found.refinement, found.overconfidence, found.verdict) == (0, 0, 0, None)


def test_sixteen_bits_cost_less_than_a_hundred_thousandth_of_a_nat() -> None:
    logits, labels = honest_logits(np.random.default_rng(0), 2_000)
    for scale in (0.3, 1.0, 3.0, 10.0):
        assert abs(only(trajectories_of(scale * logits[None], labels)).rounding) < 1e-5


def test_without_probabilities_of_all_classes_there_is_none() -> None:
    assert Calibration.of_epochs(trajectories_of(np.zeros((1, 2, 3)), [0, 1], keep_all=False)) is None
