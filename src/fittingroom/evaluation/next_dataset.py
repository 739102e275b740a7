"""What a benchmark says of the next dataset: the rank of each method there, and which of two will be better.

Statements hold for a dataset of a new family, of the kind that the benchmark's families are drawn from: nothing here
can say whether a user's dataset is of that kind. Families are the units, because datasets made from one source are not
independent of each other; fewer than six say nothing.

**Ranks.** The rank intervals on the known datasets give one for the next by conformal prediction (Neuhof and Benjamini,
Rank Intervals for Leaderboards, arXiv 2606.08679, 2026): from the lowest end of all to the highest. If the next family
is exchangeable with the K known ones, its rank is below all of theirs with a probability of at most 1 / (K + 1), and
above all of them with as much; the intervals of the known datasets miss their ranks in 5%. So the interval holds the
next rank with at least 1 - 2 / (K + 1) - 0.05: 70% for seven families. Where there are many, ends are dropped as far as
90% allows. A family's datasets share its weight (Lee, Barber and Willett, Distribution-Free Inference with Hierarchical
Data, arXiv 2306.06342, 2023).

**Two methods.** On how many families is the first's accuracy higher? That number is binomial. The estimate is Laplace's
rule of succession, the interval Clopper and Pearson's (Biometrika 26, 1934). Where a family's datasets disagree it
counts in part (Korn and Graubard, Survey Methodology 24, 1998, take the same interval of such counts).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

from fittingroom.errors import InputError
from fittingroom.evaluation.critical_difference import CriticalDifference, family_ranks
from fittingroom.evaluation.dataset_ranking import DatasetRanking
from fittingroom.evaluation.spread import SHOWN_BELOW, Interval
from fittingroom.text import amount, number, percent, percent_range, word_list

FEWEST_FAMILIES = 6
"""With fewer families of datasets no sign test over them can reach p < 0.05, and nothing is said of the next one."""

_BEST = 3  # how many methods' ranks are told in words


@dataclass(frozen=True)
class NextRank:
    """The rank of a method on a dataset of a new family.

    Args:
        method: its name.
        mean_rank: mean of its ranks over the known families.
        low: the best rank that it may have there, from 1.
        high: the worst.
    """

    method: str
    mean_rank: float
    low: int
    high: int


@dataclass(frozen=True)
class NextWinner:
    """Which of two methods has the higher accuracy on a dataset of a new family.

    Args:
        first: the method that is asked about.
        second: the other.
        wins: on how many families the first's accuracy is higher; a family whose datasets disagree counts in part, and
            equal accuracies as a half.
        families: how many families have results of both.
        comparisons: how many pairs are asked about together.
    """

    first: str
    second: str
    wins: float
    families: int
    comparisons: int = 1

    @property
    def probability(self) -> float:
        """That the first's accuracy is higher on the next dataset (Laplace's rule), above 0 and below 1."""
        return (self.wins + 1) / (self.families + 2)

    @property
    def confidence(self) -> float:
        """Confidence of the interval: 0.95 for one pair; for more, as much as lets all hold at once in 95%."""
        return 1 - SHOWN_BELOW / self.comparisons

    @property
    def interval(self) -> Interval:
        """Where that probability lies (Clopper and Pearson)."""
        return exact_interval(self.wins, self.families, self.confidence)

    @property
    def p(self) -> float:
        """The sign test: how likely so uneven a count would be, if both were as likely to be better; two-sided."""
        from scipy.special import betainc

        most = max(self.wins, self.families - self.wins)
        return min(1.0, 2 * float(betainc(most, self.families - most + 1, 0.5)))

    @property
    def better(self) -> str | None:
        """The method that is shown to be better on more than half of such datasets; None if neither is."""
        if self.p * self.comparisons >= SHOWN_BELOW:
            return None
        return self.first if self.wins > self.families / 2 else self.second

    @property
    def sentence(self) -> str:
        """The probability with its interval, in words."""
        together = f", for all {self.comparisons} pairs at once" if self.comparisons > 1 else ""
        return (
            f"{self.first} beats {self.second} on the next dataset with probability {percent(self.probability, 0)} "
            f"({percent_range(self.interval, 0)}{together}): it did on {number(self.wins, int(self.wins % 1 > 0))} of "
            f"{self.families} families."
        )

    def among(self, comparisons: int) -> NextWinner:
        """The same pair as one of so many."""
        return replace(self, comparisons=comparisons)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "probability": self.probability,
            "interval": list(self.interval),
            "confidence": self.confidence,
            "wins": self.wins,
            "losses": self.families - self.wins,
            "families": self.families,
            "p": self.p,
            "p_corrected": min(1.0, self.p * self.comparisons),
            "better": self.better,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, eq=False)
class NextDataset:
    """What six families of datasets or more say of a dataset of a new one.

    Args:
        families: how many there are.
        ranks: of the methods that have results on every dataset, the lowest mean rank first.
        level: the confidence that a rank is in its interval, at least; each for itself.
        level_high: the confidence that a rank is not above its interval's end, at least.
        winners: every two methods with results of both on six families or more, as one of so many pairs.
        critical_difference: the plain alternative, by mean ranks; None with fewer than three methods.
    """

    families: int
    ranks: tuple[NextRank, ...]
    level: float
    level_high: float
    winners: tuple[NextWinner, ...]
    critical_difference: CriticalDifference | None

    @classmethod
    def of(cls, rankings: Sequence[DatasetRanking]) -> NextDataset:
        """What these datasets say of the next.

        Args:
            rankings: one for each dataset, of six families or more.

        Raises:
            InputError: there are fewer families.
        """
        sizes: dict[str, int] = {}
        for ranking in rankings:
            sizes[ranking.family] = sizes.get(ranking.family, 0) + 1
        if len(sizes) < FEWEST_FAMILIES:
            raise InputError(
                f"{amount(len(sizes), 'family', 'families')} of datasets: expected {FEWEST_FAMILIES} or more, because "
                "fewer say nothing of the next dataset."
            )
        methods = [one for one in rankings[0].methods if all(one in ranking.accuracy for ranking in rankings)]
        dropped, level, level_high = _levels(len(sizes))
        table = family_ranks(rankings, methods) if methods else None
        ranks = []
        for at, method in enumerate(methods):
            assert table is not None
            ends = [(ranking.rank_intervals[method], 1 / sizes[ranking.family]) for ranking in rankings]
            low = -_upper_end([(-low, weight) for (low, _), weight in ends], dropped)
            high = _upper_end([(high, weight) for (_, high), weight in ends], dropped)
            ranks.append(NextRank(method, float(table[:, at].mean()), low, high))
        ranks.sort(key=lambda one: (one.mean_rank, one.method))
        plain = CriticalDifference.of(table, methods) if table is not None and len(methods) > 2 else None
        order = [*(one.method for one in ranks), *_others(rankings, methods)]
        winners = [_winner(first, second, rankings) for first, second in combinations(order, 2)]
        enough = [one for one in winners if one.families >= FEWEST_FAMILIES]
        together = tuple(one.among(len(enough)) for one in enough)
        return cls(len(sizes), tuple(ranks), level, level_high, together, plain)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What may be said of the next dataset, and with how much confidence."""
        told = []
        count, reach = len(self.ranks), f"{self.families} families allow"
        if count > 1:
            best = word_list(f"{one.method} {_from_to(one)}" for one in self.ranks[:_BEST])
            told.append(
                f"On a dataset of a new family, expect these ranks among {count} methods: {best}, each with a "
                f"confidence of at least {percent(self.level, 0)}, which is all that {reach}."
            )
        if self.critical_difference is not None:
            told.append(self.critical_difference.sentence)
        if self.winners:
            told.append(self.winners[0].sentence)
            told.extend(self._what_pairs_need())
        return tuple(told)

    def _what_pairs_need(self) -> list[str]:
        pairs = len(self.winners)
        needed = math.ceil(math.log2(2 * pairs / SHOWN_BELOW) + 1e-9)
        shown = sum(one.better is not None for one in self.winners)
        if shown:
            verb = "is" if shown == 1 else "are"
            return [f"Of {amount(pairs, 'pair')}, {shown} {verb} shown to have a winner on most new datasets."]
        if self.families < needed:
            return [
                f"{self.families} families cannot show for all {pairs} pairs at once which method wins on most new "
                f"datasets: that takes {needed}. For one pair that was chosen before these results, {FEWEST_FAMILIES} "
                "can."
            ]
        return [f"For none of {pairs} pairs is a winner on most new datasets shown."]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "families": self.families,
            "level": self.level,
            "level_high": self.level_high,
            "sentences": list(self.sentences),
            "ranks": [
                {"method": one.method, "mean_rank": one.mean_rank, "low": one.low, "high": one.high}
                for one in self.ranks
            ],
            "pairs": [one.to_dict() for one in self.winners],
        }


