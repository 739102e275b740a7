"""Unpacks the ZIP archive of somebody else: whole and into a folder of its own, or not at all.

Everything in an archive is a claim: names may lead out of the folder, sizes may be wrong, a kilobyte may unpack to
terabytes. So names are checked before anything is written, and what is written is counted. Files are written into a
folder beside the place, which gets its name when all is there; a refusal, a full disk and Ctrl-C leave nothing behind.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from fittingroom.atomic import open_file, storage_errors, try_lock
from fittingroom.data.archive_members import NOTHING, Members, shown, too_many
from fittingroom.data.sniff import LOOKED_AT, FileKind
from fittingroom.errors import DataError, StorageError

_LARGEST_DIRECTORY = 32 * 2**20
_ENTRY = b"PK\x01\x02"  # begins each member's entry in the directory
_CHUNK = 2**18

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, OverflowError, ValueError)
"""What `zipfile` raises for damage, in the order of how often."""


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    Attributes:
        files: files and folders together; 70,000 pictures of a known dataset are fewer.
        total: bytes of all files.
        ratio: bytes that each byte of the archive may become; JPEG and PNG stay near 1, arrays of pictures near 10.
        unsuspicious: bytes of all files up to which no ratio counts.
    """

    files: int = 80_000
    total: int = 4 * 2**30
    ratio: int = 100
    unsuspicious: int = 64 * 2**20

    def most(self, packed: int) -> int:
        """The bytes that an archive of so many bytes may become."""
        return min(self.total, max(self.unsuspicious, self.ratio * packed))


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked.

    Attributes:
        folder: holds it.
        files: how many.
        size: bytes of all files.
        notes: sentences about what was left out or changed.
    """

    folder: Path
    files: int
    size: int
    notes: tuple[str, ...]


def unpack(
    archive: Path,
    folder: Path,
    *,
    called: str | None = None,
    limits: Limits | None = None,
    advanced: Callable[[int, int], object] | None = None,
) -> Unpacked:
    """Unpacks a ZIP archive that nobody vouches for.

    Archives inside it stay files. What operating systems add (`__MACOSX`, `.DS_Store`) is left out; rights and dates of
    files are not taken over.

    Args:
        archive: the file.
        folder: where its files go; it must not exist, and the folder around it must.
        called: the name of the archive in messages, where it is not that of the file.
        limits: what it may hold; None for the usual.
        advanced: gets the number of files that are there, and of all, after each.

    Returns:
        What was unpacked.

    Raises:
        DataError: it is not a ZIP archive, is damaged, encrypted or packed in an unusual way, is larger than the
            limits, or has names that lead out of the folder, that clash, or that no file can have, or anything but
            files and folders.
        StorageError: the disk is full, or the folder exists or cannot be written.
    """
    name = shown(archive.name if called is None else called)
    limits = Limits() if limits is None else limits
    with _opened(archive, name, limits) as (packed, size):
        members = Members.of(packed, name, limits.files)
        budget = _Budget(name, size, limits)
        budget.check(members.size)
        with _beside(folder, members) as beside:
            for count, (place, member) in enumerate(members.files.items(), start=1):
                with storage_errors(folder):
                    (beside / place).parent.mkdir(parents=True, exist_ok=True)
                    with (beside / place).open("xb") as file:
                        for chunk in _chunks(packed, member, name):
                            budget.spend(len(chunk))
                            file.write(chunk)
                if advanced is not None:
                    advanced(count, len(members.files))
    return Unpacked(folder, len(members.files), budget.spent, members.notes(name))


def _chunks(packed: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """The content of a member, piece by piece."""
    with _damage_named(name, f" at {shown(member.filename)!r}"), packed.open(member) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


@dataclass
class _Budget:
    """The bytes that were written, and how many may be."""

    name: str
    packed: int
    limits: Limits
    spent: int = 0

    def spend(self, count: int) -> None:
        """Counts bytes that are about to be written.

        Raises:
            DataError: they are too many.
        """
        self.spent += count
        self.check(self.spent)

    def check(self, count: int) -> None:
        """The same for bytes that are declared."""
        if count > self.limits.total:
            raise DataError(
                f"{self.name} unpacks to more than {_size(self.limits.total)}, the most that is read. {NOTHING} Pack "
                "fewer files."
            )
        if count > self.limits.most(self.packed):
            raise DataError(
                f"{self.name} has {_size(self.packed)} and unpacks to more than {self.limits.ratio} times that, as "
                f"only archives made to fill a disk do. {NOTHING} If its files are real, pack them without "
                "compression."
            )


@contextmanager
def _beside(folder: Path, members: Members) -> Iterator[Path]:
    """A new folder beside another, which it becomes at the end; it goes with whatever is raised.

    It is locked, so that what a killed process left is told from what a living one writes, and removed here.
    """
    if folder.exists() or folder.is_symlink():
        raise StorageError(f"{folder} exists already. Choose a new folder, or remove it.")
    with storage_errors(folder):
        declared, free = members.size, shutil.disk_usage(folder.parent).free
        if declared > free:
            raise StorageError(
                f"cannot write {folder}: the files take {_size(declared)}, and {_size(free)} are free. Free some "
                "space or choose another folder."
            )
        _sweep(folder.parent)
        beside = folder.with_name(f".unpacking-{uuid.uuid4().hex}")
        beside.mkdir()
    try:
        with _locked(beside):
            with storage_errors(folder):
                for place in members.folders:
                    (beside / place).mkdir(parents=True, exist_ok=True)
            yield beside
        with storage_errors(folder):
            beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = None if os.name == "nt" else os.open(folder, os.O_RDONLY)  # Windows cannot open a folder
    try:
        if handle is not None:
            with suppress(OSError):  # some network file systems know no locks
                try_lock(handle)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _sweep(parent: Path) -> None:
    """Removes what killed processes left half unpacked."""
    for left in parent.glob(".unpacking-*"):
        with suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if try_lock(handle):
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)


@contextmanager
def _opened(archive: Path, name: str, limits: Limits) -> Iterator[tuple[zipfile.ZipFile, int]]:
    """An archive, and its size in bytes."""
    try:
        plain = open_file(archive)
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}.") from error
    with plain, _Directory(cast("io.RawIOBase", plain.raw), name, limits.files) as file:
        kind = FileKind.of(file.peek(LOOKED_AT)[:LOOKED_AT])
        if kind.start.startswith(b"PK\x05\x06"):
            raise DataError(f"{name} has no files in it. {NOTHING} Pack the folder again.")
        if not kind.is_zip:
            raise DataError(f"{name} is not a ZIP archive: it {kind}.")
        with _damage_named(name):
            packed = zipfile.ZipFile(file)
        with packed:
            yield packed, os.fstat(file.fileno()).st_size


class _Directory(io.BufferedReader):
    """An archive whose directory is counted before `zipfile` makes an object of each member, half a kilobyte each."""

    def __init__(self, raw: io.RawIOBase, name: str, most: int) -> None:
        super().__init__(raw)
        self._name, self._most = name, most

    def read(self, size: int | None = -1, /) -> bytes:
        """As in the base, for as many members as there may be."""
        bound = _LARGEST_DIRECTORY + 1
        content = super().read(bound if size is None or size < 0 else min(size, bound))
        if len(content) == bound or (content.startswith(_ENTRY) and content.count(_ENTRY) > self._most):
            raise too_many(self._name, self._most)
        return content


@contextmanager
def _damage_named(name: str, where: str = "") -> Iterator[None]:
    """Makes one sentence of whatever is raised where an archive is read."""
    try:
        yield
    except DataError:  # it is a ValueError, too
        raise
    except _DAMAGED as error:
        raise DataError(
            f"{name} is cut off or damaged{where} ({str(error)[:200]}). {NOTHING} Get or pack it again."
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}.") from error


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MB" if count < 2**30 else f"{count / 2**30:,.1f} GB"
