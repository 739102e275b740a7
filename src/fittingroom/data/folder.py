"""Finds the pictures of a folder and their classes, in the layouts that people have.

One sub-folder for each class; `train`, `validation` and `test` above them; a table `metadata.csv` in place of class
folders; and all of these one folder deeper, as archives unpack. What is left out is said in the notes, and where
nothing can be read, the error says what is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fittingroom.data.labels import class_names
from fittingroom.data.listing import Listing, Skipped
from fittingroom.data.metadata import MetadataTable
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
        table = MetadataTable.of_folder(top)
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
            if MetadataTable.of_folder(folder) or listing.pictures or len(listing.folders) != 1:
                break
            (only,) = listing.folders
            inside = Listing.of(only)
            if (only.name.lower() in _PARTS and not in_part) or not (inside.folders or MetadataTable.of_folder(only)):
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
            folder: part for folder, part in named.items() if inside[folder].folders or MetadataTable.of_folder(folder)
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
        table = MetadataTable.of_folder(folder)
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

    def _parts_of_table(self, top: Path, table: MetadataTable) -> dict[str, Pictures]:
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

    def _labelled(self, folder: Path, table: MetadataTable) -> Pictures:
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

    def _below(self, folder: Path, table: MetadataTable) -> Iterator[Path]:
        listing = self._list(folder)
        self.skipped.add_files(path for path in listing.others if path != table.path)
        yield from listing.pictures
        for inner in listing.folders:
            yield from self._below(inner, table)