def exact_interval(successes: float, cases: float, confidence: float) -> Interval:
    """Clopper and Pearson's interval of a share: it covers at least as often as it says.

    Args:
        successes: how many there are, 0 to `cases`; need not be a whole number.
        cases: of how many, above 0.
        confidence: above 0 and below 1.
    """
    from scipy.special import betaincinv

    tail, failures = (1 - confidence) / 2, cases - successes
    low = 0.0 if successes < 1e-9 else float(betaincinv(successes, failures + 1, tail))
    high = 1.0 if failures < 1e-9 else float(betaincinv(successes + 1, failures, 1 - tail))
    return Interval(low, high)


def beats(first: str, second: str, rankings: Sequence[DatasetRanking]) -> NextWinner:
    """Whether the first method will be better on a dataset of a new family: one pair, asked about before the results.

    Args:
        first: the method that is asked about.
        second: the other.
        rankings: one for each dataset.

    Raises:
        InputError: fewer than six families have results of both.
    """
    winner = _winner(first, second, rankings)
    if winner.families < FEWEST_FAMILIES:
        raise InputError(
            f"{first} and {second} both have results on {amount(winner.families, 'family', 'families')} of datasets: "
            f"expected {FEWEST_FAMILIES} or more, because fewer say nothing of the next dataset."
        )
    return winner


