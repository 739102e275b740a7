"""A Keras model and all that its training needs: what `fit`, and a recipe with a model file, have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.api.given import Data
from fittingroom.api.keeper import Keeper
from fittingroom.api.keeping import Attempt, array_record, data_record
from fittingroom.api.many import train_sessions
from fittingroom.api.run import Run
from fittingroom.api.session import Session, clamped_batch_size
from fittingroom.data.dataset import Dataset
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.batches import Batches
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.callbacks import Callback, StopCallback
from fittingroom.engine.devices import available_devices, prepare_jax
from fittingroom.engine.epoch import Examples
from fittingroom.engine.keras_callbacks import KerasCallbacks
from fittingroom.engine.programs import TracedPrograms
from fittingroom.engine.snapshots import TrainingPlan
from fittingroom.engine.state import State
from fittingroom.errors import InputError, ModelError
from fittingroom.progress import Progress
from fittingroom.recipes.modelfile import ModelFile, RecordedFile, recorded_file
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.stop import StopRule
from fittingroom.runs.record import DataRecord
from fittingroom.runs.store import RunContents

if TYPE_CHECKING:
    import keras

    from fittingroom.api.fitted import FittedRun
    from fittingroom.engine.user_model import ModelPrograms


def fit_recipe(
    recipe: Recipe,
    file: ModelFile,
    dataset: Dataset,
    seeds: Sequence[int],
    keeper: Keeper,
    progress: Progress,
    started: float,
) -> Run:
    """Trains the model that a recipe's own Python file makes for a seed, as the rest of the recipe says."""
    make = partial(_build, recipe, dataset, file)
    batch_size, notes = clamped_batch_size(recipe.batch_size, len(dataset.train))
    validation = None if dataset.validation is None else Arrays.of_part(dataset.validation, scale=recipe.scale)
    fitting = Fitting(
        model=make(seeds[0]),
        dataset=dataset,
        train=Arrays.of_part(dataset.train, scale=recipe.scale),
        validation=validation,
        plan=keeper.plan(recipe.epochs, batch_size, seeds[0]),
        callbacks=(),
        rule=StopRule(recipe.stop, validation=validation is not None),
        recipe=recipe.changed(name=recipe.name, batch_size=batch_size).to_dict(),
        notes=notes,
        progress=progress,
        keeper=keeper,
        started=started,
        model_file=recorded_file(file),
    )
    return fitting.run_seeds(seeds, make) if len(seeds) > 1 else fitting.run()


def _build(recipe: Recipe, dataset: Dataset, file: ModelFile, seed: int) -> keras.Model:
    """The model that the recipe's own file makes, its weights drawn for a seed."""
    from fittingroom.engine.devices import require_jax_backend

    require_jax_backend()
    import keras

    from fittingroom.recipes.build import build_model

    keras.utils.set_random_seed(seed)
    return build_model(recipe, dataset.image_shape, len(dataset.classes), file=file)


