from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_ind, ttest_rel

from fittingroom.errors import InputError
from fittingroom.evaluation.comparison import Comparison, Contender
from fittingroom.evaluation.differences import mcnemar, sign_flip
from fittingroom.evaluation.estimate import Estimate
from fittingroom.evaluation.spread import Interval

Array = npt.NDArray[Any]


def contender(correct: Any, loss: Any = None, name: str = "run") -> Contender:
    right = np.atleast_2d(np.asarray(correct, bool))
    losses = np.where(right, 0.25, 2.0) if loss is None else np.atleast_2d(loss)
    return Contender(name, f"{name}'s recipe", tuple(range(len(right))), right, losses)


def discordant(only_first: int, only_second: int, both: int, neither: int = 0) -> tuple[Contender, Contender]:
    """Two models that differ on so many images."""
    groups = [only_first, only_second, both, neither]
    return (
        contender(np.repeat([True, False, True, False], groups), name="one"),
        contender(np.repeat([False, True, True, False], groups), name="two"),
    )


def models(generator: np.random.Generator, count: int, images: int, *, seeds: float, own: float) -> Array:
    """Whether the models of a recipe are right about images, whose difficulty they share in part.

    Args:
        generator: of the recipe; the images' difficulty is drawn before.
        count: how many models.
        images: how many.
        seeds: how much seeds differ in ability.
        own: how much of a result is peculiar to the pair of model and image.
    """
    ability = 1.5 + seeds * generator.normal(size=(count, 1))
    return ability + own * generator.normal(size=(count, images))


def test_272_against_228_of_10_000_prove_nothing() -> None:
    (pair,) = Comparison.of("clothes", discordant(272, 228, 8000, 1500)).pairs
    assert (pair.test, pair.only) == ("mcnemar", (272, 228))
    assert pair.accuracy.value == pytest.approx(0.0044)
    assert round(pair.accuracy.p, 3) == round(pair.accuracy.corrected, 3) == 0.054
    assert pair.accuracy.interval == pytest.approx((0.0044 - 1.96 * 0.002236, 0.0044 + 1.96 * 0.002236), abs=2e-4)
    assert pair.better is None
    assert pair.verdict("AB").startswith("No difference shown between A and B: anything from ")


def test_the_better_one_is_named_whichever_comes_first() -> None:
    good, bad = discordant(90, 30, 800, 80)
    for order in ((good, bad), (bad, good)):
        comparison = Comparison.of("clothes", order)
        (pair,) = comparison.pairs
        low, high = sorted(abs(100 * end) for end in pair.accuracy.interval)
        better = comparison.contenders[pair.better or 0]
        assert better is good
        expected = f"one is right more often than two, by 6.00 points ({low:.2f} to {high:.2f})."
        assert comparison.verdicts[0].startswith(expected)


def test_models_right_about_the_same_images_are_said_to_be() -> None:
    (pair,) = Comparison.of("clothes", discordant(0, 0, 90, 10)).pairs
    assert (pair.accuracy.value, pair.accuracy.p) == (0, 1)
    assert pair.accuracy.interval == pytest.approx((-0.0274, 0.0274), abs=1e-3)  # others may differ: "rule of three"
    assert pair.verdict("AB") == "No difference shown between A and B: both get the same images right."
    assert pair.loss is not None
    assert (pair.loss.value, pair.loss.p) == (0, 1)


def test_a_model_compared_with_its_twin_differs_in_nothing_however_its_losses_round() -> None:
    generator = np.random.default_rng(0)
    right, loss = generator.random((6, 700)) < 0.9, generator.exponential(size=(6, 700)).astype(np.float32)
    for rows in (slice(0, 1), slice(0, 3)):
        (pair,) = Comparison.of(
            "clothes", [contender(right[rows], loss[rows]), contender(right[rows], loss[rows])]
        ).pairs
        assert pair.loss is not None
        assert (pair.accuracy.p, pair.loss.p) == (1, 1)
    same_seeds = [contender(right[[0] * 5], loss[[0] * 5])] * 2
    (pair,) = Comparison.of("clothes", same_seeds).pairs
    assert pair.test == "paired seeds and images"
    assert pair.better is None


