"""Runs of somebody else, such as a student's, taken into the folder of runs without being believed.

Only the files that a run has are taken, as data: no code, no images, no answers. Its dataset is loaded here, and the
validation scores are computed again from its weights; what it had claimed is kept beside them (`runs/run_notes.py`).
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.api.run import Run
from fittingroom.atomic import open_file, storage_errors, write_atomically, write_bytes
from fittingroom.data.archive import unpack
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.data.dataset import Dataset
from fittingroom.errors import DataError, FittingRoomError, RunError
from fittingroom.evaluation.spread import Spread
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.images import RunImages
from fittingroom.runs.json_files import json_text
from fittingroom.runs.layout import FILES_NAME, OUTCOMES_NAME, SeedFiles, read_layout
from fittingroom.runs.outcomes import KeptOutcomes, Outcomes
from fittingroom.runs.place import OLD_SEEDS_NAME, RECORD_NAME, RunsFolder, is_run
from fittingroom.runs.record import PartResult, RunRecord, now
from fittingroom.runs.run_notes import NOTES_NAME, Origin, RunNotes
from fittingroom.runs.weights import MODEL_NAME, WEIGHTS_NAME
from fittingroom.text import percent

_TAKEN = (RECORD_NAME, OLD_SEEDS_NAME, NOTES_NAME, MODEL_NAME, WEIGHTS_NAME, "history.csv", OUTCOMES_NAME)
_LARGEST_TAKEN = 2 * 2**30  # bytes of a file
_MOST_RUNS, _MOST_FOLDERS, _DEEPEST = 300, 20_000, 8
_NEAR = 0.002  # of the images: another processor may decide as many otherwise

Progressed = Callable[[int, int], object]


@dataclass(frozen=True)
class ImportedRun:
    """A run that was taken in, or refused.

    Attributes:
        called: what it was called where it came from.
        run: its folder here; None where it was refused.
        sentence: what happened.
        origin: where it came from, and what it had claimed; None where it was refused.
    """

    called: str
    run: Path | None
    sentence: str
    origin: Origin | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain JSON."""
        return {
            "called": self.called,
            "run": None if self.run is None else str(self.run),
            "sentence": self.sentence,
            "origin": None if self.origin is None else self.origin.to_dict(),
        }


def import_runs(
    source: Path, *, called: str | None = None, data: str | None = None, advanced: Progressed | None = None
) -> list[ImportedRun]:
    """Takes in all runs of a folder or a ZIP archive, and of the archives inside it.

    Args:
        source: the folder, or the ZIP archive.
        called: what to call it, where it is not called so.
        data: where the dataset of these runs is here, as `load` takes it; None for one that everybody has, such as
            `fashion-mnist`.
        advanced: gets the number of runs that are done, and of all, after each.

    Returns:
        What became of each run. One that is refused does not keep the others out.

    Raises:
        DataError: there is no such file or folder, the archive is refused (see `data.archive.unpack`), or there are no
            runs in it.
        StorageError: the folder of runs cannot be written.
    """
    called = source.name if called is None else called
    folder = RunsFolder().path
    if not source.exists():
        raise DataError(f"there is no file or folder {source}.")
    with _scratch(folder) as scratch:
        importing = _Import(scratch, folder, data)
        roots = [(Path(called).stem, source)] if source.is_dir() else importing.unpacked(source, called)
        runs = [one for label, root in roots for one in _named(label, root)]
        if not runs and not importing.results:
            raise DataError(f"{called} has no runs in it: no folder with a {RECORD_NAME}.")
        for count, (label, path) in enumerate(runs, start=1):
            importing.take(label, path, called)
            if advanced is not None:
                advanced(count, len(runs))
        return importing.results


