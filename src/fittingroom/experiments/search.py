"""`search`: recipes that Optuna proposes, each trained with several seeds, and the best of them on validation."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fittingroom.api.many import chosen_seeds
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load
from fittingroom.errors import DataError, Interrupted
from fittingroom.experiments.executing import train_missing
from fittingroom.experiments.experiment import DEFAULT_DATASET, DEFAULT_SEEDS
from fittingroom.experiments.found import Search
from fittingroom.experiments.local import LocalExecutor
from fittingroom.experiments.plan import Plan, data_digest
from fittingroom.experiments.searchfile import SearchFile, checked_trials, read_search
from fittingroom.experiments.searching import Pruning, SearchWatcher, search_watcher_for_terminal
from fittingroom.experiments.store import PLAN_NAME, CellState, ExperimentFolder, locked
from fittingroom.experiments.study import Proposal, Study, Trial, require_optuna
from fittingroom.experiments.summary import Summary, summaries
from fittingroom.experiments.tables import write_tables
from fittingroom.runs.place import runs_dir
from fittingroom.runs.plain import json_text

STORAGE_NAME = "search.sqlite"


def search(  # noqa: PLR0913 - what to search, how far, and where to keep it
    file: str | Path,
    *,
    trials: int | None = None,
    storage: str | None = None,
    data_dir: str | Path | None = None,
    image_size: tuple[int, int] | None = None,
    out: str | Path | None = None,
    final: bool = False,
    watcher: SearchWatcher | None = None,
) -> Search:
    """Tries recipes that Optuna proposes, and finds the best on validation.

    Called again, it goes on to the number of trials; a trial that was cut off is tried again, from where it was. Each
    trial's runs are kept in the folder, as those of an experiment are. On one machine the trials are always the same,
    stopped or not; where several share a database, they depend on which is faster.

    Args:
        file: a TOML file (the module `experiments.searchfile` shows its form).
        trials: how many there should be in all; None for what the file says.
        storage: a database that Optuna takes, which several machines may share; None for a file in the folder.
        data_dir: where the dataset's files are.
        image_size: the size that the pictures of a folder are resized to; None for one that suits them.
        out: the folder; None for one in the runs folder that belongs to this search.
        final: whether to open the test set at the end, for the best trial.
        watcher: is told what is going on; None for a live table on a terminal.

    Returns:
        The search, with what was found.

    Raises:
        InputError: something given is wrong, or Optuna is not installed; found before any training.
        RunError: the folder holds something else, or another process works in it.
        StorageError: the folder or the database cannot be written.
        Interrupted: Ctrl-C or SIGTERM; the same call goes on.
    """
    require_optuna()
    asked = read_search(Path(file))
    total = asked.trials if trials is None else checked_trials(trials)
    seeds = chosen_seeds(DEFAULT_SEEDS if asked.plan.seeds is None else asked.plan.seeds)
    folder = None if data_dir is None else Path(data_dir)
    name = asked.plan.dataset or DEFAULT_DATASET
    dataset = load(name, validation=asked.plan.validation, data_dir=folder, image_size=image_size)
    if dataset.validation is None:
        raise DataError("a search judges trials on validation images, and there are none. Hold some out in the file.")
    plan = Plan(dataset.name, data_digest(dataset), dataset.arguments, (), seeds)
    digest = asked.digest(plan.data, seeds)
    path = runs_dir() / f"search-{digest}" if out is None else Path(out)
    with locked(path, plan):
        place = f"{socket.gethostname()}:{path.resolve()}"
        study = Study(asked, digest, storage or f"sqlite:///{path.resolve() / STORAGE_NAME}", place)
        with closing(study):
            result = _Searching(asked, plan, dataset, path, study, place).done(
                total, watcher or search_watcher_for_terminal()
            )
        if final:
            result.look()
    return result


@dataclass(frozen=True)
class _Searching:
    """A search under way.

    Args:
        asked: what the file says.
        plan: what trials have in common; it has no recipes.
        dataset: what they are trained on.
        path: the folder, locked.
        study: the trials.
        place: host and folder.
    """

    asked: SearchFile
    plan: Plan
    dataset: Dataset
    path: Path
    study: Study
    place: str

    def done(self, total: int, watcher: SearchWatcher) -> Search:
        """The search, after so many trials."""
        try:
            while True:
                trials, states = self.study.trials(), self._states()
                watcher.trials(trials, total)
                watcher.state(states)
                if sum(trial.status != "running" for trial in trials) >= total:
                    break
                self._try(self.study.propose(), watcher)
        except KeyboardInterrupt as error:
            over = sum(trial.status != "running" for trial in self.study.trials())
            raise Interrupted(
                f"the search was stopped after {over} of {total} trials, kept in {self.path}. The same call goes on.",
                self.path,
            ) from error
        finally:
            watcher.close()
            self._write()
        plan = self._local_plan()
        return Search(self.path, self.asked, plan, self.study.trials(), self._states(), self.dataset)

    def _try(self, proposal: Proposal, watcher: SearchWatcher) -> None:
        if proposal.variant is None:
            self.study.failed(proposal, proposal.problem or "its settings do not go together")
            return
        plan = Plan(self.plan.dataset, self.plan.data, self.plan.load, (proposal.variant,), self.plan.seeds)
        folder = ExperimentFolder(self.path, plan)
        pruning = Pruning(watcher, proposal, self.plan.seeds[0], f"val_{self.asked.objective}")
        try:
            train_missing(folder, plan, self.dataset, pruning, LocalExecutor())
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and pruning.pruned.is_set():
                self.study.pruned(proposal)
                return
            self.study.failed(proposal, None)
            raise
        (summary,) = summaries(folder.states(proposal.variant))
        value = self._value(summary)
        if value is None:
            reasons = [cell.reason for cell in summary.cells if cell.reason]
            self.study.failed(proposal, next(iter(reasons), f"it has no {self.asked.objective} on validation"))
        else:
            self.study.finished(proposal, value)

    def _value(self, summary: Summary) -> float | None:
        """What a recipe reached on validation, mean over seeds; None unless all seeds were trained to their end."""
        spread = summary.accuracy if self.asked.objective == "accuracy" else summary.loss
        return None if spread is None or not summary.complete else spread.mean

    def _local_plan(self) -> Plan:
        """What was trained here; trials that proposed the same recipe count once."""
        found = {trial.variant.digest: trial.variant for trial in self.study.trials() if self._was_here(trial)}
        return Plan(self.plan.dataset, self.plan.data, self.plan.load, tuple(found.values()), self.plan.seeds)

    def _was_here(self, trial: Trial) -> bool:
        return trial.place == self.place and trial.variant.recipe is not self.asked.recipe

    def _states(self) -> list[CellState]:
        plan = self._local_plan()
        folder = ExperimentFolder(self.path, plan)
        return [state for variant in plan.variants for state in folder.states(variant)]

    def _write(self) -> None:
        """Writes the plan and the tables of an experiment with the recipes that were tried here."""
        plan = self._local_plan()
        folder = ExperimentFolder(self.path, plan)
        folder.write(PLAN_NAME, json_text(plan.to_dict()).encode())
        if plan.variants:
            write_tables(folder, plan, self._states())
