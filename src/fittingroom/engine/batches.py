"""An iterable of batches, walked epoch by epoch as Keras walks it.

It may be a `keras.utils.PyDataset`, a generator, or whatever else gives `(images, labels)` or `(images, labels,
weights)` when it is iterated: a `tf.data.Dataset`, a PyTorch `DataLoader`, a user's own object. No batch is kept: each
epoch iterates again, so that a loader's own shuffle and augmentation mean what they mean in Keras.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from fittingroom.engine.arrays import Arrays, LabelForm
from fittingroom.engine.user_arrays import ClassWeight, of_user
from fittingroom.errors import DataError, InputError
from fittingroom.seeds import generator

_NO_BATCHES = (list, tuple, dict, set, str, bytes)


class Batches:
    """The batches of a user's iterable, each of them checked.

    Args:
        given: the iterable.
        name: its argument's name, for messages.
        steps: batches in an epoch; by default those of a pass. With fewer than a pass has, the next epoch continues
            where this one ended; with more, an epoch ends with the pass, as in Keras.
        seed: of the order of a PyDataset's batches; None for their own order.
        class_weight: by class number; it cannot be balanced.
        like: for validation: training arrays whose form and scale its batches are converted to.
        form: what the labels may be besides class numbers.

    Attributes:
        first: the first batch, which is trained on nevertheless.
        taken: how many images the epoch has given so far.
        exhausted: whether an iterable of one pass has ended before the epoch had.

    Raises:
        InputError: it gives no batches, or something other than batches.
    """

    def __init__(
        self,
        given: Any,
        *,
        name: str = "x",
        steps: int | None = None,
        seed: int | None = None,
        class_weight: ClassWeight | None = None,
        like: Arrays | None = None,
        form: LabelForm | None = None,
    ) -> None:
        self.name = name
        self._source = _source_of(given, seed)
        self._given_steps = steps
        self._class_weight = class_weight
        self._like = like
        self._form = form or LabelForm()
        self._classes: int | None = None
        self._iterator: Iterator[Any] | None = None
        self._pass: int | None = None  # the next one's number: that of its epoch where each epoch is one
        self._seen = self._epoch = self._step = self.taken = 0
        self._begun: Iterator[Any] | None = None  # a pass whose first batch was looked at, and must not be lost
        self.exhausted = False
        self.first = self._peeked()

    @property
    def steps(self) -> int | None:
        """Batches in an epoch at most; None where only its end will tell."""
        return self._given_steps or self._source.count

    @property
    def single(self) -> bool:
        """Whether it can be iterated only once, as a generator."""
        return self._source.single

    @property
    def endless(self) -> bool:
        """Whether it has no last batch: a PyDataset without `num_batches`."""
        return self._source.endless

    @property
    def classes(self) -> int:
        """How many classes its labels may name: as `expect_classes` says, else as many as those of the first batch."""
        return self._classes or self.first.classes

    def examples(self) -> Batches:
        """Itself, where `Arrays` gives the arrays on the device: what the trainer takes."""
        return self

    def expect_classes(self, classes: int) -> None:
        """Makes a label beyond this number of classes an error from now on."""
        self._classes = classes

    def begin(self, epoch: int) -> None:
        """Starts an epoch, counted from 0."""
        if self._pass is None:
            self._pass = epoch
        self._epoch, self._step, self.taken = epoch, 0, 0
        self._source.epoch_begins()
        if self._iterator is None or (self._given_steps is None and not self.single):
            self._start_pass()

    def next(self) -> Arrays | None:
        """The next batch, or None where there is none.

        Raises:
            DataError: the batch cannot be trained on; the message says which it is.
        """
        batch = self._taken_from_pass()
        if batch is None and self._step == 0 and not self.single:
            self._start_pass()  # the epoch before took the last batch of its pass
            batch = self._taken_from_pass()
        if batch is None:
            self._iterator = self._iterator if self.single else None
            self.exhausted = self.single and self._given_steps is not None
            return None
        self._seen += 1
        self._step += 1
        arrays = self._checked(batch)
        self.taken += len(arrays)
        return arrays

    def end(self) -> None:
        """Ends an epoch."""
        if self._seen == self._source.count:
            self._iterator = None
        self._source.epoch_ends()

    def walk(self) -> Iterator[Arrays]:
        """The batches of one epoch from the start, as Keras validates on them."""
        self._source.epoch_ends()
        self._iterator = None
        self.begin(0)
        while self._step != self.steps and (batch := self.next()) is not None:
            yield batch
        self.end()

    @staticmethod
    def are_in(x: Any) -> bool:
        """Whether this is an iterable of batches rather than an array of images."""
        return hasattr(x, "__iter__") and not (
            isinstance(x, _NO_BATCHES) or hasattr(x, "__array__") or hasattr(x, "todense")
        )

    def _start_pass(self) -> None:
        self._pass = self._pass or 0
        self._iterator, self._begun = self._begun or self._source.iterator(self._pass), None
        self._pass, self._seen = self._pass + 1, 0

    def _taken_from_pass(self) -> Any:
        assert self._iterator is not None
        return None if self._seen == self._source.count else next(self._iterator, None)

    def _peeked(self) -> Arrays:
        """The first batch. Keras looks at that of training alone, to build the model, and tells a PyDataset so."""
        validation = self._like is not None
        if not validation:
            self._source.epoch_begins()
        iterator = self._source.iterator(0)
        batch = next(iterator, None)
        if not validation:
            self._source.epoch_ends()
        if batch is None:
            raise InputError(f"{self.name} gives no batches. Each epoch needs at least one.")
        if self.single:
            self._source = _SinglePass(batch, iterator)
        elif validation:
            self._begun = itertools.chain([batch], iterator)
        return self._checked(batch)

    def _checked(self, batch: Any) -> Arrays:
        if (quick := self._quickly_checked(batch)) is not None:
            return quick
        place = f"Batch {self._step} of epoch {self._epoch + 1} in {self.name}" if self._step else self.name
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise InputError(
                f"{place} is a {type(batch).__name__} where a batch should be; expected (images, labels) or "
                "(images, labels, sample_weight)."
            )
        try:
            arrays = of_user(*(_on_host(part) for part in batch), form=self._form)
            if self._class_weight is not None:
                arrays = self._class_weight.applied_to(arrays)
            if self._like is not None:
                arrays = arrays.like(self._like)
                arrays.require_class_of_each()
        except InputError as error:
            raise DataError(f"{place}: {error}") from error
        if self._step:
            _check_alike(place, arrays, self.first)
        if self._classes is not None and arrays.classes > self._classes:
            raise DataError(
                f"{place} has a label of class {arrays.classes - 1}, but the model has {self._classes} outputs "
                f"(classes 0 to {self._classes - 1})."
            )
        return arrays

    def _quickly_checked(self, batch: Any) -> Arrays | None:
        """The arrays of a batch that is like the first, and of which a look or two show that it is right; else None."""
        scaled = self._like is not None and self._like.scale is not None
        plain = self._step and self._class_weight is None and not scaled and self._form == LabelForm()
        if not plain or self._classes is None or not isinstance(batch, tuple | list) or len(batch) != 2:
            return None
        images, labels = batch
        if not (type(images) is type(labels) is np.ndarray and images.ndim and len(images) == labels.size > 0):
            return None
        wanted = self.first.images.dtype
        if images.dtype.kind == wanted.kind == "f":
            images = images.astype(wanted, copy=False)
        alike = images.dtype == wanted and images.shape[1:] == self.first.images.shape[1:]
        whole = labels.dtype.kind in "iu" and labels.dtype.isnative
        if not (alike and whole and labels.ndim == self.first.labels.ndim == 1):
            return None
        if images.dtype.kind == "f" and not (math.isfinite(images.min()) and math.isfinite(images.max())):
            return None
        return Arrays(images, labels) if labels.min() >= 0 and labels.max() < self._classes else None


def _check_alike(place: str, batch: Arrays, first: Arrays) -> None:
    if batch.images.shape[1:] != first.images.shape[1:]:
        raise DataError(
            f"{place} has images of shape {batch.images.shape[1:]}, but the first batch has {first.images.shape[1:]}. "
            "All images must have one shape."
        )


def _on_host(part: Any) -> Any:
    """A tensor of another library as a NumPy array."""
    if hasattr(part, "detach"):  # PyTorch's, which may be on a GPU or remember how it was computed
        part = part.detach().cpu()
    return part if part is None or hasattr(part, "__array__") or not hasattr(part, "numpy") else part.numpy()


class _Source(Protocol):
    """Where batches come from. A pass is once through all of them."""

    @property
    def count(self) -> int | None:
        """Batches in a pass, where it is known."""
        ...

    @property
    def single(self) -> bool:
        """Whether there is one pass only."""
        ...

    @property
    def endless(self) -> bool:
        """Whether a pass has no end."""
        ...

    def iterator(self, number: int) -> Iterator[Any]:
        """The batches of pass `number`, counted from 0."""
        ...

    def epoch_begins(self) -> None:
        """Before the first batch of an epoch."""
        ...

    def epoch_ends(self) -> None:
        """After the last batch of an epoch, and once before training, as in Keras."""
        ...


def _source_of(given: Any, seed: int | None) -> _Source:
    """What gives the batches; `seed` is for the order of a PyDataset, None for its own."""
    import keras

    if isinstance(given, keras.utils.PyDataset):
        return _Indexed(given, seed)
    return _SinglePass(None, given) if iter(given) is given else _Iterated(given)


class _Iterated:
    """An object that starts from its first batch whenever it is iterated."""

    single = False
    endless = False

    def __init__(self, given: Any) -> None:
        self._given = given
        try:
            self.count: int | None = len(given)
        except TypeError:  # it has no length, or does not know it
            self.count = None

    def iterator(self, number: int) -> Iterator[Any]:
        """The batches of a pass."""
        del number
        return iter(self._given)

    def epoch_begins(self) -> None:
        """Does nothing: the iterable is not told of epochs."""

    def epoch_ends(self) -> None:
        """Does nothing: the iterable is not told of epochs."""


class _SinglePass:
    """A generator, which can be iterated once; `first` was taken from it already."""

    single = True
    endless = False
    count = None

    def __init__(self, first: Any, rest: Iterator[Any]) -> None:
        self._batches = rest if first is None else itertools.chain([first], rest)

    def iterator(self, number: int) -> Iterator[Any]:
        """The batches of a pass."""
        del number
        return self._batches

    def epoch_begins(self) -> None:
        """Does nothing: the iterable is not told of epochs."""

    def epoch_ends(self) -> None:
        """Does nothing: the iterable is not told of epochs."""


class _Indexed:
    """Keras's PyDataset: its batches have numbers, and with a seed each pass has an order of its own."""

    single = False

    def __init__(self, given: Any, seed: int | None) -> None:
        self._given = given
        self._seed = seed
        try:
            self.count: int | None = given.num_batches
        except NotImplementedError:
            self.count = None
        self.endless = self.count is None

    def iterator(self, number: int) -> Iterator[Any]:
        """The batches of a pass."""
        if self.count is None:
            return (self._given[index] for index in itertools.count())
        order = range(self.count)
        shuffled = order if self._seed is None else generator(self._seed, "shuffle", number).permutation(self.count)
        return (self._given[int(index)] for index in shuffled)

    def epoch_begins(self) -> None:
        """Tells the PyDataset."""
        self._given.on_epoch_begin()

    def epoch_ends(self) -> None:
        """Tells the PyDataset."""
        self._given.on_epoch_end()
