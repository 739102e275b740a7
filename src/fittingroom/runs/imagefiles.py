"""`validation_files.json`: which picture file each validation image came from; absent where they came from none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from fittingroom.files import write_bytes
from fittingroom.runs.damage import damage, read_json

_NAME = "validation_files.json"


def write_files(folder: Path, files: Sequence[str]) -> None:
    """Keeps the names of files in a run's folder, in the order of its validation images.

    Raises:
        StorageError: they cannot be written.
    """
    write_bytes(folder / _NAME, json.dumps({"files": list(files)}).encode())


def read_files(path: Path, count: int) -> tuple[str, ...]:
    """The names in a run's folder, as paths in the folder of its dataset; none of a run whose images had no files.

    Args:
        path: the run's folder.
        count: how many validation images it has.

    Raises:
        RunError: the file is damaged.
    """
    if not (path / _NAME).exists():
        return ()
    with damage(path, _NAME):
        files = read_json(path / _NAME)["files"]
        if not isinstance(files, list) or len(files) != count or not all(isinstance(file, str) for file in files):
            raise ValueError(f"it has not one name for each of {count:,} validation images")
        return tuple(files)
