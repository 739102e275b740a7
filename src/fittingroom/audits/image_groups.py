"""Groups that a user's data give: columns of `metadata.csv` beside `file_name` and `label`, and levels of folders.

A column of few different values is a group as it is; one of many numbers, such as an age, is cut into quarters. What is
different for nearly every image says nothing of groups and is left out, and so is what says no more than the class.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.text import number

if TYPE_CHECKING:
    from fittingroom.data.dataset import Dataset, Part

_TABLES = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
_NOT_GROUPS = frozenset({"file_name", "label"})
_MOST_BYTES = 256 * 2**20
_MOST_VALUES = 50  # of texts
_MOST_NUMBERS = 12  # different ones that are groups as they are
_MOST_LEVELS = 5
_MOST_TEXT = 60  # characters of a value
_QUARTERS = 4
_UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class ImageGroups:
    """One way to put images into groups.

    Args:
        name: of the column, or of the level of folders.
        values: the names of the groups.
        of: the group of each image, `(images,)`; -1 where it is not known.
    """

    name: str
    values: tuple[str, ...]
    of: npt.NDArray[np.int64]

    @classmethod
    def all_of(cls, dataset: Dataset, part: Part) -> tuple[ImageGroups, ...]:
        """All ways that the data give, for the images of a part; none where they are not a folder of pictures."""
        if not part.files or not dataset.name.startswith("folder:"):
            return ()
        folder = Path(dataset.name.removeprefix("folder:"))
        columns = {**_folder_levels(part), **_table_columns(folder, part.files)}
        found = (cls._of_texts(name, texts) for name, texts in columns.items())
        return tuple(one for one in found if one is not None and not one._is_class(part))

    @classmethod
    def _of_texts(cls, name: str, texts: list[str]) -> ImageGroups | None:
        """From the value of each image, empty where it has none; None where they are not groups."""
        values = sorted(set(texts) - {""})
        quarters = cls._quarters(name, texts) if len(values) > _MOST_NUMBERS else None
        if quarters is not None or not 2 <= len(values) <= _MOST_VALUES:
            return quarters
        place = {value: index for index, value in enumerate(values)}
        of = np.asarray([place.get(text, _UNKNOWN) for text in texts], np.int64)
        return cls(name, tuple(value[:_MOST_TEXT] for value in values), of)

    @classmethod
    def _quarters(cls, name: str, texts: list[str]) -> ImageGroups | None:
        """Numbers in four groups of about equal size; None where some are not numbers, or all are different texts."""
        try:
            values = np.asarray([float(text) if text else np.nan for text in texts])
        except ValueError:
            return None
        known = np.isfinite(values)
        if not known.any():
            return None
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _QUARTERS + 1), method="nearest"))
        if len(edges) < 3:
            return None
        of = np.full(len(values), _UNKNOWN, np.int64)
        of[known] = np.clip(np.searchsorted(edges, values[known], side="right") - 1, 0, len(edges) - 2)
        digits = 0 if (edges == np.round(edges)).all() else 2
        ends = [number(float(edge), digits) for edge in edges]
        last = len(edges) - 2
        names = [
            f"{low} to {'under ' if index < last else ''}{high}" for index, (low, high) in enumerate(pairwise(ends))
        ]
        return cls(name, tuple(names), of)

    def _is_class(self, part: Part) -> bool:
        """Whether each group has images of one class only, so that nothing can be compared within classes."""
        known = self.of >= 0
        together = np.unique(self.of[known] * len(part.classes) + part.labels[known])
        groups = np.unique(self.of[known])
        return len(together) == len(groups) == len(np.unique(part.labels[known]))


def _folder_levels(part: Part) -> dict[str, list[str]]:
    """The folders of each image's path, level by level, by a name that says where they are."""
    folders = [PurePosixPath(name).parts[:-1] for name in part.files]
    deepest = min(max(map(len, folders), default=0), _MOST_LEVELS)
    return {
        f"folder, level {level + 1}": [one[level] if len(one) > level else "" for one in folders]
        for level in range(deepest)
    }


def _table_columns(folder: Path, files: tuple[str, ...]) -> dict[str, list[str]]:
    """The columns of the tables above the images, each image's value; empty texts where there is none."""
    tables: dict[PurePosixPath, Mapping[str, Mapping[str, str]]] = {}
    columns: dict[str, list[str]] = {}
    for place, name in enumerate(files):
        path = PurePosixPath(name)
        for above in path.parents:
            if above not in tables:
                tables[above] = _rows(folder / above)
            row = tables[above].get(path.relative_to(above).as_posix())
            if row is None:
                continue
            for column, value in row.items():
                columns.setdefault(column, [""] * len(files))[place] = value
            break
    return columns


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    """The table of a folder by file names; empty where there is none, or it can no longer be read."""
    path = next((folder / name for name in _TABLES if (folder / name).is_file()), None)
    try:
        if path is None or path.is_symlink() or path.stat().st_size > _MOST_BYTES:
            return {}
        text = path.read_text("utf-8-sig")
        rows = _json_rows(text) if path.suffix == ".jsonl" else _csv_rows(text)
    except (OSError, ValueError, csv.Error, RecursionError):
        return {}
    return {
        str(row.get("file_name", "")).strip().removeprefix("./").replace("\\", "/"): {
            str(column).strip(): str(value).strip()
            for column, value in row.items()
            if column is not None and str(column).strip() not in _NOT_GROUPS and isinstance(value, str | int | float)
        }
        for row in rows
    }


def _csv_rows(text: str) -> list[dict[str, Any]]:
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [{(column or "").strip(): value for column, value in row.items()} for row in reader]


def _json_rows(text: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    return [row for row in rows if isinstance(row, dict)]
