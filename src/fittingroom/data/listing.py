"""What lies in a folder, what of it is skipped, and sentences about folders in which no classes are found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fittingroom.data.pictures import ACCEPTED, FIRST_SUFFIXES, SUFFIXES
from fittingroom.data.sniff import FileKind
from fittingroom.errors import DataError
from fittingroom.text import amount

_SYSTEM = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"}
"""What file managers and archives leave behind, in lower case."""

_TABLES = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx", ".xls", ".json", ".txt", ".xml")
"""Endings of files that may say the classes of pictures beside them; the likeliest first."""

HIDDEN = "hidden files or folders"

_NAMED = 5  # of what was skipped
_FEW = 5
_PREFIX = re.compile(r"([^\W\d_]+)[ ._-]*[0-9]")
_MOST_PREFIXES = 50


@dataclass(frozen=True)
class Listing:
    """What lies in a folder, each sorted by name; hidden and system files are in none of these."""

    folder: Path
    folders: tuple[Path, ...]
    pictures: tuple[Path, ...]
    others: tuple[Path, ...]
    links: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, skipped: Skipped | None = None, *, first_rules: bool = False) -> Listing:
        """What lies in a folder.

        Args:
            folder: the folder.
            skipped: gets the links, which may lead anywhere, and the hidden and system files; None to forget them.
            first_rules: as for `PictureFolder.scan`.

        Raises:
            OSError: it cannot be read.
        """
        found = Skipped() if skipped is None else skipped
        suffixes = FIRST_SUFFIXES if first_rules else SUFFIXES
        folders, pictures, others, links = list[Path](), list[Path](), list[Path](), list[Path]()
        for path in sorted(folder.iterdir()):
            if path.is_symlink():  # asked first, since `is_dir` and `is_file` follow links
                links.append(path)
            elif path.name.startswith("."):
                found.add(HIDDEN, [path])
            elif path.name.lower() in _SYSTEM and not first_rules:
                found.add("system files or folders", [path])
            elif path.is_dir():
                folders.append(path)
            elif path.is_file():
                (pictures if path.suffix.lower() in suffixes else others).append(path)
        found.add("links, which are not followed", links)
        return cls(folder, tuple(folders), tuple(pictures), tuple(others), tuple(links))

    def links_error(self) -> DataError:
        """The error for a folder whose classes are links."""
        aims = {path: path.resolve() for path in self.links}
        parents = {aim.parent for aim in aims.values()}
        shown = ", ".join(f"{path.name} -> {aim}" for path, aim in list(aims.items())[:_NAMED])
        way = (
            f"Load the folder that they lead into: folder:{parents.pop()}"
            if len(parents) == 1
            else "Copy the files that they lead to"
        )
        return DataError(
            f"{self.folder} holds {len(aims):,} links and no folders ({shown}); links are not followed, because they "
            f"may lead anywhere. {way}."
        )

    def no_classes_error(self) -> DataError:
        """The error for a folder without class folders, by what it has instead."""
        expected = "expected one folder for each class, or train, validation and test, or metadata.csv"
        if not self.pictures:
            return DataError(f"{self.folder} has neither folders nor pictures in it: {_other_data(self)}; {expected}.")
        count = amount(len(self.pictures), "picture")
        tables = [path for path in self.others if path.suffix.lower() in _TABLES]
        prefixes = Counter(found[1] for path in self.pictures if (found := _PREFIX.match(path.stem)))
        if tables:
            table = min(tables, key=lambda path: _TABLES.index(path.suffix.lower()))
            saved = "call it" if table.suffix.lower() == ".csv" else "save it as"
            way = f"If {table.name} says their classes, {saved} metadata.csv and its columns file_name and label."
        elif 2 <= len(prefixes) <= _MOST_PREFIXES and min(prefixes.values()) > 1:
            some = ", ".join(f"{name!r} ({number:,})" for name, number in sorted(prefixes.items())[:_NAMED])
            way = (
                f"Their names begin with {some}{', ...' if len(prefixes) > _NAMED else ''}: if these are the classes, "
                "move each into a folder of that name, or write metadata.csv with the columns file_name and label "
                "beside them."
            )
        elif _has_classes_beside(self.folder):
            way = f"If it is one class of several, load the folder above it: folder:{self.folder.parent}."
        else:
            way = "Move the pictures of each class into a folder of its name."
        return DataError(f"{self.folder} has {count} and no folders in it; {expected}. {way}")


@dataclass
class Skipped:
    """What is left out of a folder, by kind."""

    paths: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, what: str, paths: Iterable[Path]) -> None:
        """Adds paths of one kind."""
        for path in paths:
            self.paths.setdefault(what, []).append(path)

    def add_files(self, paths: Iterable[Path]) -> None:
        """Adds files that are not pictures, by their endings."""
        for path in paths:
            self.add(f"{path.suffix.lower()} files" if path.suffix else "files without an ending", [path])

    def notes(self, root: Path) -> tuple[str, ...]:
        """A sentence that lists all that was skipped, if anything was."""
        if not self.paths:
            return ()
        listed = ", ".join(self._entry(what, root) for what in sorted(self.paths))
        return (f"Skipped in {root}: {listed}. Accepted are {ACCEPTED}.",)

    @staticmethod
    def what_is_in(folder: Path) -> str:
        """What a folder without pictures holds instead, as an ending for 'it has no pictures: ...'."""
        skipped = Skipped()
        listing = Listing.of(folder, skipped)
        skipped.add_files(listing.others)
        skipped.add("folders without pictures", listing.folders)
        entries = [skipped._entry(what, folder) for what in sorted(skipped.paths)]
        return "it holds " + ", ".join(entries) if entries else "it is empty"

    def _entry(self, what: str, root: Path) -> str:
        paths = self.paths[what]
        text = f"{len(paths):,} {what if len(paths) > 1 else _singular(what)}"
        if what == HIDDEN:
            return text
        kind = _kind_of(paths[0])
        if kind:
            return f"{text} ({kind})"
        shown = [path.relative_to(root).as_posix() for path in paths[:_NAMED]]
        return f"{text} ({', '.join(shown)}{', ...' if len(paths) > _NAMED else ''})"


def _has_classes_beside(folder: Path) -> bool:
    """Whether a folder is one of several with pictures."""
    try:
        beside = [other for other in Listing.of(folder.parent).folders if other != folder]
        return any(Listing.of(other).pictures for other in beside[:_FEW])
    except OSError:  # it cannot be read, and need not be
        return False


def _other_data(listing: Listing) -> str:
    """What there is instead of pictures, with the name that reads it where there is one."""
    # `csv:` of a file `train.csv` reads `test.csv` beside it, too.
    for path in sorted(listing.others, key=lambda path: "train" not in path.name.lower()):
        form = {".npz": "npz", ".csv": "csv"}.get(path.suffix.lower())
        if form:
            return f"it holds {path.name}, which can be loaded as {form}:{path}"
        if "idx3-ubyte" in path.name or _is_idx_file(path):
            return f"it holds IDX files, such as {path.name}, which can be loaded as idx:{listing.folder}"
    return Skipped.what_is_in(listing.folder)


def _is_idx_file(path: Path) -> bool:
    try:
        return FileKind.of_file(path).is_idx
    except OSError:
        return False


def _kind_of(path: Path) -> str | None:
    """What a skipped picture of another kind is and what to do with it; None for all other files."""
    try:
        if not path.is_file() or path.is_symlink():
            return None
        kind = FileKind.of_file(path)
    except OSError:
        return None
    if kind.is_unread_picture:
        return f"such as {path.name}, {kind.name}: {kind.mend}"
    if kind.suffix is None or path.suffix.lower() in SUFFIXES:
        return None
    return f"such as {path.name}, {kind.name}: Call it {path.name}{kind.suffix}"


def _singular(what: str) -> str:
    one = what.replace("files or folders", "file or folder").replace("which are", "which is")
    return re.sub(r"\b(file|folder|link|picture)s\b", r"\1", one, count=1)