def test_a_loss_may_differ_where_accuracy_does_not() -> None:
    right = np.arange(500) % 10 > 0
    noise = np.tile([-0.05, 0.05], 250)
    (pair,) = Comparison.of("clothes", [contender(right, np.full(500, 0.3)), contender(right, 0.4 + noise)]).pairs
    assert pair.better is None
    assert pair.loss is not None
    assert pair.loss.shown
    assert pair.verdict("AB").endswith("The loss of A is lower, by 0.1000 nats (0.0956 to 0.1044).")
    assert pair.loss.interval.low < pair.loss.value < pair.loss.interval.high < 0


def test_of_few_images_a_difference_in_loss_is_not_to_be_relied_on() -> None:
    for images, told in ((99, True), (100, False)):
        right = np.ones(images, bool)
        noise = np.random.default_rng(0).normal(size=images) / 100
        comparison = Comparison.of("clothes", [contender(right, 0.3 + noise), contender(right, np.full(images, 0.4))])
        assert comparison.pairs[0].loss is not None
        assert comparison.pairs[0].loss.shown
        assert any("do not rely on a difference in loss" in note for note in comparison.notes) == told
    same = Comparison.of("clothes", [contender(np.ones(20, bool)), contender(np.ones(20, bool))])
    assert not any("rely" in note for note in same.notes)


def test_a_loss_that_is_no_number_is_not_compared() -> None:
    right = np.arange(50) % 2 > 0
    for bad in (np.nan, np.inf):
        loss = np.full(50, 0.5)
        loss[3] = bad
        comparison = Comparison.of("clothes", [contender(right, loss), contender(right)])
        assert comparison.pairs[0].loss is None
        assert "A loss is not finite" in comparison.verdicts[0]


def test_few_seeds_are_tested_by_sign_flips_and_said_to_be_about_models() -> None:
    generator = np.random.default_rng(0)
    hard = generator.normal(size=400)
    first, second = (models(generator, count, 400, seeds=0.1, own=0.5) + hard > 0 for count in (3, 2))
    comparison = Comparison.of("clothes", [contender(first), contender(second)])
    (pair,) = comparison.pairs
    assert (pair.test, pair.only) == ("sign flip", None)
    assert pair.accuracy.exact == sign_flip(2 * first.sum(0) - 3 * second.sum(0)) <= pair.accuracy.p
    assert pair.accuracy.value == pytest.approx(first.mean() - second.mean())
    assert "With fewer than 5 seeds on either side" in comparison.notes[0]
    assert "not about the recipes" in comparison.notes[0]


def test_five_seeds_on_both_sides_speak_of_recipes_and_four_do_not() -> None:
    generator = np.random.default_rng(0)
    five, four = (contender(generator.random((count, 100)) < 0.8) for count in (5, 4))
    comparison = Comparison.of("clothes", [five, five, four])
    assert [pair.test for pair in comparison.pairs] == ["paired seeds and images", "sign flip", "sign flip"]
    assert "is about the recipes" in comparison.notes[0]
    assert "is about these trained models" in comparison.notes[1]


def test_scores_carry_the_interval_of_images_for_one_seed_and_of_seeds_and_images_for_several() -> None:
    right = np.random.default_rng(0).random(200) < 0.1 * np.random.default_rng(1).random((5, 200)) + 0.8
    assert contender(right[0]).interval == Interval.wilson(int(right[0].sum()), 200)
    over_seeds = contender(right).accuracy.interval
    assert over_seeds is not None
    low, high = contender(right).interval
    assert low < over_seeds.low < over_seeds.high < high
    assert contender(np.ones((5, 200))).interval == pytest.approx((0.97, 1), abs=0.01)


def test_three_pairs_are_corrected_and_two_contenders_are_not() -> None:
    generator = np.random.default_rng(2)
    contenders = [contender(generator.random(900) < share, name=str(share)) for share in (0.8, 0.85, 0.86)]
    comparison = Comparison.of("clothes", contenders)
    assert [(pair.first, pair.second) for pair in comparison.pairs] == [(0, 1), (0, 2), (1, 2)]
    raw = [pair.accuracy.p for pair in comparison.pairs]
    assert min(pair.accuracy.corrected for pair in comparison.pairs) == pytest.approx(3 * min(raw))
    assert all(pair.accuracy.confidence == pytest.approx(1 - 0.05 / 3) for pair in comparison.pairs)
    assert "adjusted for their number (Bonferroni)" in comparison.notes[-1]
    alone = Comparison.of("clothes", contenders[:2])
    assert alone.pairs[0].accuracy.corrected == alone.pairs[0].accuracy.p == raw[0]
    assert alone.pairs[0].accuracy.confidence == 0.95
    assert not any("Bonferroni" in note for note in alone.notes)


