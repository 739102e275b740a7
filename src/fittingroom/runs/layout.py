"""The folder of a run: which seeds it has, where the files of each are, and what they hold.

    run.json      the seeds, which of them are kept, and the times of all together
    images-*.npz  the images that answers and pages need (`images.py`)
    seed-0/       everything of the seed 0 (`store.py`), its own record in a `run.json` too
    seed-1/       ...

The `run.json` at the top is written last: a folder without it is not a run. Looks at the test set are kept with each
seed. A run of one seed is also known by its own folder, whose readers look into its `seed-<number>/`.

Version 0.1 had two other layouts, which are read as well: the files of a single seed lay in the run's own folder, its
record among them as `run.json`; and several seeds lay in `seed-<number>/` beside a `replicas.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.atomic import read_file
from fittingroom.errors import RunError
from fittingroom.runs.history import History
from fittingroom.runs.json_files import check_format, damage, read_json
from fittingroom.runs.place import OLD_SEEDS_NAME, RECORD_NAME, has_old_seeds
from fittingroom.runs.record import RunRecord, Seconds
from fittingroom.runs.weights import MODEL_NAME, WeightsFile

if TYPE_CHECKING:
    from fittingroom.runs.outcomes import Outcomes

FORMAT = 2
"""The form of a run's folder. It grows by one when an older version could no longer read what is written."""

HISTORY_NAME, OUTCOMES_NAME, FILES_NAME = "history.csv", "outcomes.npz", "validation_files.json"

_MOST_SEEDS = 10_000
_LARGEST_HISTORY = 16 * 2**20  # bytes; a hundred thousand epochs of four numbers have eight million


@dataclass(frozen=True)
class Layout:
    """The seeds of a run, and where each is.

    Args:
        path: the run's folder.
        seeds: all seeds that were asked for, in that order.
        kept: those of which there are results; a training that ended before its first epoch did leaves none.
        seconds: times of all seeds together; those of training are by the clock, not summed over seeds.
    """

    path: Path
    seeds: tuple[int, ...]
    kept: tuple[int, ...]
    seconds: Seconds

    @property
    def folders(self) -> dict[int, Path]:
        """By which path the files of each kept seed are read: that of the run where there is only one."""
        if len(self.kept) == 1:
            return {self.kept[0]: self.path}
        return {seed: seed_folder(self.path, seed) for seed in self.kept}

    def records(self) -> dict[int, RunRecord]:
        """The record of each kept seed.

        Raises:
            RunError: one of the folders is missing or damaged, or was written in a newer format.
        """
        return {seed: SeedFiles(folder).record() for seed, folder in self.folders.items()}

    def to_dict(self) -> dict[str, Any]:
        """The contents of the `run.json` at the top."""
        seconds = {part: getattr(self.seconds, part) for part in ("setup", "compile", "train")}
        return {"format": FORMAT, "seeds": list(self.seeds), "kept": list(self.kept), "seconds": seconds}


