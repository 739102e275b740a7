"""`FitArguments`: the arguments of `fit`, whose meaning is Keras's, and the data and the plan that follow from them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from fittingroom.data.dataset import Dataset, Part
from fittingroom.engine.arrays import Arrays, LabelForm
from fittingroom.engine.batches import Batches
from fittingroom.engine.snapshots import TrainingPlan
from fittingroom.engine.user_arrays import ClassWeight, of_user, of_validation
from fittingroom.errors import InputError
from fittingroom.recipes.stop import StopRule
from fittingroom.text import word_list
from fittingroom.training.arguments import clamped_batch_size, whole_number
from fittingroom.training.job import Data
from fittingroom.training.keras_job import FitData


@dataclass(frozen=True)
class FitArguments:
    """The arguments of `fit` that decide on data and steps; their meaning is Keras's."""

    x: Any
    y: Any
    batch_size: int | None
    epochs: int
    validation_split: float
    validation_data: Any
    shuffle: bool
    class_weight: Mapping[int, float] | str | None
    sample_weight: Any
    initial_epoch: int
    steps_per_epoch: int | None
    validation_steps: int | None
    validation_batch_size: int | None
    validation_freq: int | Iterable[int]
    batch_hooks_every: int
    steps_per_execution: int
    seed: int
    stop: Sequence[str]
    label_form: LabelForm

    def checked(self) -> FitData:
        """Data and plan.

        Raises:
            InputError: an argument is wrong, or makes no sense beside another.
        """
        given, notes = self._without_pipelines()._with_whole_numbers()._limited()
        if given.initial_epoch >= given.epochs:
            raise InputError(
                f"epochs={given.epochs} and initial_epoch={self.initial_epoch} leave no epoch to train. "
                "Give more epochs."
            )
        frequency = given._frequency()
        if isinstance(given.x, Dataset | Part) or not Batches.are_in(given.x):
            prepared = given._of_arrays()
        else:
            prepared = given._of_batches()
        plan = replace(prepared.plan, validation_freq=frequency)
        unused = () if prepared.validation is not None else self._unused_without_validation()
        return replace(prepared, plan=plan, notes=(*notes, *unused, *prepared.notes))

    def _without_pipelines(self) -> FitArguments:
        """The same where a dataset of `fittingroom.tf` is replaced by what it stands for: arrays, or an iterable."""
        found: dict[str, Any] = {}
        if hasattr(self.x, "fit_arguments"):
            self._refuse_what_batches_have("tf.data.Dataset")
            if self.x.is_endless and self.steps_per_epoch is None:
                raise InputError("x (tf.data.Dataset) never ends, because of repeat(). Give steps_per_epoch.")
            found |= self.x.fit_arguments()
        if hasattr(self.validation_data, "validation_arguments"):
            if self.validation_data.is_endless and self.validation_steps is None:
                raise InputError("validation_data (tf.data.Dataset) never ends. Give validation_steps.")
            found |= self.validation_data.validation_arguments()
        return replace(self, **found) if found else self

    def _unused_without_validation(self) -> tuple[str, ...]:
        """A note about arguments that have no effect where nothing is validated."""
        defaults = {"validation_steps": None, "validation_batch_size": None, "validation_freq": 1}
        named = [name for name, default in defaults.items() if getattr(self, name) != default]
        if not named:
            return ()
        return (f"{word_list(named)} had no effect, because nothing is validated: validation_data is missing.",)

    def _with_whole_numbers(self) -> FitArguments:
        split = self.validation_split
        if isinstance(split, bool) or not isinstance(split, Real):
            raise InputError(f"validation_split={split!r}; expected a fraction from 0 to 1, such as 0.1.")
        if self.shuffle not in (True, False):
            raise InputError(
                f"shuffle={self.shuffle!r}; expected True or False. Shuffling inside batches changes nothing that "
                "training sees but the order of sums."
            )
        numbers = {name: whole_number(name, getattr(self, name), lowest=lowest) for name, lowest in _LOWEST.items()}
        optional = {
            name: None if getattr(self, name) is None else whole_number(name, getattr(self, name), lowest=1)
            for name in ("batch_size", "steps_per_epoch", "validation_steps", "validation_batch_size")
        }
        checked: Mapping[str, Any] = {**numbers, **optional}
        return replace(self, shuffle=bool(self.shuffle), **checked)

    def _limited(self) -> tuple[FitArguments, tuple[str, ...]]:
        """The same within the limits of `keras.config`, in steps as Keras takes them; and what should be said of it."""
        import keras

        epochs, steps = keras.config.max_epochs(), keras.config.max_steps_per_epoch()
        given, notes = self, []
        if epochs and epochs < self.epochs:
            given = replace(given, epochs=int(epochs))
            notes.append(f"Training is limited to {epochs} epochs by keras.config.set_max_epochs.")
        if steps:
            limited = {name: min(getattr(self, name) or steps, steps) for name in _STEPS}
            given = replace(given, **limited)
            notes.append(f"Each epoch is limited to {steps} steps by keras.config.set_max_steps_per_epoch.")
        return given, tuple(notes)

    def _whole_groups(self, steps: int | None) -> int | None:
        """Steps in an epoch: Keras takes whole groups of steps_per_execution, so there may be more than asked for."""
        return None if steps is None else math.ceil(steps / self.steps_per_execution) * self.steps_per_execution

    def _frequency(self) -> int | tuple[int, ...]:
        """After which epochs there is validation."""
        given = self.validation_freq
        if isinstance(given, int | np.integer):
            frequency: int | tuple[int, ...] = whole_number("validation_freq", int(given), lowest=1)
        elif isinstance(given, Iterable) and not isinstance(given, str | bytes):
            frequency = tuple(whole_number("validation_freq", epoch, lowest=1) for epoch in given)
        else:
            raise InputError(
                f"validation_freq={given!r}; expected a whole number from 1, or the epochs, counted from 1, in a list."
            )
        watching = [text for text in self.stop if StopRule.parse(text, own=True).metric.startswith("val_")]
        if frequency != 1 and watching:
            raise InputError(
                f"stop={watching[0]!r} needs every epoch to be validated, but validation_freq={given!r}. Remove "
                "validation_freq, or use keras.callbacks.EarlyStopping."
            )
        return frequency

    def _of_arrays(self) -> FitData:
        train, own = self._train_arrays()
        validation: Data | None = None
        replaced: tuple[str, ...] = ()
        said: tuple[str, ...] = ()
        if own is not None and self.validation_data is not None:
            replaced = (f"validation_data is used, and not the dataset's own {len(own):,} validation images.",)
        elif self.validation_split and self.validation_data is not None:
            replaced = (
                f"validation_data is used, and validation_split={self.validation_split:g} is not, as in Keras.",
            )
        if (held_out := own if self.validation_data is None else self.validation_data) is not None:
            validation, said = self._validation(held_out, train)
        elif self.validation_split:
            train, validation = train.split_last(self.validation_split)
        if isinstance(validation, Arrays):
            validation.require_class_of_each()
            replaced = (*replaced, *_same_images(train, validation), *_classes_on_one_side(train, validation))
        names = self.x.classes if isinstance(self.x, Dataset) else ()
        class_weight = ClassWeight.of_user(self.class_weight, names)
        if class_weight is not None:
            replaced = (*replaced, *class_weight.unused(train.label_numbers))
            train = class_weight.applied_to(train)
        steps = self.steps_per_epoch
        batch_size = self.batch_size or (math.ceil(len(train) / steps) if steps else 32)
        batch_size, notes = clamped_batch_size(batch_size, len(train))
        passed = math.ceil(len(train) / batch_size)
        if steps is not None and steps > passed:
            notes = (*notes, f"steps_per_epoch={steps} is more than the {passed} batches of x; an epoch has {passed}.")
        return self._prepared(train, validation, batch_size, (*replaced, *notes, *said))

    def _train_arrays(self) -> tuple[Arrays, Part | None]:
        """The training arrays, and the validation part that a dataset brings."""
        x, y = self.x, self.y
        if isinstance(x, Dataset | Part):
            if y is not None:
                raise InputError(
                    f"y= cannot be used with a {type(x).__name__.lower()}, which has its own labels. Remove y=."
                )
            part, own = (x.train, x.validation) if isinstance(x, Dataset) else (x, None)
            if own is not None and self.validation_split:
                raise InputError(
                    f"validation_split={self.validation_split:g} cannot be used with a dataset that has {len(own):,} "
                    "validation images of its own. Remove it, or load the dataset with "
                    f"validation={self.validation_split:g}."
                )
            return of_user(part, None, self.sample_weight, form=self.label_form), own
        if isinstance(x, str | os.PathLike):
            raise InputError(f"x is {str(x)!r}. Load it first: fittingroom.fit(model, fittingroom.load({str(x)!r})).")
        if callable(x) and not hasattr(x, "__array__"):
            name = getattr(x, "__name__", type(x).__name__)
            raise InputError(f"x is a function ({name}); expected what it gives. Call it: {name}().")
        if y is None:
            raise InputError("y is missing: with arrays, fit takes the images and their labels, fit(model, x, y).")
        train = of_user(x, y, self.sample_weight, form=self.label_form)
        train.require_classes()
        return train, None

    def _of_batches(self) -> FitData:
        kind = type(self.x).__name__
        self._refuse_what_batches_have(kind)
        class_weight = ClassWeight.of_user(self.class_weight)
        if class_weight is not None and class_weight.weights == "balanced":
            raise InputError(
                f"class_weight='balanced' needs the number of images of each class, which an iterable of batches "
                f"({kind}) does not tell beforehand. Give a weight for each class number."
            )
        seed = self.seed if self.shuffle else None
        train = Batches(
            self.x,
            steps=self._whole_groups(self.steps_per_epoch),
            seed=seed,
            class_weight=class_weight,
            form=self.label_form,
        )
        epochs = self.epochs - self.initial_epoch
        if train.single and self.steps_per_epoch is None and epochs > 1:
            raise InputError(
                f"x is a {kind}, which can be iterated only once, but there are {epochs} epochs. "
                "Give steps_per_epoch, or an object that can be iterated again."
            )
        if train.endless and self.steps_per_epoch is None:
            raise InputError(f"x ({kind}) never ends. Give steps_per_epoch.")
        validation: Data | None = None
        notes: tuple[str, ...] = ()
        if self.validation_data is not None:
            validation, notes = self._validation(self.validation_data, train.first)
        return self._prepared(train, validation, len(train.first), notes)

    def _refuse_what_batches_have(self, kind: str) -> None:
        """Raises InputError where an argument says again what batches say themselves."""
        for name, way_out in _NOT_WITH_BATCHES.items():
            value = getattr(self, name)
            if not (value is None or (isinstance(value, int | float) and value == 0)):
                raise InputError(f"{name}= cannot be used with an iterable of batches ({kind}). {way_out}")

    def _validation(self, given: Any, train: Arrays) -> tuple[Data, tuple[str, ...]]:
        """The validation data, and what should be said about their values."""
        if isinstance(given, Part) or not Batches.are_in(given):
            arrays = of_validation(given, self.label_form)
            alike = arrays.like(train)
            return alike, arrays.scale_notes(train)
        kind = type(given).__name__
        steps = self._whole_groups(self.validation_steps)
        batches = Batches(given, name="validation_data", steps=steps, like=train, form=self.label_form)
        if batches.single:
            raise InputError(
                f"validation_data is a {kind}, which can be iterated only once, but is needed after every epoch. "
                "Give arrays, or an object that can be iterated again."
            )
        if batches.endless and self.validation_steps is None:
            raise InputError(f"validation_data ({kind}) never ends. Give validation_steps.")
        return batches, batches.first.scale_notes(train)

    def _prepared(self, train: Data, validation: Data | None, batch_size: int, notes: tuple[str, ...]) -> FitData:
        steps = self.validation_steps
        size = self.validation_batch_size or self.batch_size
        if isinstance(validation, Arrays):
            size = size or (math.ceil(len(validation) / steps) if steps else 32)
            if steps is not None:
                validation = validation.first((self._whole_groups(steps) or 0) * size)
        plan = TrainingPlan(
            self.epochs,
            batch_size,
            self.seed,
            self.shuffle,
            self.initial_epoch,
            steps_per_epoch=self._whole_groups(self.steps_per_epoch),
            validation_batch_size=size,
            batch_hooks_every=self.batch_hooks_every,
        )
        return FitData(train, validation, plan, notes, self.steps_per_epoch)


