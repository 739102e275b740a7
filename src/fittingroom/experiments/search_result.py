"""`Search`: the trials of a search, the best of them, and how much of its lead may be luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.api.open_runs import contender_of
from fittingroom.card_html import card, card_table
from fittingroom.data.dataset import Dataset
from fittingroom.errors import RunError
from fittingroom.evaluation.luck import TestResult, expected_maximum
from fittingroom.experiments.experiment import Experiment
from fittingroom.experiments.experiment_file import SearchFile
from fittingroom.experiments.experiment_store import CellState
from fittingroom.experiments.plan import ExperimentPlan
from fittingroom.experiments.study import Trial
from fittingroom.experiments.summary import Summary
from fittingroom.runs.place import is_run
from fittingroom.runs.validation_outcomes import ValidationOutcomes
from fittingroom.text import amount, number, percent, points

_MOST_SHOWN = 10  # trials that a card lists


class Search:
    """The result of a search, so far: a later call with more trials continues it.

    Attributes:
        path: the folder of the search.
        trials: all of them, the oldest first; those too that other machines trained.
        experiment: the recipes that were tried here, as an experiment; None where there are none.
        final: the score of the best trial on the test set; None unless it was asked for.
    """

    def __init__(
        self,
        path: Path,
        asked: SearchFile,
        plan: ExperimentPlan,
        trials: Sequence[Trial],
        cells: Sequence[CellState],
        dataset: Dataset,
    ) -> None:
        self.path = path
        self.asked = asked
        self.plan = plan
        self.trials = tuple(trials)
        self.experiment = Experiment(path, plan, cells, dataset) if plan.variants else None
        self.final: TestResult | None = None
        self._dataset = dataset

    def __repr__(self) -> str:
        return f"Search({str(self.path)!r}: {len(self.trials)} trials, on {self.plan.dataset})"

    def _repr_html_(self) -> str:
        sign = -1 if self.asked.objective == "accuracy" else 1
        judged = [trial for trial in self.trials if trial.value is not None]
        judged.sort(key=lambda trial: (trial.status != "finished", sign * (trial.value or 0.0), trial.number))
        keys = list(self.asked.space)
        rows = [
            (
                str(trial.number),
                *(trial.variant.settings[key] for key in keys),
                percent(trial.value, 2) if self.asked.objective == "accuracy" else number(trial.value, 4),
                "ended early" if trial.status == "pruned" else "",
            )
            for trial in judged
        ]
        table = card_table(("trial", *keys, self.asked.objective, ""), rows, most=_MOST_SHOWN)
        luck = [] if self.luck is None else [f"Luck: {self.luck.sentence()}."]
        title = f"{amount(len(self.trials), 'trial')} on {self.plan.dataset}, for {self.asked.objective} on validation"
        final = [] if self.final is None else [self.final._repr_html_()]
        return card(title, parts=[table, *final], sentences=[*luck, f"Search: {self.path}"])

    @property
    def best(self) -> Trial | None:
        """The trial that was best on validation, of equals the first; None where none has finished."""
        finished = [trial for trial in self.trials if trial.status == "finished"]
        sign = 1 if self.asked.objective == "accuracy" else -1
        return max(finished, key=lambda trial: sign * (trial.value or 0.0), default=None)

    @property
    def best_recipe(self) -> Summary | None:
        """The best trial's recipe with its cells; None where that is on another machine."""
        best, here = self.best, () if self.experiment is None else self.experiment.recipes
        return next((one for one in here if best is not None and one.variant.digest == best.variant.digest), None)

    @cached_property
    def luck(self) -> BestOf | None:
        """How far the best of so many trials would lead by luck; None where none has finished.

        Raises:
            RunError: a run is damaged.
        """
        best = self.best
        if best is None or best.value is None:
            return None
        judged = len({trial.variant.digest for trial in self.trials if trial.status in {"finished", "pruned"}})
        scores = []
        for one in () if self.experiment is None else self.experiment.recipes:
            if one.complete:
                folders = [cell.folder for cell in one.done if cell.folder]
                contender, _ = contender_of(one.variant.name, [ValidationOutcomes.read(folder) for folder in folders])
                each = contender.correct if self.asked.objective == "accuracy" else contender.loss
                scores.append(each.mean(axis=0, dtype=float))
        return BestOf(judged, self.asked.objective, best.value, _luck_of_best(scores, judged))

    def run_of(self, trial: Trial) -> Path | None:
        """The run folder of a trial, which can be explained and reported; None where it is not here."""
        folders = sorted((self.path / "runs").glob(f"{trial.variant.digest}-{self.plan.data}-*"))
        return next((folder for folder in folders if is_run(folder)), None)

    def look(self) -> TestResult:
        """The score of the best trial on the sealed test set, one look for all its seeds; it is `final` from then on.

        Another call gives the same score, and is not another look.

        Raises:
            RunError: there is no best trial here, or the test set was opened for another trial of this search.
            StorageError: the look cannot be recorded; the test set then stays closed.
        """
        best, recipe = self.best, self.best_recipe
        if best is None:
            raise RunError("No trial has finished, so there is none to open the test set for.")
        if recipe is None or self.experiment is None:
            raise RunError(f"The best trial was trained elsewhere, at {best.place}. Use --final there.")
        self.final = self.experiment.look(recipe)
        return self.final

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "search": str(self.path),
            "dataset": self.plan.dataset,
            "seeds": list(self.plan.seeds),
            "objective": self.asked.objective,
            "counts": {
                status: sum(trial.status == status for trial in self.trials)
                for status in ("finished", "pruned", "failed", "running")
            },
            "trials": [self._facts(trial) for trial in self.trials],
            "best": None if self.best is None else self._facts(self.best),
            "settings": None if self.best is None else self.best.variant.recipe.to_dict(),
            "luck": None if self.luck is None else self.luck.to_dict(),
            "test": None if self.final is None else self.final.to_dict(spread=True),
        }

    def _facts(self, trial: Trial) -> dict[str, Any]:
        run = self.run_of(trial)
        return {**trial.to_dict(), "run": None if run is None else str(run)}