@dataclass(frozen=True)
class Fitting:
    """A Keras model and all that its training needs."""

    model: keras.Model
    dataset: Dataset | None
    train: Data
    validation: Data | None
    plan: TrainingPlan
    callbacks: tuple[keras.callbacks.Callback, ...]
    rule: StopRule
    recipe: Mapping[str, Any]
    notes: tuple[str, ...]
    progress: Progress
    keeper: Keeper
    started: float
    model_file: RecordedFile | None = None
    verbose: str | int = 0  # what callbacks are given as Keras's verbose
    steps_asked: int | None = None  # what callbacks are given as steps_per_epoch; None for a pass

    def run(self) -> Run:
        """Checks the model, trains it and keeps the run. The model has the weights of the last finished epoch."""
        path = self._trained()
        assert isinstance(path, Path)  # a recipe's run has a folder
        return Run(path, dataset=self.dataset, model=self.model).after_training()

    def run_fitted(self) -> FittedRun:
        """The same for `fit`: what comes back is Keras's `History`, too."""
        from fittingroom.api.fitted import FittedRun, UnsavedRun

        kept, params = self._trained(), self._callback_params()
        if isinstance(kept, Path):
            run = FittedRun(kept, dataset=self.dataset, model=self.model, params=params)
            return run.after_training()
        why = str(self.keeper.why_no_folder)
        return UnsavedRun(kept, why, dataset=self.dataset, model=self.model, params=params)

    def run_copies(self, seeds: Sequence[int]) -> FittedRun:
        """Trains a copy of the model for each seed, its weights drawn again, for `fit`."""
        from fittingroom.api.fitted import FittedRun
        from fittingroom.engine.user_model import redrawn

        path = self._trained_seeds(seeds, partial(redrawn, self.model))
        params = self._callback_params()
        run = FittedRun(path, dataset=self.dataset, model=self.model, params=params, trained=False)
        return run.after_training()

    def run_seeds(self, seeds: Sequence[int], make: Callable[[int], keras.Model]) -> Run:
        """Trains the model that `make` makes for each seed."""
        path = self._trained_seeds(seeds, make)
        return Run(path, dataset=self.dataset, model=self.model).after_training()

    def _trained_seeds(self, seeds: Sequence[int], make: Callable[[int], keras.Model]) -> Path:
        """The folder of the run of several seeds."""
        from fittingroom.engine.keras_callbacks import copied_callbacks

        if isinstance(self.train, Batches) or isinstance(self.validation, Batches):
            raise InputError(
                "With seeds=, several models train at once and cannot share an iterable of batches. Give arrays or a "
                "dataset, or train seed by seed."
            )
        prepare_jax()
        with self.progress:
            sessions, states = [], []
            for seed, progress in zip(seeds, self.progress.for_seeds(seeds), strict=True):
                model = make(seed)
                one = replace(
                    self,
                    model=model,
                    plan=replace(self.plan, seed=seed, epochs=self.keeper.last_epochs.get(seed, self.plan.epochs)),
                    callbacks=copied_callbacks(self.callbacks),
                    rule=deepcopy(self.rule),
                    progress=progress,
                )
                # What is not built yet draws its weights here, so this comes before the next seed is set.
                sessions.append(one._ready())
                states.append(State.of(model))
                programs = one._programs()
            return train_sessions(sessions, states, programs, lambda: programs, self.keeper)

    def _ready(self) -> Session:
        """Checks the model; the session that trains it."""
        said, if_diverged = self._check_model()
        notes = (*self.notes, *said)
        keras_hook = KerasCallbacks(self.model, self.callbacks, self._callback_params())
        notes = (*notes, *keras_hook.notes(self.plan.batch_hooks_every, validation=self.validation is not None))
        return self._session(notes, if_diverged, [keras_hook, StopCallback(self.rule)])

    def _trained(self) -> Path | RunContents:
        """The folder of the run, or what it would hold."""
        with self.progress:
            prepare_jax()
            session = self._ready()
            programs = self._kept_programs
            session = replace(session, batchwise=programs.batchwise)
            with self._traceable():
                path, training = session.run(programs.whole, State.of(self.model), self.keeper)
            if not any(isinstance(hook, KerasCallbacks) and hook.shows(training.state) for hook in session.hooks):
                training.state.write_to(self.model)
            return path

    @cached_property
    def _kept_programs(self) -> ModelPrograms:
        """The programs of the model, once it is built, and what an earlier call has found out about it."""
        from fittingroom.engine.user_model import ModelPrograms

        data = tuple(_form(part) for part in (self.train, self.validation))
        return ModelPrograms.of(self.model, self._programs(), available_devices(), data)

    @contextmanager
    def _traceable(self) -> Iterator[None]:
        """Says why a model that Keras would run without compiling cannot be trained."""
        import jax

        try:
            yield
        except jax.errors.JAXTypeError as error:
            if self.model.jit_compile:
                raise
            from fittingroom.engine.model_checks import ASKS_FOR_A_VALUE

            raise ModelError(f"{ASKS_FOR_A_VALUE} Or train it with model.fit.") from error

    @property
    def _first_arrays(self) -> Arrays:
        """Training images: all of them, or the first batch."""
        return self.train.first if isinstance(self.train, Batches) else self.train

    @property
    def _scale(self) -> float | None:
        return self._first_arrays.scale

    def _check_model(self) -> tuple[tuple[str, ...], str]:
        """Builds the model; what should be said of it, and what to look at if its loss becomes NaN or infinite."""
        from fittingroom.engine import misfits
        from fittingroom.engine import model_checks as checks
        from fittingroom.engine.data_checks import check_form, data_notes
        from fittingroom.engine.keras_steps import fixed_batch

        first = self._first_arrays
        check_form(self.model, first.images, first.class_indices)
        checks.compile_if_needed(self.model, first.input_batch())
        size = min(fixed_batch(self.model) or self.plan.batch_size, len(first))
        labels = first.labels[:size]
        some_weights = None if first.weights is None else first.weights[:size]
        outputs = checks.build_checked(
            self.model,
            first.input_batch(size),
            labels,
            some_weights,
            self._class_count(),
        )
        for data in (self.train, self.validation):
            if isinstance(data, Batches):
                data.expect_classes(max(2, outputs))
        batch = Examples(first.input_batch(size), labels, some_weights)  # type: ignore[arg-type]  # NumPy's
        names = self._kept_programs.logged_names(
            lambda: checks.logged_names(self.model, batch, validation=self.validation is not None)
        )
        StopRule(self.recipe["stop"], own=True).update(dict.fromkeys(names, 0.0))  # refuses what will be missing
        some = first.input_batch(fixed_batch(self.model) or 32)
        found = misfits.misfits(self.model, some, outputs)
        notes = (
            *checks.notes(self.model),
            *misfits.meanings(self.model, outputs, first.labels),
            *data_notes(self.model, first),
        )
        return (*found, *notes), misfits.if_diverged(self.model, some, found)

    def _class_count(self) -> int:
        named = 0 if self.dataset is None else len(self.dataset.classes)
        validation = self.validation.first if isinstance(self.validation, Batches) else self.validation
        return max(named, self._first_arrays.classes, 0 if validation is None else validation.classes)

    def _programs(self) -> TracedPrograms:
        from fittingroom.engine.keras_steps import step_functions

        # A loss or a metric of the user's may depend on the batch size, so validation has Keras's: that of training.
        size = self.plan.validation_batch_size or self.plan.batch_size
        return TracedPrograms(step_functions(self.model), self.plan.batch_size, self._scale, evaluation_batch=size)

    def _callback_params(self) -> dict[str, Any]:
        passed = self.train.steps if isinstance(self.train, Batches) else -(-len(self.train) // self.plan.batch_size)
        return {
            "verbose": self.verbose,
            "epochs": self.plan.epochs,
            "steps": self.steps_asked or passed,
        }

    def _session(self, notes: tuple[str, ...], if_diverged: str, hooks: Sequence[Callback]) -> Session:
        from fittingroom.engine.batch_steps import BatchPrograms
        from fittingroom.engine.description import describe
        from fittingroom.engine.keras_steps import step_functions

        data_notes = () if self.dataset is None else self.dataset.notes
        blueprint = Blueprint.of(self.model, describe(self.model))
        resume, resume_notes = self.keeper.earlier(self.plan.seed, blueprint)
        if resume is not None and isinstance(self.train, Batches):
            resume_notes = (*resume_notes, "The iterable began anew: what it gives is not what it would have given.")
        attempt = Attempt(
            recipe=self.recipe,
            data=self._data_record(),
            seed=self.plan.seed,
            blueprint=blueprint,
            train_count=len(self._first_arrays),
            validation=self.validation if isinstance(self.validation, Arrays) else None,
            notes=(*data_notes, *notes, *resume_notes),
            model_file=self.model_file,
            if_diverged=if_diverged,
            dataset=self.dataset,
        )
        batchwise = BatchPrograms(step_functions(self.model), self._scale)
        return Session(
            attempt,
            self.plan,
            self.train,
            self.validation,
            hooks,
            self.progress,
            self.started,
            batchwise=batchwise,
            resume=resume,
        )

    def _data_record(self) -> DataRecord:
        validation = self.validation if isinstance(self.validation, Arrays) else None
        if self.dataset is not None:
            return data_record(self.dataset, len(self._first_arrays), validation)
        record = array_record(self._first_arrays, validation)
        if isinstance(self.train, Arrays):
            return record
        first, count = self.train.first, self.train.classes
        names = first.class_names if first.form.signed else tuple(str(number) for number in range(count))
        return replace(record, name="batches", classes=names)


def _form(data: Data | None) -> Any:
    """The shapes and types of data, which decide their programs; of an iterable, those of its first batch."""
    if data is None:
        return None
    arrays = data.first if isinstance(data, Batches) else data
    weights = arrays.weights
    forms = tuple((part.shape, part.dtype) for part in (arrays.images, arrays.labels, weights) if part is not None)
    return type(data), forms, weights is None
