"""`lab`: runs a lab from its file to its page.

The labs that come with Fitting Room, and finding one, ours or not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from fittingroom.api.loading import load
from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.data.dataset import Dataset
from fittingroom.errors import DatasetNotFoundError, InputError, UnknownNameError
from fittingroom.experiments.experiment import experiment
from fittingroom.experiments.experiment_progress import ExperimentProgress
from fittingroom.experiments.plan import variants
from fittingroom.labs.arms import Arm, arm_names, arms_of, run_code
from fittingroom.labs.judging import check_arms, judged
from fittingroom.labs.lab_description import Lab, LabExperiment
from fittingroom.labs.lab_result import FACTS_NAME, LabResult
from fittingroom.runs.json_files import json_text
from fittingroom.runs.place import runs_dir
from fittingroom.runs.record import now


def lab(
    name: str | int | Path | Lab,
    *,
    predicted: int | None = None,
    trust: bool = False,
    out: str | Path | None = None,
    progress: ExperimentProgress | None = None,
) -> LabResult:
    """Runs a lab: trains what it asks for, judges its claims, and writes its page.

    What was trained before is not trained again, so that a lab that was stopped goes on.

    Args:
        name: the number or the name of a lab of ours, a TOML file, or a lab that was read.
        predicted: the answer that the learner has chosen, from 0.
        trust: whether code in a file that is not ours may be run.
        out: the lab's folder, new or one to go on with; None for one of its name in the runs folder.
        progress: is told of the progress of its experiments; None for a live table on a terminal.

    Returns:
        What came out; its page and `lab.json` lie in its folder.

    Raises:
        UnknownNameError: there is no such lab, or a claim is about an arm that there is not.
        RecipeError: its file is missing, or makes no sense; with file and line.
        InputError: its code may not be run.
        DatasetNotFoundError: data that it needs are not there.
        StorageError: its folder cannot be written.
        Interrupted: Ctrl-C or SIGTERM; the same call goes on.
    """
    started = time.perf_counter()
    found = name if isinstance(name, Lab) else find_lab(str(name))
    check_trust(found, trust=trust)
    check_arms(found.claims, arm_names_of(found))
    folder = runs_dir() / f"lab-{found.name}" if out is None else Path(out)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    arms, left_out = _trained(found, folder, progress)
    claims = judged(found.claims, arms)
    environment = next((run.record.environment for arm in arms for run in arm.runs), None)
    result = LabResult(
        lab=found,
        path=folder,
        arms=tuple(arms),
        claims=claims,
        left_out=tuple(left_out),
        predicted=predicted,
        environment=environment,
        date=now(),
        seconds=time.perf_counter() - started,
    )
    _write(result)
    return result


def arm_names_of(found: Lab) -> list[str]:
    """What the arms of a lab will be called: those of its experiments, then those of its code."""
    datasets = len({one.dataset for one in found.experiments})
    of_experiments = [name for one in found.experiments for name in _names(one, datasets)]
    return [*of_experiments, *(code.name for code in found.codes)]


def _names(one: LabExperiment, datasets: int) -> list[str]:
    return arm_names(variants(one.experiment.recipes, one.experiment.vary), one.dataset, datasets=datasets)


def _trained(found: Lab, folder: Path, progress: ExperimentProgress | None) -> tuple[list[Arm], list[str]]:
    """All arms, and for each dataset that could not be had a sentence."""
    arms: list[Arm] = []
    left_out: list[str] = []
    datasets = len({one.dataset for one in found.experiments})
    for number, one in enumerate(found.experiments, start=1):
        try:
            dataset = load(one.dataset, validation=one.experiment.validation)
        except DatasetNotFoundError as error:
            if not one.optional:
                raise
            why = str(error).partition(". ")[0]
            left_out.append(
                f"{one.dataset} was left out: {why}. `fittingroom data {one.dataset}` tells the ways to it."
            )
            continue
        arms += _of_experiment(one, dataset, _names(one, datasets), folder / f"experiment-{number}", progress)
    for code in found.codes:
        arms.append(run_code(code, load(code.dataset), folder / "code"))
    return arms, left_out


def _of_experiment(
    one: LabExperiment, dataset: Dataset, names: Sequence[str], out: Path, progress: ExperimentProgress | None
) -> list[Arm]:
    done = experiment(
        dataset,
        one.experiment.recipes,
        vary=one.experiment.vary,
        seeds=one.experiment.seeds,
        out=out,
        progress=progress,
    )
    return arms_of(done, names, dataset)


def _write(result: LabResult) -> None:
    from fittingroom.reports.pages.lab_page import lab_report

    facts = result.to_dict()
    write_bytes(result.path / FACTS_NAME, json_text(facts).encode())
    lab_report(facts).save(result.page)


TEXTS = Path(__file__).with_name("texts")


def labs() -> tuple[Lab, ...]:
    """All labs of ours, in the order of their numbers."""
    return tuple(Lab.read(path) for path in sorted(TEXTS.glob("*.toml")))


def find_lab(name: str | int) -> Lab:
    """The lab with a number or a name, or that in a TOML file.

    Raises:
        UnknownNameError: there is none of that name; the nearest is told.
        RecipeError: its file is missing, or makes no sense.
    """
    if isinstance(name, str) and name.endswith(".toml"):
        return Lab.read(Path(name))
    found = {key: one for one in labs() for key in (str(one.number), one.name)}
    if str(name) not in found:
        raise UnknownNameError("lab", str(name), found)
    return found[str(name)]


def check_trust(found: Lab, *, trust: bool) -> None:
    """Makes sure that code which is not ours runs only if that was asked for.

    Raises:
        InputError: it was not.
    """
    ours = found.path.parent == TEXTS  # it came with Fitting Room, and is as trusted as the rest of that
    if found.codes and not ours and not trust:
        digest = hashlib.sha256(found.path.read_bytes()).hexdigest()
        raise InputError(
            f"{found.path} has Python code in it (SHA-256 of the file {digest}), and nothing of it was run. If you "
            "know this file, --trust runs it (in Python: trust=True)."
        )
