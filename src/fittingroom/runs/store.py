"""The files of a run, each written whole or not at all, and read with suspicion.

    history.csv           the numbers of each epoch
    outcomes.npz          what came of each validation image in each epoch, and of the kept weights; absent without
                          validation
    validation_files.json the picture file of each validation image (`imagefiles.py`); absent where there are none
    weights.safetensors   the model's arrays by name
    model.json            the model's structure, as the engine describes it
    images-<hash>.npz     images that answers and pages need (`images.py`); absent for plain arrays
    run.json              the record (`record.py`): recipe, data, machine, times, results, looks at the test set

`run.json` is written last: a folder without it is no run. It alone changes later, when the test set is opened
(`looks.py`). `judgement.npz` (`judgement.py`) comes when an answer is first asked for, `correction.npz`
(`correction.py`) with the first photo; both can be made again. While training lasts, the folder holds other files
(`begun.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.data.streams import read_file
from fittingroom.files import names_synced_once, storage_errors, write_atomically, write_bytes
from fittingroom.runs.damage import damage, read_json
from fittingroom.runs.history import History
from fittingroom.runs.imagefiles import write_files
from fittingroom.runs.images import RunImages, write_images
from fittingroom.runs.looks import record_opening, record_score
from fittingroom.runs.place import RECORD_NAME
from fittingroom.runs.plain import json_line, json_text
from fittingroom.runs.record import RunRecord, now
from fittingroom.runs.weights import MODEL_NAME, WEIGHTS_NAME, read_weights, serialized, sha256_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from fittingroom.runs.outcomes import Outcomes

__all__ = [
    "RunContents",
    "now",
    "read_history",
    "read_model",
    "read_outcomes",
    "read_record",
    "read_weights",
    "record_opening",
    "record_score",
    "write_run",
]

_HISTORY, _OUTCOMES = "history.csv", "outcomes.npz"

_LARGEST_HISTORY = 16 * 2**20  # bytes; a hundred thousand epochs of four numbers have eight million


@dataclass(frozen=True)
class RunContents:
    """All that a run folder holds.

    Args:
        record: what `run.json` will say.
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


def read_record(path: Path) -> RunRecord:
    """What `run.json` says.

    Raises:
        RunError: it is missing, damaged or written in a newer format.
    """
    with damage(path, RECORD_NAME):
        return RunRecord.from_dict(read_json(path / RECORD_NAME))


def read_history(path: Path) -> History:
    """The numbers of each epoch.

    Raises:
        RunError: the file is missing or damaged.
    """
    with damage(path, _HISTORY):
        return History.from_csv(read_file(path / _HISTORY, _LARGEST_HISTORY).decode())


def read_outcomes(path: Path) -> Outcomes | None:
    """What came of each validation image; None if the run had no validation part.

    Raises:
        RunError: the file is damaged.
    """
    from fittingroom.data.npz import array_names, read_array
    from fittingroom.runs.outcomes import ARRAYS, Outcomes

    file = path / _OUTCOMES
    if not file.exists():
        return None
    with damage(path, _OUTCOMES):
        return Outcomes.from_arrays({name: read_array(file, name) for name in array_names(file) if name in ARRAYS})


def read_model(path: Path) -> dict[str, Any]:
    """The model's structure, as the engine described it. It is data: nothing in it has been run or checked.

    Raises:
        RunError: the file is missing or damaged.
    """
    with damage(path, MODEL_NAME):
        return read_json(path / MODEL_NAME)


def write_run(folder: Path, contents: RunContents) -> None:
    """Writes the files of a run into a folder that is there, in place of those of an earlier part of its training.

    Raises:
        StorageError: one of them cannot be written; the folder is then no run.
    """
    with storage_errors(folder):
        (folder / RECORD_NAME).unlink(missing_ok=True)
    with names_synced_once(folder):
        write_bytes(folder / _HISTORY, contents.history.to_csv().encode())
        write_bytes(folder / MODEL_NAME, json_line(contents.model))
        weights = serialized(contents.weights)
        write_bytes(folder / WEIGHTS_NAME, weights)
        outcomes = contents.outcomes
        if outcomes is not None:
            import numpy as np

            write_atomically(
                folder / _OUTCOMES, lambda stream: np.savez(stream, allow_pickle=False, **outcomes.arrays())
            )
        if contents.files:
            write_files(folder, contents.files)
        if contents.images is not None:
            write_images(folder, contents.images)
    record = replace(contents.record, weights_sha256=sha256_of(weights, contents.weights))
    write_bytes(folder / RECORD_NAME, json_text(record.to_dict()).encode())
