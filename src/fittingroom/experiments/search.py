"""`search`: recipes that Optuna proposes, each trained with several seeds, and the best of them on validation.

A trial may be ended early: where its first seed falls behind the trials before it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fittingroom.data.dataset import Dataset
from fittingroom.errors import DataError, Interrupted
from fittingroom.experiments.executor import Executor, train_missing
from fittingroom.experiments.experiment import DEFAULT_DATASET, DEFAULT_SEEDS
from fittingroom.experiments.experiment_file import SearchFile, check_trials
from fittingroom.experiments.experiment_progress import ExperimentProgress, progress_for_experiment
from fittingroom.experiments.experiment_store import PLAN_NAME, CellState, ExperimentFolder
from fittingroom.experiments.plan import ExperimentPlan
from fittingroom.experiments.search_result import Search
from fittingroom.experiments.study import Proposal, Study, Trial, require_optuna
from fittingroom.experiments.summary import Summary, write_tables
from fittingroom.progress import Progress
from fittingroom.runs.json_files import json_text
from fittingroom.runs.place import RunsFolder
from fittingroom.training.arguments import chosen_seeds, load_for

STORAGE_NAME = "search.sqlite"


def search(  # noqa: PLR0913 - what to search, how far, and where to keep it
    file: str | Path,
    *,
    trials: int | None = None,
    storage: str | None = None,
    data_dir: str | Path | None = None,
    image_size: tuple[int, int] | None = None,
    aspect: str | None = None,
    color_mode: str | None = None,
    out: str | Path | None = None,
    final: bool = False,
    progress: ExperimentProgress | None = None,
) -> Search:
    """Tries recipes that Optuna proposes, and finds the best on validation.

    Another call continues to the number of trials; a trial that was cut off continues from where it was. The runs of
    each trial are in the folder, as those of an experiment are. On one machine the trials are always the same,
    stopped or not; where several share a database, they depend on which is faster.

    Args:
        file: a TOML file (the module `experiments.experiment_file` shows its form).
        trials: how many there should be in all; None for what the file says.
        storage: a database that Optuna takes, which several machines may share; None for a file in the folder.
        data_dir: where the dataset's files are.
        image_size: the size that the pictures of a folder are resized to; None for one that suits them.
        aspect: how they get it: `pad`, `crop` or `stretch`, as `fittingroom.load` describes them; None for `pad`.
        color_mode: their colours: `auto`, `rgb` or `grayscale`; None for `auto`.
        out: the folder; None for one in the runs folder that belongs to this search.
        final: whether to open the test set at the end, for the best trial.
        progress: shows how far it is; None for a live table on a terminal.

    Returns:
        The search, with what was found.

    Raises:
        InputError: an argument makes no sense, or Optuna is not installed; raised before any training.
        RunError: the folder holds something else, or another process works in it.
        StorageError: the folder or the database cannot be written.
        Interrupted: Ctrl-C or SIGTERM; the same call continues.
    """
    require_optuna()
    asked = SearchFile.read(Path(file))
    total = asked.trials if trials is None else check_trials("trials", trials)
    seeds = chosen_seeds(DEFAULT_SEEDS if asked.experiment.seeds is None else asked.experiment.seeds)
    folder = None if data_dir is None else Path(data_dir)
    name = asked.experiment.dataset or DEFAULT_DATASET
    loading = {
        "validation": asked.experiment.validation,
        "data_dir": folder,
        "image_size": image_size,
        "aspect": aspect,
        "color_mode": color_mode,
    }
    dataset = load_for([asked.recipe], name, loading)
    if dataset.validation is None:
        raise DataError("a search judges trials on validation images, and there are none. Hold some out in the file.")
    plan = ExperimentPlan.of(dataset, (), seeds)
    digest = asked.digest(plan.data, seeds)
    path = RunsFolder().path / f"search-{digest}" if out is None else Path(out)
    with ExperimentFolder.locked(path, plan):
        place = f"{socket.gethostname()}:{path.resolve()}"
        study = Study(asked, digest, storage or f"sqlite:///{path.resolve() / STORAGE_NAME}", place)
        with closing(study):
            result = _Searching(asked, plan, dataset, path, study, place).done(
                total, progress or progress_for_experiment()
            )
        if final:
            result.look()
    return result


@dataclass(frozen=True)
class _Searching:
    """A search under way.

    Args:
        asked: the search, as its file describes it.
        plan: the data and the seeds of all trials; it has no recipes.
        dataset: the dataset to train on.
        path: the folder, locked.
        study: the trials.
        place: host and folder.
    """

    asked: SearchFile
    plan: ExperimentPlan
    dataset: Dataset
    path: Path
    study: Study
    place: str

    def done(self, total: int, progress: ExperimentProgress) -> Search:
        """The search, after so many trials."""
        try:
            while True:
                trials, states = self.study.trials(), self._states()
                progress.trials(trials, total)
                progress.state(states)
                if sum(trial.status != "running" for trial in trials) >= total:
                    break
                self._try(self.study.propose(), progress)
        except KeyboardInterrupt as error:
            over = sum(trial.status != "running" for trial in self.study.trials())
            raise Interrupted(
                f"the search was stopped after {over} of {total} trials, which are in {self.path}. The same call "
                "continues.",
                self.path,
            ) from error
        finally:
            progress.close()
            self._write()
        plan = self._local_plan()
        return Search(self.path, self.asked, plan, self.study.trials(), self._states(), self.dataset)

    def _try(self, proposal: Proposal, progress: ExperimentProgress) -> None:
        if proposal.variant is None:
            self.study.failed(proposal, proposal.problem or "its settings do not go together")
            return
        plan = self.plan.of_variants([proposal.variant])
        folder = ExperimentFolder(self.path, plan)
        pruning = _Pruning(progress, proposal, self.plan.seeds[0], f"val_{self.asked.objective}")
        try:
            train_missing(folder, plan, self.dataset, pruning, Executor())
        except BaseException as error:
            # A pruned trial ends as by Ctrl-C, so that its checkpoint and its finished epochs stay.
            if isinstance(error, KeyboardInterrupt) and pruning.pruned.is_set():
                self.study.pruned(proposal)
                return
            self.study.failed(proposal, None)
            raise
        (summary,) = Summary.of_recipes(folder.states(proposal.variant))
        value = self._value(summary)
        if value is None:
            reasons = [cell.reason for cell in summary.cells if cell.reason]
            self.study.failed(proposal, next(iter(reasons), f"it has no {self.asked.objective} on validation"))
        else:
            self.study.finished(proposal, value)

    def _value(self, summary: Summary) -> float | None:
        """What a recipe reached on validation, mean over seeds; None unless all seeds have finished."""
        spread = summary.accuracy if self.asked.objective == "accuracy" else summary.loss
        return None if spread is None or not summary.complete else spread.mean

    def _local_plan(self) -> ExperimentPlan:
        """What was trained here; trials that proposed the same recipe count once."""
        found = {trial.variant.digest: trial.variant for trial in self.study.trials() if self._was_here(trial)}
        return self.plan.of_variants(found.values())

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


class _Pruning(ExperimentProgress):
    """Shows the training of a trial as another one does, and ends it where its first seed falls behind.

    A single seed decides, so that what is decided does not depend on how many train side by side.

    Args:
        progress: shows how far the training is.
        proposal: the trial.
        seed: the first seed.
        metric: the objective, by its name in the logs: `val_accuracy` or `val_loss`.
    """

    def __init__(self, progress: ExperimentProgress, proposal: Proposal, seed: int, metric: str) -> None:
        self.pruned = threading.Event()
        self.seed = seed
        self._progress = progress
        self._proposal = proposal
        self._metric = metric

    def training(self, name: str, cells: int) -> Progress:
        """Passes on what the training reports, and may end it."""
        return _Prunable(self._progress.training(name, cells), self)

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch of the first seed is over, and it was not the last."""
        if self._metric in logs and self._proposal.epoch(epoch, logs[self._metric]):
            self.pruned.set()


