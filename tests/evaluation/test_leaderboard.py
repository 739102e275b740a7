from __future__ import annotations

import time

import numpy as np
import pytest

from fittingroom.evaluation.comparison import Comparison, Contender
from fittingroom.evaluation.leaderboard import Leaderboard


def contender(name: str, correct: np.ndarray) -> Contender:
    """A run that is right about these images, `(seeds, images)` or `(images,)`."""
    right = np.atleast_2d(correct)
    return Contender(name, "course", tuple(range(len(right))), right, np.where(right, 0.1, 2.0))


def equals(random: np.random.Generator, runs: int, images: int, seeds: int = 1) -> list[Contender]:
    """Runs that are equally good in truth, and alike: most images are easy or hard for all."""
    ease = random.beta(2, 0.4, images)
    return [contender(f"run-{one}", random.random((seeds, images)) < ease) for one in range(runs)]


@pytest.mark.parametrize(
    ("runs", "seeds", "repeats"), [(2, 1, 400), (12, 1, 400), (30, 1, 100), (6, 3, 60), (6, 5, 60)]
)
def test_where_all_are_equal_hardly_ever_stands_one_outside_the_bracket(runs: int, seeds: int, repeats: int) -> None:
    random = np.random.default_rng(runs + seeds)
    outside = sum(
        len(Leaderboard.of("digits", equals(random, runs, 600, seeds)).bracket) < runs for _ in range(repeats)
    )
    # With a rate of 5% more than this happens once in a thousand.
    assert outside <= repeats * 0.05 + 3.1 * np.sqrt(repeats * 0.05 * 0.95)


def test_who_is_clearly_behind_stands_outside() -> None:
    random = np.random.default_rng(0)
    best, same = equals(random, 2, 4_000)
    worse = contender("worse", best.correct & (random.random(4_000) < 0.9))
    board = Leaderboard.of("digits", [worse, best, same])
    assert set(board.bracket) == {"run-0", "run-1"}
    assert board.places[-1].contender.name == "worse"
    assert [place.rank for place in board.places] == [1, 2, 3]
    assert "1 run is right less often" in board.sentence
    assert str(board).splitlines()[-2].startswith("    3")


def test_the_bracket_says_what_compare_says_of_the_same_pairs() -> None:
    random = np.random.default_rng(1)
    runs = equals(random, 5, 500)
    runs += [contender("behind", runs[0].correct & (random.random(500) < 0.93))]
    board, comparison = Leaderboard.of("digits", runs), Comparison.of("digits", runs)
    first = board.places[0].contender.name
    for place in board.places[1:]:
        names = {first, place.contender.name}
        (pair,) = [one for one in comparison.pairs if {runs[one.first].name, runs[one.second].name} == names]
        assert place.behind is not None
        assert pair.accuracy.corrected == pytest.approx(place.behind.accuracy.corrected)
        assert pair.accuracy.shown != place.in_bracket


def test_equal_scores_share_a_rank_and_one_run_is_a_board_too() -> None:
    right = np.arange(50) % 5 > 0
    board = Leaderboard.of("digits", [contender("b", right), contender("a", right), contender("c", right & False)])
    assert [(place.rank, place.contender.name) for place in board.places] == [(1, "a"), (1, "b"), (3, "c")]
    alone = Leaderboard.of("digits", [contender("a", right)])
    assert alone.sentence == "a is the only run on these images."
    assert alone.to_dict()["places"][0]["behind"] is None


def test_thirty_runs_on_five_thousand_images_take_less_than_a_second() -> None:
    runs = equals(np.random.default_rng(2), 30, 5_000)
    began = time.process_time()
    Leaderboard.of("fashion-mnist", runs).to_dict()
    assert time.process_time() - began < 1
