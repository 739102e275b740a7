"""Finds the pictures of a folder and their classes, in the layouts that people have.

One sub-folder for each class; `train`, `validation` and `test` above them; a table `metadata.csv` or `metadata.jsonl`
(as Hugging Face's ImageFolder) in place of class folders; and all of these one folder deeper, as archives unpack. What
is left out is said in the notes, and where nothing can be read, the error says what is there.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fittingroom.atomic import read_file
from fittingroom.data.labels import class_names
from fittingroom.data.listing import Listing, Skipped
from fittingroom.data.pictures import ACCEPTED
from fittingroom.errors import DataError
from fittingroom.text import word_list

_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "validate"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_MOST_FILES = 2_000_000  # a folder such as / or a home has more; each would be looked at
_DEEPEST = 5  # folders that hold nothing but one other folder

_OUTSIDE = "files outside the class folders"

Pictures = dict[str, list[Path]]
"""The pictures of each class, under the names that folders or tables give it."""


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder, not opened yet.

    Attributes:
        root: the folder.
        classes: the names of the classes, in order.
        files: for each part there is, its files, each with the position of its class.
        tables: the files that name their classes, where no folders do.
        notes: what was left out, and what was guessed.
        first_rules: whether it was read as the first versions did.
    """

    root: Path
    classes: tuple[str, ...]
    files: Mapping[str, tuple[tuple[Path, int], ...]]
    tables: tuple[Path, ...]
    notes: tuple[str, ...]
    first_rules: bool = False  # decision 28

    @classmethod
    def scan(cls, root: Path, *, first_rules: bool = False) -> PictureFolder:
        """Which pictures a folder holds, by part and class. Links, hidden and other files are skipped and counted.

        Args:
            root: the folder.
            first_rules: reads it as the first versions did, for the runs that they left behind: classes in the order
                of their characters (`10` before `2`), no pictures from folders inside class folders, and fewer file
                endings.

        Raises:
            DataError: there is no such folder, no classes are found in it, a class of the training part has no
                pictures, or names of classes cannot be told apart.
        """
        scan = _Scan(root, first_rules)
        try:
            parts = scan.parts()
        except OSError as error:
            raise DataError(f"cannot read the folder {error.filename or root}: {error.strerror or error}.") from error
        forms = class_names(
            {name for classes in parts.values() for name in classes}, "label" if scan.tables else "class folder"
        )
        order = sorted(forms.values()) if first_rules else list(forms.values())
        place = {name: position for position, name in enumerate(order)}
        files = {
            part: tuple((path, place[forms[name]]) for name, pictures in classes.items() for path in pictures)
            for part, classes in parts.items()
        }
        return cls(root, tuple(order), files, tuple(scan.tables), (*scan.notes, *scan.skipped.notes(root)), first_rules)

    def paths(self) -> tuple[Path, ...]:
        """All pictures, and the tables behind them."""
        return (*(path for part in self.files.values() for path, _ in part), *self.tables)


