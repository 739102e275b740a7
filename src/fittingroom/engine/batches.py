"""An iterable of batches, walked epoch by epoch as Keras walks it.

Taken are `keras.utils.PyDataset`, generators, and whatever else gives `(images, labels)` or `(images, labels, weights)`
when it is iterated: a `tf.data.Dataset`, a PyTorch `DataLoader`, an object of the user's. Nothing is kept: each epoch
iterates anew, so that a loader's own shuffle and augmentation mean what they mean in Keras.

The kinds of iterables that give batches, under one interface: their passes, and what is known of their end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Protocol

from fittingroom.engine.arrays import Arrays, LabelForm, alike, class_weighted, of_user, require_class_of_each
from fittingroom.errors import DataError, InputError
from fittingroom.seeds import generator


def gives_batches(x: Any) -> bool:
    """Whether this is an iterable of batches rather than an array of images."""
    return hasattr(x, "__iter__") and not (
        isinstance(x, _NO_BATCHES) or hasattr(x, "__array__") or hasattr(x, "todense")
    )


_NO_BATCHES = (list, tuple, dict, set, str, bytes)


class Batches:
    """What a user's iterable gives, batch by batch, checked.

    Args:
        given: the iterable.
        name: what the user calls it, for messages.
        steps: batches in an epoch; by default those of a pass. With fewer than a pass has, the next epoch goes on where
            this one ended; with more, an epoch ends with the pass, as in Keras.
        seed: of the order of a PyDataset's batches; None for their own.
        class_weight: class number -> weight of its images.
        like: training arrays whose form and scale validation batches are brought to.
        form: what the labels may be besides class numbers.

    Attributes:
        first: the first batch; it is trained on nevertheless.
        taken: how many images the epoch has given so far.
        exhausted: whether an iterable of one pass has come to its end before the epoch had.

    Raises:
        InputError: it gives no batches, or something else than batches.
    """

    def __init__(
        self,
        given: Any,
        *,
        name: str = "x",
        steps: int | None = None,
        seed: int | None = None,
        class_weight: Mapping[int, float] | None = None,
        like: Arrays | None = None,
        form: LabelForm | None = None,
    ) -> None:
        self.name = name
        self._source = source_of(given, seed)
        self._given_steps = steps
        self._class_weight = class_weight
        self._like = like
        self._form = form or LabelForm()
        self._classes: int | None = None
        self._iterator: Iterator[Any] | None = None
        self._pass: int | None = None  # the next one's number: that of its epoch where each epoch is one
        self._seen = self._epoch = self._step = self.taken = 0
        self._begun: Iterator[Any] | None = None  # the pass whose first batch was looked at, and is not lost by that
        self.exhausted = False
        self.first = self._peeked()

    @property
    def steps(self) -> int | None:
        """Batches in an epoch at most; None where only its end will tell."""
        return self._given_steps or self._source.count

    @property
    def single(self) -> bool:
        """Whether its batches can be had only once: a generator."""
        return self._source.single

    @property
    def endless(self) -> bool:
        """Whether it says of itself that it has no last batch."""
        return self._source.endless

    @property
    def classes(self) -> int:
        """How many classes its labels may name; those of the first batch do, where nothing else was said."""
        return self._classes or self.first.classes

    def examples(self) -> Batches:
        """Itself: what the trainer takes, as arrays give theirs."""
        return self

    def expect_classes(self, classes: int) -> None:
        """From now on a label that names a class beyond these is an error."""
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
            raise InputError(f"{self.name} gives no batches. Each epoch needs one at least.")
        if self.single:
            self._source = SinglePass(batch, iterator)
        elif validation:
            self._begun = chain([batch], iterator)
        return self._checked(batch)

    def _checked(self, batch: Any) -> Arrays:
        place = f"Batch {self._step} of epoch {self._epoch + 1} in {self.name}" if self._step else self.name
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise InputError(
                f"{place} is a {type(batch).__name__} where a batch should be; expected (images, labels) or "
                "(images, labels, sample_weight)."
            )
        try:
            arrays = of_user(*(_on_host(part) for part in batch), form=self._form)
            arrays = class_weighted(arrays, self._class_weight)
            if self._like is not None:
                arrays = alike(arrays, self._like)
                require_class_of_each(arrays)
        except InputError as error:
            raise DataError(f"{place}: {error}") from error
        if self._step:
            _check_alike(place, arrays, self.first)
        if self._classes is not None and arrays.classes > self._classes:
            raise DataError(
                f"{place} has a label of class {arrays.classes - 1}, and the model has {self._classes} outputs "
                f"(classes 0 to {self._classes - 1})."
            )
        return arrays


def _check_alike(place: str, batch: Arrays, first: Arrays) -> None:
    if batch.images.shape[1:] != first.images.shape[1:]:
        raise DataError(
            f"{place} has images of the shape {batch.images.shape[1:]}, and the first batch {first.images.shape[1:]}. "
            "All must have one shape."
        )


def _on_host(part: Any) -> Any:
    """A tensor of another library as an array of NumPy."""
    if hasattr(part, "detach"):  # PyTorch's, which may be on a GPU or remember how it was computed
        part = part.detach().cpu()
    return part if part is None or hasattr(part, "__array__") or not hasattr(part, "numpy") else part.numpy()


class Source(Protocol):
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


def source_of(given: Any, seed: int | None) -> Source:
    """What gives the batches; `seed` is for the order of a PyDataset, None for its own."""
    import keras

    if isinstance(given, keras.utils.PyDataset):
        return Indexed(given, seed)
    return SinglePass(None, given) if iter(given) is given else Iterated(given)


class Iterated:
    """Something that starts anew whenever it is iterated."""

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
        """Nothing."""

    def epoch_ends(self) -> None:
        """Nothing."""


class SinglePass:
    """A generator: its batches can be had once. `first` was taken from it already."""

    single = True
    endless = False
    count = None

    def __init__(self, first: Any, rest: Iterator[Any]) -> None:
        self._batches = rest if first is None else _chained(first, rest)

    def iterator(self, number: int) -> Iterator[Any]:
        """The batches of a pass."""
        del number
        return self._batches

    def epoch_begins(self) -> None:
        """Nothing."""

    def epoch_ends(self) -> None:
        """Nothing."""


def _chained(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


class Indexed:
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
