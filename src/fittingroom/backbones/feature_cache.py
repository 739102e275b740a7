"""The cache of features: what a frozen network makes of images is computed once, and mapped into memory afterwards.

They are kept in `features/BACKBONE/IMAGES/` of the cache folder, as `feature_store` says. An image is known by its
pixels, and a view of it by its number besides, so another split, another name or an enlarged dataset finds again what
was computed before. Two processes that want the same features share the work: each looks whether a block is there
before it begins it. Where the cache cannot be written, the features are in memory, and a note says so.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import storage_errors
from fittingroom.backbones.feature_store import (
    Claim,
    FeatureRows,
    Features,
    StoredFeatures,
    read_contents,
    usable_cores,
)
from fittingroom.backbones.views import Views
from fittingroom.data.cache import cache_dir
from fittingroom.data.stored_images import machine_memory
from fittingroom.data.values import DIGEST_BYTES, Images, image_digests
from fittingroom.errors import Interrupted, StorageError
from fittingroom.progress import Progress
from fittingroom.text import amount, duration, file_size, number

_FORMAT = 1
"""Raised when the files or their meaning change, so that older features are computed again."""

_BATCH = 32  # pictures that the network gets at once
_BLOCK_PICTURES = 64  # half a second of work, which is what a kill costs
_BLOCK_BYTES = 2**25
_TRIES = 3  # after which a disk that does not keep what is written is not used
_SECONDS_BETWEEN_STAGES = 0.25
_SECONDS_BEFORE_ESTIMATE = 2.0
_LARGEST = float(np.finfo(np.float16).max)

_log = logging.getLogger("fittingroom")


class ImageRows(Protocol):
    """Images, in memory or in a file that is read a part at a time: uint8 `(n, height, width)` or with 3 channels."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all images."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Images:
        """Some of them."""
        ...


class FrozenNetwork(Protocol):
    """What the cache needs of the frozen part of a backbone."""

    @property
    def key(self) -> str:
        """Names everything that features depend on besides the image; begins with the name of the backbone."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's features."""
        ...

    @property
    def parallel(self) -> bool:
        """Whether several threads that ask for features are faster than one."""
        ...

    def features(self, images: Images, *, threads: int | None = None) -> NDArray[np.float32]:
        """The features of a few images, computed by so many threads; several threads may call it at once."""
        ...


def cached_features(
    frozen: FrozenNetwork, images: ImageRows, *, views: Views | None = None, progress: Progress | None = None
) -> Features:
    """The features of images: from the cache as far as they are there; the others are computed and kept.

    Args:
        frozen: computes them.
        images: uint8 `(n, height, width)` or `(n, height, width, 3)`; never more than a few hundred are in memory.
        views: changed copies of each image, whose features are wanted too.
        progress: shows how far the work is, and how long it will take.

    Returns:
        float16 `(n, *shape)`, with views `(n, 1 + count, *shape)`: a read-only memory map, or, where the cache cannot
        be written, an array in memory.

    Raises:
        Interrupted: Ctrl-C; what was computed is kept.
        StorageError: neither the cache nor the memory has room for the features.
    """
    progress = progress or Progress()
    if not len(images):
        return np.zeros((0, *(() if views is None else (1 + views.count,)), *frozen.shape), np.float16)
    progress.stage(f"looking up the features of {amount(len(images), 'image')}")
    work = _Work(frozen, images, views, progress)
    stored = StoredFeatures(work.folder, work.rows)
    stored.verify()
    if stored.damaged:
        _log.warning(
            "The stored features of %s were damaged; they are computed again.", amount(stored.damaged, "image")
        )
    try:
        return _on_disk(work, stored)
    except StorageError as error:
        _say_once(f"The features could not be kept, so the next training computes them again: {error}")
        return _in_memory(work, stored)


@lru_cache(maxsize=8)
def _say_once(note: str) -> None:
    """Notes what would be the same of training, validation and mirrored images."""
    _log.warning("%s", note)


def features_folder() -> Path:
    """The folder of all features in the cache."""
    return cache_dir() / "features"


def _on_disk(work: _Work, stored: StoredFeatures) -> Features:
    """The features in the cache, after those that are missing have been computed.

    Raises:
        StorageError: the cache cannot be written.
    """
    for _ in range(_TRIES):
        if not (missing := stored.missing()):
            stored.touch()
            with storage_errors(stored.path):  # deleted meanwhile
                return stored.mapped
        stored.create(work.digests.tobytes(), work.facts)
        try:
            work.compute(missing, stored.claim, stored.write)
        except KeyboardInterrupt as error:
            stored.verify()
            kept = number(sum(len(work.rows.of_block(block)) for block in stored.sound()))
            message = f"the features of {kept} of {amount(work.rows.count, 'image')} are kept for the next training."
            raise Interrupted(message, None) from error
        stored.verify()
    raise StorageError(f"{stored.path} does not read as it was written. Choose a cache folder on another disk.")