def _levels(families: int) -> tuple[int, float, float]:
    """How many families' ends are dropped on each side; the confidence of an interval, and of its upper end alone."""
    dropped = max(1, int(SHOWN_BELOW / 2 * (families + 1) + 1e-9)) - 1
    tail = (dropped + 1) / (families + 1)
    return dropped, 1 - 2 * tail - SHOWN_BELOW, 1 - tail - SHOWN_BELOW / 2


def _upper_end(ends: Sequence[tuple[int, float]], dropped: int) -> int:
    """The smallest end above which there is no more than the weight of so many families."""
    return min(end for end, _ in ends if sum(weight for other, weight in ends if other > end) <= dropped + 1e-9)


def _winner(first: str, second: str, rankings: Sequence[DatasetRanking]) -> NextWinner:
    won: dict[str, list[float]] = {}
    for ranking in rankings:
        if first in ranking.accuracy and second in ranking.accuracy:
            one, other = ranking.accuracy[first], ranking.accuracy[second]
            won.setdefault(ranking.family, []).append(0.5 if one == other else float(one > other))
    # In sixths and sevenths a sum of floats would miss a whole number by rounding.
    return NextWinner(first, second, round(sum(sum(each) / len(each) for each in won.values()), 9), len(won))


def _others(rankings: Sequence[DatasetRanking], methods: Sequence[str]) -> list[str]:
    """The methods that lack a result on some dataset, in alphabetical order."""
    return sorted({method for ranking in rankings for method in ranking.accuracy} - set(methods))


def _from_to(one: NextRank) -> str:
    return f"{one.low}" if one.low == one.high else f"{one.low} to {one.high}"
