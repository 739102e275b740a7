"""The methods of a benchmark on one dataset: which settings are tried, which validation chooses, and what is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.data.dataset import Dataset
from fittingroom.experiments.experiment_store import Batch, CellState, ExperimentFolder
from fittingroom.experiments.packed_cell import TrainedCell
from fittingroom.experiments.plan import ExperimentPlan, Variant, setting_text
from fittingroom.experiments.summary import Summary, chosen
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.json_files import damage


@dataclass(frozen=True)
class Method:
    """A method of a benchmark: a recipe, and the settings of it that are tried.

    Args:
        name: what tables call it.
        trials: the recipes to try, the method's own first; at least one.
        seeds: the seeds to train with: one where the seed changes nothing.
    """

    name: str
    trials: tuple[Variant, ...]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, recipe: Recipe, trials: int, seeds: Sequence[int], *, trust: bool) -> Method:
        """A recipe as a method, with as many trials as asked for, or as there are settings to try."""
        tried = [Variant(recipe)]
        for settings in _search_space(recipe)[: trials - 1]:
            texts = {key: setting_text(value) for key, value in settings.items()}
            variant = Variant(recipe.changed(**settings), texts)
            if variant.digest not in {one.digest for one in tried}:
                tried.append(variant)
        return cls(recipe.name, tuple(tried), tuple(seeds) if _uses_seed(recipe, trust=trust) else tuple(seeds[:1]))

    @property
    def recipe(self) -> Recipe:
        """The method's own recipe."""
        return self.trials[0].recipe


@dataclass
class BenchmarkTask:
    """A dataset of a benchmark with its methods, as far as they are trained.

    Args:
        key: the name of the dataset in the benchmark.
        dataset: the dataset.
        methods: what is trained on it.
        folder: the folder of its experiment, locked.
        states: digest of a recipe -> the state of each of its seeds.
        begun: the ids of the cells that this call has begun.
        ended: the ids of those that have ended: what failed is not tried twice.
    """

    key: str
    dataset: Dataset
    methods: Sequence[Method]
    plan: ExperimentPlan
    folder: ExperimentFolder
    states: dict[str, dict[int, CellState]] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)

    @staticmethod
    def plan_of(dataset: Dataset, methods: Sequence[Method], seeds: Sequence[int]) -> ExperimentPlan:
        """All recipes that any method may try on a dataset, each once, with all seeds."""
        each = {variant.digest: variant for method in methods for variant in method.trials}
        return ExperimentPlan.of(dataset, list(each.values()), seeds)

    def read(self) -> None:
        """Reads from the folder what is trained."""
        for variant in self.plan.variants:
            self._read(variant)

    def wanted(self) -> Iterator[tuple[Variant, int]]:
        """The cells that can be trained now: trials first, and other seeds where a trial is chosen."""
        for method in self.methods:
            first = method.seeds[0]
            open_trials = [one for one in method.trials if not self._settled(one, first)]
            for variant in open_trials:
                yield variant, first
            if not open_trials:
                best = self.chosen(method)
                for seed in method.seeds[1:]:
                    if not self._settled(best, seed):
                        yield best, seed

    def chosen(self, method: Method) -> Variant:
        """The trial that validation chooses by its first seed; the method's own recipe where none has finished."""
        summaries = [Summary(one, (self.state(one, method.seeds[0]),)) for one in method.trials]
        best = chosen(summaries)
        return method.trials[0] if best is None else best.variant

    def state(self, variant: Variant, seed: int) -> CellState:
        """The state of a cell."""
        return self.states[variant.digest][seed]

    def counts(self) -> dict[str, int]:
        """How many cells are done, how many have failed, and how many there are to be, as `progress.json` has them."""
        cells: dict[str, CellState] = {}
        for method in self.methods:
            first, best = method.seeds[0], self.chosen(method)
            tried = [self.state(one, first) for one in method.trials]
            own = [*tried, *(self.state(best, seed) for seed in method.seeds[1:])]
            cells |= {state.cell.id: state for state in own}
        statuses = [state.status for state in cells.values()]
        return {"done": statuses.count("done"), "failed": statuses.count("failed"), "total": len(cells)}

    def keep(self, digest: str, seed: int, trained: TrainedCell) -> None:
        """Keeps what came of a cell, its cost before its run: a cell that counts as trained has one."""
        variant = self._variant(digest)
        batch = self.folder.next_batch(variant, seed)
        if trained.cost is not None:
            self.folder.write_cost(batch, trained.cost)
        if trained.files:
            self.folder.receive(batch, trained.files)
        if trained.failure is not None:
            self.folder.fail(batch, trained.failure)
        self.ended.add(self.state(variant, seed).cell.id)
        self._read(variant)

    def begin(self, variant: Variant, seed: int) -> bool:
        """Notes that a cell is tried now, and forgets why it failed before; False where it is tried already."""
        cell = self.state(variant, seed).cell.id
        if cell in self.begun:
            return False
        self.begun.add(cell)
        self.folder.forget_failures(Batch(variant, (seed,), self.folder.path, begun=False))
        return True

    def test_file(self, state: CellState) -> Path:
        """The file with the test images that a cell has right, once they were opened."""
        return self.folder.path / "test" / f"{state.cell.id}.npy"

    def right_on_test(self, states: Sequence[CellState]) -> npt.NDArray[np.bool_]:
        """Which test images each of some cells has right, `(seeds, images)`.

        Raises:
            RunError: a file is missing or damaged.
        """
        rows = []
        for state in states:
            with damage(self.folder.path, f"test/{state.cell.id}.npy"):
                rows.append(np.load(self.test_file(state), allow_pickle=False).astype(bool))
        return np.stack(rows)

    def _settled(self, variant: Variant, seed: int) -> bool:
        """Whether nothing is to be done for a cell: it is trained, or tried, or would fail as it did."""
        state = self.state(variant, seed)
        return state.status == "done" or not state.again or state.cell.id in self.ended

    def _variant(self, digest: str) -> Variant:
        """The plan's own recipe of a digest; two methods may try the same."""
        return next(one for one in self.plan.variants if one.digest == digest)

    def _read(self, variant: Variant) -> None:
        self.states[variant.digest] = {state.cell.seed: state for state in self.folder.states(variant)}


def _search_space(recipe: Recipe) -> Sequence[Mapping[str, Any]]:
    """The settings to try besides the recipe's own, in the order in which they are tried."""
    from fittingroom.recipes.classical_recipes import search_space

    return search_space(recipe)


def _uses_seed(recipe: Recipe, *, trust: bool) -> bool:
    """Whether trainings with different seeds can differ."""
    if recipe.estimator is None:
        return True
    from fittingroom.classical.estimators import seed_matters  # it loads scikit-learn

    return seed_matters(recipe, trust=trust)
