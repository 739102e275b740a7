"""Images, labels and weights as users have them: lists, tensors, one-hot rows. Converted as Keras would, or refused."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from fittingroom.data.dataset import Part
from fittingroom.data.ranges import ValueRange
from fittingroom.engine.arrays import Array, Arrays, LabelForm
from fittingroom.errors import DataError, InputError, ModelError

_CLASS_NUMBERS = LabelForm()
_WHAT_IS_TRAINED = (
    "Fitting Room trains classifiers that name one class per image: y holds class numbers (0, 1, 2, ...) or one-hot "
    "rows. Train other models (regression, several classes per image, segmentation) with model.fit."
)


def of_user(x: Any, y: Any, sample_weight: Any = None, *, form: LabelForm = _CLASS_NUMBERS, name: str = "x") -> Arrays:
    """A user's images and labels as arrays of the types that Keras would convert them to.

    Args:
        x: images, `(n, ...)`; or a dataset's part, which has its own labels.
        y: labels, `(n,)`, `(n, 1)`, or one-hot `(n, classes)`; not used with a part.
        sample_weight: how much each image counts in the loss, `(n,)`; None where all count alike.
        form: what the labels may be.
        name: of the argument, for messages.

    Raises:
        InputError, ModelError: something is not an array, or is several.
        DataError: they are empty, differ in length, or hold NaN or impossible labels.
    """
    if isinstance(x, Part):
        return _weighted(replace(Arrays.of_part(x), form=form), sample_weight)
    x, y = _alone(x, y)
    images, labels = _array_of("x", x), _array_of("y", y)
    if len(images) != len(labels):
        raise DataError(f"x has {len(images):,} images, but y has {len(labels):,} labels. Each image needs one label.")
    if not len(images):
        if name == "validation_data":
            raise DataError(
                "validation_data holds no images. Leave it out, or hold some out with validation_split=0.1."
            )
        raise DataError("x holds no images. Training needs at least one image of each class.")
    arrays = Arrays(images, labels, form=form)
    ValueRange.require_finite(images, f"{len(images):,} images", arrays.extremes if images.size else None)
    _check_labels(labels, form)
    return _weighted(arrays, sample_weight)


def of_validation(given: Any, form: LabelForm = _CLASS_NUMBERS) -> Arrays:
    """The arrays of `validation_data` as `fit` takes it: a dataset's part, `(x, y)` or `(x, y, sample_weight)`.

    Raises:
        InputError, ModelError, DataError: it is something else; or as `of_user` says.
    """
    if isinstance(given, Part):
        return Arrays.of_part(given)
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


def _alone(x: Any, y: Any) -> tuple[Any, Any]:
    """Images and labels, taken out of lists of one array: Keras takes `[x]` and `[y]` for one input and one output.

    Raises:
        ModelError: there are several arrays, which Keras takes for several inputs or outputs.
    """
    y = y[0] if _arrays_in(y) == 1 and np.ndim(y[0]) else y
    labels = len(y) if hasattr(y, "__len__") else None
    if (count := _arrays_in(x)) and all(np.shape(array)[:1] == (labels,) for array in x) and count != labels:
        if count > 1:
            raise ModelError(_several(f"x is a list of {count} arrays, which Keras takes for {count} inputs"))
        x = x[0]
    images = np.shape(x)[0] if hasattr(x, "shape") and np.shape(x) else None
    count = _arrays_in(y)
    if count > 1 and count != images and all(np.shape(array)[:1] == (images,) for array in y):
        raise ModelError(_several(f"y is a list of {count} arrays, which Keras takes for {count} outputs"))
    return x, y


def _arrays_in(given: Any) -> int:
    """How many arrays a list holds; 0 for anything else, such as a list of numbers or of rows."""
    if isinstance(given, list | tuple) and given and all(hasattr(item, "__array__") for item in given):
        return len(given)
    return 0


def _several(what: str) -> str:
    return (
        f"{what}. Fitting Room trains classifiers with one input (an image) and one output (its class); train such a "
        "model with model.fit."
    )


def _array_of(name: str, given: Any) -> Array:
    """An array of numbers, of the type that Keras would convert it to.

    Args:
        name: of the argument, for messages.
        given: an array, or lists of numbers.

    Raises:
        InputError: it is something else.
        ModelError: it is a dict of several arrays.
        DataError: it does not hold numbers, or is not rectangular.
    """
    if hasattr(given, "todense"):
        raise InputError(
            f"{name} is a sparse matrix ({type(given).__name__}), but Fitting Room trains on dense arrays. Give "
            f"{name}.{'toarray' if hasattr(given, 'toarray') else 'todense'}()."
        )
    if isinstance(given, np.ma.MaskedArray) and (masked := int(np.ma.getmaskarray(given).sum())):
        raise DataError(
            f"{name} is a masked array, but training would use the numbers under its {masked:,} masked values. Give "
            f"{name}.filled(0), or leave those images out."
        )
    if isinstance(given, dict) and given:
        if len(given) > 1:
            raise ModelError(_several(f"{name} is a dict of {len(given)} arrays, which Keras takes for as many inputs"))
        raise InputError(f"{name} is a dict of one array. Give the array itself: {name}[{next(iter(given))!r}].")
    if not (isinstance(given, list | tuple) or hasattr(given, "__array__")):
        dataset = ", or a dataset from fittingroom.load" if name == "x" else ", one number for each image"
        what = "missing" if given is None else f"a {type(given).__name__}"
        raise InputError(f"{name} is {what}; expected a NumPy or JAX array{dataset}.")
    floatx = _floatx()
    try:
        array = np.asarray(given)
        array = array.astype(floatx) if array.dtype.name == "bfloat16" else array
    except ValueError as error:  # rows of different lengths
        raise DataError(f"{name} is not one rectangular array: its rows differ in length.") from error
    if array.dtype.kind in "OSUT":
        raise _not_numbers(name, array)
    if array.dtype.kind not in "buif":
        raise DataError(f"{name} holds {array.dtype}; expected {_real_numbers(name, array)}")
    if array.ndim < 1:
        raise DataError(f"{name} is a single number; expected one entry per image.")
    if array.dtype.kind == "f":
        return array.astype(floatx, copy=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)  # JAX takes the machine's order of bytes _alone


def _floatx() -> np.dtype[Any]:
    """The type that Keras gives to every array of fractions, `keras.config.floatx()`, or float32 where JAX lacks it."""
    import jax
    import keras

    wanted = np.dtype(keras.config.floatx()) if keras.config.floatx() != "bfloat16" else np.dtype(np.float32)
    return wanted if wanted != np.float64 or jax.config.read("jax_enable_x64") else np.dtype(np.float32)


def _not_numbers(name: str, array: Array) -> DataError:
    """The error for an array of texts or of objects, after a look at some of them."""
    some = array.reshape(-1)[:1000].tolist()
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in some]
    if texts and all(isinstance(value, str) for value in texts):
        return DataError(f"{name} holds {_texts(name, texts)}")
    missing = sum(value is None for value in array.reshape(-1).tolist())
    if missing:
        return DataError(f"{missing:,} of the {array.size:,} values in {name} are None. Leave those images out.")
    return DataError(f"{name} {_objects(name, array, some)}")


def _real_numbers(name: str, array: Array) -> str:
    """What to give in place of complex numbers, dates or records."""
    if array.dtype.kind == "c":
        return f"real numbers. Give numpy.abs({name}) or {name}.real, whichever is the image."
    if name != "y":
        return "numbers."
    return "class numbers. To make a class of each value: classes, y = numpy.unique(y, return_inverse=True)."


def _texts(name: str, texts: list[str]) -> str:
    shown = ", ".join(repr(value) for value in list(dict.fromkeys(texts))[:3])
    if all(value.strip().lstrip("+-").isdecimal() for value in texts):
        return f"numbers as text: {shown}. Give {name}.astype(int)."
    if name != "y":
        return f"text: {shown}; expected numbers."
    return (
        f"text: {shown}. Keras trains on class numbers. For names and numbers: classes, y = numpy.unique(y, "
        "return_inverse=True)."
    )


def _objects(name: str, array: Array, some: list[Any]) -> str:
    shapes = {getattr(value, "shape", None) for value in some}
    if array.ndim == 1 and None not in shapes:
        if len(shapes) == 1:
            return f"is an array of {len(array):,} arrays of shape {shapes.pop()}. Give numpy.stack(list({name}))."
        listed = ", ".join(str(shape) for shape in list(shapes)[:3])
        return f"holds arrays of different shapes, such as {listed}. All must have the same shape."
    kinds = ", ".join(sorted({type(value).__name__ for value in some})[:3])
    kind = "int" if name == "y" else "'float32'"
    return f"holds Python objects ({kinds}), not numbers. Give {name}.astype({kind})."


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
        allowed, expected = np.isin(labels, numbers), "-1 and 1, or 0 and 1, which this loss expects"
    wrong = labels[~allowed]
    if not wrong.size:
        return
    some = ", ".join(f"{value:g}" for value in wrong[:5].tolist())
    if (wrong != np.floor(wrong)).any() and np.isfinite(wrong).all():
        raise DataError(f"{wrong.size:,} of {len(labels):,} labels are fractions, such as {some}. {_WHAT_IS_TRAINED}")
    signed = {*np.unique(labels[np.isfinite(labels)]).tolist()} == {-1.0, 1.0} and not form.signed
    mend = " Give (y > 0).astype(int), or use a hinge loss, which takes -1 and 1." if signed else ""
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
    what = "images with several classes, or with none" if several else "regression with several targets"
    raise DataError(
        f"y has the shape {labels.shape}, and its rows are not one-hot: that of image {row} is [{shown}"
        f"{', ...' if labels.shape[1] > 10 else ''}]. This looks like {what}. {_WHAT_IS_TRAINED}"
    )


def _weighted(arrays: Arrays, sample_weight: Any) -> Arrays:
    """The arrays with a weight in the loss for each image; None leaves them as they are.

    Raises:
        DataError: there is not one weight for each image, or they are negative, not finite, or all zero.
    """
    if sample_weight is None:
        return arrays
    weights = _array_of("sample_weight", sample_weight)
    return replace(arrays, weights=_checked_sample_weight(weights, len(arrays)))


def _checked_sample_weight(weights: Array, count: int) -> Array:
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
            f"{wrong.size:,} of {count:,} sample weights are negative or not finite: {some}. A weight says how much "
            "its image counts in the loss, and must be 0 or more."
        )
    if not weights.any():
        raise DataError("All sample weights are 0, so no image would count in the loss.")
    return weights.astype(np.float32)


@dataclass(frozen=True)
class ClassWeight:
    """How much the images of each class count in the loss.

    Args:
        weights: class number -> weight, 1 for a class that is not named; or "balanced", which gives every class the
            same total weight, and the images a mean weight of 1, as scikit-learn does:
            n / (number of classes that have images × images of the class).
    """

    weights: Mapping[int, float] | Literal["balanced"]

    @classmethod
    def of_user(cls, given: Any, names: tuple[str, ...] = ()) -> ClassWeight | None:
        """`class_weight` as `fit` was given it, checked; None where it was given none.

        Args:
            given: the user's argument.
            names: of the classes, so that the message about a class given by name has its number.

        Raises:
            InputError: it is something else, a key is not a class number, or a weight is not a number of 0 or more.
        """
        if given is None:
            return None
        if isinstance(given, str) and given == "balanced":
            return cls("balanced")
        if not isinstance(given, Mapping):
            kind = repr(given) if isinstance(given, str) else f"a {type(given).__name__}"
            listed = isinstance(given, list | tuple | np.ndarray) and np.ndim(given) == 1
            mend = " Write dict(enumerate(class_weight))." if listed else ""
            raise InputError(
                f"class_weight is {kind}; expected a dict of class number -> weight, such as {{0: 1.0, 1: 5.0}}, or "
                f"'balanced'.{mend}"
            )
        weights: dict[int, float] = {}
        for key, weight in given.items():
            weights[_class_number(key, names)] = _weight(key, weight)
        if weights and not any(weights.values()):
            raise InputError("All class weights are 0, so no image would count in the loss.")
        return cls(weights)

    def applied_to(self, arrays: Arrays) -> Arrays:
        """Training arrays with the weight of its class for each image.

        Raises:
            InputError: the arrays have weights already.
        """
        if arrays.weights is not None:
            raise InputError(
                "sample_weight and class_weight cannot be given together. Multiply both into sample_weight."
            )
        numbers = arrays.class_indices if self.weights == "balanced" else arrays.label_numbers
        return replace(arrays, weights=self.of_images(numbers))

    def of_images(self, labels: Array) -> Array:
        """The weight of each image by its class number, of `(n,)`: float32 `(n,)`."""
        result, weights = np.ones(len(labels), np.float32), self.weights
        if isinstance(weights, str):  # -1 stands for images without a class
            classes, counts = np.unique(labels[labels >= 0], return_counts=True)
            weights = dict(zip(classes.tolist(), (counts.sum() / (len(classes) * counts)).tolist(), strict=True))
        for number, weight in weights.items():
            result[labels == number] = weight
        return result

    def unused(self, labels: Array) -> tuple[str, ...]:
        """A note about weights of classes that have no image among the training labels, class numbers `(n,)`."""
        if isinstance(self.weights, str):
            return ()
        unused = sorted(set(self.weights) - set(np.unique(labels).tolist()))
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
        raise InputError(f"class_weight[{key!r}] is {weight!r}; expected a number, 0 or more.")
    return float(scalar)