@dataclass
class _Scan:
    """One walk over a folder, and what is to be said about it."""

    root: Path
    first_rules: bool
    skipped: Skipped = field(default_factory=Skipped)
    notes: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    seen: int = 0

    def parts(self) -> dict[str, Pictures]:
        """The pictures of each part; those of class folders in the root itself are the training part."""
        top = self._entered(self.root)
        table = _MetadataTable.of_folder(top)
        if table is not None:
            return self._parts_of_table(top, table)
        listing = self._list(top)
        if not listing.folders:
            raise listing.links_error() if listing.links and not listing.pictures else listing.no_classes_error()
        by_part = self._part_folders(top, listing)
        if by_part is None:
            return {"train": self._classes(top, listing)}
        self.skipped.add(_OUTSIDE, (*listing.pictures, *listing.others))
        found = {part: self._part(folder) for part, folder in by_part.items()}
        return {part: pictures for part, pictures in found.items() if pictures is not None}

    def _list(self, folder: Path) -> Listing:
        listing = Listing.of(folder, self.skipped, first_rules=self.first_rules)
        self.seen += len(listing.folders) + len(listing.pictures) + len(listing.others)
        if self.seen > _MOST_FILES:
            raise DataError(f"{self.root} has more than {_MOST_FILES:,} files in it. Is it the right folder?")
        return listing

    def _entered(self, folder: Path, *, in_part: bool = False) -> Path:
        """The folder, or the one below it that has the pictures, where each on the way holds nothing else."""
        start = folder
        for _ in range(_DEEPEST):
            listing = Listing.of(folder)
            if _MetadataTable.of_folder(folder) or listing.pictures or len(listing.folders) != 1:
                break
            (only,) = listing.folders
            inside = Listing.of(only)
            if (only.name.lower() in _PARTS and not in_part) or not (inside.folders or _MetadataTable.of_folder(only)):
                break
            self.skipped.add(_OUTSIDE, self._list(folder).others)  # and what else is skipped beside it
            folder = only
        if folder != start:
            self.notes.append(f"{start} holds only the folder {folder.relative_to(start).as_posix()}, so that is read.")
        return folder

    def _part_folders(self, top: Path, listing: Listing) -> dict[str, Path] | None:
        """The folders of the parts; None where the folders are classes."""
        named = {folder: part for folder in listing.folders if (part := _PARTS.get(folder.name.lower()))}
        inside = {folder: Listing.of(folder) for folder in named}
        # A folder of pictures is a class, whatever its name; a part has folders of its own, or a table.
        nested = {
            folder: part for folder, part in named.items() if inside[folder].folders or _MetadataTable.of_folder(folder)
        }
        flat = [folder for folder in named if folder not in nested]
        only_parts = len(named) == len(listing.folders)
        if not nested:
            if only_parts and flat and all(inside[folder].pictures for folder in flat):
                raise inside[flat[0]].no_classes_error()
            if not only_parts:
                return None
        parts = Counter(nested.values())
        if not only_parts or parts["train"] != 1 or max(parts.values()) > 1:
            raise DataError(
                f"{top} has the folders {word_list((folder.name for folder in listing.folders), most=10)}; expected "
                "one for each "
                "class, or train and, if you like, validation and test, and no others."
            )
        for folder in flat:
            self.notes.append(
                f"The {len(inside[folder].pictures):,} pictures in {folder} are not used: neither folders nor "
                f"metadata.csv give their classes. `fittingroom predict RUN {folder}` classifies them."
            )
        return {part: folder for folder, part in nested.items()}

    def _part(self, folder: Path) -> Pictures:
        """The pictures of one part's folder."""
        folder = self._entered(folder, in_part=True)
        table = _MetadataTable.of_folder(folder)
        if table is not None:
            return self._labelled(folder, table)
        return self._classes(folder, self._list(folder))

    def _classes(self, top: Path, listing: Listing) -> Pictures:
        """The pictures of class folders."""
        self.skipped.add(_OUTSIDE, (*listing.pictures, *listing.others))
        deeper: list[str] = []
        found = {folder.name: list(self._of_class(folder, folder, deeper)) for folder in listing.folders}
        for name, pictures in found.items():
            if not pictures:
                inside = Skipped.what_is_in(top / name)
                way = "Copy the files that they lead to" if " links, which" in inside else f"Accepted are {ACCEPTED}"
                raise DataError(f"the class folder {name!r} in {top} has no pictures: {inside}. {way}.")
        if deeper:
            self.notes.append(
                f"Pictures in folders inside class folders ({word_list(deeper, most=10)}) belong to the class of the "
                "outer folder."
            )
        return found

    def _of_class(self, folder: Path, outermost: Path, deeper: list[str]) -> Iterator[Path]:
        """The pictures below a class folder."""
        listing = self._list(folder)
        self.skipped.add_files(listing.others)
        yield from listing.pictures
        if self.first_rules:
            self.skipped.add("folders inside class folders", listing.folders)
            return
        names = [inner.name.lower() for inner in listing.folders]
        if folder == outermost and "train" in {_PARTS.get(name) for name in names} and not listing.pictures:
            raise DataError(
                f"{folder.parent} has {word_list(names)} inside its class folders ({folder}); expected the class "
                f"folders inside {word_list(names)}: {folder.parent}/train/{folder.name}. Move the folders."
            )
        for inner in listing.folders:
            pictures = list(self._of_class(inner, outermost, deeper))
            if pictures and inner.parent == outermost:
                deeper.append(inner.relative_to(outermost.parent).as_posix())
            yield from pictures

    def _parts_of_table(self, top: Path, table: _MetadataTable) -> dict[str, Pictures]:
        """The pictures of a table in the root; folders train, validation and test in its paths are parts."""
        labelled = self._labelled(top, table)

        def part_of(path: Path) -> str | None:
            first, *rest = path.relative_to(top).parts
            return _PARTS.get(first.lower()) if rest else None

        parts = {part_of(path) for pictures in labelled.values() for path in pictures}
        if None in parts or "train" not in parts:
            return {"train": labelled}
        found: dict[str, Pictures] = {}
        for name, paths in labelled.items():
            for path in paths:
                found.setdefault(str(part_of(path)), {}).setdefault(name, []).append(path)
        return found

    def _labelled(self, folder: Path, table: _MetadataTable) -> Pictures:
        """The pictures that a table names, by their classes in it."""
        below = {path.relative_to(folder).as_posix(): path for path in self._below(folder, table)}
        labels, notes = table.labels(below)
        self.notes += notes
        self.tables.append(table.path)
        self.skipped.add(
            f"pictures that {table.path.name} does not name", [below[name] for name in below if name not in labels]
        )
        found: Pictures = {}
        for name in sorted(labels):
            found.setdefault(labels[name], []).append(below[name])
        return dict(sorted(found.items()))

    def _below(self, folder: Path, table: _MetadataTable) -> Iterator[Path]:
        listing = self._list(folder)
        self.skipped.add_files(path for path in listing.others if path != table.path)
        yield from listing.pictures
        for inner in listing.folders:
            yield from self._below(inner, table)


_NAMES = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
_MOST_BYTES = 256 * 2**20
_FILE, _LABEL = "file_name", "label"


@dataclass(frozen=True)
class _MetadataTable:
    """A table of pictures and their classes, not read yet.

    Args:
        path: of the file.
    """

    path: Path

    @classmethod
    def of_folder(cls, folder: Path) -> _MetadataTable | None:
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
