"""`Run`: what a training leaves behind, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fittingroom.answers.forward import Forward
from fittingroom.answers.judgement import Answer
from fittingroom.answers.predictor import Images, Predictor
from fittingroom.answers.recalibration import ALPHA
from fittingroom.api import openings
from fittingroom.api.answer_list import AnswerList
from fittingroom.api.look_cost import LookCost
from fittingroom.api.run_pages import RunPages
from fittingroom.api.seed_model import SeedModel, check_numbers
from fittingroom.data.dataset import Dataset, Part
from fittingroom.errors import DataError, RunError
from fittingroom.evaluation.luck import TestResult
from fittingroom.evaluation.scores import Scores
from fittingroom.evaluation.spread import Spread
from fittingroom.photos.conversion import Style
from fittingroom.runs.history import History
from fittingroom.runs.images import RunImages
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.outcomes import Outcomes
from fittingroom.runs.record import PartResult, RunRecord

if TYPE_CHECKING:
    import keras

    from fittingroom.api.audited import Audit

Array = np.ndarray[Any, Any]


class Run(RunPages):
    """A recipe that was trained with one seed or several: its folder, its numbers, and its models.

    `len(run)` is the number of its seeds, and `run[2]` the third of them, a run too. What belongs to one training (its
    `record`, `outcomes` and `model`) is asked of the run where it has one seed, and of `run[0]` where it has several.

    Attributes:
        path: the run folder.
    """

    def __init__(
        self, path: Path, *, dataset: Dataset | None = None, model: keras.Model | None = None, trust: bool = False
    ) -> None:
        self.path = path
        self._dataset = dataset
        self._given_model = model
        self._trust = trust
        self._kept_images: RunImages | None = None
        self._first: Run | None = None  # the seed whose programs and dataset this one uses too
        self._each: tuple[Run, ...] = (self,)
        folders = self._folders  # a folder that is not a run is refused here, not at first use
        if len(folders) > 1:
            self._each = tuple(Run(folder, dataset=dataset, model=model, trust=trust) for folder in folders.values())
            for run in self._each[1:]:
                run.share(self._each[0])
        else:
            self.record  # noqa: B018 - refused here too where it is damaged

    def __repr__(self) -> str:
        first = self[0].record
        seeds = first.status if len(self) == 1 else f"seeds {list(self.seeds)}"
        return f"Run({str(self.path)!r}: {first.recipe['name']} on {first.data.name}, {seeds})"

    def _repr_html_(self) -> str:
        from fittingroom.reports.pages.notebook_card import run_card

        return run_card(self.path, [run.record for run in self], [run.history for run in self])

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Run]: ...
    def __getitem__(self, index: int | slice) -> Run | Sequence[Run]:
        return self._each[index]

    def __len__(self) -> int:
        return len(self._each)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._each)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that it was trained with, in the order of `run[0]`, `run[1]` and so on."""
        return tuple(run.record.seed for run in self)

    @property
    def record(self) -> RunRecord:
        """What is recorded of the run's only seed, read again each time: looks at the test set are added to it.

        Raises:
            RunError: there are several seeds.
        """
        self._check_single("record")
        return SeedFiles(self.path).record()

    @cached_property
    def history(self) -> History:
        """The numbers of each epoch, under Keras's keys; a notebook shows them as curves and as a table.

        Where there are several seeds, they are means over the seeds that reached the epoch.
        """
        from fittingroom.reports.pages.notebook_card import ShownHistory

        read = SeedFiles(self.path).history() if len(self) == 1 else History.mean_of([run.history for run in self])
        return ShownHistory(zip(read.epoch, read.rows, strict=True))

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """What came of each validation image in each epoch, and with the kept weights; None without validation.

        Raises:
            RunError: there are several seeds.
        """
        self._check_single("outcomes")
        return SeedFiles(self.path).outcomes()

    @property
    def train(self) -> dict[str, Spread]:
        """`loss` (nats) and `accuracy` (0 to 1) of the last epoch on the training part, over the seeds."""
        return PartResult.spreads([run.record.train for run in self])

    @property
    def validation(self) -> dict[str, Spread] | None:
        """`loss` (nats) and `accuracy` (0 to 1) of the kept weights on the validation part; None without one."""
        return PartResult.spreads([run.record.validation for run in self]) or None

    @cached_property
    def predictor(self) -> Predictor:
        """What answers: `run.predictor.load()` has all of it in memory, for a server."""
        record, noted = self[0].record, self.count_test_part
        backbone = record.recipe.get("backbone")
        return Predictor(self._each, record.data, self._images, folder=self.path, note_files=noted, backbone=backbone)

    def forward(self) -> Forward:
        """The compiled model: from images in its form to logarithms of probabilities, float32 `(n, classes)`.

        Raises:
            RunError: there are several seeds, or a file is damaged.
        """
        self._check_single("model")
        return self._model_of_seed.forward()

    def predict(self, images: Images) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Class probabilities, float32 `(n, classes)`; of several seeds the mean over all of them.

        Args:
            images: an array `(n, ...)` in the form that the model was trained on: a dataset's raw uint8 images, or,
                where `fit` was given arrays, values like those. (Values on another usual scale, such as 0 to 255 for 0
                to 1, are converted, and the log says so.) Or a photo or several: paths of JPEG, PNG, WebP, BMP or
                GIF files, or pictures that Pillow has opened. Of a photo that is not of the model's size, the
                foreground is cut out and shown as training images show theirs, and the probabilities are those of
                `answer`, recalibrated on synthetic photos made from the validation images, and with a second opinion
                where there is one. Or `ModelInputs`, arrays that say which of the images were cut out of photos.

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

        A photo asked of a run with Fashion-MNIST's classes has a second opinion too, where the extra `pretrained` is
        installed: that of a network trained on ImageNet. `opinions` has what each says, and the answer is of both.

        Args:
            images: as for `predict`.
            alpha: the share of sets that may miss the right class.

        Raises:
            DataError: as for `predict`.
            InputError: alpha is not between 0 and 1.
            RunError: as for `predict`; or what is kept in the folder is damaged.
        """
        return AnswerList.of(self.predictor, images, alpha)

    def log_probabilities(self, images: Array) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Logarithms of what `predict` gives for an array of images, float32 `(n, classes)`, with the same errors."""
        return self.predictor.log_probabilities(images)

    @property
    def style(self) -> Style:
        """How the training images were made, measured from them: what a photo is converted to.

        Raises:
            DataError, RunError: the run keeps no images, and its dataset cannot be loaded again, or is unknown, since
                `fit` was given arrays.
        """
        return self.predictor.style

    def evaluate(
        self, reason: str = "evaluate", *, data: str | Dataset | None = None, on: str | Dataset | None = None
    ) -> TestResult:
        """The score on the sealed test set. Opening it is recorded before the score is computed.

        Where there are several seeds, each one's is a look of its own, since each can be picked from. A seed
        that has its score already returns it, and that is not another look.

        Args:
            reason: why it is opened, for the record.
            data: where the run's dataset is now, as `fittingroom.load` takes it, or the loaded dataset, where it is not
                where it was; None for the place that the run recorded.
            on: another dataset with the same classes, to be scored on its test part, or on all of it where its files
                have no test part; each seed's score is a look at that test set. None for the run's own.

        Raises:
            DataError: the reason is empty, or `data` or `on` cannot be loaded.
            RunError: the run has no test set, or its data are not the same any more.
            StorageError: the look cannot be recorded, in the user's ledger or in the run; the test set then stays
                closed.
        """
        if on is not None:
            from fittingroom.api.scored_on import scored_on

            return scored_on(list(self), on, reason)
        if data is not None:
            self.use_data(data)
        for run in self:
            run.look(reason)
        return openings.stored_result([(run.path, run.record) for run in self])

    @property
    def look_cost(self) -> LookCost:
        """What `evaluate` would cost: looks so far, looks of this run, and the luck in both. Nothing is opened."""
        return LookCost.of(self.path)

    def look(self, reason: str, together: str | None = None) -> None:
        """Does what `evaluate` does with a run of one seed, without a result.

        Args:
            reason: why the test set is opened, for the record.
            together: what the other seeds have in common that are scored in the same look; None for a look by itself.
        """
        if not reason.strip():
            raise DataError(
                "the test set would be opened without a reason. Say what the score is for: evaluate('final score')."
            )
        record = self.record
        if not record.has_score:
            self._model_of_seed.prepare()  # what cannot answer is found before the test set is opened
            kept = None if self.outcomes is None else self.outcomes.kept
            if kept is not None and np.isnan(kept.loss).all():
                check_numbers(kept.loss[:, None], str(self.path))
            openings.look(self.path, record, self._load_dataset(), reason, self.score, together)

    def audit(self, *, data: str | Dataset | None = None, **settings: Any) -> Audit:
        """Checks whether the run's data and its model can be trusted; `fittingroom.audit` describes the settings.

        Args:
            data: where the run's dataset is now, as for `evaluate`; a run on plain arrays needs it.
            **settings: `only`, `again` and `progress`.
        """
        from fittingroom.api.audited import dataset_for, of_run

        return of_run(self, dataset_for(self, self[0]._load_dataset, data), **settings)

    def kept_audit(self, data: str | Dataset | None = None) -> Audit | None:
        """What audits of this run found and still holds; None where nothing does. No check is made.

        Args:
            data: as for `audit`.
        """
        from fittingroom.api.audited import dataset_for, kept_of_run

        return kept_of_run(self, dataset_for(self, self[0]._load_dataset, data))

    def teach(self, photos: str | Path, **settings: Any) -> Run:
        """A new run from this one and a few labelled photos; `api.teach.teach` describes the settings."""
        from fittingroom.api.teach import teach

        return Run(teach(self, photos, **settings))

    @property
    def model(self) -> keras.Model:
        """A Keras model with the run's weights, made from the folder's description when it is first asked for.

        Where the description cannot make it, because the model holds code of the user's, it is the model that was
        given to `fit` or `open_run`, and its weights become those of the run; or it is made by the file that the
        recipe named, if `open_run(..., trust=True)`. For a recipe with a backbone it takes images of 0 to 255.

        Raises:
            RunError: none of these is there, or the given model is another one, or there are several seeds.
        """
        self._check_single("model")
        return self._model_of_seed.keras_model

    @property
    def estimator(self) -> Any:
        """The fitted object of a run whose recipe has an `estimator`, as scikit-learn knows it.

        It takes float32 `(n, features)`: the pixels of each image in a row, divided by the dataset's scale, or what the
        recipe's `features` says. Its classes are positions in `record.data.classes`.

        Raises:
            RunError: the run is of a network; a file is damaged; or the classifier was not kept and cannot be fitted
                again; or there are several seeds.
        """
        self._check_single("estimator")
        return self._model_of_seed.estimator

    def use_data(self, data: str | Dataset) -> None:
        """Takes the run's dataset from another place than the recorded one.

        Args:
            data: as for `evaluate`.

        Raises:
            RunError: it is another dataset.
            DataError: it cannot be loaded.
        """
        self[0]._dataset = self[0].record.data.load_again(data)

    def share(self, first: Run) -> None:
        """Makes this run use the programs and the dataset of another seed of the same recipe."""
        self._first = first
        self._model_of_seed.like = first._model_of_seed

    def count_test_part(self, files: Sequence[Path]) -> None:
        """Counts a look where files to predict have the run's own test set, labels and all, as `openings` says.

        Raises:
            StorageError: the ledger cannot be written.
        """
        openings.count_test_part([(run.path, run.record) for run in self], files)

    def score(self, part: Part) -> Scores:
        """The scores of a run of one seed on images in its own form. It opens nothing, and counts no look."""
        logs = self._model_of_seed.log_probabilities(part.images)
        return Scores.of(part.labels, logs.argmax(axis=1), -logs[np.arange(len(part)), part.labels], part.classes)

    @cached_property
    def _model_of_seed(self) -> SeedModel:
        from fittingroom.api.taught_model import model_of_seed

        return model_of_seed(
            self.record,
            self.path,
            self._title,
            self._given_model,
            trust=self._trust,
            open_run=Run,
            dataset=self._load_dataset,
        )

    @property
    def _folders(self) -> Mapping[int, Path]:
        return read_layout(self.path).folders

    @property
    def _title(self) -> str:
        """What messages call the run."""
        return str(self.path)

    def _check_single(self, name: str) -> None:
        """Raises RunError where several seeds have something of their own each."""
        if len(self) > 1:
            raise RunError(
                f"{self._title} has {len(self)} seeds, each with its own {name}. Take one: run[0].{name} is that of "
                f"seed {self.seeds[0]}."
            )

    def _images(self) -> RunImages:
        first = self._first or self[0]
        if first is not self:
            return first._images()
        if self._kept_images is None:
            data = self.record.data
            kept = RunImages.read(self.path, data.classes, data.scale) if self._dataset is None else None
            if kept is None:
                self._dataset = self._dataset or data.load_unasked(self.path)
            self._kept_images = kept or RunImages.of(self._load_dataset(), every=True)
        return self._kept_images

    def _load_dataset(self) -> Dataset:
        """The run's dataset, made sure to be the one that it was trained on."""
        if self._first is not None:
            return self._first._load_dataset()
        if self._dataset is None:
            self._dataset = self.record.data.load_again()
        return self._dataset
