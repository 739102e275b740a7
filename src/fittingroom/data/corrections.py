"""`Corrections`: images that a person has named, kept as a folder of pictures for each class.

Such a folder is a dataset (`fittingroom train FOLDER`). The names of its folders are those of the classes, with what
no file system takes replaced; `.corrections.json`, which is hidden from datasets, has the classes' own names.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.errors import InputError

MOST = 10_000
"""Pictures that one such folder takes."""

_NAMES = ".corrections.json"
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]+')
_KEPT = re.compile(r"[0-9a-f]{16}\.png")
_LONGEST = 80  # letters of a folder's name


@dataclass(frozen=True)
class Corrections:
    """The corrected examples of one dataset's classes.

    Args:
        folder: where they are kept; made with the first of them.
        classes: names of the classes, in order.
    """

    folder: Path
    classes: tuple[str, ...]

    @classmethod
    def of(cls, runs: Path, dataset: str, classes: Sequence[str]) -> Corrections:
        """Those beside the runs of a dataset, in `corrections/`; other classes have another folder.

        Args:
            runs: the folder of runs.
            dataset: the dataset's name.
            classes: names of its classes, in order.
        """
        digest = hashlib.blake2b(json.dumps([dataset, *classes]).encode(), digest_size=3).hexdigest()
        return cls(runs / "corrections" / f"{folder_name(dataset)}-{digest}", tuple(classes))

    def folder_of(self, label: str) -> Path:
        """The folder of a class.

        Raises:
            InputError: there is no such class.
        """
        if label not in self.classes:
            raise InputError(f"{label[:100]!r} is not a class of this run. Choose one of its {len(self.classes)}.")
        return self.folder / self._folders[self.classes.index(label)]

    def keep(self, label: str, image: NDArray[np.uint8]) -> Path:
        """Keeps an image; the same image again is the same file, and under another class it is moved there.

        Args:
            label: its class.
            image: `(height, width)` or `(height, width, 3)`, brightness 0 to 255.

        Returns:
            The file.

        Raises:
            InputError: there is no such class, or the folder is full.
            StorageError: it cannot be written.
        """
        from PIL import Image

        folder = self.folder_of(label)
        if self.count() >= MOST:
            raise InputError(f"{self.folder} has {MOST:,} examples already. Train on them, or move some away.")
        name = f"{hashlib.blake2b(image.tobytes() + repr(image.shape).encode(), digest_size=8).hexdigest()}.png"
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        names = dict(zip(self._folders, self.classes, strict=True))
        write_bytes(self.folder / _NAMES, json.dumps({"classes": names}, ensure_ascii=False, indent=1).encode())
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        write_bytes(folder / name, stream.getvalue())
        for other in self._folders:
            if other != folder.name:
                (self.folder / other / name).unlink(missing_ok=True)
        return folder / name

    def undo(self, name: str) -> bool:
        """Takes an example away again, by its file's name; whether it was there.

        Raises:
            StorageError: it cannot be deleted.
        """
        found = False
        for folder in self._folders if _KEPT.fullmatch(name) else ():
            file = self.folder / folder / name
            with storage_errors(file):
                found = found or file.is_file()
                file.unlink(missing_ok=True)
                if found and file.parent.is_dir() and not any(file.parent.iterdir()):
                    file.parent.rmdir()
        return found

    def count(self) -> int:
        """How many examples are kept."""
        return sum(len(list((self.folder / name).glob("*.png"))) for name in self._folders)

    @property
    def _folders(self) -> list[str]:
        """The names of the classes' folders, in order, all different on every file system."""
        names: list[str] = []
        for label in self.classes:
            name, number = folder_name(label), 2
            while name.casefold() in {one.casefold() for one in names}:
                name, number = f"{folder_name(label)} {number}", number + 1
            names.append(name)
        return names


def folder_name(name: str) -> str:
    """A name that is one folder on every file system, and not a hidden one."""
    return _UNSAFE.sub("-", name).strip(" .-")[:_LONGEST].strip(" .-") or "class"
