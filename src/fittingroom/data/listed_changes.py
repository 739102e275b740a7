"""What reviewed lists change of a dataset: images that are left out, and images that get another label.

They change what is learned from and validated on, never the test part. The split stays what it is without them, so
that two runs, with a list and without, differ in the listed images alone. A run records positions and labels, and so
does not need the list's file again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import absolute
from fittingroom.data.contents import Contents
from fittingroom.data.listed_rows import ListedRows
from fittingroom.data.review_list import ReviewList
from fittingroom.data.split import count_per_class
from fittingroom.data.values import Labels
from fittingroom.errors import DataError
from fittingroom.text import amount, word_list

GivenList = str | os.PathLike[str] | Mapping[str, Any]
"""A list: its file, or what a run recorded of it."""

_FORMS = {
    "exclude": re.compile(r"([0-9]+(-[0-9]+)?( [0-9]+(-[0-9]+)?)*)?"),  # 3 17-20
    "relabel": re.compile(r"([0-9]+:[0-9]+( [0-9]+:[0-9]+)*)?"),  # 3:7 19:2, position and label
}


@dataclass(frozen=True, eq=False)
class ListedChanges:
    """Changes of the training part as the files have it, of which validation is cut.

    Args:
        excluded: positions of the images that are left out, rising, `(n,)`.
        relabelled: positions of the images that get another label, rising, `(m,)`; none of them is left out.
        labels: the labels that these get, `(m,)`.
        lists: what is recorded of each list, `exclude` and `relabel`: path, SHA-256 and rows.
        notes: sentences about rows that change nothing.
    """

    excluded: NDArray[np.int64]
    relabelled: NDArray[np.int64]
    labels: Labels
    lists: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, exclude: GivenList | None, relabel: GivenList | None, contents: Contents, root: Path | None
    ) -> ListedChanges:
        """What lists change of a dataset.

        With `exclude` alone, images whose label a person called wrong are left out too; with both, they get the new
        label.

        Args:
            exclude: the list whose images are left out.
            relabel: the list whose images get another label.
            contents: those of the dataset.
            root: the folder that its files are in; None where there are none.

        Raises:
            DataError: a list cannot be read, nobody has reviewed it, or it is of other data; the row is named.
        """
        gone, corrected, notes = set[int](), dict[int, int](), list[str]()
        lists: dict[str, dict[str, str]] = {}
        if isinstance(relabel, Mapping):
            corrected = _recorded_labels(relabel, contents)
            lists["relabel"] = dict(relabel)
        elif relabel is not None:
            rows, found = ListedRows(contents, root), _read("relabel", relabel)
            unused = 0
            for position, row in rows.decided(found, "relabel"):
                if row.decision == "exclude":
                    unused += 1
                elif corrected.setdefault(position, label := rows.label(row, found)) != label:
                    raise DataError(f"line {row.line} of the list {found.path} gives an image its second new label.")
            lists["relabel"] = {"file": str(found.path), "sha256": found.sha256}
            notes += rows.notes()
            if unused and exclude is None:
                notes.append(
                    f"{amount(unused, 'row')} of the list say exclude: give it as exclude, too, to leave them out."
                )
        if isinstance(exclude, Mapping):
            gone = _recorded_rows(exclude, contents)
            lists["exclude"] = dict(exclude)
        elif exclude is not None:
            rows, found = ListedRows(contents, root), _read("exclude", exclude)
            for position, row in rows.decided(found, "exclude"):
                if row.decision == "exclude" or position not in corrected:
                    gone.add(position)
            lists["exclude"] = {"file": str(found.path), "sha256": found.sha256}
            notes += rows.notes()
        kept = [(at, to) for at, to in sorted(corrected.items()) if at not in gone and contents.labels[at] != to]
        if relabel is not None:
            lists["relabel"]["rows"] = " ".join(f"{at}:{to}" for at, to in kept)
        excluded = np.array(sorted(gone), np.int64)
        if exclude is not None:
            lists["exclude"]["rows"] = _positions_text(excluded)
        positions = np.array([at for at, _ in kept], np.int64)
        return cls(excluded, positions, np.array([to for _, to in kept], np.int32), lists, tuple(dict.fromkeys(notes)))

    def new_labels(self, labels: Labels) -> Labels:
        """The labels of the training part with the changed ones."""
        changed = labels.copy()
        changed[self.relabelled] = self.labels
        return changed

    def kept(self, count: int) -> NDArray[np.bool_]:
        """Marks the images of the training part that are not left out, `(count,)`."""
        mask = np.ones(count, bool)
        mask[self.excluded] = False
        return mask

    def fingerprint(self, of_files: str) -> str:
        """That of the training part with these changes; `of_files` is that of the part as the files have it."""
        if not len(self.excluded) and not len(self.relabelled):
            return of_files
        digest = hashlib.blake2b(f"{of_files} changed\n".encode(), digest_size=16)
        for array in (self.excluded, self.relabelled, self.labels):
            digest.update(f"{len(array)}\n".encode() + array.astype("<i8").tobytes())
        return digest.hexdigest()

    def arguments(self, of_files: str, held_out: NDArray[np.bool_]) -> dict[str, dict[str, str]]:
        """What a run records: `exclude` and `relabel`, as `load` takes them again.

        By the positions of left out images among all that are held out, runs with other lists find the validation
        images that they share.

        Args:
            of_files: the fingerprint of the training part as the files have it.
            held_out: marks validation.
        """
        recorded = {name: {**one, "files": of_files} for name, one in self.lists.items()}
        if "exclude" in recorded:
            places = np.cumsum(held_out) - 1
            recorded["exclude"]["validation"] = _positions_text(places[self.excluded[held_out[self.excluded]]])
        return recorded

    def check(self, labels: Labels, held_out: NDArray[np.bool_], classes: tuple[str, ...]) -> None:
        """Makes sure that every class still has a training image, and that validation has images if it had any.

        Args:
            labels: of the training part, with the changes.
            held_out: marks validation.
            classes: the names of the classes.

        Raises:
            DataError: one has none.
        """
        left = self.kept(len(labels))
        counts = count_per_class(labels[left & ~held_out], len(classes))
        empty = [repr(name) for name, count in zip(classes, counts, strict=True) if not count]
        if empty:
            raise DataError(
                f"{self._names} would leave no training image of {word_list(empty, most=5)}, but every class needs "
                "one. Decide otherwise in some rows, or add images."
            )
        if held_out.any() and not (left & held_out).any():
            raise DataError(
                f"{self._names} would leave no validation image. Hold out more images (validation=), or none "
                "(validation=0)."
            )

    def sentences(self, held_out: NDArray[np.bool_]) -> tuple[str, ...]:
        """What is changed, for the user; `held_out` marks validation."""

        def counted(positions: NDArray[np.int64]) -> str:
            validation = int(held_out[positions].sum())
            counts = {"training image": len(positions) - validation, "validation image": validation}
            return word_list(amount(count, noun) for noun, count in counts.items() if count) or "none"

        parts = []
        if "exclude" in self.lists:
            parts.append(f"left out {counted(self.excluded)}")
        if "relabel" in self.lists:
            parts.append(f"new labels for {counted(self.relabelled)}")
        return f"By {self._names}: {'; '.join(parts)}. The test part stays as it is.", *self.notes

    @property
    def _names(self) -> str:
        return word_list(dict.fromkeys(f"the list {Path(one['file']).name}" for one in self.lists.values()))


def check_recorded(name: str, value: Any) -> None:
    """Makes sure that a value is what a run records of a list, and no path: a record from elsewhere opens no file.

    Args:
        name: `exclude` or `relabel`.
        value: from the record.

    Raises:
        ValueError: it is not.
    """
    texts = value if isinstance(value, Mapping) else {}
    if not all(isinstance(texts.get(key), str) for key in ("file", "sha256", "rows")):
        raise ValueError(f"{name} must be an object with file, sha256 and rows, got {str(value)[:100]!r}")
    held_out = texts.get("validation", "")
    if not isinstance(texts.get("files", ""), str) or not isinstance(held_out, str):
        raise ValueError(f"{name} must have texts, got {str(value)[:100]!r}")  # noqa: TRY004
    for text, form in ((texts["rows"], _FORMS[name]), (held_out, _FORMS["exclude"])):
        if not form.fullmatch(text):
            raise ValueError(f"the rows of {name} must be positions, got {text[:60]!r}")


def _read(name: str, given: Any) -> ReviewList:
    if not isinstance(given, str | os.PathLike):
        raise DataError(f"{name} is a {type(given).__name__}; expected the path of a CSV file.")
    return ReviewList.read(absolute(os.fsdecode(given)))


def _recorded_rows(stored: Mapping[str, Any], contents: Contents) -> set[int]:
    _check("exclude", stored)
    return {*read_positions(stored["rows"], len(contents.labels)).tolist()}


def _recorded_labels(stored: Mapping[str, Any], contents: Contents) -> dict[int, int]:
    _check("relabel", stored)
    labels = {}
    for one in stored["rows"].split():
        at, _, to = one.partition(":")
        _check_position(at, len(contents.labels))
        if len(to) > 9 or int(to) >= len(contents.classes):
            raise DataError(
                f"the recorded list gives the label {to[:20]}, but there are {len(contents.classes)} classes."
            )
        labels[int(at)] = int(to)
    return labels


def _check(name: str, stored: Mapping[str, Any]) -> None:
    try:
        check_recorded(name, stored)
    except ValueError as error:
        raise DataError(f"{error}.") from error


def _check_position(text: str, count: int) -> None:
    if len(text) > 15 or int(text) >= count:
        raise DataError(
            f"the recorded list has image {text[:20]}, but there are {count:,} images: the data have changed."
        )


def _positions_text(rows: NDArray[np.int64]) -> str:
    """Rising positions as a text, those in a row as `first-last`: `3 17-20`."""
    starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    each = (one for one in np.split(rows, starts[1:]) if len(one))
    return " ".join(str(one[0]) if len(one) == 1 else f"{one[0]}-{one[-1]}" for one in each)


def read_positions(text: str, count: int) -> NDArray[np.int64]:
    """The positions in such a text, rising, each once, `(n,)`.

    Args:
        text: as `_positions_text` gives it.
        count: from which on there are no images.

    Raises:
        DataError: there is no such image.
    """
    chosen = np.zeros(count, bool)
    for one in text.split():
        first, _, last = one.partition("-")
        _check_position(first, count)
        _check_position(last or first, count)
        chosen[int(first) : int(last or first) + 1] = True
    return np.flatnonzero(chosen)
