"""Names of classes, and labels as files have them made positions among these names.

Names come from folders, tables and arrays; labels are text, or numbers that need not begin at 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.errors import DataError
from fittingroom.text import word_list

_LONGEST = 200  # characters; a folder's name has at most 255 bytes
_NUMBER = re.compile(r"([0-9]+)")


def _natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """What sorts names as people count: `2` before `10`, `size 9` before `size 12`."""
    pieces = _NUMBER.split(name)
    return tuple(int(piece) if at % 2 else piece for at, piece in enumerate(pieces)), name


def class_names(names: Iterable[str], what: str) -> dict[str, str]:
    """For each of these names that of its class, the same in one Unicode form; in the order in which people count.

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
                f"the {what} {written[:_LONGEST]!r} has characters in its name that are not text. Rename it."
            )
        if len(name) > _LONGEST:
            raise DataError(
                f"the {what} {written[:40]!r}... has {len(name):,} characters; at most {_LONGEST} are "
                "allowed. Shorten it."
            )
        alike.setdefault(name.casefold(), []).append(written)
    for group in alike.values():
        if len(group) > 1:
            raise DataError(
                f"the {what}s {word_list(ascii(name) for name in group)} differ only in case or Unicode form. "
                "Rename one, or merge the two."
            )
    return dict(sorted(forms.items(), key=lambda item: _natural_key(item[1])))


_MOST_CLASSES = 10_000


@dataclass(frozen=True, eq=False)
class _NamedLabels:
    """Labels of both parts, and the classes that they name.

    Attributes:
        train: `(n,)` or `(n, 1)`; whole numbers from 0, as far as they were whole numbers before.
        test: the same, or None.
        classes: None where the numbers need no other names than themselves.
        notes: what was guessed.
    """

    train: NDArray[Any]
    test: NDArray[Any] | None
    classes: tuple[str, ...] | None
    notes: tuple[str, ...]


def named(train: NDArray[Any], test: NDArray[Any] | None, classes: tuple[str, ...] | None) -> _NamedLabels:
    """Labels that are text, begin at 1 or have gaps, as numbers from 0 with the names of their classes.

    Args:
        train: labels as they were read, `(n,)` or `(n, 1)`, of any type.
        test: those of the test part, if there is one.
        classes: names from the same file; whole numbers are positions in it.

    Raises:
        DataError: text that cannot be names of classes, or that `classes` lacks.
    """
    # Both parts together: a class that only the test part has must keep its place among the others.
    arrays = [array for array in (train, test) if array is not None]
    if any(array.dtype.kind in "US" for array in arrays):
        return _of_text(train, test, classes)
    values = [_whole(array) for array in arrays]
    if any(value is None for value in values):
        return _NamedLabels(train, test, classes, ())  # which labels are wrong is said where they are checked
    distinct = np.unique(np.concatenate([value for value in values if value is not None]))
    low, high, count = int(distinct[0]), int(distinct[-1]), len(distinct)
    if classes is not None:
        if low == 1 and high == len(classes):
            note = f"The labels run from 1 to {high} and there are {high} class names, so 1 is taken as {classes[0]!r}."
            return _NamedLabels(train - 1, None if test is None else test - 1, classes, (note,))
        return _NamedLabels(train, test, classes, ())
    if (low, high) == (0, count - 1):
        return _NamedLabels(train, test, None, ())
    gaps = (
        ""
        if count == high - low + 1
        else f" {high - low + 1 - count:,} numbers in between do not occur, and are not classes."
    )
    note = f"The labels run from {low} to {high}; the {count:,} classes are named by their labels.{gaps}"
    found = tuple(str(int(value)) for value in distinct)
    return _NamedLabels(np.searchsorted(distinct, train), _position(distinct, test), found, (note,))


def _whole(array: NDArray[Any]) -> NDArray[Any] | None:
    """The values, if they can be labels: whole numbers from 0, and not too many different ones."""
    if array.size == 0 or array.dtype.kind not in "biuf":
        return None
    values = np.unique(array)
    sound = bool(np.isfinite(values).all()) and values[0] >= 0 and len(values) <= _MOST_CLASSES
    return values if sound and bool((values == np.floor(values)).all()) else None


def _position(distinct: NDArray[Any], values: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if values is None else np.searchsorted(distinct, values)


def _of_text(train: NDArray[Any], test: NDArray[Any] | None, classes: tuple[str, ...] | None) -> _NamedLabels:
    texts = [None if array is None else _as_text(array) for array in (train, test)]
    distinct = {str(name) for text in texts if text is not None for name in np.unique(text)}
    if "" in distinct:
        raise DataError("some labels are empty. Give each image a class, or leave the image out.")
    if len(distinct) > _MOST_CLASSES:
        raise DataError(
            f"there are {len(distinct):,} different labels; at most {_MOST_CLASSES:,} classes are supported. "
            "Are these the labels?"
        )
    forms = class_names(distinct, "label")
    order = classes or tuple(forms.values())
    unknown = sorted(set(forms.values()) - set(order))
    if unknown:
        raise DataError(
            f"the label {unknown[0]!r} is not among the class names ({word_list(order, most=10)}). "
            "Correct it, or add the name."
        )
    place = {name: order.index(form) for name, form in forms.items()}
    return _NamedLabels(_placed(texts[0], place), _placed(texts[1], place), order, ())


def _as_text(array: NDArray[Any]) -> NDArray[np.str_]:
    try:
        return array.astype(np.str_)
    except UnicodeDecodeError as error:
        raise DataError(f"the labels are bytes that are not ASCII text ({error}). Save them as str.") from error


def _placed(text: NDArray[np.str_] | None, place: dict[str, int]) -> Any:
    if text is None:
        return None
    distinct, inverse = np.unique(text, return_inverse=True)
    return np.array([place[str(name)] for name in distinct], np.int32)[inverse.reshape(text.shape)]
