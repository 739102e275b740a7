"""Lists of validation images worth looking at, each with the rule and the numbers that put an image there.

Whether an image was right or wrong at each epoch follows Toneva et al., An Empirical Study of Example Forgetting during
Deep Neural Network Learning, ICLR 2019 (arXiv 1812.05159), where it is counted on training images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.evaluation.trajectories import Trajectories

LIMIT = 100
"""The most images of a list."""

FOR_GOOD = 3
"""The number of wrong epochs at the end that count as forgotten: with fewer, an image often wavers between classes."""

TOLERANCE = 0.01
"""By how much the mean probability of the true class may rise in an image that stays wrong, ever more confident."""


@dataclass(frozen=True)
class _ListedImage:
    """An image of a list, and what put it there.

    Args:
        index: its position among the validation images, from 0.
        label: its true class.
        predicted: its predicted class at the list's epoch.
        numbers: the numbers behind its place in the list, by name.
    """

    index: int
    label: int
    predicted: int
    numbers: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {"index": self.index, "label": self.label, "predicted": self.predicted, **self.numbers}


@dataclass(frozen=True)
class _ImageList:
    """A list of images, the most telling first.

    Args:
        name: the list's name.
        rule: which images are in the list and which come first, in words.
        epoch: the epoch of the predicted classes, from 1.
        count: how many images the rule fits, listed or not.
        images: the first of them, `LIMIT` at most.
    """

    name: str
    rule: str
    epoch: int
    count: int
    images: tuple[_ListedImage, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "name": self.name,
            "rule": self.rule,
            "epoch": self.epoch,
            "count": self.count,
            "images": [image.to_dict() for image in self.images],
        }


@dataclass(frozen=True)
class ImageLists:
    """The lists of images of one training.

    Args:
        trajectories: what happened to each validation image.
        limit: the most images of a list.
    """

    trajectories: Trajectories
    limit: int = LIMIT

    def largest_loss(self, epoch: int, when: str = "") -> _ImageList:
        """The images with the largest loss after an epoch.

        Args:
            epoch: the number of the epoch, from 1.
            when: what the rule calls it, where it is not simply `after epoch 3`.
        """
        known, row = self.trajectories, self.trajectories.row(epoch)
        loss = known.loss[row]
        return self._list(
            ("largest loss", f"the loss {when or f'after epoch {epoch}'}, largest first", epoch),
            np.ones(known.images, np.bool_),
            loss,
            {"loss": loss, "probability": known.probability[row]},
        )

    def confident_mistakes(self, epoch: int, when: str = "") -> _ImageList:
        """The wrong predictions with the most confidence, the probability of the predicted class.

        Where that was not stored, those with the least probability of the true class.

        Args:
            epoch: the number of the epoch, from 1.
            when: what the rule calls it, where it is not simply `after epoch 3`.
        """
        known, row = self.trajectories, self.trajectories.row(epoch)
        probability, confidence = known.probability[row], known.confidence(epoch)
        first = "least probable true class" if confidence is None else "most confident"
        return self._list(
            ("confident mistakes", f"mistakes {when or f'after epoch {epoch}'}, {first} first", epoch),
            ~known.right[row],
            -probability if confidence is None else confidence,
            {**({} if confidence is None else {"confidence": confidence}), "probability": probability},
        )

    def carried_rise(self, start: int, end: int) -> _ImageList:
        """The images whose loss rose most between two epochs; `nats` is what each adds to the rise of the mean loss."""
        known = self.trajectories
        changes = known.loss_changes(start, end)
        before, after = known.loss[known.row(start)], known.loss[known.row(end)]
        return self._list(
            ("carried the rise", f"the loss rose from epoch {start} to epoch {end}, most first", end),
            changes > 0,
            changes,
            {"nats": changes / known.images, "loss_before": before, "loss_after": after},
        )

    def forgotten(self, end: int) -> _ImageList:
        """The images that were right once and then wrong for good, those that were right longest first.

        For good: wrong in each of the last `FOR_GOOD` validated epochs up to `end`, at least. `times` counts how often
        an image went from right to wrong.
        """
        right = self._right_until(end)
        epochs = np.asarray(self.trajectories.epochs)
        known = right.sum(axis=0)
        last_right = len(right) - 1 - right[::-1].argmax(axis=0)
        rule = f"right once, then wrong in {FOR_GOOD} epochs or more up to epoch {end}, longest right first"
        return self._list(
            ("forgotten", rule, end),
            (known > 0) & (len(right) - 1 - last_right >= FOR_GOOD),
            known,
            {
                "first_right": epochs[right.argmax(axis=0)],
                "last_right": epochs[last_right],
                "epochs_right": known,
                "times": (right[:-1] & ~right[1:]).sum(axis=0),
                "loss": self.trajectories.loss[self.trajectories.row(end)],
            },
        )

    def never_learned(self, end: int) -> _ImageList:
        """The images that were wrong after every validated epoch up to `end`, the largest mean loss first."""
        right = self._right_until(end)
        mean_loss = self.trajectories.loss[: len(right)].mean(axis=0)
        return self._list(
            ("never learned", f"wrong after every epoch up to epoch {end}, largest mean loss first", end),
            np.asarray(~right.any(axis=0)),
            mean_loss,
            {"mean_loss": mean_loss, "loss": self.trajectories.loss[self.trajectories.row(end)]},
        )

    def ever_more_confident(self, start: int, end: int) -> _ImageList:
        """The images that stayed wrong, ever more confident: candidates for a wrong label, the largest loss first.

        The validated epochs from `start` to `end` are cut into an earlier and a later half. These images are wrong
        after every later epoch, and the true class has no larger mean probability in the later half than in the
        earlier, with a tolerance of `TOLERANCE`: a model that is sure of its mistake from the beginning can hardly
        become surer. First come those with the largest mean loss over the later half. A single epoch has no halves, so
        its list is empty.
        """
        known = self.trajectories
        last = known.row(end)
        first = min(known.row(start), last)
        middle = (first + last + 1) // 2
        earlier, later = slice(first, max(middle, first + 1)), slice(middle, last + 1)
        before, after = (known.probability[half].mean(axis=0) for half in (earlier, later))
        mean_loss = known.loss[later].mean(axis=0)
        rule = (
            f"wrong after every epoch of the later half from epoch {start} to {end}, the true class no more probable "
            "than in the earlier half; largest mean loss of the later half first"
        )
        return self._list(
            ("stayed wrong, ever more confident", rule, end),
            np.asarray(~known.right[later].any(axis=0) & (after <= before + TOLERANCE) & (first < last)),
            mean_loss,
            {"mean_loss": mean_loss, "probability_before": before, "probability_after": after},
        )

    def _right_until(self, end: int) -> npt.NDArray[np.bool_]:
        return self.trajectories.right[: self.trajectories.row(end) + 1]

    def _list(
        self,
        title: tuple[str, str, int],
        fits: npt.NDArray[np.bool_],
        weight: npt.NDArray[Any],
        numbers: Mapping[str, npt.NDArray[Any]],
    ) -> _ImageList:
        """The list of a name, a rule and an epoch: images that fit, the largest weight first, of equals the first."""
        candidates = np.flatnonzero(fits)
        chosen = candidates[np.argsort(-weight[candidates], kind="stable")[: self.limit]]
        name, rule, epoch = title
        known = self.trajectories
        predicted = known.predicted[known.row(epoch)]
        images = tuple(
            _ListedImage(
                int(index),
                int(known.labels[index]),
                int(predicted[index]),
                {key: values[index].item() for key, values in numbers.items()},
            )
            for index in chosen
        )
        return _ImageList(name, rule, epoch, len(candidates), images)