def test_the_answer_is_the_same_each_time_and_plain_json() -> None:
    def answer() -> str:
        return json.dumps(Comparison.of("clothes", discordant(40, 20, 300)).to_dict())

    facts = json.loads(answer())
    assert answer() == json.dumps(facts)
    (pair,) = facts["pairs"]
    assert pair["better"] == "one"
    assert (pair["only_first_right"], pair["only_second_right"]) == (40, 20)
    assert pair["accuracy"].keys() == {"difference", "interval", "confidence", "p", "p_corrected", "shown"}
    assert [run["run"] for run in facts["runs"]] == ["one", "two"]


def test_text_has_every_verdict_and_every_note() -> None:
    comparison = Comparison.of("clothes", discordant(40, 20, 300), ["A note."])
    assert str(comparison).splitlines() == [*comparison.verdicts, *comparison.notes]
    assert comparison.notes[0] == "A note."


@pytest.mark.parametrize("sizes", [[], [5], [5, 6], [0, 0]])
def test_fewer_than_two_or_other_images_are_refused(sizes: list[int]) -> None:
    with pytest.raises(InputError, match=r"expected two runs or more, on the same images"):
        Comparison.of("clothes", [contender(np.ones(size)) for size in sizes])


@settings(max_examples=25)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 200))
def test_exchanging_two_models_turns_every_number_round(only_first: int, only_second: int, both: int) -> None:
    pair = Comparison.of("clothes", discordant(only_first, only_second, both)).pairs[0]
    turned = Comparison.of("clothes", discordant(only_first, only_second, both)[::-1]).pairs[0]
    assert turned.accuracy.p == pytest.approx(pair.accuracy.p)
    assert pair.accuracy.exact == mcnemar(only_first, only_second) <= pair.accuracy.p
    assert turned.accuracy.value == -pair.accuracy.value
    assert turned.accuracy.interval == pytest.approx((-pair.accuracy.interval.high, -pair.accuracy.interval.low))
    assert (turned.better is None) == (pair.better is None)


def test_with_many_images_two_recipes_are_compared_by_t_of_each_ones_seeds() -> None:
    """What is left when images add nothing is Banerjee's interval: the squares of two textbook intervals add up."""
    generator = np.random.default_rng(0)
    first, second = generator.normal(0.9, 0.01, (6, 1)), generator.normal(0.88, 0.03, (9, 1))
    found = Estimate.over_seeds_and_images([np.repeat(side, 50, axis=1) for side in (first, second)])
    for confidence in (0.95, 0.999):
        halves = [
            t.ppf(0.5 + confidence / 2, len(side) - 1) * side.std(ddof=1) / len(side) ** 0.5 for side in (first, second)
        ]
        low, high = found.interval(confidence)
        assert (high - low) / 2 == pytest.approx(np.hypot(*halves))
    welch = ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    assert welch.pvalue < found.p < 1.2 * welch.pvalue
    assert found.interval(1 - found.p).low == pytest.approx(0, abs=1e-9)


def test_with_equal_seeds_two_recipes_are_compared_as_two_models() -> None:
    generator = np.random.default_rng(0)
    rows = generator.random((2, 900)) < [[0.9], [0.86]]
    found = Estimate.over_seeds_and_images([np.repeat(row[None], 5, axis=0) for row in rows])
    by_images = ttest_rel(rows[0].astype(float), rows[1].astype(float))
    assert found.p == pytest.approx(by_images.pvalue)
    assert found.interval() == pytest.approx(tuple(by_images.confidence_interval()))


