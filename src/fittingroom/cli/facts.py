"""A run as the facts that several commands print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.cli.answer import nats
from fittingroom.runs.kept import without_answers
from fittingroom.runs.record import Look, PartResult, RunRecord

if TYPE_CHECKING:
    from fittingroom.evaluation.luck import Reuse
    from fittingroom.runs.ledger_reuse import Standings

INSTEAD_OF_LOOKS = "To compare recipes, `fittingroom compare RUN RUN` needs no look: it compares on validation images."
"""What to say where test scores of several runs meet."""

NO_TEST_SET = "This run has no test set: it was trained on plain arrays, or on a dataset without one."
"""What to say where the test set of a run is spoken of and there is none."""


def run_facts(path: Path, record: RunRecord, standings: Standings | None = None) -> dict[str, Any]:
    """What `train --json` prints, and `runs --json` for each run.

    Args:
        path: the run folder.
        record: what it says.
        standings: places its looks among all looks; not needed for a run that has just been trained.
    """
    return {
        "run": str(path),
        "created": record.created,
        "status": record.status,
        "reason": record.reason,
        "dataset": record.data.name,
        "recipe": record.recipe["name"],
        "settings": dict(record.recipe),
        "seed": record.seed,
        "epochs": record.epochs,
        "seconds": {
            "setup": record.seconds.setup,
            "compile": record.seconds.compile,
            "train": record.seconds.train,
        },
        "train": part_facts(record.train),
        "validation": None if record.validation is None else part_facts(record.validation),
        "not_finite": without_answers(path, record),
        "notes": list(record.notes),
        "looks": [] if standings is None else [_look_facts(path, record, look, standings) for look in record.looks],
    }


def part_facts(part: PartResult) -> dict[str, Any]:
    """Loss, accuracy, number of images and, for held-out images, the accuracy's interval."""
    facts: dict[str, Any] = {"loss": part.loss, "accuracy": part.accuracy, "count": part.count}
    if part.compiled_loss is not None:
        facts["compiled_loss"] = part.compiled_loss
    return facts if part.interval is None else {**facts, "interval": list(part.interval)}


def loss_text(part: PartResult | None) -> str:
    """The loss of a part for a table: `0.3352`, `not finite`, or a hyphen where there is no such part."""
    return "-" if part is None else "not finite" if part.loss is None else nats(part.loss)


def not_finite_text(path: Path, record: RunRecord) -> str:
    """What belongs below a table of results whose validation loss is not finite; else nothing."""
    why = without_answers(path, record)
    return "" if why is None else f"\n{why}"


def compiled_loss_text(record: RunRecord) -> str:
    """What belongs below a table of results where the loss of training is not the cross-entropy; else nothing."""
    validation = record.validation
    if validation is None or validation.compiled_loss is None:
        return ""
    return (
        "\nThe validation loss is the cross-entropy, by which runs are compared. The training loss is the one that the "
        f"model was compiled with; on the validation images that is {validation.compiled_loss:.4f}."
    )


def epochs_text(record: RunRecord) -> str:
    """How far the training came: `5 epochs`, or `stopped after 3 of 5 epochs: loss<0.4 after epoch 3 (...)`."""
    if record.status == "finished":
        return f"{record.epochs} epoch{'' if record.epochs == 1 else 's'}"
    planned = f" of {record.recipe['epochs']}" if "epochs" in record.recipe else ""
    why = f": {record.reason}" if record.reason else ""
    return f"{record.status} after {record.epochs}{planned} epochs{why}"


def luck(score: Mapping[str, Any], reuse: Reuse) -> float:
    """What the best of all looks so far is worth by luck alone, as a share of the images."""
    return reuse.luck(score["accuracy"], score["count"])


def _look_facts(path: Path, record: RunRecord, look: Look, standings: Standings) -> dict[str, Any]:
    standing = standings.of(path, record, look)
    score = look.score if standing.problem is None else None
    return {
        "time": look.time,
        "reason": look.reason,
        "score": score,
        "look": standing.look,
        "looks": standing.reuse.looks,
        "luck": None if score is None else luck(score, standing.reuse),
        "correlation": standing.reuse.correlation,
        "elsewhere": standing.elsewhere,
        "problem": standing.problem,
    }
