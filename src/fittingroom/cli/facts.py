"""A run as the facts that several commands print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fittingroom.runs.record import PartResult, RunRecord


def run_facts(path: Path, record: RunRecord) -> dict[str, Any]:
    """What `train --json` prints, and `runs --json` for each run."""
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
        "notes": list(record.notes),
        "looks": [{"time": look.time, "reason": look.reason, "score": look.score} for look in record.looks],
    }


def part_facts(part: PartResult) -> dict[str, Any]:
    """Loss, accuracy, number of images and, for held-out images, the accuracy's interval."""
    facts: dict[str, Any] = {"loss": part.loss, "accuracy": part.accuracy, "count": part.count}
    return facts if part.interval is None else {**facts, "interval": list(part.interval)}


def epochs_text(record: RunRecord) -> str:
    """How far the training came: `5 epochs`, or `stopped after 3 of 5 epochs: loss<0.4 after epoch 3 (...)`."""
    if record.status == "finished":
        return f"{record.epochs} epoch{'' if record.epochs == 1 else 's'}"
    planned = f" of {record.recipe['epochs']}" if "epochs" in record.recipe else ""
    why = f": {record.reason}" if record.reason else ""
    return f"{record.status} after {record.epochs}{planned} epochs{why}"


def test_score(record: RunRecord) -> dict[str, Any] | None:
    """The score of the latest look at the test set that has one."""
    scores = [dict(look.score) for look in record.looks if look.score is not None]
    return scores[-1] if scores else None
