"""`DriftMonitor`: what a server remembers of the images that it answered, and whether they differ from validation.

It remembers counts alone: a histogram of each quantity since the beginning and of the last 500 to 1,000 images, and the
capital of the bets (`drift_evidence.py`). A server keeps them in the run's folder as `drift/0.json`, another process
that serves the same run at the same time as `drift/1.json`, and so on. The n-th of them may raise a false alarm with a
probability of 5% times 6 / (π n)², which sums to 5% for however many there are.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.atomic import storage_errors, try_lock, write_bytes
from fittingroom.audits.drift_quantities import values_of
from fittingroom.audits.drift_reference import DriftReference
from fittingroom.errors import RunError, StorageError
from fittingroom.runs.json_files import check_format, damage, json_line, optional, read_json, text, whole
from fittingroom.runs.record import now

FALSE_ALARMS = 0.05
"""The probability that an unchanged stream ever raises the alarm, over all time and all processes that serve a run."""

FOLDER = "drift"
WINDOW = 500
"""The last images are counted apart: the newest, up to so many, and as many before them."""

_FORMAT = 1
_MOST_PROCESSES = 64


class DriftCounts:
    """Numbers of some images, which can be added to others."""

    def __init__(self, reference: DriftReference) -> None:
        self.images = 0
        self.unlike = 0
        self.sums = np.zeros(len(reference.names))
        self.classes = np.zeros(reference.class_count, np.int64)
        self.histograms = [np.zeros(len(one.counts), np.int64) for one in reference.bins]

    def add(self, values: npt.NDArray[np.float32], places: npt.NDArray[np.intp], reference: DriftReference) -> None:
        """Counts images in."""
        self.images += len(values)
        self.unlike += int((values[:, reference.names.index("unlike")] < reference.threshold).sum())
        self.sums += values.sum(axis=0, dtype=np.float64)
        self.classes += np.bincount(
            values[:, reference.names.index("class")].astype(np.int64), minlength=len(self.classes)
        )
        self.histograms = [
            row + np.bincount(column, minlength=len(row)) for row, column in zip(self.histograms, places.T, strict=True)
        ]

    def __iadd__(self, other: DriftCounts) -> DriftCounts:
        self.images, self.unlike = self.images + other.images, self.unlike + other.unlike
        self.sums, self.classes = self.sums + other.sums, self.classes + other.classes
        self.histograms = [mine + theirs for mine, theirs in zip(self.histograms, other.histograms, strict=True)]
        return self

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types."""
        return {
            "images": self.images,
            "unlike": self.unlike,
            "sums": self.sums.tolist(),
            "classes": self.classes.tolist(),
            "histograms": [row.tolist() for row in self.histograms],
        }

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Continues where `to_dict` was taken; raises whatever a damaged one makes it raise."""
        self.images, self.unlike = whole(stored["images"]), whole(stored["unlike"])
        self.sums = _like(self.sums, stored["sums"])
        self.classes = _like(self.classes, stored["classes"])
        self.histograms = [_like(*pair) for pair in zip(self.histograms, stored["histograms"], strict=True)]


def _like(here: npt.NDArray[Any], stored: Any) -> npt.NDArray[Any]:
    found = np.array(stored, here.dtype)
    if found.shape != here.shape or not np.isfinite(found).all():
        raise ValueError(f"expected {here.shape} numbers")
    return found


class DriftMonitor:
    """Watches the images that one process answers.

    Args:
        reference: what they are compared with.
        process: the number of this process among those that serve the run, from 0.
    """

    def __init__(self, reference: DriftReference, process: int = 0) -> None:
        self.reference, self.process = reference, process
        self.evidence = reference.evidence()
        self.needed = (math.pi * (process + 1)) ** 2 / (6 * FALSE_ALARMS)
        self.all, self.newest, self.before = (DriftCounts(reference) for _ in range(3))
        self.photos = self.skipped = 0
        self.since, self.changed = now(), now()
        self.noticed: int | None = None
        self.noticed_at: str | None = None
        self.highest = 1.0

    def take(self, images: npt.NDArray[Any], scale: float, answers: Sequence[tuple[int, float, float]]) -> None:
        """Counts images in, in the order in which they came.

        Args:
            images: as the model takes them.
            scale: what they are divided by to lie in 0 to 1.
            answers: of each image the number of its class, the probability of that, and its rarity.
        """
        values = values_of(images, scale, *zip(*answers, strict=True))
        places = np.stack([one.places(column) for one, column in zip(self.reference.bins, values.T, strict=True)], 1)
        first, capital = self.evidence.images, self.evidence.take(places)
        self.highest = max(self.highest, float(capital.max()))
        self.changed = now()
        if self.noticed is None and self.highest >= self.needed:
            self.noticed = first + int((capital >= self.needed).argmax()) + 1
            self.noticed_at = self.changed
        self.all.add(values, places, self.reference)
        if self.newest.images >= WINDOW:
            self.before, self.newest = self.newest, DriftCounts(self.reference)
        self.newest.add(values, places, self.reference)

    @property
    def differing(self) -> tuple[str, ...]:
        """Quantities that by themselves are enough to say that images differ."""
        enough = self.evidence.highest_of >= self.needed
        return tuple(name for name, is_enough in zip(self.reference.names, enough, strict=True) if is_enough)

    def to_dict(self) -> dict[str, Any]:
        """All that is kept, as JSON types."""
        return {
            "format": _FORMAT,
            "reference": self.reference.digest,
            "since": self.since,
            "changed": self.changed,
            "photos": self.photos,
            "skipped": self.skipped,
            "noticed": self.noticed,
            "noticed_at": self.noticed_at,
            "highest": self.highest,
            "evidence": self.evidence.to_dict(),
            "all": self.all.to_dict(),
            "newest": self.newest.to_dict(),
            "before": self.before.to_dict(),
        }

    def restore(self, stored: Mapping[str, Any]) -> bool:
        """Continues where `to_dict` was taken; False, and nothing is changed, where that was of another reference.

        Raises whatever damaged facts make it raise.
        """
        check_format(stored, _FORMAT, FOLDER)
        if stored["reference"] != self.reference.digest:
            return False
        fresh = DriftMonitor(self.reference, self.process)
        fresh.since, fresh.changed = text(stored["since"]), text(stored["changed"])
        fresh.photos, fresh.skipped = whole(stored["photos"]), whole(stored["skipped"])
        fresh.noticed, fresh.noticed_at = optional(whole, stored["noticed"]), optional(text, stored["noticed_at"])
        fresh.highest = float(_like(np.zeros(()), stored["highest"]))
        fresh.evidence.restore(stored["evidence"])
        for counts, name in ((fresh.all, "all"), (fresh.newest, "newest"), (fresh.before, "before")):
            counts.restore(stored[name])
        self.__dict__.update(fresh.__dict__)
        return True


class DriftPlace:
    """A process's place in the folder where what was counted is kept; free again when the process is gone.

    Args:
        folder: `drift` in that of the run.
        process: the number of this process.
        lock: the descriptor of the file that it has locked.
    """

    def __init__(self, folder: Path, process: int, lock: int) -> None:
        self.folder, self.process, self._lock = folder, process, lock

    @classmethod
    def taken(cls, folder: Path) -> DriftPlace | None:
        """The first place that no living process has; None where nothing can be written, or all are taken."""
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
            for process in range(_MOST_PROCESSES):
                lock = os.open(folder / f"{process}.lock", os.O_RDWR | os.O_CREAT, 0o644)
                if try_lock(lock):
                    return cls(folder, process, lock)
                os.close(lock)
        return None

    @classmethod
    def forget(cls, folder: Path) -> int:
        """Deletes what all processes counted, and gives how many they were.

        Raises:
            RunError: the run is served at the moment.
            StorageError: a file cannot be deleted.
        """
        files = sorted(folder.glob("*.json"))
        with ExitStack() as locks, storage_errors(folder):
            for file in sorted(folder.glob("*.lock")):
                lock = os.open(file, os.O_RDWR)
                locks.callback(os.close, lock)
                if not try_lock(lock):
                    raise RunError(f"{folder.parent} is served at the moment. End its server first.")
            for file in files:
                file.unlink()
        return len(files)

    def read(self, monitor: DriftMonitor) -> str | None:
        """Continues what the last process in this place counted; why that cannot be, if it cannot."""
        try:
            found = _read(self.folder, self.process)
            if found is None:
                return None
            with damage(self.folder, f"{self.process}.json"):
                if not monitor.restore(found):
                    return "What was counted before belongs to other weights or other validation images."
        except RunError as error:
            return str(error)
        return None

    def write(self, monitor: DriftMonitor) -> bool:
        """Keeps what was counted; whether that could be done."""
        try:
            write_bytes(self.folder / f"{self.process}.json", json_line(monitor.to_dict()), durable=False)
        except (StorageError, OSError):
            return False
        return True

    def free(self) -> None:
        """Leaves the place to others."""
        os.close(self._lock)


def kept_monitors(folder: Path, reference: DriftReference, but: int | None = None) -> list[DriftMonitor]:
    """What processes that served a run have counted.

    Args:
        folder: `drift` in that of the run.
        reference: that of the run; what was counted against another is left out.
        but: a process that is left out.

    Raises:
        RunError: a file is damaged.
    """
    found = []
    for process in range(_MOST_PROCESSES):
        stored = None if process == but else _read(folder, process)
        if stored is not None:
            monitor = DriftMonitor(reference, process)
            with damage(folder, f"{process}.json"):
                if monitor.restore(stored):
                    found.append(monitor)
    return found


def _read(folder: Path, process: int) -> dict[str, Any] | None:
    file = folder / f"{process}.json"
    if not file.is_file():
        return None
    with damage(folder, file.name):
        return read_json(file)