def _same_images(train: Arrays, validation: Arrays) -> tuple[str, ...]:
    """A note where validation repeats the training images."""
    ours, theirs = train.images, validation.images
    if ours is not theirs and not ((ours[:1] == theirs[:1]).all() and np.array_equal(ours, theirs)):
        return ()
    return (
        "The validation images are the training images, so validation measures memorization, not how good the model "
        "is on other images. validation_split=0.1 holds some out.",
    )


def _classes_on_one_side(train: Arrays, validation: Arrays) -> tuple[str, ...]:
    """Notes about classes that only the training images have, or only the validation images."""
    trained, held_out = (set(np.unique(part.class_indices).tolist()) - {-1} for part in (train, validation))
    said = []
    if unseen := sorted(held_out - trained):
        said.append(
            f"Validation has images of {_classes(unseen)}, which training has none of: the model cannot be right about "
            "them. Shuffle the images before they are split."
        )
    if untested := sorted(trained - held_out):
        said.append(
            f"Validation has no images of {_classes(untested)}, which training has: it says nothing about them."
        )
    return tuple(said)


def _classes(found: Sequence[int]) -> str:
    named = ", ".join(map(str, found[:10]))
    return f"class {named}" if len(found) == 1 else f"classes {named}{', ...' if len(found) > 10 else ''}"


_STEPS = ("steps_per_epoch", "validation_steps")
_LOWEST = {"seed": 0, "initial_epoch": 0, "epochs": 0, "batch_hooks_every": 1}

_NOT_WITH_BATCHES = {
    "y": "Its batches are (images, labels) already.",
    "sample_weight": "Let its batches be (images, labels, sample_weight).",
    "batch_size": "Its batches have sizes of their own; for those of validation arrays there is validation_batch_size.",
    "validation_split": "Only arrays can be split; give validation_data.",
}
