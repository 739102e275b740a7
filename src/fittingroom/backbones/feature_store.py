"""Features on the disk: rows of 16-bit numbers in blocks, each with a checksum, so that what is whole is known.

    images.bin      a digest of each image, 16 bytes, in the order of the rows
    features.f16    float16 (images, 1 + views, ...), not packed
    blocks.txt      for each block of rows that was written: its number, and the CRC-32 of its bytes
    contents.json   what it is, for people and for `fittingroom cache`

A row counts only if `blocks.txt` names its block and the checksum is right. So a killed process loses the blocks that
it was working on, a block that lost a bit is written again, and nothing has to wait for the disk.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.data.values import give_back
from fittingroom.errors import StorageError
from fittingroom.text import file_size

Features = NDArray[np.float16]
"""`(images, *shape)`, or `(images, 1 + views, *shape)` where there are views: the first is the image as it is."""

_SPARE_BYTES = 2**26
"""What stays free on the disk, for the run."""


_CLAIMED = "claimed"
"""Stands in the place of a checksum where a process begins a block."""

Claim = Literal["free", "taken", "written"]


def usable_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class FeatureRows:
    """How the features of a list of images lie in a file.

    Attributes:
        count: images, each of which has a row.
        row: the shape of one row, its views included.
        per_block: rows that have a checksum together.
    """

    count: int
    row: tuple[int, ...]
    per_block: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all rows."""
        return (self.count, *self.row)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return 2 * math.prod(self.row)

    @property
    def bytes(self) -> int:
        """Bytes of all rows."""
        return self.count * self.row_bytes

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.count // self.per_block)

    def of_block(self, block: int) -> range:
        """The rows of a block."""
        return range(block * self.per_block, min(self.count, (block + 1) * self.per_block))


