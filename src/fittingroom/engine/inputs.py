"""What a user hands to `fit`, as the arrays that the programs take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fittingroom.data.dataset import Part
from fittingroom.engine.epoch import Examples
from fittingroom.errors import DataError, InputError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Arrays:
    """Images, labels and perhaps weights, checked; `scale` is what the images are still to be divided by, if at all."""

    images: Array
    labels: Array
    weights: Array | None = None
    scale: float | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> int:
        """How many classes the labels name."""
        return self.one_hot_classes or int(self.labels.max()) + 1

    @property
    def one_hot_classes(self) -> int | None:
        """How many columns one-hot labels have; None where the labels are class numbers."""
        return int(self.labels.shape[1]) if self.labels.ndim == 2 and self.labels.shape[1] > 1 else None

    @property
    def class_indices(self) -> Array:
        """The labels as class indices, int32 `(n,)`."""
        if self.one_hot_classes:
            return np.asarray(np.argmax(self.labels, axis=1), np.int32)
        return np.asarray(self.labels.reshape(-1), np.int32)

    def examples(self) -> Examples:
        """The arrays on the device."""
        import jax

        examples: Examples = jax.device_put(Examples(self.images, self.labels, self.weights))  # type: ignore[arg-type]
        return examples

    def input_batch(self) -> Array:
        """One image as the model will get it, to build the model with."""
        first = np.asarray(self.images[:1])
        return first if self.scale is None else first.astype(np.float32)


def of_part(part: Part, *, scale: bool = True) -> Arrays:
    """A dataset's part; images stay uint8 and are divided by the dataset's scale inside the program."""
    return Arrays(part.images, part.labels, scale=part.scale if scale else 1.0)


def weighted(arrays: Arrays, sample_weight: Any) -> Arrays:
    """The arrays with a weight in the loss for each image, `(n,)`; None leaves them as they are."""
    if sample_weight is None:
        return arrays
    weights = _array("sample_weight", sample_weight).astype(np.float32)
    if weights.shape != (len(arrays),):
        raise DataError(f"sample_weight has the shape {weights.shape}; expected ({len(arrays)},), one for each image.")
    return replace(arrays, weights=weights)


def class_weighted(arrays: Arrays, class_weight: Mapping[int, float] | None) -> Arrays:
    """Training arrays with a weight in the loss for each class: class number -> weight, 1 for those not named."""
    if class_weight is None:
        return arrays
    if arrays.weights is not None:
        raise InputError(
            "Both sample_weight and class_weight are given; expected one. Multiply them into sample_weight."
        )
    weights = np.ones(len(arrays), np.float32)
    for number, weight in class_weight.items():
        weights[arrays.class_indices == number] = weight
    return replace(arrays, weights=weights)


def of_user(x: Any, y: Any, sample_weight: Any = None) -> Arrays:
    """Arrays as given by the user, in the types that Keras would turn them into.

    Raises:
        DataError: they are no arrays, are empty, differ in length, or hold NaN or impossible labels.
    """
    images, labels = _array("x", x), _array("y", y)
    if len(images) != len(labels):
        raise DataError(
            f"x has {len(images):,} images and y has {len(labels):,} labels. Both must have the same number."
        )
    if not len(images):
        raise DataError("x holds no images. Training needs at least one image of each class.")
    _check_finite(images)
    _check_labels(labels)
    return weighted(Arrays(images, labels), sample_weight)


def require_classes(train: Arrays) -> None:
    """Raises DataError unless the training labels name two classes at least."""
    found = np.unique(train.class_indices)
    if len(found) < 2:
        raise DataError(
            f"All {len(train):,} labels are class {found[0]}. Training needs images of two classes at least."
        )


def of_validation(given: Any) -> Arrays:
    """`validation_data` as `fit` takes it: a dataset's part, `(x, y)` or `(x, y, sample_weight)`."""
    if isinstance(given, Part):
        return of_part(given)
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise InputError(
            f"validation_data is a {type(given).__name__}; expected (x_val, y_val), (x_val, y_val, sample_weight), "
            "an iterable of such batches, or a part of a dataset such as data.validation."
        )
    return of_user(*given)


