"""What runs and replicas have in common: they can be asked what an image or a photo shows."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from fittingroom.answers.conformal import ALPHA
from fittingroom.answers.judgement import Answer, Judgement
from fittingroom.answers.label_shift import Correction
from fittingroom.answers.stored import digest_of
from fittingroom.api.judging import correction_of, judgement_of
from fittingroom.api.loaded import Loaded
from fittingroom.api.looking import count_test_part
from fittingroom.api.scales import checked_images
from fittingroom.errors import DataError, RunError
from fittingroom.photos.photo_reader import Inputs, as_photo, of_picture, read_given
from fittingroom.photos.style import Style, style_of_images
from fittingroom.runs.images import RunImages, exceeds
from fittingroom.runs.record import DataRecord

if TYPE_CHECKING:
    from PIL import Image

    from fittingroom.api.run import Run
    from fittingroom.data.dataset import Dataset

_log = logging.getLogger("fittingroom")

T = TypeVar("T", bound="Asked")
Array = np.ndarray[Any, Any]
Photo: TypeAlias = "str | os.PathLike[str] | Image.Image"
Images: TypeAlias = "Array | Photo | Sequence[Photo] | Inputs"


class Asked(ABC):
    """Something trained that can be asked.

    Attributes:
        path: its folder.
    """

    path: Path

    def predict(self, images: Images) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Class probabilities, float32 `(n, classes)`; of replicas the mean over all of them.

        Args:
            images: an array `(n, ...)` in the form that the model was trained on: a dataset's raw uint8 images, or,
                where `fit` was given arrays, values like those. (Values on another usual scale, such as 0 to 255 for 0
                to 1, are converted, and the log says so.) Or a photo or several: paths of JPEG, PNG, WebP, BMP or
                GIF files, or pictures that Pillow has opened. Of a photo that is not of the model's size, the thing in
                it is cut out and shown as training images show theirs, and the probabilities are those of `answer`,
                corrected by what photos made of validation images teach. Or `Inputs`, arrays that say which of the
                images were cut out of photos.

        Raises:
            DataError: the images have another shape, are none, hold NaN, are on another scale than the training images
                and it is not known how to convert them, or are scaled already and would be scaled twice; a picture
                cannot be read.
            RunError: it is a photo, and it is not known how the training images were made, since they were arrays.
        """
        inputs = self._inputs(images)
        logs = self.log_probabilities(inputs.images)
        correction = self._correction if inputs.cut_out.any() else None
        if correction is not None:
            logs = np.where(inputs.cut_out[:, None], correction.corrected(logs), logs)
        return np.asarray(np.exp(logs), np.float32)

    def answer(self, images: Images, alpha: float = ALPHA) -> list[Answer]:
        """What it says of each image, and how far that can be trusted: calibrated, and judged.

        An answer has the class and its calibrated probability, the set of classes that holds the right one in 90% of
        the cases, whether the image is unlike the training data, and `why` in words. What that takes is fitted on the
        validation images when it is first asked for, and kept in the folder; for replicas, on the means of their
        probabilities. Answers to photos are corrected by what photos made of 3,000 of these images teach.

        Args:
            images: as for `predict`.
            alpha: the share of sets that may miss the right class.

        Raises:
            DataError: as for `predict`.
            InputError: alpha is not between 0 and 1.
            RunError: as for `predict`; or what is kept in the folder is damaged.
        """
        inputs, data = self._inputs(images), self._data
        taken = checked_images(inputs.images, data)
        logs = self._in_memory()(taken)
        judgement = self._judgement_of_photos if inputs.cut_out.any() else self._judgement
        trained_on = data.name, data.classes
        return judgement.answers(logs, taken, data.scale, trained_on, alpha, inputs.cut_out)

    @abstractmethod
    def log_probabilities(self, images: Array) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Logarithms of what `predict` gives, float32 `(n, classes)`.

        Args:
            images: an array, as for `predict`.

        Raises:
            DataError: as for `predict`.
        """

    def loaded(self) -> Loaded:
        """The same in memory, for a server: it answers on when the folder is gone.

        Raises:
            RunError: a file of the folder is damaged.
        """
        version = digest_of([run.path for run in self._members]).hex()[:16]
        return Loaded(version, self._data, self._judgement_of_photos, self._in_memory())

    @cached_property
    def style(self) -> Style:
        """How the training images were made, measured from them: what a photo is brought to.

        Raises:
            DataError, RunError: the run keeps no images, and its dataset cannot be loaded again, or is unknown, since
                `fit` was given arrays.
        """
        if self._data.load is None:
            height, width = (*self._data.picture_shape, 0, 0)[:2]
            raise RunError(
                "this run was trained on plain arrays, so it is not known how their images were made. Bring the photo "
                f"to {width}×{height} pixels yourself, as they were."
            )
        if self._data.name.startswith("folder:"):
            return Style(self._data.picture_shape)
        return style_of_images(self._data.name, self._images().train)

    @property
    @abstractmethod
    def _members(self) -> Sequence[Run]:
        """The runs that answer together."""

    @abstractmethod
    def _in_memory(self) -> Callable[[Array], Array]:
        """What gives `log_probabilities` of images without a look at the folder, or at whether they are right."""

    @property
    def _data(self) -> DataRecord:
        return self._members[0].record.data

    @abstractmethod
    def _images(self) -> RunImages:
        """Images of the dataset that it was trained on.

        Raises:
            DataError, RunError: it keeps none, and its dataset cannot be loaded again.
        """

    def count_test_part(self, files: Sequence[Path]) -> None:
        """Counts a look where files to predict have the run's own test set, labels and all, as `looking` says.

        Raises:
            StorageError: the ledger cannot be written.
        """
        count_test_part([(run.path, run.record) for run in self._members], files)

    def keep_answers(self) -> None:
        """Fits and keeps what answers rest on, of a run that has just been trained on more images than it keeps."""
        _ = self._judgement, self._correction

    @cached_property
    def _judgement(self) -> Judgement:
        return judgement_of(self.path, self._members, self.log_probabilities, self._images)

    @cached_property
    def _correction(self) -> Correction | None:
        return correction_of(self.path, self._members, self.log_probabilities, self._images)

    @cached_property
    def _judgement_of_photos(self) -> Judgement:
        """The same, with the correction of what is cut out of photos. It takes longer, so not every answer needs it."""
        return replace(self._judgement, correction=self._correction)

    def _inputs(self, images: Images) -> Inputs:
        """Arrays as they are, photos as the model takes them."""
        if isinstance(images, Inputs):
            return images
        photos = [images] if _is_photo(images) else images
        if not isinstance(photos, Sequence) or not photos or not all(map(_is_photo, photos)):
            return Inputs.plain(np.asarray(images))
        files = [Path(photo) for photo in photos if isinstance(photo, str | os.PathLike)]
        if any(path.is_dir() for path in files):
            folder = next(path for path in files if path.is_dir())
            raise DataError(f"{folder} is a folder. Give its files: sorted(Path({str(folder)!r}).glob('*.jpg')).")
        joined = Inputs.joined([self._input(photo) for photo in photos])
        if files:
            self.count_test_part(files)
        return joined

    def _input(self, photo: Any) -> Inputs:
        data = self._data
        if isinstance(photo, str | os.PathLike):
            path = Path(photo)
            given = read_given(path, data.picture_shape, data.range, lambda: self.style)
        else:
            name = Path(getattr(photo, "filename", "") or "the picture")
            picture = as_photo(photo, name)
            given = of_picture(picture, name, data.picture_shape, data.range, lambda: self.style)
        for note in given.images.notes:
            _log.warning(note)
        return given.inputs(data.image_shape)


def finished(trained: T, dataset: Dataset | None) -> T:
    """A run that has just been trained, with what its answers rest on where it does not keep the images for that."""
    if dataset is not None and exceeds(dataset):
        trained.keep_answers()
    return trained


def _is_photo(value: Any) -> bool:
    if isinstance(value, str | os.PathLike):
        return True
    from PIL import Image

    return isinstance(value, Image.Image)
