"""Values as strict JSON: NumPy's numbers become Python's; what JSON has no word for (NaN, infinity) becomes null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """The value in terms of dict, list, str, int, finite float, bool and None."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's arrays and scalars, without importing NumPy
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no plain form")


def json_line(value: Any) -> bytes:
    """The value as JSON in one line, for files that people hardly read: indented, it takes ten times as long."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False).encode()


def json_text(value: Any, encoding: str | None = "utf-8") -> str:
    """The value as indented JSON that every parser reads.

    Args:
        value: what `plain` takes.
        encoding: that the text will be written in. Where it lacks a character, all beyond ASCII are escaped.
    """
    content = plain(value)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:  # a terminal without UTF-8, or a path that is not UTF-8
        return json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False)
    return text
