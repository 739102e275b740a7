"""What a user hands to `fit`, as the arrays that the programs take."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fittingroom.data.dataset import Part
from fittingroom.data.ranges import ValueRange, extremes_of, require_finite
from fittingroom.engine.array_forms import ClassWeight, alone, array_of, checked_sample_weight, of_classes
from fittingroom.engine.epoch import Examples
from fittingroom.errors import DataError, InputError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LabelForm:
    """What labels may be besides class numbers (0, 1, 2, ...) and one-hot rows, where the loss says so.

    Args:
        signed: -1 and 1 are classes 0 and 1, as the hinge losses have them.
        ignored: a number that marks images without a class (`ignore_class`), which the loss leaves out.
    """

    signed: bool = False
    ignored: int | None = None

    def indices(self, labels: Any) -> Any:
        """Class indices int32 `(n,)` from labels `(n,)`, `(n, 1)` or one-hot `(n, classes)`; -1 without a class.

        Takes arrays of NumPy and, inside programs, of JAX.
        """
        if labels.ndim == 2 and labels.shape[1] > 1:
            return labels.argmax(axis=1).astype(np.int32)
        labels = labels.reshape(labels.shape[0])
        if self.signed:
            return (labels > 0).astype(np.int32)
        labels = labels.astype(np.int32)
        if self.ignored is None:
            return labels
        missing = labels == self.ignored
        return labels * ~missing - missing


_CLASS_NUMBERS = LabelForm()


@dataclass(frozen=True)
class Arrays:
    """Images, labels and perhaps weights, checked.

    Args:
        images: `(n, ...)`.
        labels: `(n,)`, `(n, 1)`, or one-hot `(n, classes)`.
        weights: in the loss, `(n,)`.
        scale: what the images are still to be divided by, if at all.
        form: what the labels may be.
        files: the picture file of each image; empty where they came from none.
    """

    images: Array
    labels: Array
    weights: Array | None = None
    scale: float | None = None
    form: LabelForm = _CLASS_NUMBERS
    files: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> int:
        """How many classes the labels name."""
        return self.one_hot_classes or (2 if self.form.signed else max(1, int(self.class_indices.max()) + 1))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes as the labels write them."""
        if self.form.signed and not self.one_hot_classes and (self.labels < 0).any():
            return "-1", "1"
        return tuple(str(number) for number in range(self.classes))

    @property
    def label_numbers(self) -> Array:
        """The labels as they are written, `(n,)`, which need not be class indices; class indices where one-hot."""
        return self.class_indices if self.one_hot_classes else self.labels.reshape(-1)

    @property
    def one_hot_classes(self) -> int | None:
        """How many columns one-hot labels have; None where the labels are class numbers."""
        return int(self.labels.shape[1]) if self.labels.ndim == 2 and self.labels.shape[1] > 1 else None

    @property
    def class_indices(self) -> Array:
        """The labels as class indices, int32 `(n,)`; -1 for images without a class."""
        return np.asarray(self.form.indices(self.labels))

    @cached_property
    def extremes(self) -> tuple[int, int]:
        """Where the smallest and the largest value of the images are, as positions in `images.flat`."""
        return extremes_of(self.images)

    @cached_property
    def values(self) -> ValueRange:
        """The range of the images' values as they are here, not divided by `scale`."""
        return ValueRange.of(self.images, self.extremes)

    @property
    def model_range(self) -> ValueRange:
        """The range of the values that the model gets."""
        if self.scale is None or self.scale == 1:
            return self.values
        return ValueRange(0.0, 1.0, False, 0.0, 1.0)  # a dataset is known by its scale, and not looked at again

    def examples(self) -> Examples:
        """The arrays on the device."""
        import jax

        examples: Examples = jax.device_put(Examples(self.images, self.labels, self.weights))  # type: ignore[arg-type]
        return examples

    def input_batch(self, count: int = 1) -> Array:
        """The first images as the model will get them; one is enough to build it with."""
        first = np.asarray(self.images[:count])
        return first if self.scale is None else first.astype(np.float32) / np.float32(self.scale)


def of_part(part: Part, *, scale: bool = True) -> Arrays:
    """A dataset's part; images stay uint8 and are divided by the dataset's scale inside the program."""
    return Arrays(part.images, part.labels, scale=part.scale if scale else 1.0, files=part.files)


