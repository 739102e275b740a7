"""The cache: checked datasets as uncompressed arrays, which are mapped into memory in a millisecond.

Each dataset has a folder of .npy files with a `contents.json`, which names the source files they were made from, type,
shape and checksum of each array, and everything else that is known. A folder is written under another name and then
renamed, so it is whole or absent. Every byte is checked whenever it is read, and what does not match is made again. The
checksum is CRC-32, which takes 7 ms for the 47 MB of Fashion-MNIST, where SHA-256 takes 23 and BLAKE2b 33: it is there
for disks that lose a bit and backups that mix two states. An attacker could rewrite the whole folder anyway.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fittingroom.atomic import absolute, storage_errors, try_lock, write_atomically, write_bytes
from fittingroom.data.contents import Contents
from fittingroom.data.values import DIGEST_BYTES, image_blocks
from fittingroom.errors import StorageError

_FORMAT = 4
"""Raised when the files, the checks or their meaning change, so that older contents are made again."""

_ARRAYS = ("images", "labels", "test_images", "test_labels", "test_digests")
_LOCK = ".lock"
_OLD_DRAFT = 3600  # seconds, after which nobody is writing a draft any more

_log = logging.getLogger("fittingroom")

Stamp = tuple[tuple[str, int, int], ...]
"""Path, size in bytes and time of the last change in nanoseconds of each file that contents were made from."""


@dataclasses.dataclass(frozen=True)
class DatasetSource:
    """A dataset that was found and is not read yet.

    Attributes:
        key: the name of its folder in the cache.
        stamp: of its files as they are now; its cached contents are used only while this stays the same.
        read: gives its checked contents.
        read_into: does so with arrays that are files of a folder, where these may be too large for the memory: as
            `_put` writes them. It raises StorageError where there is no room for them.
    """

    key: str
    stamp: Stamp
    read: Callable[[], Contents]
    read_into: Callable[[Path], Contents] | None = None

    @classmethod
    def of_files(
        cls,
        form: str,
        name: str | None,
        files: tuple[Path, ...],
        read: Callable[[], Contents],
        read_into: Callable[[Path], Contents] | None = None,
    ) -> DatasetSource:
        """A source that is read from files.

        Args:
            form: what the key begins with.
            name: what tells it from other sources of this form, and is hashed; None where it is the only one.
            files: what it is read from.
            read: see the attribute.
            read_into: see the attribute.
        """
        digest = "" if name is None else f"-{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:16]}"
        return cls(f"{form}{digest}", _stamp_files(files), read, read_into)

    def contents(self) -> Contents:
        """The contents: from the cache if their stamp is the same, else read from the files and cached.

        If the cache cannot be written, they come straight from the files, with a note.
        """
        folder = _folder(self.key)
        contents = _read(folder, self.stamp.__eq__)
        if contents is not None:
            return contents
        try:
            with _draft(folder) as draft:
                contents = self.read() if self.read_into is None else self.read_into(draft)
                _put(folder, draft, contents, self.stamp)
        except StorageError as error:
            note = f"The arrays could not be cached for a quicker start next time: {error}"
            contents = contents or self.read()
            return dataclasses.replace(contents, notes=(*contents.notes, note))
        return _read(folder, self.stamp.__eq__) or contents

    @staticmethod
    def cached_before(key: str) -> Contents | None:
        """The contents cached under a key, if none of their files has changed since; deleted files do not count."""
        return _read(_folder(key), _is_unchanged_or_gone)


def cache_dir() -> Path:
    """The cache folder: `FITTINGROOM_CACHE_DIR`, else the place that the operating system has for caches.

    It is not created here. Everything in it can be deleted at any time, and its users work without it where it cannot
    be written. For a user without a home folder it is a path inside a device, which never can be.
    """
    chosen = os.environ.get("FITTINGROOM_CACHE_DIR")
    if chosen:
        return absolute(chosen)
    from platformdirs import user_cache_dir

    try:
        return Path(user_cache_dir("fittingroom", appauthor=False))
    except RuntimeError:
        return Path(os.devnull, "fittingroom")


def _folder(key: str) -> Path:
    return cache_dir() / "datasets" / key


def _stamp_files(paths: tuple[Path, ...]) -> Stamp:
    """The stamp of files as they are now."""
    return tuple((str(path), status.st_size, status.st_mtime_ns) for path in paths for status in [path.stat()])


def _is_unchanged_or_gone(stamp: Stamp) -> bool:
    """Whether none of the files that a stamp names has changed; those that were deleted do not count."""
    present = tuple(entry for entry in stamp if Path(entry[0]).exists())
    return _stamp_files(tuple(Path(name) for name, _, _ in present)) == present


def _read(folder: Path, is_current: Callable[[Stamp], bool]) -> Contents | None:
    """The contents in a folder, as read-only memory maps; None if there are none, or old or damaged ones.

    Args:
        folder: where `_write` put them.
        is_current: whether contents with this stamp may still be used.
    """
    try:
        meta = json.loads((folder / "contents.json").read_bytes())
        stamp = tuple((name, size, time) for name, size, time in meta["stamp"])
        if meta["format"] != _FORMAT or not is_current(stamp):
            return None
        arrays = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in _ARRAYS}
        if _described(arrays) != meta["arrays"] or _digest(meta) != meta["digest"]:
            _log.warning("The cached arrays in %s are damaged; they are made again.", folder)
            return None
        tuples = {name: tuple(meta["facts"][name]) for name in ("classes", "notes", "files", "test_files")}
        contents = Contents(**{**arrays, **meta["facts"], **tuples})
        return contents if _is_sound(contents) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_sound(contents: Contents) -> bool:
    """Whether types and shapes are those that `contents.check` gives; values are not checked again."""
    pairs = ((contents.images, contents.labels), (contents.test_images, contents.test_labels))
    arrays = all(
        images.dtype == np.uint8 and labels.dtype == np.int32 and labels.shape == images.shape[:1] and len(labels)
        for images, labels in pairs
    )
    same = contents.images.shape[1:] == contents.test_images.shape[1:] and contents.images.ndim in {3, 4}
    rule, digests = contents.resize_rule, contents.test_digests
    hashed = digests.dtype == np.uint8 and digests.shape in {
        (0, DIGEST_BYTES),
        (len(contents.test_labels), DIGEST_BYTES),
    }
    named = all(
        len(files) in {0, len(labels)}
        for files, labels in ((contents.files, contents.labels), (contents.test_files, contents.test_labels))
    )
    texts = (*contents.classes, *contents.notes, contents.source, contents.fingerprint, contents.test_fingerprint)
    return (
        arrays
        and same
        and hashed
        and named
        and all(isinstance(text, str) for text in (*texts, "" if rule is None else rule))
        and all(isinstance(file, str) for file in (*contents.files, *contents.test_files))
        and isinstance(contents.scale, int | float)
        and isinstance(contents.given_validation, int)
    )


@contextlib.contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A new folder beside a folder, locked while it is written. At the end it is removed, unless `_put` moved it.

    Raises:
        StorageError: it cannot be made.
    """
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_dead_drafts(folder.parent)  # first, since they may fill the disk
        draft, lock = _locked_draft(folder)
    try:
        yield draft
    finally:
        lock.close()
        shutil.rmtree(draft, ignore_errors=True)


