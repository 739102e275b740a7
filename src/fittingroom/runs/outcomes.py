"""Outcomes: what a model made of each validation image after each epoch, and what its kept weights make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError

Float32 = npt.NDArray[np.float32]

_MOST_CLASSES = 100  # from there on a run keeps no probabilities of each class, as while it trains (`engine/epoch.py`)
_ROWS = ("loss", "predicted", "probability", "log_probabilities")
_KEPT = "kept_"  # before the names of the arrays of the kept weights, in `outcomes.npz`
ARRAYS = frozenset({*_ROWS, "labels", "epoch", *(f"{_KEPT}{name}" for name in (*_ROWS, "epoch", "views"))})
"""Names of all arrays that `outcomes.npz` may have."""


@dataclass(frozen=True, eq=False)
class KeptOutcomes:
    """What the weights that a run keeps make of each validation image, when they answer as the run answers.

    Everything that names the validation accuracy or loss of a run takes it from here: an epoch's row can differ, since
    weights may be restored or averaged at the end of training, and answers averaged over several views of an image.

    Args:
        loss: cross-entropy in nats, float32, `(images,)`.
        predicted: predicted class, uint8 or uint16, `(images,)`.
        probability: probability of the true class, 0 to 1, float32, `(images,)`.
        log_probabilities: logarithms of the probabilities of all classes, float16, `(images, classes)`; no classes,
            `(images, 0)`, where a run does not store them.
        labels: true class, int32, `(images,)`.
        epoch: number of the epoch whose weights these are, from 0; None where they are those of no single epoch.
        views: how many views of each image the answers are averaged over; 1 for the image as it is.
    """

    loss: Float32
    predicted: npt.NDArray[np.unsignedinteger[Any]]
    probability: Float32
    log_probabilities: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int32]
    epoch: int | None
    views: int = 1

    @classmethod
    def of(
        cls, arrays: Mapping[str, npt.ArrayLike], labels: npt.ArrayLike, epoch: int | None = None, views: int = 1
    ) -> KeptOutcomes:
        """The same from arrays of any number type by their names, in the types that are stored."""
        return cls(
            loss=np.asarray(arrays["loss"], np.float32),
            predicted=_class_numbers(arrays["predicted"]),
            probability=np.asarray(arrays["probability"], np.float32),
            log_probabilities=np.asarray(arrays["log_probabilities"], np.float16),
            labels=np.asarray(labels, np.int32),
            epoch=epoch,
            views=views,
        )

    @classmethod
    def of_log_probabilities(
        cls, logs: npt.NDArray[Any], labels: npt.NDArray[Any], epoch: int | None, views: int = 1
    ) -> KeptOutcomes:
        """The same from logarithms of the probabilities of all classes, `(images, classes)`."""
        own = logs[np.arange(len(labels)), labels]
        arrays = {
            "loss": -own,
            "predicted": logs.argmax(axis=1),
            "probability": np.exp(own),
            "log_probabilities": logs if logs.shape[1] <= _MOST_CLASSES else logs[:, :0],
        }
        return cls.of(arrays, labels, epoch, views)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each prediction is the true class, `(images,)`."""
        return np.asarray(self.predicted == self.labels)

    @property
    def accuracy(self) -> float:
        """Share of right predictions, 0 to 1."""
        return float(self.right.mean())

    @property
    def mean_loss(self) -> float:
        """Mean cross-entropy in nats; NaN or infinite where that of an image is."""
        # The same reduction as over the rows of several seeds, so that all who compute it get the same bits.
        return float(self.loss[None].mean(axis=1, dtype=np.float64)[0])


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Loss, prediction and probability per epoch and validation image; images in the order of the validation part.

    Args:
        loss: cross-entropy in nats, float32, `(epochs, images)`.
        predicted: predicted class, uint8, or uint16 for more than 256 classes, `(epochs, images)`.
        probability: probability of the true class, 0 to 1, float32, `(epochs, images)`.
        labels: true class, int32, `(images,)`.
        epoch: number of the epoch that a row belongs to, from 0, int32, `(epochs,)`; not every epoch is validated.
        log_probabilities: logarithms of the probabilities of all classes, float16, `(epochs, images, classes)`. No
            classes, `(epochs, images, 0)`, where there are so many that a run does not keep them.
        kept: the same of the kept weights; None in a run of an older version, which did not store it.

    Raises:
        InputError: the shapes do not fit together.
    """

    loss: Float32
    predicted: npt.NDArray[np.unsignedinteger[Any]]
    probability: Float32
    labels: npt.NDArray[np.int32]
    epoch: npt.NDArray[np.int32]
    log_probabilities: npt.NDArray[np.float16]
    kept: KeptOutcomes | None = None

    def __post_init__(self) -> None:
        shapes = {name: getattr(self, name).shape for name in (*_ROWS, "labels", "epoch")}
        per_epoch = {shapes["loss"], shapes["predicted"], shapes["probability"]}
        expected = (self.loss.shape[1:], self.loss.shape[:1], self.loss.shape)
        found = (shapes["labels"], shapes["epoch"], shapes["log_probabilities"][:2])
        if len(per_epoch) != 1 or self.loss.ndim != 2 or found != expected:
            raise InputError(
                f"outcomes of shapes {shapes}: expected three of (epochs, images), labels of (images,), epoch of "
                "(epochs,) and log_probabilities of (epochs, images, classes)."
            )
        if self.kept is not None and any(getattr(self.kept, name).shape != shapes[name][1:] for name in _ROWS):
            raise InputError("the outcomes of the kept weights have other shapes than those of an epoch.")

    @classmethod
    def of(
        cls,
        loss: npt.ArrayLike,
        predicted: npt.ArrayLike,
        probability: npt.ArrayLike,
        labels: npt.ArrayLike,
        epoch: npt.ArrayLike | None = None,
        log_probabilities: npt.ArrayLike | None = None,
        kept: KeptOutcomes | None = None,
    ) -> Outcomes:
        """Outcomes from arrays or lists of any number type, in the types that are stored.

        Without `epoch`, the rows are the first epochs; without `log_probabilities`, there are none.
        """
        rows = np.asarray(loss, np.float32)
        return cls(
            rows,
            _class_numbers(predicted),
            np.asarray(probability, np.float32),
            np.asarray(labels, np.int32),
            np.asarray(range(len(rows)) if epoch is None else epoch, np.int32),
            np.asarray(np.zeros((*rows.shape, 0)) if log_probabilities is None else log_probabilities, np.float16),
            kept,
        )

    @classmethod
    def of_single_epoch(cls, kept: KeptOutcomes) -> Outcomes:
        """Those of a training with one epoch, or none, after which these are the outcomes."""
        rows = (kept.loss[None], kept.predicted[None], kept.probability[None])
        return cls.of(*rows, kept.labels, [0], kept.log_probabilities[None], kept)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Outcomes:
        """The outcomes whose `arrays` these are; those of other names are left out."""
        kept = None
        if f"{_KEPT}loss" in arrays:
            epoch, views = (int(arrays[f"{_KEPT}{name}"]) for name in ("epoch", "views"))
            stored = {name: arrays[f"{_KEPT}{name}"] for name in _ROWS}
            kept = KeptOutcomes.of(stored, arrays["labels"], None if epoch < 0 else epoch, views)
        loss, predicted, right, labels = (arrays[name] for name in ("loss", "predicted", "probability", "labels"))
        epochs, logs = arrays.get("epoch"), arrays.get("log_probabilities")
        outcomes = cls.of(loss, predicted, right, labels, epochs, logs, kept)
        outcomes._check_values()
        return outcomes

    def _check_values(self) -> None:
        """Raises InputError where the arrays of a file are no outcomes: of a finite loss, probabilities are so too."""
        classes = self.log_probabilities.shape[-1] or np.iinfo(np.int32).max
        each: list[Outcomes | KeptOutcomes] = [self, *([] if self.kept is None else [self.kept])]
        numbers = [self.labels, *(one.predicted for one in each)]
        if any(len(one) and not 0 <= one.min() <= one.max() < classes for one in map(np.ravel, numbers)):
            raise InputError("its labels or predictions are not those of its classes.")
        if (np.diff(self.epoch) <= 0).any() or (self.epoch < 0).any():
            raise InputError("its epochs do not rise.")
        for one in each:
            finite = np.isfinite(one.loss)
            probability = one.probability[finite]
            if (one.loss[finite] < -1e-3).any():
                raise InputError("its losses are below 0.")
            if not ((probability >= -1e-3) & (probability <= 1.001)).all():
                raise InputError("its probabilities are not from 0 to 1.")
            if np.isnan(one.log_probabilities[finite]).any() or (one.log_probabilities[finite] > 0.1).any():
                raise InputError("its logarithms of probabilities are not those of numbers from 0 to 1.")

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, as `outcomes.npz` has them."""
        arrays = {name: getattr(self, name) for name in (*_ROWS, "labels", "epoch")}
        if self.kept is None:
            return arrays
        number = -1 if self.kept.epoch is None else self.kept.epoch
        return {
            **arrays,
            **{f"{_KEPT}{name}": getattr(self.kept, name) for name in _ROWS},
            f"{_KEPT}epoch": np.asarray(number, np.int32),
            f"{_KEPT}views": np.asarray(self.kept.views, np.int32),
        }

    def row_as_kept(self, row: int) -> KeptOutcomes:
        """The outcomes of an epoch, by the place of its row, as if its weights were the kept ones."""
        return KeptOutcomes.of({name: getattr(self, name)[row] for name in _ROWS}, self.labels, int(self.epoch[row]))


def _class_numbers(predicted: npt.ArrayLike) -> npt.NDArray[np.unsignedinteger[Any]]:
    classes = np.asarray(predicted)
    small = classes.size == 0 or int(classes.max()) < 256
    return classes.astype(np.uint8 if small else np.uint16)
