"""Lists of images that somebody looks at: what an audit found, and what a person decided, as one CSV file.

A row names an image of the files' own training part, of which validation is cut, so that it means the same image with
every split seed. `COLUMNS` are the columns; whoever writes a list by hand needs `index` or `file` only. Spreadsheets
execute cells that begin with `=`, `+`, `-` or `@`: such texts get an apostrophe in front, which reading takes off.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from fittingroom.atomic import read_file, storage_errors, write_bytes
from fittingroom.errors import DataError
from fittingroom.text import word_list

Decision = Literal["", "keep", "exclude", "relabel"]
"""Nothing decided; the image stays as it is; it is left out; it gets the label in `new_label`."""

COLUMNS = (
    "check",
    "part",
    "index",
    "file",
    "image",
    "label",
    "suggested",
    "probability",
    "why",
    "other",
    "decision",
    "new_label",
)
"""The columns of a list, in the order in which they are written."""

_OTHER_NAMES = {"file_name": "file", "filename": "file", "row": "index"}
_DECISIONS = get_args(Decision)
_PARTS = ("train", "validation", "test")
_MOST_BYTES = 128 * 2**20
_MOST_ROWS = 1_000_000
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """An image in a list.

    Args:
        part: `train`, `validation` or `test`, where it was when the list was written.
        index: its position in the files' own training part (of `test`: in the test part), from 0; None if not given.
        file: its file in the dataset's folder; empty where images have no files.
        image: what the image is, as `Dataset` hashes it: `pixels:` or `file:` and 32 hexadecimal digits; or empty.
        label: the name of its class as given; empty where that was not written.
        suggested: the class that it may belong to, or empty.
        probability: that its label is wrong, 0 to 1; None where that was not asked.
        check: which check found it.
        why: what was found.
        other: the part, position and file of the image that it duplicates, or empty.
        decision: what a person decided.
        new_label: the name of the class that the image gets, where `decision` is `relabel`.
        line: its line in the file, from 1.
    """

    part: str = "train"
    index: int | None = None
    file: str = ""
    image: str = ""
    label: str = ""
    suggested: str = ""
    probability: float | None = None
    check: str = ""
    why: str = ""
    other: str = ""
    decision: Decision = ""
    new_label: str = ""
    line: int = 0

    def cells(self) -> list[str]:
        """Its cells in the order of `COLUMNS`, as they are written."""
        texts = {
            "index": "" if self.index is None else str(self.index),
            "probability": "" if self.probability is None else f"{self.probability:.4g}",
        }
        return [_safe(texts.get(name, getattr(self, name))) for name in COLUMNS]


@dataclass(frozen=True)
class ReviewList:
    """The rows of a list.

    Args:
        path: its file.
        sha256: of the file, in hexadecimal.
        rows: in the order of the file.
        asks: whether it has the column `decision`. A list without it is one that a person wrote: every row counts.
    """

    path: Path
    sha256: str
    rows: tuple[ReviewRow, ...]
    asks: bool

    @classmethod
    def read(cls, path: Path) -> ReviewList:
        """The list in a CSV file, separated by commas, semicolons or tabs.

        Raises:
            DataError: it cannot be read, lacks a column, or a row (named by its line) makes no sense.
        """
        try:
            content = read_file(path, _MOST_BYTES)
            text = content.decode("utf-8-sig")  # spreadsheets write a byte order mark
        except OSError as error:
            raise DataError(f"cannot read the list {path}: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise DataError(f"the list {path} is not UTF-8 text ({error}). Save it as CSV in UTF-8.") from error
        try:
            header, rows = _read(text)
        except (DataError, csv.Error) as error:
            raise DataError(f"the list {path}: {str(error).rstrip('.')}.") from error
        return cls(path, hashlib.sha256(content).hexdigest(), rows, "decision" in header)

    @staticmethod
    def text(rows: Iterable[ReviewRow]) -> str:
        """The content of the file with some rows; `read` gives the same rows."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        writer.writerows(row.cells() for row in rows)
        return stream.getvalue()

    @classmethod
    def write(cls, path: Path, rows: Iterable[ReviewRow]) -> None:
        """Writes a list; one in which nobody has decided anything may be overwritten, and nothing else.

        Raises:
            DataError: the file exists and is another one, or has decisions.
            StorageError: it cannot be written.
        """
        if path.exists():
            try:
                decided = any(row.decision for row in cls.read(path).rows)
                what = "has decisions that somebody made" if decided else ""
            except DataError:
                what = "is another file"
            if what:
                raise DataError(f"{path} exists already and {what}. Choose another name.")
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, cls.text(rows).encode())


def _read(text: str) -> tuple[tuple[str, ...], tuple[ReviewRow, ...]]:
    """The names of the columns, and the rows."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: tuple[str, ...] = ()
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = _header(cells)
        else:
            rows.append(_row(reader.line_num, header, cells))
        if len(rows) > _MOST_ROWS:
            raise DataError(f"it has more than {_MOST_ROWS:,} rows; a list may have as many as that")
    if not header:
        raise DataError(
            "it is empty. Expected a header and a row for each image, as `fittingroom audit --export` writes"
        )
    return header, tuple(rows)


def _header(cells: Sequence[str]) -> tuple[str, ...]:
    names = [cell.strip().lower() for cell in cells]
    header = tuple(_OTHER_NAMES.get(name, name) for name in names)
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if twice:
        raise DataError(f"its header has {word_list(twice)} more than once")
    if not {"index", "file"} & {*header}:
        shown = word_list([repr(name[:40]) for name in names], most=12)
        raise DataError(
            f"its first line has the columns {shown}; expected index or file to say which image a row means"
        )
    return header


def _row(line: int, header: Sequence[str], cells: Sequence[str]) -> ReviewRow:
    if len(cells) != len(header):
        raise DataError(f"line {line} has {len(cells)} values, but the header has {len(header)} columns")
    given = {name: _plain(cell) for name, cell in zip(header, cells, strict=True) if name in COLUMNS}

    def chosen(name: str, known: Sequence[str], otherwise: str) -> str:
        value = given.get(name, "").strip().lower()
        if value not in {*known, ""}:
            listed = word_list([one for one in known if one], last="or")
            raise DataError(f"line {line}: {name} is {given[name][:60]!r}; expected {listed}, or nothing")
        return value or otherwise

    index, file = _index(line, given.get("index", "").strip()), given.get("file", "")
    if index is None and not file.strip():
        raise DataError(f"line {line} has neither index nor file, so it means no image")
    texts = {
        name: given.get(name, "") for name in ("image", "label", "suggested", "check", "why", "other", "new_label")
    }
    decision = cast("Decision", chosen("decision", _DECISIONS, ""))
    return ReviewRow(
        part=chosen("part", _PARTS, "train"),
        index=index,
        file=file,
        probability=_probability(given),
        decision=decision,
        line=line,
        **texts,
    )


def _index(line: int, text: str) -> int | None:
    """A position; spreadsheets may write 12 as 12.0."""
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,15}(\.0+)?", text):
        raise DataError(f"line {line}: index is {text[:60]!r}; expected a whole number from 0")
    return int(text.partition(".")[0])


def _probability(given: Mapping[str, str]) -> float | None:
    """A probability, which nothing but an estimate of the error rate asks for; None where there is none."""
    try:
        value = float(given.get("probability", ""))
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _safe(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _plain(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
