"""Small TOML files, read by a declared form: recipes, experiments, searches and labs.

A `Form` names the keys of a table and says what each may hold; `Form.read` gives a `Table` of checked values. Every
message begins with the file and the line of the key that it is about, which Python's own `tomllib` does not remember.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fittingroom.atomic import read_file
from fittingroom.errors import InputError, RecipeError, UnknownNameError

_LARGEST = 128 * 2**10  # bytes; a recipe with all its settings has about one thousand, a lab with its texts ten

_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]")
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=\s*(.*)", re.DOTALL)
_QUOTES = ('"""', "'''")

_Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Key:
    """What a key of a table may hold.

    Args:
        kind: the type of its value, or several; a `Form` for a table.
        expected: what a message says was expected, such as `a text`.
        convert: takes the key and its value, and returns the value to keep; raises InputError for one that makes no
            sense.
        required: whether the table must have the key.
        many: whether a `Form` stands for an array of tables, `[[claim]]`.
    """

    kind: type | tuple[type, ...] | Form = object
    expected: str = ""
    convert: Callable[[str, Any], Any] | None = None
    required: bool = False
    many: bool = False

    def checked(self, name: str, value: Any) -> Any:
        """The value as it is kept.

        Raises:
            InputError: it has another type, or makes no sense.
        """
        if isinstance(self.kind, Form):
            if self.many and not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
                raise RecipeError(f"{name} = {value!r}: expected tables that begin with [[{name}]].")
            kind: type | tuple[type, ...] = list if self.many else dict
        else:
            kind = self.kind
        # Python counts True as 1, and TOML does not.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in {bool, object}):
            raise RecipeError(f"{name} = {value!r}: expected {self.expected}.")
        return value if self.convert is None else self.convert(name, value)


@dataclass(frozen=True)
class Form:
    """The keys of a table.

    Args:
        what: what messages call the table, such as `a claim`.
        keys: name -> what it may hold.
        unknown: gives the error for a key that is not among them; by default one that names the nearest.
    """

    what: str
    keys: Mapping[str, Key]
    unknown: Callable[[str], InputError] | None = None

    def read(self, path: Path) -> Table:
        """The checked values of a small TOML file.

        Raises:
            RecipeError: the file is missing, too large, is not TOML, or holds something else; with file and line.
        """
        text = _read_text(path, self.what.removeprefix("a ").removeprefix("an "))
        return Table(_File(path, text), self, _parse(path, text))

    def refusal(self, key: str) -> InputError:
        """The error for a key that the table does not have."""
        return self.unknown(key) if self.unknown else UnknownNameError(f"key of {self.what}", key, self.keys)


class Table(Mapping[str, Any]):
    """The checked values of a table, of the keys that it has. Tables inside it are of this type too.

    Args:
        file: the file with the table.
        form: what the table may hold.
        content: the table as `tomllib` read it.
        place: the names of the tables around it and its own; a number for one of an array of tables.

    Raises:
        RecipeError: a key is unknown or missing, or a value makes no sense; with file and line.
    """

    def __init__(self, file: _File, form: Form, content: Mapping[str, Any], place: _Place = ()) -> None:
        self._file, self._form, self._place = file, form, place
        # Unknown keys first: a mistyped key is the likelier reason why another one is missing.
        for name in content:
            with self.at(name):
                if name not in form.keys:
                    raise form.refusal(name)
        for name, key in form.keys.items():
            with self.at():
                if key.required and name not in content:
                    raise RecipeError(f"{form.what} has no {name}: expected {key.expected}.")
        self._values = {
            name: self._read(name, key, content[name]) for name, key in form.keys.items() if name in content
        }

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def folder(self) -> Path:
        """The folder of the file, from which its relative paths count."""
        return self._file.path.parent

    @contextmanager
    def at(self, *names: str) -> Iterator[None]:
        """Puts file and line in front of the message of an error about a key, or about a key of a table in this one.

        Raises:
            RecipeError: an InputError was raised within.
        """
        try:
            yield
        except InputError as error:
            line = self._file.line(*self._place, *names)
            raise RecipeError(f"{self._file.path}, line {line}: {error}") from error

    def _read(self, name: str, key: Key, value: Any) -> Any:
        with self.at(name):
            checked = key.checked(name, value)
        if not isinstance(key.kind, Form):
            return checked
        if key.many:
            return tuple(Table(self._file, key.kind, one, (*self._place, name, i)) for i, one in enumerate(checked))
        return Table(self._file, key.kind, checked, (*self._place, name))


@dataclass(frozen=True)
class _File:
    """A file and its text, which tells on which line a key stands."""

    path: Path
    text: str

    def line(self, *place: str | int) -> int:
        """The line that sets a key or begins a table, counted from 1; the line of the table around it otherwise."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    @cached_property
    def _lines(self) -> dict[_Place, int]:
        """Each key and table -> its line."""
        found: dict[_Place, int] = {}
        counts: dict[_Place, int] = {}
        table: _Place = ()
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


def _opened(names: tuple[str, ...], counts: dict[_Place, int], *, many: bool) -> _Place:
    """The place of a table; a table inside one of an array of tables belongs to the last of these."""
    place: _Place = ()
    for name in names:
        place = (*place, name)
        if many and len(place) == len(names) + sum(isinstance(one, int) for one in place):
            counts[place] = counts.get(place, 0) + 1
        if place in counts:
            place = (*place, counts[place] - 1)
    return place
