"""Outcomes: what a model made of each validation image after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
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

    Raises:
        InputError: the shapes do not fit together.
    """

    loss: Float32
    predicted: npt.NDArray[np.unsignedinteger[Any]]
    probability: Float32
    labels: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        shapes = {name: array.shape for name, array in self.arrays().items()}
        per_epoch = {shapes["loss"], shapes["predicted"], shapes["probability"]}
        if len(per_epoch) != 1 or self.loss.ndim != 2 or self.labels.shape != self.loss.shape[1:]:
            raise InputError(
                f"outcomes of shapes {shapes}: expected three of (epochs, images) and labels of (images,)."
            )

    @classmethod
    def of(
        cls, loss: npt.ArrayLike, predicted: npt.ArrayLike, probability: npt.ArrayLike, labels: npt.ArrayLike
    ) -> Outcomes:
        """Outcomes from arrays or lists of any number type, in the types that are stored."""
        classes = np.asarray(predicted)
        small = classes.size == 0 or int(classes.max()) < 256
        return cls(
            np.asarray(loss, np.float32),
            classes.astype(np.uint8 if small else np.uint16),
            np.asarray(probability, np.float32),
            np.asarray(labels, np.int32),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name."""
        return {"loss": self.loss, "predicted": self.predicted, "probability": self.probability, "labels": self.labels}
