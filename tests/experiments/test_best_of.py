"""The luck of the best of many, against simulations in which all are equally good."""

from __future__ import annotations

import numpy as np
import pytest

from fittingroom.experiments.search_result import BestOf, _luck_of_best


@pytest.mark.parametrize(("shared", "seeds"), [(0.0, 1), (0.6, 1), (0.6, 4)])
def test_equals_lead_by_what_is_called_luck(shared: float, seeds: int) -> None:
    random = np.random.default_rng(6)
    trials, images = 10, 500
    leads, said = [], []
    for _ in range(200):
        easy = random.random(images) < shared  # images about which all trials agree
        right = random.random((trials, seeds, images)) < np.where(easy, 1.0, 0.7)
        scores = list(right.mean(axis=1))
        leads.append(max(each.mean() for each in scores) - np.where(easy, 1.0, 0.7).mean())
        said.append(_luck_of_best(scores, trials))
    assert np.mean(said) == pytest.approx(np.mean(leads), rel=0.1)


def test_the_closed_form_is_the_mean_over_all_pairs() -> None:
    scores = list(np.random.default_rng(1).random((4, 50)))
    pairs = [np.var(one - other, ddof=1) for index, one in enumerate(scores) for other in scores[:index]]
    alone = _luck_of_best(scores, 2)
    assert alone == pytest.approx(np.sqrt(np.mean(pairs) / 2 / 50) / np.sqrt(np.pi))  # the mean of the larger of two


def test_one_trial_and_trials_that_never_differ_have_no_luck() -> None:
    same = np.arange(10) % 2
    assert _luck_of_best([same], 1) == 0
    assert _luck_of_best([same, same], 5) == 0
    assert "was not chosen from others" in BestOf(1, "accuracy", 0.9, 0.0).sentence()


def test_the_sentence_says_what_would_be_left() -> None:
    assert BestOf(20, "accuracy", 0.9, 0.005).sentence() == (
        "were all 20 trials equally good, the best would lead by about +0.5 points by luck alone; "
        "that would leave 89.50%"
    )
    assert BestOf(20, "loss", 0.3, 0.01).sentence().endswith("0.0100 nats by luck alone; that would leave 0.3100")
