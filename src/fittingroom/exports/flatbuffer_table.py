"""FlatBuffers from plain values: a table is a dictionary from slot to value, whose NumPy type is the field's type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

_ALIGNMENT = 16


@dataclass(frozen=True)
class Blob:
    """Bytes that start at a multiple of 16, as kernels read weights in place."""

    content: bytes


Table: TypeAlias = Mapping[int, Any]
"""Slot of a field -> its value: a NumPy scalar or a bool; a string; an array of numbers; a `Blob`; another table; a
sequence of tables or strings; None for a field that is left out."""


def encode(table: Table, identifier: str) -> bytes:
    """The FlatBuffer whose root is a table; equal tables give equal bytes.

    Args:
        table: the root.
        identifier: the four letters that say which schema it follows.
    """
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, table), file_identifier=identifier.encode())
    return bytes(builder.Output())


def _table(builder: Any, table: Table) -> int:
    fields = {slot: value for slot, value in table.items() if value is not None}
    # Whatever a table refers to has to be there before it.
    offsets = {slot: _offset(builder, value) for slot, value in fields.items() if not _is_scalar(value)}
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, value in fields.items():
        if slot in offsets:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
        else:
            _prepend(builder, value)
            builder.Slot(slot)
    return int(builder.EndObject())


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool | np.generic)


def _prepend(builder: Any, value: Any) -> None:
    kind = "bool" if isinstance(value, bool) else value.dtype.name
    getattr(builder, f"Prepend{kind.capitalize()}")(value if isinstance(value, bool) else value.item())


def _offset(builder: Any, value: Any) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, np.ndarray):
        return int(builder.CreateNumpyVector(np.ascontiguousarray(value)))
    if isinstance(value, Blob):
        return _aligned(builder, value.content)
    if isinstance(value, Mapping):
        return _table(builder, value)
    return _vector(builder, value)


def _vector(builder: Any, values: Sequence[Table | str]) -> int:
    offsets = [_offset(builder, value) for value in values]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _aligned(builder: Any, content: bytes) -> int:
    builder.StartVector(1, len(content), _ALIGNMENT)
    builder.head = builder.Head() - len(content)
    builder.Bytes[builder.Head() : builder.Head() + len(content)] = content
    return int(builder.EndVector())
