"""`Experiment`: what came of all recipes, compared on validation; and the one look at the test set, if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from fittingroom.api import looking
from fittingroom.api.comparing import contender_of
from fittingroom.api.run import Run
from fittingroom.data.dataset import Dataset
from fittingroom.errors import RunError
from fittingroom.evaluation.comparison import Comparison
from fittingroom.evaluation.luck import ReplicasTestResult
from fittingroom.experiments.experiment_store import CellState
from fittingroom.experiments.plan import Plan
from fittingroom.experiments.summary import (
    CELLS_NAME,
    CELLS_PARQUET,
    EPOCHS_NAME,
    EPOCHS_PARQUET,
    Summary,
    chosen,
    pareto_front,
    summaries,
)
from fittingroom.runs.store import read_history, read_validated

if TYPE_CHECKING:
    from fittingroom.reports.pages.document import Report

PAGE_NAME = "experiment.html"
FINAL_REASON = "the final score of an experiment, for the recipe that validation chose"


class Experiment:
    """An experiment that is over: each recipe on validation, their differences, and what they cost.

    Attributes:
        path: its folder.
        plan: what was asked for.
        cells: what has become of each cell, recipe by recipe.
        recipes: a summary of each recipe, in the same order.
        final: the score of the chosen recipe on the test set; None unless it was asked for.
    """

    def __init__(self, path: Path, plan: Plan, cells: Sequence[CellState], dataset: Dataset) -> None:
        self.path = path
        self.plan = plan
        self.cells = tuple(cells)
        self.recipes = summaries(self.cells)
        self.final: ReplicasTestResult | None = None
        self._dataset = dataset

    def __repr__(self) -> str:
        done = sum(cell.status == "done" for cell in self.cells)
        return f"Experiment({str(self.path)!r}: {done} of {len(self.cells)} cells done, on {self.plan.dataset})"

    @property
    def page(self) -> Path:
        """The file with its page."""
        return self.path / PAGE_NAME

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
        """The recipe that validation chooses; None where none is trained to the end with all seeds."""
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
            replicas = [read_validated(run.path) for run in runs]
            contender, more = contender_of(one.variant.name, replicas)
            contenders.append(contender)
            notes += more
        return Comparison.of(self.plan.dataset, contenders, notes) if len(contenders) > 1 else None

    def look(self, recipe: Summary | None = None) -> ReplicasTestResult:
        """The score of the chosen recipe on the sealed test set; kept as `final` too.

        All its seeds are one look: none of them can be picked for its score, for it is their mean that counts.

        Asked again, it tells the same score: that is no new look.

        Args:
            recipe: one of `recipes`, where validation has chosen in another way than `chosen` does.

        Raises:
            RunError: no recipe can be chosen, or the test set was opened for another recipe of this experiment.
            StorageError: the look cannot be recorded; the test set then stays closed.
        """
        best = recipe or self.chosen
        if best is None:
            raise RunError("No recipe is trained to its end with all seeds, so there is none to open the test set for.")
        self._check_unseen(best)
        first, *others = runs = self._runs(best)
        for run in others:
            run.share(first)
        for run in runs:
            run.look(FINAL_REASON, f"{self.path.resolve()} {best.variant.digest}")
        seeds = tuple(cell.cell.seed for cell in best.done)
        self.final = ReplicasTestResult(seeds, tuple(looking.told([(run.path, run.record) for run in runs])))
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
                history = read_history(cell.folder)
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
            "test": None if self.final is None else self.final.to_dict(),
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
