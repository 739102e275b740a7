"""Which arrays of an NPZ file are images and labels of which part, by the names that people give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fittingroom.errors import DataError

_PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_IMAGES = ("x", "images", "image", "data", "pixels")
_LABELS = ("y", "labels", "label", "targets", "target")
_CLASSES = ("class_names", "classes", "label_names", "categories", "target_names")

EXPECTED = (
    "x_train and y_train, and perhaps x_val, y_val, x_test, y_test and class_names (or train_images, train_labels, "
    "val_images and so on, as MedMNIST names them)"
)


@dataclass(frozen=True)
class Roles:
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


def roles(path: Path, names: Sequence[str], listed: str) -> Roles:
    """What the arrays with these names are.

    Args:
        path: of their file, for messages.
        names: of all arrays.
        listed: the names for a message.

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
            f"{path} has the arrays {listed}; missing: {', '.join(sorted(missing))}. Expected {EXPECTED}."
            + (" Save them with names: np.savez(FILE, x_train=images, y_train=labels)." if unnamed else "")
        )
    classes = _only(path, names, _CLASSES, "the names of the classes")
    found = {part: str(images[part]) for part in present}, {part: str(labels[part]) for part in present}
    used = {*found[0].values(), *found[1].values(), classes}
    return Roles(*found, classes, tuple(name for name in names if name not in used))


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