def _locked_draft(folder: Path) -> tuple[Path, BinaryIO]:
    """A new folder, and its lock, which ends where it is closed or the process is killed."""
    while True:
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        with contextlib.suppress(FileNotFoundError):
            lock = (draft / _LOCK).open("xb")
            try:
                locked = try_lock(lock.fileno())
            except OSError:  # some network file systems know no locks; there, drafts live for an hour
                locked = True
            if locked and os.fstat(lock.fileno()).st_nlink:
                return draft, lock
            lock.close()  # another process took it for abandoned before it was locked


def _put(folder: Path, draft: Path, contents: Contents, stamp: Stamp) -> None:
    """Writes contents beside the arrays that a draft has already, and makes it the folder.

    Another process that does so at once may win.

    Raises:
        StorageError: the folder cannot be written.
    """
    arrays = {name: getattr(contents, name) for name in _ARRAYS}
    for name, array in arrays.items():
        if not (draft / f"{name}.npy").exists():
            _write_array(draft / f"{name}.npy", array)
    facts = {f.name: getattr(contents, f.name) for f in dataclasses.fields(contents) if f.name not in _ARRAYS}
    meta = {"format": _FORMAT, "stamp": stamp, "arrays": _described(arrays), "facts": facts}
    write_bytes(draft / "contents.json", json.dumps({**meta, "digest": _digest(meta)}).encode())
    (draft / _LOCK).unlink()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with storage_errors(folder):
            draft.rename(folder)
    except StorageError:
        if not folder.exists():  # else another process has put the same contents there meanwhile
            raise


def _remove_dead_drafts(parent: Path) -> None:
    """Removes what killed writers have left: a draft that nobody has locked, and any that is older than an hour."""
    for draft in parent.glob(".*"):
        with contextlib.suppress(OSError):
            newest = max(path.stat().st_mtime for path in (draft, *draft.iterdir()))
            if _is_abandoned(draft / _LOCK) or time.time() - newest > _OLD_DRAFT:
                shutil.rmtree(draft, ignore_errors=True)


def _is_abandoned(lock: Path) -> bool:
    """Whether a draft's lock is there, and free."""
    if not lock.exists():
        return False  # another version's draft, or one that is about to be moved
    with lock.open("rb") as stream:
        return try_lock(stream.fileno())


def _write_array(path: Path, array: np.ndarray[Any, Any]) -> None:
    write_atomically(path, lambda stream: np.save(stream, array, allow_pickle=False))


def _described(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, list[Any]]:
    """Type, shape and CRC-32 of each array."""
    return {name: [str(array.dtype), list(array.shape), _checksum(array)] for name, array in arrays.items()}


def _checksum(array: np.ndarray[Any, Any]) -> int:
    found = 0
    for block in image_blocks(array):
        found = zlib.crc32(np.ascontiguousarray(block).data, found)
    return found


def _digest(meta: Mapping[str, Any]) -> str:
    """A hash of all that is in `contents.json` but itself."""
    rest = {name: value for name, value in meta.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
