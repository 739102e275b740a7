"""Images and labels as arrays, and the way that they go in training: to the device whole, and step by step from there.

`engine.batches` and `engine.batch_steps` are the same for data that come batch by batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import jax
import numpy as np

from fittingroom.data.dataset import Part
from fittingroom.data.ranges import ValueRange
from fittingroom.engine.callbacks import Callback
from fittingroom.engine.epoch import Examples, ImagesInPlace, Logs
from fittingroom.engine.programs import Order, Programs, numbers
from fittingroom.engine.snapshots import TrainingPlan, ValidationResult
from fittingroom.engine.state import State
from fittingroom.errors import DataError, InputError
from fittingroom.seeds import generator

Array = np.ndarray[Any, Any]

# Smaller images are copied, which takes milliseconds. The C library gives each array from here on pages of its own, so
# that all of them begin alike, and programs meet few forms of them.
LEAST_BYTES_IN_PLACE = 32 * 2**20


@dataclass(frozen=True)
class LabelForm:
    """What labels may be besides class numbers (0, 1, 2, ...) and one-hot rows, where the loss says so.

    Args:
        signed: whether -1 and 1 stand for classes 0 and 1, as in Keras's hinge losses.
        ignored: the label of images without a class, which the loss leaves out (Keras's `ignore_class`).
    """

    signed: bool = False
    ignored: int | None = None

    def indices(self, labels: Any) -> Any:
        """Class indices int32 `(n,)` from labels `(n,)`, `(n, 1)` or one-hot `(n, classes)`; -1 without a class.

        Takes NumPy arrays and, inside programs, JAX arrays.
        """
        if labels.ndim == 2 and labels.shape[1] > 1:
            return labels.argmax(axis=1).astype(np.int32)
        labels = labels.reshape(labels.shape[0])
        if self.signed:
            return (labels > 0).astype(np.int32)
        labels = labels.astype(np.int32)
        if self.ignored is None:
            return labels
        missing = labels == self.ignored
        return labels * ~missing - missing  # -1 where it is missing


_CLASS_NUMBERS = LabelForm()


@dataclass(frozen=True)
class Arrays:
    """Checked images and labels, with or without weights in the loss.

    Args:
        images: `(n, ...)`.
        labels: `(n,)`, `(n, 1)`, or one-hot `(n, classes)`.
        weights: how much each image counts in the loss, `(n,)`; None where all count alike.
        scale: what the program divides the images by; None where they are model input as they are.
        form: what the labels may be.
        files: the picture file of each image; empty where there are none.
    """

    images: Array
    labels: Array
    weights: Array | None = None
    scale: float | None = None
    form: LabelForm = _CLASS_NUMBERS
    files: tuple[str, ...] = ()

    @classmethod
    def of_part(cls, part: Part, *, scale: bool = True) -> Arrays:
        """A dataset's part. Its images stay uint8, and the program divides them by the dataset's scale if `scale`."""
        images = part.images if isinstance(part.images, np.ndarray) else part.images.in_memory()
        return cls(images, part.labels, scale=part.scale if scale else 1.0, files=part.files)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> int:
        """How many classes the labels name."""
        return self.one_hot_classes or (2 if self.form.signed else max(1, int(self.class_indices.max()) + 1))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes as the labels write them."""
        if self.form.signed and not self.one_hot_classes and (self.labels < 0).any():
            return "-1", "1"
        return tuple(str(number) for number in range(self.classes))

    @property
    def label_numbers(self) -> Array:
        """The user's own class numbers, `(n,)`, such as -1 and 1; of one-hot labels, the class indices."""
        return self.class_indices if self.one_hot_classes else self.labels.reshape(-1)

    @property
    def one_hot_classes(self) -> int | None:
        """How many columns one-hot labels have; None where the labels are class numbers."""
        return int(self.labels.shape[1]) if self.labels.ndim == 2 and self.labels.shape[1] > 1 else None

    @property
    def class_indices(self) -> Array:
        """The labels as class indices, int32 `(n,)`; -1 for images without a class."""
        return np.asarray(self.form.indices(self.labels))

    @cached_property
    def extremes(self) -> tuple[int, int]:
        """The positions of the smallest and the largest value in `images.flat`."""
        return ValueRange.extremes_of(self.images)

    @cached_property
    def values(self) -> ValueRange:
        """The range of the images' values, not divided by `scale`."""
        return ValueRange.of(self.images, self.extremes)

    @property
    def model_range(self) -> ValueRange:
        """The range of the values that the model gets."""
        if self.scale is None or self.scale == 1:
            return self.values
        return ValueRange(0.0, 1.0, False, 0.0, 1.0)  # a dataset's scale is known; reading all its pixels takes long

    def examples(self) -> Examples:
        """The arrays on the device, which on a CPU reads a user's large images where they are."""
        # A dataset's part is copied: its bytes are few, and recipes' programs are kept for arrays of any address.
        large = self.scale is None and self.images.nbytes >= LEAST_BYTES_IN_PLACE
        images = ImagesInPlace.of(self.images) if large else self.images
        examples: Examples = jax.device_put(Examples(images, self.labels, self.weights))  # type: ignore[arg-type]
        return examples

    def input_batch(self, count: int = 1) -> Array:
        """The first `count` images as the model gets them; one is enough to build it."""
        first = np.asarray(self.images[:count])
        return first if self.scale is None else first.astype(np.float32) / np.float32(self.scale)

    def first(self, count: int) -> Arrays:
        """The first `count` images, with their labels and weights."""
        return self._slice(slice(None, count))

    def split_last(self, fraction: float) -> tuple[Arrays, Arrays]:
        """Training and validation arrays; the latter are the last `fraction`, before any shuffle, as in Keras.

        Raises:
            InputError: the fraction is not between 0 and 1, or leaves one side empty.
        """
        cut = math.floor(len(self) * (1.0 - fraction))
        if not 0 < fraction < 1 or not 0 < cut < len(self):
            raise InputError(
                f"validation_split={fraction} leaves no images to train on, or none to validate on, of {len(self):,}. "
                "Give 0.1, for example."
            )
        return self._slice(slice(None, cut)), self._slice(slice(cut, None))

    def _slice(self, piece: slice) -> Arrays:
        return replace(
            self,
            images=self.images[piece],
            labels=self.labels[piece],
            weights=None if self.weights is None else self.weights[piece],
            files=self.files[piece],
        )

    def require_classes(self) -> None:
        """Raises DataError unless the labels, which are those of training, name at least two classes."""
        found = np.unique(self.class_indices[self.class_indices >= 0])
        if len(found) < 2:
            which = f"class {found[0]}" if len(found) else f"{self.form.ignored}, which the loss ignores"
            raise DataError(f"All {len(self):,} labels are {which}. Training needs images of at least two classes.")

    def require_class_of_each(self) -> None:
        """Raises DataError where an image, which is one of validation, has no class to compare an answer with."""
        without = int((self.class_indices < 0).sum())
        if without:
            raise DataError(
                f"{without:,} of {len(self):,} validation images have the label {self.form.ignored}, which the loss "
                "ignores, so there is no right answer to them. Remove them from the validation data."
            )

    def like(self, train: Arrays) -> Arrays:
        """These validation arrays in the form of the training arrays, whose scale the program divides by.

        Raises:
            DataError: the shapes of the images or of the labels differ.
        """
        images, theirs, ours = self.images, self.images.shape[1:], train.images.shape[1:]
        if ours == (*theirs, 1) or theirs == (*ours, 1):
            # A single channel may have an axis of its own or not: Keras takes both.
            images = images.reshape(len(self), *ours)
        elif theirs != ours:
            flat = math.prod(theirs) == math.prod(ours)
            mend = f" Give x_val.reshape{(-1, *ours)}." if flat and 1 in (len(theirs), len(ours)) else ""
            raise DataError(f"The validation images have the shape {theirs}, but the training images {ours}.{mend}")
        if self.one_hot_classes != train.one_hot_classes:
            raise DataError(
                f"The validation labels have the shape {self.labels.shape}, but the training labels "
                f"{train.labels.shape}. Give both as class numbers, or both one-hot."
            )
        if self.scale != train.scale:
            images = np.divide(images, np.float32(self.scale or 1), dtype=np.float32) * np.float32(train.scale or 1)
        return replace(self, images=images, scale=train.scale)

    def scale_notes(self, train: Arrays) -> tuple[str, ...]:
        """What the user should know of the values of these validation images beside those of the training images.

        Raises:
            DataError: they are on another scale, so that validation would mean nothing.
        """
        images = self.images
        if self.scale == train.scale is not None and images.dtype == np.uint8:  # parts of datasets
            return ()
        if self.scale not in (None, 1):
            images = np.divide(images, np.float32(self.scale), dtype=np.float32)
        difference = train.model_range.difference(images)
        if difference is None:
            return ()
        if difference.meaningless:
            raise DataError(f"The validation images {difference.sentence}")
        return (f"The validation images {difference.sentence}",)


class ArrayFeed:
    """The steps of epochs over arrays on the device. A pass is once through all images, each pass in its own order.

    With fewer steps in an epoch than in a pass, the next epoch continues where this one ended, and the last epoch of a
    pass has what is left of it, as in Keras.

    Args:
        programs: what the steps run through.
        plan: how long, and in which order.
        examples: on the device.

    Attributes:
        at_once: whether an epoch can continue from any of its steps.
        exhausted: whether nothing is left for another epoch.
        steps: of the epoch that has begun; None where only its end will tell.
        images: of the epoch that has begun, or what it has given so far.
        noted: the logs after each step of the last call; None where they are not known.
    """

    at_once = True
    exhausted = False
    noted: Logs | None = None

    def __init__(
        self,
        programs: Programs,
        plan: TrainingPlan,
        examples: Examples,
        mode: Literal["train", "step", "group"] = "train",
    ) -> None:
        self._programs = programs
        self._mode = mode
        self._own: State | None = None  # the last step's result, whose memory nobody else needs
        self._order_on_device: Any = None
        self._plan = plan
        self._examples = examples
        self._count = examples.images.shape[0]
        self._pass_steps = -(-self._count // plan.batch_size)
        self._epoch_steps = min(plan.steps_per_epoch or self._pass_steps, self._pass_steps)
        self._order = self.order(plan.first_epoch)
        self._start = 0
        self.steps: int | None = self._epoch_steps
        self.images = self._count

    def prepare(self, state: State) -> None:
        """Compiles the program of the epoch, or that of its single steps or groups."""
        self._programs.prepare_train(state, self._examples, self._order, self._mode)

    @property
    def single_steps(self) -> bool:
        """Whether each call runs one step, and takes over the memory of the state before it."""
        return self._mode == "step"

    def enter_groups(self) -> None:
        """Makes calls note the numbers after each step, whoever asks for them."""
        self._mode = "group"

    def leave_groups(self) -> None:
        """Makes each step a call of its own from now on, which takes over the memory of the state before it."""
        self._mode = "step"

    def begin(self, epoch: int, first_epoch: int) -> None:
        """Starts an epoch of a training that started with `first_epoch`; both are counted from 0."""
        passed, place = divmod(epoch - first_epoch, -(-self._pass_steps // self._epoch_steps))
        self._order = self.order(first_epoch + passed)
        self._order_on_device = None
        self._own = None  # the trainer keeps the state of the epoch before
        self._start = place * self._epoch_steps
        self.steps = min(self._epoch_steps, self._pass_steps - self._start)
        size = self._plan.batch_size
        self.images = min((self._start + self.steps) * size, self._count) - self._start * size

    def run(self, state: State, start: int, stop: int) -> tuple[State, Logs]:
        """Runs the steps `start` to `stop` of the epoch."""
        first, last = self._start + start, self._start + stop
        if start == 0 and self._start:
            # The program starts metrics afresh at its step 0 alone. An epoch that begins within a pass has none, so a
            # call without a step does it.
            state, _ = self._call(state, 0, 0)
        return self._call(state, first, last)

    def gather(self, start: int, wanted: int) -> int:
        """How many steps the next call can have from step `start` on: those of the epoch, at most as many as wanted."""
        assert self.steps is not None
        return min(wanted, self.steps - start)

    def group(self, state: State, start: int, stop: int) -> tuple[State, Logs, Logs]:
        """What `run` does, and the logs after each step."""
        if start == 0 and self._start:
            state = self._programs.group(state, self._examples, self._on_device(), 0, 0)[0]
        return self._programs.group(state, self._examples, self._on_device(), self._start + start, self._start + stop)

    def _on_device(self) -> Any:
        if self._order_on_device is None:
            self._order_on_device = jax.device_put(self._order)
        return self._order_on_device

    def first_bad_step(self, before: State, start: int, stop: int) -> int:
        """The first of the steps `start` to `stop` with a non-finite loss, counted from 1.

        The program is pure, so it runs again from the state before these steps, by bisection.
        """
        low, high = start, stop
        while high - low > 1:
            middle = (low + high) // 2
            logs = numbers(self.run(before, start, middle)[1])
            low, high = (middle, high) if math.isfinite(logs["loss"]) else (low, middle)
        return high

    def _call(self, state: State, start: int, stop: int) -> tuple[State, Logs]:
        if self._mode == "train":
            return self._programs.train(state, self._examples, self._order, start, stop)
        if self._mode == "group":
            return self._programs.group(state, self._examples, self._on_device(), start, stop)[:2]
        state = state if state is self._own else state.copied()
        result = self._programs.step(state, self._examples, self._on_device(), start, stop)
        self._own = result[0]
        return result

    def end(self) -> None:
        """Ends the epoch: nothing to do for arrays."""

    def order(self, number: int) -> Order:
        """The order of the images in a pass, int32; it depends on the seed and the number of the pass alone."""
        if not self._plan.shuffle:
            return np.arange(self._count, dtype=np.int32)
        return generator(self._plan.seed, "shuffle", number).permutation(self._count).astype(np.int32)


class ArrayValidation:
    """Validation over arrays on the device, all images in one call.

    Args:
        programs: what the images run through.
        examples: on the device.
    """

    def __init__(self, programs: Programs, examples: Examples) -> None:
        self._programs = programs
        self._examples = examples

    def prepare(self, state: State) -> None:
        """Compiles the program.

        Raises:
            EvaluationChangesStateError: the model can only be evaluated one batch after the other.
        """
        self._programs.prepare_evaluate(state, self._examples)

    def evaluate(self, state: State, callbacks: Sequence[Callback]) -> tuple[State, ValidationResult]:
        """The state as it was, and the result; there are no batches for callbacks to watch."""
        del callbacks
        logs, outcomes = self._programs.evaluate(state, self._examples)
        return state, ValidationResult(numbers(logs), jax.tree.map(np.asarray, outcomes), None)
