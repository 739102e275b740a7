"""Writes the files that the tests read: IDX, small datasets in the MNIST form, folders of pictures."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fittingroom.data.catalogue import FOUR_FILES

IDX_TYPES = {">u1": 0x08, ">i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx_bytes(array: NDArray[Any], declared: tuple[int, ...] | None = None) -> bytes:
    """An array in IDX, its header declaring another shape if one is given."""
    big_endian = array.astype(array.dtype.newbyteorder(">"))
    shape = array.shape if declared is None else declared
    code = IDX_TYPES[f">{array.dtype.kind}{array.dtype.itemsize}"]
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + big_endian.tobytes()


def write_idx(path: Path, array: NDArray[Any], declared: tuple[int, ...] | None = None) -> Path:
    """Writes an IDX file, packed if its name ends in .gz."""
    content = idx_bytes(array, declared)
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def images(count: int, height: int = 28, width: int = 28, seed: int = 0) -> NDArray[np.uint8]:
    """Random grey images."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width), np.uint8)


def labels(*counts: int) -> NDArray[np.uint8]:
    """Labels with so many images of each class, the classes taking turns as long as they last."""
    turns = [(turn / count, k) for k, count in enumerate(counts) for turn in range(count)]
    return np.array([k for _, k in sorted(turns)], np.uint8)


def write_four_files(
    folder: Path, train: tuple[int, ...] = (30, 20, 10), test: tuple[int, ...] = (6, 4, 2), suffix: str = ".gz"
) -> dict[str, Path]:
    """A small dataset in the MNIST form, with so many images of each class."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = (images(sum(train), seed=1), labels(*train), images(sum(test), seed=2), labels(*test))
    return {name: write_idx(folder / f"{name}{suffix}", array) for name, array in zip(FOUR_FILES, arrays, strict=True)}


def picture(seed: int = 0, size: tuple[int, int] = (28, 28), colour: bool = False) -> Image.Image:
    """A random picture; `size` is (width, height)."""
    shape = (size[1], size[0], 3) if colour else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def write_pictures(folder: Path, count: int, seed: int = 0, **options: Any) -> Path:
    """A folder with so many PNG pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture(seed * 1000 + number, **options).save(folder / f"{number:03}.png")
    return folder


def write_picture_folder(root: Path, counts: dict[str, int]) -> Path:
    """A folder of pictures with one sub-folder for each path in `counts`."""
    for seed, (name, count) in enumerate(counts.items()):
        write_pictures(root / name, count, seed)
    return root