def alike(validation: Arrays, train: Arrays) -> Arrays:
    """Validation arrays in the form of the training arrays, whose scale the program divides by.

    Raises:
        DataError: the shapes of the images or of the labels differ.
    """
    theirs, ours = validation.images.shape[1:], train.images.shape[1:]
    if theirs != ours:
        raise DataError(f"The validation images have the shape {theirs}, and the training images {ours}.")
    if validation.one_hot_classes != train.one_hot_classes:
        forms = [
            f"{arrays.labels.shape} for {name}" for name, arrays in (("validation", validation), ("training", train))
        ]
        raise DataError(
            f"The labels have the shapes {' and '.join(forms)}. Give both as class numbers, or both one-hot."
        )
    if validation.scale == train.scale:
        return validation
    images = np.divide(validation.images, np.float32(validation.scale or 1), dtype=np.float32)
    return replace(validation, images=images * np.float32(train.scale or 1), scale=train.scale)


def first_images(arrays: Arrays, count: int) -> Arrays:
    """The first `count` images, with their labels and weights."""
    weights = None if arrays.weights is None else arrays.weights[:count]
    return replace(arrays, images=arrays.images[:count], labels=arrays.labels[:count], weights=weights)


def split_last(arrays: Arrays, fraction: float) -> tuple[Arrays, Arrays]:
    """Training and validation arrays; the second has the last `fraction` of the images before any shuffle, as in Keras.

    Raises:
        InputError: the fraction is not between 0 and 1, or leaves one side empty.
    """
    cut = math.floor(len(arrays) * (1.0 - fraction))
    if not 0 < fraction < 1 or not 0 < cut < len(arrays):
        raise InputError(f"validation_split={fraction} leaves no images on one side of {len(arrays):,}. Give 0.1, say.")

    def part(piece: slice) -> Arrays:
        weights = None if arrays.weights is None else arrays.weights[piece]
        return Arrays(arrays.images[piece], arrays.labels[piece], weights, arrays.scale)

    return part(slice(None, cut)), part(slice(cut, None))


def _array(name: str, given: Any) -> Array:
    if not (isinstance(given, list | tuple) or hasattr(given, "__array__")):
        raise InputError(
            f"{name} is a {type(given).__name__}; expected an array (NumPy or JAX), or a dataset from fittingroom.load."
        )
    try:
        array = np.asarray(given)
    except ValueError as error:  # rows of different lengths
        raise DataError(f"{name} is not one rectangular array: its rows differ in length.") from error
    if array.dtype == object or array.dtype.kind not in "buif":
        raise DataError(f"{name} holds {array.dtype}, not numbers in one rectangular array. Give a NumPy array.")
    if array.ndim < 1:
        raise DataError(f"{name} is a single number; expected one entry per image.")
    return array.astype(np.float32) if array.dtype.kind == "f" and array.dtype.itemsize > 4 else array


def _check_finite(images: Array) -> None:
    if images.dtype.kind != "f":
        return
    bad = np.flatnonzero(~np.isfinite(images.reshape(len(images), -1)).all(axis=1))
    if bad.size:
        raise DataError(
            f"{bad.size:,} of {len(images):,} images hold NaN or infinite values, the first at {bad[:5].tolist()}. "
            "Leave them out or repair them."
        )


def _check_labels(labels: Array) -> None:
    if labels.ndim > 2:
        raise DataError(f"y has the shape {labels.shape}; expected one class number per image, or one-hot rows.")
    if labels.ndim == 2 and labels.shape[1] > 1:
        return
    wrong = labels[(labels < 0) | (labels != np.floor(labels)) | np.isinf(labels)]
    if wrong.size:
        raise DataError(f"{wrong.size:,} labels are no class numbers (0, 1, 2, ...): {wrong[:5].tolist()}.")
