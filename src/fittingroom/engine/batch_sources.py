"""The kinds of iterables that give batches, under one interface: their passes, and what is known of their end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

from fittingroom.seeds import generator


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
