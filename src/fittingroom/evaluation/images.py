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

from fittingroom.evaluation.change import loss_changes
from fittingroom.evaluation.reliability import confidences
from fittingroom.evaluation.trajectories import Flags, Trajectories

LIMIT = 100
"""How many images a list shows unless told otherwise."""

FOR_GOOD = 3
"""So many wrong epochs at the end count as wrong for good: fewer are often the wavering of an image between classes."""


@dataclass(frozen=True)
class ListedImage:
    """An image of a list.

    Args:
        index: its place among the validation images, from 0.
        label: its true class.
        predicted: its predicted class at the list's epoch.
        numbers: what put it there, by name.
    """

    index: int
    label: int
    predicted: int
    numbers: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {"index": self.index, "label": self.label, "predicted": self.predicted, **self.numbers}


@dataclass(frozen=True)
class ImageList:
    """A list of images, the most telling first.

    Args:
        name: of the list.
        rule: what puts an image there and what comes first, in words.
        epoch: the epoch of the predicted classes.
        count: how many images the rule fits, listed or not.
        images: the first of them.
    """

    name: str
    rule: str
    epoch: int
    count: int
    images: tuple[ListedImage, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "name": self.name,
            "rule": self.rule,
            "epoch": self.epoch,
            "count": self.count,
            "images": [image.to_dict() for image in self.images],
        }


TOLERANCE = 0.01
"""By so much the mean probability of the true class may rise in an image that stays wrong, ever more confidently."""


def image_lists(
    trajectories: Trajectories, start: int, end: int, limit: int = LIMIT, among: Flags | None = None
) -> tuple[ImageList, ...]:
    """All lists that there are, about epoch `end` and the way there from epoch `start`.

    Args:
        trajectories: of one replica.
        start: where the rise begins, for the list of images that carried it.
        end: the epoch that is looked at, usually the last.
        limit: the most images of a list.
        among: which images to choose from, bool `(images,)`: `of_class` and `of_pair` give some; None for all.

    Raises:
        InputError: one of the epochs was not validated.
    """
    return (
        largest_loss(trajectories, end, limit, among),
        carried_rise(trajectories, start, end, limit, among),
        forgotten(trajectories, end, limit, among),
        never_learned(trajectories, end, limit, among),
        confident_mistakes(trajectories, end, limit, among),
        ever_more_confident(trajectories, trajectories.epochs[0], end, limit, among),
    )


def of_class(trajectories: Trajectories, label: int) -> Flags:
    """Which images are of a class, bool `(images,)`."""
    return np.asarray(trajectories.labels == label)


def of_pair(trajectories: Trajectories, label: int, predicted: int, epoch: int) -> Flags:
    """Which images of class `label` were predicted as class `predicted` after an epoch, bool `(images,)`."""
    taken = trajectories.predicted[trajectories.row(epoch)] == predicted
    return np.asarray(of_class(trajectories, label) & taken)


def largest_loss(
    trajectories: Trajectories, epoch: int, limit: int = LIMIT, among: Flags | None = None, when: str = ""
) -> ImageList:
    """The images with the largest loss after an epoch; `when` says in words what is not simply after that epoch."""
    row = trajectories.row(epoch)
    loss = trajectories.loss[row]
    return _listed(
        trajectories,
        ("largest loss", f"the loss {when or f'after epoch {epoch}'}, largest first", epoch),
        _all(trajectories, among),
        loss,
        {"loss": loss, "probability": trajectories.probability[row]},
        limit,
    )


def carried_rise(
    trajectories: Trajectories, start: int, end: int, limit: int = LIMIT, among: Flags | None = None
) -> ImageList:
    """The images whose loss rose most between two epochs; `nats` is what each adds to the change of the mean loss."""
    changes = loss_changes(trajectories, start, end)
    before, after = trajectories.loss[trajectories.row(start)], trajectories.loss[trajectories.row(end)]
    return _listed(
        trajectories,
        ("carried the rise", f"the loss rose from epoch {start} to epoch {end}, most first", end),
        _all(trajectories, among) & (changes > 0),
        changes,
        {"nats": changes / trajectories.images, "loss_before": before, "loss_after": after},
        limit,
    )


