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

Digests = NDArray[np.uint8]
"""`(n, DIGEST_BYTES)`: a hash of each picture's file."""

DIGEST_BYTES = 16

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


def source_fingerprint(images: Images, labels: Labels, digests: Digests | None = None) -> str:
    """What a part's images were before anything was done to them, as 32 hexadecimal digits.

    It is the same for the same pairs of image and class, in whatever order, file and type of numbers they come, and
    whatever the classes are called. Pictures are their files' bytes, so that the size they are brought to does not
    enter. Arrays are their values: a factor that is common to all of them (0 to 1, 0 to 16, 0 to 255) does not enter,
    nor do three equal channels in place of one.

    Args:
        images: those of the part.
        labels: theirs.
        digests: of the files that they came from; None for arrays.
    """
    keys = [row.tobytes() for row in digests] if digests is not None else image_digests(_full_range(images))
    classes: dict[int, list[bytes]] = {}
    for label, key in zip(labels.tolist(), keys, strict=True):
        classes.setdefault(label, []).append(key)
    digest = hashlib.blake2b(f"source {None if digests is not None else images.shape[1:3]}\n".encode(), digest_size=16)
    for one in sorted(hashlib.blake2b(b"".join(sorted(members))).digest() for members in classes.values()):
        digest.update(one)
    return digest.hexdigest()


def _full_range(images: Images) -> Images:
    """Images whose brightest value is 255, grey where all channels are equal."""
    if images.ndim == 4 and (images == images[..., :1]).all():
        images = images[..., 0]
    highest = int(images.max(initial=0))
    if highest in {0, 255}:
        return images
    brighter: Images = np.rint(np.arange(256) * (255 / highest)).clip(0, 255).astype(np.uint8)
    return brighter[images]


def image_digests(images: Images, salt: bytes = b"") -> list[bytes]:
    """A digest of 16 bytes for each image; equal images have equal digests."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    return [hashlib.blake2b(row.data, digest_size=16, salt=salt).digest() for row in rows]
