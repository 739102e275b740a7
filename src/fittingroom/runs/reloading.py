"""The dataset of a run, loaded again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fittingroom.atomic import expanded
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.data.dataset import Dataset
from fittingroom.data.find import form_of
from fittingroom.data.load import load
from fittingroom.errors import FittingRoomError, RunError
from fittingroom.runs.record import DataRecord


def load_again(data: DataRecord, place: str | Dataset | None = None) -> Dataset:
    """The dataset that a run records, made sure to be the same.

    Args:
        data: what the run records.
        place: where it is now, as `load` takes it, or the dataset itself; None for where it was.

    Raises:
        RunError: the run was trained on plain arrays, or the data have changed since.
        DataError: the dataset cannot be loaded.
    """
    if data.load is None:
        raise RunError(
            "This run was trained on plain arrays, so there is no sealed test set to open. Train on a dataset "
            "(fittingroom.load) to have one, or score arrays of your own with run.predict(images)."
        )
    try:
        dataset = place if isinstance(place, Dataset) else _loaded(data, place)
    except (TypeError, AttributeError) as error:
        raise RunError(f"run.json is damaged: its data cannot be loaded with {data.load!r}.") from error
    if not _is_same(dataset, data):
        raise RunError(
            f"The dataset {dataset.name} is not the one that this run was trained on"
            + (": its images or labels have changed since." if place is None else f", {data.name}.")
            + " Restore the old files (if they moved, --data DATASET names their place), or train again."
        )
    return dataset


def load_unasked(path: Path, data: DataRecord) -> Dataset:
    """The dataset of a run that keeps no images, for what nobody asked to open a dataset for: answers and pages.

    Runs of older versions keep none. A record may name any folder of this machine, which must not be decoded because a
    file from elsewhere says so: only what everybody has is loaded.

    Args:
        path: the run folder.
        data: what the run records.

    Raises:
        RunError: it is not to be loaded, or is not the same any more.
        DataError: it cannot be loaded.
    """
    if data.load is not None and (data.name not in CATALOGUE or data.load.get("data_dir") is not None):
        raise RunError(
            f"{path} was trained by an older version, which stored no images, and {data.name} is not opened unasked. "
            "Name the dataset: --data DATASET, or run.use_data(DATASET)."
        )
    return load_again(data)


def _loaded(data: DataRecord, place: str | None) -> Dataset:
    """The dataset, a folder by today's rules or, where that gives another one, by those of the first versions.

    These named no size where none was asked for, so a run that has none was left behind by them.
    """
    arguments = _arguments(data.load or {}, place)
    if not data.name.startswith("folder:"):
        return load(**arguments)
    if arguments.get("image_size") is not None:
        dataset = load(**arguments)
        if _is_same(dataset, data):
            return dataset
    before = load(**arguments, first_rules=True)
    return before if arguments.get("image_size") is None or _is_same(before, data) else dataset


def _is_folder(place: str) -> bool:
    """Whether a place is a folder of pictures; what cannot be one is refused where it is loaded."""
    form, colon, _ = place.partition(":")
    if colon and form in {"idx", "npz", "csv", "folder"}:
        return form == "folder"
    try:
        return form_of(expanded(place)) == "folder"
    except FittingRoomError:
        return True


def _is_same(dataset: Dataset, data: DataRecord) -> bool:
    return (dataset.fingerprint, dataset.test.fingerprint) == (data.fingerprint, data.test_fingerprint)


def _arguments(stored: Mapping[str, Any], place: str | None) -> dict[str, Any]:
    arguments = dict(stored)
    if place is not None:
        arguments |= {"name": place, "data_dir": None}
        if place in CATALOGUE or not _is_folder(place):
            arguments["image_size"] = None  # its images have a size
    if arguments.get("data_dir") is not None:
        arguments["data_dir"] = Path(arguments["data_dir"])
    if arguments.get("image_size") is not None:
        arguments["image_size"] = tuple(arguments["image_size"])
    return arguments
