"""Bar of issue 24 on simulated results whose truth is known: equals are not ranked apart, ranks and shares are held."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import rank_nulls
from fittingroom.evaluation.dataset_ranking import DatasetRanking


@pytest.mark.parametrize(("accuracy", "luck"), [(0.9, 0.01), (0.98, 0.0)])
def test_equal_methods_are_hardly_ever_ranked_apart_also_where_seeds_vary_much(accuracy: float, luck: float) -> None:
    random, times = np.random.default_rng(1), 80
    answers = rank_nulls.Answers(500, 5, luck=luck, fixed=99 if luck else 3)
    rankings = [DatasetRanking.of(answers.drawn(random, np.full(12, accuracy), "equal", "equal")) for _ in range(times)]
    apart = sum(any(one != (1, 12) for one in ranking.rank_intervals.values()) for ranking in rankings)
    assert apart <= times * 0.05 + 3.1 * np.sqrt(times * 0.05 * 0.95)


@pytest.mark.slow
def test_no_statement_of_a_benchmark_errs_more_often_than_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["rank_nulls", "--quick"])
    rank_nulls.main()
    assert capsys.readouterr().out.splitlines()[-1] == '{"worse than allowed": 0}'
