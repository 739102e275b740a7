"""`experiment` trains recipes with several seeds and compares them on validation; `Experiment` has the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from fittingroom.api import openings
from fittingroom.api.open_runs import contender_of
from fittingroom.api.run import Run
from fittingroom.card_html import card, card_table
from fittingroom.data.dataset import Dataset
from fittingroom.errors import DataError, InputError, Interrupted, RunError, UnknownNameError
from fittingroom.evaluation.comparison import Comparison
from fittingroom.evaluation.luck import TestResult
from fittingroom.experiments.executor import Executor, train_missing
from fittingroom.experiments.experiment_file import ExperimentFile
from fittingroom.experiments.experiment_progress import ExperimentProgress, progress_for_experiment
from fittingroom.experiments.experiment_store import CellState, ExperimentFolder
from fittingroom.experiments.plan import ExperimentPlan, variants
from fittingroom.experiments.summary import (
    CELLS_NAME,
    CELLS_PARQUET,
    EPOCHS_NAME,
    EPOCHS_PARQUET,
    Summary,
    chosen,
    pareto_front,
    write_tables,
)
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.place import RunsFolder
from fittingroom.runs.validation_outcomes import ValidationOutcomes
from fittingroom.text import number, percent, percent_range, word_list
from fittingroom.training.arguments import Named, Prescribed, check_dataset, chosen_recipe, chosen_seeds, load_for

if TYPE_CHECKING:
    from fittingroom.reports.pages.document import Report

DEFAULT_DATASET, DEFAULT_RECIPE, DEFAULT_SEEDS = "fashion-mnist", "course", 5

_MOST_SHOWN = 20  # recipes that a card lists
_PAGE_NAME = "experiment.html"
_FINAL_REASON = "the final score of an experiment, for the recipe that validation chose"
_EXECUTORS = ("local", "ray")

Recipes = Prescribed | Sequence[Prescribed]


class Experiment:
    """The result of an experiment: each recipe on validation, their differences, and what they cost.

    Attributes:
        path: the folder of the experiment.
        plan: its recipes, seeds and data.
        cells: the state of each cell, recipe by recipe.
        recipes: a summary of each recipe, in the same order.
        final: the score of the chosen recipe on the test set; None unless it was asked for.
    """

    def __init__(self, path: Path, plan: ExperimentPlan, cells: Sequence[CellState], dataset: Dataset) -> None:
        self.path = path
        self.plan = plan
        self.cells = tuple(cells)
        self.recipes = Summary.of_recipes(self.cells)
        self.final: TestResult | None = None
        self._dataset = dataset

    def __repr__(self) -> str:
        done = sum(cell.status == "done" for cell in self.cells)
        return f"Experiment({str(self.path)!r}: {done} of {len(self.cells)} cells done, on {self.plan.dataset})"

    def _repr_html_(self) -> str:
        header = ("recipe", "seeds", "accuracy", "95% interval", "loss", "seconds")
        rows = [
            (
                one.variant.name,
                f"{len(one.done)} of {len(one.cells)}",
                percent(None if one.accuracy is None else one.accuracy.mean, 2),
                percent_range(one.interval),
                number(None if one.loss is None else one.loss.mean, 4),
                number(None if one.seconds is None else one.seconds.mean, 2),
            )
            for one in self.recipes
        ]
        told = [*(() if self.comparison is None else self.comparison.verdicts), f"Page: {self.page}"]
        parts = [
            card_table(header, rows, most=_MOST_SHOWN),
            *([] if self.final is None else [self.final._repr_html_()]),
        ]
        return card(f"Recipes on validation images of {self.plan.dataset}", parts=parts, sentences=told)

    @property
    def page(self) -> Path:
        """The file with the page about it."""
        return self.path / _PAGE_NAME

    @property
    def epochs_csv(self) -> Path:
        """The file with a row for each cell and epoch."""
        return self.path / EPOCHS_NAME

    @property
    def cells_csv(self) -> Path:
        """The file with a row for each cell."""
        return self.path / CELLS_NAME

    @property
    def chosen(self) -> Summary | None:
        """The recipe that validation chooses; None where none has finished with all seeds."""
        return chosen(self.recipes)

    @property
    def pareto(self) -> tuple[Summary, ...]:
        """The recipes that no other beats in accuracy, seconds and parameters together."""
        return pareto_front(self.recipes)

    @cached_property
    def comparison(self) -> Comparison | None:
        """Every two recipes by a paired test, adjusted for their number (Bonferroni); None with fewer than two.

        Raises:
            RunError: a run is damaged.
        """
        contenders, notes = [], []
        for one in self.recipes:
            runs = self._runs(one)
            if not runs:
                continue
            validated = [ValidationOutcomes.read(run.path) for run in runs]
            contender, more = contender_of(one.variant.name, validated)
            contenders.append(contender)
            notes += more
        return Comparison.of(self.plan.dataset, contenders, notes) if len(contenders) > 1 else None

    def look(self, recipe: Summary | None = None) -> TestResult:
        """The score of the chosen recipe on the sealed test set, which is `final` from then on.

        All its seeds are one look: none of them can be picked for its score, since their mean is what counts. Another
        call gives the same score, and is not another look.

        Args:
            recipe: one of `recipes`, where validation chose in another way than `chosen` does.

        Raises:
            RunError: no recipe can be chosen, or the test set was opened for another recipe of this experiment.
            StorageError: the look cannot be recorded; the test set then stays closed.
        """
        best = recipe or self.chosen
        if best is None:
            raise RunError("No recipe has finished with all seeds, so there is none to open the test set for.")
        self._check_unseen(best)
        first, *others = runs = self._runs(best)
        for run in others:
            run.share(first)
        for run in runs:
            run.look(_FINAL_REASON, f"{self.path.resolve()} {best.variant.digest}")
        self.final = openings.stored_result([(run.path, run.record) for run in runs])
        return self.final

    @overload
    def report(self) -> Report: ...
    @overload
    def report(self, path: str | Path) -> Path: ...
    def report(self, path: str | Path | None = None) -> Report | Path:
        """A page about the experiment: each recipe with its seeds, what it costs, its curves, and all differences.

        It is one HTML file that loads nothing. `experiment` writes it into the experiment's folder.

        Args:
            path: the file to write.

        Returns:
            The path of the file; without `path` the page itself, which a notebook shows inline.

        Raises:
            RunError: a run is damaged.
            StorageError: the file cannot be written.
        """
        from fittingroom.reports.pages.experiment_page import experiment_report

        histories = {}
        for cell in self.cells:
            if cell.folder is not None:
                history = SeedFiles(cell.folder).history()
                rows = zip(history.epoch, history.rows, strict=True)
                histories[cell.cell.id] = [{**logs, "epoch": epoch + 1} for epoch, logs in rows]
        page = experiment_report(self.to_dict(), histories)
        return page if path is None else page.save(path)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        front = {one.variant.digest for one in self.pareto}
        return {
            "experiment": str(self.path),
            "dataset": self.plan.dataset,
            "seeds": list(self.plan.seeds),
            "cells": {
                status: sum(cell.status == status for cell in self.cells) for status in ("done", "failed", "missing")
            },
            "recipes": [{**one.to_dict(), "pareto": one.variant.digest in front} for one in self.recipes],
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
            "chosen": None if self.chosen is None else self.chosen.variant.name,
            "test": None if self.final is None else self.final.to_dict(spread=True),
            "opened": [one.variant.name for one in self.recipes if self._was_opened(one)],
            "tables": {
                "epochs": str(self.epochs_csv),
                "cells": str(self.cells_csv),
                "epochs_parquet": str(self.path / EPOCHS_PARQUET),
                "cells_parquet": str(self.path / CELLS_PARQUET),
            },
        }

    def _runs(self, one: Summary) -> tuple[Run, ...]:
        """The run of each finished cell of a recipe."""
        return tuple(Run(cell.folder, dataset=self._dataset, trust=True) for cell in one.done if cell.folder)

    def _check_unseen(self, best: Summary) -> None:
        """Raises RunError if the test set has been opened for another recipe: this one may be chosen for it."""
        for other in self.recipes:
            if self._was_opened(other) and other is not best:
                raise RunError(
                    f"The test set has been opened for {other.variant.name!r} already, and validation now chooses "
                    f"{best.variant.name!r}. An experiment opens it for a single recipe. `fittingroom evaluate RUN` "
                    "scores another one, as a further look that is counted."
                )

    @staticmethod
    def _was_opened(one: Summary) -> bool:
        """Whether the test set has been opened for a recipe before this experiment was read."""
        return any(cell.record is not None and cell.record.looks for cell in one.cells)


def experiment(  # noqa: PLR0913 - what to train on, what to try, and where to keep it
    dataset: Named = DEFAULT_DATASET,
    recipe: Recipes | None = None,
    *,
    vary: Mapping[str, Sequence[Any]] | None = None,
    seeds: int | Sequence[int] | None = None,
    validation: float | None = None,
    data_dir: str | Path | None = None,
    image_size: int | tuple[int, int] | None = None,
    aspect: str | None = None,
    color_mode: str | None = None,
    out: str | Path | None = None,
    final: bool = False,
    executor: str = "local",
    address: str | None = None,
    progress: ExperimentProgress | None = None,
) -> Experiment:
    """Trains recipes with several seeds each, and compares them on validation.

    Each recipe with each seed is a cell. Another call trains only what is missing: an experiment that was killed
    continues where it was, and ends with the very table of one that was never stopped. A cell that fails is recorded
    with its reason, and the others continue.

    Args:
        dataset: a name that `fittingroom.load` knows, a loaded dataset, or a TOML file with the experiment (the module
            `experiments.experiment_file` shows its form), which then says recipe, vary, seeds and validation.
        recipe: the recipe to change, or several: names, TOML files or recipes; None for `course`.
        vary: key of a recipe -> the values to try, in every combination: `{"hidden": [128, [512, 256]]}`.
        seeds: how many seeds (the default is 5: 0 to 4), or which.
        validation: how many training images to hold out (a count, or a fraction below 1); None for the default.
        data_dir: where the dataset's files are.
        image_size: the size that the pictures of a folder are resized to; None for one that suits them.
        aspect: how they get it: `pad`, `crop` or `stretch`, as `fittingroom.load` describes them; None for `pad`.
        color_mode: their colours: `auto`, `rgb` or `grayscale`; None for `auto`.
        out: the experiment's folder; None for one in the runs folder that belongs to these recipes and data.
        final: whether to open the test set at the end, for the single recipe that validation chose.
        executor: what trains: `local`, this process on all its cores; or `ray`, the cores of a Ray cluster.
        address: the address of the Ray cluster; None for the one in RAY_ADDRESS, else this machine's cores.
        progress: shows how far it is; None for a live table on a terminal.

    Returns:
        The experiment; its tables and its page are written into its folder.

    Raises:
        InputError: an argument makes no sense; raised before any training.
        RunError: the folder holds something else, or another process works in it.
        StorageError: the folder cannot be written.
        Interrupted: Ctrl-C or SIGTERM; the same call continues.
    """
    trainer = _executor(executor, address)
    if str(dataset).endswith(".toml") and not isinstance(dataset, Dataset):
        file = _only_file(Path(dataset), recipe, vary, seeds, validation)
        recipe, vary, seeds, validation = file.recipes, file.vary, file.seeds, file.validation
        dataset = file.dataset or DEFAULT_DATASET
    found = variants(_recipes(recipe), vary or {})
    seeds_chosen = chosen_seeds(DEFAULT_SEEDS if seeds is None else seeds)
    loading: dict[str, Any] = {
        "validation": validation,
        "data_dir": data_dir,
        "image_size": image_size,
        "aspect": aspect,
        "color_mode": color_mode,
    }
    check_dataset(dataset, **loading)
    dataset = load_for([one.recipe for one in found], dataset, loading)
    if dataset.validation is None:
        raise DataError(
            "an experiment compares recipes on validation images, and there are none. Hold some out: validation=5000."
        )
    plan = ExperimentPlan.of(dataset, found, seeds_chosen)
    path = RunsFolder().path / f"experiment-{plan.digest}" if out is None else Path(out)
    progress = progress or progress_for_experiment()
    with ExperimentFolder.locked(path, plan) as folder:
        _train(folder, plan, dataset, progress, trainer)
        result = Experiment(path, plan, _states(folder, plan), dataset)
        try:
            if final:
                result.look()
        finally:
            result.report(result.page)
    return result


def _executor(name: str, address: str | None) -> Executor:
    """The executor with a name.

    Raises:
        InputError: the name is unknown, Ray is not installed, or the executor has no use for an address.
    """
    if name not in _EXECUTORS:
        raise UnknownNameError("executor", name, _EXECUTORS)
    if name == "ray":  # imported here, since all other experiments do without it
        from fittingroom.experiments.executor import RayExecutor

        return RayExecutor(address)
    if address is not None:
        raise InputError(f"The address {address!r} is for the executor 'ray', not {name!r}. Remove it, or use 'ray'.")
    return Executor()


def _only_file(
    path: Path,
    recipe: Recipes | None,
    vary: Mapping[str, Sequence[Any]] | None,
    seeds: int | Sequence[int] | None,
    validation: float | None,
) -> ExperimentFile:
    """The experiment in the file, which describes all of it, so that the file alone says what was done."""
    beside = {"recipe": recipe, "vary": vary, "seeds": seeds, "validation": validation}
    both = [name for name, value in beside.items() if value is not None and value != {}]
    if both:
        raise InputError(
            f"{path} describes the whole experiment, so {word_list(both)} cannot be given too. Change the file."
        )
    return ExperimentFile.read(path)


def _recipes(recipes: Recipes | None) -> list[Recipe]:
    if recipes is None:
        recipes = DEFAULT_RECIPE
    each = recipes if isinstance(recipes, Sequence) and not isinstance(recipes, str) else [recipes]
    return [chosen_recipe(one, {}, beside=experiment) for one in each]


def _train(
    folder: ExperimentFolder, plan: ExperimentPlan, dataset: Dataset, progress: ExperimentProgress, executor: Executor
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
            f"the experiment was stopped with {done} of {len(plan.cells)} cells done, which are in {folder.path}. The "
            "same call continues.",
            folder.path,
        ) from error
    finally:
        progress.close()
        write_tables(folder, plan, _states(folder, plan))


def _states(folder: ExperimentFolder, plan: ExperimentPlan) -> list[CellState]:
    return [state for variant in plan.variants for state in folder.states(variant)]
