"""How well predictions fit labels: loss, accuracy with its interval, the confusion matrix, and numbers per class.

Every number comes from one confusion matrix and one list of losses, so that they cannot contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError
from fittingroom.evaluation.spread import SHOWN_BELOW, Interval, plain

if TYPE_CHECKING:
    from fittingroom.evaluation.trajectories import Trajectories


@dataclass(frozen=True)
class ClassScore:
    """What the images of one class were predicted as, and what was predicted as this class.

    The intervals are Wilson's. Recall and precision are shares of the images of the class and of the predictions of it.
    F1 is 2J / (1 + J), where J is the share of right ones among the images that are of the class or were predicted as
    it; it rises with J, so the ends of J's interval give the ends of F1's.

    Args:
        name: the class.
        count: the number of its images.
        correct: the number of its images that were predicted as it.
        predicted: the number of images of any class that were predicted as it.
    """

    name: str
    count: int
    correct: int
    predicted: int

    @property
    def accuracy(self) -> float | None:
        """Share of the class's images that were recognised, 0 to 1; None if there are none."""
        return self.correct / self.count if self.count else None

    recall = accuracy

    @property
    def interval(self) -> Interval | None:
        """95% interval of the accuracy, which is the recall; None if the class has no images."""
        return Interval.wilson(self.correct, self.count) if self.count else None

    @property
    def precision(self) -> float | None:
        """Share of the predictions of this class that are right, 0 to 1; None if it was never predicted."""
        return self.correct / self.predicted if self.predicted else None

    @property
    def precision_interval(self) -> Interval | None:
        """95% interval of the precision; None if the class was never predicted."""
        return Interval.wilson(self.correct, self.predicted) if self.predicted else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall, 0 to 1; None if the class has no images and was never predicted."""
        return 2 * self.correct / (self.count + self.predicted) if self.count + self.predicted else None

    @property
    def f1_interval(self) -> Interval | None:
        """95% interval of F1; None if the class has no images and was never predicted."""
        either = self.count + self.predicted - self.correct
        if not either:
            return None
        low, high = Interval.wilson(self.correct, either)
        return Interval(2 * low / (1 + low), 2 * high / (1 + high))

    def to_dict(self) -> dict[str, Any]:
        """All of it but the intervals of precision and F1 as plain JSON, as records keep it."""
        return {
            "name": self.name,
            "count": self.count,
            "correct": self.correct,
            "predicted": self.predicted,
            "accuracy": self.accuracy,
            "interval": plain(self.interval),
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


@dataclass(frozen=True)
class Scores:
    """The scores of one model on one set of labelled images.

    Args:
        loss: mean cross-entropy, in nats.
        confusion: `confusion[i][j]` images of class i were predicted as class j.
        classes: class names, in the order of the labels.
    """

    loss: float
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        labels: npt.NDArray[np.integer[Any]],
        predicted: npt.NDArray[np.integer[Any]],
        losses: npt.NDArray[np.floating[Any]],
        classes: Sequence[str],
    ) -> Scores:
        """The scores of what a model predicted.

        Args:
            labels: true classes, `(images,)`.
            predicted: predicted classes, `(images,)`.
            losses: cross-entropy of each image in nats, `(images,)`.
            classes: names of the classes; labels and predictions are indices into it.

        Raises:
            InputError: there are no images, the lengths differ, or a label or a prediction is not a class.
        """
        if not len(labels) == len(predicted) == len(losses):
            raise InputError(
                f"{len(labels)} labels, {len(predicted)} predictions, {len(losses)} losses: expected as many of each."
            )
        if len(labels) == 0:
            raise InputError("no images to score: expected at least one.")
        size = len(classes)
        for what, values in (("label", labels), ("prediction", predicted)):
            wrong = values[(values < 0) | (values >= size)]
            if len(wrong):
                raise InputError(f"{what} {wrong[0]}: expected a class from 0 to {size - 1}.")
        cells = np.bincount(labels.astype(np.int64) * size + predicted, minlength=size * size).reshape(size, size)
        confusion = tuple(tuple(int(cell) for cell in row) for row in cells)
        return cls(float(np.mean(losses, dtype=np.float64)), confusion, tuple(classes))

    @property
    def count(self) -> int:
        """The number of images."""
        return sum(map(sum, self.confusion))

    @property
    def correct(self) -> int:
        """The number of images that were predicted as what they are."""
        return sum(row[index] for index, row in enumerate(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of right predictions, 0 to 1."""
        return self.correct / self.count

    @property
    def interval(self) -> Interval:
        """95% interval (Wilson) of the accuracy."""
        return Interval.wilson(self.correct, self.count)

    @property
    def per_class(self) -> tuple[ClassScore, ...]:
        """One score per class, in the order of the labels."""
        predicted = [sum(column) for column in zip(*self.confusion, strict=True)]
        return tuple(
            ClassScore(name, sum(row), row[index], predicted[index])
            for index, (name, row) in enumerate(zip(self.classes, self.confusion, strict=True))
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "correct": self.correct,
            "count": self.count,
            "per_class": [score.to_dict() for score in self.per_class],
            "confusion": [list(row) for row in self.confusion],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Scores:
        """The scores that `to_dict` gave."""
        confusion = tuple(tuple(row) for row in stored["confusion"])
        return cls(stored["loss"], confusion, tuple(score["name"] for score in stored["per_class"]))

    def __str__(self) -> str:
        return (
            f"accuracy {self.accuracy:.4f} [{self.interval.low:.4f}, {self.interval.high:.4f}], "
            f"loss {self.loss:.4f} nats, {self.correct} of {self.count} right"
        )


@dataclass(frozen=True)
class _Mistake:
    """Images of one class that were predicted as another.

    Args:
        label: the true class.
        predicted: the class they were predicted as.
        count: the number of such images.
        images: the number of all images of the true class.
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
        return Interval.wilson(self.count, self.images) if self.images else None

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
    """Two classes that are mistaken for each other.

    Args:
        directions: the more frequent direction, then the other.
        mistakes: the number of all mistakes, between any classes.
    """

    directions: tuple[_Mistake, _Mistake]
    mistakes: int

    @property
    def count(self) -> int:
        """The number of mistakes between the two classes."""
        return self.directions[0].count + self.directions[1].count

    @property
    def share(self) -> float:
        """Their share of all mistakes, 0 to 1."""
        return self.count / self.mistakes

    def to_dict(self) -> dict[str, Any]:
        """All of it, with the 95% interval (Wilson) of the share, as plain JSON."""
        return {
            "count": self.count,
            "share": self.share,
            "interval": list(Interval.wilson(self.count, self.mistakes)),
            "directions": [direction.to_dict() for direction in self.directions],
        }


@dataclass(frozen=True)
class Classes:
    """What happened class by class after one epoch.

    Args:
        epoch: its number, from 1.
        scores: the confusion matrix and what follows from it.
    """

    epoch: int
    scores: Scores

    @classmethod
    def of(cls, trajectories: Trajectories, epoch: int) -> Classes:
        """What happened class by class after an epoch.

        Raises:
            InputError: that epoch was not validated.
        """
        row, known = trajectories.row(epoch), trajectories
        return cls(epoch, Scores.of(known.labels, known.predicted[row], known.loss[row], known.classes))

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
                    there = _Mistake(one, other, confusion[one][other], images[one])
                    back = _Mistake(other, one, confusion[other][one], images[other])
                    found.append(MixedPair((back, there) if back.count > there.count else (there, back), mistakes))
        return tuple(sorted(found, key=lambda pair: -pair.count))

    @property
    def least_recognised(self) -> int | None:
        """The class with the lowest recall, if it is lower than the accuracy of all images beyond chance."""
        from scipy.special import bdtr

        known = [(index, one) for index, one in enumerate(self.scores.per_class) if one.count]
        index, lowest = min(known, key=lambda pair: pair[1].correct / pair[1].count)
        # Corrected for the number of classes (Bonferroni): one of many is always the lowest.
        p = len(known) * float(bdtr(lowest.correct, lowest.count, self.scores.accuracy))
        return index if len(known) > 1 and p < SHOWN_BELOW else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON; `confusion[i][j]` images of class i were predicted as class j."""
        return {
            "epoch": self.epoch,
            "confusion": [list(row) for row in self.scores.confusion],
            "per_class": [_class_facts(one) for one in self.scores.per_class],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "least_recognised": self.least_recognised,
        }


def _class_facts(one: ClassScore) -> dict[str, Any]:
    """A class's score with all intervals."""
    stored = one.to_dict()
    del stored["accuracy"], stored["interval"]  # the recall and its interval, under their other names
    return {
        **stored,
        "recall_interval": plain(one.interval),
        "precision_interval": plain(one.precision_interval),
        "f1_interval": plain(one.f1_interval),
    }
