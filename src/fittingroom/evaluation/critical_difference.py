"""Friedman's test over the families of a benchmark's datasets, and Nemenyi's critical difference of mean ranks.

The plain, widely known way to compare methods over datasets. It uses ranks alone, counts a family of datasets once, and
says of two methods only whether their mean ranks are further apart than chance would put equal ones. Sources: Friedman,
The Use of Ranks to Avoid the Assumption of Normality, JASA 32 (1937); Nemenyi, Distribution-Free Multiple Comparisons
(1963); Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.dataset_ranking import DatasetRanking
from fittingroom.evaluation.spread import SHOWN_BELOW
from fittingroom.text import amount, number


def family_ranks(rankings: Sequence[DatasetRanking], methods: Sequence[str]) -> npt.NDArray[np.float64]:
    """The rank of each method in each family of datasets, `(families, methods)`, 1 for the best, ties shared.

    In a family with several datasets the ranks on them are averaged, and these means are ranked.

    Args:
        rankings: one for each dataset; every method has results on each.
        methods: those to rank.
    """
    from scipy.stats import rankdata

    families: dict[str, list[npt.NDArray[np.float64]]] = {}
    for ranking in rankings:
        ranks = rankdata([-ranking.accuracy[method] for method in methods])
        families.setdefault(ranking.family, []).append(ranks)
    return np.array([rankdata(np.round(np.mean(ranks, axis=0), 9)) for ranks in families.values()])


@dataclass(frozen=True)
class CriticalDifference:
    """Whether methods differ over families of datasets, by their ranks alone.

    Args:
        families: how many families of datasets there are.
        mean_ranks: method -> mean of its ranks over the families, 1 to the number of methods, the lowest first.
        p: of Friedman's test that all methods are equal, 0 to 1.
        difference: mean ranks that are as far apart as this are shown to differ (Nemenyi, 95% for all pairs at once).
    """

    families: int
    mean_ranks: dict[str, float]
    p: float
    difference: float

    @classmethod
    def of(cls, ranks: npt.NDArray[np.float64], methods: Sequence[str]) -> CriticalDifference:
        """The tests of these ranks.

        Args:
            ranks: from `family_ranks`, `(families, methods)`, two families and three methods or more.
            methods: their names, in the order of the columns.
        """
        from scipy.stats import friedmanchisquare, studentized_range

        families, count = ranks.shape
        means = ranks.mean(axis=0).tolist()
        order = sorted(range(count), key=lambda at: (means[at], methods[at]))
        tied = bool((ranks == ranks[:, :1]).all())
        p = 1.0 if tied else float(friedmanchisquare(*ranks.T).pvalue)
        quantile = float(studentized_range.ppf(1 - SHOWN_BELOW, count, np.inf)) / np.sqrt(2)
        difference = quantile * float(np.sqrt(count * (count + 1) / (6 * families)))
        return cls(families, {methods[at]: means[at] for at in order}, p, difference)

    def told_apart(self, first: str, second: str) -> bool:
        """Whether two methods are shown to differ: their mean ranks are far enough apart, and Friedman's p is small."""
        apart = abs(self.mean_ranks[first] - self.mean_ranks[second]) >= self.difference
        return apart and self.p < SHOWN_BELOW

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The largest groups of methods, in the order of their mean ranks, of which no two are told apart."""
        methods, groups, reached = list(self.mean_ranks), [], 0
        for start, first in enumerate(methods):
            end = max(at for at in range(start, len(methods)) if not self.told_apart(first, methods[at])) + 1
            if end > reached:
                groups.append(tuple(methods[start:end]))
                reached = end
        return tuple(groups)

    @property
    def sentence(self) -> str:
        """What the ranks show."""
        over = f"Over {self.families} families of datasets"
        if self.p >= SHOWN_BELOW:
            return f"{over}, ranks do not show that any methods differ (Friedman, p = {number(self.p, 2)})."
        pairs = list(combinations(self.mean_ranks, 2))
        apart = sum(self.told_apart(*pair) for pair in pairs)
        p = "p < 0.001" if self.p < 0.001 else f"p = {number(self.p, 3)}"
        return (
            f"{over}, ranks show that methods differ (Friedman, {p}). Two methods are told apart where their mean "
            f"ranks are {number(self.difference, 1)} or more apart (Nemenyi): {apart} of {amount(len(pairs), 'pair')}."
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON, the lowest mean rank first."""
        return {
            "difference": self.difference,
            "p": self.p,
            "families": self.families,
            "ranks": [{"method": method, "mean_rank": rank} for method, rank in self.mean_ranks.items()],
            "groups": [list(group) for group in self.groups],
            "sentences": [self.sentence],
        }
