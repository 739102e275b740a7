"""Arrays of any number type as the two types the rest works with: uint8 images and int32 labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.arrays import Images, Labels
from fittingroom.errors import DataError

_BLOCK = 4096
"""Images that are converted at a time, so that no second copy of all of them is made."""


def to_images(arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Images], tuple[str, ...]]:
    """Named arrays of pictures as uint8 on one common scale, and sentences about what was guessed and changed.

    The scale is guessed: values up to 1 are taken as 0 to 1 and multiplied by 255, values up to 255 are taken as they
    are. Fractions are rounded to whole steps, and the largest change is said.

    Raises:
        DataError: no shape of pictures, values that are not finite (the rows are listed), negative or above 255, or
            arrays whose scales or shapes differ.
    """
    pictures = {name: _shaped(array, name) for name, array in arrays.items()}
    shapes = {name: array.shape[1:] for name, array in pictures.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"the pictures differ in shape: {shapes}. All must be of one size and colour.")
    highest = {name: _highest(array, name) for name, array in pictures.items()}
    ups = {top <= 1 for top in highest.values() if top > 0}
    if len(ups) > 1:
        raise DataError(
            f"the scales differ: the largest values are {highest}. Bring all pictures to 0-255 or all to 0-1."
        )
    factor = 255.0 if ups == {True} else 1.0
    converted, notes = {}, []
    for name, array in pictures.items():
        converted[name], change = _to_bytes(array, factor)
        if array.dtype != np.uint8 or factor != 1:
            guess = "0-1 and multiplied by 255" if factor != 1 else "0-255"
            rounded = f"; rounding changed them by at most {change:.2g} of 255" if change > 1e-3 else ""
            notes.append(
                f"{name}: values of type {array.dtype} up to {highest[name]:g} were taken as {guess}{rounded}."
            )
    return converted, tuple(notes)


def _shaped(array: NDArray[Any], name: str) -> NDArray[Any]:
    """The array as `(n, height, width)` or `(n, height, width, 3)`."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in {3, 4} or (array.ndim == 4 and array.shape[3] != 3):
        raise DataError(
            f"{name} has the shape {array.shape}; expected (n, height, width) or (n, height, width, 3). "
            "Flat pictures can be brought into shape with numpy's reshape."
        )
    if 0 in array.shape:
        raise DataError(f"{name} has the shape {array.shape}: there are no pictures in it.")
    return array


def _highest(array: NDArray[Any], name: str) -> float:
    """The largest value, after checking that all are finite and from 0 to 255."""
    lowest, highest = array.min(), array.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
        rows = _first_five(f"row {row}" for row in np.flatnonzero(~finite).tolist())
        raise DataError(f"{name} has NaN or infinite values in {rows}. Remove or mend these rows.")
    if lowest < 0 or highest > 255:
        raise DataError(
            f"{name} has values from {lowest:g} to {highest:g}; expected 0-255 or 0-1. Scale them to one of the two."
        )
    return float(highest)


def _to_bytes(array: NDArray[Any], factor: float) -> tuple[Images, float]:
    """The values times `factor` as whole numbers, and the largest change by rounding."""
    if array.dtype == np.uint8 and factor == 1:
        return array, 0.0
    whole, change = np.empty(array.shape, np.uint8), 0.0
    for start in range(0, len(array), _BLOCK):
        exact = array[start : start + _BLOCK] * np.float64(factor)
        rounded = np.rint(exact)
        whole[start : start + _BLOCK] = rounded
        change = max(change, float(np.abs(rounded - exact).max()))
    return whole, change


def to_labels(values: NDArray[Any], name: str, classes: int | None = None) -> Labels:
    """Labels as int32 `(n,)`.

    Args:
        values: whole numbers of any type, `(n,)` or `(n, 1)`.
        name: what to call them in a message.
        classes: the number of classes, if it is known already.

    Raises:
        DataError: another shape, or labels that are negative, fractional, not finite or not below `classes`; the first
            five are listed.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"{name} has the shape {values.shape}; expected one whole number for each image, (n,). "
            "One-hot labels become that with .argmax(axis=1)."
        )
    limit = np.iinfo(np.int32).max if classes is None else classes
    bad = ~((values >= 0) & (values < limit) & (values == np.floor(values)))
    if bad.any():
        found = _first_five(f"{values[row]} in row {row}" for row in np.flatnonzero(bad).tolist())
        upper = "whole numbers from 0" if classes is None else f"whole numbers from 0 to {classes - 1}"
        raise DataError(f"{name} has labels that name no class: {found}. Expected {upper}.")
    return values.astype(np.int32)


def _first_five(items: Iterable[str]) -> str:
    """The first five, and how many more there are."""
    texts = list(items)
    more = f" and {len(texts) - 5:,} more" if len(texts) > 5 else ""
    return ", ".join(texts[:5]) + more
