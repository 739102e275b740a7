"""Names of classes, from folders, tables and arrays: whether they can be told apart, and in which order they stand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from fittingroom.errors import DataError

_LONGEST = 200  # characters; a folder's name has at most 255 bytes
_NUMBER = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """What sorts names as people count: `2` before `10`, `size 9` before `size 12`."""
    pieces = _NUMBER.split(name)
    return tuple(int(piece) if at % 2 else piece for at, piece in enumerate(pieces)), name


def class_names(names: Iterable[str], what: str) -> dict[str, str]:
    """For each of these names that of its class: the same, in one Unicode form.

    Args:
        names: as a file system or a table has them.
        what: they are in a message, such as `class folder`.

    Raises:
        DataError: a name is not text, or too long, or two differ only in case or Unicode form.
    """
    forms = {name: unicodedata.normalize("NFC", name) for name in sorted(names)}
    alike: dict[str, list[str]] = {}
    for written, name in forms.items():
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
            raise DataError(
                f"the {what} {written[:_LONGEST]!r} has characters in its name that are no text. Rename it."
            )
        if len(name) > _LONGEST:
            raise DataError(f"the {what} {written[:40]!r}... has {len(name):,} characters; at most {_LONGEST} can be.")
        alike.setdefault(name.casefold(), []).append(written)
    for group in alike.values():
        if len(group) > 1:
            raise DataError(
                f"the {what}s {' and '.join(ascii(name) for name in group)} differ only in case or Unicode form. "
                "Rename one, or put their pictures together."
            )
    return forms
