"""Values from JSON, made sure to be of the kind that was written; anything else is a ValueError."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_LARGEST = 2**53  # beyond it, not every whole number is one of JSON


def text(value: Any) -> str:
    """A text that can be written: one without halves of characters."""
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:100]!r} stands where a text is expected")  # noqa: TRY004
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{ascii(value)[:100]} stands where a text is expected") from None
    return value


def optional_text(value: Any) -> str | None:
    """The same, or None."""
    return None if value is None else text(value)


def whole(value: Any) -> int:
    """A whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{str(value)[:100]!r} stands where a whole number is expected")
    return value


def number(value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or not math.isfinite(value):
        raise ValueError(f"{str(value)[:100]!r} stands where a number is expected")
    return float(value)


def optional_number(value: Any) -> float | None:
    """The same, or None."""
    return None if value is None else number(value)


def share(value: Any) -> float:
    """A number from 0 to 1."""
    if not 0 <= number(value) <= 1:
        raise ValueError(f"{value!r} stands where a number from 0 to 1 is expected")
    return float(value)


def optional_share(value: Any) -> float | None:
    """The same, or None."""
    return None if value is None else share(value)


def check_plain(value: Any) -> None:
    """Makes sure that all texts in a value, however deep, can be written, and that no number is beyond all measure."""
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


def check_score(stored: Any) -> None:
    """Makes sure that a score has all that `evaluation.scores.Scores.to_dict` gives, each of its kind."""
    score = dict(stored.items())
    confusion, classes = score["confusion"], score["per_class"]
    optional_number(score["loss"])
    share(score["accuracy"])
    low, high = score["interval"]
    if not share(low) <= share(high):
        raise ValueError("a score's interval is none")
    if whole(score["correct"]) > whole(score["count"]) or not score["count"]:
        raise ValueError(f"a score has {score['correct']} of {score['count']} images right")
    if not isinstance(confusion, list) or not confusion or len(confusion) != len(classes):
        raise ValueError("a score's confusion matrix has not a row for each class")
    if any(len(row) != len(classes) for row in confusion) or not sum(whole(cell) for row in confusion for cell in row):
        raise ValueError("a score's confusion matrix is none")
    for one in classes:
        text(one["name"])
