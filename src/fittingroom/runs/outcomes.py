"""Outcomes: what a model made of each validation image after each epoch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.errors import InputError

Float32 = npt.NDArray[np.float32]


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

    Raises:
        InputError: the shapes do not fit together.
    """

    loss: Float32
    predicted: npt.NDArray[np.unsignedinteger[Any]]
    probability: Float32
    labels: npt.NDArray[np.int32]
    epoch: npt.NDArray[np.int32]
    log_probabilities: npt.NDArray[np.float16]

    def __post_init__(self) -> None:
        shapes = {name: array.shape for name, array in self.arrays().items()}
        per_epoch = {shapes["loss"], shapes["predicted"], shapes["probability"]}
        expected = (self.loss.shape[1:], self.loss.shape[:1], self.loss.shape)
        found = (shapes["labels"], shapes["epoch"], shapes["log_probabilities"][:2])
        if len(per_epoch) != 1 or self.loss.ndim != 2 or found != expected:
            raise InputError(
                f"outcomes of shapes {shapes}: expected three of (epochs, images), labels of (images,), epoch of "
                "(epochs,) and log_probabilities of (epochs, images, classes)."
            )

    @classmethod
    def of(
        cls,
        loss: npt.ArrayLike,
        predicted: npt.ArrayLike,
        probability: npt.ArrayLike,
        labels: npt.ArrayLike,
        epoch: npt.ArrayLike | None = None,
        log_probabilities: npt.ArrayLike | None = None,
    ) -> Outcomes:
        """Outcomes from arrays or lists of any number type, in the types that are stored.

        Without `epoch`, the rows are the first epochs; without `log_probabilities`, there are none.
        """
        rows, classes = np.asarray(loss, np.float32), np.asarray(predicted)
        small = classes.size == 0 or int(classes.max()) < 256
        return cls(
            rows,
            classes.astype(np.uint8 if small else np.uint16),
            np.asarray(probability, np.float32),
            np.asarray(labels, np.int32),
            np.asarray(range(len(rows)) if epoch is None else epoch, np.int32),
            np.asarray(np.zeros((*rows.shape, 0)) if log_probabilities is None else log_probabilities, np.float16),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
