"""Reads the tables that give pictures their classes: `metadata.csv` or `metadata.jsonl`, as Hugging Face's ImageFolder.

A table lies beside its pictures and names each by its path from there, in the column `file_name`; its class stands in
`label`. A row is looked up among the files that a walk over the folder has found, so no row can name any other file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.atomic import read_file
from fittingroom.errors import DataError

_NAMES = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
_MOST_BYTES = 256 * 2**20
_FILE, _LABEL = "file_name", "label"


@dataclass(frozen=True)
class MetadataTable:
    """A table of pictures and their classes, not read yet.

    Args:
        path: of the file.
    """

    path: Path

    @classmethod
    def of_folder(cls, folder: Path) -> MetadataTable | None:
        """The table of a folder, if there is one; a link, which may lead anywhere, is not."""
        paths = (folder / name for name in _NAMES)
        return next((cls(path) for path in paths if path.is_file() and not path.is_symlink()), None)

    def labels(self, pictures: Mapping[str, Path]) -> tuple[dict[str, str], tuple[str, ...]]:
        """The class of each picture that the table names, in its order, and sentences about what was guessed.

        Args:
            pictures: those below its folder, by their paths from there.

        Raises:
            DataError: it cannot be read, lacks a column, names a file that is not among the pictures, or gives a
                picture two classes; rows are named by their lines.
        """
        path = self.path
        try:
            text = read_file(path, _MOST_BYTES).decode("utf-8-sig")  # spreadsheets write a byte order mark
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text ({error}). Save it as UTF-8.") from error
        if not text.strip():
            raise DataError(
                f"{path} is empty. Expected a header and a row for each picture, with {_FILE} and {_LABEL}."
            )
        rows = _json_rows(path, text) if path.suffix == ".jsonl" else _csv_rows(path, text, pictures)
        classes: dict[str, str] = {}
        lines: dict[str, int] = {}
        notes: tuple[str, ...] = ()
        for line, name, label, column in rows:
            if column != _LABEL and not notes:
                notes = (f"{path.name} has no column {_LABEL!r}, so the classes are taken from its column {column!r}.",)
            known = _looked_up(name, pictures)
            if known is None:
                raise DataError(f"{path}, line {line}: {_why_not(name, pictures)} Correct or remove the row.")
            if not label:
                raise DataError(f"{path}, line {line}: {name!r} has no label. Fill it in, or remove the row.")
            if classes.setdefault(known, label) != label:
                raise DataError(
                    f"{path}, lines {lines[known]} and {line}: {name!r} is both {classes[known]!r} and {label!r}. "
                    "A picture has one class; remove one of the rows."
                )
            lines.setdefault(known, line)
        if not classes:
            raise DataError(f"{path} has no rows. Expected one for each picture, with {_FILE} and {_LABEL}.")
        return classes, notes


def _looked_up(name: str, pictures: Mapping[str, Path]) -> str | None:
    plain = name.removeprefix("./")
    return next((form for form in (plain, plain.replace("\\", "/")) if form in pictures), None)


def _why_not(name: str, pictures: Mapping[str, Path]) -> str:
    shown = repr(name[:100])
    if not name:
        return f"{_FILE} is empty."
    if name.startswith(("/", "\\", "~")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
        return f"{shown} leads out of the folder; expected a path relative to the table."
    longer = next((other for other in pictures if Path(other).with_suffix("") == Path(name)), None)
    if longer is not None:
        return f"there is no picture {shown}, but {longer!r} is there; write file names with their endings."
    return f"there is no picture {shown} beside the table (links and hidden files do not count)."


def _csv_rows(path: Path, text: str, pictures: Mapping[str, Path]) -> Iterator[tuple[int, str, str, str]]:
    """Line, file, class, and the column that it stood in, of each row."""
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if any(_looked_up(name, pictures) for name in header):
            raise DataError(
                f"{path} has no header: its first line names a picture. Add the line {_FILE},{_LABEL} at the top."
            )
        file, label = _columns(path, header)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: it has {len(row)} values, but the header has "
                    f"{len(header)}. Correct the row."
                )
            yield reader.line_num, row[file].strip(), row[label].strip(), header[label]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}. Correct the row.") from error


def _columns(path: Path, header: list[str]) -> tuple[int, int]:
    """Which columns have the file and the class."""
    others = [name for name in header if name != _FILE]
    if _FILE not in header or not others or (_LABEL not in others and len(others) > 1):
        if not header:
            raise DataError(f"{path} begins with an empty line. Expected a header with {_FILE} and {_LABEL}.")
        shown = ", ".join(repr(name[:30]) for name in header[:10])
        raise DataError(f"{path} has the columns {shown}; expected {_FILE!r} and {_LABEL!r}. Rename them.")
    return header.index(_FILE), header.index(_LABEL if _LABEL in others else others[0])


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, str, str, str]]:
    """The same of a table with a JSON object on each line."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: it is not JSON ({error}). Correct the line.") from error
        values = (row.get(_FILE), row.get(_LABEL)) if isinstance(row, dict) else (None, None)
        if not isinstance(values[0], str) or not isinstance(values[1], str | int):
            raise DataError(f'{path}, line {number}: expected {{"{_FILE}": "0001.png", "{_LABEL}": "cat"}}.')
        yield number, values[0], str(values[1]), _LABEL
