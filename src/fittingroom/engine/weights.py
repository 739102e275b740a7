"""Weights in the loss, as users give them: one for each image, or one for each class."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from fittingroom.errors import DataError, InputError

Array = np.ndarray[Any, Any]
ClassWeight = Mapping[int, float] | Literal["balanced"]


def checked_sample_weight(weights: Array, count: int) -> Array:
    """Weights of images, float32 `(count,)`.

    Raises:
        DataError: there is not one for each image, or they are negative, not finite, or all zero.
    """
    if weights.shape == (count, 1):
        weights = weights[:, 0]
    if weights.shape != (count,):
        raise DataError(f"sample_weight has the shape {weights.shape}; expected ({count},), one for each image.")
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if wrong.size:
        some = ", ".join(f"{weights[image]:g} (image {image})" for image in wrong[:5])
        raise DataError(
            f"{wrong.size:,} of {count:,} sample weights are negative or not finite: {some}. A weight says how much an "
            "image counts in the loss: 0 or more."
        )
    if not weights.any():
        raise DataError("All sample weights are 0, so that no image would count in the loss.")
    return weights.astype(np.float32)


def checked_class_weight(given: Any, names: tuple[str, ...] = ()) -> ClassWeight | None:
    """What `class_weight` says: a weight for each class number, `"balanced"`, or nothing.

    Args:
        given: what the user gave.
        names: of the classes, to find the number of one that was given by name.

    Raises:
        InputError: it is something else, a key is not a class number, or a weight is not a number from 0.
    """
    if given is None:
        return None
    if isinstance(given, str) and given == "balanced":
        return "balanced"
    if not isinstance(given, Mapping):
        form = f"class_weight is {given!r}" if isinstance(given, str) else f"class_weight is a {type(given).__name__}"
        listed = isinstance(given, list | tuple | np.ndarray) and np.ndim(given) == 1
        mend = " Write dict(enumerate(class_weight))." if listed else ""
        raise InputError(f"{form}; expected class number -> weight, such as {{0: 1.0, 1: 5.0}}, or 'balanced'.{mend}")
    weights: dict[int, float] = {}
    for key, weight in given.items():
        weights[_class_number(key, names)] = _weight(key, weight)
    if weights and not any(weights.values()):
        raise InputError("All class weights are 0, so that no image would count in the loss.")
    return weights


def of_classes(class_weight: ClassWeight, labels: Array) -> Array:
    """The weight of each image, float32 `(n,)`, by its class; 1 for classes that are not named.

    `"balanced"` gives every class the same total weight, and the images 1 on average, as scikit-learn does:
    n / (classes with images × images of the class).

    Args:
        class_weight: as `checked_class_weight` gives it.
        labels: class numbers, `(n,)`.
    """
    weights = np.ones(len(labels), np.float32)
    if isinstance(class_weight, str):  # -1 stands for images without a class
        classes, counts = np.unique(labels[labels >= 0], return_counts=True)
        class_weight = dict(zip(classes.tolist(), (counts.sum() / (len(classes) * counts)).tolist(), strict=True))
    for number, weight in class_weight.items():
        weights[labels == number] = weight
    return weights


def unused_weights(class_weight: ClassWeight | None, labels: Array) -> tuple[str, ...]:
    """A note about weights of classes that no training image has."""
    if class_weight is None or isinstance(class_weight, str):
        return ()
    unused = sorted(set(class_weight) - set(np.unique(labels).tolist()))
    if not unused:
        return ()
    named = f"class{'es' * (len(unused) > 1)} {', '.join(map(str, unused[:5]))}"
    return (f"class_weight names {named}, of which there are no training images.",)


def _class_number(key: Any, names: tuple[str, ...]) -> int:
    if isinstance(key, numbers.Real) and not isinstance(key, bool) and float(key).is_integer():
        return int(float(key))
    if isinstance(key, str) and key in names:
        hint = f" {key!r} is class {names.index(key)}."
    elif isinstance(key, str) and key.isdecimal():
        hint = f" Write {int(key)} without quotes."
    else:
        hint = ""
    raise InputError(f"class_weight names the class {key!r}; expected class numbers (0, 1, 2, ...) as keys.{hint}")


def _weight(key: Any, weight: Any) -> float:
    scalar = weight.item() if isinstance(weight, np.ndarray | np.generic) and np.ndim(weight) == 0 else weight
    if isinstance(scalar, bool) or not isinstance(scalar, numbers.Real) or not math.isfinite(scalar) or scalar < 0:
        raise InputError(f"class_weight[{key!r}] is {weight!r}; expected a number from 0.")
    return float(scalar)