def forgotten(trajectories: Trajectories, end: int, limit: int = LIMIT, among: Flags | None = None) -> ImageList:
    """The images that were right once and then wrong for good, those that were right longest first.

    For good: wrong in each of the last `FOR_GOOD` validated epochs up to `end`, at least. `times` counts how often an
    image went from right to wrong.
    """
    right = _until(trajectories, end)
    epochs = np.asarray(trajectories.epochs)
    known = right.sum(axis=0)
    last_right = len(right) - 1 - right[::-1].argmax(axis=0)
    for_good = (known > 0) & (len(right) - 1 - last_right >= FOR_GOOD)
    return _listed(
        trajectories,
        (
            "forgotten",
            f"right once, then wrong in {FOR_GOOD} epochs or more up to epoch {end}, longest right first",
            end,
        ),
        _all(trajectories, among) & for_good,
        known,
        {
            "first_right": epochs[right.argmax(axis=0)],
            "last_right": epochs[last_right],
            "epochs_right": known,
            "times": (right[:-1] & ~right[1:]).sum(axis=0),
            "loss": trajectories.loss[trajectories.row(end)],
        },
        limit,
    )


def never_learned(trajectories: Trajectories, end: int, limit: int = LIMIT, among: Flags | None = None) -> ImageList:
    """The images that were wrong after every validated epoch up to `end`, the largest mean loss first."""
    right = _until(trajectories, end)
    mean_loss = trajectories.loss[: len(right)].mean(axis=0)
    return _listed(
        trajectories,
        ("never learned", f"wrong after every epoch up to epoch {end}, largest mean loss first", end),
        _all(trajectories, among) & ~right.any(axis=0),
        mean_loss,
        {"mean_loss": mean_loss, "loss": trajectories.loss[trajectories.row(end)]},
        limit,
    )


def confident_mistakes(
    trajectories: Trajectories, epoch: int, limit: int = LIMIT, among: Flags | None = None, when: str = ""
) -> ImageList:
    """The wrong predictions with the most confidence, the probability of the predicted class.

    Where that was not kept, those with the least probability of the true class. `when` as for `largest_loss`.
    """
    row = trajectories.row(epoch)
    probability = trajectories.probability[row]
    confidence = confidences(trajectories, epoch)
    known = {} if confidence is None else {"confidence": confidence}
    first = "least probable true class" if confidence is None else "most confident"
    return _listed(
        trajectories,
        ("confident mistakes", f"mistakes {when or f'after epoch {epoch}'}, {first} first", epoch),
        _all(trajectories, among) & ~trajectories.right[row],
        -probability if confidence is None else confidence,
        {**known, "probability": probability},
        limit,
    )


def ever_more_confident(
    trajectories: Trajectories, start: int, end: int, limit: int = LIMIT, among: Flags | None = None
) -> ImageList:
    """The images that stayed wrong, ever more confidently: candidates for a wrong label, the largest loss first.

    The validated epochs from `start` to `end` are cut into an earlier and a later half. These images are wrong after
    every later epoch, and the true class was given no more probability later than earlier, on average, with a tolerance
    of `TOLERANCE`: a model that is sure of its mistake from the beginning can hardly become surer. First come those
    with the largest mean loss over the later half. A single epoch shows no course, so its list is empty.
    """
    last = trajectories.row(end)
    first = min(trajectories.row(start), last)
    middle = (first + last + 1) // 2
    earlier, later = slice(first, max(middle, first + 1)), slice(middle, last + 1)
    before, after = (trajectories.probability[half].mean(axis=0) for half in (earlier, later))
    mean_loss = trajectories.loss[later].mean(axis=0)
    fits = ~trajectories.right[later].any(axis=0) & (after <= before + TOLERANCE) & (first < last)
    return _listed(
        trajectories,
        (
            "stayed wrong, ever more confident",
            f"wrong after every epoch of the later half from epoch {start} to {end}, the true class no more probable "
            "than in the earlier half; largest mean loss of the later half first",
            end,
        ),
        _all(trajectories, among) & fits,
        mean_loss,
        {"mean_loss": mean_loss, "probability_before": before, "probability_after": after},
        limit,
    )


def _all(trajectories: Trajectories, among: Flags | None) -> Flags:
    return np.ones(trajectories.images, np.bool_) if among is None else among


def _until(trajectories: Trajectories, end: int) -> Flags:
    return trajectories.right[: trajectories.row(end) + 1]


def _listed(
    trajectories: Trajectories,
    title: tuple[str, str, int],
    fits: Flags,
    weight: npt.NDArray[Any],
    numbers: Mapping[str, npt.NDArray[Any]],
    limit: int,
) -> ImageList:
    """The list of a name, a rule and an epoch: images that fit, the largest weight first, of equals the first image."""
    candidates = np.flatnonzero(fits)
    chosen = candidates[np.argsort(-weight[candidates], kind="stable")[:limit]]
    name, rule, epoch = title
    predicted = trajectories.predicted[trajectories.row(epoch)]
    images = tuple(
        ListedImage(
            int(index),
            int(trajectories.labels[index]),
            int(predicted[index]),
            {key: values[index].item() for key, values in numbers.items()},
        )
        for index in chosen
    )
    return ImageList(name, rule, epoch, len(candidates), images)
