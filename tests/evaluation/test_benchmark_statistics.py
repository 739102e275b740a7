"""Statistics of a benchmark, against other implementations, by brute force, and on results whose truth is known."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
import scikit_posthocs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, friedmanchisquare

from fittingroom.errors import InputError
from fittingroom.evaluation.benchmark_scores import DatasetScores
from fittingroom.evaluation.benchmark_statistics import BenchmarkStatistics
from fittingroom.evaluation.comparison import Comparison, Contender
from fittingroom.evaluation.critical_difference import CriticalDifference
from fittingroom.evaluation.dataset_ranking import DatasetRanking
from fittingroom.evaluation.next_dataset import NextDataset, NextWinner

METHODS = ("course", "sklearn:knn", "sklearn:svc", "small")


def scores(
    dataset: str,
    levels: npt.ArrayLike,
    *,
    family: str = "",
    seeds: int = 1,
    images: int = 400,
    methods: tuple[str, ...] = METHODS,
) -> DatasetScores:
    """Methods with about these accuracies on one dataset, whose images are easy or hard for all of them."""
    random = np.random.default_rng(sum(map(ord, dataset)))
    ease = random.random(images)
    right = {
        method: ease[None] + random.normal(0, 0.02, (seeds, images)) < level
        for method, level in zip(methods, np.asarray(levels, float), strict=False)
    }
    return DatasetScores(dataset, family or dataset, right)


def benchmark(tables: npt.ArrayLike, *, seeds: int = 1, images: int = 400) -> BenchmarkStatistics:
    """A benchmark with these accuracies, `(datasets, methods)`, each dataset a family."""
    rows = enumerate(np.asarray(tables))
    return BenchmarkStatistics.of([scores(f"data-{at}", row, seeds=seeds, images=images) for at, row in rows])


SEVEN = [[0.9, 0.7, 0.8, 0.5]] * 6 + [[0.6, 0.9, 0.7, 0.5]]


def test_rank_intervals_are_what_the_tests_of_pairs_leave() -> None:
    ranking = DatasetRanking.of(scores("digits", [0.9, 0.7, 0.71, 0.5], seeds=5))
    for method in METHODS:
        others = [other for other in METHODS if other != method]
        shown = [ranking.difference(method, other) for other in others]
        better = sum(each.shown and each.value < 0 for each in shown)
        worse = sum(each.shown and each.value > 0 for each in shown)
        assert ranking.rank_intervals[method] == (1 + better, 4 - worse)
        assert ranking.rank_intervals[method][0] <= ranking.ranks[method] <= ranking.rank_intervals[method][1]
    assert ranking.rank_intervals == {"course": (1, 1), "sklearn:svc": (2, 3), "sklearn:knn": (2, 3), "small": (4, 4)}
    assert ranking.sentence == ("On digits, course is shown to be right more often than each of the other 3 methods.")


def test_pairs_are_those_of_compare_with_several_seeds_or_one() -> None:
    for seeds in (1, 3, 5):
        given_scores = scores("digits", [0.8, 0.78, 0.77, 0.5], seeds=seeds)
        ranking = DatasetRanking.of(given_scores)
        runs = [
            Contender(method, method, tuple(range(seeds)), right, np.zeros(right.shape))
            for method, right in given_scores.right.items()
        ]
        for pair in Comparison.of("digits", runs).pairs:
            ours = ranking.difference(runs[pair.first].name, runs[pair.second].name)
            assert tuple(ours.interval) == pytest.approx(tuple(pair.accuracy.interval))
            assert (ours.value, ours.corrected) == pytest.approx((pair.accuracy.value, pair.accuracy.corrected))


def test_a_method_that_seeds_do_not_change_is_one_training_however_often_it_is_repeated() -> None:
    once, five = (scores("digits", [0.9, 0.7, 0.8, 0.5], seeds=seeds) for seeds in (1, 5))
    repeated = {method: np.repeat(right, 5, axis=0) for method, right in once.right.items()}
    rankings = [DatasetRanking.of(DatasetScores("digits", "digits", right)) for right in (once.right, repeated)]
    assert [ranking.seeds for ranking in rankings] == [1, 5]
    assert len({json.dumps({**ranking.to_dict(), "seeds": None}) for ranking in rankings}) == 1
    mixed = [
        DatasetScores("digits", "digits", {**five.right, "sklearn:knn": right["sklearn:knn"]})
        for right in (once.right, repeated)
    ]
    assert DatasetRanking.of(mixed[0]).to_dict() == DatasetRanking.of(mixed[1]).to_dict()


def test_the_critical_difference_is_demsars_and_that_of_scikit_posthocs() -> None:
    random = np.random.default_rng(4)
    ranks = np.argsort(np.argsort(random.normal([0, 0.4, 1, 2], 1, (14, 4)), axis=1), axis=1).astype(np.float64) + 1
    ours = CriticalDifference.of(ranks, METHODS)
    assert ours.difference == pytest.approx(1.25, abs=0.005)  # Demšar 2006, section 3.2.4
    assert ours.p == pytest.approx(friedmanchisquare(*ranks.T).pvalue)
    theirs = scikit_posthocs.posthoc_nemenyi_friedman(ranks).to_numpy()
    apart = {(one, other) for one, other in combinations(METHODS, 2) if ours.told_apart(one, other)}
    assert apart == {
        (METHODS[one], METHODS[other]) for one, other in combinations(range(4), 2) if theirs[one, other] < 0.05
    }
    assert 0 < len(apart) < 6
    for group in ours.groups:
        assert not any(ours.told_apart(*pair) for pair in combinations(group, 2))


@given(st.integers(6, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(1, 80))
def test_the_next_winner_is_the_exact_binomial(counts: tuple[int, int], comparisons: int) -> None:
    wins, families = counts
    winner = NextWinner("a", "b", wins, families, comparisons)
    exact = binomtest(wins, families)
    assert winner.p == pytest.approx(exact.pvalue)
    assert tuple(winner.interval) == pytest.approx(exact.proportion_ci(1 - 0.05 / comparisons, "exact"), abs=1e-9)
    assert (winner.better is None) == (winner.interval.low <= 0.5 <= winner.interval.high)
    mirrored = NextWinner("b", "a", families - wins, families, comparisons)
    assert winner.probability + mirrored.probability == pytest.approx(1)
    assert winner.interval.low == pytest.approx(1 - mirrored.interval.high)


def brute_force(ends: list[list[int]], level: Fraction) -> int:
    """The upper end by its definition: the smallest quantile of the weighted ends, with endless for the new family."""
    new = Fraction(1, len(ends) + 1)
    weights = [(end, new / len(family)) for family in ends for end in family]
    return min(end for end, _ in weights if sum(weight for other, weight in weights if other <= end) >= level)


@settings(max_examples=30)
@given(st.lists(st.lists(st.permutations(range(4)), min_size=1, max_size=3), min_size=6, max_size=9))
def test_a_rank_on_the_next_dataset_is_the_hierarchical_conformal_interval(orders: list[list[list[int]]]) -> None:
    table = [
        scores(f"data-{at}-{part}", [0.5 + 0.12 * place for place in order], family=f"family-{at}", images=300)
        for at, family in enumerate(orders)
        for part, order in enumerate(family)
    ]
    rankings = [DatasetRanking.of(one) for one in table]
    found = NextDataset.of(rankings)
    families = len(orders)
    assert found.level == pytest.approx(1 - 2 / (families + 1) - 0.05)
    for one in found.ranks:
        ends = [
            [ranking.rank_intervals[one.method] for ranking in rankings if ranking.family == f"family-{at}"]
            for at in range(families)
        ]
        level = 1 - Fraction(1, families + 1)
        assert one.high == brute_force([[high for _, high in family] for family in ends], level)
        assert one.low == -brute_force([[-low for low, _ in family] for family in ends], level)


def test_many_families_leave_out_the_extreme_ones_as_far_as_ninety_percent_allows() -> None:
    rows = [[0.9, 0.7, 0.8, 0.5]] * 78 + [[0.5, 0.7, 0.8, 0.9]]
    found = benchmark(rows, images=400).next
    assert found is not None
    assert found.level == pytest.approx(0.9)
    assert {one.method: (one.low, one.high) for one in found.ranks} == {
        "course": (1, 1),
        "sklearn:svc": (2, 2),
        "sklearn:knn": (3, 3),
        "small": (4, 4),
    }


def test_families_are_the_units_and_five_say_nothing_of_the_next_dataset() -> None:
    five = benchmark(SEVEN[:5])
    assert five.next is None
    assert "5 families of datasets say nothing of the next dataset" in " ".join(five.sentences)
    with pytest.raises(InputError, match="expected 6 or more"):
        five.beats("course", "small")
    made_from_one = BenchmarkStatistics.of(
        [scores(f"data-{at}", row, family=f"family-{at % 5}") for at, row in enumerate(SEVEN)]
    )
    assert made_from_one.next is None
    assert made_from_one.to_dict()["critical_difference"] is None
    seven = benchmark(SEVEN)
    winner = seven.beats("course", "sklearn:knn")
    assert (winner.wins, winner.families) == (6, 7)
    assert winner.sentence == (
        "course beats sklearn:knn on the next dataset with probability 78% (42–100%): it did on 6 of 7 families."
    )


def test_a_reversal_is_two_differences_that_are_shown() -> None:
    (first, *_) = benchmark(SEVEN).reversals
    assert (first.first, first.second) == ("course", "sklearn:knn")
    assert (first.wins_on, first.loses_on) != ("data-6", "data-6")
    assert first.loses_on == "data-6"
    assert first.on_wins.interval.low > 0 > first.on_loses.interval.high
    assert not benchmark(SEVEN[:6]).reversals


def test_a_choice_and_an_order_are_followed_to_every_dataset_of_another_family() -> None:
    found = benchmark(SEVEN).conclusions
    assert len(found.choices) == 7 * 6
    for one in found.choices:
        away, back = (one.source, one.target) == ("data-0", "data-6"), one.source == "data-6"
        if "data-6" not in (one.source, one.target):
            assert (one.choice, one.best, one.behind, one.holds) == ("course", "course", None, True)
            assert one.orders == (6, 0, 0)
        elif away or back:
            assert one.choice == ("course" if away else "sklearn:knn")
            assert not one.holds
            assert one.behind is not None
            assert one.behind.interval.low > 0
            # Three orders are turned round: course and svc, course and knn, svc and knn.
            assert one.orders == (3, 0, 3)
    assert found.holds is not None
    assert found.first is not None
    assert found.orders is not None
    assert found.holds.value == found.first.value == pytest.approx(30 / 42)
    assert [share.value for share in found.orders] == pytest.approx([36 / 42, 0, 6 / 42])
    assert sum(share.value for share in found.orders) == pytest.approx(1)
    assert found.sentences[0].startswith(
        "Choose the best method on one dataset, and ask on a dataset of another family: in 71% ("
    )
    assert found.clearest_failure is not None
    assert "data-6" in found.clearest_failure.sentence


def test_datasets_of_one_family_share_its_weight_and_are_not_asked_about_each_other() -> None:
    once = benchmark(SEVEN)
    table = [scores(f"data-{at}", row) for at, row in enumerate(SEVEN)]
    again = [DatasetScores(f"copy-{at}", "data-6", table[6].right) for at in range(4)]
    found = BenchmarkStatistics.of([*table, *again])
    assert not any(set(one.families) == {"data-6"} for one in found.conclusions.choices)
    assert found.conclusions.holds == once.conclusions.holds
    assert found.conclusions.to_dict()["orders"] == once.conclusions.to_dict()["orders"]
    assert found.next is not None
    assert once.next is not None
    assert found.next.to_dict() == once.next.to_dict()
    assert benchmark(SEVEN[-3:]).conclusions.holds is None


def test_methods_without_results_on_some_dataset_have_no_rank_for_a_new_one_and_that_is_said() -> None:
    table = [scores(f"data-{at}", row) for at, row in enumerate(SEVEN)]
    lacking = DatasetScores("data-0", "data-0", {k: v for k, v in table[0].right.items() if k != "small"})
    found = BenchmarkStatistics.of([lacking, *table[1:]])
    assert found.next is not None
    assert [one.method for one in found.next.ranks] == ["course", "sklearn:svc", "sklearn:knn"]
    assert found.sentences[-1] == "small has no result on data-0, so ranks over datasets leave it out."
    assert found.beats("course", "small").families == 6
    nothing_in_common = BenchmarkStatistics.of([scores("one", [0.9], methods=("a",)), scores("two", [0.9])])
    assert nothing_in_common.sentences[0] == "On one, a is the only method with results."


@st.composite
def any_benchmarks(draw: st.DrawFn) -> list[DatasetScores]:
    """Results of any size: one image or seed, all right or wrong, equal methods, several datasets of a family."""
    methods, random = draw(st.integers(1, 4)), np.random.default_rng(draw(st.integers(0, 99)))
    tables = []
    for at in range(draw(st.integers(1, 8))):
        shape = draw(st.sampled_from([1, 3, 5])), draw(st.sampled_from([1, 2, 30]))
        level = draw(st.sampled_from([0, 0.5, 0.95, 1]))
        right = {METHODS[method]: random.random(shape) < level for method in range(methods)}
        tables.append(DatasetScores(f"data-{at}", f"family-{at % draw(st.sampled_from([3, 8]))}", right))
    return tables


@settings(max_examples=60, deadline=None)
@given(any_benchmarks())
def test_any_results_have_statistics_that_agree_with_each_other_whatever_their_order(
    tables: list[DatasetScores],
) -> None:
    found = BenchmarkStatistics.of(tables)
    json.dumps(found.to_dict(), allow_nan=False)
    assert all(found.sentences)
    for ranking in found.rankings:
        for method, (low, high) in ranking.rank_intervals.items():
            assert 1 <= low <= high <= len(ranking.methods)
            assert low <= ranking.ranks[method]
            assert ranking.ranks[method] <= high
        for difference in ranking.differences.values():
            assert difference.shown != (difference.interval.low <= 0 <= difference.interval.high)
    turned = BenchmarkStatistics.of(
        [DatasetScores(one.dataset, one.family, dict(reversed(list(one.right.items())))) for one in reversed(tables)]
    )
    assert [ranking.to_dict() for ranking in reversed(turned.rankings)] == [one.to_dict() for one in found.rankings]
    assert (turned.next is None) == (found.next is None) == (len(found.families) < 6)
    if found.next is not None and turned.next is not None:
        assert turned.next.ranks == found.next.ranks
        assert set(turned.next.winners) == set(found.next.winners)
    assert turned.conclusions.holds == found.conclusions.holds


def test_few_seeds_speak_of_trained_models_and_five_of_methods() -> None:
    words = "differences are about these trained models"
    assert any(words in one for one in benchmark(SEVEN, seeds=4).sentences)
    assert not any(words in one for one in benchmark(SEVEN, seeds=5).sentences)


def test_all_of_it_is_plain_json_and_there_is_no_mean_accuracy_over_datasets() -> None:
    facts = benchmark(SEVEN, seeds=2).to_dict()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert set(facts["next"]["ranks"][0]) == {"method", "mean_rank", "low", "high"}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([], "got none"),
        ([scores("a", [0.5]), scores("a", [0.5])], "got a more than once"),
        ([DatasetScores("a", "a", {})], r"a: the shapes of the results are \{\}"),
        ([DatasetScores("a", "a", {"m": np.ones((0, 5), bool)})], r"\(0, 5\)"),
        ([DatasetScores("a", "a", {"m": np.ones((1, 5), bool), "n": np.ones((1, 4), bool)})], "the same images"),
    ],
)
def test_results_that_do_not_fit_are_refused(tables: list[DatasetScores], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BenchmarkStatistics.of(tables)
