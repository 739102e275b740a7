"""Named float arrays from a PyTorch weights file of the old form, without PyTorch and without running code.

Such a file is a row of pickles (a magic number, a version, a description of the machine, the dictionary of tensors, the
names of the storages), and behind them the numbers themselves. Python's unpickler imports and calls whatever a pickle
names. The reader here is not one: it knows the few instructions that a dictionary of tensors needs, calls nothing, and
refuses everything else. A "call" in the file is only ever matched against three names, and makes a tuple.
"""

from __future__ import annotations

import io
import math
import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from fittingroom.errors import InputError

Array = np.ndarray[Any, Any]

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_MOST_TENSORS = 10_000
_MOST_AXES = 8
_MOST_STEPS = 1_000_000  # instructions of one pickle

_STORAGES: dict[str, np.dtype[Any]] = {"torch FloatStorage": np.dtype("<f4"), "torch LongStorage": np.dtype("<i8")}
_DICTIONARY = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"


def read_tensors(content: bytes) -> dict[str, Array]:
    """The float32 tensors of a PyTorch weights file by name; whole numbers, such as counters, are left out.

    Args:
        content: the bytes of a file that `torch.save` of PyTorch before 1.6 wrote of a state dictionary.

    Returns:
        Arrays of their own, in the order of the file.

    Raises:
        InputError: it is not such a file, or holds anything but named tensors, or a tensor does not fit its numbers.
    """
    try:
        with warnings.catch_warnings():  # of Python's reader, about texts with a backslash
            warnings.simplefilter("ignore", DeprecationWarning)
            return _read(io.BytesIO(content))
    except (_RefusedError, RecursionError) as error:
        raise InputError(f"It is not a PyTorch weights file that is read here: {error}.") from error


class _RefusedError(Exception):
    """What is wrong with the file, as the end of a sentence."""


@dataclass(frozen=True)
class _Storage:
    """Numbers behind the pickles: their name in the file, type and count."""

    name: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A tensor as the file describes it: a part of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def is_within(self) -> bool:
        """Whether it lies in its storage, and is not larger either (a stride of 0 would repeat numbers)."""
        last = self.offset + sum((side - 1) * stride for side, stride in zip(self.shape, self.strides, strict=True))
        return 0 < math.prod(self.shape) <= self.storage.count and last < self.storage.count

    def of(self, numbers: Array) -> Array:
        """Its values, from the numbers of its storage."""
        strides = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides, writeable=False).copy()


def _read(stream: io.BytesIO) -> dict[str, Array]:
    if _Pickle(stream).value() != _MAGIC:
        raise _RefusedError("it does not begin with PyTorch's mark (files of PyTorch 1.6 and later are zip archives)")
    version = _Pickle(stream).value()
    if version != _VERSION:
        raise _RefusedError(f"its version is {str(version)[:20]}; only {_VERSION} is known")
    machine = _Pickle(stream).value()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise _RefusedError("its numbers are not in little-endian order")
    tensors = _named_tensors(_Pickle(stream).value())
    names = _Pickle(stream).value()
    storages = {tensor.storage.name: tensor.storage for tensor in tensors.values()}
    if not isinstance(names, list) or sorted(map(str, names)) != sorted(storages):
        raise _RefusedError("its list of storages is not that of its tensors")
    values = {name: _numbers(stream, storages[name]) for name in names}
    if stream.read(1):
        raise _RefusedError("something follows its numbers")
    return {
        name: tensor.of(values[tensor.storage.name])
        for name, tensor in tensors.items()
        if tensor.storage.dtype.kind == "f"
    }


def _named_tensors(found: Any) -> dict[str, _Tensor]:
    if not isinstance(found, dict) or not found or len(found) > _MOST_TENSORS:
        raise _RefusedError("it holds no dictionary of tensors")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise _RefusedError(f"its entry {str(name)[:60]!r} is not a named tensor")
    return found


def _numbers(stream: io.BytesIO, storage: _Storage) -> Array:
    """The next storage: how many numbers it has, in eight bytes, and the numbers."""
    stored = int.from_bytes(stream.read(8), "little")
    if stored != storage.count:
        raise _RefusedError(f"a storage has {stored:,} numbers where {storage.count:,} were announced")
    rest = stream.getbuffer().nbytes - stream.tell()
    size = storage.count * storage.dtype.itemsize
    if size > rest:
        raise _RefusedError("it ends early")
    return np.frombuffer(stream.read(size), storage.dtype)


class _Mark:
    """Where a tuple, list or dictionary begins on the stack."""


_MARK = _Mark()


