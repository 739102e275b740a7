"""How well predictions fit labels: loss, accuracy with its interval, the confusion matrix, and numbers per class.

Every number comes from one confusion matrix and one list of losses, so that they cannot contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError
from fittingroom.evaluation.luck import Reuse, look_of
from fittingroom.evaluation.spread import Interval, wilson

Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ClassScore:
    """What happened to the images of one class, and to those that were taken for it.

    Args:
        name: the class.
        count: images that are of this class.
        correct: those of them that were predicted as it.
        predicted: images of any class that were predicted as it.
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
        """95% interval (Wilson) of the accuracy; None if the class has no images."""
        return wilson(self.correct, self.count) if self.count else None

    @property
    def precision(self) -> float | None:
        """Share of the predictions of this class that are right, 0 to 1; None if it was never predicted."""
        return self.correct / self.predicted if self.predicted else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall, 0 to 1; None if the class has no images and was never predicted."""
        return 2 * self.correct / (self.count + self.predicted) if self.count + self.predicted else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "name": self.name,
            "count": self.count,
            "correct": self.correct,
            "predicted": self.predicted,
            "accuracy": self.accuracy,
            "interval": None if self.interval is None else list(self.interval),
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

    @property
    def count(self) -> int:
        """How many images."""
        return sum(map(sum, self.confusion))

    @property
    def correct(self) -> int:
        """How many were predicted as what they are."""
        return sum(row[index] for index, row in enumerate(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of right predictions, 0 to 1."""
        return self.correct / self.count

    @property
    def interval(self) -> Interval:
        """95% interval (Wilson) of the accuracy."""
        return wilson(self.correct, self.count)

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
class TestResult:
    """What a sealed test set said about a run, and which of all looks at it this was.

    Args:
        scores: the scores on all its images.
        reason: why it was opened.
        look: which look of this user at this test set it was, counted from 1; None if the ledger does not have it.
        reuse: all looks at it so far.
    """

    __test__: ClassVar[bool] = False  # not a test, whatever its name makes pytest think

    scores: Scores
    reason: str
    look: int | None
    reuse: Reuse

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        return self.scores.loss

    @property
    def accuracy(self) -> float:
        """Share of right predictions, 0 to 1."""
        return self.scores.accuracy

    @property
    def interval(self) -> Interval:
        """95% interval (Wilson) of the accuracy."""
        return self.scores.interval

    @property
    def luck(self) -> float:
        """What the best of all looks so far is worth by luck alone, as a share of the images."""
        return self.reuse.luck(self.accuracy, self.scores.count)

    def to_dict(self) -> dict[str, Any]:
        """The scores, the look and its luck (a share of the images) as plain JSON."""
        return {
            **self.scores.to_dict(),
            "reason": self.reason,
            "look": self.look,
            "looks": self.reuse.looks,
            "luck": self.luck,
            "correlation": self.reuse.correlation,
        }

    def __str__(self) -> str:
        look = (
            "a look that is not in the ledger" if self.look is None else f"look {look_of(self.look, self.reuse.looks)}"
        )
        return f"test {self.scores} ({look} at this test set; {self.reuse.sentence(self.accuracy, self.scores.count)})"


def score(labels: Integers, predicted: Integers, losses: Floats, classes: Sequence[str]) -> Scores:
    """Scores from what a model predicted.

    Args:
        labels: true classes, `(images,)`.
        predicted: predicted classes, `(images,)`.
        losses: cross-entropy of each image, `(images,)`, in nats.
        classes: names of the classes; labels and predictions are indices into it.

    Raises:
        InputError: there are no images, the lengths differ, or a label or a prediction is no class.
    """
    if not len(labels) == len(predicted) == len(losses):
        raise InputError(
            f"{len(labels)} labels, {len(predicted)} predictions, {len(losses)} losses: expected as many of each."
        )
    if len(labels) == 0:
        raise InputError("no images to score: expected one at least.")
    size = len(classes)
    for what, values in (("label", labels), ("prediction", predicted)):
        wrong = values[(values < 0) | (values >= size)]
        if len(wrong):
            raise InputError(f"{what} {wrong[0]}: expected a class from 0 to {size - 1}.")
    cells = np.bincount(labels.astype(np.int64) * size + predicted, minlength=size * size).reshape(size, size)
    confusion = tuple(tuple(int(cell) for cell in row) for row in cells)
    return Scores(float(np.mean(losses, dtype=np.float64)), confusion, tuple(classes))
