"""Runs the code of a lab about scores, once for each seed, and finds out what its score is worth.

Each seed has a folder of its own: the code, its run, what it printed, the ledger of its looks, and `report.json`, which
is written last. The data of the first seed are kept, so that its run can be audited and scored like any other.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.api.open_runs import open_run
from fittingroom.api.run import Run
from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.audits.audit_progress import ShownProgress
from fittingroom.audits.check import Gallery
from fittingroom.data.dataset import Part
from fittingroom.errors import RecipeError
from fittingroom.labs.code_running import CODE_NAME, PRINTED_NAME, is_whole, run_code
from fittingroom.labs.lab_description import LabCode
from fittingroom.labs.stand_in import StandIn, StandInReport
from fittingroom.runs.json_files import damage, json_text, read_json
from fittingroom.runs.ledger import Ledger, own_ledger

REPORT_NAME = "report.json"
LEDGER_NAME = "ledger.sqlite"
_DATA_NAME = "data"
_PAIRS = 4
_AUDITED = 2  # seeds: comparing all images with each other takes longer than the trainings


def stand_in_folder(code: LabCode, stand_in: StandIn, fingerprint: str, seed: int, folder: Path) -> Path:
    """Where the code of an arm works with one seed.

    Args:
        code: the code.
        stand_in: what it works on.
        fingerprint: of the dataset that the images are cut from.
        seed: the seed.
        folder: for all code of the lab.
    """
    told = f"{fingerprint}\n{stand_in.images} {stand_in.fresh}\n{code.code}"
    return folder / f"{hashlib.sha256(told.encode()).hexdigest()[:12]}-{seed}"


def stand_in_report(
    code: LabCode, stand_in: StandIn, part: Part, seed: int, place: Path
) -> tuple[StandInReport | None, str, str | None]:
    """Runs the code with one seed where that was not done before.

    The code has `fr`, `keras` and `np`, the pile as `images`, `labels` and `classes`, the `seed`, `folder` for files of
    its own, and a free folder `out`. It makes `run`, a run in `out`, and `score`, the accuracy that it reports.

    Args:
        code: the code and its name.
        stand_in: how the pile is cut.
        part: the training part that it is cut from.
        seed: the seed.
        place: the folder of this code with this seed.

    Returns:
        The report, what the code printed, and the message of the error that it ended with. One of report and message
        is None.

    Raises:
        RecipeError: the code makes no run, or no score.
        StorageError: something cannot be written.
        Interrupted: Ctrl-C or SIGTERM.
    """
    out, printed = place / "run", place / PRINTED_NAME
    if (place / REPORT_NAME).is_file() and is_whole(out):
        with damage(place, REPORT_NAME):
            return StandInReport.from_dict(read_json(place / REPORT_NAME)), printed.read_text(encoding="utf-8"), None
    pile, fresh = stand_in.cut(part, seed)
    shutil.rmtree(place, ignore_errors=True)
    data = place / _DATA_NAME
    with storage_errors(place):
        data.mkdir(parents=True)
    write_bytes(place / CODE_NAME, code.code.encode())
    given = {
        "images": pile.images,
        "labels": pile.labels,
        "classes": list(pile.classes),
        "seed": seed,
        "folder": data,
        "out": out,
        "np": np,
    }
    with own_ledger(place / LEDGER_NAME), _without_notes():
        names, error, text = run_code(code.name, code.code, given)
        if error is not None:
            return None, text, error
        report = _report(code, names, seed, fresh, place)
    if seed:
        shutil.rmtree(data, ignore_errors=True)
    write_bytes(printed, text.encode())
    write_bytes(place / REPORT_NAME, json_text(report.to_dict()).encode())
    return report, text, None


@contextmanager
def _without_notes() -> Iterator[None]:
    """Notes of dozens of trainings, which say nothing of the lab, are not shown; each run keeps its own."""
    log = logging.getLogger("fittingroom")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _report(code: LabCode, names: Mapping[str, Any], seed: int, fresh: Part, place: Path) -> StandInReport:
    run, score = _made(code, names, place / "run")
    right = run.log_probabilities(np.asarray(fresh.images)).argmax(axis=-1) == fresh.labels
    ledger = Ledger(place / LEDGER_NAME)
    looks = sum(look.is_new for look in ledger.looks())  # before the audit, which adds an inspection and no look
    reuse = run.evaluate().each[0].reuse if run.record.has_score else None
    tests = run.record.data.counts["test"]
    found = run.audit(only="duplicates", progress=ShownProgress()).results[0] if seed < _AUDITED else None
    evidence = () if found is None else found.evidence
    galleries = [one for one in evidence if isinstance(one, Gallery) and "different parts" in one.title]
    return StandInReport(
        seed=seed,
        score=score,
        fresh=float(right.mean()),
        looks=looks,
        copies=None if found is None else found.facts["test_images_with_copy"],
        images=tests,
        fresh_images=len(right),
        run="." if run.path == place / "run" else run.path.name,
        ledger="The ledger has no look of this run." if reuse is None else _sentence(reuse.sentence(score, tests)),
        audit=() if found is None else tuple(_about_parts(found.sentences)),
        pairs=tuple(image.to_dict() for image in galleries[0].images[: 2 * _PAIRS]) if galleries else (),
    )


def _made(code: LabCode, names: Mapping[str, Any], out: Path) -> tuple[Run, float]:
    run, score = names.get("run"), names.get("score")
    example = "run = fr.train(data, out=out); score = run.evaluate('the one look').scores.accuracy"
    if not is_whole(out) or not isinstance(run, Run) or len(run) != 1 or out not in {run.path, run.path.parent}:
        raise RecipeError(
            f"the code of {code.name!r} made no run of one seed, called `run`, in the folder `out`. For example "
            f"{example}."
        )
    if isinstance(score, bool) or not isinstance(score, float | np.floating) or not 0 <= score <= 1:
        raise RecipeError(
            f"the code of {code.name!r} reports score = {score!r}: expected an accuracy between 0 and 1. For example "
            f"{example}."
        )
    return open_run(run.path, trust=True), float(score)


def _about_parts(sentences: tuple[str, ...]) -> list[str]:
    """What the audit says first, and what it says of copies between parts."""
    return [sentences[0], *(one for one in sentences[1:] if "among the" in one and "copy" in one)]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
