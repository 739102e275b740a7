"""The training of a Keras model: that which `fit` was given or that which a recipe's own file makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.data.dataset import Dataset
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.batches import Batches
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.callbacks import StopCallback
from fittingroom.engine.devices import Sharing, prepare_jax
from fittingroom.engine.epoch import Examples
from fittingroom.engine.keras_callbacks import KerasCallbacks
from fittingroom.engine.programs import TracedPrograms
from fittingroom.engine.snapshots import Training, TrainingPlan
from fittingroom.engine.state import State
from fittingroom.errors import InputError, ModelError
from fittingroom.progress import Progress
from fittingroom.recipes.modelfile import ModelFile, RecordedFile
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.stop import StopRule
from fittingroom.runs.layout import RunContents
from fittingroom.training.arguments import clamped_batch_size
from fittingroom.training.job import Data, Job, SeedJob, data_record
from fittingroom.training.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

    from fittingroom.engine.user_model import ModelPrograms


@dataclass(frozen=True)
class FitData:
    """What a Keras model is trained and validated on, and how.

    Args:
        train: the training images and labels.
        validation: the validation images and labels; None without any.
        plan: epochs, batches, and the seed.
        notes: what should be said about them, one sentence each.
        steps_asked: the `steps_per_epoch` in the `params` of callbacks; None for a pass over the images.
    """

    train: Data
    validation: Data | None
    plan: TrainingPlan
    notes: tuple[str, ...]
    steps_asked: int | None = None

    @property
    def first(self) -> Arrays:
        """Training images: all of them, or the first batch of an iterable."""
        return self.train.first if isinstance(self.train, Batches) else self.train

    @property
    def classes(self) -> int:
        """The number of classes that the labels have."""
        validation = self.validation.first if isinstance(self.validation, Batches) else self.validation
        return max(self.first.classes, 0 if validation is None else validation.classes)

    @property
    def forms(self) -> tuple[Any, ...]:
        """The shapes and types of the data, which decide their programs."""
        return tuple(_form(part) for part in (self.train, self.validation))


@dataclass(frozen=True, kw_only=True)
class _KerasJob(Job):
    """A training of a Keras model, which has the trained weights afterwards, where it is the only one.

    Args:
        model: the model, or one like those of the seeds.
    """

    model: keras.Model

    def run(self) -> Path | RunContents:
        """As `Job.run`; also says why a model that Keras would run without compiling cannot be trained.

        Raises:
            ModelError: the model's code cannot be compiled.
        """
        with _traceable(self.model):
            return super().run()

    def after(self, training: Training) -> None:
        """Gives the model its trained weights, unless a callback has asked to see them there already."""
        callbacks = self.seeds[0].callbacks
        if self.whole and not any(isinstance(one, KerasCallbacks) and one.shows(training.state) for one in callbacks):
            training.state.write_to(self.model)


@dataclass(frozen=True)
class ModelTraining:
    """A Keras model with its data and callbacks, from which its job is made once all of it is checked.

    Args:
        model: compiled or not, built or not.
        data: what it is trained and validated on, and how.
        dataset: the dataset; None for plain arrays.
        recipe: as the run records it.
        rule: when to stop.
        callbacks: Keras's.
        verbose: Keras's `verbose`, for the `params` of callbacks.
    """

    model: keras.Model
    data: FitData
    dataset: Dataset | None
    recipe: Mapping[str, Any]
    rule: StopRule
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    verbose: str | int = 0

    def job(
        self, folder: RunFolder, progress: Progress, started: float, model_file: RecordedFile | None = None
    ) -> _KerasJob:
        """The job that trains the model itself.

        Raises:
            InputError: the model cannot be trained, or not on these data.
        """
        prepare_jax()
        (listener,) = progress.for_seeds([self.data.plan.seed])
        seed, programs = self._seed_job(folder, listener), self.model_programs
        job = self._job([replace(seed, batchwise=programs.batchwise)], folder, progress, started, model_file)
        return replace(job, whole=programs.whole)

    def job_of_copies(
        self,
        make: Callable[[int], keras.Model],
        seeds: Sequence[int],
        folder: RunFolder,
        progress: Progress,
        started: float,
        model_file: RecordedFile | None = None,
    ) -> _KerasJob:
        """The job that trains, for each seed, what `make` makes for it, with callbacks of its own.

        Raises:
            InputError: as for `job`, or the data are an iterable.
        """
        from fittingroom.engine.batch_steps import BatchPrograms
        from fittingroom.engine.keras_callbacks import KerasCallbacks
        from fittingroom.engine.keras_steps import KerasSteps

        if isinstance(self.data.train, Batches) or isinstance(self.data.validation, Batches):
            raise InputError(
                "With seeds=, several models train at once and cannot share an iterable of batches. Give arrays or a "
                "dataset, or train seed by seed."
            )
        prepare_jax()
        jobs, plan, last = [], self.data.plan, self
        for seed, listener in zip(seeds, progress.for_seeds(seeds), strict=True):
            last = replace(
                self,
                model=make(seed),
                data=replace(
                    self.data, plan=replace(plan, seed=seed, epochs=folder.last_epochs.get(seed, plan.epochs))
                ),
                callbacks=KerasCallbacks.copies(self.callbacks),
                rule=deepcopy(self.rule),
            )
            # What is not built yet draws its weights here, so this comes before the next seed is set.
            batchwise = BatchPrograms(KerasSteps(last.model).functions(), self.data.first.scale)
            jobs.append(replace(last._seed_job(folder, listener), batchwise=batchwise))
        return replace(last._job(jobs, folder, progress, started, model_file), model=self.model)

    @staticmethod
    def job_of_file(
        recipe: Recipe,
        file: ModelFile,
        dataset: Dataset,
        seeds: Sequence[int],
        folder: RunFolder,
        progress: Progress,
        started: float,
    ) -> _KerasJob:
        """The job that trains, as a recipe says, the models that its own Python file makes for the seeds."""
        make = partial(_built, recipe, dataset, file)
        batch_size, notes = clamped_batch_size(recipe.batch_size, len(dataset.train))
        validation = None if dataset.validation is None else Arrays.of_part(dataset.validation, scale=recipe.scale)
        train, plan = (
            Arrays.of_part(dataset.train, scale=recipe.scale),
            folder.plan(recipe.epochs, batch_size, seeds[0]),
        )
        training = ModelTraining(
            model=make(seeds[0]),
            data=FitData(train, validation, plan, notes),
            dataset=dataset,
            recipe=recipe.changed(name=recipe.name, batch_size=batch_size).to_dict(),
            rule=StopRule(recipe.stop, validation=validation is not None),
        )
        recorded = file.recorded()
        if len(seeds) == 1:
            return training.job(folder, progress, started, recorded)
        return training.job_of_copies(make, seeds, folder, progress, started, recorded)

    @property
    def callback_params(self) -> dict[str, Any]:
        """The `params` of Keras's callbacks."""
        train, plan = self.data.train, self.data.plan
        passed = train.steps if isinstance(train, Batches) else -(-len(train) // plan.batch_size)
        return {"verbose": self.verbose, "epochs": plan.epochs, "steps": self.data.steps_asked or passed}

    @cached_property
    def model_programs(self) -> ModelPrograms:
        """The programs of the model, once it is built, and what an earlier call has found out about it."""
        from fittingroom.engine.user_model import ModelPrograms

        return ModelPrograms.of(self.model, self._programs(), Sharing.available(), self.data.forms)

    def _job(
        self,
        seeds: Sequence[SeedJob],
        folder: RunFolder,
        progress: Progress,
        started: float,
        model_file: RecordedFile | None,
    ) -> _KerasJob:
        return _KerasJob(
            recipe=self.recipe,
            data=data_record(self.dataset, self.data.train, self.data.validation),
            dataset=self.dataset,
            train=self.data.train,
            validation=self.data.validation,
            seeds=seeds,
            source=self._programs,
            traced=self._programs,
            folder=folder,
            progress=progress,
            started=started,
            model_file=model_file,
            model=self.model,
        )

    def _seed_job(self, folder: RunFolder, progress: Progress) -> SeedJob:
        """Checks and builds the model; what is trained of it."""
        from fittingroom.engine.description import describe

        said, if_diverged = self._check_model()
        callbacks = KerasCallbacks(self.model, self.callbacks, self.callback_params)
        plan, validated = self.data.plan, self.data.validation is not None
        blueprint = Blueprint.of(self.model, describe(self.model))
        resume, resume_notes = folder.earlier(plan.seed, blueprint)
        if resume is not None and isinstance(self.data.train, Batches):
            again = "The iterable was started again, so its batches are not those of an uninterrupted training."
            resume_notes = (*resume_notes, again)
        return SeedJob(
            plan=plan,
            blueprint=blueprint,
            state=State.of(self.model),
            callbacks=[callbacks, StopCallback(self.rule)],
            notes=(
                *(() if self.dataset is None else self.dataset.notes),
                *self.data.notes,
                *said,
                *callbacks.notes(plan.batch_hooks_every, validation=validated),
                *resume_notes,
            ),
            progress=progress,
            resume=resume,
            if_diverged=if_diverged,
        )

    def _check_model(self) -> tuple[tuple[str, ...], str]:
        """Builds the model; what should be said of it, and what to look at if its loss becomes NaN or infinite."""
        from fittingroom.engine.data_checks import DataChecks
        from fittingroom.engine.keras_steps import KerasSteps
        from fittingroom.engine.misfits import check_end
        from fittingroom.engine.model_checks import ModelChecks

        first, checks, data_checks = self.data.first, ModelChecks(self.model), DataChecks(self.model)
        data_checks.check_form(first.images, first.class_indices)
        checks.compile_if_needed(first.input_batch())
        fixed_batch = KerasSteps(self.model).fixed_batch
        size = min(fixed_batch or self.data.plan.batch_size, len(first))
        labels = first.labels[:size]
        some_weights = None if first.weights is None else first.weights[:size]
        outputs = checks.build(
            first.input_batch(size),
            labels,
            some_weights,
            self._class_count(),
        )
        for data in (self.data.train, self.data.validation):
            if isinstance(data, Batches):
                data.expect_classes(max(2, outputs))
        batch = Examples(first.input_batch(size), labels, some_weights)  # type: ignore[arg-type]  # NumPy's
        names = self.model_programs.logged_names(
            lambda: checks.logged_names(batch, validation=self.data.validation is not None)
        )
        StopRule(self.recipe["stop"], own=True).update(dict.fromkeys(names, 0.0))  # refuses what will be missing
        some = first.input_batch(fixed_batch or 32)
        misfits, meanings, if_diverged = check_end(self.model, some, first.labels, outputs)
        return (*misfits, *checks.notes(), *meanings, *data_checks.notes(first)), if_diverged

    def _class_count(self) -> int:
        return max(0 if self.dataset is None else len(self.dataset.classes), self.data.classes)

    def _programs(self) -> TracedPrograms:
        from fittingroom.engine.keras_steps import KerasSteps

        # A loss or a metric of the user's may depend on the batch size, so validation has Keras's: that of training.
        plan = self.data.plan
        size = plan.validation_batch_size or plan.batch_size
        return TracedPrograms(
            KerasSteps(self.model).functions(), plan.batch_size, self.data.first.scale, evaluation_batch=size
        )


def _built(recipe: Recipe, dataset: Dataset, file: ModelFile, seed: int) -> keras.Model:
    """The model that the recipe's own file makes, its weights drawn for a seed."""
    from fittingroom.engine.devices import require_jax_backend

    require_jax_backend()
    import keras

    from fittingroom.recipes.build import build_model

    keras.utils.set_random_seed(seed)
    return build_model(recipe, dataset.image_shape, len(dataset.classes), file=file)


@contextmanager
def _traceable(model: keras.Model) -> Iterator[None]:
    """Says why a model that Keras would run without compiling cannot be trained."""
    import jax

    try:
        yield
    except jax.errors.JAXTypeError as error:
        if model.jit_compile:
            raise
        from fittingroom.engine.model_checks import ASKS_FOR_A_VALUE

        raise ModelError(f"{ASKS_FOR_A_VALUE} Or train it with model.fit.") from error


def _form(data: Data | None) -> Any:
    """The shapes and types of data, which decide their programs; of an iterable, those of its first batch."""
    if data is None:
        return None
    arrays = data.first if isinstance(data, Batches) else data
    weights = arrays.weights
    forms = tuple((part.shape, part.dtype) for part in (arrays.images, arrays.labels, weights) if part is not None)
    return type(data), forms, weights is None