def weighted(arrays: Arrays, sample_weight: Any) -> Arrays:
    """The arrays with a weight in the loss for each image, `(n,)`; None leaves them as they are."""
    if sample_weight is None:
        return arrays
    weights = array_of("sample_weight", sample_weight)
    return replace(arrays, weights=checked_sample_weight(weights, len(arrays)))


def class_weighted(arrays: Arrays, class_weight: ClassWeight | None) -> Arrays:
    """Training arrays with a weight in the loss for each class, as `weights.of_classes` gives them."""
    if class_weight is None:
        return arrays
    if arrays.weights is not None:
        raise InputError(
            "Both sample_weight and class_weight are given; expected one. Multiply them into sample_weight."
        )
    numbers = arrays.class_indices if isinstance(class_weight, str) else arrays.label_numbers
    return replace(arrays, weights=of_classes(class_weight, numbers))


def of_user(x: Any, y: Any, sample_weight: Any = None, *, form: LabelForm = _CLASS_NUMBERS, name: str = "x") -> Arrays:
    """Arrays as given by the user, in the types that Keras would turn them into.

    Args:
        x: images.
        y: labels.
        sample_weight: weights, or None.
        form: what labels the loss takes.
        name: of the argument, for messages.

    Raises:
        DataError: they are no arrays, are empty, differ in length, or hold NaN or impossible labels.
    """
    x, y = alone(x, y)
    images, labels = array_of("x", x), array_of("y", y)
    if len(images) != len(labels):
        raise DataError(
            f"x has {len(images):,} images and y has {len(labels):,} labels. Both must have the same number."
        )
    if not len(images):
        if name == "validation_data":
            raise DataError("validation_data holds no images. Leave it out, or give some: validation_split=0.1, say.")
        raise DataError("x holds no images. Training needs at least one image of each class.")
    arrays = Arrays(images, labels, form=form)
    require_finite(images, f"{len(images):,} images", arrays.extremes if images.size else None)
    _check_labels(labels, form)
    return weighted(arrays, sample_weight)


def require_classes(train: Arrays) -> None:
    """Raises DataError unless the training labels name two classes at least."""
    found = np.unique(train.class_indices[train.class_indices >= 0])
    if len(found) < 2:
        which = f"class {found[0]}" if len(found) else f"{train.form.ignored}, which the loss ignores"
        raise DataError(f"All {len(train):,} labels are {which}. Training needs images of two classes at least.")


def require_class_of_each(validation: Arrays) -> None:
    """Raises DataError where validation images have no class: nothing says whether an answer to them is right."""
    without = int((validation.class_indices < 0).sum())
    if without:
        raise DataError(
            f"{without:,} of {len(validation):,} validation images have the label {validation.form.ignored}, which the "
            "loss ignores, so no answer to them is right or wrong. Leave them out of the validation data."
        )


def of_validation(given: Any, form: LabelForm = _CLASS_NUMBERS) -> Arrays:
    """`validation_data` as `fit` takes it: a dataset's part, `(x, y)` or `(x, y, sample_weight)`."""
    if isinstance(given, Part):
        return of_part(given)
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        count = f" of {len(given)}" if isinstance(given, tuple | list) else ""
        raise InputError(
            f"validation_data is a {type(given).__name__}{count}; expected (x_val, y_val), (x_val, y_val, "
            "sample_weight), an iterable of such batches, or a part of a dataset such as data.validation."
        )
    try:
        return of_user(*given, form=form, name="validation_data")
    except InputError as error:
        if str(error).startswith("validation_data"):
            raise
        raise type(error)(f"In validation_data, {error}") from error


def alike(validation: Arrays, train: Arrays) -> Arrays:
    """Validation arrays in the form of the training arrays, whose scale the program divides by.

    Raises:
        DataError: the shapes of the images or of the labels differ.
    """
    theirs, ours = validation.images.shape[1:], train.images.shape[1:]
    if ours == (*theirs, 1) or theirs == (*ours, 1):
        # A single channel may have an axis of its own or not: Keras takes both.
        validation = replace(validation, images=validation.images.reshape(len(validation), *ours))
    elif theirs != ours:
        flat = math.prod(theirs) == math.prod(ours)
        mend = f" Give x_val.reshape{(-1, *ours)}." if flat and 1 in (len(theirs), len(ours)) else ""
        raise DataError(f"The validation images have the shape {theirs}, and the training images {ours}.{mend}")
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


