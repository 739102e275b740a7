"""How often a benchmark's statistics err on results whose truth is known: equals told apart, ranks and shares missed.

    python benchmarks/rank_nulls.py            # a few minutes on one core
    python benchmarks/rank_nulls.py --quick    # a quarter of the repetitions

Answers are drawn by a probit model. Whether a method is right about an image with a seed depends on how easy the image
is for all methods, how well it suits this method, how well the seed's training went, and chance. All accuracies are
known, so that ranks are, too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from fittingroom.evaluation.benchmark_scores import DatasetScores
from fittingroom.evaluation.benchmark_statistics import BenchmarkStatistics
from fittingroom.evaluation.conclusions import Conclusions, PairShare
from fittingroom.evaluation.dataset_ranking import DatasetRanking
from fittingroom.evaluation.differences import ENOUGH_SEEDS

FLOATS = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """How answers vary: shares of the variance, which add up to 1 with what is left to chance.

    Args:
        images: how many there are.
        seeds: how many trainings each method has.
        shared: what makes an image easy or hard for all.
        suited: what makes it easy for one method.
        luck: how much one training is better than another.
        fixed: every so many methods one is not changed by seeds.
    """

    images: int
    seeds: int
    shared: float = 0.6
    suited: float = 0.15
    luck: float = 0.0005
    fixed: int = 3

    def drawn(self, random: np.random.Generator, accuracies: FLOATS, name: str, family: str) -> DatasetScores:
        """Answers of methods with these accuracies."""
        ease = np.sqrt(self.shared) * random.normal(0, 1, self.images)
        right = {}
        for at, accuracy in enumerate(accuracies):
            fixed = at % self.fixed == self.fixed - 1
            seeds = 1 if fixed else self.seeds
            parts = [1 - self.shared, 0.0, 0.0] if fixed else [self.suited, self.luck, 0.0]
            parts[2] = 1 - self.shared - parts[0] - parts[1]
            suited, luck, chance = (np.sqrt(part) for part in parts)
            right[f"m{at}"] = (
                ease
                + suited * random.normal(0, 1, self.images)
                + luck * random.normal(0, 1, (seeds, 1))
                + chance * random.normal(0, 1, (seeds, self.images))
            ) < norm.ppf(accuracy)
        return DatasetScores(name, family, right)


def equals_on_a_dataset(random: np.random.Generator, repeats: int) -> Iterator[dict[str, object]]:
    """How often any two of several equal methods are ranked apart on a dataset."""
    for methods, images, seeds, accuracy in [
        (2, 200, 1, 0.9), (2, 200, 5, 0.9), (4, 200, 3, 0.98), (4, 360, 5, 0.98), (12, 360, 5, 0.98),
        (12, 500, 1, 0.7), (12, 500, 5, 0.7), (12, 500, 5, 0.9), (12, 1_000, 5, 0.995), (12, 2_000, 5, 0.9),
        (12, 2_000, 10, 0.9), (30, 500, 5, 0.9),
    ]:  # fmt: skip
        # With fewer than five seeds, differences are about the trained models, which luck makes differ indeed.
        for luck in (0.0, 0.003) if seeds >= ENOUGH_SEEDS else (0.0,):
            times = repeats * (5 if methods < 5 else 1)
            answers = Answers(images, seeds, luck=luck)
            apart = 0
            for _ in range(times):
                ranking = DatasetRanking.of(answers.drawn(random, np.full(methods, accuracy), "equal", "equal"))
                apart += any(interval != (1, methods) for interval in ranking.rank_intervals.values())
            yield {
                "what": "equal methods ranked apart on a dataset", "methods": methods, "images": images, "seeds": seeds,
                "accuracy": accuracy, "luck of a seed": luck, "times": times, "rate": apart / times, "at most": 0.05,
            }  # fmt: skip


def ranks_on_a_dataset(random: np.random.Generator, repeats: int) -> Iterator[dict[str, object]]:
    """How often the rank intervals of all methods hold their true ranks on a dataset at once."""
    for spread in (0.002, 0.01, 0.05):
        for seeds in (1, 5):
            held, times = 0, repeats
            for _ in range(times):
                truth = np.clip(0.88 + spread * random.normal(0, 1, 8), 0.5, 0.995)
                ranking = DatasetRanking.of(Answers(500, seeds).drawn(random, truth, "one", "one"))
                held += all(
                    ranking.rank_intervals[f"m{at}"][0]
                    <= 1 + (truth > own).sum()
                    <= ranking.rank_intervals[f"m{at}"][1]
                    for at, own in enumerate(truth)
                )
            yield {
                "what": "all ranks on a dataset held at once", "methods": 8, "images": 500, "seeds": seeds,
                "spread of accuracies": spread, "times": times, "rate": held / times, "at least": 0.95,
            }  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of dataset: how able methods are in general, and how much that varies between families and datasets."""

    methods: int
    general: float
    between: float
    within: float = 0.0
    images: int = 300

    def abilities(self, random: np.random.Generator) -> FLOATS:
        """The methods' ability in general, on the probit scale."""
        return 1.2 + self.general * random.normal(0, 1, self.methods)

    def family(self, random: np.random.Generator, abilities: FLOATS, datasets: int) -> FLOATS:
        """The true accuracies on each dataset of a new family, `(datasets, methods)`."""
        of_family = abilities + self.between * random.normal(0, 1, self.methods) + 0.3 * random.normal()
        each = norm.cdf(of_family + self.within * random.normal(0, 1, (datasets, self.methods)))
        return np.asarray(np.clip(each, 0.02, 0.999), np.float64)

    def measured(self, random: np.random.Generator, abilities: FLOATS, draws: int) -> FLOATS:
        """Accuracies on so many datasets of new families, as 300 images of each would measure them."""
        truth = np.array([self.family(random, abilities, 1)[0] for _ in range(draws)])[:, None]
        ease = np.sqrt(Answers.shared) * random.normal(0, 1, (draws, 300, 1))
        own = np.sqrt(1 - Answers.shared) * random.normal(0, 1, (draws, 300, self.methods))
        return np.asarray((ease + own < norm.ppf(truth)).mean(axis=1), np.float64)


