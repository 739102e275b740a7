"""What runs and replicas have in common: they can be asked what an image or a photo shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fittingroom.answers.judgement import Answer
from fittingroom.answers.predictor import Images, Predictor
from fittingroom.answers.recalibration import ALPHA
from fittingroom.photos.style import Style
from fittingroom.runs.images import exceeds

if TYPE_CHECKING:
    from fittingroom.data.dataset import Dataset

T = TypeVar("T", bound="Asked")
Array = np.ndarray[Any, Any]


class Asked(ABC):
    """Something trained that can be asked.

    Attributes:
        path: its folder.
    """

    path: Path

    @property
    @abstractmethod
    def predictor(self) -> Predictor:
        """What answers: `run.predictor.load()` has all of it in memory, for a server."""

    def predict(self, images: Images) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Class probabilities, float32 `(n, classes)`; of several seeds the mean over all of them.

        Args:
            images: an array `(n, ...)` in the form that the model was trained on: a dataset's raw uint8 images, or,
                where `fit` was given arrays, values like those. (Values on another usual scale, such as 0 to 255 for 0
                to 1, are converted, and the log says so.) Or a photo or several: paths of JPEG, PNG, WebP, BMP or
                GIF files, or pictures that Pillow has opened. Of a photo that is not of the model's size, the
                foreground is cut out and shown as training images show theirs, and the probabilities are those of
                `answer`, recalibrated on synthetic photos made from the validation images. Or `Inputs`, arrays that
                say which of the images were cut out of photos.

        Raises:
            DataError: the images have another shape, are none, hold NaN, are on another scale than the training images
                and it is not known how to convert them, or are scaled already and would be scaled twice; a picture
                cannot be read.
            RunError: it is a photo, and it is not known how the training images were made, since they were arrays.
        """
        return self.predictor.predict(images)

    def answer(self, images: Images, alpha: float = ALPHA) -> list[Answer]:
        """What it says of each image, and how far that can be trusted: calibrated, and judged.

        An answer has the class and its calibrated probability, the set of classes that holds the right one in 90% of
        the cases, whether the image is unlike the training images, and `why` in words. What that takes is fitted on the
        validation images when it is first asked for, and kept in the folder; for several seeds, on the means of their
        probabilities. Answers to photos are recalibrated on synthetic photos made from 3,000 of these images.

        Args:
            images: as for `predict`.
            alpha: the share of sets that may miss the right class.

        Raises:
            DataError: as for `predict`.
            InputError: alpha is not between 0 and 1.
            RunError: as for `predict`; or what is kept in the folder is damaged.
        """
        return self.predictor.answer(images, alpha)

    def log_probabilities(self, images: Array) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Logarithms of what `predict` gives, float32 `(n, classes)`.

        Args:
            images: an array, as for `predict`.

        Raises:
            DataError: as for `predict`.
        """
        return self.predictor.log_probabilities(images)

    @property
    def style(self) -> Style:
        """How the training images were made, measured from them: what a photo is converted to.

        Raises:
            DataError, RunError: the run keeps no images, and its dataset cannot be loaded again, or is unknown, since
                `fit` was given arrays.
        """
        return self.predictor.style


def finished(trained: T, dataset: Dataset | None) -> T:
    """A run that has just been trained, with what its answers rest on where it does not keep the images for that."""
    if dataset is not None and exceeds(dataset):
        trained.predictor.fit()
    return trained
