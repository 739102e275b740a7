"""Arrays in the forms that users have them (lists, tensors of other libraries, text), as Keras takes them.

Weights in the loss, as users give them: one for each image, or one for each class.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from fittingroom.errors import DataError, InputError, ModelError

Array = np.ndarray[Any, Any]


def _floatx() -> np.dtype[Any]:
    """The type that Keras gives to every array of fractions: `keras.config.floatx()`, as far as JAX has it."""
    import jax
    import keras

    wanted = np.dtype(keras.config.floatx()) if keras.config.floatx() != "bfloat16" else np.dtype(np.float32)
    return wanted if wanted != np.float64 or jax.config.read("jax_enable_x64") else np.dtype(np.float32)


def alone(x: Any, y: Any) -> tuple[Any, Any]:
    """Images and labels out of lists of one array, `[x]` and `[y]`, as Keras takes them for one input and one output.

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
    """How many arrays a list holds; 0 where it is something else, such as a list of numbers or of rows."""
    if isinstance(given, list | tuple) and given and all(hasattr(item, "__array__") for item in given):
        return len(given)
    return 0


def _several(what: str) -> str:
    return (
        f"{what}. Fitting Room trains classifiers with one input (an image) and one output (its class); train such a "
        "model with model.fit."
    )


def array_of(name: str, given: Any) -> Array:
    """An array of numbers in the type that Keras would turn it into.

    Args:
        name: what the user calls it, for messages.
        given: an array, or lists of numbers.

    Raises:
        InputError: it is something else.
        DataError: it holds no numbers, or is not rectangular.
    """
    if hasattr(given, "todense"):
        raise InputError(
            f"{name} is a sparse matrix ({type(given).__name__}), and Fitting Room trains on whole images. Give "
            f"{name}.{'toarray' if hasattr(given, 'toarray') else 'todense'}()."
        )
    if isinstance(given, np.ma.MaskedArray) and (masked := int(np.ma.getmaskarray(given).sum())):
        raise DataError(
            f"{name} is a masked array, and training would see what is behind its {masked:,} masked values. Give "
            f"{name}.filled(0), or leave those images out."
        )
    if isinstance(given, dict) and given:
        if len(given) > 1:
            raise ModelError(_several(f"{name} is a dict of {len(given)} arrays, which Keras takes for as many inputs"))
        raise InputError(f"{name} is a dict of one array. Give the array itself: {name}[{next(iter(given))!r}].")
    if not (isinstance(given, list | tuple) or hasattr(given, "__array__")):
        dataset = ", or a dataset from fittingroom.load" if name == "x" else ", one number for each image"
        what = "missing" if given is None else f"a {type(given).__name__}"
        raise InputError(f"{name} is {what}; expected an array (NumPy or JAX){dataset}.")
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
    return array.astype(array.dtype.newbyteorder("="), copy=False)  # JAX takes the machine's order of bytes alone


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
    return "class numbers: classes, y = numpy.unique(y, return_inverse=True) makes a class of each value."


def _texts(name: str, texts: list[str]) -> str:
    shown = ", ".join(repr(value) for value in list(dict.fromkeys(texts))[:3])
    if all(value.strip().lstrip("+-").isdecimal() for value in texts):
        return f"numbers as text: {shown}. Give {name}.astype(int)."
    if name != "y":
        return f"text: {shown}; expected numbers."
    return (
        f"text: {shown}. Keras trains on class numbers: classes, y = numpy.unique(y, return_inverse=True) gives the "
        "names and the numbers."
    )


def _objects(name: str, array: Array, some: list[Any]) -> str:
    shapes = {getattr(value, "shape", None) for value in some}
    if array.ndim == 1 and None not in shapes:
        if len(shapes) == 1:
            return f"is an array of {len(array):,} arrays of shape {shapes.pop()}. Give numpy.stack(list({name}))."
        listed = ", ".join(str(shape) for shape in list(shapes)[:3])
        return f"holds arrays of different shapes, such as {listed}. All must have one shape."
    kinds = ", ".join(sorted({type(value).__name__ for value in some})[:3])
    kind = "int" if name == "y" else "'float32'"
    return f"holds Python objects ({kinds}), not numbers. Give {name}.astype({kind})."


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
