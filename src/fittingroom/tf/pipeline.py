"""`tf.data.Dataset` of the stand-in: a thin iterable, that `fit` takes as whole arrays where that is the same.

Functions of `map` are traced and compiled, as TensorFlow traces them; what cannot be traced (it asks for values, or
draws random numbers from Keras) runs element by element.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from fittingroom.tf.elements import (
    Element,
    ElementFunction,
    ElementTable,
    buffered,
    drawn_seed,
    joined,
    leaves,
    mapped,
    tensors,
)
from fittingroom.tf.tensors import as_tensor

AUTOTUNE = -1
_KEPT = 16  # batches that Keras may ask for again


class Pipeline(keras.utils.PyDataset):
    """Elements to iterate over, again and again: `tf.data.Dataset`.

    Args:
        elements: gives the elements of a pass, as NumPy's arrays.
        count: how many there are; None where only a pass tells.
        endless: whether a pass has no end.
        table: the same elements in arrays, where they are.
    """

    def __init__(
        self,
        elements: Callable[[], Iterator[Element]],
        count: int | None = None,
        endless: bool = False,
        table: ElementTable | None = None,
    ) -> None:
        super().__init__()
        self._elements, self._count, self._endless, self._table = elements, count, endless, table
        self._walk: Iterator[Element] | None = None
        self._walked = 0
        self._recent: OrderedDict[int, Element] = OrderedDict()

    @classmethod
    def _of_table(cls, table: ElementTable) -> Pipeline:
        batches = table.count if table.batch is None else -(-table.count // table.batch)
        return cls(table.elements, batches, table=table)

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: str | None = None) -> Pipeline:
        """The rows of arrays, or of a tuple or dictionary of arrays of the same length."""
        del name
        arrays = mapped(np.asarray, tensors)
        lengths = {len(array) for array in leaves(arrays)}
        if len(lengths) != 1:
            raise ValueError(f"from_tensor_slices needs arrays of one length, but got lengths {sorted(lengths)}.")
        return cls._of_table(ElementTable(arrays))

    @classmethod
    def from_tensors(cls, tensors: Any, name: str | None = None) -> Pipeline:
        """One element."""
        del name
        return cls(lambda: iter([mapped(np.asarray, tensors)]), 1)

    @classmethod
    def from_generator(cls, generator: Callable[..., Any], *_: Any, args: tuple[Any, ...] = (), **__: Any) -> Pipeline:
        """What a function yields, called for each pass."""
        return cls(lambda: (mapped(np.asarray, one) for one in generator(*args)))

    @classmethod
    def range(cls, *limits: int) -> Pipeline:
        """Whole numbers, as Python's `range` has them."""
        return cls.from_tensor_slices(np.arange(*limits))

    @classmethod
    def zip(cls, *datasets: Any) -> Pipeline:
        """Tuples of an element of each dataset."""
        parts: tuple[Pipeline, ...] = tuple(datasets[0]) if isinstance(datasets[0], tuple | list) else datasets
        counts = [part._count for part in parts if not part._endless]
        known = None if None in counts or not counts else min(count for count in counts if count is not None)
        return cls(lambda: zip(*(part._elements() for part in parts), strict=False), known, not counts)

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None, **options: Any) -> Pipeline:
        """What a function makes of each element; a tuple's parts are its arguments."""
        del num_parallel_calls, options
        example = next(self._elements(), None)
        if example is None:
            return self
        function, table = ElementFunction(map_func, example), self._table
        if table is not None and table.batch is None and function.is_traced:
            return self._of_table(ElementTable(table.arrays, (*table.functions, function), table.shuffle))
        return self._with(lambda: (function.each(element) for element in self._elements()))

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool = True, name: str | None = None
    ) -> Pipeline:
        """The elements in a random order: each is drawn from the next `buffer_size` ones."""
        del name
        table = self._table
        if table is not None and table.batch is None and table.shuffle is None:
            order = (int(buffer_size), seed, reshuffle_each_iteration)
            return self._of_table(ElementTable(table.arrays, table.functions, order))
        generator = np.random.default_rng(drawn_seed() if seed is None else seed)
        return self._with(lambda: buffered(self._elements(), int(buffer_size), generator))

    def batch(self, batch_size: int, drop_remainder: bool = False, **options: Any) -> Pipeline:
        """So many elements as one, with an axis before theirs; the last batch may be smaller."""
        del options
        size, table = int(batch_size), self._table
        if table is not None and table.batch is None and not (drop_remainder and table.count % size):
            batched = ElementTable(table.arrays, table.functions, table.shuffle, size)
            return self._of_table(batched)

        def batches() -> Iterator[Element]:
            elements = self._elements()
            while some := list(itertools.islice(elements, size)):
                if len(some) == size or not drop_remainder:
                    yield joined(some, np.stack)

        count = None if self._count is None else self._count // size if drop_remainder else -(-self._count // size)
        return Pipeline(batches, count, self._endless)

    def unbatch(self) -> Pipeline:
        """The elements of batches, one by one."""
        return Pipeline(
            lambda: (
                mapped(lambda array, row=row: array[row], batch)
                for batch in self._elements()
                for row in range(len(next(leaves(batch))))
            ),
            endless=self._endless,
        )

    def repeat(self, count: int | None = None) -> Pipeline:
        """So many passes one after the other; without a number, for ever."""
        if count is None or count < 0:
            return Pipeline(
                lambda: itertools.chain.from_iterable(self._elements() for _ in itertools.count()), None, True
            )
        whole = None if self._count is None else self._count * count
        return Pipeline(lambda: itertools.chain.from_iterable(self._elements() for _ in range(count)), whole)

    def take(self, count: int, name: str | None = None) -> Pipeline:
        """The first elements."""
        del name
        if count < 0:
            return self
        if (table := self._table) is not None and table.batch is None and table.shuffle is None:
            return self._of_table(ElementTable(mapped(lambda array: array[:count], table.arrays), table.functions))
        known = count if self._endless else None if self._count is None else min(count, self._count)
        return Pipeline(lambda: itertools.islice(self._elements(), count), known)

    def skip(self, count: int, name: str | None = None) -> Pipeline:
        """All but the first elements."""
        del name
        if (table := self._table) is not None and table.batch is None and table.shuffle is None:
            return self._of_table(ElementTable(mapped(lambda array: array[count:], table.arrays), table.functions))
        known = None if self._count is None else max(0, self._count - count)
        return Pipeline(lambda: itertools.islice(self._elements(), count, None), known, self._endless)

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Pipeline:
        """The elements for which a function is true."""
        del name

        def kept() -> Iterator[Element]:
            for element in self._elements():
                shown = tensors(element)
                if bool(predicate(*shown) if isinstance(shown, tuple) else predicate(shown)):
                    yield element

        return Pipeline(kept, endless=self._endless)

    def concatenate(self, dataset: Pipeline) -> Pipeline:
        """The elements of another dataset after these."""
        counts = (self._count, dataset._count)
        known = None if None in counts else sum(count for count in counts if count is not None)
        return Pipeline(lambda: itertools.chain(self._elements(), dataset._elements()), known)

    def enumerate(self, start: int = 0) -> Pipeline:
        """Pairs of a number and the element."""
        return self._with(lambda: ((np.int32(number), one) for number, one in enumerate(self._elements(), start)))

    def cache(self, *_: Any, **__: Any) -> Pipeline:
        """The same elements, which are made once where they are not arrays already."""
        if self._table is not None or self._endless:
            return self
        made: list[Element] = []

        def cached() -> Iterator[Element]:
            if made:
                yield from made
                return
            fresh = []
            for element in self._elements():
                fresh.append(element)
                yield element
            made[:] = fresh

        return self._with(cached)

    def prefetch(self, buffer_size: Any = None, name: str | None = None) -> Pipeline:
        """The same: there is nothing to wait for."""
        del buffer_size, name
        return self

    def with_options(self, options: Any) -> Pipeline:
        """The same: there are no options."""
        del options
        return self

    def cardinality(self) -> Any:
        """How many elements there are; -1 without end, -2 where only a pass tells, as in TensorFlow."""
        return as_tensor(-1 if self._endless else -2 if self._count is None else self._count)

    def as_numpy_iterator(self) -> Iterator[Element]:
        """The elements as NumPy's arrays."""
        return self._elements()

    def __iter__(self) -> Iterator[Element]:
        return (tensors(element) for element in self._elements())

    def __len__(self) -> int:
        if self._endless or self._count is None:
            raise TypeError("The dataset is endless, or only a pass tells how many elements it has.")
        return self._count

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        count = (
            "endless" if self._endless else "of unknown length" if self._count is None else f"{self._count} elements"
        )
        return f"<tf.data.Dataset of Fitting Room's stand-in, {count}>"

    def _with(self, elements: Callable[[], Iterator[Element]]) -> Pipeline:
        return Pipeline(elements, self._count, self._endless)

    # What `fit` asks for.

    @property
    def is_endless(self) -> bool:
        """Whether a pass has no end."""
        return self._endless

    def fit_arguments(self) -> dict[str, Any]:
        """The arguments of `fit` that train on the same batches: whole arrays where they are the same each time."""
        table = self._table
        if table is None or table.batch is None or not isinstance(table.arrays, tuple):
            return {"x": _Passes(self)}
        whole = table.whole()
        if not isinstance(whole, tuple) or len(whole) not in (2, 3):
            return {"x": _Passes(self)}
        x, y, *weights = whole
        arguments = {"x": x, "y": y, "batch_size": table.batch, "shuffle": table.shuffle is not None}
        return arguments | ({"sample_weight": weights[0]} if weights else {})

    def validation_arguments(self) -> dict[str, Any]:
        """The arguments of `fit` that validate on the same batches."""
        found = self.fit_arguments()
        if "y" not in found:
            return {"validation_data": found["x"]}
        parts = [found[name] for name in ("x", "y", "sample_weight") if name in found]
        return {"validation_data": tuple(parts), "validation_batch_size": found["batch_size"]}

    # What Keras's own fit, evaluate and predict ask for.

    @property
    def num_batches(self) -> int | None:
        """How many there are; None without end."""
        if self._count is None and not self._endless:
            self._count = sum(1 for _ in self._elements())
        return self._count

    def __getitem__(self, index: int) -> Element:
        if index in self._recent:
            return self._recent[index]
        if self._walk is None or index < self._walked:
            self.on_epoch_end()
        walk = self._walk
        assert walk is not None
        while self._walked <= index:
            self._recent[self._walked] = next(walk)
            self._walked += 1
            if len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        return self._recent[index]

    def on_epoch_end(self) -> None:
        """The next batch is the first of another pass."""
        self._walk, self._walked = self._elements(), 0
        self._recent.clear()


class _Passes:
    """The batches of a dataset, in its own order."""

    def __init__(self, dataset: Pipeline) -> None:
        self._dataset = dataset

    def __iter__(self) -> Iterator[Element]:
        return self._dataset._elements()