def the_next_dataset(random: np.random.Generator, repeats: int) -> Iterator[dict[str, object]]:
    """How often the statements about a dataset of a new family hold."""
    kinds = {
        "alike": Kind(6, 0.5, 0.05),
        "unlike": Kind(6, 0.3, 0.3),
        "unlike, 10,000 images": Kind(6, 0.3, 0.3, images=10_000),
        "equal": Kind(6, 0.0, 0.3),
        "several datasets in families": Kind(6, 0.3, 0.3, 0.2),
    }
    for name, kind in kinds.items():
        for families in (6, 7, 12, 40):
            times = max(20, repeats * 6 // families)
            drawn = [_one_benchmark(random, kind, families) for _ in range(times)]
            common = {"kind": name, "families": families, "times": times}
            level, level_high = drawn[0].levels
            held, above, won = (np.mean([share[at] for share in (one.shares for one in drawn)]) for at in range(3))
            yield {**common, "what": "rank on the next dataset held", "rate": held, "at least": level}
            yield {**common, "what": "rank on the next dataset not above", "rate": above, "at least": level_high}
            yield {**common, "what": "probability of winning held", "rate": won, "at least": 0.95}
            if name == "equal":
                told: dict[str, object] = {**common, "at most": 0.05}
                misled, apart = (np.mean([getattr(one, each) for one in drawn]) for each in ("misled", "apart"))
                yield {**told, "what": "a winner among equals, of all pairs", "rate": misled}
                yield {**told, "what": "equals told apart by critical difference", "rate": apart}


@dataclass(frozen=True)
class _Benchmark:
    """What a simulated benchmark said of the next dataset, against the truth.

    Args:
        shares: of methods whose next rank is in its interval; of those whose rank is not above it; of pairs whose
            probability is in its interval.
        levels: what is said of the first two.
        misled: whether a winner is named for any pair.
        apart: whether the critical difference tells any two methods apart.
    """

    shares: tuple[float, float, float]
    levels: tuple[float, float]
    misled: bool
    apart: bool


def _one_benchmark(random: np.random.Generator, kind: Kind, families: int) -> _Benchmark:
    abilities = kind.abilities(random)
    scores = [
        Answers(kind.images, 1).drawn(random, row, f"{family}-{at}", str(family))
        for family in range(families)
        for at, row in enumerate(kind.family(random, abilities, int(random.integers(1, 5)) if kind.within else 1))
    ]
    found = BenchmarkStatistics.of(scores).next
    assert found is not None
    assert found.critical_difference is not None
    new = kind.family(random, abilities, 1)[0]
    ranks = [1 + int((new > new[int(one.method[1:])]).sum()) for one in found.ranks]
    held = [one.low <= rank <= one.high for one, rank in zip(found.ranks, ranks, strict=True)]
    above = [rank <= one.high for one, rank in zip(found.ranks, ranks, strict=True)]
    often, won = kind.measured(random, abilities, 400), []
    for winner in found.winners:
        first, second = often[:, int(winner.first[1:])], often[:, int(winner.second[1:])]
        truth = float((first > second).mean() + (first == second).mean() / 2)
        low, high = winner.among(1).interval
        won.append(low - 0.025 <= truth <= high + 0.025)  # 400 draws leave the truth unsure by that
    return _Benchmark(
        (float(np.mean(held)), float(np.mean(above)), float(np.mean(won))),
        (found.level, found.level_high),
        any(winner.better is not None for winner in found.winners),
        len(found.critical_difference.groups) > 1,
    )


def conclusions_elsewhere(random: np.random.Generator, repeats: int) -> Iterator[dict[str, object]]:
    """How often the shares of choices and orders that hold on another dataset are in their intervals."""
    kinds = {"alike": Kind(6, 0.5, 0.05), "unlike": Kind(6, 0.3, 0.3), "equal": Kind(6, 0.0, 0.3)}
    for name, kind in kinds.items():
        abilities = kind.abilities(random)
        # Benchmarks are drawn from a pool of families, of which the truth is known by asking about every two.
        pool = [
            DatasetRanking.of(Answers(1_000, 1).drawn(random, kind.family(random, abilities, 1)[0], str(at), str(at)))
            for at in range(150)
        ]
        every = Conclusions.of(pool)
        truths = _shares(every)
        for families in (6, 7, 12):
            held = []
            for _ in range(repeats):
                chosen = random.choice(len(pool), families, replace=False)
                found = _shares(Conclusions.of([pool[at] for at in chosen]))
                both = [(truth.value, one.interval) for truth, one in zip(truths, found, strict=True)]
                held.append([interval.low <= truth <= interval.high for truth, interval in both])
            parts = ("choice holds", "choice is the best", "same order", "no order", "opposite order")
            for at, what in enumerate(parts):
                yield {
                    "what": f"share held: {what}", "kind": name, "families": families, "times": repeats,
                    "truth": truths[at].value, "rate": np.mean([one[at] for one in held]), "at least": 0.95,
                }  # fmt: skip


def _shares(found: Conclusions) -> tuple[PairShare, ...]:
    assert found.holds is not None
    assert found.first is not None
    assert found.orders is not None
    return (found.holds, found.first, *found.orders)


def main() -> None:
    """Each rate as a line of JSON; the last line names those that are worse than they may be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the repetitions")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    repeats, worse = 40 if given.quick else 150, 0
    random = np.random.default_rng(given.seed)
    for part in (equals_on_a_dataset, ranks_on_a_dataset, the_next_dataset, conclusions_elsewhere):
        for told in part(random, repeats):
            times, rate = int(str(told["times"])), float(str(told["rate"]))
            bound = float(str(told.get("at most", told.get("at least"))))
            # Beyond what so few repetitions could bring by chance, once in a thousand.
            luck = 3.1 * np.sqrt(bound * (1 - bound) / times)
            told["kept"] = bool(rate <= bound + luck if "at most" in told else rate >= bound - luck)
            worse += not told["kept"]
            print(
                json.dumps({key: float(each) if isinstance(each, np.floating) else each for key, each in told.items()})
            )
    print(json.dumps({"worse than allowed": worse}))


if __name__ == "__main__":
    main()
