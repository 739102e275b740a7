"""Methods on one dataset: the difference of every two of them, and the ranks that each may have.

Every pair is compared by the paired tests of `compare`, over images and seeds, and p and intervals are corrected for
the number of pairs (Bonferroni). A method's rank interval follows from these tests alone: its rank is at least 1 and
the number of methods that are shown to be better, and at most the number of all less those that are shown to be worse.
With a confidence of 95% the intervals hold the ranks of all methods at once: those that they had with endless images
and seeds. Source: Neuhof and Benjamini, Rank Intervals for Leaderboards (arXiv 2606.08679, 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError
from fittingroom.evaluation.benchmark_scores import DatasetScores
from fittingroom.evaluation.differences import Difference
from fittingroom.evaluation.estimate import accuracy_interval
from fittingroom.evaluation.spread import Interval
from fittingroom.text import amount, word_list

_NAMED = 4  # methods named in a sentence


@dataclass(frozen=True, eq=False)
class DatasetRanking:
    """How the methods of a benchmark stand on one dataset.

    Args:
        dataset: its name.
        family: what it was made from.
        images: how many images were classified.
        seeds: the most seeds that a method has results of.
        accuracy: method -> share of right answers, mean over its seeds, the highest first.
        intervals: method -> 95% interval of that accuracy for other images and seeds.
        differences: each two methods, the one with the higher accuracy first -> its accuracy less the other's.
    """

    dataset: str
    family: str
    images: int
    seeds: int
    accuracy: Mapping[str, float]
    intervals: Mapping[str, Interval]
    differences: Mapping[tuple[str, str], Difference]

    @classmethod
    def of(cls, scores: DatasetScores) -> DatasetRanking:
        """The methods that have results on this dataset, every two of them compared.

        A method whose seeds all gave the same answers, as k-nearest neighbours does, is taken as one that seeds do not
        change, and so is one with a single row beside others with several.

        Raises:
            InputError: there is no method, or methods have different numbers of images, or none.
        """
        shapes = {method: np.shape(right) for method, right in scores.right.items()}
        if (
            not shapes
            or {len(shape) for shape in shapes.values()} != {2}
            or 0 in {n for s in shapes.values() for n in s}
        ):
            raise InputError(
                f"{scores.dataset}: the shapes of the results are {shapes}: expected (seeds, images) for one method or "
                "more, with one seed and one image or more."
            )
        if len({images for _, images in shapes.values()}) > 1:
            raise InputError(f"{scores.dataset}: expected the same images for all methods, got the shapes {shapes}.")
        accuracy = dict(sorted(scores.accuracy.items(), key=lambda item: (-item[1], item[0])))
        right = {method: _without_repeats(np.asarray(scores.right[method], np.bool_)) for method in accuracy}
        pairs = list(combinations(accuracy, 2))
        return cls(
            scores.dataset,
            scores.family,
            next(iter(shapes.values()))[1],
            max(seeds for seeds, _ in shapes.values()),
            accuracy,
            {method: accuracy_interval(each) for method, each in right.items()},
            {(one, other): _difference(right[one], right[other]).among(len(pairs)) for one, other in pairs},
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """Those with results, the highest accuracy first."""
        return tuple(self.accuracy)

    def difference(self, first: str, second: str) -> Difference:
        """The first method's accuracy less the second's, whichever is higher."""
        known = self.differences.get((first, second))
        return known if known is not None else self.differences[second, first].reversed()

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Method -> 1 and the number of methods with a higher accuracy here; equal accuracies share a rank."""
        return {method: 1 + sum(more > own for more in self.accuracy.values()) for method, own in self.accuracy.items()}

    @cached_property
    def rank_intervals(self) -> dict[str, tuple[int, int]]:
        """Method -> the lowest and the highest rank that the tests leave it; they hold for all at once in 95%."""
        better = dict.fromkeys(self.accuracy, 0)
        worse = dict.fromkeys(self.accuracy, 0)
        for (first, second), difference in self.differences.items():
            if difference.shown:
                winner, loser = (first, second) if difference.estimate.mean > 0 else (second, first)
                better[loser] += 1
                worse[winner] += 1
        return {method: (1 + better[method], len(better) - worse[method]) for method in self.accuracy}

    @property
    def bracket(self) -> tuple[str, ...]:
        """The methods that may be the best: none is shown to be better than they are."""
        return tuple(method for method, (lowest, _) in self.rank_intervals.items() if lowest == 1)

    @property
    def sentence(self) -> str:
        """Which methods may be the best here."""
        count, best = len(self.accuracy), self.methods[0]
        if count == 1:
            return f"On {self.dataset}, {best} is the only method with results."
        if len(self.bracket) == 1:
            others = "the other method" if count == 2 else f"each of the other {count - 1} methods"
            return f"On {self.dataset}, {self.bracket[0]} is shown to be right more often than {others}."
        if len(self.bracket) == count:
            return f"On {self.dataset}, none of the {count} methods is shown to be better than another."
        named = word_list(self.bracket, most=_NAMED)
        return f"On {self.dataset}, {len(self.bracket)} of {count} methods may be the best: {named}."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON, the highest accuracy first."""
        return {
            "dataset": self.dataset,
            "family": self.family,
            "images": self.images,
            "seeds": self.seeds,
            "sentences": [self.sentence],
            "ranks": [
                {
                    "method": method,
                    "accuracy": accuracy,
                    "interval": list(self.intervals[method]),
                    "rank": self.ranks[method],
                    "low": self.rank_intervals[method][0],
                    "high": self.rank_intervals[method][1],
                }
                for method, accuracy in self.accuracy.items()
            ],
            "pairs": [
                {"first": first, "second": second, **difference.to_dict(), "better": _better(first, second, difference)}
                for (first, second), difference in self.differences.items()
            ],
        }

    def __str__(self) -> str:
        return f"{self.sentence} {amount(self.images, 'image')}."


def _better(first: str, second: str, difference: Difference) -> str | None:
    if not difference.shown:
        return None
    return first if difference.estimate.mean > 0 else second


def _without_repeats(right: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """One row where all seeds gave the same answers: five copies of a row are no five trainings."""
    return right[:1] if (right == right[0]).all() else right


def _difference(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Difference:
    """The difference of two methods; a row that seeds do not change stands beside each seed of the other."""
    rows = max(len(first), len(second))
    if len(first) == 1:
        first = np.broadcast_to(first, (rows, first.shape[1]))
    if len(second) == 1:
        second = np.broadcast_to(second, (rows, second.shape[1]))
    return Difference.of_accuracies(first, second, (range(len(first)), range(len(second))))
