"""A fitted classifier as bytes, and back: skops with nothing trusted beyond its defaults.

The bytes are canonical: the same training gives the same file. skops names its arrays by their addresses in memory and
its ZIP archive has the time of day, so both are written anew.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

from fittingroom.classical.plain_objects import as_plain, from_plain
from fittingroom.errors import RunError

MOST_BYTES = 512 * 2**20
"""The largest estimator that is kept."""

MOST_UNPACKED = 4 * 2**30
"""And what it may be unpacked: a forged file must not fill the memory."""

_DATE = (1980, 1, 1, 0, 0, 0)
_SCHEMA = "schema.json"


def estimator_bytes(estimator: Any, scale: float, about: Mapping[str, float | None]) -> tuple[bytes | None, str | None]:
    """The bytes of a fitted estimator; or None, and why it cannot be kept.

    Args:
        estimator: fitted.
        scale: what pixels were divided by.
        about: numbers that belong to it.
    """
    import skops.io

    try:
        content = _canonical(skops.io.dumps({**as_plain(estimator, scale), "about": dict(about)}))
    except Exception as error:  # skops raises errors of many types for what it cannot write
        return None, f"skops cannot write it: {' '.join(str(error).split())[:300]}"
    for size, most in ((len(content), MOST_BYTES), (_unpacked(content), MOST_UNPACKED)):
        if size > most:
            return None, f"it is {size / 2**20:,.0f} MB; at most {most / 2**20:,.0f} MB are kept"
    foreign = skops.io.get_untrusted_types(data=content)
    if foreign:
        return None, f"it contains {', '.join(sorted(foreign)[:5])}, which skops does not read without trust"
    return content, None


def estimator_of(content: bytes) -> tuple[Any, dict[str, Any]]:
    """The estimator that `estimator_bytes` wrote, and the numbers that belong to it.

    Raises:
        RunError: the content is damaged, or has a type that skops does not trust.
    """
    import skops.io

    try:
        if len(content) > MOST_BYTES or _unpacked(content) > MOST_UNPACKED:
            raise RunError(f"the kept estimator is larger than {MOST_UNPACKED / 2**20:,.0f} MB, so it is not read.")
        kept = skops.io.loads(content, trusted=None)
        return from_plain(kept), dict(kept["about"])
    except RunError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise RunError(f"the kept estimator cannot be read: {' '.join(str(error).split())[:300]}.") from error


def _unpacked(content: bytes) -> int:
    """The bytes of all entries of an archive; none gives more when it is read than it says here."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return sum(entry.file_size for entry in archive.infolist())


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
            new.writestr(
                info, data, compress_type=zipfile.ZIP_DEFLATED, compresslevel=1
            )  # 6 takes thrice as long for a tenth less
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
