"""Slips in the form of images and labels, found by looking at them, with the mend that fits these data."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from fittingroom.errors import ModelError

Array = np.ndarray[Any, Any]
Shape = tuple[int | None, ...]


def refuse_slips(model: keras.Model, images: Array, labels: Array) -> None:
    """Refuses images that the model's input does not take, and labels that are counted from 1.

    A model without an `Input` takes what comes first, so that nothing can be said of its images.

    Args:
        model: built or not.
        images: `(n, ...)`.
        labels: class numbers `(n,)`; -1 for images without a class.

    Raises:
        ModelError: with what to do about it.
    """
    expected, found = _input_shape(model), images.shape[1:]
    if expected is not None and not _takes(expected, found):
        raise ModelError(
            f"The model takes images of shape {_written(expected)}, and these have the shape {_written(found)}. "
            f"{_way_out(expected, images, labels)}"
        )
    outputs = _output_count(model)
    named = labels[labels >= 0]
    if outputs is None or not len(named):
        return
    lowest, highest = int(named.min()), int(named.max())
    if lowest == 1 and highest == max(outputs, 2):
        raise ModelError(
            f"The labels go from 1 to {highest}, and the model has {outputs} output{'s' * (outputs > 1)}: classes are "
            "counted from 0. Give y - 1."
        )
    numbers = np.unique(named)
    if highest >= max(outputs, 2) and 2 <= len(numbers) <= max(outputs, 2):
        some = ", ".join(map(str, numbers[:5]))
        listed = numbers.tolist() if len(numbers) <= 10 else "numpy.unique(y)"
        raise ModelError(
            f"The labels are {len(numbers)} different numbers up to {highest} ({some}{', ...' * (len(numbers) > 5)}), "
            f"and the model has {outputs} output{'s' * (outputs > 1)}: classes are counted from 0 without gaps. Give "
            f"numpy.searchsorted({listed}, y), in validation too."
        )


def notes_on_slips(images: Array, labels: Array) -> tuple[str, ...]:
    """What looks like a slip and need not be one, as sentences.

    Args:
        images: `(n, ...)`, as the model is given them.
        labels: class numbers `(n,)`.
    """
    said = []
    shape = images.shape[1:]
    if len(shape) == 3 and _channels_first(shape) and keras.config.image_data_format() == "channels_last":
        said.append(
            f"The images have the shape {shape}. That looks like channels first, and Keras expects channels last here: "
            "x.transpose(0, 2, 3, 1)."
        )
    named = labels[labels >= 0]
    if len(named) and named.min() == 1:
        said.append(
            "No image is of class 0: the labels begin at 1. If they were counted from 1, give y - 1, and the model "
            "needs one output less."
        )
    return tuple(said)


def _input_shape(model: keras.Model) -> Shape | None:
    """The shape of one image as the model's `Input` has it; None where it has none, or several."""
    inputs = getattr(model, "inputs", None)  # a subclass may call a layer of its own so
    if not isinstance(inputs, list | tuple) or len(inputs) != 1:
        return None
    shape = inputs[0].shape
    return None if shape is None else tuple(shape[1:])


def _output_count(model: keras.Model) -> int | None:
    outputs = getattr(model, "outputs", None)
    if isinstance(outputs, list | tuple) and len(outputs) == 1 and len(outputs[0].shape) == 2:
        count = outputs[0].shape[-1]
    else:
        count = getattr((getattr(model, "layers", None) or [None])[-1], "units", None)
    return count if isinstance(count, int) else None


def _takes(expected: Shape, found: Shape) -> bool:
    """Whether Keras takes these images: the sides fit, perhaps with the axis of a single channel added or dropped."""
    if len(expected) == len(found) + 1 and expected[-1] in (1, None):
        return _takes(expected[:-1], found)
    if len(expected) == len(found) - 1 and found[-1] == 1:
        return _takes(expected, found[:-1])
    return len(expected) == len(found) and all(
        side is None or side == other for side, other in zip(expected, found, strict=True)
    )


def _way_out(expected: Shape, images: Array, labels: Array) -> str:  # noqa: PLR0911 - a mend for each slip
    found = images.shape[1:]
    if None in expected:
        return f"Make keras.Input({_written(found)}) its first layer, or resize the images."
    pixels, given = math.prod(side or 1 for side in expected), math.prod(found)
    if len(found) == 3 and _takes(expected, (*found[1:], found[0])):
        return "They are channels first: give x.transpose(0, 2, 3, 1)."
    if len(found) == 1 and given == pixels + 1:
        return _label_column(images, labels)
    if given == pixels and len(expected) == 1:
        return f"Give x.reshape(len(x), -1), or begin the model with keras.Input({_written(found)}) and Flatten()."
    if given == pixels and len(found) == 1:
        return f"Give x.reshape({', '.join(map(str, (-1, *expected)))})."
    if len(found) == 3 and found[-1] in (3, 4) and _takes(expected, found[:-1]):
        return "The images are in colour. Give x[..., :3].mean(axis=-1), or make the model take colour: " + _input(
            found
        )
    if len(expected) == 3 and expected[-1] == 3 and _takes(expected[:-1], found[:2]) and found[2:] in ((), (1,)):
        grey = "x" if found[2:] else "x[..., None]"
        return (
            f"The images are grey. Give numpy.repeat({grey}, 3, axis=-1), or make the model take grey: {_input(found)}"
        )
    return f"Resize the images, or make the model take these: {_input(found)}"


def _label_column(images: Array, labels: Array) -> str:
    """What to say of flat images that are one number too long."""
    for column, rest in ((0, "x[:, 1:]"), (-1, "x[:, :-1]")):
        if len(labels) == len(images) and (images[:, column] == labels).all():
            return f"Column {column} is the label: give {rest}, or the model would read the answer from it."
    return "They have one column more than the model has pixels: is the label, or a row number, still in it?"


def _channels_first(shape: tuple[int, ...]) -> bool:
    channels, height, width = shape
    return channels in (1, 3) and height == width and height > 4


def _input(shape: Shape) -> str:
    return f"keras.Input({_written(shape)})."


def _written(shape: Shape) -> str:
    return str(tuple(shape))
