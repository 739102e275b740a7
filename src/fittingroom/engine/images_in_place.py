"""Large images, which programs read where they lie in the host's memory: they are not copied to a CPU's devices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

Array = np.ndarray[Any, Any]

# Smaller images are copied, which takes milliseconds. The C library gives each array from here on pages of its own, so
# that all of them begin alike, and programs meet few forms of them.
LEAST_BYTES_IN_PLACE = 32 * 2**20
_ALIGNMENT = 64  # bytes; what JAX shares begins at a multiple, and NumPy's arrays begin 16 bytes after one
_MOST_NUMBERS = 2**31 - 1  # that an index of 32 bits reaches


@partial(jax.tree_util.register_dataclass, data_fields=("numbers", "start"), meta_fields=("shape",))
@dataclass(frozen=True)
class ImagesInPlace:
    """Images that stay where they lie in the host's memory: a program reads them from a row of numbers around them.

    Args:
        numbers: `(start + n * numbers of an image,)`.
        start: where the first image begins, int32.
        shape: of all images, `(n, ...)`.
    """

    numbers: jax.Array
    start: jax.Array
    shape: tuple[int, ...]

    @classmethod
    def of(cls, images: Array) -> Any:
        """What JAX can read without copying it, of large images in the memory of a CPU; other images as they are."""
        if images.nbytes < LEAST_BYTES_IN_PLACE or not images.flags.c_contiguous or jax.default_backend() != "cpu":
            return images
        before, odd = divmod(images.ctypes.data % _ALIGNMENT, images.itemsize)
        count = before + images.size
        if odd or count > _MOST_NUMBERS or jax.dtypes.canonicalize_dtype(images.dtype) != images.dtype:
            return images
        numbers = np.asarray(_Memory(images, images.ctypes.data - before * images.itemsize, count))
        return cls(numbers, np.int32(before), images.shape)  # type: ignore[arg-type]  # NumPy's

    def __getitem__(self, picked: jax.Array) -> jax.Array:
        """The images of these indices, `(len(picked), ...)`."""
        size = math.prod(self.shape[1:])
        rows = jax.lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(), start_index_map=(0,))
        begins = (picked * size + self.start)[:, None]
        found = jax.lax.gather(self.numbers, begins, rows, (size,), mode=jax.lax.GatherScatterMode.CLIP)
        return found.reshape(-1, *self.shape[1:])

    def piece(self, start: Any, count: int) -> jax.Array:
        """So many images from one on, `(count, ...)`."""
        size = math.prod(self.shape[1:])
        found = jax.lax.dynamic_slice(self.numbers, (start * size + self.start,), (count * size,))
        return found.reshape(count, *self.shape[1:])


class _Memory:
    """The memory of an array from up to 63 bytes before it on, which are in the same line of the cache.

    Args:
        owner: the array, which lives as long as this.
        address: where it begins.
        count: how many numbers of the array's type it holds.
    """

    def __init__(self, owner: Array, address: int, count: int) -> None:
        self._owner = owner
        self.__array_interface__ = {
            "version": 3, "data": (address, True), "shape": (count,), "typestr": owner.dtype.str,
        }  # fmt: skip