def check_scales(validation: Arrays, train: Arrays) -> tuple[str, ...]:
    """What should be said about the values of validation images beside those of the training images.

    Raises:
        DataError: they are on another scale, so that validation would mean nothing.
    """
    images = validation.images
    if validation.scale == train.scale is not None and images.dtype == np.uint8:  # parts of datasets
        return ()
    if validation.scale not in (None, 1):
        images = np.divide(images, np.float32(validation.scale), dtype=np.float32)
    difference = train.model_range.difference(images)
    if difference is None:
        return ()
    if difference.meaningless:
        raise DataError(f"The validation images {difference.sentence}")
    return (f"The validation images {difference.sentence}",)


def first_images(arrays: Arrays, count: int) -> Arrays:
    """The first `count` images, with their labels and weights."""
    weights = None if arrays.weights is None else arrays.weights[:count]
    files = arrays.files[:count]
    return replace(arrays, images=arrays.images[:count], labels=arrays.labels[:count], weights=weights, files=files)


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
        return replace(
            arrays,
            images=arrays.images[piece],
            labels=arrays.labels[piece],
            weights=weights,
            files=arrays.files[piece],
        )

    return part(slice(None, cut)), part(slice(cut, None))


def _check_labels(labels: Array, form: LabelForm) -> None:
    if labels.ndim > 2:
        raise DataError(
            f"y has the shape {labels.shape}; expected one class number per image, or one-hot rows. {_WHAT_IS_TRAINED}"
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        _check_rows(labels, form)
        return
    allowed = (labels >= 0) & (labels == np.floor(labels)) & np.isfinite(labels)
    if form.ignored is not None:
        allowed |= labels == form.ignored
    expected = "class numbers (0, 1, 2, ...)"
    if form.signed:
        numbers = (-1, 1) if (labels == -1).any() else (0, 1)
        allowed, expected = np.isin(labels, numbers), "-1 and 1, or 0 and 1, as this loss reads them"
    wrong = labels[~allowed]
    if not wrong.size:
        return
    some = ", ".join(f"{value:g}" for value in wrong[:5].tolist())
    if (wrong != np.floor(wrong)).any() and np.isfinite(wrong).all():
        raise DataError(f"{wrong.size:,} of {len(labels):,} labels are fractions, such as {some}. {_WHAT_IS_TRAINED}")
    signed = {*np.unique(labels[np.isfinite(labels)]).tolist()} == {-1.0, 1.0} and not form.signed
    mend = " For -1 and 1, use (y > 0).astype(int), or a hinge loss, which takes them." if signed else ""
    raise DataError(f"{wrong.size:,} of {len(labels):,} labels are not {expected}: {some}.{mend}")


def _check_rows(labels: Array, form: LabelForm) -> None:
    """Raises DataError unless each row says one class, or shares of classes that sum to 1 (smoothed, or mixed)."""
    if form.signed and np.isin(labels, (-1, 1)).all():
        labels = (labels + 1) / 2
    sums = labels.sum(axis=1, dtype=np.float64)
    fits = (labels >= 0).all(axis=1) & (np.abs(sums - 1) < 0.01)
    if fits.all():
        return
    row = int(np.argmin(fits))
    shown = ", ".join(f"{value:g}" for value in labels[row][:10].tolist())
    several = np.isin(labels, (0, 1)).all()
    what = "several classes, or none, for an image" if several else "regression with several targets"
    raise DataError(
        f"y has the shape {labels.shape}, and its rows are not one-hot: that of image {row} is [{shown}"
        f"{', ...' if labels.shape[1] > 10 else ''}]. This looks like {what}. {_WHAT_IS_TRAINED}"
    )


_WHAT_IS_TRAINED = (
    "Fitting Room trains classifiers that name one class per image: y holds class numbers (0, 1, 2, ...) or one-hot "
    "rows. Train other models (regression, several classes per image, segmentation) with model.fit."
)
