"""`Predictor`: what a run says of images and photos, whether its seeds are one or several.

What answers rest on is fitted on validation images when an answer is first asked for, and kept in the run's folder. Not
when training ends: that would compile one more program, which takes a third of the time that the course's model trains.
What cannot be kept, as in a folder that is read-only, is fitted again by the next process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from fittingroom.answers.forward import Forward, TrainedSeed, held_out_part, judgement_of_outcomes, pen_of
from fittingroom.answers.held_out import HeldOutAnswers
from fittingroom.answers.judgement import Answer, AnswerNumbers, Judgement
from fittingroom.answers.out_of_distribution import Features, SimilarImages
from fittingroom.answers.recalibration import ALPHA, LabelShiftCalibration
from fittingroom.answers.stored import JUDGEMENT, LABEL_SHIFT, FittedFile, digest_of
from fittingroom.data.dataset import Part
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.errors import DataError, RunError, StorageError
from fittingroom.photos.conversion import Style
from fittingroom.photos.drawing import PenStyle
from fittingroom.photos.photo_reader import PhotoReader, are_photos, is_photo
from fittingroom.photos.second_opinion import SecondOpinion
from fittingroom.photos.synthetic import synthetic_inputs
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.images import RunImages

if TYPE_CHECKING:
    from PIL import Image

_log = logging.getLogger("fittingroom")
T = TypeVar("T")
Array = np.ndarray[Any, Any]
Photo: TypeAlias = "str | os.PathLike[str] | Image.Image"
Images: TypeAlias = "Array | Photo | Sequence[Photo] | ModelInputs"

SYNTHETIC = 3_000
"""Synthetic photos that are made from held-out images; with fewer, which ones they are shows more in the answers."""

_SLOW = 1_000  # held-out images and synthetic photos where a backbone looks at each, a hundredth of a second apiece

_TOGETHER = 64  # images: larger batches cost no less for each image, and hold more memory


class Predictor:
    """Answers with all seeds of a run together, by the mean of their probabilities.

    Args:
        seeds: the run's seeds, in order; at least one.
        data: what they were trained on.
        load_images: gives images of that dataset; called when something has to be fitted, or a photo comes.
        folder: where what is fitted is kept; None keeps nothing, as for a run in memory.
        note_files: called with the files that are predicted, once all of them were read.
        backbone: the name of the recipe's; None for a recipe without one.
    """

    def __init__(
        self,
        seeds: Sequence[TrainedSeed],
        data: DataRecord,
        load_images: Callable[[], RunImages],
        *,
        folder: Path | None,
        note_files: Callable[[Sequence[Path]], None] | None = None,
        backbone: str | None = None,
    ) -> None:
        self.data, self.backbone = data, backbone
        self._seeds, self._load_images = seeds, load_images
        self._folder, self._note_files = folder, note_files
        self._why_said = False  # that no second opinion can be had

    def predict(self, images: Images) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Class probabilities, float32 `(n, classes)`; see `Run.predict`."""
        inputs = self.inputs(images)
        if inputs.opinions:
            return np.stack([answer.probabilities for answer in self.answer_unchecked(inputs)])
        logs = self._forward(inputs.images)
        label_shift = self._label_shift if inputs.cut_out.any() else None
        if label_shift is not None:
            logs = np.where(inputs.cut_out[:, None], label_shift.recalibrated(logs), logs)
        return np.asarray(np.exp(logs), np.float32)

    def log_probabilities(self, images: Array) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Logarithms of the probabilities for an array of images, float32 `(n, classes)`."""
        return self._forward(self._checked(np.asarray(images)))

    def answer(self, images: Images, alpha: float = ALPHA) -> list[Answer]:
        """What the run says of each image, and how far that can be trusted; see `Run.answer`."""
        return self.answer_unchecked(self.inputs(images), alpha)

    def answer_each(self, several: Iterable[ModelInputs]) -> Iterator[list[Answer]]:
        """The answers to each of several inputs, in order; images are answered together, up to 64 at a time."""
        batch: list[ModelInputs] = []
        for inputs in several:
            # Arrays of different types would be converted to one that no program was compiled for.
            if batch and (
                inputs.images.dtype != batch[0].images.dtype or sum(map(len, batch)) + len(inputs) > _TOGETHER
            ):
                yield from self._answer_together(batch)
                batch = []
            batch.append(inputs)
        if batch:
            yield from self._answer_together(batch)

    def answer_unchecked(self, inputs: ModelInputs, alpha: float = ALPHA) -> list[Answer]:
        """What `answer` says of images that are known to be as the model takes them, as a server has made them."""
        data, forward = self.data, self._forward
        taken = forward.inputs(inputs.images)
        logs = forward.logs(taken)
        judgement = self.judgement if inputs.cut_out.any() else self.plain_judgement
        features = forward.features(inputs.images, taken) if judgement.compared else np.empty((len(logs), 0))
        trained_on = data.public_name, data.classes
        return judgement.answers(logs, features, trained_on, alpha, inputs.cut_out, inputs.opinions)

    def numbers(self, images: Array, itself: npt.NDArray[np.intp] | None = None) -> AnswerNumbers:
        """What `answer` says of many images in numbers; they are known to be as the model takes them, `(n, ...)`.

        Args:
            images: not cut out of photos.
            itself: which of the held-out images each was made from, as `held_out_places` gives it; None for new ones.
        """
        forward, judgement = self._forward, self.plain_judgement
        taken = forward.inputs(images)
        logs = forward.logs(taken)
        features = forward.features(images, taken) if judgement.compared else np.empty((len(logs), 0))
        return judgement.numbers(logs, features, itself)

    def held_out_places(self, images: Array) -> npt.NDArray[np.intp] | None:
        """Which of the held-out images each image is, `(n,)`, -1 for others; None where none are there to compare with.

        An image that was held out would else be found to be like itself.
        """
        unlike = self.plain_judgement.unlike
        return None if unlike is None else unlike.places_of(self.features(images))

    def inputs(self, images: Images) -> ModelInputs:
        """Images and photos as the model takes them.

        Raises:
            DataError, RunError: as for `Run.predict`.
        """
        if isinstance(images, ModelInputs):
            inputs = images
        elif are_photos(photos := [images] if is_photo(images) else images):
            inputs = self._read(photos)
        else:
            inputs = ModelInputs.plain(np.asarray(images))
        return replace(inputs, images=self._checked(inputs.images))

    def fit(self) -> Predictor:
        """Fits now what would be fitted at the first answer, and keeps it."""
        _ = self.judgement
        return self

    def load(self) -> Predictor:
        """Makes all that answers need ready in memory, so that nothing is read again, and the folder may go.

        Raises:
            RunError: a file of the folder is damaged.
        """
        _ = self.version, self.judgement, self._forward, self.second_opinion
        return self

    def warm_up(self, most: int) -> None:
        """Compiles the programs for all sizes of batches, which are powers of two, up to `most` images."""
        image = np.zeros((1, *self.data.image_shape), np.float32 if self.data.as_given else np.uint8)
        self.answer_unchecked(ModelInputs.plain(image))
        inputs, size = self._forward.inputs(image), 2
        while size <= most:
            self._forward.logs(np.repeat(inputs, size, axis=0))
            size *= 2

    @cached_property
    def version(self) -> str:
        """16 hexadecimal digits that are different for other weights."""
        return self._digest.hex()[:16]

    @cached_property
    def style(self) -> Style:
        """How the training images were made, measured from them: what a photo is converted to.

        Raises:
            DataError, RunError: the run keeps no images, and its dataset cannot be loaded again, or is unknown, since
                `fit` was given arrays.
        """
        if self.data.load is None:
            height, width = (*self.data.picture_shape, 0, 0)[:2]
            raise RunError(
                "this run was trained on plain arrays, so it is not known how to convert a photo to images like them. "
                f"Convert it to {width}×{height} pixels yourself, as the training images were."
            )
        if self.data.name.startswith("folder:"):
            return Style(self.data.picture_shape, aspect=self.data.aspect)
        return Style.of(self.data.name, self._load_images().train, self.data.aspect)

    @cached_property
    def pen(self) -> tuple[PenStyle | None, str | None]:
        """How drawings are made like the training images, or why there can be none."""
        return pen_of(self.data, lambda: self.training_images)

    @cached_property
    def reader(self) -> PhotoReader:
        """Reads files and pictures as the model takes them."""
        return PhotoReader(self.data.picture_shape, self.data.range, lambda: self.style, lambda: self.second_opinion)

    @cached_property
    def second_opinion(self) -> SecondOpinion | str | None:
        """What else is asked of photos; why it cannot be; None where no table translates for this dataset."""
        return SecondOpinion.find(self.data.classes)

    @property
    def training_images(self) -> Part:
        """Some training images of its dataset, as the run keeps them.

        Raises:
            DataError, RunError: the run keeps none, and its dataset cannot be loaded again.
        """
        return self._load_images().train

    def similar_images(self) -> SimilarImages:
        """Training images to show beside an image that is most like them, by what `answer` compares images by.

        Raises:
            DataError, RunError: as for `training_images`.
        """
        forward = self._forward
        return SimilarImages.of(self.training_images, lambda images: forward.features(images, forward.held_out(images)))

    def features(self, images: Array) -> Features:
        """What images, as the model takes them, are compared by with others, `(n, length)`."""
        forward = self._forward
        return forward.features(images, forward.inputs(images))

    def features_of_many(self, images: Array) -> Features:
        """`features` of many images that may be asked for again: what a backbone gives of them is kept in the cache."""
        forward = self._forward
        return forward.features(images, forward.held_out(images))

    @property
    def seed_count(self) -> int:
        """How many seeds answer together."""
        return len(self._seeds)

    @property
    def held_out_photos(self) -> int:
        """How many synthetic photos are made to fit what answers to photos rest on."""
        outcomes = self._seeds[0].outcomes
        return 0 if outcomes is None else min(len(outcomes.labels), self._synthetic)

    @property
    def photos_fitted(self) -> bool:
        """Whether a photo is answered at once: what its answers rest on is fitted, or nothing has to be."""
        if "_label_shift" in self.__dict__ or self.data.load is None or self.data.name.startswith("folder:"):
            return True
        if self._folder is not None and LABEL_SHIFT.read(self._folder, self._digest, len(self.data.classes)):
            return True
        try:
            return self._held_out is None or self.style.foreground is None
        except (DataError, RunError):
            return True

    def held_out_answers(self) -> HeldOutAnswers | None:
        """What is said of validation images, each as of a new one; None where none are kept; RunError if damaged."""
        if (part := self._held_out) is None:
            return None
        images = self._checked(np.asarray(part.images))
        return HeldOutAnswers.of(images, part.labels, self._forward, self.plain_judgement)

    def kept(self, file: FittedFile[T], make: Callable[[], T | None]) -> T | None:
        """What else the validation images teach, from the run's folder, or made and kept there; RunError if damaged."""
        found = None if self._folder is None else file.read(self._folder, self._digest, len(self.data.classes))
        if found is None and (made := make()) is not None:
            self._keep(lambda folder: file.write(folder, made, self._digest))
            return made
        return found

    @cached_property
    def judgement(self) -> Judgement:
        """What the validation images teach about the answers, those to photos among them."""
        return replace(self.plain_judgement, label_shift=self._label_shift)

    @cached_property
    def plain_judgement(self) -> Judgement:
        """The same for images that come from no photo. Photos take longer to fit, so not every answer waits for it.

        Read from the folder if it is there, and else fitted and kept there.
        """
        data = self.data
        if self._folder is not None:
            kept = JUDGEMENT.read(self._folder, self._digest, len(data.classes))
            if kept is not None:
                return kept
        part = self._held_out
        if part is None:
            return judgement_of_outcomes(self._seeds)
        images, forward = self._checked(np.asarray(part.images)), self._forward
        inputs = forward.held_out(images)
        logs = forward.logs(inputs) if forward.cross_fitted is None else forward.cross_fitted
        if len(logs) != len(part):
            return judgement_of_outcomes(self._seeds)
        judgement = Judgement.of(logs, part.labels, forward.features(images, inputs))
        self._keep(lambda folder: JUDGEMENT.write(folder, judgement, self._digest))
        return judgement

    @cached_property
    def _label_shift(self) -> LabelShiftCalibration | None:
        """What synthetic photos made from validation images teach about answers to photos; None where there are none.

        None can be made without the validation images, or from images that are whole pictures, as those of a folder.
        """
        data = self.data
        if self._folder is not None:
            kept = LABEL_SHIFT.read(self._folder, self._digest, len(data.classes))
            if kept is not None:
                return kept
        part = self._held_out
        style = None if part is None or data.load is None else self.style.foreground
        if part is None or style is None:
            return None
        images, labels = part.images[: self._synthetic], part.labels[: self._synthetic]
        fitted = LabelShiftCalibration.of(self.log_probabilities(synthetic_inputs(images, style, data.scale)), labels)
        self._keep(lambda folder: LABEL_SHIFT.write(folder, fitted, self._digest))
        return fitted

    @cached_property
    def _digest(self) -> bytes:
        return digest_of([seed.path for seed in self._seeds])

    @cached_property
    def _forward(self) -> Forward:
        return Forward.together([seed.forward() for seed in self._seeds])

    @property
    def _synthetic(self) -> int:
        """How many synthetic photos are made, at most."""
        return SYNTHETIC if self.backbone is None else _SLOW

    @cached_property
    def _held_out(self) -> Part | None:
        """Validation images that the run's outcomes belong to: all of them, or those that the run keeps."""
        outcomes = self._seeds[0].outcomes
        if outcomes is None or not len(outcomes.labels):
            return None
        try:
            return held_out_part(self._load_images(), outcomes.labels, None if self.backbone is None else _SLOW)
        except (DataError, RunError):
            return None

    def _keep(self, write: Callable[[Path], None]) -> None:
        """Writes what was fitted, if that can be done."""
        try:
            if self._folder is not None:
                write(self._folder)
        except StorageError as error:
            _log.info("What was learned from the validation images is not kept: %s", error)

    def _answer_together(self, batch: list[ModelInputs]) -> Iterator[list[Answer]]:
        answers = iter(self.answer(ModelInputs.joined([inputs.reshaped(self.data.image_shape) for inputs in batch])))
        for inputs in batch:
            yield [next(answers) for _ in range(len(inputs))]

    def _checked(self, images: Array) -> Array:
        """An array of images in the shape and with the values of training; what was converted is logged."""
        data = self.data
        inputs = ModelInputs.of_array(images, data.image_shape, data.range, raw=not data.as_given)
        for note in inputs.notes:
            _log.warning(note)
        return inputs.images

    def _read(self, photos: Sequence[Any]) -> ModelInputs:
        files = [Path(photo) for photo in photos if isinstance(photo, str | os.PathLike)]
        if any(path.is_dir() for path in files):
            folder = next(path for path in files if path.is_dir())
            raise DataError(f"{folder} is a folder. Pass its files: sorted(Path({str(folder)!r}).glob('*.jpg')).")
        several = []
        for photo in photos:
            if isinstance(photo, str | os.PathLike):
                inputs = self.reader.read_file(Path(photo))
            else:
                inputs = self.reader.read_picture(photo, Path(getattr(photo, "filename", "") or "the picture"))
            for note in inputs.notes:
                _log.warning(note)
            several.append(inputs.reshaped(self.data.image_shape))
        if not self._why_said and any(one.cut_out.any() for one in several) and isinstance(self.second_opinion, str):
            self._why_said = True
            _log.warning(self.second_opinion)
        # Only now: a look at the test set must not be counted for files that cannot be read.
        if files and self._note_files is not None:
            self._note_files(files)
        return ModelInputs.joined(several)