def _in_memory(work: _Work, stored: StoredFeatures) -> Features:
    """The features as an array; those that were written already are read, and those of this call leave a full disk."""
    rows = work.rows
    if rows.bytes > machine_memory() / 2:
        raise StorageError(
            f"the features of {amount(rows.count, 'image')} take {file_size(rows.bytes)}, for which neither "
            f"{cache_dir()} nor the memory has room. Set FITTINGROOM_CACHE_DIR to a folder on a larger disk, or use "
            "fewer views."
        )
    array = np.empty(rows.shape, np.float16)

    def write(block: int, features: Features) -> None:
        array[rows.of_block(block).start : rows.of_block(block).stop] = features

    stored.verify()
    for block in stored.sound():
        write(block, stored.read(block))
    missing = stored.missing()
    if stored.is_new:
        stored.remove()
    work.compute(missing, lambda _: "free", write)
    return array


class _Work:
    """The features of some images: what they are called, and how they are computed."""

    def __init__(self, frozen: FrozenNetwork, images: ImageRows, views: Views | None, progress: Progress) -> None:
        self.frozen = frozen
        self.images = images
        self.views = views
        self.progress = progress
        self.pictures = 1 if views is None else 1 + views.count
        row = (*(() if views is None else (self.pictures,)), *frozen.shape)
        per_block = min(_BLOCK_PICTURES // self.pictures, _BLOCK_BYTES // max(2 * math.prod(row), 1))
        self.rows = FeatureRows(len(images), row, max(per_block, 1))
        self.digests = _digests(images)

    @property
    def facts(self) -> dict[str, Any]:
        """What `contents.json` says."""
        return {
            "format": _FORMAT,
            "backbone": self.frozen.key,
            "images": self.rows.count,
            "views": self.pictures - 1,
            "changes": "" if self.views is None else self.views.key,
            "row": list(self.rows.row),
            "per_block": self.rows.per_block,
        }

    @property
    def folder(self) -> Path:
        """The folder of these features."""
        readable = re.sub(r"[^a-z0-9]+", "-", self.frozen.key.lower())[:32].strip("-")
        backbone = f"{readable}-{hashlib.sha256(self.frozen.key.encode()).hexdigest()[:16]}"
        return features_folder() / backbone / _name(self.facts, self.digests.tobytes())

    def compute(
        self, blocks: Sequence[int], claim: Callable[[int], Claim], write: Callable[[int, Features], None]
    ) -> None:
        """Computes blocks, in as many threads as there are processors, of which each takes the next one.

        The network, the disk and whatever changes and hashes pictures let other threads run.

        Args:
            blocks: their numbers.
            claim: asks for a block, see `StoredFeatures.claim`.
            write: gets the number and the rows of each.
        """
        # Found before the threads begin, of which each would look for itself.
        sources = {row.stored for rows in self._elsewhere.values() for row in rows}
        threads = min(usable_cores() if self.frozen.parallel else 1, len(blocks))
        stop, lock, waiting = threading.Event(), threading.Lock(), deque(blocks)
        shown = _Shown(self.progress, self.rows.count, sum(len(self.rows.of_block(block)) for block in blocks))

        def take() -> int | None:
            with lock:
                while waiting and not stop.is_set():
                    block = waiting.popleft()
                    answer = claim(block)
                    if answer == "free":
                        return block
                    if answer == "taken":
                        waiting.append(block)
                    else:
                        shown.add(len(self.rows.of_block(block)))
            return None

        def work() -> None:
            for block in iter(take, None):
                rows = self.rows.of_block(block)
                batches = list(self._batches(rows, shown, stop))
                if not stop.is_set():
                    write(block, np.concatenate(batches).reshape(len(rows), *self.rows.row))
                for stored in sources:
                    stored.give_back()

        with ThreadPoolExecutor(threads) as pool:
            try:
                _wait_for([pool.submit(work) for _ in range(threads)], shown.draw)
            finally:
                stop.set()

    def _batches(self, rows: range, shown: _Shown, stop: threading.Event) -> Iterator[Features]:
        """The features of all pictures of some rows, a batch at a time, until the work is stopped."""
        images = self.images[rows.start : rows.stop]
        wanted = [(row, view) for row in rows for view in range(self.pictures)]
        for start in range(0, len(wanted), _BATCH):
            if stop.is_set():
                return
            batch = wanted[start : start + _BATCH]
            features = np.empty((len(batch), *self.frozen.shape), np.float16)
            unknown = [place for place, (row, view) in enumerate(batch) if not self._copy(row, view, features[place])]
            if unknown:
                pictures = np.stack(
                    [
                        self._picture(images[row - rows.start], row, view)
                        for row, view in (batch[place] for place in unknown)
                    ]
                )
                # Beyond the largest number of 16 bits there is only infinity, which no training survives.
                features[unknown] = self.frozen.features(pictures, threads=1).clip(-_LARGEST, _LARGEST)
            shown.add(len(batch) / self.pictures)
            yield features

    def _picture(self, image: Images, row: int, view: int) -> Images:
        return image if self.views is None else self.views.changed(image, self.digests[row].tobytes(), view)

    def _copy(self, row: int, view: int, features: Features) -> bool:
        """Copies the features of one picture from where they were computed before; False if they are nowhere."""
        for stored, known, pictures in self._elsewhere.get(self.digests[row].tobytes(), ()):
            if view < pictures and stored.is_sound(known // stored.rows.per_block):
                with suppress(OSError, IndexError):  # deleted meanwhile, or written since it was mapped
                    features[...] = stored.mapped[known].reshape(-1, *self.frozen.shape)[view]
                    return True
        return False

    @cached_property
    def _elsewhere(self) -> dict[bytes, list[_Row]]:
        """By the digest of an image, where else in the cache features of it are; those with most views first."""
        own = {digest.tobytes() for digest in self.digests}
        found: dict[bytes, list[_Row]] = {}
        for folder in sorted(self.folder.parent.glob("*")):
            facts, digests = read_contents(folder)
            if folder == self.folder or _name(facts, digests) != folder.name or facts["format"] != _FORMAT:
                continue
            stored = StoredFeatures(folder, FeatureRows(facts["images"], tuple(facts["row"]), facts["per_block"]))
            pictures = 1 + facts["views"] if facts["changes"] == self.facts["changes"] else 1
            for row, start in enumerate(range(0, len(digests), DIGEST_BYTES)):
                digest = digests[start : start + DIGEST_BYTES]
                if digest in own:
                    found.setdefault(digest, []).append(_Row(stored, row, pictures))
        for rows in found.values():
            rows.sort(key=lambda row: -row.pictures)
        return found


class _Row(NamedTuple):
    """Where features of an image are: in which file and row, and how many of its pictures are those that are wanted."""

    stored: StoredFeatures
    row: int
    pictures: int


class _Shown:
    """How far the work is, in images."""

    def __init__(self, progress: Progress, images: int, missing: int) -> None:
        self._progress = progress
        self._images = images
        self._missing = missing
        self._done = 0.0
        self._lock = threading.Lock()
        self._started = time.perf_counter()

    def add(self, images: float) -> None:
        """So many more are done."""
        with self._lock:
            self._done += images

    def draw(self) -> None:
        """Tells the progress."""
        seconds = time.perf_counter() - self._started
        left = f", {duration(seconds * (self._missing / self._done - 1))} left" if self._done else ""
        known = seconds >= _SECONDS_BEFORE_ESTIMATE
        done = number(self._images - self._missing + math.floor(self._done))
        self._progress.stage(f"computing features: {done} of {number(self._images)} images{left if known else ''}")


def _name(facts: Mapping[str, Any], digests: bytes) -> str:
    """The name of a folder of features, which says what is in it and how it lies there."""
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode() + digests, digest_size=16).hexdigest()


def _digests(images: ImageRows) -> NDArray[np.uint8]:
    """What each image shows, `(n, DIGEST_BYTES)`: the same for the same pixels in the same shape."""
    salt = b"".join(side.to_bytes(4, "little") for side in images.shape[1:4])
    starts = range(0, len(images), _BATCH)
    with ThreadPoolExecutor(usable_cores()) as pool:  # hashing lets other threads run
        parts = pool.map(lambda start: b"".join(image_digests(images[start : start + _BATCH], salt)), starts)
        return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, DIGEST_BYTES)


def _wait_for(workers: Sequence[Future[None]], draw: Callable[[], None]) -> None:
    """Waits until all are done, or one has failed, whose error is raised; draws meanwhile."""
    waiting = set(workers)
    while waiting:
        draw()
        done, waiting = wait(waiting, _SECONDS_BETWEEN_STAGES, FIRST_EXCEPTION)
        for worker in done:
            worker.result()
