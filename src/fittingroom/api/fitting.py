"""`fit`: the user's own Keras model, with the arguments of `keras.Model.fit`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from fittingroom.api.given import Data, Given
from fittingroom.api.keeping import Attempt, array_record, data_record
from fittingroom.api.many import chosen_seeds, train_sessions
from fittingroom.api.replicas import Replicas
from fittingroom.api.run import Run
from fittingroom.api.session import Session, clamped_batch_size
from fittingroom.data.dataset import Dataset
from fittingroom.engine import inputs
from fittingroom.engine.backend import require_jax_backend
from fittingroom.engine.batches import Batches
from fittingroom.engine.blueprint import blueprint_of
from fittingroom.engine.hooks import Hook, KerasHook, StopHook
from fittingroom.engine.mesh import available_devices
from fittingroom.engine.programs import Programs, TracedPrograms
from fittingroom.engine.runtime import prepare_jax
from fittingroom.engine.state import read_state, write_state
from fittingroom.engine.trainer import Plan
from fittingroom.errors import InputError
from fittingroom.progress import Progress, Silent, finishing, progress_for_terminal
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.stop import StopRule
from fittingroom.runs.place import check_writable
from fittingroom.runs.record import DataRecord

if TYPE_CHECKING:
    import keras


@overload
def fit(
    model: keras.Model,
    x: Any = ...,
    y: Any = ...,
    batch_size: int | None = ...,
    epochs: int = ...,
    verbose: str | int = ...,
    callbacks: Sequence[keras.callbacks.Callback] | None = ...,
    validation_split: float = ...,
    validation_data: Any = ...,
    shuffle: bool = ...,
    class_weight: Mapping[int, float] | None = ...,
    sample_weight: Any = ...,
    initial_epoch: int = ...,
    steps_per_epoch: int | None = ...,
    validation_steps: int | None = ...,
    validation_batch_size: int | None = ...,
    validation_freq: int | Iterable[int] = ...,
    *,
    batch_hooks_every: int | None = ...,
    seed: int = ...,
    seeds: None = ...,
    stop: str | Sequence[str] = ...,
    out: str | Path | None = ...,
) -> Run: ...
@overload
def fit(
    model: keras.Model,
    x: Any = ...,
    y: Any = ...,
    batch_size: int | None = ...,
    epochs: int = ...,
    verbose: str | int = ...,
    callbacks: Sequence[keras.callbacks.Callback] | None = ...,
    validation_split: float = ...,
    validation_data: Any = ...,
    shuffle: bool = ...,
    class_weight: Mapping[int, float] | None = ...,
    sample_weight: Any = ...,
    initial_epoch: int = ...,
    steps_per_epoch: int | None = ...,
    validation_steps: int | None = ...,
    validation_batch_size: int | None = ...,
    validation_freq: int | Iterable[int] = ...,
    *,
    batch_hooks_every: int | None = ...,
    seeds: int | Sequence[int],
    stop: str | Sequence[str] = ...,
    out: str | Path | None = ...,
) -> Replicas: ...
def fit(  # noqa: PLR0913, PLR0917 - the arguments are those of keras.Model.fit, so that its users can change one word
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: str | int = "auto",
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Iterable[int] = 1,
    *,
    batch_hooks_every: int | None = None,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    stop: str | Sequence[str] = (),
    out: str | Path | None = None,
) -> Run | Replicas:
    """Trains a Keras model, compiled or not, and keeps the run; afterwards the model has the trained weights.

    Every argument up to `validation_freq` means what it means in `keras.Model.fit`; docs/keras-parity.md shows how that
    is known, and what is refused.

    Args:
        model: any Keras image classifier with one input and one output that JAX can trace.
        x: a dataset from `fittingroom.load`, a part of one, images `(n, ...)` as an array, or an iterable of batches
            `(images, labels)` or `(images, labels, sample_weight)`: a `keras.utils.PyDataset`, a `tf.data.Dataset`, a
            PyTorch `DataLoader`, a generator. Each batch of an iterable is a call of its own, which is slower than
            arrays; each epoch iterates anew, so that its own shuffle and augmentation count.
        y: labels, where `x` is an array: class numbers `(n,)`, or one-hot `(n, classes)`.
        batch_size: images per step; 32 by default. Iterables have their own.
        epochs: the epoch to train to; counted from 0, `initial_epoch` included, as in Keras.
        verbose: 0 for silence; otherwise a progress bar on a terminal.
        callbacks: Keras callbacks, unchanged.
        validation_split: the last share of the arrays to validate on.
        validation_data: `(x, y)` or `(x, y, sample_weight)`, or an iterable of such batches; a dataset brings its own.
        shuffle: whether each epoch has an order of its own. Of the iterables, only a `PyDataset` is shuffled, by batch.
        class_weight: class number -> weight of its images in the loss.
        sample_weight: weight of each image in the loss, `(n,)`.
        initial_epoch: the number of the first epoch.
        steps_per_epoch: batches in an epoch; the next epoch goes on where it ended. Needed for generators, unless there
            is one epoch.
        validation_steps: validate on so many batches only, the first ones.
        validation_batch_size: images per step of validation; `batch_size` by default. It matters only for losses and
            metrics that depend on the batch.
        validation_freq: validate after every so many epochs, or after those in a list, counted from 1. The run's
            outcomes have a row for each validated epoch.
        batch_hooks_every: after how many batches callbacks that watch batches are called; in between, the compiled
            program runs them at once. By default the `steps_per_execution` that the model was compiled with: 1.
        seed: of the shuffle. (The initial weights are the model's own.)
        seeds: in place of `seed`, several: how many (5 means 0 to 4), or which. For each, the model is made once more
            and its weights are drawn anew; the given one stays as it is. As many replicas train at once as there are
            cores (or devices), each with callbacks of its own, exactly as it would alone.
        stop: conditions such as `"loss<0.4"` or `"val_loss rises 3"`.
        out: the run's own folder; None for the next free one in the runs folder.

    Returns:
        The run, its folder written; with `seeds`, the `Replicas`.

    Raises:
        InputError: something given is wrong, found before training; a `ModelError` where it is the model, a `DataError`
            where it is the data (in an iterable, when its batch comes).
        StorageError: the run's folder cannot be written, found before training where it can be known.
        DivergedError: the loss became NaN or infinite (with `seeds`: in every replica).
        Interrupted: Ctrl-C; the finished epochs are kept.
    """
    started = time.perf_counter()
    out = None if out is None else Path(out)
    check_writable(out)
    require_jax_backend()
    import keras

    from fittingroom.engine.checks import require_model

    require_model(model)
    stop = [stop] if isinstance(stop, str) else list(stop)
    several = None if seeds is None else chosen_seeds(seeds)
    given = Given(
        x=x,
        y=y,
        batch_size=batch_size,
        epochs=epochs,
        validation_split=validation_split,
        validation_data=validation_data,
        shuffle=shuffle,
        class_weight=class_weight,
        sample_weight=sample_weight,
        initial_epoch=initial_epoch,
        steps_per_epoch=steps_per_epoch,
        validation_steps=validation_steps,
        validation_batch_size=validation_batch_size,
        validation_freq=validation_freq,
        batch_hooks_every=(model.steps_per_execution or 1) if batch_hooks_every is None else batch_hooks_every,
        seed=seed,
        stop=stop,
    )
    prepared = given.checked()
    listed = callbacks.callbacks if isinstance(callbacks, keras.callbacks.CallbackList) else callbacks
    fitting = Fitting(
        model=model,
        dataset=x if isinstance(x, Dataset) else None,
        train=prepared.train,
        validation=prepared.validation,
        plan=prepared.plan,
        callbacks=tuple(keras.tree.flatten(listed or ())),
        rule=StopRule(stop, validation=prepared.validation is not None),
        recipe={"name": model.name, "epochs": epochs, "batch_size": prepared.plan.batch_size, "stop": stop},
        notes=prepared.notes,
        progress=Silent() if verbose == 0 else progress_for_terminal(),
        out=out,
        started=started,
    )
    return fitting.run() if several is None else fitting.run_replicas(several)


def fit_recipe(  # noqa: PLR0913 - what `train` was given
    make: Callable[[int], keras.Model],
    recipe: Recipe,
    dataset: Dataset,
    *,
    seed: int,
    seeds: Sequence[int] | None,
    out: Path | None,
    progress: Progress,
    started: float,
) -> Run | Replicas:
    """Trains the model that a recipe's own Python file makes for a seed, as the rest of the recipe says."""
    batch_size, notes = clamped_batch_size(recipe.batch_size, len(dataset.train))
    validation = None if dataset.validation is None else inputs.of_part(dataset.validation, scale=recipe.scale)
    fitting = Fitting(
        model=make(seed if seeds is None else seeds[0]),
        dataset=dataset,
        train=inputs.of_part(dataset.train, scale=recipe.scale),
        validation=validation,
        plan=Plan(recipe.epochs, batch_size, seed),
        callbacks=(),
        rule=StopRule(recipe.stop, validation=validation is not None),
        recipe=recipe.changed(name=recipe.name, batch_size=batch_size).to_dict(),
        notes=notes,
        progress=progress,
        out=out,
        started=started,
    )
    return fitting.run() if seeds is None else fitting.run_replicas(seeds, make)


@dataclass(frozen=True)
class Fitting:
    """A Keras model and all that its training needs."""

    model: keras.Model
    dataset: Dataset | None
    train: Data
    validation: Data | None
    plan: Plan
    callbacks: tuple[keras.callbacks.Callback, ...]
    rule: StopRule
    recipe: Mapping[str, Any]
    notes: tuple[str, ...]
    progress: Progress
    out: Path | None
    started: float

    def run(self) -> Run:
        """Checks the model, trains it and keeps the run. The model has the weights of the last finished epoch."""
        with finishing(self.progress):
            return self._run()

    def run_replicas(self, seeds: Sequence[int], make: Callable[[int], keras.Model] | None = None) -> Replicas:
        """Trains a replica for each seed and keeps them.

        Args:
            seeds: one per replica.
            make: makes the model of a seed; by default it is this one with its weights drawn anew.
        """
        from fittingroom.engine.cloning import copied, drawn_anew

        if isinstance(self.train, Batches) or isinstance(self.validation, Batches):
            raise InputError(
                "With seeds, replicas train at the same time and cannot share an iterable of batches. Give arrays or a "
                "dataset, or train seed by seed."
            )
        prepare_jax()
        with finishing(self.progress):
            sessions, states = [], []
            for seed, progress in zip(seeds, self.progress.replicas(seeds), strict=True):
                model = make(seed) if make else drawn_anew(self.model, seed)
                replica = replace(
                    self,
                    model=model,
                    plan=replace(self.plan, seed=seed),
                    callbacks=copied(self.callbacks),
                    rule=deepcopy(self.rule),
                    progress=progress,
                )
                # What is not built yet draws its weights here, so this comes before the next seed is set.
                sessions.append(replica._ready()[0])
                states.append(read_state(model))
                programs = replica._programs()
            path = train_sessions(sessions, states, programs, lambda: programs)
        return Replicas(path, dataset=self.dataset, model=self.model)

    def _ready(self) -> tuple[Session, KerasHook]:
        """Checks the model; the session that trains it."""
        notes = (*self.notes, *self._check_model())
        keras_hook = KerasHook(self.model, self.callbacks, self._callback_params())
        notes = (*notes, *keras_hook.notes(self.plan.batch_hooks_every, validation=self.validation is not None))
        return self._session(notes, [keras_hook, StopHook(self.rule)]), keras_hook

    def _run(self) -> Run:
        prepare_jax()
        session, keras_hook = self._ready()
        training, seconds = session.run(Programs(self._programs().on(available_devices())), read_state(self.model))
        if not training.epochs and training.status == "finished":
            raise InputError(
                f"A callback (BackupAndRestore, say) has it that {keras_hook.initial_epoch()} epochs are finished, and "
                f"epochs={self.plan.epochs}. Give more epochs."
            )
        write_state(self.model, training.state)
        return Run(session.keep(training, seconds), dataset=self.dataset, model=self.model)

    @property
    def _sample(self) -> inputs.Arrays:
        """Training images: all of them, or the first batch."""
        return self.train.first if isinstance(self.train, Batches) else self.train

    @property
    def _scale(self) -> float | None:
        return self._sample.scale

    def _check_model(self) -> tuple[str, ...]:
        from fittingroom.engine import checks

        checks.compile_if_needed(self.model)
        labels, weights = self._sample.labels[:1], self._sample.weights
        outputs = checks.build_checked(
            self.model,
            self._sample.input_batch(),
            labels,
            None if weights is None else weights[:1],
            self._class_count(),
        )
        for data in (self.train, self.validation):
            if isinstance(data, Batches):
                data.expect_classes(outputs)
        names = checks.logged_names(self.model)
        held_out = () if self.validation is None else tuple(f"val_{name}" for name in names)
        StopRule(self.recipe["stop"]).update(dict.fromkeys((*names, *held_out), 0.0))  # refuses what will be missing
        return checks.notes(self.model, self._sample.images, self._scale)

    def _class_count(self) -> int:
        named = 0 if self.dataset is None else len(self.dataset.classes)
        validation = self.validation.first if isinstance(self.validation, Batches) else self.validation
        return max(named, self._sample.classes, 0 if validation is None else validation.classes)

    def _programs(self) -> TracedPrograms:
        from fittingroom.engine.keras_steps import step_functions

        # A loss or a metric of the user's may depend on the batch size, so validation has Keras's: that of training.
        size = self.plan.validation_batch_size or self.plan.batch_size
        return TracedPrograms(step_functions(self.model), self.plan.batch_size, self._scale, evaluation_batch=size)

    def _callback_params(self) -> dict[str, Any]:
        passed = self.train.steps if isinstance(self.train, Batches) else -(-len(self.train) // self.plan.batch_size)
        return {"epochs": self.plan.epochs, "steps": self.plan.steps_per_epoch or passed, "verbose": 0}

    def _session(self, notes: tuple[str, ...], hooks: Sequence[Hook]) -> Session:
        from fittingroom.engine.batch_programs import BatchPrograms
        from fittingroom.engine.description import describe
        from fittingroom.engine.keras_steps import step_functions

        data_notes = () if self.dataset is None else self.dataset.notes
        attempt = Attempt(
            recipe=self.recipe,
            data=self._data_record(),
            seed=self.plan.seed,
            blueprint=blueprint_of(self.model, describe(self.model)),
            train_count=len(self._sample),
            validation=self.validation if isinstance(self.validation, inputs.Arrays) else None,
            notes=(*data_notes, *notes),
            out=self.out,
        )
        batchwise = BatchPrograms(step_functions(self.model), self._scale)
        return Session(
            attempt, self.plan, self.train, self.validation, hooks, self.progress, self.started, batchwise=batchwise
        )

    def _data_record(self) -> DataRecord:
        validation = self.validation if isinstance(self.validation, inputs.Arrays) else None
        if self.dataset is not None:
            return data_record(self.dataset, len(self._sample), validation)
        record = array_record(self._sample, validation)
        if isinstance(self.train, inputs.Arrays):
            return record
        return replace(record, name="batches", classes=tuple(str(number) for number in range(self.train.classes)))
