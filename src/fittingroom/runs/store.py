"""The files of a run, each written whole or not at all; `layout.py` reads them.

Those of a seed, in its `seed-<number>/`; what is beside it tells `layout.py`:

    history.csv           the numbers of each epoch
    outcomes.npz          what came of each validation image in each epoch, and of the kept weights; absent without
                          validation
    validation_files.json the picture file of each validation image ; absent where there are none
    weights.safetensors   the model's arrays by name
    model.json            the model's structure, as the engine describes it
    images-<hash>.npz     images that answers and pages need (`images.py`); absent for plain arrays
    run.json              the record (`record.py`): recipe, data, machine, times, results, looks at the test set

`run.json` is written last: a folder without it is not a run. It alone changes later, when the test set is opened
(`ledger.py`). In the run's own folder, `judgement.npz` comes when an answer is first asked for, `correction.npz` with
the first photo (`answers/stored.py`); both can be made again. While training lasts, the folder holds other files
(`unfinished.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.atomic import names_synced_once, storage_errors, write_atomically, write_bytes
from fittingroom.runs.history import History
from fittingroom.runs.images import RunImages
from fittingroom.runs.json_files import json_line, json_text
from fittingroom.runs.layout import FILES_NAME, HISTORY_NAME, OUTCOMES_NAME, Layout, seed_folder
from fittingroom.runs.place import OLD_SEEDS_NAME, RECORD_NAME
from fittingroom.runs.record import RunRecord, Seconds
from fittingroom.runs.weights import MODEL_NAME, WEIGHTS_NAME, WeightsFile

if TYPE_CHECKING:
    import numpy.typing as npt

    from fittingroom.runs.outcomes import Outcomes


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
