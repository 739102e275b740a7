"""Which images of a dataset the rows of a reviewed list mean, made sure by a hash of each image and its label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.contents import Contents
from fittingroom.data.review_list import Decision, ReviewList, ReviewRow
from fittingroom.data.values import file_digest, image_digests
from fittingroom.errors import DataError, UnknownNameError
from fittingroom.text import amount, word_list


def image_name(root: Path | None, file: str, image: NDArray[np.uint8]) -> str:
    """What an image is called in a list: a hash of its file, which no other image size changes, or of its pixels.

    Args:
        root: the folder that files are in; None where there are none.
        file: its path there, or empty.
        image: its pixels.
    """
    if root is not None and file and (root / file).is_file():
        return f"file:{file_digest(root / file).hex()}"
    return f"pixels:{image_digests(image[None])[0].hex()}"


@dataclass
class ListedRows:
    """Finds the images of rows, and counts the rows that change nothing.

    Args:
        contents: those of the dataset.
        root: the folder that its files are in; None where there are none.
    """

    contents: Contents
    root: Path | None
    _of_test: int = 0
    _gone: list[str] = field(default_factory=list)

    def decided(self, found: ReviewList, otherwise: Decision) -> Iterator[tuple[int, ReviewRow]]:
        """The rows of a list that change an image, each with the image's position in the files' training part.

        Args:
            found: the list.
            otherwise: what every row of a list that does not ask for decisions says.

        Raises:
            DataError: nobody has reviewed the list, or it is of other data.
        """
        rows = found.rows if found.asks else tuple(replace(row, decision=otherwise) for row in found.rows)
        if rows and not any(row.decision for row in rows):
            raise DataError(
                f"nobody has reviewed the list {found.path}: the column decision is empty in all {len(rows):,} rows. "
                "Write keep, exclude, or relabel (and new_label) there, or review it on the page that `fittingroom "
                "audit --report PAGE.html` writes. To use every row unseen, remove the column decision."
            )
        seen: dict[tuple[str, int], ReviewRow] = {}
        for row in rows:
            where = f"line {row.line} of the list {found.path}"
            position = self._position(row, where) if row.decision else None
            if position is None:
                continue
            before = seen.setdefault((row.check, position), row)
            if (before.decision, before.new_label) != (row.decision, row.new_label):
                raise DataError(
                    f"{where} says {_said(row)} of an image of which line {before.line} says {_said(before)}. Remove "
                    "one of them."
                )
            if row.decision != "keep":
                yield position, row
        if not seen and self._gone:
            raise DataError(
                f"the list {found.path} is of other data: {self.contents.source} has none of its files, for example "
                f"{self._gone[0]}."
            )

    def label(self, row: ReviewRow, found: ReviewList) -> int:
        """The class that a row gives to its image, as a position in the classes.

        Raises:
            DataError: it names none.
        """
        where, classes = f"line {row.line} of the list {found.path}", self.contents.classes
        name = row.new_label.strip() or row.suggested
        if not name:
            raise DataError(f"{where} says relabel, but new_label and suggested are empty.")
        for one in (row.new_label, name):
            if one in classes:
                return classes.index(one)
        raise DataError(f"{where}: {UnknownNameError('class', name, classes)}")

    def notes(self) -> Iterator[str]:
        """Sentences about the rows that changed nothing."""
        if self._of_test:
            yield f"{amount(self._of_test, 'row')} of the test part skipped: a list never changes the test part."
        if self._gone:
            named = word_list(self._gone, most=3)
            yield f"{amount(len(self._gone), 'row')} skipped, because the files are not there any more: {named}."

    def _position(self, row: ReviewRow, where: str) -> int | None:
        """Where the image of a row is; None where it is in the test part or gone."""
        contents, position = self.contents, row.index
        if row.part == "test" or row.file in self._test_files:
            self._of_test += 1
            return None
        if row.file and contents.files:
            position = self._positions.get(row.file, self._positions.get(row.file.strip()))
            if position is None:
                self._gone.append(row.file)
                return None
        if position is None:
            raise DataError(f"{where} has a file and no index, but these images have no files.")
        if position >= len(contents.labels):
            raise DataError(
                f"{where} has index {position:,}, but the training part has {len(contents.labels):,} images."
            )
        file = contents.files[position] if contents.files else ""
        called = f"image {position:,}{f' ({file})' if file else ''}"
        if row.image:
            root = None if row.image.startswith("pixels:") else self.root
            if image_name(root, file, contents.images[position]) != row.image.strip():
                raise DataError(
                    f"{where} was written for another image than {called}: the list is of other data, or the image has "
                    "changed since. Export the list again."
                )
            return position
        label = contents.classes[contents.labels[position]]
        if row.label and label not in {row.label, row.label.strip()}:
            raise DataError(
                f"{where} says that {called} has the label {row.label!r}, but it is {label!r}: the list is of other "
                "data. If it is meant as the new label, call the column new_label."
            )
        return position

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.contents.files)}

    @cached_property
    def _test_files(self) -> frozenset[str]:
        return frozenset(self.contents.test_files)


def _said(row: ReviewRow) -> str:
    return f"{row.decision} {row.new_label}".strip()
