from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, bootstrap

from fittingroom.evaluation.resampling import resampled_means, resampled_seeds


def test_equal_seeds_resample_equally_and_rows_share_their_images() -> None:
    values = np.random.default_rng(0).random((3, 50))
    values[2] = values[0]
    means = resampled_means(values, 300)
    assert means.shape == (300, 3)
    assert (means == resampled_means(values, 300)).all()
    assert not (means == resampled_means(values, 300, seed=1)).any()
    assert means[:, 0] == pytest.approx(means[:, 2], abs=1e-12)


@settings(max_examples=10)
@given(st.integers(1, 99))
def test_resampled_accuracies_are_binomial(right: int) -> None:
    values = (np.arange(100) < right)[None]
    counts = np.rint(100 * resampled_means(values, 4000)[:, 0])
    assert counts.mean() == pytest.approx(right, abs=0.6)
    assert counts.var() == pytest.approx(binom.var(100, right / 100), rel=0.15)


def test_the_interval_of_a_paired_difference_is_that_of_scipy() -> None:
    generator = np.random.default_rng(3)
    values = generator.exponential(size=(2, 400))
    means = resampled_means(values)
    expected = bootstrap(
        (values[0], values[1]),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(4),
    ).confidence_interval
    assert np.quantile(means[:, 0] - means[:, 1], [0.025, 0.975]) == pytest.approx(list(expected), abs=0.012)


def test_drawing_seeds_has_the_variance_of_the_mean_over_seeds() -> None:
    replicas = np.array([0.1, 0.4, 0.2, 0.9, 0.35])
    drawn = resampled_seeds(np.tile(replicas, (20_000, 1)), 0)
    assert drawn.mean() == pytest.approx(replicas.mean(), abs=0.005)
    assert drawn.var() == pytest.approx(replicas.var(ddof=1) / 5, rel=0.05)
    assert (drawn != resampled_seeds(np.tile(replicas, (20_000, 1)), 1)).any()


@pytest.mark.slow
def test_ten_thousand_images_are_resampled_within_a_second() -> None:
    values = np.random.default_rng(0).random((4, 10_000))
    started = time.process_time()
    resampled_means(values)
    assert time.process_time() - started < 1
