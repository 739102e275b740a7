"""The run folder: five files, written whole or not at all, and read with suspicion.

    run.json              the record (`record.py`): recipe, data, machine, times, results, looks at the test set
    history.csv           the numbers of each epoch
    outcomes.npz          loss, prediction and probability per epoch and validation image; absent without validation
    weights.safetensors   the model's arrays by name
    model.json            the model's structure, as the engine describes it

All is written into a folder with a temporary name beside the final one, which is then renamed. Only `run.json` changes
later, when the test set is opened (`looks.py`); it is replaced whole.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.errors import RunError
from fittingroom.files import storage_errors, sync_folder
from fittingroom.runs.damage import damage, read_json
from fittingroom.runs.history import History
from fittingroom.runs.looks import record_opening, record_score
from fittingroom.runs.place import RECORD_NAME, check_new, run_name, runs_dir
from fittingroom.runs.plain import json_text
from fittingroom.runs.record import RunRecord, now

if TYPE_CHECKING:
    import numpy.typing as npt

    from fittingroom.runs.outcomes import Outcomes

__all__ = [
    "RunContents",
    "create",
    "create_folder",
    "now",
    "read_history",
    "read_model",
    "read_outcomes",
    "read_record",
    "read_weights",
    "record_opening",
    "record_score",
    "write_run",
    "write_synced",
]

_HISTORY, _OUTCOMES = "history.csv", "outcomes.npz"
_WEIGHTS, _MODEL = "weights.safetensors", "model.json"


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


def create(contents: RunContents, out: Path | None = None) -> Path:
    """Writes a run folder, whole or not at all.

    Args:
        contents: what to write.
        out: the run's own folder, new or empty; None for the next free `<date>-<dataset>-<recipe>-<n>` in `runs_dir()`.

    Returns:
        The folder.

    Raises:
        RunError: `out` is there already and is not an empty folder.
        StorageError: it cannot be written; nothing is left behind.
    """
    return create_folder(lambda folder: write_run(folder, contents), contents.record, out)


def create_folder(write: Callable[[Path], None], record: RunRecord, out: Path | None) -> Path:
    """Makes a folder that `write` fills, whole or not at all; named after `record`, or `out`.

    Raises:
        RunError: `out` is there already and is not an empty folder.
        StorageError: it cannot be written; nothing is left behind.
    """
    parent = runs_dir() if out is None else out.parent
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        temporary = parent / f".new-{uuid.uuid4().hex[:12]}.tmp"
        temporary.mkdir()
        try:
            write(temporary)
            final = _move_into_place(temporary, _names(record, parent, out))
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(parent)
    return final


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
        return History.from_csv((path / _HISTORY).read_text(encoding="utf-8"))


def read_outcomes(path: Path) -> Outcomes | None:
    """What came of each validation image; None if the run had no validation part.

    Raises:
        RunError: the file is damaged.
    """
    import numpy as np

    from fittingroom.runs.outcomes import Outcomes

    if not (path / _OUTCOMES).exists():
        return None
    # NumPy leaves a file open when it finds that it is damaged, so the file is opened here.
    with (
        damage(path, _OUTCOMES),
        (path / _OUTCOMES).open("rb") as stream,
        np.load(stream, allow_pickle=False) as stored,
    ):
        return Outcomes(**{name: stored[name] for name in ("loss", "predicted", "probability", "labels")})


def read_weights(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The model's arrays by name.

    Raises:
        RunError: the file is missing or damaged.
    """
    from safetensors.numpy import load_file

    with damage(path, _WEIGHTS):
        return dict(load_file(path / _WEIGHTS))


def read_model(path: Path) -> dict[str, Any]:
    """The model's structure, as the engine described it. It is data: nothing in it has been run or checked.

    Raises:
        RunError: the file is missing or damaged.
    """
    with damage(path, _MODEL):
        return read_json(path / _MODEL)


def write_run(folder: Path, contents: RunContents) -> None:
    """Writes the files of a run into a folder that is there, and makes sure that they are on the disk."""
    from safetensors.numpy import save

    texts = {
        RECORD_NAME: json_text(contents.record.to_dict()),
        _HISTORY: contents.history.to_csv(),
        _MODEL: json_text(contents.model),
    }
    for name, text in texts.items():
        write_synced(folder / name, text.encode())
    write_synced(folder / _WEIGHTS, save({name: _contiguous(array) for name, array in contents.weights.items()}))
    if contents.outcomes is not None:
        import numpy as np

        with (folder / _OUTCOMES).open("wb") as stream:
            np.savez(stream, allow_pickle=False, **contents.outcomes.arrays())
            stream.flush()
            os.fsync(stream.fileno())
    sync_folder(folder)


def _contiguous(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array in C order: the memory is written as it lies, and a transposed one would come back wrong."""
    import numpy as np

    return np.asarray(array, order="C")


def write_synced(path: Path, content: bytes) -> None:
    """Writes a new file and makes sure that it is on the disk."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _names(record: RunRecord, parent: Path, out: Path | None) -> Iterator[Path]:
    """The folders to try, in order."""
    if out is not None:
        check_new(out)
        return iter([out])
    name = run_name(record.created, record.data.name, record.recipe["name"])
    return (parent / f"{name}-{number}" for number in itertools.count(1))


def _move_into_place(temporary: Path, names: Iterator[Path]) -> Path:
    """Renames a folder to the first of the names that is free, even if another process takes names meanwhile."""
    for name in names:
        if name.exists() and any(name.iterdir()):
            continue
        try:
            temporary.rename(name)  # replaces an empty folder, and fails on any other
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        else:
            return name
    raise RunError("the run's folder was made by another process meanwhile. Choose another name with --out.")
