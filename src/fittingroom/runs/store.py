"""The files of a run, each written whole or not at all, and read with suspicion.

    history.csv           the numbers of each epoch
    outcomes.npz          what came of each validation image in each epoch; absent without validation
    weights.safetensors   the model's arrays by name
    model.json            the model's structure, as the engine describes it
    run.json              the record (`record.py`): recipe, data, machine, times, results, looks at the test set

`run.json` is written last: a folder without it is no run. It alone changes later, when the test set is opened
(`looks.py`). `judgement.npz` (`judgement.py`) comes when an answer is first asked for, `correction.npz`
(`correction.py`) with the first photo; both can be made again. While training lasts, the folder holds other files
(`begun.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.data.streams import open_file, read_file
from fittingroom.files import storage_errors, write_atomically, write_bytes
from fittingroom.runs.damage import damage, read_json
from fittingroom.runs.history import History
from fittingroom.runs.looks import record_opening, record_score
from fittingroom.runs.place import RECORD_NAME
from fittingroom.runs.plain import json_text
from fittingroom.runs.record import RunRecord, now

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
_WEIGHTS, _MODEL = "weights.safetensors", "model.json"

_LARGEST_HISTORY = 16 * 2**20  # bytes; a hundred thousand epochs of four numbers have eight million
_LARGEST_HEADER = 4 * 2**20  # bytes; two thousand weights have some three hundred thousand


@dataclass(frozen=True)
class RunContents:
    """All that a run folder holds.

    Args:
        record: what `run.json` will say.
        history: the numbers of each epoch.
        weights: name -> array.
        model: the model's structure as plain JSON.
        outcomes: what came of each validation image; None without validation.
    """

    record: RunRecord
    history: History
    weights: Mapping[str, npt.NDArray[Any]]
    model: Mapping[str, Any]
    outcomes: Outcomes | None = None


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
    from fittingroom.runs.outcomes import Outcomes

    file = path / _OUTCOMES
    if not file.exists():
        return None
    with damage(path, _OUTCOMES):
        names = array_names(file)
        known = [field.name for field in dataclasses.fields(Outcomes) if field.name in names]
        return Outcomes.of(**{name: read_array(file, name) for name in known})


def read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, npt.NDArray[Any]]:
    """The model's arrays by name.

    Args:
        path: the run folder.
        shapes: the name and the shape of each array that there must be; None for all that there are.

    Raises:
        RunError: the file is missing or damaged, or holds other arrays, in which case none of them is read.
    """
    from safetensors import safe_open

    file = path / _WEIGHTS
    with damage(path, _WEIGHTS):
        with open_file(file) as stream:
            header = int.from_bytes(stream.read(8), "little")
        if header > _LARGEST_HEADER:
            raise ValueError(f"its header declares {header:,} bytes, and those of ours have less than 4 MB")
        with safe_open(file, framework="np") as stored:
            if missing := sorted((shapes or {}).keys() - stored.keys()):
                raise ValueError(f"it lacks the weights {missing[0]!r}")
            for name, shape in (shapes or {}).items():
                found = tuple(stored.get_slice(name).get_shape())
                if found != shape:
                    raise ValueError(f"{name} has the shape {found}, not {shape}")
            return {name: stored.get_tensor(name) for name in shapes or stored.keys()}


def read_model(path: Path) -> dict[str, Any]:
    """The model's structure, as the engine described it. It is data: nothing in it has been run or checked.

    Raises:
        RunError: the file is missing or damaged.
    """
    with damage(path, _MODEL):
        return read_json(path / _MODEL)


def write_run(folder: Path, contents: RunContents) -> None:
    """Writes the files of a run into a folder that is there, in place of those of an earlier part of its training.

    Raises:
        StorageError: one of them cannot be written; the folder is then no run.
    """
    from safetensors.numpy import save

    with storage_errors(folder):
        (folder / RECORD_NAME).unlink(missing_ok=True)
    write_bytes(folder / _HISTORY, contents.history.to_csv().encode())
    write_bytes(folder / _MODEL, json_text(contents.model).encode())
    write_bytes(folder / _WEIGHTS, save({name: _contiguous(array) for name, array in contents.weights.items()}))
    outcomes = contents.outcomes
    if outcomes is not None:
        import numpy as np

        write_atomically(folder / _OUTCOMES, lambda stream: np.savez(stream, allow_pickle=False, **outcomes.arrays()))
    write_bytes(folder / RECORD_NAME, json_text(contents.record.to_dict()).encode())


def _contiguous(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array in C order: the memory is written as it lies, and a transposed one would come back wrong."""
    import numpy as np

    return np.asarray(array, order="C")
