"""What a benchmark over many datasets shows: on each dataset, between datasets, and of the next one.

There is no mean over datasets in it: accuracies on different datasets do not add up to anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fittingroom.errors import InputError
from fittingroom.evaluation.benchmark_scores import DatasetScores
from fittingroom.evaluation.conclusions import Conclusions
from fittingroom.evaluation.dataset_ranking import DatasetRanking
from fittingroom.evaluation.differences import ENOUGH_SEEDS, Difference
from fittingroom.evaluation.next_dataset import FEWEST_FAMILIES, NextDataset, NextWinner, beats
from fittingroom.text import amount, interval_of_change, points, word_list

_ABOUT_MODELS = (
    f"With fewer than {ENOUGH_SEEDS} seeds, differences are about these trained models, not about the methods: other "
    "seeds may reverse them."
)


@dataclass(frozen=True)
class Reversal:
    """Two methods of which each is shown to be better on one of two datasets.

    Args:
        first: the method that is better on the first dataset.
        second: the method that is better on the second.
        wins_on: the first dataset.
        loses_on: the second.
        on_wins: the first method's accuracy less the second's, on the first dataset.
        on_loses: the same on the second.
    """

    first: str
    second: str
    wins_on: str
    loses_on: str
    on_wins: Difference
    on_loses: Difference

    @property
    def clearness(self) -> float:
        """The smaller of the two differences at the end of its interval that is nearer to 0; a share, above 0."""
        return min(self.on_wins.interval.low, -self.on_loses.interval.high)

    @property
    def sentence(self) -> str:
        """Both differences with their intervals."""
        return (
            f"{self.first} is right more often than {self.second} on {self.wins_on}, by {_in_points(self.on_wins)}, "
            f"and less often on {self.loses_on}, by {_in_points(self.on_loses)}."
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "wins_on": self.wins_on,
            "loses_on": self.loses_on,
            "difference_on_wins": self.on_wins.value,
            "interval_on_wins": list(self.on_wins.interval),
            "difference_on_loses": self.on_loses.value,
            "interval_on_loses": list(self.on_loses.interval),
            "sentence": self.sentence,
        }


@dataclass(frozen=True, eq=False)
class BenchmarkStatistics:
    """The statistics of a benchmark.

    Args:
        rankings: the methods on each dataset, in the order of the datasets.
    """

    rankings: tuple[DatasetRanking, ...]

    @classmethod
    def of(cls, scores: Sequence[DatasetScores]) -> BenchmarkStatistics:
        """The statistics of these results.

        Args:
            scores: one for each dataset on which a method has results; at least one.

        Raises:
            InputError: there is none, one dataset is there twice, or its methods have different images.
        """
        names = [one.dataset for one in scores]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names or twice:
            got = f"{word_list(twice)} more than once" if twice else "none"
            raise InputError(f"Expected the results of one dataset or more, each once; got {got}.")
        return cls(tuple(map(DatasetRanking.of, scores)))

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """Each family with its datasets."""
        found: dict[str, tuple[str, ...]] = {}
        for ranking in self.rankings:
            found[ranking.family] = (*found.get(ranking.family, ()), ranking.dataset)
        return found

    @cached_property
    def next(self) -> NextDataset | None:
        """What is said of a dataset of a new family; None with fewer than six families."""
        return NextDataset.of(self.rankings) if len(self.families) >= FEWEST_FAMILIES else None

    @property
    def why_not_next(self) -> str:
        """Why nothing is said of the next dataset; empty where something is."""
        if self.next is not None:
            return ""
        count = len(self.families)
        return (
            f"{amount(count, 'family', 'families')} of datasets say{'s' * (count == 1)} nothing of the next dataset: "
            f"no sign test over fewer than {FEWEST_FAMILIES} can reach p < 0.05. Datasets made from one source are one "
            "family."
        )

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Each method that has no rank for a new dataset, and why: it lacks a result on some dataset."""
        if len(self.rankings) < 2:
            return {}
        methods = dict.fromkeys(method for ranking in self.rankings for method in ranking.methods)
        lacking = {
            method: [ranking.dataset for ranking in self.rankings if method not in ranking.accuracy]
            for method in methods
        }
        return {
            method: f"{method} has no result on {word_list(datasets, most=4)}, so ranks over datasets leave it out."
            for method, datasets in lacking.items()
            if datasets
        }

    @cached_property
    def reversals(self) -> tuple[Reversal, ...]:
        """Pairs of methods of which each is better on a dataset of its own, the clearest first.

        Each pair stands once, with the two datasets on which it is clearest; corrected for all pairs on all datasets.
        """
        together = sum(len(ranking.differences) for ranking in self.rankings)
        shown: dict[tuple[str, str], list[tuple[str, Difference]]] = {}
        for ranking in self.rankings:
            for (first, second), difference in ranking.differences.items():
                wider = difference.among(together)
                if wider.shown and wider.estimate.mean > 0:
                    shown.setdefault((first, second), []).append((ranking.dataset, wider))
        found = []
        for (first, second), wins in shown.items():
            losses = shown.get((second, first), []) if first < second else []
            if losses:
                (here, won), (there, lost) = (max(each, key=lambda one: one[1].interval.low) for each in (wins, losses))
                found.append(Reversal(first, second, here, there, won, lost.reversed()))
        return tuple(sorted(found, key=lambda one: (-one.clearness, one.first, one.second)))

    @cached_property
    def conclusions(self) -> Conclusions:
        """Whether what is found on one dataset holds on those of other families."""
        return Conclusions.of(self.rankings)

    def beats(self, first: str, second: str) -> NextWinner:
        """Whether the first method will be better on a dataset of a new family, as the only pair that is asked about.

        Choose the pair before you see the results; `next.winners` has every pair, corrected for their number.

        Raises:
            InputError: fewer than six families have results of both.
        """
        return beats(first, second, self.rankings)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What a reader should take away: dataset by dataset, what holds on others, the next dataset."""
        told = [ranking.sentence for ranking in self.rankings]
        if min(ranking.seeds for ranking in self.rankings) < ENOUGH_SEEDS and any(
            len(ranking.methods) > 1 for ranking in self.rankings
        ):
            told.append(_ABOUT_MODELS)
        if self.reversals:
            told.append(self.reversals[0].sentence)
            if len(self.reversals) > 1:
                pairs = len({frozenset(pair) for ranking in self.rankings for pair in ranking.differences})
                told.append(f"Of {pairs:,} pairs of methods, {len(self.reversals):,} are reversed so by the dataset.")
        told.extend(self.conclusions.sentences)
        if len(self.rankings) > 1:
            told.extend(self.next.sentences if self.next is not None else [self.why_not_next])
            told.extend(self.left_out.values())
        return tuple(told)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        plain = self.next.critical_difference if self.next is not None else None
        return {
            "families": {family: list(datasets) for family, datasets in self.families.items()},
            "datasets": [ranking.to_dict() for ranking in self.rankings],
            "next": None if self.next is None else self.next.to_dict(),
            "why_not_next": self.why_not_next,
            "critical_difference": None if plain is None else plain.to_dict(),
            "conclusions": self.conclusions.to_dict(),
            "reversals": [one.to_dict() for one in self.reversals],
            "sentences": list(self.sentences),
            "left_out": [{"method": method, "why": why} for method, why in self.left_out.items()],
        }

    def __str__(self) -> str:
        return "\n".join(self.sentences)


def _in_points(difference: Difference) -> str:
    written = interval_of_change([100 * end for end in difference.interval], points)
    return f"{points(100 * abs(difference.value))} points ({written})"
