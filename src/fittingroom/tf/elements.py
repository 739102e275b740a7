"""Elements of a `tf.data.Dataset` of the stand-in: what a function makes of them, and those that lie in arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import keras
import numpy as np

from fittingroom.tf.tensors import as_tensor

Element = Any
"""An array, or a tuple or dictionary of arrays."""

_ROWS = 1024  # elements that a traced function of `map` sees at once
_NOT_TRACED = (TypeError, ValueError, AttributeError, NotImplementedError)  # JAX's tracer errors are TypeErrors


class ElementFunction:
    """A function of `map`: compiled for many elements at once where that gives the same.

    Args:
        function: the user's.
        example: an element.
    """

    def __init__(self, function: Callable[..., Any], example: Element) -> None:
        self._function = function
        self._changes_state = False
        try:
            self._each = jax.jit(self._pure)
            self._many = jax.jit(jax.vmap(self._pure))
            jax.eval_shape(self._pure, example)
            self.is_traced = not self._changes_state
        except _NOT_TRACED:
            self.is_traced = False

    def _pure(self, element: Element) -> Element:
        with keras.StatelessScope() as scope:  # variables of Keras, such as seeds, keep their values
            result = self._called(element)
        self._changes_state |= bool(scope.state_mapping)
        return result

    def _called(self, element: Element) -> Element:
        return self._function(*element) if isinstance(element, tuple) else self._function(element)

    def each(self, element: Element) -> Element:
        """The result for one element."""
        result = self._each(element) if self.is_traced else self._called(tensors(element))
        return mapped(np.asarray, result)

    def many(self, rows: Element) -> Element:
        """The results for many elements, whose arrays have an axis before theirs; only where it is traced."""
        return mapped(np.asarray, self._many(rows))


class ElementTable:
    """Elements that lie in arrays, with what is done to each of them.

    Args:
        arrays: the elements before the functions, all arrays of the same length.
        functions: traced ones, applied in order.
        shuffle: buffer size, seed, and whether each pass has an order of its own; None for the order of the arrays.
        batch: elements in a batch; None for single elements.
    """

    def __init__(
        self,
        arrays: Element,
        functions: tuple[ElementFunction, ...] = (),
        shuffle: tuple[int, int | None, bool] | None = None,
        batch: int | None = None,
    ) -> None:
        self.arrays, self.functions, self.shuffle, self.batch = arrays, functions, shuffle, batch
        self.count = len(next(leaves(arrays)))
        self._generator = np.random.default_rng(drawn_seed() if shuffle is None or shuffle[1] is None else shuffle[1])
        self._order: np.ndarray[Any, Any] | None = None

    def rows(self, indices: Any) -> Element:
        """Some elements, after the functions."""
        rows = mapped(lambda array: array[indices], self.arrays)
        for function in self.functions:
            rows = function.many(rows)
        return rows

    def whole(self) -> Element:
        """All elements in the order of the arrays."""
        if not self.functions:
            return self.arrays
        parts = [self.rows(slice(start, start + _ROWS)) for start in range(0, self.count, _ROWS)]
        return joined(parts, np.concatenate)

    def elements(self) -> Iterator[Element]:
        """A pass: elements, or batches."""
        order, size = self._next_order(), self.batch or _ROWS
        for start in range(0, self.count, size):
            rows = self.rows(order[start : start + size])
            if self.batch:
                yield rows
            else:
                for row in range(min(size, self.count - start)):
                    yield mapped(lambda array, row=row: array[row], rows)

    def _next_order(self) -> np.ndarray[Any, Any]:
        if self.shuffle is None:
            return np.arange(self.count)
        buffer, _, again = self.shuffle
        if self._order is None or again:
            if buffer >= self.count:
                self._order = self._generator.permutation(self.count)
            else:
                self._order = np.fromiter(buffered(range(self.count), buffer, self._generator), int, self.count)
        return self._order


def drawn_seed() -> int:
    """A seed from NumPy's generator, which `tf.random.set_seed` seeds."""
    return int(np.random.randint(2**31 - 1))  # noqa: NPY002 - Keras's own source of it


def buffered(elements: Any, size: int, generator: np.random.Generator) -> Iterator[Any]:
    """Elements in the order of a shuffle with a buffer."""
    waiting: list[Any] = []
    for element in elements:
        if len(waiting) < size:
            waiting.append(element)
            continue
        place = int(generator.integers(size))
        yield waiting[place]
        waiting[place] = element
    generator.shuffle(waiting)
    yield from waiting


def mapped(function: Callable[..., Any], element: Element) -> Element:
    """An element of what a function makes of each of its arrays."""
    if isinstance(element, tuple):
        return tuple(mapped(function, one) for one in element)
    if isinstance(element, dict):
        return {name: mapped(function, one) for name, one in element.items()}
    return function(element)


def leaves(element: Element) -> Iterator[Any]:
    """The arrays of an element."""
    if isinstance(element, tuple | dict):
        for one in element.values() if isinstance(element, dict) else element:
            yield from leaves(one)
    else:
        yield element


def joined(elements: list[Element], join: Callable[[list[Any]], Any]) -> Element:
    """One element of several, whose arrays are joined place by place."""
    first = elements[0]
    if isinstance(first, tuple):
        return tuple(joined([one[place] for one in elements], join) for place in range(len(first)))
    if isinstance(first, dict):
        return {name: joined([one[name] for one in elements], join) for name in first}
    return join(elements)


def tensors(element: Element) -> Element:
    """An element whose numbers are tensors; texts stay as they are."""
    return mapped(lambda one: as_tensor(one) if np.asarray(one).dtype.kind in "biuf" else one, element)
