"""`train`: a recipe on a dataset, from loading the data to the run folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fittingroom.api.keeper import Keeper
from fittingroom.api.keeping import Attempt, data_record
from fittingroom.api.many import chosen_seeds, train_sessions
from fittingroom.api.run import Run
from fittingroom.api.session import Session, clamped_batch_size, whole_number
from fittingroom.api.trainable import Named, Prescribed, check_dataset, chosen_recipe
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.callbacks import StopCallback
from fittingroom.engine.devices import available_devices, prepare_jax
from fittingroom.engine.programs import Programs
from fittingroom.engine.recipe_programs import RecipeModel
from fittingroom.progress import Progress, progress_for
from fittingroom.recipes.modelfile import ModelFile, parse_model_setting
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.stop import StopRule
from fittingroom.runs.place import check_writable


def train(  # noqa: PLR0913 - what to train on, how, and where to keep it
    dataset: Named = "fashion-mnist",
    recipe: Prescribed = "course",
    *,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    validation: float | None = None,
    data_dir: str | Path | None = None,
    image_size: int | tuple[int, int] | None = None,
    checkpoint_every: int = 1,
    out: str | Path | None = None,
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
        checkpoint_every: epochs between checkpoints, from which `resume` goes on after a crash. (Ctrl-C, SIGTERM and
            errors write one at once; those of large models wait until training has taken twenty times as long as
            writing takes.)
        out: the run's own folder; None for the next free one in the runs folder.
        progress: what is told of the progress; None for a bar on a terminal.
        **settings: settings of the recipe to change: `epochs=3`, `hidden=(512,)`.

    Returns:
        The run, its folder written.

    Raises:
        InputError: something given is wrong, found before training.
        StorageError: the run's folder cannot be written, found before training where it can be known.
        DivergedError: the loss became NaN or infinite (with `seeds`: for every seed).
        Interrupted: Ctrl-C or SIGTERM; the finished epochs are kept, and `resume` goes on.
    """
    started = time.perf_counter()
    recipe = chosen_recipe(recipe, settings, beside=train)
    check_dataset(dataset, validation=validation, data_dir=data_dir, image_size=image_size)
    seed = whole_number("seed", seed, lowest=0)
    chosen = (seed,) if seeds is None else chosen_seeds(seeds)
    every = whole_number("checkpoint_every", checkpoint_every, lowest=1)
    keeper = Keeper(None if out is None else Path(out), every)
    check_writable(keeper.out)
    progress = progress or progress_for()
    with progress:
        if not isinstance(dataset, Dataset):
            progress.stage("loading")
            dataset = load(dataset, validation=validation, data_dir=data_dir, image_size=image_size)
        return train_recipe(recipe, dataset, chosen, keeper, progress, started)


def train_recipe(
    recipe: Recipe,
    dataset: Dataset,
    seeds: Sequence[int],
    keeper: Keeper,
    progress: Progress,
    started: float,
    file: ModelFile | None = None,
) -> Run:
    """Trains a recipe with one or several seeds, from the start or from where a stopped training can go on.

    Args:
        recipe: with a model of its own or of the user's.
        dataset: what to train on.
        seeds: one or more.
        keeper: where the training is kept.
        progress: what is told of the progress.
        started: the `time.perf_counter()` at which the user's call began.
        file: the user's own model file, where it is not simply the one that the recipe names (see `recipes.trust`).

    Raises:
        InputError, StorageError, DivergedError, Interrupted: as `train` says.
    """
    if recipe.model is None:
        return _train_named(recipe, dataset, seeds, keeper, progress, started)
    from fittingroom.api.fitting import fit_recipe

    progress.stage("building the model")
    return fit_recipe(recipe, file or parse_model_setting(recipe.model), dataset, seeds, keeper, progress, started)


def _train_named(
    recipe: Recipe, dataset: Dataset, seeds: Sequence[int], keeper: Keeper, progress: Progress, started: float
) -> Run:
    """Trains a recipe through the programs that are kept for it."""
    prepare_jax()
    StopRule(recipe.stop, validation=dataset.validation is not None)  # refuses what cannot be known
    batch_size, notes = clamped_batch_size(recipe.batch_size, len(dataset.train))
    recipe = recipe.changed(name=recipe.name, batch_size=batch_size)
    scale = dataset.scale if recipe.scale else 1.0
    model = RecipeModel(recipe, dataset.image_shape, len(dataset.classes), scale, len(dataset.train))
    source = model.programs
    progress.stage("building the model")
    blueprint = source.blueprint()
    validation_arrays = None if dataset.validation is None else Arrays.of_part(dataset.validation, scale=recipe.scale)

    def session(seed: int, progress: Progress) -> Session:
        resume, resume_notes = keeper.earlier(seed, blueprint)
        return Session(
            attempt=Attempt(
                recipe=recipe.to_dict(),
                data=data_record(dataset, len(dataset.train), validation_arrays),
                seed=seed,
                blueprint=blueprint,
                train_count=len(dataset.train),
                validation=validation_arrays,
                notes=(*dataset.notes, *notes, *_scale_note(recipe, dataset), *resume_notes),
                dataset=dataset,
            ),
            plan=keeper.plan(recipe.epochs, batch_size, seed),
            train=Arrays.of_part(dataset.train, scale=recipe.scale),
            validation=validation_arrays,
            hooks=[StopCallback(StopRule(recipe.stop, validation=validation_arrays is not None))],
            progress=progress,
            started=started,
            views=model.views,
            resume=resume,
        )

    if len(seeds) > 1:
        sessions = [session(*pair) for pair in zip(seeds, progress.for_seeds(seeds), strict=True)]
        states = [blueprint.initial_state(seed) for seed in seeds]
        path = train_sessions(sessions, states, source, lambda: model.trace()[1], keeper)
        return Run(path, dataset=dataset).after_training()
    [seed] = seeds
    programs = Programs(source.on(available_devices()))
    kept, _ = session(seed, progress).run(programs, blueprint.initial_state(seed), keeper)
    assert isinstance(kept, Path)  # a recipe's run has a folder
    return Run(kept, dataset=dataset).after_training()


def _scale_note(recipe: Recipe, dataset: Dataset) -> tuple[str, ...]:
    if recipe.scale:
        return ()
    return (f"The images are not scaled: their values go from 0 to {dataset.scale:g}, not from 0 to 1.",)
