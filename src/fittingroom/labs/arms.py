"""An arm of a lab: what was trained in one way, with one seed or several, or the error that came instead.

An arm is a recipe of an experiment, or Python code that is run as it stands.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.api.open_runs import open_run
from fittingroom.api.run import Run
from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.data.dataset import Dataset
from fittingroom.errors import RecipeError
from fittingroom.evaluation.spread import Spread
from fittingroom.experiments.experiment import Experiment
from fittingroom.experiments.plan import Variant
from fittingroom.experiments.summary import trained_numbers
from fittingroom.labs.code_running import CODE_NAME, PRINTED_NAME, forget, is_whole, run_code
from fittingroom.labs.lab_description import LabCode
from fittingroom.labs.measures import MEASURES, Measure
from fittingroom.labs.stand_in import StandIn, StandInReport
from fittingroom.labs.stand_in_code import stand_in_folder, stand_in_report
from fittingroom.runs.outcomes import KeptOutcomes
from fittingroom.runs.place import is_run
from fittingroom.runs.validation_outcomes import ValidationOutcomes


@dataclass(frozen=True, eq=False)
class Arm:
    """One of the ways that a lab compares.

    Args:
        name: what the lab's file calls it.
        dataset: the name of the data.
        runs: a run per seed that finished; empty where an error came instead.
        error: the message of the error; None for none.
        code: the Python code that was run; None for a recipe.
        printed: what the code printed.
        reports: what the code reports with each seed, in a lab about scores; empty in others.
    """

    name: str
    dataset: str
    runs: tuple[Run, ...] = ()
    error: str | None = None
    code: str | None = None
    printed: str = ""
    reports: tuple[StandInReport, ...] = ()

    @classmethod
    def of_recipes(cls, experiment: Experiment, names: Sequence[str], dataset: Dataset) -> list[Arm]:
        """An arm for each recipe of an experiment.

        Args:
            experiment: the result of the experiment.
            names: what to call the arms, in the order of the recipes.
            dataset: what the experiment was trained on.
        """
        return [
            cls(
                name=name,
                dataset=experiment.plan.dataset,
                runs=tuple(
                    Run(cell.folder, dataset=dataset, trust=True) for cell in one.done if cell.folder is not None
                ),
                error=None if one.done else next((cell.reason for cell in one.cells if cell.reason), None),
            )
            for name, one in zip(names, experiment.recipes, strict=True)
        ]

    @classmethod
    def of_code(cls, code: LabCode, dataset: Dataset, folder: Path) -> Arm:
        """The arm of a piece of code. What it trained before is not trained again.

        The code has `fr`, `keras`, the dataset as `data` and a free folder as `out`; it gives `out` to `fr.fit` or
        `fr.train`, and calls the result `run`.

        Args:
            code: the code and its name.
            dataset: what is `data` in the code.
            folder: the folder for all code of the lab.

        Raises:
            RecipeError: the code does not make a run in `out`.
            StorageError: something cannot be written.
            Interrupted: Ctrl-C or SIGTERM.
        """
        place = folder / hashlib.sha256(f"{dataset.fingerprint}\n{code.code}".encode()).hexdigest()[:12]
        out, printed = place / "run", place / PRINTED_NAME
        if not (is_whole(out) and printed.is_file()):
            shutil.rmtree(place, ignore_errors=True)
            with storage_errors(place):
                place.mkdir(parents=True)
            write_bytes(place / CODE_NAME, code.code.encode())
            try:
                _, error, text = run_code(code.name, code.code, {"data": dataset, "out": out})
            finally:  # else memory grows with each piece of code
                forget()
            if error is not None:
                return cls(code.name, dataset.name, error=error, code=code.code, printed=text)
            if not is_whole(out):
                raise RecipeError(
                    f"the code of {code.name!r} made no run in the folder `out`. Give it to fit or train, for example "
                    "run = fr.fit(model, data, epochs=5, out=out)."
                )
            write_bytes(printed, text.encode())
        return cls(
            code.name,
            dataset.name,
            tuple(open_run(out, trust=True)),
            code=code.code,
            printed=printed.read_text(encoding="utf-8"),
        )

    @classmethod
    def of_stand_in(cls, code: LabCode, stand_in: StandIn, dataset: Dataset, folder: Path) -> Arm:
        """The arm of a piece of code that works on a stand-in, once for each seed, as `stand_in_report` has it.

        Args:
            code: the code and its name.
            stand_in: how its images are cut.
            dataset: the dataset whose training part they are cut from.
            folder: the folder for all code of the lab.

        Raises:
            RecipeError: the code makes no run, or no score.
            StorageError: something cannot be written.
            Interrupted: Ctrl-C or SIGTERM.
        """
        runs, reports, said = [], [], []
        try:
            for seed in range(stand_in.seeds):
                place = stand_in_folder(code, stand_in, dataset.fingerprint, seed, folder)
                report, printed, error = stand_in_report(code, stand_in, dataset.train, seed, place)
                said.append(printed)
                if report is None:
                    return cls(code.name, dataset.name, error=error, code=code.code, printed="".join(said))
                reports.append(report)
                runs.append(open_run(place / "run" / report.run, trust=True))
        finally:
            forget()
        return cls(code.name, dataset.name, tuple(runs), None, code.code, "".join(said), tuple(reports))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each run."""
        return tuple(one.seed for one in self.reports) or tuple(run.record.seed for run in self.runs)

    @property
    def folder(self) -> Path | None:
        """Where the runs lie: the folder of the run that they belong to."""
        if not self.runs:
            return None
        path = self.runs[0].path
        return path.parent if is_run(path.parent) else path

    @cached_property
    def outcomes(self) -> tuple[KeptOutcomes, ...]:
        """What the kept weights of each run make of the validation images."""
        return tuple(ValidationOutcomes.read(run.path, "measure a lab on them").kept for run in self.runs)

    def on_images(self, measure: Measure) -> npt.NDArray[Any]:
        """A measure of each seed on each image, `(seeds, images)`."""
        of_images = measure.of_images
        if of_images is None:
            raise ValueError(f"{measure.words} is not a number of images")
        return np.stack([of_images(one) for one in self.outcomes]).astype(np.float64)

    def on_seeds(self, measure: Measure) -> tuple[float, ...] | None:
        """A measure of each run; None where there is no run, or one has no such number."""
        if measure.of_report is not None:
            reported = (measure.of_report(report) for report in self.reports)
            return tuple(value for value in reported if value is not None) or None
        if self.reports and measure.of_images is not None:  # each seed has other images
            return None
        if measure.of_images is not None:
            return tuple(map(float, self.on_images(measure).mean(axis=1))) if self.runs else None
        of_run = measure.of_run
        values = [None if of_run is None else of_run(run.record, run.history) for run in self.runs]
        known = tuple(float(value) for value in values if value is not None)
        return known if known and len(known) == len(values) else None

    def same_images(self, other: Arm) -> bool:
        """Whether both were validated on the same images, as far as their labels tell."""
        return self.dataset == other.dataset and np.array_equal(self.outcomes[0].labels, other.outcomes[0].labels)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        spreads = {name: self.on_seeds(measure) for name, measure in MEASURES.items()}
        histories = [run.history for run in self.runs]
        names = dict.fromkeys(name for history in histories for name in history)
        return {
            "name": self.name,
            "dataset": self.dataset,
            "code": self.code,
            "printed": self.printed,
            "error": self.error,
            "seeds": list(self.seeds),
            "measures": {name: Spread.of(values).to_dict() for name, values in spreads.items() if values is not None},
            "parameters": trained_numbers(self.runs[0].path) if self.runs else None,
            "history": {name: [history.get(name, []) for history in histories] for name in names},
            "stops": [run.record.reason for run in self.runs],
            "run": None if self.folder is None else str(self.folder),
            "reports": [report.to_dict() for report in self.reports],
        }


def arm_names(variants: Sequence[Variant], dataset: str, *, datasets: int) -> list[str]:
    """What the arms of an experiment are called: `hidden=512`, `linear`, `course augment=flip on digits`.

    Args:
        variants: the recipes of the experiment.
        dataset: the name of its dataset.
        datasets: how many datasets the lab has; with several, the names of arms say which.
    """
    with_recipe = len({_base(one) for one in variants}) > 1
    return [
        " ".join(
            [
                *([_base(one)] if with_recipe or not one.settings else []),
                *(f"{key}={value}" for key, value in one.settings.items()),
                *([f"on {dataset}"] if datasets > 1 else []),
            ]
        )
        for one in variants
    ]


def _base(one: Variant) -> str:
    """The name of the recipe that was changed, without the plus sign that a changed one has."""
    return one.name.split(" ")[0].rstrip("+")
