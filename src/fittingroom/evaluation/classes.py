"""What happened class by class: the confusion matrix, scores per class with intervals, and the pairs mixed up most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fittingroom.evaluation.differences import SHOWN_BELOW
from fittingroom.evaluation.estimate import plain
from fittingroom.evaluation.scores import ClassScore, Scores, score
from fittingroom.evaluation.spread import Interval, wilson
from fittingroom.evaluation.trajectories import Trajectories


@dataclass(frozen=True)
class ClassIntervals:
    """The scores of one class with 95% intervals.

    All three are Wilson's. Recall and precision are shares of the images of the class and of the predictions of it. F1
    is 2J / (1 + J), where J is the share of right ones among the images that are of the class or were predicted as it;
    it rises with J, so the ends of J's interval give the ends of F1's.

    Args:
        score: counts, recall, precision and F1.
    """

    score: ClassScore

    @property
    def recall_interval(self) -> Interval | None:
        """Of the recall; None if the class has no images."""
        return self.score.interval

    @property
    def precision_interval(self) -> Interval | None:
        """Of the precision; None if the class was never predicted."""
        return wilson(self.score.correct, self.score.predicted) if self.score.predicted else None

    @property
    def f1_interval(self) -> Interval | None:
        """Of F1; None if the class has no images and was never predicted."""
        either = self.score.count + self.score.predicted - self.score.correct
        if not either:
            return None
        low, high = wilson(self.score.correct, either)
        return Interval(2 * low / (1 + low), 2 * high / (1 + high))

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        stored = self.score.to_dict()
        recall = stored.pop("interval")
        del stored["accuracy"]  # the recall, under its other name
        return {
            **stored,
            "recall_interval": recall,
            "precision_interval": plain(self.precision_interval),
            "f1_interval": plain(self.f1_interval),
        }


@dataclass(frozen=True)
class Mistake:
    """Images of one class that were taken for another.

    Args:
        label: the true class.
        predicted: the class they were taken for.
        count: how many.
        images: images of the true class.
    """

    label: int
    predicted: int
    count: int
    images: int

    @property
    def rate(self) -> float | None:
        """Share of the true class's images, 0 to 1; None if it has none."""
        return self.count / self.images if self.images else None

    @property
    def interval(self) -> Interval | None:
        """95% interval (Wilson) of the rate; None if the class has no images."""
        return wilson(self.count, self.images) if self.images else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "label": self.label,
            "predicted": self.predicted,
            "count": self.count,
            "images": self.images,
            "rate": self.rate,
            "interval": plain(self.interval),
        }


@dataclass(frozen=True)
class MixedPair:
    """Two classes that are mixed up, in both directions.

    Args:
        directions: the more frequent direction, then the other.
        mistakes: all mistakes there are, of any classes.
    """

    directions: tuple[Mistake, Mistake]
    mistakes: int

    @property
    def count(self) -> int:
        """Mistakes between the two classes."""
        return self.directions[0].count + self.directions[1].count

    @property
    def share(self) -> float:
        """Their share of all mistakes, 0 to 1."""
        return self.count / self.mistakes

    @property
    def interval(self) -> Interval:
        """95% interval (Wilson) of that share."""
        return wilson(self.count, self.mistakes)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "count": self.count,
            "share": self.share,
            "interval": list(self.interval),
            "directions": [direction.to_dict() for direction in self.directions],
        }


@dataclass(frozen=True)
class Classes:
    """What happened class by class after one epoch.

    Args:
        epoch: its number.
        scores: the confusion matrix and what follows from it.
    """

    epoch: int
    scores: Scores

    @property
    def per_class(self) -> tuple[ClassIntervals, ...]:
        """One per class, in the order of the labels."""
        return tuple(ClassIntervals(each) for each in self.scores.per_class)

    @property
    def pairs(self) -> tuple[MixedPair, ...]:
        """All pairs of classes between which there is a mistake, the most mistakes first."""
        confusion = self.scores.confusion
        images = [sum(row) for row in confusion]
        mistakes = self.scores.count - self.scores.correct
        found = []
        for one in range(len(confusion)):
            for other in range(one + 1, len(confusion)):
                if confusion[one][other] + confusion[other][one]:
                    there = Mistake(one, other, confusion[one][other], images[one])
                    back = Mistake(other, one, confusion[other][one], images[other])
                    found.append(MixedPair((back, there) if back.count > there.count else (there, back), mistakes))
        return tuple(sorted(found, key=lambda pair: -pair.count))

    @property
    def least_recognised(self) -> int | None:
        """The class with the lowest recall, if it is lower than the accuracy of all images beyond chance.

        By the binomial distribution, corrected for the number of classes (Bonferroni): one of many is always lowest.
        """
        from scipy.special import bdtr

        known = [(index, one) for index, one in enumerate(self.scores.per_class) if one.count]
        index, lowest = min(known, key=lambda pair: pair[1].correct / pair[1].count)
        p = len(known) * float(bdtr(lowest.correct, lowest.count, self.scores.accuracy))
        return index if len(known) > 1 and p < SHOWN_BELOW else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON; `confusion[i][j]` images of class i were predicted as class j."""
        return {
            "epoch": self.epoch,
            "confusion": [list(row) for row in self.scores.confusion],
            "per_class": [each.to_dict() for each in self.per_class],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "least_recognised": self.least_recognised,
        }


def classes_of(trajectories: Trajectories, epoch: int) -> Classes:
    """What happened class by class after an epoch.

    Raises:
        InputError: that epoch was not validated.
    """
    row = trajectories.row(epoch)
    scores = score(trajectories.labels, trajectories.predicted[row], trajectories.loss[row], trajectories.classes)
    return Classes(epoch, scores)
