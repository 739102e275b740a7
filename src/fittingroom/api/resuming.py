"""`resume`: a training that was stopped goes on as if nothing had happened."""

from __future__ import annotations

import time
from pathlib import Path

from fittingroom.api.keeper import Keeper, reopened
from fittingroom.api.keeping import how_to_go_on
from fittingroom.api.run import Run
from fittingroom.api.training import train_recipe
from fittingroom.errors import InputError, RunError
from fittingroom.progress import Progress, progress_for
from fittingroom.recipes.modelfile import file_to_run
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.reloading import load_again


def resume(run: str | Path = "latest", *, trust: bool = False, progress: Progress | None = None) -> Run:
    """Goes on with a training of `train` that was stopped: by Ctrl-C, a kill, a full disk, a power cut.

    On the same machine with the same versions, the run that comes out is to the last bit the one that would have come
    without the stop. What was begun by `fit` goes on with `fit(..., resume=RUN)`, which knows model and callbacks.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`: the newest that can go on.
        trust: whether the Python file that the model came from may be run again. It is run only if its contents are
            those that the training began with, and its path and hash are logged first.
        progress: what is told of the progress; None for a bar on a terminal.

    Returns:
        The run.

    Raises:
        UnknownNameError: there is no such folder.
        RunError: there is nothing to go on with, another process trains it, its checkpoints are all damaged, it has
            been scored on the test set, or its data have changed.
        StorageError, DivergedError, Interrupted: as `train` says.
    """
    started = time.perf_counter()
    progress = progress or progress_for()
    with progress, reopened(run) as begun:
        record = begun.record
        if record.own_model:
            raise RunError(f"{begun.path} was begun by fit. {how_to_go_on(begun.path, own_model=True)}")
        try:
            recipe = Recipe.from_dict(record.recipe)
        except InputError as error:
            raise RunError(f"{begun.path}: training.json is damaged: its recipe says {error}") from error
        file = file_to_run(recipe.model, record.model_file, trust=trust)
        progress.stage("loading")
        dataset = load_again(record.data)
        keeper = Keeper(None, record.checkpoint_every, stopped=begun)
        return train_recipe(recipe, dataset, record.seeds, keeper, progress, started, file)
