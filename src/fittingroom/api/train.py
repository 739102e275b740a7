"""`train`: a recipe on a dataset, from loading the data to the run; and `resume`, where that was stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.api.run import Run
from fittingroom.data.dataset import Dataset
from fittingroom.errors import InputError, RunError
from fittingroom.progress import Progress, progress_for
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.images import RunImages
from fittingroom.runs.place import RunsFolder
from fittingroom.runs.unfinished import UnfinishedRun
from fittingroom.training.arguments import (
    Named,
    Prescribed,
    check_dataset,
    chosen_recipe,
    chosen_seeds,
    joined_hosts,
    load_for,
    suggestion,
    whole_number,
)
from fittingroom.training.job import Job
from fittingroom.training.recipe_job import recipe_job, to_train_again
from fittingroom.training.run_folder import RunFolder

if TYPE_CHECKING:
    from fittingroom.tracking.run_log import RunLog
    from fittingroom.training.classical_job import ClassicalJob

_NEVER = 10**9  # epochs between the checkpoints of a process that keeps nothing

_log = logging.getLogger("fittingroom")


def train(  # noqa: PLR0913 - what to train on, how, and where to keep it
    dataset: Named = "fashion-mnist",
    recipe: Prescribed = "course",
    *,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    validation: float | None = None,
    data_dir: str | Path | None = None,
    image_size: int | tuple[int, int] | None = None,
    aspect: str | None = None,
    color_mode: str | None = None,
    exclude: str | Path | None = None,
    relabel: str | Path | None = None,
    checkpoint_every: int = 1,
    out: str | Path | None = None,
    log: str | Sequence[str] | None = None,
    trust: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> Run:
    """Trains a recipe on a dataset and keeps the run.

    Args:
        dataset: a name or path that `fittingroom.load` knows, or a loaded dataset.
        recipe: the name of a recipe, the path of a TOML file, a recipe, or a mapping of its settings.
        seed: of the initial weights, the shuffle and dropout.
        seeds: in place of `seed`, several: how many (5 means 0 to 4), or which. As many train at once as there are
            cores (or devices), each exactly as it would alone. All have the same training and validation images.
        validation: how many training images to hold out (a count, or a fraction below 1); None for the default.
        data_dir: where the dataset's files are.
        image_size: the size that the pictures of a folder are resized to; None for one that suits them.
        aspect: how they get it: `pad`, `crop` or `stretch`, as `fittingroom.load` describes them; None for `pad`.
        color_mode: their colours: `auto`, `rgb` or `grayscale`; None for `auto`.
        exclude: a reviewed list whose images are left out of training and validation, as `fittingroom.load` takes it.
        relabel: a reviewed list whose images get another label. The run keeps what both change.
        checkpoint_every: epochs between checkpoints, from which `resume` continues after a crash. (Each waits until
            training has taken twenty times as long as writing it takes. Ctrl-C, SIGTERM and errors write one at once.)
        out: the run's own folder; None for the next free one in the runs folder.
        log: where the training is logged besides: `tensorboard`, `mlflow`, `wandb`, `csv` or `jsonl`, each with a place
            behind a colon (`tensorboard:logs`) or without, or a list of them. A log that fails is reported once, and
            never ends the training. `run.logs` says where they are, and `run.log` writes them afterwards.
        trust: whether a recipe's `estimator` that is not scikit-learn's own, with literal arguments, may be imported
            and run. (The file of a recipe's `model` is run without: whoever writes its path has chosen it.)
        progress: is called as training proceeds; None for a bar on a terminal.
        **settings: settings of the recipe to change: `epochs=3`, `hidden=(512,)`.

    Returns:
        The run, its folder written.

    Raises:
        InputError: something given is wrong, found before training.
        StorageError: the run's folder cannot be written, found before training where it can be known.
        DivergedError: the loss became NaN or infinite (with `seeds`: for every seed).
        Interrupted: Ctrl-C or SIGTERM; the finished epochs are kept, and `resume` continues.
    """
    started = time.perf_counter()
    recipe = chosen_recipe(recipe, settings, beside=train)
    loading: dict[str, Any] = {
        "validation": validation,
        "data_dir": data_dir,
        "image_size": image_size,
        "aspect": aspect,
        "color_mode": color_mode,
        "exclude": exclude,
        "relabel": relabel,
    }
    check_dataset(dataset, **loading)
    seed = whole_number("seed", seed, lowest=0)
    chosen = (seed,) if seeds is None else chosen_seeds(seeds)
    every = whole_number("checkpoint_every", checkpoint_every, lowest=1)
    place = None if out is None else Path(out)
    hosts = joined_hosts()
    if hosts is not None:
        hosts.check(chosen, estimator=recipe.estimator is not None)
        if not hosts.leads:
            place, every, log, progress = hosts.own_folder(), _NEVER, None, Progress()
    RunsFolder().check_writable(place)
    logged = None if log is None else _training_log(log)
    folder = RunFolder(place, every, begun=None if logged is None else logged.begun)
    progress = progress or progress_for()
    with (
        hosts.together() if hosts else nullcontext(),
        logged or nullcontext(),
        logged.beside(progress) if logged else progress as progress,
    ):
        if not isinstance(dataset, Dataset):
            progress.stage("loading")
            dataset = load_for([recipe], dataset, loading)
            if said := suggestion(recipe, dataset):
                _log.warning(said)
        if hosts is not None:
            hosts.check_same(recipe.to_dict(), dataset.fingerprint, dataset.arguments["validation"], chosen)
        run = _trained(recipe_job(recipe, dataset, chosen, folder, progress, started, trust=trust), trust=trust)
    return _with_logs(run, logged)


def resume(
    run: str | Path = "latest",
    *,
    trust: bool = False,
    log: str | Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Run:
    """Continues a training of `train` that was stopped: by Ctrl-C, a kill, a full disk, a power cut.

    On the same machine with the same versions, the run that comes out is to the last bit the one that would have come
    without the stop. What `fit` began continues with `fit(..., resume=RUN)`, which knows model and callbacks.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`: the newest that can be resumed.
        trust: whether the Python file that the model came from may be run again. It is run only if its contents are
            those that the training began with, and its path and hash are logged first.
        log: as for `train`; what was finished before the stop is logged too.
        progress: is called as training proceeds; None for a bar on a terminal.

    Returns:
        The run.

    Raises:
        UnknownNameError: there is no such folder.
        RunError: there is nothing to resume, another process trains it, its checkpoints are all damaged, it has
            been scored on the test set, or its data have changed.
        StorageError, DivergedError, Interrupted: as `train` says.
    """
    started = time.perf_counter()
    hosts = joined_hosts()
    if hosts is not None and not hosts.leads:
        log, progress = None, Progress()
    logged = None if log is None else _training_log(log)
    progress = progress or progress_for()
    with (
        hosts.together() if hosts else nullcontext(),
        logged or nullcontext(),
        logged.beside(progress) if logged else progress as progress,
        UnfinishedRun.find(run if hosts is None or hosts.leads else hosts.copied(None)) as unfinished,
    ):
        if hosts is not None and hosts.leads:
            hosts.copied(unfinished.path)
        record = unfinished.record
        if record.own_model:
            raise RunError(f"{unfinished.path} was begun by fit. {unfinished.how_to_resume()}")
        try:
            recipe = Recipe.from_dict(record.recipe)
        except InputError as error:
            raise RunError(f"{unfinished.path}: training.json is damaged: its recipe says {error}") from error
        recipe, file = to_train_again(recipe, record.model_file, trust=trust)
        progress.stage("loading")
        dataset = record.data.load_again()
        folder = RunFolder(
            None, record.checkpoint_every, stopped=unfinished, begun=None if logged is None else logged.begun
        )
        job = recipe_job(recipe, dataset, record.seeds, folder, progress, started, file, trust=trust)
        again = _trained(job, trust=trust)
    return _with_logs(again, logged)


def _trained(job: Job | ClassicalJob, *, trust: bool) -> Run:
    """Runs a job whose run has a folder."""
    path = job.run()
    assert isinstance(path, Path)  # only `fit` keeps runs in memory
    run = Run(path, dataset=job.dataset, model=getattr(job, "model", None), trust=trust)
    if job.dataset is not None and RunImages.are_too_many(job.dataset):
        run.predictor.fit()  # now, while all validation images are at hand
    return run


def _training_log(log: str | Sequence[str]) -> RunLog:
    from fittingroom.api.logged import training_log

    return training_log(log, Run)


def _with_logs(run: Run, logged: RunLog | None) -> Run:
    if logged is not None:
        run.logs = logged.places
    return run