@dataclass
class _Import:
    """What is shared by the runs of one import.

    Args:
        scratch: a folder for what is being made.
        folder: of the runs.
        data: where the dataset of these runs is here.
    """

    scratch: Path
    folder: Path
    data: str | None
    results: list[ImportedRun] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)

    def unpacked(self, archive: Path, called: str) -> list[tuple[str, Path]]:
        """What an archive holds: a name and a folder for itself, and for each archive in it."""
        top = unpack(archive, self.scratch / "0", called=called).folder
        inside = sorted(path for path in top.rglob("*.[zZ][iI][pP]") if path.is_file())
        roots = [(Path(called).stem, top)]
        for number, path in enumerate(inside[:_MOST_RUNS], start=1):
            # Where each has a folder of its own, as learning platforms pack them, that is called as its author.
            label = path.stem if path.parent == top else path.parent.relative_to(top).parts[0]
            try:
                roots.append((label, unpack(path, self.scratch / str(number)).folder))
            except DataError as error:
                self.results.append(ImportedRun(label, None, str(error)))
        return roots

    def take(self, label: str, path: Path, source: str) -> None:
        """Takes in a run."""
        copy = self.scratch / f"run-{uuid.uuid4().hex}"
        try:
            _copy(path, copy)
            weights = tuple(SeedFiles(one).weights.sha256() for one in read_layout(copy).folders.values())
            twins = [(one, origin) for one in RunsFolder().runs() if (origin := Origin.read(one)) is not None]
            same = [(one, origin) for one, origin in twins if origin.weights == weights]
            if again := next(
                (one for one, origin in same if origin.run == path.name and _label_of(one) == label), None
            ):
                self.results.append(ImportedRun(label, again, f"{label} is here already, as {again.name}."))
                return
            origin = self._recomputed(copy, Origin(now(), source, path.name, weights, None, 0.0, 0), same)
            title = {} if RunNotes.read(copy).title else {"title": _shown(label)}
            RunNotes.change(copy, **title)
            place = _placed(copy, self.folder, label)
        except FittingRoomError as error:
            self.results.append(ImportedRun(label, None, f"{label} is not taken in: {error}".replace(f"{copy}", label)))
            return
        said = f"{label} is taken in as {place.name}: {percent(origin.found)} of the validation images right"
        self.results.append(ImportedRun(label, place, " ".join([f"{said}.", *origin.notes]), origin))

    def _recomputed(self, copy: Path, origin: Origin, same: list[tuple[Path, Origin]]) -> Origin:
        """Computes the scores of a copied run again, and writes them into it."""
        layout = read_layout(copy)
        records = layout.records()
        dataset = self._dataset(next(iter(records.values())).data)
        if dataset.validation is None:
            raise RunError("it has no validation images, so there is nothing to compare it by.")
        run = Run(copy, dataset=dataset)
        notes, claims, found = list[str](), list[float | None](), list[float]()
        for seed_run, (seed, record) in zip(run, records.items(), strict=True):
            kept, claimed = (
                _scored(seed_run, dataset),
                None if record.validation is None else record.validation.accuracy,
            )
            claims.append(claimed)
            found.append(kept.accuracy)
            if _forged(seed_run.path, kept, claimed):
                of = f" of seed {seed}" if len(records) > 1 else ""
                notes.append(
                    f"Its files{of} claim {percent(claimed, 2)}; its weights reach {percent(kept.accuracy, 2)}, which "
                    "counts."
                )
            _rewrite(seed_run.path, record, kept, dataset)
        RunImages.of(dataset).write(copy)
        RunImages.link(copy, [path for path in layout.folders.values() if path != copy])
        looks = sum(len(record.looks) for record in records.values())
        notes += [f"Its weights are those of {other.name}: the same run, handed in twice." for other, _ in same[:1]]
        claimed = None if None in claims else Spread.of(one for one in claims if one is not None).mean
        whole = replace(origin, claimed=claimed, found=Spread.of(found).mean, looks=looks, notes=tuple(notes))
        whole.write(copy)
        return whole

    def _dataset(self, data: DataRecord) -> Dataset:
        """The dataset of a run as it is loaded here."""
        if data.load is not None and self.data is None and data.name not in CATALOGUE:
            raise RunError(f"it was trained on {data.name}, which is not opened unasked. Name it: --data DATASET.")
        key = json_text([data.load, data.fingerprint])
        if key not in self.datasets:
            # By its name alone: what the record says of paths is about its author's machine, or about ours.
            named = {"name": data.name, "data_dir": None}
            here = data if data.load is None else replace(data, load={**data.load, **named})
            self.datasets[key] = here.load_again(self.data)
        return self.datasets[key]


def _scored(run: Run, dataset: Dataset) -> KeptOutcomes:
    """What a run's weights make of the validation images, computed here."""
    part = dataset.validation
    assert part is not None
    if not run._model_of_seed.is_kept:  # nothing of somebody else's is trained unasked
        raise RunError(
            "its classifier could not be kept with it, so it cannot be scored here. Hand in one that is kept: "
            "scikit-learn's own, and below 512 MB."
        )
    forward = run.forward()
    logs = forward.logs(forward.held_out(part.images))
    stored = run.outcomes.kept if _has_outcomes(run.path) and run.outcomes is not None else None
    epoch, views = (None, 1) if stored is None else (stored.epoch, stored.views)
    return KeptOutcomes.of_log_probabilities(logs, part.labels, epoch, views)


def _has_outcomes(path: Path) -> bool:
    """Whether the outcomes that came with a run can be read."""
    try:
        return SeedFiles(path).outcomes() is not None
    except RunError:
        return False


def _forged(path: Path, kept: KeptOutcomes, claimed: float | None) -> bool:
    """Whether a run says something else of its validation images than its weights do."""
    slack = max(_NEAR, 2 / len(kept.labels))
    if claimed is not None and abs(claimed - kept.accuracy) > slack:
        return True
    outcomes = SeedFiles(path).outcomes() if _has_outcomes(path) else None
    if outcomes is None or outcomes.kept is None:
        return False
    theirs = outcomes.kept
    if len(theirs.labels) != len(kept.labels) or (theirs.labels != kept.labels).any():
        return True
    return float((theirs.predicted != kept.predicted).mean()) > slack


