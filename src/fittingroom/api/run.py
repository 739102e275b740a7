"""`Run`: what a training leaves behind, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fittingroom.answers.predictor import Forward, Predictor
from fittingroom.api import looking
from fittingroom.api.asking import Asked
from fittingroom.data.dataset import Dataset, Part
from fittingroom.engine.blueprint import Blueprint, Outline, Shapes
from fittingroom.engine.devices import check_not_forked, prepare_jax
from fittingroom.engine.programs import Programs, ProgramSource, TracedPrograms
from fittingroom.engine.recipe_programs import RecipeModel
from fittingroom.engine.state import State
from fittingroom.errors import DataError, RunError
from fittingroom.evaluation.luck import TestResult
from fittingroom.evaluation.scores import Scores
from fittingroom.recipes.modelfile import trusted_file
from fittingroom.runs import store
from fittingroom.runs.history import History
from fittingroom.runs.images import RunImages, images_of, read_images
from fittingroom.runs.json_files import damage
from fittingroom.runs.outcomes import Outcomes
from fittingroom.runs.record import RunRecord
from fittingroom.runs.reloading import load_again, load_unasked
from fittingroom.runs.weights import check_weights

if TYPE_CHECKING:
    import keras

    from fittingroom.reports.facts.explanation import Explanation
    from fittingroom.reports.pages.document import Report

Array = np.ndarray[Any, Any]


class Run(Asked):
    """A training that is over: its folder, its numbers, and its model.

    Attributes:
        path: the run folder.
    """

    def __init__(
        self, path: Path, *, dataset: Dataset | None = None, model: keras.Model | None = None, trust: bool = False
    ) -> None:
        self.path = path
        self._dataset = dataset
        self._given_model = model
        self._made: keras.Model | None = None
        self._trust = trust
        self._programs: Programs | None = None
        self._kept_images: RunImages | None = None
        self._first: Run | None = None  # the replica whose programs and dataset this one uses too
        self.record  # noqa: B018 - a folder that is no run is refused here, not at first use

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {self.record.recipe['name']} on {self.record.data.name}, {self.record.status})"

    def _repr_html_(self) -> str:
        from fittingroom.reports.pages.notebook_card import run_card

        return run_card(self.path, [self.record], [self.history])

    @property
    def record(self) -> RunRecord:
        """What the run's folder says of it, read anew: openings of the test set are added to it."""
        return store.read_record(self.path)

    @cached_property
    def history(self) -> History:
        """The numbers of each epoch, under Keras's keys; a notebook shows them as curves and as a table."""
        from fittingroom.reports.pages.notebook_card import ShownHistory

        read = store.read_history(self.path)
        return ShownHistory(zip(read.epoch, read.rows, strict=True))

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """What came of each validation image in each epoch, and with the kept weights; None without validation."""
        return store.read_outcomes(self.path)

    @cached_property
    def predictor(self) -> Predictor:
        """What answers: `run.predictor.load()` has all of it in memory, for a server."""
        data = self.record.data
        return Predictor([self], data, self._images, folder=self.path, note_files=self.count_test_part)

    def forward(self) -> Forward:
        """The compiled model: from images in its form to logarithms of probabilities, float32 `(n, classes)`."""
        return partial(_answers, self._compiled(), self._state, self._title)

    def evaluate(self, reason: str = "evaluate", *, data: str | Dataset | None = None) -> TestResult:
        """The score on the sealed test set. Opening it is recorded before the score is computed.

        A run that has its score already is told it again; that is no new look.

        Args:
            reason: why it is opened, for the record.
            data: where the run's dataset is now, as `fittingroom.load` takes it, or the loaded dataset, where it is not
                where it was; None for the place that the run recorded.

        Raises:
            DataError: the reason is empty, or `data` cannot be loaded.
            RunError: the run has no test set, or its data are not the same any more.
            StorageError: the look cannot be recorded, in the user's ledger or in the run; the test set then stays
                closed.
        """
        if data is not None:
            self.use_data(data)
        self.look(reason)
        return looking.told([(self.path, self.record)])[0]

    def look(self, reason: str, together: str | None = None) -> None:
        """Does what `evaluate` does, and tells nothing.

        Args:
            reason: why the test set is opened, for the record.
            together: what the other seeds have in common that are scored in the same look; None for a look by itself.
        """
        if not reason.strip():
            raise DataError(
                "the test set would be opened without a reason. Say what its score is for: evaluate('...')."
            )
        record = self.record
        if not looking.has_score(record):
            self._compiled()  # what cannot answer is found before the test set is opened
            kept = None if self.outcomes is None else self.outcomes.kept
            if kept is not None and np.isnan(kept.loss).all():
                check_numbers(kept.loss[:, None], str(self.path))
            looking.look(self.path, record, self._load_dataset(), reason, self._score, together)

    def explain(self, start: int | None = None, end: int | None = None) -> Explanation:
        """What loss and accuracy really say about this run: printed, it answers in words; `.facts` has all numbers.

        It rests on what is stored of the validation images. Nothing is trained, and no test set is opened.

        Args:
            start: first epoch, from 1, of a change to tell; the one with the lowest validation loss if only `end` is
                given, and if neither is.
            end: last epoch of it; else the last one.

        Raises:
            InputError: there are no validation images, no epoch has finite losses, or `start` or `end` was not
                validated.
        """
        from fittingroom.reports.facts.explanation import explain

        return explain(self.path, start, end)

    @overload
    def report(self) -> Report: ...
    @overload
    def report(self, path: str | Path) -> Path: ...
    def report(self, path: str | Path | None = None) -> Report | Path:
        """A page about this run.

        It is one HTML file that loads nothing: a summary in words, curves, what loss and accuracy really say, the
        confidence, the images. `fittingroom.report` takes several runs.

        Args:
            path: the file to write.

        Returns:
            The path of the file; without `path` the page itself, which a notebook shows inline.

        Raises:
            InputError: there are no validation images, or no epoch has finite losses.
            StorageError: the file cannot be written.
        """
        from fittingroom.reports.pages.report_page import report_of

        page = report_of([self.path])
        return page if path is None else page.save(path)

    @property
    def model(self) -> keras.Model:
        """A Keras model with the run's weights, made from the folder's description when it is first asked for.

        Where the description cannot make it, because the model holds code of the user's, it is the model that was
        given to `fit` or `open_run`, and its weights become those of the run; or it is made by the file that the
        recipe named, if `open_run` was told to trust it.

        Raises:
            RunError: none of these is there, or the given model is another one.
        """
        if self._made is None:
            self._made = self._structure()
            self._state.write_weights_to(self._made)
        return self._made

    def use_data(self, data: str | Dataset) -> None:
        """Takes the run's dataset from another place than the recorded one.

        Args:
            data: as for `evaluate`.

        Raises:
            RunError: it is another dataset.
            DataError: it cannot be loaded.
        """
        self._dataset = load_again(self.record.data, data)

    def share(self, first: Run) -> None:
        """Makes this run use the programs and the dataset of another replica of the same recipe."""
        self._first = first

    def _score(self, part: Part) -> Scores:
        logs = self._compiled().log_probabilities(self._state, part.images)
        return Scores.of(part.labels, logs.argmax(axis=1), -logs[np.arange(len(part)), part.labels], part.classes)

    @cached_property
    def _blueprint(self) -> Blueprint:
        with damage(self.path, "model.json"):
            return Blueprint.from_json(store.read_model(self.path))

    @cached_property
    def _state(self) -> State:
        weights = store.read_weights(self.path, self._blueprint.weight_shapes)
        check_weights(self.path, self.record.weights_sha256)
        with damage(self.path, "weights.safetensors"):
            return self._blueprint.state_of_weights(weights)

    @property
    def _title(self) -> str:
        """What messages call the run."""
        return str(self.path)

    def count_test_part(self, files: Sequence[Path]) -> None:
        """Counts a look where files to predict have the run's own test set, labels and all, as `looking` says.

        Raises:
            StorageError: the ledger cannot be written.
        """
        looking.count_test_part([(self.path, self.record)], files)

    @property
    def _shapes(self) -> tuple[Shapes, Shapes]:
        """The shapes of the weights, which are those in the folder's file once `_state` was read."""
        return _shapes_of(self._blueprint)

    @property
    def _scaled(self) -> bool:
        return bool(self.record.recipe.get("scale", True))

    def _compiled(self) -> Programs:
        check_not_forked()
        if self._first is not None:
            if self._shapes != self._first._shapes:
                raise RunError(f"{self.path} has other weights than {self._first.path}, so they are no replicas.")
            return self._first._compiled()
        if self._programs is None:
            prepare_jax()
            self._programs = Programs(self._source())
        return self._programs

    def _source(self) -> ProgramSource:
        record = self.record
        scale = record.data.scale if self._scaled else 1.0
        if record.recipe.get("model", "") is None and self._given_model is None:
            return self._recipe_programs(record, scale)
        from fittingroom.engine.keras_steps import step_functions

        batch_size = record.recipe.get("batch_size")
        if not isinstance(batch_size, int):
            raise RunError(f"{self.path}: run.json is damaged: its batch size is {batch_size!r}.")
        return TracedPrograms(step_functions(self._structure()), batch_size, None if record.data.as_given else scale)

    def _recipe_programs(self, record: RunRecord, scale: float) -> ProgramSource:
        """The programs of the recorded recipe, made sure to be for weights like those in the folder."""
        self._state  # noqa: B018 - read here, so that shapes are real before they are relied on
        recipe, data = record.trained_recipe(), record.data
        outline = Outline(data.image_shape, self._shapes)
        programs = RecipeModel(
            recipe, data.image_shape, len(data.classes), scale, data.counts["train"], outline
        ).programs
        try:
            outline.check_weights(_shapes_of(programs.blueprint()))
        except RunError as error:
            raise RunError(f"{self.path} is damaged: its recipe and its weights do not fit: {error}.") from error
        return programs

    def _structure(self) -> keras.Model:
        """A model that has the run's structure, with any weights."""
        from fittingroom.engine.devices import require_jax_backend

        require_jax_backend()
        from fittingroom.engine.description import rebuild
        from fittingroom.engine.model_checks import build_layers
        from fittingroom.engine.state import weight_shapes

        self._state  # noqa: B018 - read here, so that shapes are real before they are relied on
        outline = Outline(self.record.data.image_shape, self._shapes)
        description = self._blueprint.description
        if description.get("keras") is not None:
            model = rebuild(description, outline)
        else:
            model = self._given_model or self._trusted_model() or rebuild(description)
        build_layers(model, np.broadcast_to(np.float32(0), (1, *outline.image_shape)))
        try:
            outline.check_weights(weight_shapes(model))
        except RunError as error:
            raise RunError(f"The model is not the one of this run: {error}.") from error
        return model

    def _trusted_model(self) -> keras.Model | None:
        """What the run's model file gives, if it may be run; None where the model came from no file."""
        from fittingroom.recipes.build import build_model

        record = self.record
        if record.model_file is None:
            return None
        file = trusted_file(record.model_file, trust=self._trust)
        recipe = record.trained_recipe(model=file.text)
        return build_model(recipe, record.data.image_shape, len(record.data.classes), file=file)

    def _images(self) -> RunImages:
        if self._first is not None:
            return self._first._images()
        if self._kept_images is None:
            data = self.record.data
            kept = read_images(self.path, data.classes, data.scale) if self._dataset is None else None
            if kept is None:
                self._dataset = self._dataset or load_unasked(self.path, data)
            self._kept_images = kept or images_of(self._load_dataset(), every=True)
        return self._kept_images

    def _load_dataset(self) -> Dataset:
        """The run's dataset, made sure to be the one that it was trained on."""
        if self._first is not None:
            return self._first._load_dataset()
        if self._dataset is None:
            self._dataset = load_again(self.record.data)
        return self._dataset


def _shapes_of(blueprint: Blueprint) -> tuple[Shapes, Shapes]:
    trainable, others = blueprint.weight_groups
    return tuple(start.shape for start in trainable), tuple(start.shape for start in others)


def _answers(programs: Programs, state: State, run: str, images: Array) -> Array:
    """Logarithms of probabilities, none of which is NaN."""
    logs = programs.log_probabilities(state, images)
    check_numbers(logs, run)
    return logs


def check_numbers(values: Array, run: str) -> None:
    """Raises RunError where what a model makes of images, `(images, ...)`, is NaN: it is no answer to them."""
    bad = int(np.isnan(values).any(axis=1).sum())
    if bad:
        raise RunError(
            f"{run}: the model gives NaN for {bad:,} of {len(values):,} images, so it has no answer to them. Its "
            "training has diverged, or the images have values that are far too large. Train again with a smaller "
            "learning rate and images scaled to 0 to 1."
        )
