"""The folder of a run: which seeds it has, which files each has, how these are read, and written whole or not at all.

    run.json      the seeds, which of them are kept, and the times of all together
    images-*.npz  the images that answers and pages need (`images.py`)
    seed-0/       everything of the seed 0:
        history.csv            the numbers of each epoch
        outcomes.npz           what came of each validation image in each epoch, and of the kept weights; absent without
                               validation
        validation_files.json  the picture file of each validation image; absent where there are none
        weights.safetensors    the model's arrays by name
        model.json             the model's structure, as the engine describes it
        images-<hash>.npz      images that answers and pages need (`images.py`); absent for plain arrays
        run.json               the record (`record.py`): recipe, data, machine, times, results, looks at the test set
    seed-1/       ...

A `run.json` is written last: a folder without it is not a run. That of a seed alone changes later, when the test set is
opened (`ledger.py`). In the run's own folder, `judgement.npz` comes when an answer is first asked for, `correction.npz`
with the first photo (`answers/stored.py`), `drift.npz` and the folder `drift` when it is first served
(`audits/drift_reference.py`, `audits/drift_monitor.py`); all can be made again, but for what servers counted. While
training lasts, the folder holds other files (`unfinished.py`). A run of one seed is also known by its own folder, whose
readers look into its `seed-<number>/`.

Version 0.1 had two other layouts, which are read as well: the files of a single seed lay in the run's own folder, its
record among them as `run.json`; and several seeds lay in `seed-<number>/` beside a `replicas.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.atomic import names_synced_once, read_file, storage_errors, write_atomically, write_bytes
from fittingroom.errors import RunError
from fittingroom.runs.history import History
from fittingroom.runs.images import RunImages
from fittingroom.runs.json_files import check_format, damage, json_line, json_text, read_json
from fittingroom.runs.place import OLD_SEEDS_NAME, RECORD_NAME, has_old_seeds
from fittingroom.runs.record import RunRecord, Seconds
from fittingroom.runs.weights import MODEL_NAME, WEIGHTS_NAME, WeightsFile

if TYPE_CHECKING:
    import numpy.typing as npt

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
    """The files of a seed, as `write_run` writes them; whatever is wrong with one is a RunError that names it.

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


@dataclass(frozen=True)
class RunContents:
    """All that is kept of a seed.

    Args:
        record: what its `run.json` will say.
        history: the numbers of each epoch.
        weights: name -> array, in the order of the model's description.
        model: the model's structure as plain JSON.
        outcomes: what came of each validation image; None without validation.
        files: the picture file of each validation image; none where they came from no files.
        images: those of its dataset that it needs; None for plain arrays.
    """

    record: RunRecord
    history: History
    weights: Mapping[str, npt.NDArray[Any]]
    model: Mapping[str, Any]
    outcomes: Outcomes | None = None
    files: tuple[str, ...] = ()
    images: RunImages | None = None


def write_run(
    folder: Path,
    contents: Sequence[RunContents],
    *,
    seeds: Sequence[int] | None = None,
    seconds: Seconds | None = None,
) -> None:
    """Writes a run into a folder that is there, in place of what was kept of an earlier part of its training.

    Args:
        folder: the run's.
        contents: of each kept seed, at least one.
        seeds: all seeds that were asked for; by default the kept ones.
        seconds: times of all seeds together; by default those of the first.

    Raises:
        StorageError: a file cannot be written; the folder is then not a run.
    """
    kept = tuple(one.record.seed for one in contents)
    layout = Layout(folder, tuple(seeds or kept), kept, seconds or contents[0].record.seconds)
    folders = [seed_folder(folder, seed) for seed in kept]
    with storage_errors(folder):
        # Those of a single seed lay here when version 0.1 began the training, and interrupted it.
        for name in (RECORD_NAME, OLD_SEEDS_NAME, HISTORY_NAME, MODEL_NAME, WEIGHTS_NAME, OUTCOMES_NAME):
            (folder / name).unlink(missing_ok=True)
        for one in folders:
            one.mkdir(exist_ok=True)
    with names_synced_once(folder):
        if contents[0].images is not None:  # in the run's own folder too, where runs beside this one find them at once
            contents[0].images.write(folder)
        RunImages.link(folder, folders)
        for one, content in zip(folders, contents, strict=True):
            _write_seed(one, content)
        write_bytes(folder / RECORD_NAME, json_text(layout.to_dict()).encode())


def _write_seed(folder: Path, contents: RunContents) -> None:
    """Writes the files of a seed, its record last."""
    with storage_errors(folder):
        (folder / RECORD_NAME).unlink(missing_ok=True)
    with names_synced_once(folder):
        write_bytes(folder / HISTORY_NAME, contents.history.to_csv().encode())
        write_bytes(folder / MODEL_NAME, json_line(contents.model))
        weights = WeightsFile.content_of(contents.weights)
        write_bytes(folder / WEIGHTS_NAME, weights)
        outcomes = contents.outcomes
        if outcomes is not None:
            import numpy as np

            write_atomically(
                folder / OUTCOMES_NAME, lambda stream: np.savez(stream, allow_pickle=False, **outcomes.arrays())
            )
        if contents.files:
            write_bytes(folder / FILES_NAME, json.dumps({"files": list(contents.files)}).encode())
    record = replace(contents.record, weights_sha256=WeightsFile.sha256_of(weights, contents.weights))
    write_bytes(folder / RECORD_NAME, json_text(record.to_dict()).encode())
