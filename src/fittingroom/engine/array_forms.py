"""Arrays in the forms that users have them (lists, tensors of other libraries, text), as Keras takes them."""

from __future__ import annotations

from typing import Any

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
