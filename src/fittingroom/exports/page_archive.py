"""Arrays and JSON in the text of a page: little-endian bytes, deflated, in base64. `page/archive.js` reads them.

Numbers of several bytes are stored by the place of the byte, all first bytes and then all second ones: trained weights
have exponents in common and little else, so that takes a tenth off what deflating leaves.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fittingroom.networks.graph import Array, Graph

_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
_ALIGNED = 8  # bytes, as the largest number


def packed(facts: Any, arrays: Mapping[str, Array]) -> str:
    """What `unpacked` of `archive.js` gives back as `{facts, arrays}`, where an array is `{shape, data}`.

    Args:
        facts: plain JSON.
        arrays: by name. Those of the same numbers are stored once.

    Raises:
        TypeError: JavaScript has no array of such numbers.
    """
    places: dict[bytes, int] = {}
    content, entries = bytearray(), {}
    for name, array in arrays.items():
        if array.dtype.name not in _TYPES:
            raise TypeError(f"array {name!r} holds {array.dtype.name}; expected one of {', '.join(_TYPES)}")
        planes = _planes(array)
        key = array.dtype.str.encode() + planes
        if key not in places:
            content += bytes(-len(content) % _ALIGNED)
            places[key] = len(content)
            content += planes
        entries[name] = {"type": array.dtype.name, "shape": array.shape, "start": places[key]}
    head = json.dumps({"facts": facts, "arrays": entries}, separators=(",", ":"), ensure_ascii=True).encode()
    head += b" " * (-len(head) % _ALIGNED)
    whole = len(head).to_bytes(_ALIGNED, "little") + head + content
    return base64.b64encode(zlib.compress(whole, 9)).decode("ascii")


def graph_parts(graph: Graph) -> tuple[dict[str, Any], dict[str, Array]]:
    """A graph as plain JSON, and its weights by the names that it has for them."""
    names: dict[int, str] = {}
    arrays: dict[str, Array] = {}

    def name_of(array: Array) -> str:
        if id(array) not in names:
            names[id(array)] = f"weights_{len(names)}"
            arrays[names[id(array)]] = np.asarray(array, np.float32)
        return names[id(array)]

    operations = [
        {
            "kind": operation.kind,
            "inputs": operation.inputs,
            "output": operation.output,
            "shape": operation.shape,
            "options": dict(operation.options),
            "weights": {name: name_of(array) for name, array in operation.weights.items()},
        }
        for operation in graph.operations
    ]
    described = {
        "image_shape": graph.image_shape,
        "image_type": graph.image_type,
        "operations": operations,
        "outputs": dict(graph.outputs),
    }
    return described, arrays


def _planes(array: Array) -> bytes:
    values = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return values.reshape(-1).view(np.uint8).reshape(-1, values.itemsize).T.tobytes()
