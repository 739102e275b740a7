"""Claims: their effects, their verdicts, and how often these are wrong."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from fittingroom.evaluation.differences import Difference
from fittingroom.evaluation.estimate import Estimate
from fittingroom.labs.judging import _effect_on_images, _effect_on_seeds, _Expected, _Side, _verdict

Array = npt.NDArray[np.float64]

SEEDS = (0, 1, 2, 3, 4)


def effect(low: float, high: float) -> Difference:
    """A difference with this 95% interval."""
    return Difference((low + high) / 2, Estimate((low + high) / 2, (high - low) / 2 / 1.96, 1e6))


@pytest.mark.parametrize(
    ("low", "high", "expected", "within", "found"),
    [
        (0.5, 1.5, "higher", 0, "supported"),
        (0.5, 1.5, "lower", 0, "not supported"),
        (-1.5, -0.5, "lower", 0, "supported"),
        (-0.5, 1.5, "higher", 0, "no difference shown"),
        (-0.4, 0.4, "same", 0.5, "supported"),
        (0.1, 0.4, "same", 0.5, "supported"),  # shown, and too small to matter
        (0.1, 0.9, "same", 0.5, "not supported"),
        (-0.1, 0.9, "same", 0.5, "no difference shown"),
        (0.0, 0.0, "same", 0, "supported"),
    ],
)
def test_a_verdict_follows_from_the_interval_and_p(
    low: float, high: float, expected: _Expected, within: float, found: str
) -> None:
    assert _verdict(effect(low, high), expected, within) == found


def test_p_and_interval_are_adjusted_before_a_verdict() -> None:
    alone = effect(0.1, 1.9)
    assert alone.interval == pytest.approx((0.1, 1.9), abs=1e-4)
    of_three = alone.among(3)
    assert (_verdict(alone, "higher"), _verdict(of_three, "higher")) == ("supported", "no difference shown")
    assert of_three.corrected == pytest.approx(3 * alone.p)
    assert of_three.interval.low < 0


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=12))
def test_numbers_of_seeds_are_compared_by_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    first, second = ([round(one[side], 3) for one in pairs] for side in (0, 1))
    found = _effect_on_seeds(first, second)
    assert found is not None
    assert found.value == pytest.approx(np.mean(np.subtract(first, second)), abs=1e-9)
    if np.subtract(first, second).std() > 1e-6:
        textbook = ttest_rel(first, second)
        assert found.p == pytest.approx(textbook.pvalue, abs=1e-9)
        assert found.interval == pytest.approx(tuple(textbook.confidence_interval()), abs=1e-9)


def test_times_are_compared_by_their_ratio() -> None:
    found = _effect_on_seeds([4.0, 8.0, 16.0], [2.0, 4.0, 8.0], ratio=True)
    assert found is not None
    assert math.exp(found.value) == pytest.approx(2)
    assert found.p == 0


def test_a_single_seed_has_no_effect_with_an_interval() -> None:
    assert _effect_on_seeds([1.0], [2.0]) is None


def test_other_images_are_not_paired() -> None:
    """Were the images of two datasets taken for the same, those that are hard on both would cancel out."""
    generator = np.random.default_rng(0)
    hard = generator.normal(size=400)
    first, second = (_Side(np.tile(hard, (5, 1)) + generator.normal(scale=0.1, size=(5, 400)), SEEDS) for _ in range(2))
    widths = [np.ptp(_effect_on_images(first, second, same_images=same).interval) for same in (True, False)]
    assert widths[1] > 5 * widths[0]
    assert _effect_on_images(first, _Side(second.values[:, :300], SEEDS), same_images=False).p > 0.05


def test_what_a_seed_does_to_both_sides_does_not_count() -> None:
    """An unlucky shuffle is unlucky for both; paired in whatever order the seeds are given, it cancels out."""
    generator = np.random.default_rng(0)
    luck = 0.5 * generator.normal(size=(5, 1))
    first, second = (luck + 0.1 * generator.normal(size=(5, 400)) for _ in range(2))
    turned = _Side(second[::-1] - 0.05, SEEDS[::-1])
    assert _effect_on_images(_Side(first, SEEDS), turned).p < 0.01
    assert _effect_on_images(_Side(first, SEEDS), _Side(turned.values, (5, 6, 7, 8, 9))).p > 0.5


def scores(generator: np.random.Generator, together: float) -> tuple[Array, Array]:
    """How easily two recipes, equally able, get pictures right, `(seeds, images)`.

    Pictures are hard for both, for one of them, or for a single model; seeds are lucky for both, or for one of them.
    """
    hard, luck = generator.normal(size=200), together * generator.normal(size=(5, 1))
    sides = []
    for _ in range(2):
        own = hard + 0.5 * generator.normal(size=200)
        sides.append(own + luck + 0.1 * generator.normal(size=(5, 1)) + 0.6 * generator.normal(size=(5, 200)))
    return sides[0], sides[1]


def of_accuracies(trial: int, *, together: float = 0.15, other_seeds: bool = False) -> Difference:
    first, second = (side > -0.5 for side in scores(np.random.default_rng(trial), together))
    return _effect_on_images(_Side(first, SEEDS), _Side(second, (5, 6, 7, 8, 9) if other_seeds else SEEDS))


def of_losses(trial: int) -> Difference:
    """Losses are never negative and have a long tail."""
    first, second = (np.log1p(np.exp(-2 * side)) for side in scores(np.random.default_rng(trial), 0.15))
    return _effect_on_images(_Side(first, SEEDS), _Side(second, SEEDS))


def of_other_seeds(trial: int) -> Difference:
    """Recipes that were trained with different seeds have nothing in common but the images."""
    return of_accuracies(trial, together=0, other_seeds=True)


def of_unrelated_seeds(trial: int) -> Difference:
    """The same seeds, which do nothing to both sides alike."""
    return of_accuracies(trial, together=0)


def of_seeds(trial: int) -> Difference:
    generator = np.random.default_rng(trial)
    shared = generator.normal(size=5)
    found = _effect_on_seeds(*((shared + generator.normal(size=5)).tolist() for _ in range(2)))
    assert found is not None
    return found


@pytest.mark.parametrize("trials", [100, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("same", [of_accuracies, of_losses, of_other_seeds, of_unrelated_seeds, of_seeds])
def test_verdicts_about_equals_are_calibrated(same: Callable[[int], Difference], trials: int) -> None:
    """Recipes that are the same: `supported` in at most 5% of the trials, and 0 inside 93% to 98% of the intervals.

    Above 97% with different seeds, whose error has three parts: each by its own t is wide, and holds at any level.
    """
    effects = [same(trial) for trial in range(trials)]
    supported = sum(_verdict(one, "higher") == "supported" for one in effects)
    covered = sum(one.interval.low <= 0 <= one.interval.high for one in effects)
    assert supported <= 0.05 * trials
    slack = 0 if trials == 3000 else 3 * (0.05 * 0.95 / trials) ** 0.5 - 0.02
    assert 0.93 - slack <= covered / trials <= min(0.98 + slack, 1)
