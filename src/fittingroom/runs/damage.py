"""Reading files that may be damaged: whatever goes wrong becomes one RunError that names the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fittingroom.errors import RunError


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
        raise RunError(f"{path / name} is damaged and cannot be read: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(stored, dict):
        raise RunError(f"{path.name} is damaged: it holds no JSON object.")
    return stored
