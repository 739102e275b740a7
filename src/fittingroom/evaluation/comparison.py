"""Recipes compared on the same images: each one's scores, and for each pair whether a difference is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.card_html import as_html, card, card_table
from fittingroom.errors import InputError
from fittingroom.evaluation.differences import ENOUGH_SEEDS, Difference
from fittingroom.evaluation.estimate import accuracy_interval
from fittingroom.evaluation.spread import Interval, Spread
from fittingroom.text import amount, nats, number, percent, percent_range

PairTest = Literal["mcnemar", "sign flip", "seeds and images", "paired seeds and images"]

_ABOUT_MODELS = (
    f"With fewer than {ENOUGH_SEEDS} seeds on either side, a comparison is about these trained models, not about the "
    f"recipes: other seeds may reverse it. Train both with --seeds {ENOUGH_SEEDS} to compare the recipes."
)
_ABOUT_RECIPES = (
    f"With {ENOUGH_SEEDS} seeds or more on both sides, a comparison is about the recipes: it allows for other seeds as "
    "well as for other images."
)

_FEW_IMAGES = 100
_RARE = (
    f"With fewer than {_FEW_IMAGES} images, do not rely on a difference in loss: a rare, very wrong prediction that "
    "these images happen to lack would change it."
)


@dataclass(frozen=True, eq=False)
class Contender:
    """How the seeds of one run did on the images.

    Args:
        name: the run's name.
        recipe: the recipe's name.
        seeds: the run's seeds.
        correct: whether each seed was right about each image, bool `(seeds, images)`.
        loss: cross-entropy of each image in nats, `(seeds, images)`.
    """

    name: str
    recipe: str
    seeds: tuple[int, ...]
    correct: npt.NDArray[np.bool_]
    loss: npt.NDArray[np.floating[Any]]

    @cached_property
    def accuracy(self) -> Spread:
        """Share of right predictions of each seed, 0 to 1."""
        return Spread.of(self.correct.mean(axis=1))

    @cached_property
    def mean_loss(self) -> Spread:
        """Mean cross-entropy of each seed, in nats."""
        return Spread.of(self.loss.mean(axis=1, dtype=np.float64))

    @property
    def interval(self) -> Interval:
        """95% interval of the accuracy: on new images for one seed (Wilson), on new images and seeds for several."""
        return accuracy_interval(self.correct)

    def to_dict(self) -> dict[str, Any]:
        """Its scores as plain JSON."""
        return {
            "run": self.name,
            "recipe": self.recipe,
            "seeds": list(self.seeds),
            "accuracy": self.accuracy.mean,
            "interval": list(self.interval),
            "loss": self.mean_loss.mean,
            "accuracies": list(self.accuracy.values),
            "losses": list(self.mean_loss.values),
        }


@dataclass(frozen=True)
class Pair:
    """Two of the contenders. Differences are the first's number less the second's.

    Args:
        first: position among the contenders, from 0.
        second: position of the other one.
        accuracy: difference of the accuracies, as a share of the images.
        loss: difference of the mean losses, in nats; None where a loss is NaN or infinite.
        test: the test behind p of the accuracies: McNemar's exact test for one seed on each side, sign flips of the
            images' differences for a few, seeds and images for five or more on both sides, paired by seed where both
            sides have the same seeds.
        only: how many images only the first and only the second gets right; None unless each has one seed.
    """

    first: int
    second: int
    accuracy: Difference
    loss: Difference | None
    test: PairTest
    only: tuple[int, int] | None = None

    @classmethod
    def between(cls, positions: tuple[int, int], first: Contender, second: Contender) -> Pair:
        """Two contenders by the paired tests that their seeds allow, as the only comparison that is made."""
        finite = bool(np.isfinite(first.loss).all() and np.isfinite(second.loss).all())
        seeds, same = (first.seeds, second.seeds), sorted(first.seeds) == sorted(second.seeds)
        accuracy = Difference.of_accuracies(first.correct, second.correct, seeds)
        loss = Difference.between(first.loss, second.loss, seeds) if finite else None
        if min(len(first.seeds), len(second.seeds)) >= ENOUGH_SEEDS:
            return cls(*positions, accuracy, loss, "paired seeds and images" if same else "seeds and images")
        if not len(first.seeds) == len(second.seeds) == 1:
            return cls(*positions, accuracy, loss, "sign flip")
        one, other = first.correct[0], second.correct[0]
        return cls(*positions, accuracy, loss, "mcnemar", (int((one & ~other).sum()), int((other & ~one).sum())))

    @property
    def better(self) -> int | None:
        """Position of the contender that is shown to be right more often; None if neither is."""
        if not self.accuracy.shown:
            return None
        return self.first if self.accuracy.value > 0 else self.second

    def verdict(self, names: Sequence[str]) -> str:
        """What is shown, in a sentence or two.

        Args:
            names: what to call each contender, by its position.
        """
        return f"{self._of_accuracy(names)} {self._of_loss(names)}".rstrip()

    def _of_accuracy(self, names: Sequence[str]) -> str:
        low, high = (100 * end for end in self.accuracy.interval)
        if self.better is not None:
            worse, size = self.second, 100 * abs(self.accuracy.value)
            if self.better == self.second:
                worse, low, high = self.first, -high, -low
            return (
                f"{names[self.better]} is right more often than {names[worse]}, by {size:.2f} points "
                f"({low:.2f} to {high:.2f})."
            )
        between = f"No difference shown between {names[self.first]} and {names[self.second]}"
        if self.only == (0, 0):
            return f"{between}: both get the same images right."
        ends = " to ".join(number(end, 2, signed=True) for end in (low, high))
        return f"{between}: anything from {ends} points would fit these images."

    def _of_loss(self, names: Sequence[str]) -> str:
        if self.loss is None:
            return "A loss is not finite, so the losses are not compared."
        if not self.loss.shown:
            return "No difference in loss is shown." if self.better is not None else ""
        lower = self.first if self.loss.value < 0 else self.second
        also = "its loss is lower too" if lower == self.better else f"the loss of {names[lower]} is lower"
        low, high = sorted(map(abs, self.loss.interval))
        return f"{also[0].upper()}{also[1:]}, by {abs(self.loss.value):.4f} nats ({low:.4f} to {high:.4f})."


@dataclass(frozen=True)
class Comparison:
    """Runs compared on their validation images, without the test set.

    Args:
        dataset: the name of the dataset.
        contenders: the runs that are compared.
        pairs: every two of them.
        notes: what to know when reading it, one sentence or two each.
    """

    dataset: str
    contenders: tuple[Contender, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: str, contenders: Sequence[Contender], notes: Sequence[str] = ()) -> Comparison:
        """Every two contenders compared, p and intervals adjusted for the number of pairs (Bonferroni).

        Args:
            dataset: the name of the dataset.
            contenders: two or more, with the same images in the same order.
            notes: sentences to put before those that the comparison itself adds.

        Raises:
            InputError: there are fewer than two, or they have no images, or not equally many.
        """
        images = {contender.correct.shape[1] for contender in contenders}
        if len(contenders) < 2 or len(images) != 1 or 0 in images:
            raise InputError(
                f"{len(contenders)} runs with {sorted(images)} images: expected two runs or more, on the same images."
            )
        pairs = [
            Pair.between((one, other), contenders[one], contenders[other])
            for one, other in combinations(range(len(contenders)), 2)
        ]
        about = dict.fromkeys(
            _ABOUT_RECIPES if pair.test.endswith("seeds and images") else _ABOUT_MODELS for pair in pairs
        )
        several = (_several(len(pairs)),) if len(pairs) > 1 else ()
        corrected = tuple(_corrected(pairs))
        by_loss = any(pair.loss is not None and pair.loss.shown for pair in corrected)
        rare = (_RARE,) if by_loss and images.pop() < _FEW_IMAGES else ()
        return cls(dataset, tuple(contenders), corrected, (*notes, *about, *several, *rare))

    @property
    def images(self) -> int:
        """The number of validation images."""
        return int(self.contenders[0].correct.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the runs."""
        return tuple(contender.name for contender in self.contenders)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """For each pair what is shown, in words."""
        return tuple(pair.verdict(self.names) for pair in self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "dataset": self.dataset,
            "images": self.images,
            "runs": [contender.to_dict() for contender in self.contenders],
            "pairs": [self._pair_facts(pair) for pair in self.pairs],
            "notes": list(self.notes),
        }

    def _pair_facts(self, pair: Pair) -> dict[str, Any]:
        return {
            "first": self.names[pair.first],
            "second": self.names[pair.second],
            "accuracy": pair.accuracy.to_dict(),
            "loss": None if pair.loss is None else pair.loss.to_dict(),
            "test": pair.test,
            "only_first_right": None if pair.only is None else pair.only[0],
            "only_second_right": None if pair.only is None else pair.only[1],
            "better": None if pair.better is None else self.names[pair.better],
            "verdict": pair.verdict(self.names),
        }

    def __str__(self) -> str:
        return "\n".join([*self.verdicts, *self.notes])

    def _repr_html_(self) -> str:
        rows = [
            (
                one.name,
                one.recipe,
                str(len(one.seeds)),
                percent(one.accuracy.mean, 2),
                percent_range(one.interval),
                nats(one.mean_loss.mean),
            )
            for one in self.contenders
        ]
        table = card_table(("run", "recipe", "seeds", "accuracy", "95% interval", "loss, nats"), rows, left=2)
        verdicts = "".join(f"<div>{as_html(verdict)}</div>" for verdict in self.verdicts)
        title = f"{amount(len(rows), 'run')} on the same {self.images:,} validation images of {self.dataset}"
        return card(title, parts=[table, verdicts], sentences=self.notes)


def _several(pairs: int) -> str:
    return (
        f"Of {pairs} pairs one may look different by chance, so p and intervals are adjusted for their number "
        "(Bonferroni): in 95% of cases all intervals of the accuracies hold at once, and so do all of the losses."
    )


def _corrected(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, adjusted for their number: accuracies and losses are a family each."""
    losses = sum(pair.loss is not None for pair in pairs)
    return [
        replace(
            pair,
            accuracy=pair.accuracy.among(len(pairs)),
            loss=None if pair.loss is None else pair.loss.among(losses),
        )
        for pair in pairs
    ]
