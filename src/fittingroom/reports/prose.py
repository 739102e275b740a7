"""Texts of a few paragraphs as a template shows them: paragraphs, and code in backticks."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Some words of a paragraph.

    Args:
        text: them.
        code: whether they are code.
    """

    text: str
    code: bool = False


def pieces(text: str) -> list[Piece]:
    """A text in one paragraph, split at its backticks; one without a partner stays as it is."""
    parts = re.split(r"`([^`]+)`", " ".join(text.split()))
    return [Piece(part, code=bool(place % 2)) for place, part in enumerate(parts) if part]


def paragraphs(text: str | None) -> list[list[Piece]]:
    """The paragraphs of a text, which blank lines separate; none for None."""
    return [pieces(one) for one in re.split(r"\n\s*\n", text or "") if one.strip()]
