"""Stratified splits that come out the same on every machine."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.values import Digests, Images, Labels, image_digests
from fittingroom.errors import DataError
from fittingroom.seeds import generator

_TEST_SALT = b"test split 0"
"""Never changes: a test set that moved with a seed could be looked at piece by piece."""


def count_per_class(labels: Labels, classes: int) -> tuple[int, ...]:
    """The number of labels of each class; the labels are positions below `classes`."""
    return tuple(np.bincount(labels, minlength=classes).tolist())


def _shares(counts: Sequence[int], total: int, *, at_least_one: bool = False) -> tuple[int, ...]:
    """How many images each class gives to a part of `total` images: proportional to its count, by largest remainder.

    Every class keeps at least one image for training.

    Args:
        counts: the images of each class.
        total: the size of the part; at most the sum of `counts` less one for each class.
        at_least_one: every class with two images or more gives one, even if the part grows beyond `total` by that.
    """
    limits = [max(count - 1, 0) for count in counts]
    products = [total * count for count in counts]
    sizes = [min(product // sum(counts), limit) for product, limit in zip(products, limits, strict=True)]
    if at_least_one:
        sizes = [max(share, min(limit, 1)) for share, limit in zip(sizes, limits, strict=True)]
    # Largest remainder; equal ones in the order of the classes, so that every machine gives the same.
    by_remainder = sorted(range(len(counts)), key=lambda k: -(products[k] % sum(counts)))
    while sum(sizes) < min(total, sum(limits)):
        for k in by_remainder:
            if sizes[k] < limits[k] and sum(sizes) < total:
                sizes[k] += 1
    return tuple(sizes)


def _validation_size(counts: Sequence[int], validation: int | float | None) -> int:
    """The number of validation images that is asked for: a count, a fraction, or None for the default.

    The default is 5,000 for the sets of 60,000 images and a twelfth for others.

    Raises:
        DataError: a negative number, a fraction outside 0 to 1, or more than can be spared.
    """
    total, most = sum(counts), sum(max(count - 1, 0) for count in counts)
    if validation is None:
        return min(5000 if total == 60_000 else max(round(total / 12), 1), most)
    if isinstance(validation, float):
        if not (validation == 0 or 0 < validation < 1):
            raise DataError(
                f"validation={validation}; a fraction must lie between 0 and 1. For a number of images, give a whole "
                "number such as 5000."
            )
        size = max(round(validation * total), 1) if validation else 0
    else:
        size = validation
    if not 0 <= size <= most:
        raise DataError(
            f"validation is {size:,} images, but the training part has {total:,} in {len(counts)} classes, and each "
            f"class keeps at least one. Give a number from 0 to {most:,}."
        )
    return size


def cut_validation(labels: Labels, classes: int, validation: int | float | None, seed: int) -> NDArray[np.bool_]:
    """Marks the images that go to validation, stratified by class; all False for none.

    A smaller validation part with the same seed is a subset of a larger one, but for rounding.

    Raises:
        DataError: see `_validation_size`.
    """
    counts = count_per_class(labels, classes)
    size = _validation_size(counts, validation)
    # Raw 64-bit draws, because NumPy promises their sequence for all versions, but not that of `permutation`.
    keys = generator(seed, "split").bit_generator.random_raw(len(labels))
    return _lowest(keys, labels, _shares(counts, size, at_least_one=validation is None))


def cut_training(labels: Labels, free: NDArray[np.bool_], classes: int, size: int, seed: int) -> NDArray[np.bool_]:
    """Marks the images to train on, where that shall be fewer than there are, stratified by class.

    Fewer with the same seed are a subset of more, but for rounding.

    Args:
        labels: of all images.
        free: the images that may be trained on.
        classes: how many there are.
        size: how many images to mark.
        seed: decides which.

    Raises:
        DataError: there are not so many, or fewer than classes.
    """
    counts = count_per_class(labels[free], classes)
    least, most = sum(count > 0 for count in counts), int(free.sum())
    if isinstance(size, bool) or not isinstance(size, numbers.Integral) or not least <= size <= most:
        raise DataError(
            f"train={size!r}; expected a whole number of images to train on, from {least:,} (one of each class) to the "
            f"{most:,} that validation leaves."
        )
    keys = generator(seed, "split").bit_generator.random_raw(len(labels))
    shares = _shares([count + 1 for count in counts], int(size), at_least_one=True)  # which leave one of each class
    return _lowest(keys, np.where(free, labels, -1), shares)


def cut_test(
    images: Images, labels: Labels, classes: int, fraction: float, sources: Digests | None = None
) -> NDArray[np.bool_]:
    """Marks the images that become the test part of a dataset that came without one, stratified by class.

    What decides is the content of an image, not its place: the cut is the same when it is made again, when files are
    renamed, and nearly the same when images are added. Of pictures it is the content of their files, so that the cut is
    the same at every size.

    Args:
        images: all of them.
        labels: theirs.
        classes: how many there are.
        fraction: the share of the images that goes to the test part.
        sources: a hash of each picture's file; None for arrays.
    """
    counts = count_per_class(labels, classes)
    digests = image_digests(images if sources is None else sources, _TEST_SALT)
    keys = np.frombuffer(b"".join(digest[:8] for digest in digests), "<u8")
    return _lowest(keys, labels, _shares(counts, round(fraction * len(labels)), at_least_one=True))


def _lowest(keys: NDArray[np.uint64], labels: Labels, sizes: Sequence[int]) -> NDArray[np.bool_]:
    """Marks, in each class, as many images as the class gives: those with the lowest keys."""
    chosen = np.zeros(len(labels), bool)
    for k, share in enumerate(sizes):
        members = np.flatnonzero(labels == k)
        chosen[members[np.argsort(keys[members], kind="stable")[:share]]] = True
    return chosen


def held_out_size(value: Any) -> int | float | None:
    """How many images are held out: a count, a fraction, or None for the default.

    Raises:
        DataError: it is not a number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        mend = _fraction_of(value) if isinstance(value, str) else ""
        raise DataError(
            f"validation={value!r}; expected a number of images, such as 5000, or a fraction, such as 0.2.{mend}"
        )
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def checked_seed(value: Any) -> int:
    """The seed of a split: a whole number from 0.

    Raises:
        DataError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
        raise DataError(f"split_seed={value!r}; expected a whole number from 0.")
    return int(value)


def _fraction_of(text: str) -> str:
    try:
        share = float(text.strip().removesuffix("%"))
    except ValueError:
        return ""
    return f" Write {share / 100 if text.strip().endswith('%') else share:g}."
