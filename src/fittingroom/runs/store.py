"""The files of a run, each written whole or not at all, and read with suspicion.

Those of a seed, in its `seed-<number>/`; what is beside it tells `layout.py`:

    history.csv           the numbers of each epoch
    outcomes.npz          what came of each validation image in each epoch, and of the kept weights; absent without
                          validation
    validation_files.json the picture file of each validation image (`imagefiles.py`); absent where there are none
    weights.safetensors   the model's arrays by name
    model.json            the model's structure, as the engine describes it
    images-<hash>.npz     images that answers and pages need (`images.py`); absent for plain arrays
    run.json              the record (`record.py`): recipe, data, machine, times, results, looks at the test set

`run.json` is written last: a folder without it is not a run. It alone changes later, when the test set is opened
(`ledger.py`). In the run's own folder, `judgement.npz` comes when an answer is first asked for, `correction.npz` with
the first photo (`answers/stored.py`); both can be made again. While training lasts, the folder holds other files
(`unfinished.py`).

What a run's kept weights make of its validation images, and whether two runs have the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.atomic import names_synced_once, read_file, storage_errors, write_atomically, write_bytes
from fittingroom.errors import RunError
from fittingroom.runs.history import History
from fittingroom.runs.images import RunImages, link_images, write_files
from fittingroom.runs.json_files import damage, json_line, json_text, read_json
from fittingroom.runs.layout import Layout, files_of, read_record, seed_folder
from fittingroom.runs.place import OLD_SEEDS_NAME, RECORD_NAME
from fittingroom.runs.record import RunRecord, Seconds, now
from fittingroom.runs.weights import MODEL_NAME, WEIGHTS_NAME, read_weights, serialized, sha256_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from fittingroom.runs.outcomes import Kept, Outcomes

__all__ = [
    "RunContents",
    "now",
    "read_history",
    "read_model",
    "read_outcomes",
    "read_record",
    "read_weights",
    "write_run",
]

_HISTORY, _OUTCOMES = "history.csv", "outcomes.npz"

_LARGEST_HISTORY = 16 * 2**20  # bytes; a hundred thousand epochs of four numbers have eight million


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


def read_history(path: Path) -> History:
    """The numbers of each epoch.

    Raises:
        RunError: the file is missing or damaged.
    """
    path = files_of(path)
    with damage(path, _HISTORY):
        return History.from_csv(read_file(path / _HISTORY, _LARGEST_HISTORY).decode())


def read_outcomes(path: Path) -> Outcomes | None:
    """What came of each validation image; None if the run had no validation part.

    Raises:
        RunError: the file is damaged.
    """
    from fittingroom.data.npz import NpzFile
    from fittingroom.runs.outcomes import ARRAYS, Outcomes

    path = files_of(path)
    file = path / _OUTCOMES
    if not file.exists():
        return None
    with damage(path, _OUTCOMES):
        arrays = NpzFile(file)
        return Outcomes.from_arrays({name: arrays.read(name) for name in arrays.names() if name in ARRAYS})


def read_model(path: Path) -> dict[str, Any]:
    """The model's structure, as the engine described it. It is data: nothing in it has been run or checked.

    Raises:
        RunError: the file is missing or damaged.
    """
    path = files_of(path)
    with damage(path, MODEL_NAME):
        return read_json(path / MODEL_NAME)


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
        for name in (RECORD_NAME, OLD_SEEDS_NAME, _HISTORY, MODEL_NAME, WEIGHTS_NAME, _OUTCOMES):
            (folder / name).unlink(missing_ok=True)
        for one in folders:
            one.mkdir(exist_ok=True)
    with names_synced_once(folder):
        if contents[0].images is not None:  # in the run's own folder too, where runs beside this one find them at once
            contents[0].images.write(folder)
        link_images(folder, folders)
        for one, content in zip(folders, contents, strict=True):
            _write_seed(one, content)
        write_bytes(folder / RECORD_NAME, json_text(layout.to_dict()).encode())


def _write_seed(folder: Path, contents: RunContents) -> None:
    """Writes the files of a seed, its record last."""
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
    record = replace(contents.record, weights_sha256=sha256_of(weights, contents.weights))
    write_bytes(folder / RECORD_NAME, json_text(record.to_dict()).encode())


_SAME = 1e-4  # relative: so close are a loss that an older version recorded and the mean of its outcomes


@dataclass(frozen=True, eq=False)
class Validated:
    """A run and its outcomes on the validation images.

    Args:
        path: the run folder.
        record: what it says.
        outcomes: a row for each validated epoch.
        kept: those of the kept weights. A run of an older version has none: then those of the last validated epoch.
        known: whether `kept` is what the kept weights make of the images. It is not known of a run of an older version
            whose record has other numbers than its last validated epoch.
    """

    path: Path
    record: RunRecord
    outcomes: Outcomes
    kept: Kept
    known: bool


def read_validated(path: Path, purpose: str = "compare runs on them") -> Validated:
    """A run with its outcomes on the validation images.

    Args:
        path: the run folder.
        purpose: what they are for, for the message of an error.

    Raises:
        RunError: it has none, or its folder is missing or damaged.
    """
    record, outcomes = read_record(path), read_outcomes(path)
    if record.validation is None:
        raise RunError(
            f"{path} has no validation images. Train with some (--validation 5000, or validation_data) to {purpose}."
        )
    if outcomes is None or not outcomes.loss.size:
        raise RunError(
            f"{path} stored no outcomes of validation images: an iterable gave them, in no fixed order, or no epoch "
            "was validated. Validate on arrays or a dataset, at least after the last epoch."
        )
    if outcomes.kept is not None:
        return Validated(path, record, outcomes, outcomes.kept, known=True)
    last = outcomes.row_as_kept(-1)
    return Validated(path, record, outcomes, last, known=_agrees(record, last))


def without_answers(path: Path, record: RunRecord) -> str | None:
    """Why the validation numbers of a run are not a result, in a sentence or two: its loss is not finite.

    None where it is, and where there are no validation images. The outcomes are read only where it is not.
    """
    validation = record.validation
    if validation is None or validation.loss is not None:
        return None
    try:
        nan = int(sum(math.isnan(loss) for loss in read_validated(path).kept.loss.tolist()))
    except RunError:
        nan = 0
    if not nan:
        return "The validation loss is infinite: an image's class got the probability 0."
    return (
        f"The model gives NaN for {nan:,} of {validation.count:,} validation images: it diverged, and its accuracy "
        "says nothing, since NaN counts as the first class. Train again with a smaller learning rate and images scaled "
        "to 0 to 1."
    )


def _agrees(record: RunRecord, last: Kept) -> bool:
    """Whether the record of an older version has the numbers of the last validated epoch."""
    validation = record.validation
    if (
        validation is None
        or validation.accuracy is None
        or round(validation.accuracy * validation.count) != int(last.right.sum())
    ):
        return False
    loss = last.mean_loss
    if validation.loss is None:
        return not math.isfinite(loss)
    return math.isclose(loss, validation.loss, rel_tol=_SAME, abs_tol=1e-6)


def other_images(first: Validated, second: Validated) -> str | None:
    """In what the validation images of two runs differ, in words; None where they are the same as far as can be told.

    Plain arrays leave no fingerprint, so that their labels must do.
    """
    one, other = first.record.data, second.record.data
    if one.fingerprint and other.fingerprint:
        if one.fingerprint != other.fingerprint:
            if one.name != other.name:
                return f"their datasets are {one.name} and {other.name}"
            return f"the images or labels of {one.name} were changed between the two"
        if (cuts := _cut(one.load)) != (others := _cut(other.load)):
            return f"their validation images were cut in different ways ({cuts} and {others})"
    counts = [len(run.outcomes.labels) for run in (first, second)]
    if counts[0] != counts[1]:
        return f"they have {counts[0]:,} and {counts[1]:,} validation images"
    if (first.outcomes.labels != second.outcomes.labels).any():
        return "the labels of their validation images differ"
    return None


def _cut(load: Any) -> str:
    """How validation images were chosen, where their labels do not tell.

    Cuts of other sizes differ in their labels; but a folder of pictures may bring validation images of its own, as many
    as would have been cut.
    """
    arguments = dict(load or {})
    seed = f"split seed {arguments.get('split_seed', 0)}"
    if str(arguments.get("name", "")).startswith("folder:"):
        return f"{seed}, validation {arguments.get('validation')}"
    return seed
