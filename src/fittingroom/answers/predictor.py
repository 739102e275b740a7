"""What a run says of images and photos: its predictor, and what that rests on.

Everything is fitted on validation images, when an answer is first asked for, and kept in the run's folder. Not when the
training ends: that would compile one more program, which takes a third of the time that the course's model trains. What
cannot be kept, as in a folder that is read-only, is fitted again by the next process.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np

from fittingroom.answers.array_inputs import checked_images
from fittingroom.answers.conformal import ALPHA
from fittingroom.answers.judgement import Answer, Judgement
from fittingroom.answers.label_shift import Correction
from fittingroom.answers.stored import digest_of, read_correction, read_judgement, write_correction, write_judgement
from fittingroom.errors import DataError, RunError, StorageError
from fittingroom.photos.photo_reader import Inputs, as_photo, of_picture, read_given
from fittingroom.photos.style import Style, style_of_images
from fittingroom.photos.synthetic import made_inputs
from fittingroom.runs.images import RunImages, exceeds
from fittingroom.runs.record import DataRecord, RunRecord
from fittingroom.runs.store import read_validated

if TYPE_CHECKING:
    from PIL import Image

    from fittingroom.data.dataset import Dataset, Part
    from fittingroom.runs.outcomes import Outcomes

_log = logging.getLogger("fittingroom")

T = TypeVar("T", bound="Asked")
Array = np.ndarray[Any, Any]
Photo: TypeAlias = "str | os.PathLike[str] | Image.Image"
Images: TypeAlias = "Array | Photo | Sequence[Photo] | Inputs"
Predict = Callable[[Array], Array]
"""From images to logarithms of probabilities `(n, classes)`."""

MADE = 3_000
"""Photos that are made of held-out images; with fewer, which ones they are shows more in the answers."""


class Member(Protocol):
    """One of the trained models that answer together: a run of one seed."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def record(self) -> RunRecord:
        """What the folder says of it."""

    @property
    def outcomes(self) -> Outcomes | None:
        """What came of its validation images."""


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
    def _members(self) -> Sequence[Member]:
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

    @abstractmethod
    def count_test_part(self, files: Sequence[Path]) -> None:
        """Counts a look where files to predict have the run's own test set, labels and all, as `looking` says.

        Raises:
            StorageError: the ledger cannot be written.
        """

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


@dataclass(frozen=True, eq=False)
class Loaded:
    """All that an answer takes, of a run or of replicas that answer together.

    Args:
        version: 16 hexadecimal digits that are different for other weights.
        data: what it was trained on.
        judgement: what was learned from held-out images.
        log_probabilities: what the weights make of images, which it does not check.
    """

    version: str
    data: DataRecord
    judgement: Judgement
    log_probabilities: Callable[[Array], Array]

    def answer(self, inputs: Inputs) -> list[Answer]:
        """What `run.answer` says of images."""
        data, images = self.data, inputs.images
        logs = self.log_probabilities(images)
        return self.judgement.answers(logs, images, data.scale, (data.name, data.classes), ALPHA, inputs.cut_out)

    def warm_up(self, most: int) -> None:
        """Compiles the programs for all sizes of batches, which are powers of two, up to `most` images."""
        dtype, size = np.float32 if self.data.as_given else np.uint8, 1
        while size <= most:
            self.answer(Inputs.plain(np.zeros((size, *self.data.image_shape), dtype)))
            size *= 2


def judgement_of(
    path: Path, runs: Sequence[Member], predict: Predict, load_images: Callable[[], RunImages]
) -> Judgement:
    """What the validation images teach about the answers of a run, or of replicas that answer together.

    It is read from `path` if it is there, and else fitted and kept there.

    Args:
        path: the folder of the run, or of all replicas.
        runs: the run, or each of the replicas.
        predict: what they make of images.
        load_images: gives images of the dataset that they were trained on.

    Raises:
        RunError: what is kept is damaged, or a file of the run is.
    """
    digest = digest_of([run.path for run in runs])
    data = runs[0].record.data
    kept = read_judgement(path, digest, len(data.classes))
    if kept is not None:
        return kept
    part = _held_out(runs[0].outcomes, load_images)
    if part is None:
        return _from_outcomes([run.path for run in runs])
    judgement = Judgement.of(predict(part.images), part.labels, part.images, data.scale)
    _keep(lambda: write_judgement(path, judgement, digest))
    return judgement


def correction_of(
    path: Path, runs: Sequence[Member], predict: Predict, load_images: Callable[[], RunImages]
) -> Correction | None:
    """What photos made of validation images teach about the answers to photos; None where none can be made.

    None can be made without the validation images, or of images that are whole pictures, as those of a folder. It is
    read from `path` if it is there, and else fitted and kept there.

    Args, Raises: as for `judgement_of`.
    """
    digest = digest_of([run.path for run in runs])
    data = runs[0].record.data
    kept = read_correction(path, digest, len(data.classes))
    if kept is not None:
        return kept
    part = _held_out(runs[0].outcomes, load_images)
    style = None if part is None else style_of_images(data.name, load_images().train).thing
    if part is None or style is None:
        return None
    images, labels = part.images[:MADE], part.labels[:MADE]
    correction = Correction.of(predict(made_inputs(images, style, data.scale)), labels)
    _keep(lambda: write_correction(path, correction, digest))
    return correction


def _keep(write: Callable[[], None]) -> None:
    """Writes what was fitted, if that can be done."""
    try:
        write()
    except StorageError as error:
        _log.info("What was learned from the validation images is not kept: %s", error)


def _held_out(outcomes: Outcomes | None, load_images: Callable[[], RunImages]) -> Part | None:
    """The images that gave these outcomes, if all of them are to be had."""
    if outcomes is None or not len(outcomes.labels):
        return None
    try:
        part = load_images().validation
    except (DataError, RunError):
        return None
    same = part is not None and np.array_equal(part.labels, outcomes.labels)
    return part if same else None


def _from_outcomes(paths: Sequence[Path]) -> Judgement:
    """What the folders tell without the images: what the kept weights made of each. Nothing, where they do not."""
    try:
        validated = [read_validated(path) for path in paths]
    except RunError:
        return Judgement.nothing()
    labels = validated[0].outcomes.labels
    logs = [one.kept.log_probabilities for one in validated if one.known]
    same = all(np.array_equal(one.outcomes.labels, labels) for one in validated)
    if len(logs) < len(paths) or not same or not logs[0].shape[-1]:
        return Judgement.nothing()
    mean = mean_of([each.astype(np.float32) for each in logs])
    known = ~np.isnan(mean).any(axis=1)  # an image with NaN in it has no answer, and teaches nothing
    return Judgement.of(mean[known], labels[known]) if known.any() else Judgement.nothing()


def mean_of(log_probabilities: Sequence[Array]) -> Array:
    """Logarithms of the mean probabilities, from the logarithms of each."""
    if len(log_probabilities) == 1:
        return log_probabilities[0]
    total = np.logaddexp.reduce(np.stack(log_probabilities), axis=0)
    return np.asarray(total - np.float32(np.log(len(log_probabilities))))