def _rewrite(path: Path, record: RunRecord, kept: KeptOutcomes, dataset: Dataset) -> None:
    """Replaces what a seed claimed: its scores, its outcomes, its looks, and where its data are."""
    stored, outcomes = SeedFiles(path).outcomes() if _has_outcomes(path) else None, None
    if stored is not None and np.array_equal(stored.labels, kept.labels):
        with suppress(FittingRoomError):  # of another number of classes
            outcomes = replace(stored, kept=kept)
    if outcomes is None:
        rows = {name: getattr(kept, name)[None] for name in ("loss", "predicted", "probability", "log_probabilities")}
        outcomes = Outcomes.of(**rows, labels=kept.labels, epoch=[max(record.epochs - 1, 0)], kept=kept)
    folder, arrays = SeedFiles(path).folder, outcomes.arrays()
    write_atomically(folder / OUTCOMES_NAME, lambda stream: np.savez(stream, allow_pickle=False, **arrays))
    if dataset.validation is not None and dataset.validation.files:
        write_bytes(folder / FILES_NAME, json.dumps({"files": list(dataset.validation.files)}).encode())
    result = PartResult.held_out(kept.mean_loss, int(kept.right.sum()), len(kept.labels))
    if not np.isfinite(kept.mean_loss):
        result = replace(result, loss=None)
    own = replace(
        record,
        data=replace(record.data, name=dataset.name, load=dict(dataset.arguments)),
        validation=result,
        looks=(),
        weights_sha256=record.weights_sha256 or SeedFiles(path).weights.sha256(),
    )
    write_bytes(folder / RECORD_NAME, json_text(own.to_dict()).encode())


def _copy(run: Path, copy: Path) -> None:
    """Copies the files that a run has, and nothing else; links are not followed."""
    folders = [run, *sorted(path for path in run.glob("seed-*") if re.fullmatch(r"seed-\d+", path.name))]
    for folder in folders:
        if folder.is_symlink() or not folder.is_dir():
            continue
        target = copy if folder == run else copy / folder.name
        for name in _TAKEN:
            path = folder / name
            if path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size > _LARGEST_TAKEN:
                raise RunError(f"its file {name} is larger than {_LARGEST_TAKEN // 2**30} GB.")
            with storage_errors(copy), open_file(path) as stream:
                target.mkdir(parents=True, exist_ok=True)
                with (target / name).open("xb") as file:
                    shutil.copyfileobj(stream, file)


def _named(label: str, root: Path) -> list[tuple[str, Path]]:
    """The runs below a folder, each with what to call it: as its folder below the root, which its author may have."""
    found = list(itertools.islice(_runs_below(root), _MOST_RUNS + 1))
    if len(found) > _MOST_RUNS:
        raise DataError(f"{label} has more than {_MOST_RUNS} runs in it. Import fewer at a time.")
    parts = [path.relative_to(root).parts for path in found]
    level = 1 if len({one[0] for one in parts if one}) == 1 and all(len(one) > 1 for one in parts) else 0
    labels = [label] if len(found) == 1 else [one[level] for one in parts]
    return [
        (one if labels.count(one) == 1 else f"{one}-{path.name}", path) for one, path in zip(labels, found, strict=True)
    ]


def _runs_below(root: Path) -> Iterator[Path]:
    left, seen = [(root, 0)], 0
    while left:
        folder, depth = left.pop(0)
        seen += 1
        if is_run(folder):
            yield folder
        elif depth < _DEEPEST and seen < _MOST_FOLDERS:
            with suppress(OSError):
                left += sorted(
                    (path, depth + 1)
                    for path in folder.iterdir()
                    if stat.S_ISDIR(path.lstat().st_mode) and not path.name.startswith(".")
                )


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A hidden folder among the runs, so that what is finished is moved in one step; it is gone at the end."""
    scratch = folder / f".importing-{uuid.uuid4().hex}"
    with storage_errors(folder):
        scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _placed(copy: Path, folder: Path, label: str) -> Path:
    """Moves a run into the folder of runs, under a name that is free."""
    name = re.sub(r"-{2,}", "-", re.sub(r"[^\w.+-]+", "-", label)).encode()[:60].decode(errors="ignore").strip("-.")
    for number in itertools.count(1):
        place = folder / ((name or "run") if number == 1 else f"{name or 'run'}-{number}")
        try:
            place.mkdir()  # taken at once: two imports may meet
        except FileExistsError:
            continue
        with storage_errors(place):
            os.replace(copy, place)
        return place
    raise AssertionError


def _label_of(run: Path) -> str:
    return RunNotes.read(run).title


def _shown(label: str) -> str:
    """A name of somebody else's as a title."""
    return "".join(one if one.isprintable() else " " for one in label).strip()[:80]
