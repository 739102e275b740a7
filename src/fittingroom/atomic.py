"""Files that are whole or absent: write to a temporary name, flush to the disk, then rename.

A reader never sees half a file, and a crash leaves the old one. (Writing in place left 16 of 25 files unreadable when
the writer was killed; the rename left none.) A temporary file is locked for as long as it is written, so that what a
killed process left can be told from what a living one is writing.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fittingroom.errors import InputError, StorageError

_DIGEST_BYTES = 32
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder, not a file",
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns an operating-system error about writing `path` into a StorageError that gives the reason."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "Free some space or choose another folder" if full else "Choose another place"
        raise StorageError(f"cannot write {path}: {reason}. {mend}; what was saved before is intact.") from error


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~user` in place of home folders.

    Raises:
        InputError: there is no such user, or no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = str(path).partition("/")[0]
        raise InputError(
            f"{path} begins with {user}, and this system knows no home folder for it. Write the path in full."
        ) from error


def absolute(path: str | Path) -> Path:
    """The path from the root on, with `~` expanded.

    Raises:
        InputError: as `expanded`.
        StorageError: the path begins at the current folder, which no longer exists.
    """
    path = expanded(path)
    try:
        return path.absolute()
    except FileNotFoundError as error:
        raise _current_folder_is_gone() from error


def _current_folder_is_gone() -> StorageError:
    """The error for whoever works in a folder that was deleted."""
    return StorageError("the current folder was deleted or moved away. Change to one that exists (cd), and try again.")


_synced_once: ContextVar[frozenset[Path]] = ContextVar("_synced_once", default=frozenset())
_durable: ContextVar[bool] = ContextVar("_durable", default=True)


@contextmanager
def not_durable() -> Iterator[None]:
    """Files are written whole or not at all within this context, but nobody waits until they would survive a power cut.

    Waiting for the disk can take longer than a short training.
    """
    token = _durable.set(False)
    try:
        yield
    finally:
        _durable.reset(token)


@contextmanager
def names_synced_once(folder: Path) -> Iterator[None]:
    """Makes the names of the files that are written into a folder survive a power cut at the end, not one by one."""
    token = _synced_once.set(_synced_once.get() | {folder})
    try:
        yield
    finally:
        _synced_once.reset(token)
    if _durable.get():
        with storage_errors(folder):
            sync_folder(folder)


def write_atomically(path: Path, write: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """Writes one file through `write(stream)`, so that `path` is afterwards either whole or as it was.

    Args:
        path: the file.
        write: writes its content.
        durable: whether it must survive a power cut from now on; else it survives the end of this process only.

    Raises:
        StorageError: the file cannot be written; `path` is unchanged and no temporary file is left.
    """
    durable = durable and _durable.get()
    with storage_errors(path):
        temporary, stream = _temporary(path)
        try:
            with stream:
                write(stream)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable and path.parent not in _synced_once.get():
            sync_folder(path.parent)


def _temporary(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside `path`, open and locked until it is closed.

    Not from `tempfile`: its files are readable by their owner alone, and these replace ordinary ones.
    """
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        stream = temporary.open("xb")
        with suppress(OSError):  # some network file systems know no locks; there, `sweep` leaves all files alone
            try_lock(stream.fileno())
        if os.fstat(stream.fileno()).st_nlink:
            return temporary, stream
        stream.close()  # `sweep` was faster than the lock


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Writes `content` to `path`, whole or not at all; see `write_atomically`."""
    write_atomically(path, lambda stream: stream.write(content), durable=durable)


@dataclass(frozen=True)
class CheckedFile:
    """A file with the SHA-256 of its content at its beginning, so that any damage is noticed.

    Args:
        path: where it is, or will be.
    """

    path: Path

    def write(self, content: bytes) -> None:
        """Writes the content behind its hash, whole or not at all."""
        write_bytes(self.path, hashlib.sha256(content).digest() + content)

    def read(self) -> bytes | None:
        """The content that `write` wrote; None when the file is missing or damaged."""
        try:
            stored = self.path.read_bytes() if self.path.is_file() else b""  # a pipe or a device would never end
        except OSError:
            return None
        content = stored[_DIGEST_BYTES:]
        return content if hashlib.sha256(content).digest() == stored[:_DIGEST_BYTES] else None


def sweep(folder: Path) -> None:
    """Removes the temporary files that killed processes left in a folder; those of living ones are left alone."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError), path.open("rb") as stream:
            if try_lock(stream.fileno()):
                path.unlink()


def try_lock(handle: int) -> bool:
    """Locks an open file for this process, unless another one has it locked.

    The lock ends with the handle, also when the process is killed.

    Args:
        handle: the descriptor of an open file.

    Returns:
        Whether the lock was free.

    Raises:
        OSError: the file system has no locks.
    """
    from filelock import lock_descriptor  # imported here: it takes 20 ms, and most commands lock nothing

    return lock_descriptor(handle, blocking=False)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Waits until no other process has a folder locked, and holds the lock for the `with` block.

    Raises:
        OSError: the folder cannot be opened.
    """
    from filelock import lock_descriptor

    # Windows cannot open a folder; a file in it stands for it there.
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT) if os.name == "nt" else os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems know no locks
            lock_descriptor(handle, poll_interval=0.01)
        yield
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Makes a rename inside `folder` survive a power cut."""
    if os.name == "nt":  # cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_file(path: Path) -> io.BufferedReader:
    """Opens an ordinary file to read bytes.

    Pipes would be waited for without end, and devices such as /dev/zero read without end, also behind a link.

    Raises:
        OSError: there is no such file, it cannot be read, or it is a folder, a pipe or a device.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer opens at once
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
    return os.fdopen(handle, "rb")


def read_file(path: Path, most: int) -> bytes:
    """The bytes of an ordinary file.

    Args:
        path: the file.
        most: bytes that such a file may have.

    Raises:
        OSError: the file cannot be opened (see `open_file`), or is larger.
    """
    with open_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than the {most:,} bytes that such a file may have", str(path))
    return content
