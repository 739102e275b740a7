"""`audit`: can these data and this model be trusted? From a name to the audit of a run or a dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from fittingroom.api.audited import Audit, of_dataset, usual_recipe
from fittingroom.api.open_runs import open_run
from fittingroom.api.run import Run
from fittingroom.audits.audit_progress import ShownProgress
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load
from fittingroom.errors import UnknownNameError
from fittingroom.runs.place import LATEST, RunsFolder, find_run, is_run, is_unfinished
from fittingroom.training.arguments import load_for

Audited: TypeAlias = str | os.PathLike[str] | Dataset | Run


def audit(
    data: Audited = LATEST,
    *,
    only: str | Sequence[str] | None = None,
    again: bool = False,
    progress: ShownProgress | None = None,
) -> Audit:
    """Checks whether data, and a model trained on them, can be trusted; each check with evidence and a verdict.

    What is found is kept, in the run's folder or the cache, so that a second call, or one after Ctrl-C, makes only
    what is missing. The test set stays sealed: no label of it is read, and where its images are compared with the
    training images, the ledger records an inspection, which is no look. Nothing of the data is changed or deleted.

    Args:
        data: a run, its folder or its name; or a dataset, as `load` gives it, or its name or path as `load` takes it.
        only: names of checks, as a list or a text with commas; None for all that there are.
        again: whether to make checks again whose results are kept.
        progress: told what is done; None for a bar on a terminal, and lines in a notebook.

    Raises:
        UnknownNameError: there is no such run or dataset, or no such check.
        DataError: the dataset cannot be loaded.
        RunError: the run is damaged, or its dataset is not known or not the same any more.
        AuditInterrupted: Ctrl-C; its `audit` has the checks that were finished.
    """
    if isinstance(data, Dataset):
        return of_dataset(data, only=only, again=again, progress=progress)
    if not isinstance(data, str | os.PathLike):
        return data.audit(only=only, again=again, progress=progress)
    if (run := run_named(data)) is not None:
        return open_run(run).audit(only=only, again=again, progress=progress)
    return of_dataset(dataset_named(data), only=only, again=again, progress=progress)


def run_named(data: str | os.PathLike[str]) -> Path | None:
    """The run's folder where a text names a run; None where it must be a dataset.

    Raises:
        RunError: it names a training that is not finished, or `latest`, and there is no run.
    """
    name = os.fspath(data)
    if name in CATALOGUE or name.partition(":")[0] in {"folder", "npz", "csv", "idx"}:
        return None
    places = (Path(name), RunsFolder().path / name)
    if name == LATEST or any(is_run(place) or is_unfinished(place) for place in places):
        return find_run(name)
    return None


def dataset_named(data: str | os.PathLike[str], **loading: Any) -> Dataset:
    """A dataset, its pictures in the size that suits the recipe by which it is audited.

    Args:
        data: a name or a path, as `fittingroom.load` takes it.
        **loading: further arguments of `load`, None for what the user did not choose.

    Raises:
        UnknownNameError: there is no such dataset, nor a run.
        DataError: it cannot be loaded.
    """
    try:
        dataset = load(data, **loading)
    except UnknownNameError as error:
        runs = (path.name for path in RunsFolder().runs()[:10])
        raise UnknownNameError("run or dataset", os.fspath(data), [*runs, LATEST, *error.known]) from error
    recipe = usual_recipe(dataset)
    if recipe.backbone is not None and loading.get("image_size") is None:
        chosen = dict.fromkeys(("image_size", "aspect", "color_mode")) | loading
        dataset = load_for([recipe], dataset.name, chosen)
    return dataset
