"""A small TOML file that remembers where each key stands, so that an error can name file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fittingroom.atomic import read_file
from fittingroom.errors import InputError, RecipeError

_LARGEST = 128 * 2**10  # bytes; a recipe with all its settings has about one thousand, a lab with its texts ten

_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]")
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=\s*(.*)", re.DOTALL)
_QUOTES = ('"""', "'''")

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class TomlFile:
    """What a file says, and where.

    Args:
        path: the file.
        text: its text.
        content: what that says.
    """

    path: Path
    text: str
    content: Mapping[str, Any]

    @contextmanager
    def named(self, *place: str | int) -> Iterator[None]:
        """Puts file and line in front of the message of an error about a key.

        Args:
            place: where the key stands: the names of its tables and its own; a number for one of an array of tables.

        Raises:
            RecipeError: an InputError was raised within.
        """
        try:
            yield
        except InputError as error:
            raise RecipeError(f"{self.path}, line {self.line(*place)}: {error}") from error

    def line(self, *place: str | int) -> int:
        """The number of the line that sets a key or begins a table, counted from 1; of what it stands in otherwise."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    @cached_property
    def _lines(self) -> dict[Place, int]:
        """Each key and table -> its line."""
        found: dict[Place, int] = {}
        counts: dict[Place, int] = {}
        table: Place = ()
        inside = ""  # the quotes of a text of several lines
        for number, line in enumerate(self.text.splitlines(), start=1):
            if inside:
                inside = "" if inside in line else inside
            elif header := _HEADER.match(line):
                table = _opened(_names(header[2]), counts, many=header[1] == "[[")
                found.setdefault(table, number)
                found.setdefault(tuple(one for one in table if isinstance(one, str)), number)
            elif key := _KEY.match(line):
                names = _names(key[1])
                for end in range(1, len(names) + 1):
                    found.setdefault((*table, *names[:end]), number)
                inside = next((quote for quote in _QUOTES if line.count(quote) % 2), "")
        return found


def read_toml(path: Path, what: str) -> TomlFile:
    """A small TOML file.

    Args:
        path: the file.
        what: what it holds, for the message of an error.

    Raises:
        RecipeError: the file is missing, too large, or no TOML.
    """
    text = _read_text(path, what)
    return TomlFile(path, text, _parse(path, text))


def _read_text(path: Path, what: str) -> str:
    try:
        return read_file(path, _LARGEST).decode("utf-8-sig")  # editors on Windows write a byte order mark
    except OSError as error:
        raise RecipeError(f"the {what} {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not a text file in UTF-8: byte {error.start} does not belong there.") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (RecursionError, ValueError) as error:  # too deep, or a number of thousands of digits
        raise RecipeError(f"{path} is not valid TOML: {error}. A line looks like `learning_rate = 0.001`.") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, text))


def _opened(names: tuple[str, ...], counts: dict[Place, int], *, many: bool) -> Place:
    """The place of a table; a table inside one of an array of tables belongs to the last of these."""
    place: Place = ()
    for name in names:
        place = (*place, name)
        if many and len(place) == len(names) + sum(isinstance(one, int) for one in place):
            counts[place] = counts.get(place, 0) + 1
        if place in counts:
            place = (*place, counts[place] - 1)
    return place
