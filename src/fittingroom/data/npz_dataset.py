"""Datasets in NPZ files: which arrays are the images and labels of which part, by the names that people give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.cache import DatasetSource
from fittingroom.data.contents import RawDataset, RawPart
from fittingroom.data.csvfile import square
from fittingroom.data.labels import class_names
from fittingroom.data.npz import array_names, listed, member_names, read_array
from fittingroom.data.values import to_images
from fittingroom.errors import DataError

_PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_IMAGES = ("x", "images", "image", "data", "pixels")
_LABELS = ("y", "labels", "label", "targets", "target")
_CLASSES = ("class_names", "classes", "label_names", "categories", "target_names")

_EXPECTED = (
    "x_train and y_train, and optionally x_val, y_val, x_test, y_test and class_names (or train_images, train_labels, "
    "val_images and so on, as MedMNIST names them)"
)


def npz_source(path: Path) -> DatasetSource:
    """A user's NPZ file, under Keras's names (`x_train`, `y_train`) or MedMNIST's (`train_images`)."""
    return DatasetSource.of_files("npz", str(path), (path,), lambda: _read_npz(path).checked())


def _read_npz(path: Path) -> RawDataset:
    names = array_names(path)
    found = _roles(path, names)
    arrays = {_called(part, found, path): read_array(path, found.images[part]) for part in found.images}
    arrays, flat = _unflattened(arrays)
    images, notes = to_images(arrays)
    notes = (*flat, *notes)
    pairs = {
        part: RawPart(images[_called(part, found, path)], read_array(path, found.labels[part], text=True))
        for part in found.images
    }
    train, validation = pairs["train"], pairs.get("validation")
    if validation is not None:
        train = RawPart(*(np.concatenate(both) for both in zip(_arrays(train), _arrays(validation), strict=True)))
    unused = (*found.unused, *(name for name in member_names(path) if not name.endswith(".npy")))
    if unused:
        notes = (*notes, f"Not used in {path.name}: {listed(unused)}. Expected are {_EXPECTED}.")
    return RawDataset(
        train=train,
        test=pairs.get("test"),
        source=f"file {path}",
        classes=None if found.classes is None else _class_names(path, found.classes),
        notes=notes,
        given_validation=0 if validation is None else len(validation.labels),
    )


def _unflattened(arrays: dict[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Rows of pixels as square pictures, and a sentence about them.

    Raises:
        DataError: there is one column more than a square picture has pixels.
    """
    shaped, notes = {}, []
    for name, array in arrays.items():
        shape = square(array.shape[1]) if array.ndim == 2 else None
        shaped[name] = array if shape is None else array.reshape(-1, *shape)
        if shape is not None:
            size = f"{shape[0]}x{shape[1]}{' in colour' if len(shape) == 3 else ''}"
            notes.append(f"{name}: each row of {array.shape[1]:,} values is taken as a picture of {size}.")
        elif array.ndim == 2 and square(array.shape[1] - 1) is not None:
            raise DataError(
                f"{name} has the shape {array.shape}: one column more than a square picture has pixels. Is the label "
                "still in it?"
            )
    return shaped, tuple(notes)


def _called(part: str, found: _Roles, path: Path) -> str:
    return f"{found.images[part]} of {path}"


def _arrays(pairs: RawPart) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images and labels, these without the axis of a column."""
    labels = pairs.labels
    return pairs.images, labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _class_names(path: Path, name: str) -> tuple[str, ...]:
    """The names of the classes that an NPZ file brings along."""
    array = read_array(path, name, text=True)
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{name} of {path} has the shape {array.shape}; expected one name for each class, (classes,).")
    names = tuple(str(one) for one in (np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array))
    class_names(names, "class")
    if len(set(names)) < len(names):
        raise DataError(
            f"{name} of {path} has a name twice: {', '.join(names[:10])}. Give each class a name of its own."
        )
    return names


@dataclass(frozen=True)
class _Roles:
    """What the arrays of a file are.

    Attributes:
        images: for each part, the name of the array of its images; the same parts as in `labels`.
        labels: the same of labels.
        classes: the name of the array with the names of the classes, or None.
        unused: arrays that are none of these.
    """

    images: dict[str, str]
    labels: dict[str, str]
    classes: str | None
    unused: tuple[str, ...]


def _roles(path: Path, names: Sequence[str]) -> _Roles:
    """What the arrays with these names are.

    Args:
        path: of their file, for messages.
        names: of all arrays.

    Raises:
        DataError: there is no training part, a part lacks images or labels, or two arrays would be the same.
    """
    images = {part: _only(path, names, _forms(part, _IMAGES), f"the {part} images") for part in _PARTS}
    labels = {part: _only(path, names, _forms(part, _LABELS), f"the {part} labels") for part in _PARTS}
    if not images["train"] and not labels["train"]:
        images["train"] = _only(path, names, _IMAGES, "the images")
        labels["train"] = _only(path, names, _LABELS, "the labels")
    present = [part for part in _PARTS if part == "train" or images[part] or labels[part]]
    missing = [
        _like(part, letter, images, labels)
        for part in present
        for letter, found in (("x", images), ("y", labels))
        if not found[part]
    ]
    if missing:
        unnamed = any(re.fullmatch(r"arr_\d+", name) for name in names)
        raise DataError(
            f"{path} has the arrays {listed(names)}; missing: {', '.join(sorted(missing))}. Expected {_EXPECTED}."
            + (" Save them with names: np.savez(FILE, x_train=images, y_train=labels)." if unnamed else "")
        )
    classes = _only(path, names, _CLASSES, "the names of the classes")
    found = {part: str(images[part]) for part in present}, {part: str(labels[part]) for part in present}
    used = {*found[0].values(), *found[1].values(), classes}
    return _Roles(*found, classes, tuple(name for name in names if name not in used))


def _like(part: str, letter: str, images: dict[str, str | None], labels: dict[str, str | None]) -> str:
    """How a missing array would be called, as its counterpart is."""
    other = (labels if letter == "x" else images)[part]
    short = "val" if part == "validation" else part
    words = {"x": "images", "y": "labels"}
    if other and other.lower().endswith(("_images", "_labels")):
        return f"{short}_{words[letter]}"
    return f"{letter}_{short}"


def _forms(part: str, words: Sequence[str]) -> tuple[str, ...]:
    return tuple(form for name in _PARTS[part] for word in words for form in (f"{word}_{name}", f"{name}_{word}"))


def _only(path: Path, names: Sequence[str], forms: Sequence[str], what: str) -> str | None:
    found = [name for name in names if name.lower() in forms]
    if len(found) > 1:
        raise DataError(f"{path} has {' and '.join(found)}, and either could be {what}. Remove or rename one.")
    return found[0] if found else None
