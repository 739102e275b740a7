"""Where Fitting Room keeps what it can make again: arrays, downloads and compiled programs.

Checked contents, kept as uncompressed arrays that are mapped into memory in a millisecond.

One folder for each dataset: .npy files and `contents.json`, which says from which source files they were made, what
each array file holds, and the rest that is known of them. A folder is written under another name and then renamed, so
it is whole or absent. Every byte is checked whenever it is read, and what does not match is made again. The check is
CRC-32, which takes 7 ms for the 47 MB of Fashion-MNIST, where SHA-256 takes 23 and BLAKE2b 33: it is there for disks
that lose a bit and backups that mix two states. Whoever wants to deceive can write all of the folder anyway.
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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.atomic import absolute, storage_errors, write_atomically, write_bytes
from fittingroom.data.contents import Contents
from fittingroom.data.values import DIGEST_BYTES
from fittingroom.errors import StorageError


def cache_dir() -> Path:
    """The cache folder: `FITTINGROOM_CACHE_DIR`, else the place that the operating system has for caches.

    The folder is not made here. Everything in it can be deleted at any time, and all that use it work without it where
    it cannot be written. A user without a home folder has one that never can be: a folder inside a device.
    """
    chosen = os.environ.get("FITTINGROOM_CACHE_DIR")
    if chosen:
        return absolute(chosen)
    from platformdirs import user_cache_dir

    try:
        return Path(user_cache_dir("fittingroom", appauthor=False))
    except RuntimeError:
        return Path(os.devnull, "fittingroom")


_FORMAT = 4
"""To be raised when the files, the checks or what they say change, so that older contents are made anew."""

_ARRAYS = ("images", "labels", "test_images", "test_labels", "test_digests")

_log = logging.getLogger("fittingroom")

Stamp = tuple[tuple[str, int, int], ...]
"""What the contents were made from: name, size in bytes and time of the last change in nanoseconds of each file."""


def stamp_files(paths: tuple[Path, ...]) -> Stamp:
    """The stamp of files as they are now."""
    return tuple((str(path), status.st_size, status.st_mtime_ns) for path in paths for status in [path.stat()])


def unchanged_or_gone(stamp: Stamp) -> bool:
    """Whether none of the files that a stamp names has changed; those that were deleted do not count."""
    present = tuple(entry for entry in stamp if Path(entry[0]).exists())
    return stamp_files(tuple(Path(name) for name, _, _ in present)) == present


def read(folder: Path, is_current: Callable[[Stamp], bool]) -> Contents | None:
    """The contents kept in a folder, as read-only memory maps; None if there are none, or old or damaged ones.

    Args:
        folder: where `write` put them.
        is_current: whether contents with this stamp may still be used.
    """
    try:
        meta = json.loads((folder / "contents.json").read_bytes())
        stamp = tuple((name, size, time) for name, size, time in meta["stamp"])
        if meta["format"] != _FORMAT or not is_current(stamp):
            return None
        arrays = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in _ARRAYS}
        if _described(arrays) != meta["arrays"] or _digest(meta) != meta["digest"]:
            _log.warning("The arrays kept in %s are damaged, and are made again.", folder)
            return None
        tuples = {name: tuple(meta["facts"][name]) for name in ("classes", "notes", "files", "test_files")}
        contents = Contents(**{**arrays, **meta["facts"], **tuples})
        return contents if _is_sound(contents) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_sound(contents: Contents) -> bool:
    """Whether types and shapes are those that `contents.check` gives; values are not looked at."""
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


def write(folder: Path, contents: Contents, stamp: Stamp) -> None:
    """Keeps contents in a folder, in place of what was there; another process that does the same at once may win.

    Raises:
        StorageError: the folder cannot be written; nothing half-written is left.
    """
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for name in _ARRAYS:
            _write_array(draft / f"{name}.npy", getattr(contents, name))
        facts = {f.name: getattr(contents, f.name) for f in dataclasses.fields(contents) if f.name not in _ARRAYS}
        arrays = {name: getattr(contents, name) for name in _ARRAYS}
        meta = {"format": _FORMAT, "stamp": stamp, "arrays": _described(arrays), "facts": facts}
        write_bytes(draft / "contents.json", json.dumps({**meta, "digest": _digest(meta)}).encode())
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with storage_errors(folder):
                draft.rename(folder)
        except StorageError:
            if not folder.exists():  # else another process has put the same contents there since
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        _remove_old_drafts(folder)


def _remove_old_drafts(folder: Path) -> None:
    """Removes what writers that were killed have left; a draft of the last hour may still be written to."""
    for draft in folder.parent.glob(f".{folder.name}.*"):
        with contextlib.suppress(OSError):
            if time.time() - draft.stat().st_mtime > 3600:
                shutil.rmtree(draft, ignore_errors=True)


def _write_array(path: Path, array: np.ndarray[Any, Any]) -> None:
    write_atomically(path, lambda stream: np.save(stream, array, allow_pickle=False))


def _described(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, list[Any]]:
    """Type, shape and CRC-32 of each array."""
    return {
        name: [str(array.dtype), list(array.shape), zlib.crc32(np.ascontiguousarray(array).data)]
        for name, array in arrays.items()
    }


def _digest(meta: Mapping[str, Any]) -> str:
    """A hash of all that is in `contents.json` but itself."""
    rest = {name: value for name, value in meta.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def kept(folder: Path, stamp: Stamp, make: Callable[[], Contents]) -> Contents:
    """The contents kept in a folder if their stamp is this one, else newly made and kept.

    If the cache cannot be written, the contents come straight from `make`, with a note.
    """
    contents = read(folder, stamp.__eq__)
    if contents is not None:
        return contents
    contents = make()
    try:
        write(folder, contents, stamp)
    except StorageError as error:
        note = f"The arrays could not be kept for a quicker start next time: {error}"
        return dataclasses.replace(contents, notes=(*contents.notes, note))
    return read(folder, stamp.__eq__) or contents
