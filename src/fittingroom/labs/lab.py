"""`lab`: runs a lab from its file to its page; and the results: arms, claims with verdicts, the true answer."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.api.openings import load
from fittingroom.atomic import write_bytes
from fittingroom.card_html import card, card_table
from fittingroom.data.dataset import Dataset
from fittingroom.errors import DatasetNotFoundError, InputError
from fittingroom.experiments.experiment import experiment
from fittingroom.experiments.experiment_progress import ExperimentProgress
from fittingroom.experiments.plan import variants
from fittingroom.labs.arms import Arm, arm_names
from fittingroom.labs.judging import ClaimResult, check_arms
from fittingroom.labs.lab_description import TEXTS, Lab, LabExperiment
from fittingroom.labs.lab_folder import FACTS_NAME, LabFolder, check_guess
from fittingroom.runs.json_files import json_text
from fittingroom.runs.record import Environment, now
from fittingroom.text import number, percent, percent_range


@dataclass(frozen=True, eq=False)
class LabResult:
    """What came of a lab.

    Args:
        lab: the lab, as its file describes it.
        path: the folder, with `lab.json` and the page.
        arms: what was trained, or the error that came instead.
        claims: each claim with its verdict.
        left_out: a sentence for each dataset that is not there.
        predicted: the answer that the learner chose, from 0; None for no prediction.
        environment: where it ran; None where nothing could be trained.
        date: when it ended, ISO 8601, UTC.
        seconds: how long this call took.
        quick: whether it has two seeds where the lab asks for more.
    """

    lab: Lab
    path: Path
    arms: tuple[Arm, ...]
    claims: tuple[ClaimResult, ...]
    left_out: tuple[str, ...]
    predicted: int | None
    environment: Environment | None
    date: str
    seconds: float
    quick: bool = False

    @property
    def page(self) -> Path:
        """The file with the lab's page."""
        return self.path / f"{self.lab.name}.html"

    @property
    def outcome(self) -> int | None:
        """The answer that came true, from 0; None if nothing was asked, or the measurement cannot tell."""
        return self.allowed[0] if len(self.allowed) == 1 else None

    @property
    def allowed(self) -> tuple[int, ...]:
        """The answers that the effect's whole interval allows, from 0; none if nothing was asked or measured.

        With several, no answer is said to have come true: what is measured to be +0.6 and may be 0 is no rise.
        """
        asked = self.lab.predict
        judged = None if asked is None else self.claims[asked.claim]
        if asked is None or judged is None or judged.value is None:
            return ()
        first, last = (bisect_left(asked.bounds, end) for end in judged.interval or (judged.value, judged.value))
        return tuple(range(first, last + 1))

    def _repr_html_(self) -> str:
        rows = []
        first, second = ("accuracy", "loss") if self.lab.stand_in is None else ("score", "fresh")
        for arm in (one for one in self.arms if one.runs):
            measures = arm.to_dict()["measures"]
            score, beside = measures.get(first), (measures.get(second) or {}).get("mean")
            rows.append(
                (
                    arm.name,
                    str(len(arm.runs)),
                    percent(score and score["mean"]),
                    percent_range(score and score["interval"]),
                    percent(beside) if second == "fresh" else number(beside, 4),
                )
            )
        names = ("accuracy", "95% interval", "loss") if second == "loss" else ("reported", "95% interval", "fresh")
        table = [card_table(("", "seeds", *names), rows)] if rows else []
        claims = [(one.verdict, f"{one.claim.says} {one.sentence}") for one in self.claims]
        refused = [f"{arm.name} was refused: {arm.error}" for arm in self.arms if arm.error is not None]
        told = [*refused, *self.left_out, self.lab.explanation, f"Page: {self.page}"]
        return card(self.lab.question, claims, parts=table, sentences=told)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        lab, asked = self.lab, self.lab.predict
        return {
            "lab": None if lab.number is None else str(lab.number),
            "name": lab.name,
            "title": lab.title,
            "question": lab.question,
            "course": lab.course,
            "prediction": None
            if asked is None
            else {
                "ask": asked.ask,
                "choices": list(asked.answers),
                "chosen": self.predicted,
                "outcome": self.outcome,
                "allowed": list(self.allowed),
            },
            "datasets": list(dict.fromkeys(arm.dataset for arm in self.arms)),
            "left_out": list(self.left_out),
            "seeds": sorted({seed for arm in self.arms for seed in arm.seeds}),
            "arms": [arm.to_dict() for arm in self.arms],
            "claims": [claim.to_dict() for claim in self.claims],
            "picture": dataclasses.asdict(lab.picture),
            "explanation": lab.explanation,
            "next": lab.next,
            "quick": self.quick,
            "command": f"fittingroom lab {lab.path if lab.number is None else lab.number}{' --quick' * self.quick}",
            "environment": self._environment(),
            "page": str(self.page),
        }

    def _environment(self) -> dict[str, Any]:
        found = self.environment
        machine = "" if found is None else f"{found.processor}, {found.cores} cores, {found.platform}"
        return {
            "date": self.date,
            "machine": machine,
            "versions": {} if found is None else dict(found.versions),
            "seconds": self.seconds,
        }