class _Pickle:
    """One pickle, read by a machine that knows numbers, texts, tuples, lists, dictionaries and tensors."""

    _CONSTANTS: ClassVar[dict[str, Any]] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
    _VALUES: ClassVar[tuple[str, ...]] = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE")

    def __init__(self, stream: io.BytesIO) -> None:
        self._stream = stream
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def value(self) -> Any:
        """What the pickle describes."""
        try:
            for step, (opcode, argument, _) in enumerate(pickletools.genops(self._stream)):
                if step > _MOST_STEPS:
                    raise _RefusedError("its description has too many steps")
                self._do(opcode.name, argument)
            (value,) = self._stack
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError, MemoryError) as error:
            raise _RefusedError(f"it is damaged ({str(error)[:80] or type(error).__name__})") from error
        if isinstance(value, _Name):
            raise _RefusedError(f"it names {value.text[:60]}")
        return value

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in self._VALUES:
            stack.append(argument)
        elif name in self._CONSTANTS:
            stack.append(self._CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "GLOBAL":
            stack.append(_Name(argument))
        elif name in _STRUCTURES:
            _STRUCTURES[name](self)
        elif name not in ("PROTO", "STOP"):
            raise _RefusedError(f"its description holds the instruction {name}, which no dictionary of tensors needs")

    def _marked(self) -> list[Any]:
        """What lies above the last mark, which goes with it."""
        place = max(place for place, value in enumerate(self._stack) if value is _MARK)
        above = self._stack[place + 1 :]
        del self._stack[place:]
        return above

    def _mark(self) -> None:
        self._stack.append(_MARK)

    def _empty_tuple(self) -> None:
        self._stack.append(())

    def _empty_list(self) -> None:
        self._stack.append([])

    def _empty_dict(self) -> None:
        self._stack.append({})

    def _tuple(self) -> None:
        self._stack.append(tuple(self._marked()))

    def _tuple_of(self, length: int) -> None:
        if len(self._stack) < length:
            raise _RefusedError("it is damaged")
        self._stack[-length:] = [tuple(self._stack[-length:])]

    def _append(self) -> None:
        self._append_all([self._stack.pop()])

    def _append_marked(self) -> None:
        self._append_all(self._marked())

    def _append_all(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise _RefusedError("it appends to what is not a list")
        self._stack[-1].extend(items)

    def _set_items(self) -> None:
        items = self._marked()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set(key, value)

    def _set(self, key: Any, value: Any) -> None:
        found = self._stack[-1]
        if not isinstance(found, dict) or not isinstance(key, str):  # the hash of deeply nested tuples ends the process
            raise _RefusedError("it sets items that are not named, or of what is not a dictionary")
        found[key] = value

    def _storage(self) -> None:
        kind, name, storage, device, count, view = self._stack.pop()
        dtype = _STORAGES.get(name.text)
        if kind != "storage" or dtype is None or device != "cpu" or view is not None:
            raise _RefusedError(f"a tensor lies in {name.text[:60]} on {str(device)[:20]}; float32 on the CPU is read")
        if not isinstance(storage, str) or not _is_count(count):
            raise _RefusedError("a storage has no name or no size")
        self._stack.append(_Storage(storage, dtype, count))

    def _call(self) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        if called.text == _DICTIONARY and arguments == ():
            self._stack.append({})
        elif called.text == _TENSOR:
            self._stack.append(_tensor(*arguments))
        else:
            raise _RefusedError(f"it calls {called.text[:60]}, and nothing in a file is run")

    def _attributes(self) -> None:
        """Attributes of a state dictionary: the versions of its layers, which are not needed."""
        self._stack.pop()


_STRUCTURES: dict[str, Callable[[_Pickle], None]] = {
    "MARK": _Pickle._mark,
    "EMPTY_TUPLE": _Pickle._empty_tuple,
    "EMPTY_LIST": _Pickle._empty_list,
    "EMPTY_DICT": _Pickle._empty_dict,
    "TUPLE": _Pickle._tuple,
    "TUPLE1": partial(_Pickle._tuple_of, length=1),
    "TUPLE2": partial(_Pickle._tuple_of, length=2),
    "TUPLE3": partial(_Pickle._tuple_of, length=3),
    "APPEND": _Pickle._append,
    "APPENDS": _Pickle._append_marked,
    "SETITEM": _Pickle._set_item,
    "SETITEMS": _Pickle._set_items,
    "BINPERSID": _Pickle._storage,
    "REDUCE": _Pickle._call,
    "BUILD": _Pickle._attributes,
}


@dataclass(frozen=True)
class _Name:
    """Module and name of something in Python that the file speaks of; it is compared and never looked up."""

    text: str


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> _Tensor:
    """The tensor of a call of `_rebuild_tensor_v2`, which must lie within its storage."""
    if not isinstance(storage, _Storage) or not _is_count(offset) or len(rest) > 2:
        raise _RefusedError("a tensor has no storage")
    if not all(isinstance(sides, tuple) and all(map(_is_count, sides)) for sides in (shape, strides)):
        raise _RefusedError("a tensor has no shape")
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise _RefusedError("a tensor has no shape")
    tensor = _Tensor(storage, offset, shape, strides)
    if not tensor.is_within:
        raise _RefusedError("a tensor is larger than its storage")
    return tensor
