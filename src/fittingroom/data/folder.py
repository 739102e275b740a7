"""Finds the pictures of a folder: one sub-folder for each class, or `train`, `validation` and `test` above them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fittingroom.data.pictures import ACCEPTED, SUFFIXES
from fittingroom.errors import DataError

_PARTS = {"train": "train", "validation": "validation", "val": "validation", "valid": "validation", "test": "test"}


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder, not opened yet.

    Attributes:
        root: the folder.
        classes: the names of the class folders, in order.
        files: for each part there is, its files, each with the position of its class.
        notes: what was skipped.
    """

    root: Path
    classes: tuple[str, ...]
    files: Mapping[str, tuple[tuple[Path, int], ...]]
    notes: tuple[str, ...]


def scan_folder(root: Path) -> PictureFolder:
    """Which pictures a folder holds, by part and class. Links, hidden and other files are skipped and counted.

    Raises:
        DataError: there is no such folder, or no class folders in it, a class folder of the training part without
            pictures, or names of classes that cannot be told apart.
    """
    skipped: Counter[str] = Counter()
    try:
        parts = {
            part: {folder.name: _pictures(folder, skipped) for folder in folders}
            for part, folders in _class_folders(root, skipped).items()
        }
    except OSError as error:
        raise DataError(f"cannot read the folder {error.filename or root}: {error.strerror or error}.") from error
    for name, pictures in parts["train"].items():
        if not pictures:
            raise DataError(f"the class folder {name!r} in {root} has no pictures. Accepted are {ACCEPTED}.")
    names = _class_names({name for classes in parts.values() for name in classes})
    order = sorted(names.values())
    files = {
        part: tuple((path, order.index(names[name])) for name, pictures in classes.items() for path in pictures)
        for part, classes in parts.items()
    }
    listed = ", ".join(f"{count:,} {what}" for what, count in sorted(skipped.items()))
    return PictureFolder(
        root, tuple(order), files, (f"Skipped in {root}: {listed}. Accepted are {ACCEPTED}.",) if skipped else ()
    )


def _class_folders(root: Path, skipped: Counter[str]) -> dict[str, list[Path]]:
    """The class folders of each part; they are the training part if they lie directly in `root`."""
    folders = _folders(root, skipped)
    if not folders:
        raise DataError(f"{root} has no folders in it; expected one for each class, or train, validation and test.")
    parts = [_PARTS.get(folder.name.lower()) for folder in folders]
    if "train" not in parts and None in parts:
        return {"train": folders}
    if "train" not in parts or None in parts or len(set(parts)) < len(parts):
        raise DataError(
            f"{root} has the folders {', '.join(folder.name for folder in folders)}; expected one for each class, or "
            "train with, if you like, validation and test beside it and nothing else."
        )
    return {str(part): _folders(folder, skipped) for part, folder in zip(parts, folders, strict=True)}


def _folders(folder: Path, skipped: Counter[str]) -> list[Path]:
    """The folders in a folder, sorted by name; the files there are counted as skipped."""
    folders, files = _visible(folder, skipped)
    skipped.update("files outside the class folders" for _ in files)
    return folders


def _pictures(folder: Path, skipped: Counter[str]) -> list[Path]:
    """The picture files in a class folder, sorted by name."""
    folders, files = _visible(folder, skipped)
    skipped.update("folders inside class folders" for _ in folders)
    skipped.update(f"{path.suffix.lower() or 'other'} files" for path in files if path.suffix.lower() not in SUFFIXES)
    return [path for path in files if path.suffix.lower() in SUFFIXES]


def _visible(folder: Path, skipped: Counter[str]) -> tuple[list[Path], list[Path]]:
    """Folders and files in a folder, sorted by name, without links, which may lead anywhere, and hidden ones."""
    folders, files = [], []
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            skipped["links"] += 1
        elif path.name.startswith("."):
            skipped["hidden files or folders"] += 1
        elif path.is_dir():
            folders.append(path)
        elif path.is_file():
            files.append(path)
    return folders, files


def _class_names(folder_names: Iterable[str]) -> dict[str, str]:
    """For each name of a folder the name of its class: the same, in one Unicode form.

    Raises:
        DataError: a name has characters that are no text, or two differ only in case or Unicode form.
    """
    names = {name: unicodedata.normalize("NFC", name) for name in sorted(folder_names)}
    alike: dict[str, list[str]] = {}
    for folder_name, name in names.items():
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
            raise DataError(f"the class folder {folder_name!r} has characters in its name that are no text. Rename it.")
        alike.setdefault(name.casefold(), []).append(folder_name)
    for group in alike.values():
        if len(group) > 1:
            raise DataError(
                f"the class folders {' and '.join(ascii(name) for name in group)} differ only in case or Unicode form. "
                "Rename one, or put their pictures together."
            )
    return names