class _Prunable(Progress):
    """Passes on every report, and ends the training as Ctrl-C would when the trial is pruned.

    Args:
        shown: gets every call that this one gets.
        pruning: decides after each epoch.
        decides: whether this is the first seed.
    """

    def __init__(self, shown: Progress, pruning: _Pruning, *, decides: bool = False) -> None:
        self._shown = shown
        self._pruning = pruning
        self._decides = decides
        self._epochs = 0

    def stage(self, text: str) -> None:
        self._shown.stage(text)

    def start(self, epochs: int, steps: int) -> None:
        self._epochs = epochs
        self._shown.start(epochs, steps)

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        self._shown.step(epoch, done, total, logs)
        self._end_if_pruned()

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        self._shown.epoch(epoch, logs)
        if epoch + 1 < self._epochs:
            if self._decides:
                self._pruning.epoch(epoch, logs)
            self._end_if_pruned()

    def finish(self, reason: str | None) -> None:
        self._shown.finish(reason)

    def for_seeds(self, seeds: Sequence[int]) -> Sequence[Progress]:
        shown = zip(seeds, self._shown.for_seeds(seeds), strict=True)
        return [_Prunable(one, self._pruning, decides=seed == self._pruning.seed) for seed, one in shown]

    def _end_if_pruned(self) -> None:
        if self._pruning.pruned.is_set():
            raise KeyboardInterrupt
