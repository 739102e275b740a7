"""Reads pictures from a CSV file: a row for each, its pixels in columns of numbers, perhaps with its label.

The well-known form has the columns `label, pixel0, ..., pixel783` (Kaggle's MNIST, Fashion-MNIST and Sign Language).
The header may be absent (then the label comes first), the label may come last or be text, and the values may be
separated by semicolons or tabs.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import open_file
from fittingroom.data.cache import DatasetSource
from fittingroom.data.contents import RawDataset, RawPart
from fittingroom.data.sniff import LARGEST_ARRAY, LOOKED_AT, FileKind
from fittingroom.data.values import to_images
from fittingroom.errors import DataError
from fittingroom.text import amount, word_list

_LONGEST_LINE = 16 * 2**20  # bytes
_BLOCK = 2048
"""Rows that are read at a time; a file is never in memory as text."""

_LABELS = ("label", "labels", "class", "class_label", "target", "y")
_FILES = ("file_name", "filename", "file", "path", "filepath", "image", "image_path", "image_id", "image_name")
_PIXEL = re.compile(r"(pixel|pix|px|p|x|v|f|col|column|feature)?[ _.-]?\d+([x_:,.-]\d+)?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class PixelTable:
    """The rows of a CSV file.

    Attributes:
        images: `(n, height, width)` or `(n, height, width, 3)`, of the type that holds the numbers.
        labels: `(n,)`, whole numbers or text; None where the file has none.
        notes: what was guessed or left out.
    """

    images: NDArray[Any]
    labels: NDArray[Any] | None
    notes: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> PixelTable:
        """The pictures of a CSV file, and their labels where it has them.

        Raises:
            DataError: it cannot be read, its columns are not those of square pictures, or a row (named by its line)
                has too few or too many values, or one that is not a number.
        """
        try:
            with _text(path) as stream:
                columns = _columns(path, _first_line(path, stream))
                stream.seek(0)
                blocks = _Blocks(path, columns)
                lines = _lines(path, stream)
                if columns.header:
                    next(lines)
                while block := list(islice(lines, _BLOCK)):
                    blocks.add(block)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
        return blocks.table()

    @staticmethod
    def picture_shape(pixels: int) -> tuple[int, ...] | None:
        """The shape of a square picture of so many values: grey where that is possible, else in colour; or None."""
        side = math.isqrt(pixels)
        if side > 1 and side * side == pixels:
            return side, side
        side = math.isqrt(pixels // 3)
        return (side, side, 3) if side > 1 and 3 * side * side == pixels else None

    @staticmethod
    def dataset_source(path: Path) -> DatasetSource:
        """The dataset in a user's file, with the test part of a file `...test.csv` beside it."""
        other, note = _beside(path)
        files = (path,) if other is None else (path, other)
        return DatasetSource.of_files("csv", str(path), files, lambda: _read_csv(path, other, note).checked())

    @staticmethod
    def test_file(path: Path) -> Path | None:
        """The test part's file that belongs to a training part's by its name, there or not; None for other names."""
        name = re.sub("train(ing)?", "test", path.name, flags=re.IGNORECASE)
        return None if name == path.name else path.with_name(name)


@dataclass(frozen=True)
class _Columns:
    """What the columns of a file mean.

    Attributes:
        count: how many there are.
        label: the position of the label; None where there is none.
        pixels: the positions of the pixels.
        shape: of a picture.
        delimiter: between two values.
        header: whether the first line names the columns.
        notes: what was guessed or left out.
    """

    count: int
    label: int | None
    pixels: range | tuple[int, ...]
    shape: tuple[int, ...]
    delimiter: str
    header: bool
    notes: tuple[str, ...]


def _read_csv(path: Path, other: Path | None, note: tuple[str, ...]) -> RawDataset:
    tables = {str(file): PixelTable.read(file) for file in (path, other) if file is not None}
    train = tables[str(path)]
    if train.labels is None:
        height, width = train.images.shape[1:3]
        raise DataError(
            f"{path} has as many columns as a picture of {height}x{width} pixels, so none is left for the label. Add a "
            f"column label, or use the rows to predict: fittingroom predict RUN {path}."
        )
    images, notes = to_images({name: table.images for name, table in tables.items()})
    test = None
    if other is not None and (labels := tables[str(other)].labels) is not None:
        test = RawPart(images[str(other)], labels)
    return RawDataset(
        train=RawPart(images[str(path)], train.labels),
        test=test,
        source=f"file {path}",
        notes=(*(note for table in tables.values() for note in table.notes), *note, *notes),
    )


