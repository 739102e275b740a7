"""Arrays as the browser reads them: one body with a JSON header, and each array where the header says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_ALIGNED = 8  # bytes; typed arrays begin at multiples of the size of their numbers
_TYPES = {"int8": "i1", "uint8": "u1", "uint16": "<u2", "int32": "<i4", "float32": "<f4"}


def packed(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """One body of a JSON header and arrays, little-endian.

    The first four bytes are the length of the JSON text that follows. It has what `header` has, and under `arrays` the
    name, type, shape and place of each array: `start` counts from the end of the header, which is filled up with spaces
    so that it ends at a multiple of eight.

    Args:
        header: plain JSON.
        arrays: int8, uint8, uint16, int32 or float32.
    """
    places, parts, at = [], [], 0
    for name, array in arrays.items():
        kind = array.dtype.name
        content = np.ascontiguousarray(array, _TYPES[kind]).tobytes()
        places.append({"name": name, "type": kind, "shape": list(array.shape), "start": at})
        filled = content + bytes(-len(content) % _ALIGNED)
        parts.append(filled)
        at += len(filled)
    text = json.dumps({**header, "arrays": places}, ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % _ALIGNED)
    return b"".join([len(text).to_bytes(4, "little"), text, *parts])