@dataclass(frozen=True)
class BestOf:
    """The lead that the best of equally good trials would have on these images.

    Args:
        trials: the number of trials to choose from.
        objective: `accuracy` (a share of the images) or `loss` (nats).
        value: the objective that the best reached on validation.
        luck: the lead that it would be expected to have by chance, in the same unit, 0 or more.
    """

    trials: int
    objective: str
    value: float
    luck: float

    @property
    def expected(self) -> float:
        """What the best would be expected to reach on new images like these, were all trials equally good."""
        return self.value - self.luck if self.objective == "accuracy" else self.value + self.luck

    def sentence(self) -> str:
        """What this means for the winner."""
        if self.trials == 1:
            return "the only trial was not chosen from others, so there is no selection bias"
        if self.objective == "accuracy":
            lead, rest = f"{points(100 * self.luck, signed=True)} points", f"{100 * self.expected:.2f}%"
        else:
            lead, rest = f"{self.luck:.4f} nats", f"{self.expected:.4f}"
        return (
            f"were all {self.trials} trials equally good, the best would lead by about {lead} by luck alone; that "
            f"would leave {rest}"
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {**asdict(self), "expected": self.expected, "sentence": self.sentence()}


def _luck_of_best(scores: Sequence[npt.NDArray[Any]], trials: int) -> float:
    """By how much the best mean of equally good trials exceeds its true value, on average.

    The differences between trials on the same images say how much a mean varies that is not common to all: half the
    variance of such a difference, over the number of images. Means are taken as normal, as in `evaluation.luck`.

    Args:
        scores: for each finished trial, its score on each image, mean over seeds; `(images,)`.
        trials: how many there were to choose from, those too that were ended early.
    """
    count = len(scores)
    if count < 2:
        return 0.0
    images = len(scores[0])
    of_each = sum(float(np.var(each, ddof=1)) for each in scores)
    # Over all pairs, the variances of the differences sum to this.
    of_pairs = count * of_each - float(np.var(np.sum(scores, axis=0, dtype=np.float64), ddof=1))
    error = math.sqrt(max(of_pairs, 0.0) / (count * (count - 1)) / images)
    return error * expected_maximum(trials)