@dataclass(frozen=True)
class SeedFiles:
    """The files of a seed, as `store.py` writes them; whatever is wrong with one is a RunError that names it.

    Args:
        path: the folder of a run of one seed, or that of a seed.
    """

    path: Path

    @cached_property
    def folder(self) -> Path:
        """The folder that they are in.

        Raises:
            RunError: the run has several seeds, or its `run.json` is missing or damaged.
        """
        if not has_old_seeds(self.path):
            with damage(self.path, RECORD_NAME):
                if not _is_of_all(read_json(self.path / RECORD_NAME)):
                    return self.path
        kept = read_layout(self.path).kept
        if len(kept) > 1:
            raise RunError(f"{self.path} has {len(kept)} seeds. Name one of them: {seed_folder(self.path, kept[0])}.")
        return seed_folder(self.path, kept[0])

    @property
    def weights(self) -> WeightsFile:
        """Its weights, which are not read yet."""
        return WeightsFile(self.folder)

    def record(self) -> RunRecord:
        """What is recorded of the seed.

        Raises:
            RunError: `run.json` is missing, damaged or written in a newer format, or the run has several seeds.
        """
        with damage(self.folder, RECORD_NAME):
            return RunRecord.from_dict(read_json(self.folder / RECORD_NAME))

    def history(self) -> History:
        """The numbers of each epoch.

        Raises:
            RunError: the file is missing or damaged.
        """
        with damage(self.folder, HISTORY_NAME):
            return History.from_csv(read_file(self.folder / HISTORY_NAME, _LARGEST_HISTORY).decode())

    def outcomes(self) -> Outcomes | None:
        """What came of each validation image; None if the run had no validation part.

        Raises:
            RunError: the file is damaged.
        """
        from fittingroom.data.npz import NpzFile
        from fittingroom.runs.outcomes import ARRAYS, Outcomes

        file = self.folder / OUTCOMES_NAME
        if not file.exists():
            return None
        with damage(self.folder, OUTCOMES_NAME):
            arrays = NpzFile(file)
            return Outcomes.from_arrays({name: arrays.read(name) for name in arrays.names() if name in ARRAYS})

    def model(self) -> dict[str, Any]:
        """The model's structure, as the engine described it. It is data: nothing in it has been run or checked.

        Raises:
            RunError: the file is missing or damaged.
        """
        with damage(self.folder, MODEL_NAME):
            return read_json(self.folder / MODEL_NAME)

    def picture_files(self, count: int) -> tuple[str, ...]:
        """The picture file of each validation image, as a path in its dataset's folder; none where there were no files.

        Args:
            count: how many validation images there are.

        Raises:
            RunError: the file is damaged.
        """
        if not (self.folder / FILES_NAME).exists():
            return ()
        with damage(self.folder, FILES_NAME):
            files = read_json(self.folder / FILES_NAME)["files"]
            if not isinstance(files, list) or len(files) != count or not all(isinstance(file, str) for file in files):
                raise ValueError(f"it must have one name for each of {count:,} validation images")
            return tuple(files)


def seed_folder(path: Path, seed: int) -> Path:
    """Where a run keeps the files of a seed."""
    return path / f"seed-{seed}"


def read_layout(path: Path) -> Layout:
    """Which seeds a run has, in any of the layouts; the folder of one seed counts as a run of one.

    Raises:
        RunError: `run.json` is missing or damaged, or was written in a newer format.
    """
    if has_old_seeds(path):
        with damage(path, OLD_SEEDS_NAME):
            stored = read_json(path / OLD_SEEDS_NAME)
            check_format(stored, 1, OLD_SEEDS_NAME)
            return _layout_of(path, stored)
    with damage(path, RECORD_NAME):
        stored = read_json(path / RECORD_NAME)
        if _is_of_all(stored):
            check_format(stored, FORMAT)
            return _layout_of(path, stored)
        record = RunRecord.from_dict(stored)
        return Layout(path, (record.seed,), (record.seed,), record.seconds)


def _is_of_all(stored: Mapping[str, Any]) -> bool:
    """Whether a `run.json` is the one at the top; that of a seed has the `seed`."""
    return "seeds" in stored


def _layout_of(path: Path, stored: Mapping[str, Any]) -> Layout:
    seconds = Seconds.from_dict(stored["seconds"])
    seeds, kept = (read_seeds(stored[name]) for name in ("seeds", "kept"))
    return Layout(path, seeds, kept, seconds)


def read_seeds(stored: Iterable[Any]) -> tuple[int, ...]:
    """Seeds from plain JSON: whole numbers, since folders are named after them; at least one, and each once."""
    seeds = list(stored)
    known = set(seeds)
    if not (
        known and len(known) == len(seeds) <= _MOST_SEEDS and all(type(seed) is int and seed >= 0 for seed in known)
    ):
        raise ValueError(f"its seeds are not different whole numbers: {str(stored)[:100]}")
    return tuple(seeds)
