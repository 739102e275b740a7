"""What happened to each validation image during one training: the arrays that every explanation is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError
from fittingroom.seeds import generator
from fittingroom.text import word_list

Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """The path of each validation image through the validated epochs of one seed.

    Args:
        loss: cross-entropy in nats, `(epochs, images)`; finite.
        predicted: predicted class, integers, `(epochs, images)`.
        probability: probability of the true class, 0 to 1, `(epochs, images)`.
        labels: true class, integers, `(images,)`.
        classes: names of the classes; labels and predictions are indices into it.
        epochs: number of the epoch of each row, counted from 1, rising.
        log_probabilities: logarithms of the probabilities of all classes, float16, `(epochs, images, classes)`; None or
            no classes at all, `(epochs, images, 0)`, where a run did not store them.

    Raises:
        InputError: there is no epoch or no image, the shapes do not fit together, a label or a prediction is not a
            class, epochs do not rise, or a loss is not finite.
    """

    loss: Floats
    predicted: Integers
    probability: Floats
    labels: Integers
    classes: tuple[str, ...]
    epochs: tuple[int, ...]
    log_probabilities: Floats | None = None

    def __post_init__(self) -> None:
        self._check_shapes()
        if any(after <= before for before, after in zip(self.epochs, self.epochs[1:], strict=False)):
            raise InputError(f"epochs {list(self.epochs)}: expected rising numbers.")
        size = len(self.classes)
        for what, values in (("label", self.labels), ("prediction", self.predicted)):
            if values.min() < 0 or values.max() >= size:
                wrong = values[(values < 0) | (values >= size)]
                raise InputError(f"{what} {wrong[0]}: expected a class from 0 to {size - 1}.")
        infinite = ~np.isfinite(self.loss).all(axis=1)
        if infinite.any():
            epoch = self.epochs[int(infinite.argmax())]
            raise InputError(f"a loss of epoch {epoch} is not finite. Leave that epoch out.")

    def _check_shapes(self) -> None:
        shape = (len(self.epochs), len(self.labels))
        if 0 in shape or self.labels.ndim != 1:
            raise InputError(
                f"{shape[0]} epochs and labels of shape {self.labels.shape}: expected at least one epoch and one image."
            )
        arrays = {"loss": self.loss, "predicted": self.predicted, "probability": self.probability}
        for name, array in arrays.items():
            if array.shape != shape:
                raise InputError(f"{name} of shape {array.shape}: expected (epochs, images) = {shape}.")
        logs = self.log_probabilities
        if logs is not None and logs.shape not in {(*shape, 0), (*shape, len(self.classes))}:
            expected = (*shape, len(self.classes))
            raise InputError(
                f"log_probabilities of shape {logs.shape}: expected (epochs, images, classes) = {expected}."
            )

    @property
    def images(self) -> int:
        """The number of validation images."""
        return len(self.labels)

    @property
    def has_all_classes(self) -> bool:
        """Whether the probabilities of all classes are known, not only that of the true one."""
        return self.log_probabilities is not None and self.log_probabilities.shape[-1] > 0

    @cached_property
    def right(self) -> Flags:
        """Whether the prediction is the true class, `(epochs, images)`."""
        return np.asarray(self.predicted == self.labels)

    @cached_property
    def mean_loss(self) -> npt.NDArray[np.float64]:
        """Mean loss of each epoch in nats, `(epochs,)`."""
        return np.asarray(self.loss.mean(axis=1, dtype=np.float64))

    @cached_property
    def accuracy(self) -> npt.NDArray[np.float64]:
        """Share of right predictions of each epoch, 0 to 1, `(epochs,)`."""
        return np.asarray(self.right.mean(axis=1))

    @property
    def best_loss_epoch(self) -> int:
        """The first epoch with the lowest mean loss."""
        return self.epochs[int(self.mean_loss.argmin())]

    @property
    def best_accuracy_epoch(self) -> int:
        """The first epoch with the highest accuracy."""
        return self.epochs[int(self.accuracy.argmax())]

    @property
    def last_epoch(self) -> int:
        """The last validated epoch."""
        return self.epochs[-1]

    def row(self, epoch: int) -> int:
        """The row of an epoch, from 0.

        Raises:
            InputError: that epoch was not validated.
        """
        if epoch not in self.epochs:
            known = word_list(self.epochs, "or", most=20)
            raise InputError(f"epoch {epoch!r} has no validation outcomes: expected {known}.")
        return self.epochs.index(epoch)

    def all_log_probabilities(self, epoch: int) -> npt.NDArray[np.float32]:
        """Logarithms of the probabilities of all classes after an epoch, float32 `(images, classes)`, finite.

        The true class's is minus the stored loss, which is not rounded to 16 bits. A probability too small for 16 bits
        (its logarithm is below -65,504) gets that bound.

        Raises:
            InputError: the run did not store them, or that epoch was not validated.
        """
        if self.log_probabilities is None or not self.has_all_classes:
            raise InputError("this run did not store the probabilities of all classes, which calibration needs.")
        row = self.row(epoch)
        logs: npt.NDArray[np.float32] = self.log_probabilities[row].astype(np.float32)
        np.maximum(logs, np.float32(np.finfo(np.float16).min), out=logs)
        logs[np.arange(self.images), self.labels] = -self.loss[row]
        return logs

    def confidence(self, epoch: int) -> npt.NDArray[np.float64] | None:
        """The probability of the predicted class after an epoch, 0 to 1, `(images,)`; None where it was not stored.

        Raises:
            InputError: that epoch was not validated.
        """
        if not self.has_all_classes:
            return None
        predicted = self.predicted[self.row(epoch)]
        chosen = self.all_log_probabilities(epoch)[np.arange(self.images), predicted].astype(np.float64)
        return np.asarray(np.minimum(np.exp(chosen), 1.0))  # rounding may leave a sure prediction a trace above 1

    def loss_changes(self, start: int, end: int) -> npt.NDArray[np.float64]:
        """Loss after epoch `end` less loss after epoch `start` of each image, in nats, float64 `(images,)`.

        Raises:
            InputError: one of the epochs was not validated.
        """
        before, after = self.loss[self.row(start)], self.loss[self.row(end)]
        return np.asarray(after.astype(np.float64) - before)

    @cached_property
    def first_half(self) -> Flags:
        """Which images are in the first half, `(images,)`: half (±1) of each class, drawn at random, always the same.

        A choice looks better on the images that it was made on than on others. Measured on the other half, both ways,
        it does not.
        """
        return _first_half(self.labels)


def _first_half(labels: Integers) -> Flags:
    shuffled = generator(0, "bootstrap", 2).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    half = np.zeros(len(labels), np.bool_)
    half[by_class[::2]] = True
    return half
