"""A fitted classifier as bytes, and back: skops with nothing trusted beyond its defaults.

The bytes are canonical: the same training gives the same file. skops names its arrays by their addresses in memory and
its ZIP archive has the time of day, so both are written anew.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

from fittingroom.errors import RunError

MOST_BYTES = 512 * 2**20
"""The largest estimator that is kept."""

_DATE = (1980, 1, 1, 0, 0, 0)
_SCHEMA = "schema.json"


def estimator_bytes(kept: dict[str, Any]) -> tuple[bytes | None, str | None]:
    """The bytes of a fitted estimator with what belongs to it; or None, and why it cannot be kept."""
    import skops.io

    try:
        content = _canonical(skops.io.dumps(kept))
    except Exception as error:  # skops raises errors of many types for what it cannot write
        return None, f"skops cannot write it: {' '.join(str(error).split())[:300]}"
    if len(content) > MOST_BYTES:
        return None, f"it is {len(content) / 2**20:,.0f} MB; at most {MOST_BYTES / 2**20:,.0f} MB are kept"
    foreign = skops.io.get_untrusted_types(data=content)
    if foreign:
        return None, f"it contains {', '.join(sorted(foreign)[:5])}, which skops does not read without trust"
    return content, None


def estimator_of(content: bytes) -> dict[str, Any]:
    """What `estimator_bytes` wrote.

    Raises:
        RunError: the content is damaged, or has a type that skops does not trust.
    """
    import skops.io

    try:
        kept = skops.io.loads(content, trusted=None)
    except Exception as error:  # a damaged file can fail in any way
        raise RunError(f"the kept estimator cannot be read: {' '.join(str(error).split())[:300]}.") from error
    if not isinstance(kept, dict):
        raise RunError(f"the kept estimator is a {type(kept).__name__}; expected a dictionary.")
    return kept


def _canonical(content: bytes) -> bytes:
    """The archive with its addresses numbered in order, its entries in order, without dates, compressed."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w") as new:
        schema = json.loads(old.read(_SCHEMA))
        numbers: dict[str, str] = {}
        numbered = _numbered(schema, numbers)
        entries = {_SCHEMA: json.dumps(numbered, separators=(",", ":")).encode()}
        for name in old.namelist():
            if name != _SCHEMA:
                stem, dot, ending = name.partition(".")
                entries[f"{numbers[stem]}{dot}{ending}"] = old.read(name)
        for name, data in sorted(entries.items()):
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = 0o600 << 16
            new.writestr(info, data, compress_type=zipfile.ZIP_DEFLATED, compresslevel=6)
    return written.getvalue()


def _numbered(node: Any, numbers: dict[str, str]) -> Any:
    """The schema with 1, 2, 3 in the order of their appearance in place of addresses."""
    if isinstance(node, list):
        return [_numbered(one, numbers) for one in node]
    if not isinstance(node, dict):
        return node
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key == "__id__" and isinstance(value, int):
            result[key] = int(numbers.setdefault(str(value), str(len(numbers) + 1)))
        elif key == "file" and isinstance(value, str) and re.fullmatch(r"\d+\.\w+", value):
            stem, _, ending = value.partition(".")
            result[key] = f"{numbers.setdefault(stem, str(len(numbers) + 1))}.{ending}"
        else:
            result[key] = _numbered(value, numbers)
    return result
