"""Images in a file of the cache: `ImageFile` writes them, and `StoredImages` reads only those that are asked for.

A hundred thousand pictures of 224×224 are 15 GB. A memory map of them does not have to fit into memory, but what was
read through it counts as this process's until memory runs short, and a split by a mask would copy them all. So the
pages of the map are given back after each reading, and a split is a list of rows.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import storage_errors
from fittingroom.data.values import Images, give_back, rows_of_a_block
from fittingroom.errors import DataError

_MOST_OF_MEMORY = 0.8


class StoredImages:
    """Images in one or several memory maps, with what NumPy calls the shape of an array, and its indexing.

    Indexing along the first axis gives a copy as an array; `numpy.asarray(images)` gives all of them, in memory.

    Args:
        maps: arrays of images of one size, perhaps memory maps of files.
        rows: which images of all maps together these are, `(n,)`, in order; None for all.
    """

    __slots__ = ("_maps", "_rows", "_starts", "dtype", "ndim", "shape")

    def __init__(self, maps: Sequence[Images], rows: NDArray[np.int64] | None = None) -> None:
        self._maps = tuple(maps)
        self._starts = np.cumsum([0, *map(len, maps)])
        self._rows = np.arange(self._starts[-1]) if rows is None else np.asarray(rows, np.int64)
        self.shape: tuple[int, ...] = (len(self._rows), *maps[0].shape[1:])
        self.ndim = len(self.shape)
        self.dtype = np.dtype(np.uint8)

    @property
    def nbytes(self) -> int:
        """The bytes of all of them."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def size(self) -> int:
        """The numbers in all of them."""
        return self.nbytes

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> Any:
        first, *others = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis or first is None:
            return np.asarray(self)[key]
        rows = self._rows[first]
        found = self._read(np.atleast_1d(rows))
        return found[(slice(None) if np.ndim(rows) else 0, *others)]

    def __iter__(self) -> Iterator[Images]:
        for block in self.blocks():
            yield from block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("these images stay in a file, so an array of them is a copy")
        found = self._read(self._rows)
        return found if dtype is None else found.astype(dtype)

    if not TYPE_CHECKING:  # else type checkers would take any attribute

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"these {self.shape[0]:,} images take {self.nbytes / 1e9:.1f} GB and stay in a file: they are not an "
                f"array with {name!r}. Take some, images[:1000], or all, in memory: numpy.asarray(images)."
            )

    def __repr__(self) -> str:
        return f"StoredImages(shape={self.shape}, {self.nbytes / 1e9:.1f} GB on disk)"

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (np.asarray(self),)  # another process gets the images themselves

    def blocks(self) -> Iterator[Images]:
        """All of them in order, in arrays of about 32 MB."""
        for rows in _few(self._rows, self.shape):
            yield self._read(rows)

    def taken(self, rows: Any) -> StoredImages:
        """Some of them, which stay in the file too: a slice, a mask or positions."""
        return StoredImages(self._maps, self._rows[rows])

    def in_memory(self) -> Images:
        """All of them as one array, for what trains on all at once.

        Raises:
            DataError: the machine has no room for them and for the copy that training makes.
        """
        if 2 * self.nbytes > machine_memory() * _MOST_OF_MEMORY:
            raise DataError(
                f"the {len(self):,} images of {self.shape[1]}x{self.shape[2]} pixels take {self.nbytes / 1e9:.1f} GB, "
                f"and a recipe without a backbone has them in memory twice; this machine has "
                f"{machine_memory() / 1e9:.0f} GB. Use a recipe with a backbone, which needs their features only "
                "(--recipe transfer), or a smaller --image-size."
            )
        return np.asarray(self)

    @classmethod
    def joined(cls, parts: Sequence[Images | StoredImages]) -> StoredImages:
        """The images of several parts in a row."""
        stored = [part if isinstance(part, StoredImages) else cls([part]) for part in parts]
        starts = np.cumsum([0, *(int(part._starts[-1]) for part in stored)])
        rows = [part._rows + start for part, start in zip(stored, starts, strict=False)]
        return cls([one for part in stored for one in part._maps], np.concatenate(rows))

    def _read(self, rows: NDArray[np.int64]) -> Images:
        """A copy of some rows, whose pages are given back."""
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        which = np.searchsorted(self._starts, rows, side="right") - 1
        for number, one in enumerate(self._maps):
            places = np.flatnonzero(which == number)
            for few in _few(places, self.shape):
                found[few] = one[rows[few] - self._starts[number]]
                give_back(one)
        return found


def machine_memory() -> float:
    """Bytes of memory that this machine has; infinite where the system does not say."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return math.inf
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _few(rows: NDArray[Any], shape: tuple[int, ...]) -> Iterator[NDArray[Any]]:
    size = rows_of_a_block(shape)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


class ImageFile:
    """Images that are written one after the other, as a `.npy` file, or in memory where there is no path.

    Args:
        path: the file; None for memory.
        stream: open for writing.
        shape: of all images together, `(n, height, width)` or `(n, height, width, 3)`.
    """

    def __init__(self, path: Path | None, stream: BinaryIO, shape: tuple[int, ...]) -> None:
        self._path, self._stream, self._shape = path, stream, shape
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        self._start = stream.tell()

    @classmethod
    @contextmanager
    def new(cls, path: Path | None, shape: tuple[int, ...]) -> Iterator[ImageFile]:
        """A file without images yet, closed and on the disk at the end."""
        if path is None:
            yield cls(None, io.BytesIO(), shape)
            return
        with storage_errors(path), path.open("w+b") as stream:
            file = cls(path, stream, shape)
            yield file
            file._stream.flush()
            os.fsync(file._stream.fileno())
            if file._stream is not stream:
                file._stream.close()

    def add(self, pixels: Images) -> None:
        """Writes the next image; a grey one gets the three channels of coloured ones."""
        if pixels.ndim < len(self._shape) - 1:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        self._stream.write(np.ascontiguousarray(pixels).data)

    def make_grey(self) -> None:
        """Keeps one of three channels that are all the same."""
        count, height, width, channels = self._shape
        self._stream.seek(self._start)
        smaller = io.BytesIO() if self._path is None else self._path.with_suffix(".grey").open("w+b")
        grey = ImageFile(self._path, smaller, (count, height, width))
        for _ in range(count):
            image = np.frombuffer(self._stream.read(height * width * channels), np.uint8)
            grey._stream.write(image[::channels].tobytes())
        if self._path is not None:
            self._path.with_suffix(".grey").replace(self._path)
        self._stream, self._shape, self._start = grey._stream, grey._shape, grey._start

    def array(self) -> Images:
        """All images, read-only: a memory map of the file, or an array."""
        if self._path is not None:
            return np.asarray(np.load(self._path, mmap_mode="r"))
        assert isinstance(self._stream, io.BytesIO)
        return np.frombuffer(self._stream.getbuffer(), np.uint8, offset=self._start).reshape(self._shape)