def lab(
    name: str | int | Path | Lab,
    *,
    predicted: int | None = None,
    quick: bool = False,
    trust: bool = False,
    out: str | Path | None = None,
    progress: ExperimentProgress | None = None,
) -> LabResult:
    """Runs a lab: trains what it asks for, judges its claims, and writes its page.

    What was trained before is not trained again, so that a lab that was stopped continues.

    Args:
        name: the number or the name of a lab that comes with Fitting Room, a TOML file, or a lab that was read.
        predicted: the answer that the learner chose, from 0; None for the one that was kept in the folder before
            anything was measured, if there is one.
        quick: whether to train two seeds only where the lab has more. A later call without it adds the others.
        trust: whether Python code in a file of one's own may be run.
        out: the lab's folder, new or one to continue; None for one of its name in the runs folder.
        progress: shows how far its experiments are; None for a live table on a terminal.

    Returns:
        The result; its page and `lab.json` are in its folder.

    Raises:
        UnknownNameError: the lab is unknown, or a claim is about an unknown arm.
        RecipeError: the lab's file is missing, or makes no sense; with file and line.
        InputError: the lab has code, which is not trusted, or no such answer.
        DatasetNotFoundError: a dataset that the lab needs is not there.
        StorageError: its folder cannot be written.
        Interrupted: Ctrl-C or SIGTERM; the same call continues.
    """
    started = time.perf_counter()
    found = name if isinstance(name, Lab) else Lab.find(name)
    check_trust(found, trust=trust)
    check_arms(found.claims, _arm_names_of(found))
    if predicted is not None:
        check_guess(found, predicted)
    quick = quick and found != found.quick
    if quick:
        found = found.quick
    folder = LabFolder(found, None if out is None else Path(out))
    with folder.locked():
        if predicted is None:
            predicted = folder.guess
        elif not folder.is_measured:
            folder.keep_guess(predicted)
        arms, left_out = _trained(found, folder.path, progress)
        claims = ClaimResult.of_claims(found.claims, arms)
        environment = next((run.record.environment for arm in arms for run in arm.runs), None)
        result = LabResult(
            lab=found,
            path=folder.path,
            arms=tuple(arms),
            claims=claims,
            left_out=tuple(left_out),
            predicted=predicted,
            environment=environment,
            date=now(),
            seconds=time.perf_counter() - started,
            quick=quick,
        )
        _write(result)
    return result


def check_trust(lab: Lab, *, trust: bool) -> None:
    """Makes sure that Python code of others runs only if the user says so.

    Raises:
        InputError: the lab has code of others, and `trust` is false.
    """
    ours = lab.path.parent == TEXTS  # it came with Fitting Room, and is as trusted as the rest of that
    if lab.codes and not ours and not trust:
        digest = hashlib.sha256(lab.path.read_bytes()).hexdigest()
        raise InputError(
            f"{lab.path} has Python code in it (SHA-256 of the file {digest}), and nothing of it was run. If you "
            "know this file, --trust runs it (in Python: trust=True)."
        )


def _arm_names_of(found: Lab) -> list[str]:
    """What the arms of a lab will be called: those of its experiments, then those of its code."""
    datasets = len({one.dataset for one in found.experiments})
    of_experiments = [name for one in found.experiments for name in _names(one, datasets)]
    return [*of_experiments, *(code.name for code in found.codes)]


def _names(one: LabExperiment, datasets: int) -> list[str]:
    return arm_names(variants(one.experiment.recipes, one.experiment.vary), one.dataset, datasets=datasets)


def _trained(found: Lab, folder: Path, progress: ExperimentProgress | None) -> tuple[list[Arm], list[str]]:
    """All arms, and a sentence for each dataset that is not there."""
    arms: list[Arm] = []
    left_out: list[str] = []
    datasets = len({one.dataset for one in found.experiments})
    for place, one in enumerate(found.experiments, start=1):
        try:
            dataset = load(one.dataset, validation=one.experiment.validation)
        except DatasetNotFoundError as error:
            if not one.optional:
                raise
            why = str(error).partition(". ")[0]
            left_out.append(f"{one.dataset} was left out: {why}. `fittingroom data {one.dataset}` says how to get it.")
            continue
        arms += _of_experiment(one, dataset, _names(one, datasets), folder / f"experiment-{place}", progress)
    if found.stand_in is not None:
        dataset = load(found.stand_in.dataset, validation=0)
        return [Arm.of_stand_in(code, found.stand_in, dataset, folder / "code") for code in found.codes], left_out
    for code in found.codes:
        arms.append(Arm.of_code(code, load(code.dataset), folder / "code"))
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
    return Arm.of_recipes(done, names, dataset)


def _write(result: LabResult) -> None:
    from fittingroom.reports.pages.lab_page import lab_report

    facts = result.to_dict()
    write_bytes(result.path / FACTS_NAME, json_text(facts).encode())
    lab_report(facts).save(result.page)
