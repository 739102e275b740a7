"""Does a conclusion drawn on one dataset hold on another? For all pairs of datasets of different families.

Two conclusions are followed. **A choice**: the method that has the highest accuracy on one dataset; it holds on another
where no method is shown to be better. **An order**: two methods that are shown to differ on one dataset; on another the
same order is shown, or none, or the opposite one.

Shares are over ordered pairs of families; a family's datasets share its weight. Pairs that have a family in common are
not independent, so the interval counts half as many cases as there are families, those of pairs without a family in
common: the variance of a mean over all pairs is never larger (Hoeffding, A Class of Statistics with Asymptotically
Normal Distribution, Annals of Mathematical Statistics 19, 1948). The interval is Clopper and Pearson's of that count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any

from fittingroom.evaluation.dataset_ranking import DatasetRanking
from fittingroom.evaluation.differences import Difference
from fittingroom.evaluation.next_dataset import FEWEST_FAMILIES, exact_interval
from fittingroom.evaluation.spread import Interval
from fittingroom.text import interval_of_change, percent, percent_range, points


@dataclass(frozen=True, eq=False)
class ChoiceElsewhere:
    """The method that is best on one dataset, on another dataset.

    Args:
        source: the dataset on which the choice is made.
        target: the dataset on which it is asked about.
        families: those of the two.
        choice: the method with the highest accuracy on the source, of those that have results on both.
        best: the method with the highest accuracy on the target, of the same ones.
        behind: the best's accuracy less the choice's, on the target; None where they are the same.
        holds: whether no method is shown to be better than the choice on the target.
        orders: of the pairs that are shown to differ on the source: in how many the same order is shown on the target,
            in how many none, in how many the opposite one.
    """

    source: str
    target: str
    families: tuple[str, str]
    choice: str
    best: str
    behind: Difference | None
    holds: bool
    orders: tuple[int, int, int]

    @classmethod
    def of(cls, source: DatasetRanking, target: DatasetRanking) -> ChoiceElsewhere | None:
        """The choice on the source, asked about on the target; None where no method has results on both."""
        methods = [method for method in source.methods if method in target.accuracy]
        if not methods:
            return None
        choice = methods[0]
        best = next(method for method in target.methods if method in source.accuracy)
        if target.accuracy[choice] == target.accuracy[best]:
            best = choice
        behind = None if best == choice else target.difference(best, choice)
        others = [target.difference(other, choice) for other in methods if other != choice]
        same = none = opposite = 0
        for (first, second), difference in source.differences.items():
            if not difference.shown or second not in target.accuracy or first not in target.accuracy:
                continue
            there = target.difference(first, second)
            agree = (there.estimate.mean > 0) == (difference.estimate.mean > 0)
            same += there.shown and agree
            none += not there.shown
            opposite += there.shown and not agree
        return cls(
            source.dataset,
            target.dataset,
            (source.family, target.family),
            choice,
            best,
            behind,
            not any(other.shown and other.estimate.mean > 0 for other in others),
            (same, none, opposite),
        )

    @property
    def sentence(self) -> str:
        """What became of the choice."""
        chosen = f"{self.choice} is best on {self.source}"
        if self.behind is None:
            return f"{chosen}, and on {self.target}, too."
        if self.holds:
            return f"{chosen}; on {self.target}, no method is shown to be better."
        if not self.behind.shown:
            return f"{chosen}; on {self.target}, it is not."
        low, high = self.behind.interval
        size = f"{points(100 * self.behind.value)} points ({interval_of_change((100 * low, 100 * high), points)})"
        return f"{chosen}; on {self.target}, {self.best} is right more often than it is, by {size}."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "source": self.source,
            "target": self.target,
            "families": list(self.families),
            "choice": self.choice,
            "best": self.best,
            "behind": 0.0 if self.behind is None else self.behind.value,
            "interval": None if self.behind is None else list(self.behind.interval),
            "holds": self.holds,
            "orders": dict(zip(("same", "not shown", "opposite"), self.orders, strict=True)),
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class PairShare:
    """A share of the ordered pairs of families.

    Args:
        value: the share, 0 to 1.
        families: how many families there are, six or more.
    """

    value: float
    families: int

    @property
    def interval(self) -> Interval:
        """Where the share among pairs of new families lies, with 95% confidence."""
        cases = self.families / 2
        return exact_interval(self.value * cases, cases, 0.95)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {"share": self.value, "interval": list(self.interval)}

    def __str__(self) -> str:
        return f"{percent(self.value, 0)} ({percent_range(self.interval, 0)})"


@dataclass(frozen=True, eq=False)
class Conclusions:
    """What becomes of conclusions from one dataset on the datasets of other families.

    Args:
        families: how many families there are.
        choices: every two datasets of different families, each once as the source.
    """

    families: int
    choices: tuple[ChoiceElsewhere, ...]

    @classmethod
    def of(cls, rankings: Sequence[DatasetRanking]) -> Conclusions:
        """Conclusions from each dataset, asked about on each of another family.

        Args:
            rankings: one for each dataset.
        """
        pairs = [(one, other) for one, other in permutations(rankings, 2) if one.family != other.family]
        found = [ChoiceElsewhere.of(*pair) for pair in pairs]
        return cls(len({ranking.family for ranking in rankings}), tuple(one for one in found if one is not None))

    @cached_property
    def holds(self) -> PairShare | None:
        """In how many pairs of families a choice holds; None with fewer than six families."""
        return self._share(lambda one: float(one.holds))

    @cached_property
    def first(self) -> PairShare | None:
        """In how many pairs of families the choice has the highest accuracy again; None with fewer than six."""
        return self._share(lambda one: float(one.behind is None))

    @cached_property
    def orders(self) -> tuple[PairShare, PairShare, PairShare] | None:
        """Of the pairs of methods that are shown to differ on one dataset, the shares with this order elsewhere.

        The same order is shown, none is, or the opposite one. None with fewer than six families, or where nothing is
        shown on any dataset.
        """
        shares = [self._share(lambda one, at=at: _part(one.orders, at)) for at in range(3)]  # type: ignore[misc]
        same, none, opposite = shares
        return None if same is None or none is None or opposite is None else (same, none, opposite)

    def _share(self, number: Callable[[ChoiceElsewhere], float | None]) -> PairShare | None:
        """The mean of a number over the datasets of two families, then over the pairs of families."""
        cells: dict[tuple[str, str], list[float]] = {}
        for one in self.choices:
            value = number(one)
            if value is not None:
                cells.setdefault(one.families, []).append(value)
        families = {family for pair in cells for family in pair}
        if len(families) < FEWEST_FAMILIES:
            return None
        return PairShare(sum(sum(each) / len(each) for each in cells.values()) / len(cells), len(families))

    @property
    def clearest_failure(self) -> ChoiceElsewhere | None:
        """The choice that is furthest behind elsewhere, by the end of the interval nearer to 0; None if all hold."""
        failed = [one for one in self.choices if one.behind is not None and one.behind.shown]
        return max(failed, key=lambda one: one.behind.interval.low if one.behind else 0.0, default=None)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """How often a choice and an order hold on another dataset, and the clearest case in which one does not."""
        told = []
        if self.holds is not None and self.first is not None:
            told.append(
                f"Choose the best method on one dataset, and ask on a dataset of another family: in {self.holds} of "
                f"pairs of families, no method is shown to be better there; in {self.first}, it is the best again."
            )
        if self.orders is not None:
            same, none, opposite = self.orders
            told.append(
                f"Where two methods are shown to differ on one dataset, on another the same order is shown in {same}, "
                f"no difference in {none}, and the opposite order in {opposite}."
            )
        if self.clearest_failure is not None:
            told.append(self.clearest_failure.sentence)
        return tuple(told)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        orders = None
        if self.orders is not None:
            names = ("same", "not shown", "opposite")
            orders = {name: share.to_dict() for name, share in zip(names, self.orders, strict=True)}
        return {
            "families": self.families,
            "holds": None if self.holds is None else self.holds.to_dict(),
            "first": None if self.first is None else self.first.to_dict(),
            "orders": orders,
            "choices": [one.to_dict() for one in self.choices],
            "sentences": list(self.sentences),
        }


def _part(counts: tuple[int, int, int], at: int) -> float | None:
    """The share of one of the counts; None where all are 0."""
    return counts[at] / sum(counts) if sum(counts) else None
