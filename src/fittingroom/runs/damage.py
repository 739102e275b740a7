"""Reading files that may be damaged or hostile: whatever goes wrong becomes one RunError that names the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fittingroom.data.streams import read_file
from fittingroom.errors import RunError

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
