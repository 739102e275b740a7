"""What a hostile file is: how it is made, how a user would open it, and what the user is told."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a case may write its files, and what there is around it.

    Args:
        folder: the case's own folder.
        canary: the file that must never come to be.
        outside: a folder of somebody else's, with a file `secret`.
        honest: honest runs: `recipe`, `own` (a model of the user's), `seeds` (of two), and `stopped`, which can
            be resumed.
    """

    folder: Path
    canary: Path
    outside: Path
    honest: Path


@dataclass(frozen=True)
class Case:
    """A hostile file.

    Args:
        opener: how it is opened, a name in `worker.OPEN`.
        build: writes it.
        refused: what the error must say, as a regular expression; None where the file must open without harm.
    """

    opener: str
    build: Callable[[Place], object]
    refused: str | None


class Payload:
    """Makes the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


def pickled(canary: Path) -> bytes:
    """A pickle that makes the canary."""
    return pickle.dumps(Payload(canary))


def evil_module(folder: Path, canary: Path, name: str = "evil") -> Path:
    """A Python file that makes the canary when it is imported."""
    path = folder / f"{name}.py"
    path.write_text(
        f"open({str(canary)!r}, 'w').close()\n"
        "import keras\n"
        "class Dense(keras.layers.Dense): pass\n"
        "def build(): return keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])\n"
    )
    return path


def npy_header(text: str, version: int = 1, declared: int | None = None) -> bytes:
    """The start of an NPY file: magic, version, and a header that may declare another length than it has."""
    content = text.encode("latin1")
    length = len(content) if declared is None else declared
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", length) + content


def header_of(descr: str, shape: object) -> str:
    """The text of an NPY header."""
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n"


def objects_npy(canary: Path) -> bytes:
    """An NPY file of pickled objects that make the canary."""
    return npy_header(header_of("|O", (1,))) + pickled(canary)


def safetensors(tensors: Json, data: bytes, declared: int | None = None) -> bytes:
    """A safetensors file with this header, whatever it says."""
    header = json.dumps(tensors).encode()
    return struct.pack("<Q", len(header) if declared is None else declared) + header + data


def rows(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Small grey images, no two alike."""
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8), np.uint8)


def deflated(start: bytes, megabytes: int, row: int = 0) -> bytes:
    """A raw deflate stream of `start`, so many megabytes of zeros, and `row` zeros more; made without unpacking it."""

    def packed(content: bytes) -> bytes:
        packer = zlib.compressobj(9, wbits=-15)
        return packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)

    return packed(start) + packed(bytes(2**20)) * megabytes + packed(bytes(row)) + b"\x03\x00"


def gzipped(start: bytes, megabytes: int) -> bytes:
    """A gzip file of `start` and so many megabytes of zeros."""
    checksum = zlib.crc32(start)
    for _ in range(megabytes):
        checksum = zlib.crc32(bytes(2**20), checksum)
    size = (len(start) + megabytes * 2**20) % 2**32
    return b"\x1f\x8b\x08" + bytes(7) + deflated(start, megabytes) + struct.pack("<LL", checksum, size)


def zeros_zlib(count: int) -> bytes:
    """A zlib stream of so many zeros."""
    return b"\x78\xda" + deflated(b"", *divmod(count, 2**20)) + struct.pack(">HH", count % 65521, 1)
