"""A leaderboard: runs on the same validation images, best first, and which of them may be as good as the best.

The best of many is also the luckiest. So each run is compared with the first by the paired tests of `compare`, and p is
corrected for every pair that there is, not only for those with the first, because chance has chosen which run is first.
In 95% of cases in which all are equal, none stands outside the bracket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fittingroom.card_html import card, card_table
from fittingroom.evaluation.comparison import Contender, Pair
from fittingroom.text import amount, percent, percent_range, word_list


@dataclass(frozen=True, eq=False)
class Place:
    """A run's line in a leaderboard.

    Attributes:
        rank: from 1; equal accuracies share one.
        contender: the run's scores.
        behind: the first against this one, corrected; None for the first itself.
    """

    rank: int
    contender: Contender
    behind: Pair | None

    @property
    def in_bracket(self) -> bool:
        """Whether it is not shown to differ from the first."""
        return self.behind is None or not self.behind.accuracy.shown


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Runs that were validated on the same images.

    Attributes:
        dataset: the name of the dataset.
        images: how many validation images there are.
        places: the runs, the highest accuracy first.
    """

    dataset: str
    images: int
    places: tuple[Place, ...]

    @classmethod
    def of(cls, dataset: str, contenders: Sequence[Contender]) -> Leaderboard:
        """The contenders in order, each compared with the first.

        Args:
            dataset: the name of the dataset.
            contenders: one or more, on the same images in the same order.
        """
        ordered = sorted(contenders, key=lambda one: (-one.accuracy.mean, one.mean_loss.mean, one.name))
        first, pairs = ordered[0], len(ordered) * (len(ordered) - 1) // 2
        places = [Place(1, first, None)]
        for position, other in enumerate(ordered[1:], start=1):
            pair = Pair.between((0, position), first, other)
            same = other.accuracy.mean == ordered[position - 1].accuracy.mean
            rank = places[-1].rank if same else position + 1
            places.append(Place(rank, other, replace(pair, accuracy=pair.accuracy.among(pairs))))
        return cls(dataset, int(first.correct.shape[1]), tuple(places))

    @property
    def bracket(self) -> tuple[str, ...]:
        """The names of the runs that are not shown to differ from the first, itself among them."""
        return tuple(place.contender.name for place in self.places if place.in_bracket)

    @property
    def sentence(self) -> str:
        """What the bracket says."""
        count, inside = len(self.places), len(self.bracket)
        best = self.places[0].contender.name
        if count == 1:
            return f"{best} is the only run on these images."
        if inside == 1:
            return f"{best} is right more often than each of the other {amount(count - 1, 'run')}."
        if inside == count:
            return f"None of the {count} runs is shown to differ from the first: the order may be chance."
        behind = amount(count - inside, "run is", "runs are")
        return (
            f"None of the first {inside} is shown to differ from {best}: among them the order may be chance. {behind} "
            "right less often."
            if self._is_closed
            else f"{amount(inside, 'run')} of {count} are not shown to differ from {best}; {behind} right less often."
        )

    @property
    def _is_closed(self) -> bool:
        """Whether those of the bracket stand before all others: with several seeds, a later one can be less sure."""
        return all(place.in_bracket for place in self.places[: len(self.bracket)])

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "dataset": self.dataset,
            "images": self.images,
            "sentence": self.sentence,
            "places": [
                {
                    "rank": place.rank,
                    **place.contender.to_dict(),
                    "in_bracket": place.in_bracket,
                    "behind": None if place.behind is None else place.behind.accuracy.to_dict(),
                }
                for place in self.places
            ],
        }

    def __str__(self) -> str:
        lines = [
            f"{'=' if place.in_bracket else ' '} {place.rank:>3}  {percent(place.contender.accuracy.mean, 2)} "
            f"({percent_range(place.contender.interval)})  {place.contender.name}"
            for place in self.places
        ]
        return "\n".join([self._title, *lines, self.sentence])

    @property
    def _title(self) -> str:
        return f"{self.images:,} validation images of {self.dataset}; = is not shown to differ from the first"

    def _repr_html_(self) -> str:
        rows = [
            (
                f"{'= ' if place.in_bracket else ''}{place.rank}",
                place.contender.name,
                percent(place.contender.accuracy.mean, 2),
                percent_range(place.contender.interval),
            )
            for place in self.places
        ]
        table = card_table(("", "run", "accuracy", "95% interval"), rows, left=2)
        return card(self._title, parts=[table], sentences=[self.sentence])


@dataclass(frozen=True, eq=False)
class Leaderboards:
    """A leaderboard for each set of validation images that runs have: accuracies on different images do not compare.

    Attributes:
        boards: that with the most runs first.
        left_out: the name of each run that has no place, and why, in words.
    """

    boards: tuple[Leaderboard, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def sentence(self) -> str:
        """That these are several; empty where there is one or none."""
        if len(self.boards) < 2:
            return ""
        each = word_list(f"{len(one.places)} on {one.images:,} images of {one.dataset}" for one in self.boards)
        return f"These runs were validated on different images, so each group has a table of its own: {each}."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "boards": [board.to_dict() for board in self.boards],
            "left_out": [{"run": name, "why": why} for name, why in self.left_out],
            "sentence": self.sentence,
        }

    def _repr_html_(self) -> str:
        left = [f"{name} has no place: {why}" for name, why in self.left_out]
        boards = [board._repr_html_() for board in self.boards]
        return card(self.sentence, parts=boards, sentences=left)

    def __str__(self) -> str:
        left = "\n".join(f"{name} has no place: {why}" for name, why in self.left_out)
        return "\n\n".join(filter(None, [self.sentence, *map(str, self.boards), left]))
