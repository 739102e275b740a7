"""`experiment`: recipes and seeds on a dataset, trained, kept and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fittingroom.api.many import chosen_seeds
from fittingroom.api.trainable import Named, Prescribed, check_dataset, chosen_recipe
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load
from fittingroom.errors import DataError, InputError, Interrupted
from fittingroom.experiments.executor import Executor, find_executor, train_missing
from fittingroom.experiments.experiment_file import ExperimentFile
from fittingroom.experiments.experiment_progress import ExperimentProgress, progress_for_experiment
from fittingroom.experiments.experiment_store import CellState, ExperimentFolder, locked
from fittingroom.experiments.plan import Plan, data_digest, variants
from fittingroom.experiments.results import Experiment
from fittingroom.experiments.summary import write_tables
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.place import runs_dir

DEFAULT_DATASET, DEFAULT_RECIPE, DEFAULT_SEEDS = "fashion-mnist", "course", 5

Recipes = Prescribed | Sequence[Prescribed]


def experiment(  # noqa: PLR0913 - what to train on, what to try, and where to keep it
    dataset: Named = DEFAULT_DATASET,
    recipe: Recipes | None = None,
    *,
    vary: Mapping[str, Sequence[Any]] | None = None,
    seeds: int | Sequence[int] | None = None,
    validation: float | None = None,
    data_dir: str | Path | None = None,
    image_size: int | tuple[int, int] | None = None,
    out: str | Path | None = None,
    final: bool = False,
    executor: str = "local",
    address: str | None = None,
    progress: ExperimentProgress | None = None,
) -> Experiment:
    """Trains recipes with several seeds each, and compares them on validation.

    Each recipe with each seed is a cell. Called again, only what is missing is trained; killed, it goes on where it
    was, and ends with the very table of one that was never stopped. A cell that fails is recorded with its reason, and
    the others go on.

    Args:
        dataset: a name that `fittingroom.load` knows, a loaded dataset, or a TOML file with the experiment (the module
            `experiments.experiment_file` shows its form), which then says recipe, vary, seeds and validation.
        recipe: the recipe to begin with, or several: names, TOML files or recipes; `course` if not given.
        vary: key of a recipe -> the values to try, in every combination: `{"hidden": [128, [512, 256]]}`.
        seeds: how many seeds (the default is 5: 0 to 4), or which.
        validation: how many training images to hold out (a count, or a fraction below 1); None for the default.
        data_dir: where the dataset's files are.
        image_size: the size that the pictures of a folder are resized to; None for one that suits them.
        out: the experiment's folder; None for one in the runs folder that belongs to these recipes and data.
        final: whether to open the test set at the end, for the single recipe that validation chose.
        executor: what trains: `local`, this process on all its cores; or `ray`, the cores of a Ray cluster.
        address: of the Ray cluster; None for the one in RAY_ADDRESS, else this machine's cores.
        progress: is told of the progress; None for a live table on a terminal.

    Returns:
        The experiment; its tables and its page are written into its folder.

    Raises:
        InputError: something given is wrong, found before any training.
        RunError: the folder holds something else, or another process works in it.
        StorageError: the folder cannot be written.
        Interrupted: Ctrl-C or SIGTERM; the same call goes on.
    """
    trainer = find_executor(executor, address)
    if str(dataset).endswith(".toml") and not isinstance(dataset, Dataset):
        file = _only_file(Path(dataset), recipe, vary, seeds, validation)
        recipe, vary, seeds, validation = file.recipes, file.vary, file.seeds, file.validation
        dataset = file.dataset or DEFAULT_DATASET
    found = variants(_recipes(recipe), vary or {})
    chosen = chosen_seeds(DEFAULT_SEEDS if seeds is None else seeds)
    check_dataset(dataset, validation=validation, data_dir=data_dir, image_size=image_size)
    if not isinstance(dataset, Dataset):
        dataset = load(dataset, validation=validation, data_dir=data_dir, image_size=image_size)
    if dataset.validation is None:
        raise DataError(
            "an experiment compares recipes on validation images, and there are none. Hold some out: validation=5000."
        )
    plan = Plan(dataset.name, data_digest(dataset), dataset.arguments, found, chosen)
    path = runs_dir() / f"experiment-{plan.digest}" if out is None else Path(out)
    progress = progress or progress_for_experiment()
    with locked(path, plan) as kept:
        _train(kept, plan, dataset, progress, trainer)
        result = Experiment(path, plan, _states(kept, plan), dataset)
        try:
            if final:
                result.look()
        finally:
            result.report(result.page)
    return result


def _only_file(
    path: Path,
    recipe: Recipes | None,
    vary: Mapping[str, Sequence[Any]] | None,
    seeds: int | Sequence[int] | None,
    validation: float | None,
) -> ExperimentFile:
    """The experiment in the file; it says all of it, so that the file alone tells what was done."""
    given = {"recipe": recipe, "vary": vary, "seeds": seeds, "validation": validation}
    both = [name for name, value in given.items() if value is not None and value != {}]
    if both:
        raise InputError(
            f"{path} says what the experiment is; {', '.join(both)} given beside it. Write it in the file."
        )
    return ExperimentFile.read(path)


def _recipes(given: Recipes | None) -> list[Recipe]:
    if given is None:
        given = DEFAULT_RECIPE
    listed = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    return [chosen_recipe(one, {}, beside=experiment) for one in listed]


def _train(
    folder: ExperimentFolder, plan: Plan, dataset: Dataset, progress: ExperimentProgress, executor: Executor
) -> None:
    """Trains what is missing, and writes the tables, also when it is interrupted; the page then too."""
    try:
        train_missing(folder, plan, dataset, progress, executor)
    except KeyboardInterrupt as error:
        states = _states(folder, plan)
        done = sum(state.status == "done" for state in states)
        if done:
            stopped = Experiment(folder.path, plan, states, dataset)
            stopped.report(stopped.page)
        raise Interrupted(
            f"the experiment was stopped with {done} of {len(plan.cells)} cells done, kept in {folder.path}. The same "
            "call goes on.",
            folder.path,
        ) from error
    finally:
        progress.close()
        write_tables(folder, plan, _states(folder, plan))


def _states(folder: ExperimentFolder, plan: Plan) -> list[CellState]:
    return [state for variant in plan.variants for state in folder.states(variant)]
