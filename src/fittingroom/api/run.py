"""`Run`: what a training leaves behind, and what can be asked of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.api import looking
from fittingroom.data.dataset import Dataset, Part
from fittingroom.data.load import load
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.programs import Programs, ProgramSource, TracedPrograms
from fittingroom.engine.recipe_programs import RecipeModel
from fittingroom.engine.runtime import prepare_jax
from fittingroom.engine.state import State
from fittingroom.errors import DataError, RunError
from fittingroom.evaluation.scores import Scores, TestResult, score
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs import store
from fittingroom.runs.history import History
from fittingroom.runs.outcomes import Outcomes
from fittingroom.runs.record import RunRecord

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]


class Run:
    """A training that is over: its folder, its numbers, and its model.

    Attributes:
        path: the run folder.
    """

    def __init__(self, path: Path, *, dataset: Dataset | None = None, model: keras.Model | None = None) -> None:
        self.path = path
        self._dataset = dataset
        self._given_model = model
        self._programs: Programs | None = None
        self._first: Run | None = None  # the replica whose programs and dataset this one uses too
        store.read_record(path)  # a folder that is no run is refused here, not at first use

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {self.record.recipe['name']} on {self.record.data.name}, {self.record.status})"

    @property
    def record(self) -> RunRecord:
        """What the run's folder says of it, read anew: openings of the test set are added to it."""
        return store.read_record(self.path)

    @cached_property
    def history(self) -> History:
        """The numbers of each epoch, under Keras's keys."""
        return store.read_history(self.path)

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """What came of each validation image in each epoch; None without validation."""
        return store.read_outcomes(self.path)

    def predict(self, images: Array) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Class probabilities, float32 `(n, classes)`.

        Args:
            images: `(n, ...)` in the form that the model was trained on: a dataset's raw uint8 images, or, where `fit`
                was given arrays, values like those.

        Raises:
            DataError: the images have another shape, are none, or are scaled already and would be scaled twice.
        """
        images = np.asarray(images)
        data = self.record.data
        if images.shape[1:] != data.image_shape or not len(images):
            raise DataError(
                f"the images have the shape {images.shape}; expected {('n', *data.image_shape)}, as in training."
            )
        if not self._as_given and images.dtype.kind == "f":
            raise DataError(
                f"the images are {images.dtype}; expected the dataset's raw pixels, such as data.train.images (uint8), "
                "since this run scales them itself. For scaled images there is run.model().predict(x)."
            )
        probabilities: np.ndarray[Any, np.dtype[np.float32]] = np.exp(
            self._compiled().log_probabilities(self._state, images)
        )
        return probabilities

    def evaluate(self, reason: str = "evaluate") -> TestResult:
        """The score on the sealed test set. Opening it is recorded before the score is computed.

        A run that has its score already is told it again; that is no new look.

        Args:
            reason: why it is opened, for the record.

        Raises:
            DataError: the reason is empty.
            RunError: the run has no test set, or its data are not the same any more.
            StorageError: the look cannot be recorded, in the user's ledger or in the run; the test set then stays
                closed.
        """
        self.look(reason)
        return looking.told([self.record])[0]

    def look(self, reason: str) -> None:
        """Does what `evaluate` does, and tells nothing."""
        if not reason.strip():
            raise DataError(
                "the test set would be opened without a reason. Say what its score is for: evaluate('...')."
            )
        record = self.record
        if not looking.has_score(record):
            looking.look(self.path, record, self._load_dataset(), reason, self._score)

    def model(self) -> keras.Model:
        """A Keras model with the run's weights: a new one, made from the folder's description.

        Where the description cannot make it, because the model holds code of the user's, it is the model that was
        given to `fit` or `open_run`, and its weights become those of the run.

        Raises:
            RunError: neither of the two is there, or the given model is another one.
        """
        from fittingroom.engine.state import write_weights

        model = self._structure()
        write_weights(model, self._state)
        return model

    def share(self, first: Run) -> None:
        """Makes this run use the programs and the dataset of another replica of the same recipe."""
        self._first = first

    def _score(self, part: Part) -> Scores:
        logs = self._compiled().log_probabilities(self._state, part.images)
        return score(part.labels, logs.argmax(axis=1), -logs[np.arange(len(part)), part.labels], part.classes)

    @cached_property
    def _blueprint(self) -> Blueprint:
        try:
            return Blueprint.from_json(store.read_model(self.path))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{self.path / 'model.json'} is damaged and cannot be read: {error!r}.") from error

    @cached_property
    def _state(self) -> State:
        try:
            return self._blueprint.state_of_weights(store.read_weights(self.path))
        except KeyError as error:
            raise RunError(f"{self.path / 'weights.safetensors'} is damaged: it lacks the weights {error}.") from error
        except ValueError as error:
            raise RunError(f"{self.path / 'weights.safetensors'} is damaged: {error}.") from error

    @property
    def _scaled(self) -> bool:
        return bool(self.record.recipe.get("scale", True))

    @property
    def _as_given(self) -> bool:
        """Whether `fit` was given plain arrays, which went into the model in their own type."""
        data = self.record.data
        return data.load is None and data.scale == 1.0

    def _compiled(self) -> Programs:
        if self._first is not None:
            return self._first._compiled()
        if self._programs is None:
            prepare_jax()
            self._programs = Programs(self._source())
        return self._programs

    def _source(self) -> ProgramSource:
        record = self.record
        scale = record.data.scale if self._scaled else 1.0
        of_recipe = record.recipe.get("model", "") is None
        if of_recipe and self._given_model is None:
            recipe = Recipe.from_dict(record.recipe)
            classes, count = len(record.data.classes), record.data.counts["train"]
            return RecipeModel(recipe, record.data.image_shape, classes, scale, count).programs
        from fittingroom.engine.keras_steps import step_functions

        batch_size = int(record.recipe["batch_size"])
        return TracedPrograms(step_functions(self._structure()), batch_size, None if self._as_given else scale)

    def _structure(self) -> keras.Model:
        """A model that has the run's structure, with any weights."""
        from fittingroom.engine.backend import require_jax_backend

        require_jax_backend()
        from fittingroom.engine.checks import build_layers
        from fittingroom.engine.description import rebuild
        from fittingroom.engine.state import weight_shapes

        description = self._blueprint.description
        own = self._given_model is None or description.get("keras") is not None
        model = rebuild(description) if own else self._given_model
        build_layers(model, np.zeros((1, *self.record.data.image_shape), np.float32))
        expected = tuple(tuple(start.shape for start in group) for group in self._blueprint.weight_groups)
        if weight_shapes(model) != expected:
            raise RunError(
                "The model is not the one of this run: its trainable or its other weights have other shapes. "
                "A layer that was frozen or unfrozen since makes such a difference too."
            )
        return model

    def _load_dataset(self) -> Dataset:
        """The run's dataset, made sure to be the one that it was trained on."""
        if self._first is not None:
            return self._first._load_dataset()
        if self._dataset is None:
            self._dataset = self._load_again()
        return self._dataset

    def _load_again(self) -> Dataset:
        data = self.record.data
        if data.load is None:
            raise RunError(
                "This run was trained on plain arrays, so there is no sealed test set to open. Train on a dataset "
                "(fittingroom.load) to have one, or score arrays of your own with run.predict(images)."
            )
        dataset = load(**_load_arguments(data.load))
        if (dataset.fingerprint, dataset.test.fingerprint) != (data.fingerprint, data.test_fingerprint):
            raise RunError(
                f"The dataset {data.name} is not the one that this run was trained on: its images or labels have "
                "changed since. Bring the old files back, or train again."
            )
        return dataset


def _load_arguments(stored: Any) -> dict[str, Any]:
    arguments = dict(stored)
    if arguments.get("data_dir") is not None:
        arguments["data_dir"] = Path(arguments["data_dir"])
    if arguments.get("image_size") is not None:
        arguments["image_size"] = tuple(arguments["image_size"])
    return arguments