def test_an_interval_without_zero_never_stands_beside_no_difference() -> None:
    """Nor one with zero beside a difference: McNemar's test and the interval of five images of 120 disagreed."""
    first = np.arange(120) < 110
    second = first & (np.arange(120) >= 5)
    (pair,) = Comparison.of("clothes", [contender(first), contender(second)]).pairs
    assert (pair.better, pair.accuracy.p) == (None, 0.0625)
    assert pair.accuracy.interval.low <= 0
    generator = np.random.default_rng(0)
    for count, seeds in ((2, 1), (4, 1), (3, 2), (3, 5)):
        sides = [contender(*drawn(generator, seeds, 100, 0.3 * number)) for number in range(count)]
        for one in Comparison.of("clothes", sides).pairs:
            for difference in (one.accuracy, one.loss):
                assert difference is not None
                low, high = difference.interval
                assert difference.shown == (not low <= 0 <= high) == (difference.corrected < 0.05)


def drawn(generator: np.random.Generator, seeds: int, images: int, better: float) -> tuple[Array, Array]:
    """What seeds of a recipe are right about, and their losses."""
    score = models(generator, seeds, images, seeds=0.05, own=1.0) + better
    return score > 0, np.log1p(np.exp(-2 * score))


def test_of_many_runs_a_clear_difference_is_found_all_the_same() -> None:
    """A bootstrap's p is no smaller than one in so many resamples, which 105 pairs multiply beyond 0.05."""
    generator = np.random.default_rng(0)
    sides = [contender(*drawn(generator, 1, 400, 3.0 * (number == 0)), name=str(number)) for number in range(15)]
    pairs = Comparison.of("clothes", sides).pairs
    assert len(pairs) == 105
    for pair in pairs:
        assert pair.loss is not None
        assert pair.loss.shown == pair.accuracy.shown == (pair.first == 0)
    assert "the loss of" not in pairs[0].verdict([str(number) for number in range(15)])


def share_shown(trials: int, compare: Callable[[np.random.Generator], Comparison]) -> tuple[float, float]:
    """How often equals are called different, in accuracy and in loss."""
    pairs = [compare(np.random.default_rng(seed)).pairs[0] for seed in range(trials)]
    losses = [pair.loss for pair in pairs if pair.loss is not None]
    return sum(pair.accuracy.shown for pair in pairs) / trials, sum(loss.shown for loss in losses) / trials


def of_scores(first: Array, second: Array) -> Comparison:
    return Comparison.of("clothes", [contender(side > 0, np.log1p(np.exp(-side))) for side in (first, second)])


def equal_models(generator: np.random.Generator) -> Comparison:
    """Two trained models that would be right about as many of all images."""
    hard = generator.normal(size=300)
    return of_scores(*(models(generator, 1, 300, seeds=0, own=0.7) + hard for _ in range(2)))


def equal_few(generator: np.random.Generator) -> Comparison:
    """Three models against two, all equally able."""
    hard = generator.normal(size=300)
    return of_scores(*(models(generator, count, 300, seeds=0, own=0.7) + hard for count in (3, 2)))


def equal_recipes(generator: np.random.Generator) -> Comparison:
    """Two recipes whose seeds differ in ability, and which find other images hard, equally able on the whole."""
    shared = generator.normal(size=200)
    return of_scores(
        *(models(generator, 5, 200, seeds=0.1, own=0.6) + shared + 0.5 * generator.normal(size=200) for _ in range(2))
    )


@pytest.mark.parametrize("equals", [equal_models, equal_few, equal_recipes])
@pytest.mark.parametrize("trials", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_equals_are_called_different_in_at_most_a_twentieth_of_trials(
    equals: Callable[[np.random.Generator], Comparison], trials: int
) -> None:
    # Three standard errors above 5%: a correct test fails here once in a thousand times, and the seeds are fixed.
    limit = 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5
    accuracy, loss = share_shown(trials, equals)
    assert accuracy <= limit
    assert loss <= limit


def test_a_recipe_that_is_better_is_found_to_be() -> None:
    def better(generator: np.random.Generator) -> Comparison:
        hard = generator.normal(size=500)
        first, second = (models(generator, 5, 500, seeds=0.05, own=0.5) + hard for _ in range(2))
        return of_scores(first + 0.5, second)

    accuracy, loss = share_shown(20, better)
    assert min(accuracy, loss) > 0.9
