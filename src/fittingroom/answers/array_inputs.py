"""Images that a model is asked about, with values like those that it was trained on."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np

from fittingroom.data.ranges import require_finite
from fittingroom.data.values import to_range
from fittingroom.errors import DataError
from fittingroom.runs.record import DataRecord

Array = np.ndarray[Any, Any]

_log = logging.getLogger("fittingroom")


def checked_images(images: Array, data: DataRecord) -> Array:
    """Images as the model takes them; where their values had to be converted, or look odd, the log says so.

    Args:
        images: `(n, ...)`.
        data: what the model was trained on.

    Raises:
        DataError: they have another shape, are none, are not numbers, hold NaN or infinite values, or are on a scale
            from which it is not known how to convert them; or they are fractions for a run that was trained on a
            dataset, whose raw pixels it scales itself.
    """
    images = shaped(images, data.image_shape)
    if images.dtype.kind not in "buif":
        raise DataError(f"the images are {images.dtype}; expected numbers, as in training.")
    if not data.as_given and images.dtype.kind == "f":
        raise DataError(
            f"the images are {images.dtype}; expected the dataset's raw pixels, such as data.train.images (uint8), "
            "since this run scales them itself. For scaled images there is run.model.predict(x)."
        )
    require_finite(images, f"{len(images):,} images")
    images, notes = to_range(images, data.range, "predict", rounded=False)
    for note in notes:
        _log.warning(note)
    return images


def shaped(images: Array, shape: tuple[int, ...]) -> Array:
    """Images in the shape of training, `(n, *shape)`: the axis of a single channel is added or dropped, as Keras does.

    Raises:
        DataError: they have another shape, or there are none.
    """
    if not images.ndim:
        given = type(images.item()).__name__
        mend = " run.evaluate() scores the sealed test set." if given == "SealedTestSet" else ""
        raise DataError(f"the images are of type {given}; expected an array, such as data.validation.images.{mend}")
    found = images.shape[1:]
    takes = [shape, (*shape, 1), *([shape[:-1]] if shape[-1:] == (1,) else [])]
    if len(images) and found in takes:
        return images.reshape(len(images), *shape)
    mend = ""
    if images.shape in (shape, (*shape, 1)):
        mend = " It is a single image: give image[None]."
    elif len(found) == 3 and (*found[1:], found[0]) == shape:
        mend = " They are channels first: give images.transpose(0, 2, 3, 1)."
    elif len(found) == 1 and found[0] == math.prod(shape):
        mend = f" They are flat: give images.reshape{(-1, *shape)}."
    elif found in ((*shape, 3), (*shape, 4)):
        mend = " They are in colour: give images[..., :3].mean(axis=-1)."
    raise DataError(
        f"the images have the shape {images.shape}; expected (n, {', '.join(map(str, shape))}), as in training.{mend}"
    )
