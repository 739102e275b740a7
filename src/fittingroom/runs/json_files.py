"""Values as strict JSON: NumPy's numbers become Python's; what JSON has no word for (NaN, infinity) becomes null.

Values from JSON, made sure to be of the kind that was written; anything else is a ValueError.

Reading files that may be damaged or hostile: whatever goes wrong becomes one RunError that names the file.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fittingroom.atomic import read_file
from fittingroom.errors import RunError

T = TypeVar("T")


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


_LARGEST = 2**53  # beyond it, not every whole number is one of JSON


def text(value: Any) -> str:
    """A text that can be written: one without halves of characters."""
    if not isinstance(value, str):
        raise ValueError(f"expected a text, got {str(value)[:100]!r}")  # noqa: TRY004
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"expected a text, got {ascii(value)[:100]}") from None
    return value


def whole(value: Any) -> int:
    """A whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise ValueError(f"expected a whole number, got {str(value)[:100]!r}")
    return value


def number(value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or not math.isfinite(value):
        raise ValueError(f"expected a number, got {str(value)[:100]!r}")
    return float(value)


def share(value: Any) -> float:
    """A number from 0 to 1."""
    if not 0 <= number(value) <= 1:
        raise ValueError(f"expected a number from 0 to 1, got {value!r}")
    return float(value)


def optional(read: Callable[[Any], T], value: Any) -> T | None:
    """A value that may be missing, read as `text`, `number` or `share` read it."""
    return None if value is None else read(value)


_LARGEST_JSON = 16 * 2**20
"""Bytes. The description of a network of a thousand layers has about three million."""

_MOST_VALUES = 1_000_000
"""An empty list is 3 bytes in a file and 64 in memory, so that values count beside bytes."""


@contextmanager
def damage(path: Path, name: str) -> Iterator[None]:
    """Turns whatever a damaged file makes its reader raise into a RunError that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"{path} is not a whole run: it has no {name}.") from error
    except RunError as error:
        raise RunError(f"{path}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # readers of damaged files raise almost anything
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        short = reason if len(reason) <= 500 else f"{reason[:500]}..."
        raise RunError(f"{path / name} is damaged and cannot be read: {short}") from error


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RunError: it holds none, or far more than ours do.
        OSError, ValueError, RecursionError: the file cannot be read, or is no JSON; `damage` makes RunErrors of these.
    """
    content = read_file(path, _LARGEST_JSON)
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > _MOST_VALUES:
        raise RunError(f"{path.name} is damaged: it has more than {_MOST_VALUES:,} values.")
    stored = json.loads(content, parse_constant=_refuse)
    if not isinstance(stored, dict):
        raise RunError(f"{path.name} is damaged: it holds no JSON object.")
    return stored


def _refuse(constant: str) -> None:
    """NaN and infinity are not JSON, and nothing of ours writes them."""
    raise ValueError(f"it holds {constant}")


def check_format(stored: Mapping[str, Any], newest: int, name: str = "run.json") -> None:
    """Makes sure that a file of a run is written in a format that this version reads.

    Args:
        stored: its contents.
        newest: the newest format that is read.
        name: the file's name.

    Raises:
        RunError: it is in a newer format, or the file is damaged.
    """
    found = stored.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise RunError(f"{name} is damaged: its format is {found!r}, not a number.")
    if found > newest:
        from fittingroom import __version__

        environment = stored.get("environment")
        versions = environment.get("versions") if isinstance(environment, Mapping) else None
        writer = str(versions.get("fittingroom", "")) if isinstance(versions, Mapping) else ""
        raise RunError(
            f"{name} has format {found}, and this fittingroom {__version__} reads formats up to {newest}. Upgrade to "
            f"{f'version {writer} or newer' if writer else 'a newer version'}: pip install --upgrade fittingroom."
        )


def known_fields(kind: type[T], stored: Mapping[str, Any]) -> T:
    """The fields that `kind` has; one with a default may be missing, as in records of older versions."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    wanted = [field.name for field in fields if field.name in stored or field.default is dataclasses.MISSING]
    return kind(**{name: stored[name] for name in wanted})


def check_plain(value: Any) -> None:
    """Raises ValueError where a text in a value, however deep, cannot be written, or a number is too large."""
    if isinstance(value, str):
        text(value)
    elif isinstance(value, int | float):
        number(float(value) if isinstance(value, bool) else value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            text(key)
            check_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_plain(item)