def _beside(path: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The file with the test part that belongs to a file of the training part by its name, and a sentence about it."""
    other = PixelTable.test_file(path)
    if other is None or not other.is_file():
        return None, ()
    if _read_columns(other).label is None:
        return None, (f"{other.name}, which lies beside it, has no labels, so it is not used as the test part.",)
    return other, (f"The test part is {other.name}, which lies beside it.",)


def _read_columns(path: Path) -> _Columns:
    """What the columns of a CSV file mean; only its first line is read.

    Raises:
        DataError: as for `PixelTable.read`.
    """
    try:
        with _text(path) as stream:
            return _columns(path, _first_line(path, stream))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error


def _text(path: Path) -> io.TextIOWrapper:
    # Bytes that are not UTF-8 can stand in labels alone, where they are refused.
    return io.TextIOWrapper(open_file(path), encoding="utf-8-sig", errors="surrogateescape", newline="")


def _lines(path: Path, stream: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number."""
    number = 0
    while line := stream.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise DataError(f"{path}, line {number}: it is longer than {_LONGEST_LINE:,} characters. Is it a CSV file?")
        if line := line.strip("\r\n"):
            yield number, line


def _first_line(path: Path, stream: io.TextIOWrapper) -> str:
    line = next(_lines(path, stream), (0, ""))[1]
    if not line:
        raise DataError(f"{path} is empty. Expected a row for each picture: its label and its pixels.")
    if "\0" in line:
        start = line[:LOOKED_AT].encode(errors="surrogateescape")
        kind = FileKind.of(start)
        raise DataError(f"{path} is not a CSV file: it {kind}.{kind.advice}")
    return line


def _columns(path: Path, line: str) -> _Columns:
    delimiter = max(",;\t", key=line.count)
    names = [name.strip() for name in _cells(line, delimiter)]
    header = not all(_is_number(name) for name in names[1:-1] or names)
    if header:
        label, pixels, others = _named_columns(names)
    else:
        # Only the numbers of columns tell: as many as a picture has, or one more.
        label = None if PixelTable.picture_shape(len(names)) else 0
        pixels, others = list(range(0 if label is None else 1, len(names))), []
    shape = PixelTable.picture_shape(len(pixels))
    if shape is None:
        raise _no_pixels(path, names, len(pixels))
    notes = [f"{path.name}: the column {name!r} is not used." for name in others[:5]]
    if len(others) > 5:
        notes.append(f"{path.name}: {len(others) - 5:,} more columns are not used.")
    if len(shape) == 3:
        notes.append(f"{path.name}: its {len(pixels):,} pixels are taken as {shape[0]}x{shape[1]} in colour.")
    if not header and label == 0:
        notes.append(f"{path.name} has no header; its first column is taken as the label.")
    span = range(pixels[0], pixels[-1] + 1)
    return _Columns(
        len(names), label, span if list(span) == pixels else tuple(pixels), shape, delimiter, header, tuple(notes)
    )


def _no_pixels(path: Path, names: list[str], pixels: int) -> DataError:
    """The error for columns that are not those of a square picture, by what they are."""
    files = [name for name in names if name.lower() in _FILES]
    if len(names) == 1 and PixelTable.picture_shape(len(names[0].split()) - 1) is not None:
        return DataError(
            f"{path} separates its {len(names[0].split()):,} values by spaces; expected commas, semicolons or tabs. "
            "Replace the spaces."
        )
    if files:
        return DataError(
            f"{path} has no columns of pixels, but a column {files[0]!r}. If that names picture files, save the table "
            "beside them as metadata.csv with the columns file_name and label, and load that folder."
        )
    listed = word_list((name[:20] for name in names), most=3)
    return DataError(
        f"{path} has {amount(len(names), 'column')} ({listed}), of which {pixels:,} "
        f"{'holds' if pixels == 1 else 'hold'} pixels. Expected those of a square picture and optionally a "
        "label: label, pixel0, ..., pixel783 for 28x28."
    )


def _named_columns(names: list[str]) -> tuple[int | None, list[int], list[str]]:
    """The label, the pixels, and the names of the other columns, by a header."""
    lower = [name.lower() for name in names]
    label = next((lower.index(name) for name in _LABELS if name in lower), None)
    pixels = [at for at, name in enumerate(lower) if at != label and _PIXEL.fullmatch(name)]
    others = [at for at in range(len(names)) if at != label and at not in set(pixels)]
    if label is None and len(others) == 1 and pixels:
        label = others.pop()  # a column of another name, beside columns that are pixels
    return label, pixels, [names[at] for at in others]


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Blocks:
    """The rows that were read so far, as arrays."""

    def __init__(self, path: Path, columns: _Columns) -> None:
        self._path, self._columns = path, columns
        self._pixels: list[NDArray[Any]] = []
        self._labels: list[str] = []
        self._dtype: type[np.generic] = np.uint8
        self._count = 0

    def add(self, block: list[tuple[int, str]]) -> None:
        columns = self._columns
        self._count += len(block)
        if self._count * len(columns.pixels) * np.dtype(self._dtype).itemsize > LARGEST_ARRAY:
            raise DataError(f"{self._path} holds more than {LARGEST_ARRAY:,} bytes of pixels. Use fewer rows.")
        lines = [line for _, line in block]
        if any(line.count(columns.delimiter) != columns.count - 1 for line in lines):
            self._check_counts(block)
        if columns.label is not None:
            self._labels += self._labels_of(lines, columns.label)
        self._pixels.append(self._numbers(block, lines))

    def _check_counts(self, block: list[tuple[int, str]]) -> None:
        """Refuses a row with another number of values; a delimiter inside quotes is not one."""
        for number, line in block:
            count = len(_cells(line, self._columns.delimiter))
            if count != self._columns.count:
                raise DataError(
                    f"{self._path}, line {number}: it has {count:,} values, but the first line has "
                    f"{self._columns.count:,}. Correct or remove it."
                )

    def _labels_of(self, lines: list[str], at: int) -> list[str]:
        # Labels are cut off as text, since the csv module takes longer for a row than NumPy for all its numbers.
        delimiter = self._columns.delimiter
        if not any('"' in line for line in lines):
            if at == 0:
                return [line[: line.index(delimiter)].strip() for line in lines]
            if at == self._columns.count - 1:
                return [line[line.rindex(delimiter) + 1 :].strip() for line in lines]
        return [_cells(line, delimiter)[at].strip() for line in lines]

    def _numbers(self, block: list[tuple[int, str]], lines: list[str]) -> NDArray[Any]:
        # Bytes until a value is not one: they take three fifths of the time of floats.
        try:
            return self._parsed(lines)
        except ValueError:
            if self._dtype is np.uint8:  # fractions, or numbers that are out of range
                self._dtype = np.float32
                return self._numbers(block, lines)
        for number, line in block:
            cells = _cells(line, self._columns.delimiter)
            for at in self._columns.pixels:
                if not _is_number(cells[at]):
                    what = f"{cells[at][:30]!r} is not a number" if cells[at].strip() else "a value is missing"
                    raise DataError(
                        f"{self._path}, line {number}: {what} (column {at + 1} of {self._columns.count:,}). "
                        "Correct or remove the row."
                    )
        raise DataError(f"{self._path}: the rows from line {block[0][0]} cannot be read as numbers.")

    def _parsed(self, lines: list[str]) -> NDArray[Any]:
        columns = self._columns
        return np.loadtxt(
            lines,
            self._dtype,
            delimiter=columns.delimiter,
            usecols=columns.pixels,
            comments=None,
            quotechar='"',
            ndmin=2,
        )

    def table(self) -> PixelTable:
        """All rows."""
        if not self._pixels:
            raise DataError(f"{self._path} has no rows. Expected one for each picture.")
        images = np.concatenate(self._pixels, dtype=self._dtype).reshape(-1, *self._columns.shape)
        for label in dict.fromkeys(self._labels):
            if not label.isprintable() and any("\udc80" <= sign <= "\udcff" for sign in label):
                raise DataError(f"{self._path} is not UTF-8 text (a label is {label[:30]!a}). Save it as UTF-8.")
        labels = None if self._columns.label is None else _labels(self._labels)
        return PixelTable(images, labels, self._columns.notes)


def _labels(texts: list[str]) -> NDArray[Any]:
    """Whole numbers where all are, else the text."""
    try:
        return np.array(texts, np.float64) if all(len(text) < 20 for text in set(texts)) else np.array(texts)
    except ValueError:
        return np.array(texts)
