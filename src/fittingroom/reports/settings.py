"""A recipe's settings as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def settings_shown(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each setting, without what is empty."""
    return [(name.replace("_", " "), _text(value)) for name, value in settings.items() if value not in (None, [], "")]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
