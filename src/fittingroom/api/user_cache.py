"""What the cache of this user holds, and deleting it: all of it is made or downloaded again when it is needed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fittingroom.data.cache import cache_dir
from fittingroom.errors import UnknownNameError
from fittingroom.runs.trash import disk_use
from fittingroom.text import amount, word_list


@dataclass(frozen=True)
class CacheEntry:
    """One thing in the cache.

    Attributes:
        what: in words, for example `3,068 images with 8 views`.
        path: its folder or file.
        bytes: that it takes on the disk.
        used: when it was last written, or used as far as that is noted, in seconds since 1970.
    """

    what: str
    path: Path
    bytes: int
    used: float


@dataclass(frozen=True)
class CacheKind:
    """What the cache holds of one kind.

    Attributes:
        name: a key of `KINDS`.
        about: what it is.
        entries: the largest first.
        bytes: of all of them.
    """

    name: str
    about: str
    entries: tuple[CacheEntry, ...]
    bytes: int


@dataclass(frozen=True)
class Cleared:
    """What deleting has brought.

    Attributes:
        bytes: that are free now.
        left: files that could not be deleted.
    """

    bytes: int
    left: tuple[Path, ...]


@dataclass(frozen=True)
class UserCache:
    """The cache of this user.

    Args:
        folder: where it is; it need not exist.
    """

    folder: Path

    @classmethod
    def of_user(cls) -> UserCache:
        """The one that everything uses: `FITTINGROOM_CACHE_DIR`, or the system's place for caches."""
        return cls(cache_dir())

    def kinds(self) -> tuple[CacheKind, ...]:
        """What it holds, by kind, in the order of `KINDS`."""
        return tuple(self._kind(name) for name in KINDS)

    def clear(self, kind: str | None = None) -> Cleared:
        """Deletes what it holds. Files in the folder that are not from Fitting Room stay.

        A training that uses features or datasets meanwhile keeps them until it ends; one that is computing features
        continues in memory.

        Args:
            kind: a key of `KINDS`; None for all.

        Raises:
            UnknownNameError: there is no such kind.
        """
        if kind is not None and kind not in KINDS:
            raise UnknownNameError("kind of cached files", kind, KINDS)
        folders = [self.folder / name for one in KINDS if kind in {None, one} for name in KINDS[one].folders]
        before = disk_use(folders)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        left = tuple(path for folder in folders for path in _files(folder))
        return Cleared(before - disk_use(folders), left)

    def _kind(self, name: str) -> CacheKind:
        kind = KINDS[name]
        entries = [entry for folder in kind.folders for entry in kind.entries(self.folder / folder)]
        entries.sort(key=lambda entry: -entry.bytes)
        return CacheKind(name, kind.about, tuple(entries), sum(entry.bytes for entry in entries))


@dataclass(frozen=True)
class _KnownKind:
    about: str
    folders: tuple[str, ...]
    entries: Callable[[Path], Iterator[CacheEntry]]


def _each(folder: Path) -> Iterator[CacheEntry]:
    """An entry for each file and folder."""
    for path in _listed(folder):
        yield _entry(path.name, path)


def _datasets(folder: Path) -> Iterator[CacheEntry]:
    for path in _listed(folder):
        facts = _facts(path).get("facts")
        source = facts.get("source") if isinstance(facts, dict) else None
        name = re.sub(r"-[0-9a-f]{16}$", "", path.name)
        what = source if isinstance(source, str) else ""
        yield _entry(what if what.startswith(name) else f"{name}: {what}", path)


def _features(folder: Path) -> Iterator[CacheEntry]:
    for backbone in _listed(folder):
        for path in _listed(backbone):
            facts = _facts(path)
            images, views = facts.get("images"), facts.get("views")
            what = amount(images, "image") if isinstance(images, int) else "unfinished"
            several = f", each with {amount(views, 'view')}" if isinstance(views, int) and views else ""
            yield _entry(f"{facts.get('backbone', backbone.name)}: {what}{several}", path)


def _audits(folder: Path) -> Iterator[CacheEntry]:
    for path in _listed(folder):
        checks = sorted(file.stem for file in _listed(path) if file.suffix == ".json")
        yield _entry(f"{path.name}: {word_list(checks)}" if checks else path.name, path)


def _together(folder: Path) -> Iterator[CacheEntry]:
    """One entry for all."""
    if count := len(_listed(folder)):
        yield _entry(f"{amount(count, 'program')} in {folder.name}", folder)


KINDS: Mapping[str, _KnownKind] = MappingProxyType(
    {
        "downloads": _KnownKind("files of published datasets", ("downloads",), _each),
        "datasets": _KnownKind("checked datasets, and pictures of them", ("datasets", "sprites"), _datasets),
        "features": _KnownKind("features of images by pretrained networks", ("features",), _features),
        "audits": _KnownKind("what checks of datasets found", ("audits",), _audits),
        "weights": _KnownKind("weights of pretrained networks", ("weights",), _each),
        "programs": _KnownKind("compiled programs", ("programs", "compiled"), _together),
    }
)
"""The kinds of things in the cache, and the folders in which they are."""


def _entry(what: str, path: Path) -> CacheEntry:
    used = max(map(_changed, (path, path / "contents.json")))
    if path.is_dir():
        return CacheEntry(what, path, disk_use([path]), used)
    try:
        return CacheEntry(what, path, path.lstat().st_size, used)
    except OSError:
        return CacheEntry(what, path, 0, used)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _facts(folder: Path) -> dict[str, Any]:
    """What a `contents.json` says; nothing where it cannot be read."""
    facts = None
    with suppress(OSError, ValueError, RecursionError):
        facts = json.loads((folder / "contents.json").read_bytes())
    return facts if isinstance(facts, dict) else {}


def _listed(folder: Path) -> list[Path]:
    """What a folder holds, sorted; nothing where it is missing or cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)
