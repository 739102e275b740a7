"""`fit`: the user's own Keras model, with the arguments of `keras.Model.fit`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.api.keeping import Attempt, array_record, data_record
from fittingroom.api.run import Run
from fittingroom.api.session import Session, clamped_batch_size, whole_number
from fittingroom.data.dataset import Dataset, Part
from fittingroom.engine import inputs
from fittingroom.engine.backend import require_jax_backend
from fittingroom.engine.blueprint import blueprint_of
from fittingroom.engine.hooks import Hook, KerasHook, StopHook
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


def fit(  # noqa: PLR0913 - the arguments are those of keras.Model.fit, so that its users can change one word
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
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
    seed: int = 0,
    stop: str | Sequence[str] = (),
    out: str | Path | None = None,
) -> Run:
    """Trains a Keras model, compiled or not, and keeps the run; afterwards the model has the trained weights.

    Args:
        model: any Keras image classifier with one input and one output that JAX can trace.
        x: a dataset from `fittingroom.load`, a part of one, or images `(n, ...)` as an array.
        y: labels, where `x` is an array: class numbers `(n,)`, or one-hot `(n, classes)`.
        batch_size: images per step; 32 by default.
        epochs: the epoch to train to; counted from 0, `initial_epoch` included, as in Keras.
        verbose: 0 for silence; otherwise a progress bar on a terminal.
        callbacks: Keras callbacks, unchanged.
        validation_split: the last share of the arrays to validate on.
        validation_data: `(x, y)` or `(x, y, sample_weight)`; a dataset brings its own.
        shuffle: whether each epoch has an order of its own.
        class_weight: class number -> weight of its images in the loss.
        sample_weight: weight of each image in the loss, `(n,)`.
        initial_epoch: the number of the first epoch.
        seed: of the shuffle. (The initial weights are the model's own.)
        stop: conditions such as `"loss<0.4"` or `"val_loss rises 3"`.
        out: the run's own folder; None for the next free one in the runs folder.

    Returns:
        The run, its folder written.

    Raises:
        InputError: something given is wrong, found before training; a `ModelError` where it is the model.
        StorageError: the run's folder cannot be written, found before training where it can be known.
        DivergedError: the loss became NaN or infinite.
        Interrupted: Ctrl-C; the finished epochs are kept.
    """
    started = time.perf_counter()
    out = None if out is None else Path(out)
    check_writable(out)
    require_jax_backend()
    import keras

    from fittingroom.engine.checks import require_model

    require_model(model)
    train, validation = _arrays(x, y, validation_data, validation_split, class_weight, sample_weight)
    seed = whole_number("seed", seed, lowest=0)
    if whole_number("initial_epoch", initial_epoch, lowest=0) >= whole_number("epochs", epochs, lowest=0):
        raise InputError(
            f"epochs={epochs} and initial_epoch={initial_epoch} leave no epoch to train. Give more epochs."
        )
    batch_size = whole_number("batch_size", 32 if batch_size is None else batch_size, lowest=1)
    batch_size, notes = clamped_batch_size(batch_size, len(train))
    stop = [stop] if isinstance(stop, str) else list(stop)
    return Fitting(
        model=model,
        dataset=x if isinstance(x, Dataset) else None,
        train=train,
        validation=validation,
        plan=Plan(epochs, batch_size, seed, shuffle, initial_epoch),
        callbacks=tuple(keras.tree.flatten(callbacks or ())),
        rule=StopRule(stop, validation=validation is not None),
        recipe={"name": model.name, "epochs": epochs, "batch_size": batch_size, "stop": stop},
        notes=notes,
        progress=Silent() if verbose == 0 else progress_for_terminal(),
        out=out,
        started=started,
    ).run()


def fit_recipe(
    model: keras.Model,
    recipe: Recipe,
    dataset: Dataset,
    *,
    seed: int,
    out: Path | None,
    progress: Progress,
    started: float,
) -> Run:
    """Trains the model that a recipe's own Python file made, as the rest of the recipe says."""
    batch_size, notes = clamped_batch_size(recipe.batch_size, len(dataset.train))
    validation = None if dataset.validation is None else inputs.of_part(dataset.validation, scale=recipe.scale)
    return Fitting(
        model=model,
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
    ).run()


@dataclass(frozen=True)
class Fitting:
    """A Keras model and all that its training needs."""

    model: keras.Model
    dataset: Dataset | None
    train: inputs.Arrays
    validation: inputs.Arrays | None
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

    def _run(self) -> Run:
        prepare_jax()
        notes = (*self.notes, *self._check_model())
        keras_hook = KerasHook(self.model, self.callbacks, self._callback_params())
        notes = (*notes, *keras_hook.notes())
        session = self._session(notes, [keras_hook, StopHook(self.rule)])
        programs = Programs(self._programs())
        training, seconds = session.run(programs, read_state(self.model))
        if training.status in ("interrupted", "diverged"):
            training.state = keras_hook.finalized(training.state)
        session.validate(programs, training)
        write_state(self.model, training.state)
        return Run(session.keep(training, seconds), dataset=self.dataset, model=self.model)

    def _check_model(self) -> tuple[str, ...]:
        from fittingroom.engine import checks

        checks.compile_if_needed(self.model)
        labels, weights = self.train.labels[:1], self.train.weights
        checks.build_checked(
            self.model, self.train.input_batch(), labels, None if weights is None else weights[:1], self._class_count()
        )
        names = checks.logged_names(self.model)
        held_out = () if self.validation is None else tuple(f"val_{name}" for name in names)
        StopRule(self.recipe["stop"]).update(dict.fromkeys((*names, *held_out), 0.0))  # refuses what will be missing
        return checks.notes(self.model, self.train.images, self.train.scale)

    def _class_count(self) -> int:
        named = 0 if self.dataset is None else len(self.dataset.classes)
        return max(named, self.train.classes, 0 if self.validation is None else self.validation.classes)

    def _programs(self) -> TracedPrograms:
        from fittingroom.engine.keras_steps import step_functions

        # A loss or a metric of the user's may depend on the batch size, so validation has Keras's: that of training.
        size = self.plan.batch_size
        return TracedPrograms(step_functions(self.model), size, self.train.scale, evaluation_batch=size)

    def _callback_params(self) -> dict[str, Any]:
        return {"epochs": self.plan.epochs, "steps": -(-len(self.train) // self.plan.batch_size), "verbose": 0}

    def _session(self, notes: tuple[str, ...], hooks: Sequence[Hook]) -> Session:
        from fittingroom.engine.description import describe

        data_notes = () if self.dataset is None else self.dataset.notes
        attempt = Attempt(
            recipe=self.recipe,
            data=self._data_record(),
            seed=self.plan.seed,
            blueprint=blueprint_of(self.model, describe(self.model)),
            train_count=len(self.train),
            validation=self.validation,
            notes=(*data_notes, *notes),
            out=self.out,
        )
        return Session(attempt, self.plan, self.train, self.validation, hooks, self.progress, self.started)

    def _data_record(self) -> DataRecord:
        if self.dataset is not None:
            return data_record(self.dataset, len(self.train), self.validation)
        return array_record(self.train, self.validation)


def _arrays(
    x: Any, y: Any, validation_data: Any, validation_split: float, class_weight: Any, sample_weight: Any
) -> tuple[inputs.Arrays, inputs.Arrays | None]:
    """Training and validation arrays from what `fit` was given."""
    if isinstance(x, Dataset | Part):
        if y is not None:
            raise InputError(
                f"y is given besides a {type(x).__name__.lower()}, which has labels of its own. Leave y out."
            )
        part = x.train if isinstance(x, Dataset) else x
        train = inputs.weighted(inputs.of_part(part), sample_weight)
        own = x.validation if isinstance(x, Dataset) else None
        validation_data = own if validation_data is None else validation_data
    else:
        if y is None:
            raise InputError("y is missing: with arrays, fit takes the images and their labels, fit(model, x, y).")
        train = inputs.of_user(x, y, sample_weight)
        inputs.require_classes(train)
    validation = None
    if validation_data is not None:
        validation = inputs.alike(inputs.of_validation(validation_data), train)
    elif validation_split:
        train, validation = inputs.split_last(train, validation_split)
    return inputs.class_weighted(train, class_weight), validation
