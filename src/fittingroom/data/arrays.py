"""The two kinds of array that all the data are made of, and their fingerprint."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
"""`(n, height, width)` grey or `(n, height, width, 3)` RGB."""

Labels = NDArray[np.int32]
"""`(n,)`, each a position in the tuple of class names."""

ArrayT = TypeVar("ArrayT", bound=NDArray[Any])


def read_only(array: ArrayT) -> ArrayT:
    """A view of an array through which nothing can be changed."""
    view = array.view()
    view.flags.writeable = False
    return view


def count_per_class(labels: Labels, classes: int) -> tuple[int, ...]:
    """How many labels each class has."""
    return tuple(np.bincount(labels, minlength=classes).tolist())


def fingerprint(images: Images, labels: Labels) -> str:
    """What these images and labels are, as 32 hexadecimal digits; names and paths do not enter.

    BLAKE2b of the shape, the pixels and the labels. Two different sets of images have, in practice, never the same one.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"images {images.shape} labels {labels.shape}\n".encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels, dtype="<i4").data)
    return digest.hexdigest()


def image_digests(images: Images, salt: bytes = b"") -> list[bytes]:
    """A digest of 16 bytes for each image; equal images have equal digests."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    return [hashlib.blake2b(row.data, digest_size=16, salt=salt).digest() for row in rows]
