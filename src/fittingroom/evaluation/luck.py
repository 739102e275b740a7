"""The score of a run on its sealed test set, and how much of the best of several such scores is luck.

A *look* is one opening of a test set to score a run. Whoever scores 20 models on one test set and keeps the best keeps
the luckiest of 20 scores, too: that is selection bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fittingroom.card_html import bar, card, card_table
from fittingroom.errors import InputError
from fittingroom.evaluation.spread import Interval, Spread
from fittingroom.text import nats, percent, percent_range, points, word_list

if TYPE_CHECKING:
    import numpy.typing as npt

    from fittingroom.evaluation.scores import Scores

_MOST_CLASSES = 20  # that a card lists


@dataclass(frozen=True)
class Reuse:
    """How much a test set has been used.

    Args:
        looks: the looks at it so far, 1 or more.
        correlation: how much the runs that looked are right and wrong about the same images, 0 to 1; None where that is
            unknown. They are then taken as independent, which gives the most luck.
        mean: the mean accuracy of the looks whose scores are known, 0 to 1; None where none is known.
    """

    looks: int
    correlation: float | None = None
    mean: float | None = None

    def luck(self, accuracy: float, images: int) -> float:
        """How much of the best look's accuracy is luck, as a share of the images.

        Args:
            accuracy: accuracy of the look in question, 0 to 1. Where no mean is known, this look is taken for the best,
                and the mean for the accuracy that the best of so many exceeds by this much on average.
            images: the number of test images.

        Raises:
            InputError: an argument is out of its range.
        """
        correlation = self.correlation or 0.0
        # From the mean of all looks, not from the best: a score that luck brought near 100% would leave no room for
        # luck.
        mean = _mean_below(accuracy, images, self.looks, correlation) if self.mean is None else self.mean
        return _expected_luck(mean, images, self.looks, correlation)

    def sentence(self, accuracy: float, images: int) -> str:
        """`best of 3 looks: about +0.2 points are luck`, and what that rests on."""
        if self.looks == 1:
            return "first evaluation on this test set, so no selection bias"
        worth = points(100 * self.luck(accuracy, images), signed=True)
        if self.correlation is None:
            return f"best of {self.looks} looks: at most about {worth} points are luck (models taken as independent)"
        return f"best of {self.looks} looks: about {worth} points are luck (models correlated {self.correlation:.2f})"

    def caution(self, accuracy: float, images: int) -> str:
        """The sentence, and from the second look on a reminder that other images are the larger danger.

        Source: Recht, Roelofs, Schmidt and Shankar, Do ImageNet Classifiers Generalize to ImageNet?, ICML 2019 (arXiv
        1902.10811): a new test set cost models 3 to 15 points, and hardly any of that came from reuse of the old one.
        """
        text = self.sentence(accuracy, images)
        return text if self.looks == 1 else f"{text}; images from another source usually cost more accuracy than that"

    def place(self, look: int | None) -> str:
        """`3`, or `3 of 7` if others came after it; `-` for a look that the ledger does not have."""
        if look is None:
            return "-"
        return str(look) if look == self.looks else f"{look} of {self.looks}"


@dataclass(frozen=True)
class ScoredLook:
    """The scores that a look at a sealed test set gave one seed, and which of all looks it was.

    Args:
        seed: the seed.
        scores: the scores on all test images.
        reason: why the test set was opened.
        look: which look of this user at this test set it was, counted from 1; None if the ledger does not have it.
        reuse: all looks at it so far.
    """

    seed: int
    scores: Scores
    reason: str
    look: int | None
    reuse: Reuse


@dataclass(frozen=True)
class TestResult:
    """The scores of a run on its sealed test set: `len(result)` seeds, of which `result[1]` is the second.

    What belongs to one model (`scores`, `look`) is asked of the result where the run has one seed, and of `result[0]`
    where it has several.

    Args:
        each: the scored look of each seed; at least one.
    """

    __test__: ClassVar[bool] = False  # or pytest collects it, by its name

    each: tuple[ScoredLook, ...]

    def __len__(self) -> int:
        return len(self.each)

    def __getitem__(self, index: int) -> TestResult:
        return TestResult((self.each[index],))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in order."""
        return tuple(one.seed for one in self.each)

    @property
    def accuracy(self) -> float:
        """Share of right predictions, 0 to 1; the mean over several seeds."""
        return self.spread["accuracy"].mean

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats; the mean over several seeds."""
        return self.spread["loss"].mean

    @property
    def spread(self) -> dict[str, Spread]:
        """`accuracy` (0 to 1) and `loss` (nats) over the seeds."""
        accuracies, losses = zip(*((one.scores.accuracy, one.scores.loss) for one in self.each), strict=True)
        return {"accuracy": Spread.of(accuracies), "loss": Spread.of(losses)}

    @property
    def interval(self) -> Interval | None:
        """95% interval of the accuracy: of one seed for other images (Wilson), of several for other seeds (t).

        Of several that are all equally often right, it is that for other images: they tell nothing of other seeds.
        """
        return self.spread["accuracy"].interval or self.each[0].scores.interval

    @property
    def scores(self) -> Scores:
        """The scores on all test images.

        Raises:
            InputError: there are several seeds.
        """
        return self._only("scores").scores

    @property
    def look(self) -> int | None:
        """Which look at this test set it was, counted from 1; None if the ledger does not have it.

        Raises:
            InputError: there are several seeds.
        """
        return self._only("look").look

    @property
    def reason(self) -> str:
        """Why the test set was opened, the first time."""
        return self.each[0].reason

    @property
    def reuse(self) -> Reuse:
        """All looks at the test set so far."""
        return max((one.reuse for one in self.each), key=lambda reuse: reuse.looks)

    @property
    def luck(self) -> float:
        """How much of the best look so far is luck, as a share of the images."""
        return self.reuse.luck(self.accuracy, self.each[0].scores.count)

    @property
    def looks(self) -> str:
        """Which looks they were: `look 3`, `looks 3 to 7`, `looks 3, 5 and 6 of 9`."""
        numbers = [one.look for one in self.each if one.look is not None]
        if len(numbers) < len(self):
            return "a look that is not in the ledger" if len(self) == 1 else "looks that are not all in the ledger"
        known = sorted(set(numbers))
        together = len(known) > 1 and known[-1] - known[0] == len(known) - 1
        names = f"{known[0]} to {known[-1]}" if together else word_list(known)
        which = names if known[-1] == self.reuse.looks else f"{names} of {self.reuse.looks}"
        return f"{'look' if len(known) == 1 else 'looks'} {which}"

    def _repr_html_(self) -> str:
        spread, interval, count = self.spread["accuracy"], self.interval, self.each[0].scores.count
        several = len(self) > 1
        ends = "" if interval is None else f" (95% interval {percent_range(interval)})"
        facts = [
            ("accuracy", f"{percent(spread.mean)}{ends}{f', mean over {len(self)} seeds' if several else ''}"),
            ("loss", f"{nats(self.loss)} nats"),
            ("opened", f"{self.looks}, for {self.reason}"),
            ("luck", self.reuse.sentence(self.accuracy, count)),
        ]
        each = [(f"seed {one.seed}", percent(one.scores.accuracy), nats(one.scores.loss)) for one in self.each]
        tables = [card_table(("", "accuracy", "loss"), each)] if several else []
        return card(f"{count:,} images of the test set", facts, parts=[*tables, self._classes_table()])

    def _classes_table(self) -> str:
        """For each class the share of its images that are right, and what they are mostly taken for, over all seeds."""
        scores = self.each[0].scores
        confusion = [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*self._confusions, strict=True)]
        rows = []
        for place, row in enumerate(confusion):
            total, wrong = sum(row), [0 if other == place else count for other, count in enumerate(row)]
            most = max(wrong, default=0)
            taken = f"{scores.classes[wrong.index(most)]} ({percent(most / total)})" if most else ""
            share = row[place] / total if total else None
            rows.append((scores.classes[place], bar(share or 0.0, percent(share)), taken))
        return card_table(("class", "right", "mostly taken for"), rows, left=3, most=_MOST_CLASSES)

    @property
    def _confusions(self) -> list[tuple[tuple[int, ...], ...]]:
        return [one.scores.confusion for one in self.each]

    def to_dict(self, *, spread: bool | None = None) -> dict[str, Any]:
        """All of it as plain JSON: the scores of a seed, or mean, spread and each of several.

        Args:
            spread: whether to give the second form; None where there are several seeds.
        """
        facts = {"looks": self.reuse.looks, "luck": self.luck, "correlation": self.reuse.correlation}
        if not (len(self) > 1 if spread is None else spread):
            one = self._only("scores")
            return {**one.scores.to_dict(), "reason": one.reason, "look": one.look, **facts}
        spreads = {name: values.to_dict() for name, values in self.spread.items()}
        each = [{"seed": seed, **self[index].to_dict()} for index, seed in enumerate(self.seeds)]
        return {**spreads, **facts, "per_seed": each}

    def __str__(self) -> str:
        accuracy = self.spread["accuracy"]
        told = f"accuracy {accuracy.mean:.4f} ± {accuracy.deviation or 0.0:.4f}, mean over {len(self)} seeds"
        if len(self) == 1:
            told = str(self.scores)
        return f"test {told} ({self.looks} at this test set; {self._sentence()})"

    def _sentence(self) -> str:
        return self.reuse.sentence(self.accuracy, self.each[0].scores.count)

    def _only(self, name: str) -> ScoredLook:
        if len(self) > 1:
            raise InputError(f"the result is of {len(self)} seeds, each with its own {name}: result[0].{name}.")
        return self.each[0]


def _expected_luck(accuracy: float, images: int, looks: int, correlation: float = 0.0) -> float:
    """By how much the best score of equally good models exceeds their true accuracy, on average, as a share.

    The scores are taken as normal with the accuracy's standard error, each pair with the same correlation: 20 looks at
    90% on 10,000 images are worth 0.0056 if they are independent, and 0.0031 at a correlation of 0.7. No score exceeds
    1, and no luck what is left up to 1.

    Args:
        accuracy: the true accuracy of each model, 0 to 1; the mean of their scores is the best guess of it.
        images: the number of test images, 1 or more.
        looks: the number of models, 1 or more.
        correlation: between two of the models, of being right about an image, 0 to 1.

    Raises:
        InputError: an argument is out of its range.
    """
    if not 0 <= accuracy <= 1 or images < 1 or not 0 <= correlation <= 1:
        raise InputError(
            f"accuracy={accuracy}, images={images}, correlation={correlation}: expected an accuracy and a correlation "
            "of 0 to 1, and 1 image or more."
        )
    error = math.sqrt(accuracy * (1 - accuracy) / images)
    return min(error * math.sqrt(1 - correlation) * expected_maximum(looks), 1 - accuracy)


def _mean_below(best: float, images: int, looks: int, correlation: float) -> float:
    """The true accuracy from which the best of so many looks is this one on average.

    `best - m` equals `c * sqrt(m * (1 - m))`, with c the expected maximum over the root of the images: a quadratic
    equation in m, whose smaller root is below the best.
    """
    square = (1 - correlation) * expected_maximum(looks) ** 2 / images
    half = best + square / 2
    return max(0.0, (half - math.sqrt(max(half**2 - (1 + square) * best**2, 0.0))) / (1 + square))


def expected_maximum(count: int) -> float:
    """The expected maximum of independent standard normals: 0 for one, 1.87 for twenty.

    The integral of 1 - F(x)^n - F(-x)^n over x > 0, where F is the normal distribution, by the trapezoid rule with
    steps of 0.01: right to six digits up to a million.

    Args:
        count: the number of normals, 1 or more.

    Raises:
        InputError: the count is below 1.
    """
    if count < 1:
        raise InputError(f"{count} looks: expected 1 or more.")
    if count == 1:
        return 0.0  # where rounding would leave a trace
    step = 0.01  # by hand, because importing `scipy.stats` would take longer than all the rest

    def integrand(x: float) -> float:
        above = math.erfc(x / math.sqrt(2)) / 2
        return -math.expm1(count * math.log1p(-above)) - above**count

    return step * (integrand(0.0) / 2 + math.fsum(integrand(step * index) for index in range(1, 1000)))


def mean_correlation(correct: Sequence[npt.ArrayLike]) -> float | None:
    """How much models are right and wrong about the same images: the mean correlation over all pairs, 0 to 1.

    Args:
        correct: for each model whether it was right, bool `(images,)`, the same images for all.

    Returns:
        The mean, 0 where it would be below 0; None unless two models at least are sometimes right and sometimes wrong.
    """
    import numpy as np

    rows: npt.NDArray[Any] = np.asarray(correct, np.float64)
    rows = rows[rows.std(axis=1) > 0] if rows.ndim == 2 else rows[:0]
    if len(rows) < 2:
        return None
    pairs = np.corrcoef(rows)[np.triu_indices(len(rows), k=1)]
    return float(np.clip(pairs.mean(), 0, 1))