class StoredFeatures:
    """The features of one list of images in a folder of the cache. Threads and processes may write at once.

    Args:
        folder: the folder, which need not exist.
        rows: how they lie there.
    """

    def __init__(self, folder: Path, rows: FeatureRows) -> None:
        self.folder = folder
        self.path = folder / "features.f16"
        self.rows = rows
        self.damaged = 0
        """Images whose features `verify` found damaged."""
        self.is_new = False
        """Whether `create` found no features."""
        self._journal = _Journal(folder / "blocks.txt")
        self._sound: set[int] = set()
        self._passed: set[int] = set()
        self._lock = threading.Lock()

    def create(self, digests: bytes, facts: Mapping[str, Any]) -> None:
        """Makes the folder and its files as far as they are missing or damaged.

        Args:
            digests: of the images, in their order.
            facts: what `contents.json` says.

        Raises:
            StorageError: they cannot be written, or the disk has no room for what is missing.
        """
        place = self.folder.parents[1]  # that of all features: the rest of the path tells nobody anything
        with storage_errors(place):
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        needed = sum(len(self.rows.of_block(block)) for block in self.missing()) * self.rows.row_bytes
        if free < needed + _SPARE_BYTES:
            raise StorageError(
                f"they take {file_size(needed)}, {file_size(_SPARE_BYTES)} stay free for the run, and the disk of "
                f"{place} has {file_size(free)} left. Free some space, or set FITTINGROOM_CACHE_DIR to a folder on a "
                "larger disk."
            )
        with storage_errors(self.path), self.path.open("ab") as stream:  # never shortened: others may have mapped it
            self.is_new = self.is_new or stream.tell() == 0
        for name, content in (("images.bin", digests), ("contents.json", json.dumps(facts).encode())):
            if _content(self.folder / name) != content:
                write_bytes(self.folder / name, content, durable=False)

    def verify(self) -> None:
        """Compares all blocks with their checksums, but those that were found to be right before."""
        checksums = self._journal.read_all()
        unknown = [block for block in checksums if 0 <= block < self.rows.blocks and block not in self._sound]
        with ThreadPoolExecutor(usable_cores()) as pool:
            right = list(pool.map(lambda block: self._checksum(block) == checksums[block], unknown))
        self._sound.update(block for block, is_right in zip(unknown, right, strict=True) if is_right)
        self.damaged = sum(len(self.rows.of_block(block)) for block in unknown if block not in self._sound)

    def sound(self) -> list[int]:
        """The blocks that are known to be right."""
        return sorted(self._sound)

    def missing(self) -> list[int]:
        """The others."""
        return [block for block in range(self.rows.blocks) if block not in self._sound]

    def is_sound(self, block: int) -> bool:
        """Whether one block is as it was written; compares it if that was not done before."""
        with self._lock:
            if block not in self._sound:
                self._journal.read_on()
                checksum = self._journal.checksums.get(block)
                if checksum is None or self._checksum(block) != checksum:
                    return False
                self._sound.add(block)
            return True

    def claim(self, block: int) -> Claim:
        """Asks for a block to compute, and says so to other processes.

        Returns:
            `free`; `taken` if another process has begun it (it may have been killed since); or `written`, if it was
            written since `verify`. For a block that is taken, the second call gives `free`: nobody waits for long.

        Raises:
            StorageError: the claim cannot be written.
        """
        with storage_errors(self.path), self._lock:
            written, claimed = self._journal.read_on()
            if block in written:
                return "written"
            if block in claimed and block not in self._passed:
                self._passed.add(block)
                return "taken"
            self._journal.append(f"{block:x} {_CLAIMED}")
            return "free"

    def write(self, block: int, rows: Features) -> None:
        """Writes the rows of a block, and then that they are there.

        Raises:
            StorageError: they cannot be written.
        """
        content = np.ascontiguousarray(rows).data.cast("B")
        with storage_errors(self.path), self.path.open("r+b") as stream:
            stream.seek(self.rows.of_block(block).start * self.rows.row_bytes)
            stream.write(content)
        with storage_errors(self.path), self._lock:
            self._journal.append(f"{block:x} {zlib.crc32(content):x}")

    def read(self, block: int) -> Features:
        """The rows of a block."""
        return np.frombuffer(self._bytes(block), np.float16).reshape(-1, *self.rows.row)

    @cached_property
    def mapped(self) -> Features:
        """All rows that the file has, read-only and mapped into memory: a process that was ended leaves the first."""
        rows = min(self.path.stat().st_size // self.rows.row_bytes, self.rows.count)
        return np.memmap(self.path, np.float16, "r", shape=(rows, *self.rows.row))

    def give_back(self) -> None:
        """Lets go of the memory of what was read by way of `mapped`, which is read again where it is needed."""
        if "mapped" in vars(self):
            give_back(self.mapped)

    def touch(self) -> None:
        """Notes that the features were used now."""
        with suppress(OSError):
            os.utime(self.folder / "contents.json")

    def remove(self) -> None:
        """Deletes them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _checksum(self, block: int) -> int | None:
        try:
            content = self._bytes(block)
        except OSError:  # missing, or the disk cannot read it
            return None
        return zlib.crc32(content) if len(content) == len(self.rows.of_block(block)) * self.rows.row_bytes else None

    def _bytes(self, block: int) -> bytes:
        # Read, not mapped: a file that somebody shortens meanwhile would end the process.
        rows = self.rows.of_block(block)
        with self.path.open("rb") as stream:
            stream.seek(rows.start * self.rows.row_bytes)
            return stream.read(len(rows) * self.rows.row_bytes)


class _Journal:
    """What happened to the blocks, a line each: the number, the checksum of what was written, and that of the line."""

    def __init__(self, path: Path) -> None:
        self.checksums: dict[int, int] = {}
        self._path = path
        self._position = 0
        self._written: set[int] = set()
        self._claimed: set[int] = set()
        self._has_appended = False

    def read_all(self) -> dict[int, int]:
        """The checksum of each block that was ever written."""
        self.checksums, self._position, self._claimed = {}, 0, set()
        self.read_on()
        self._written = set()
        return self.checksums

    def read_on(self) -> tuple[set[int], set[int]]:
        """The blocks that were written since everything was read, and those that were claimed by anybody before."""
        with suppress(OSError), self._path.open("rb") as stream:
            stream.seek(self._position)
            text = stream.read()
            whole = text[: text.rfind(b"\n") + 1]  # a line that another process is writing now is read next time
            self._position += len(whole)
            for line in whole.splitlines():
                what, _, check = line.rpartition(b" ")
                with suppress(ValueError):
                    if int(check, 16) == zlib.crc32(what):
                        self._read_line(what.decode())
        return self._written, self._claimed

    def append(self, what: str) -> None:
        """Adds a line, in one write, and not behind what a killed process has left of its own."""
        start = "" if self._has_appended else "\n"
        line = f"{start}{what} {zlib.crc32(what.encode()):x}\n"
        with self._path.open("ab", buffering=0) as stream:
            stream.write(line.encode())
        self._has_appended = True

    def _read_line(self, what: str) -> None:
        block, checksum = what.split()
        if checksum == _CLAIMED:
            self._claimed.add(int(block, 16))
        else:
            self.checksums[int(block, 16)] = int(checksum, 16)
            self._written.add(int(block, 16))


def read_contents(folder: Path) -> tuple[Mapping[str, Any], bytes]:
    """What `create` wrote beside the features: the facts and the digests; nothing where they cannot be read."""
    try:
        facts = json.loads(_content(folder / "contents.json") or b"{}")
    except (ValueError, RecursionError):
        facts = {}
    return facts if isinstance(facts, dict) else {}, _content(folder / "images.bin") or b""


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
