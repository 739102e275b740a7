"""`fittingroom evaluate`: opens the sealed test set and scores a run on it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fittingroom.cli.answer import Answer, nats, number, percent, percent_range, table
from fittingroom.cli.options import add_json, add_run
from fittingroom.runs.place import LATEST, find_run

if TYPE_CHECKING:
    from fittingroom.evaluation.scores import TestResult

REASON = "fittingroom evaluate"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_run(parser, default=LATEST)
    add_json(parser)


def run(arguments: argparse.Namespace) -> Answer:
    """Scores the run; the opening is recorded before anything is computed."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    from fittingroom import open_run

    opened = open_run(path)
    result = opened.evaluate(REASON)
    facts = {"run": str(opened.path), "dataset": opened.record.data.name, "test": result.to_dict()}
    return Answer(facts, _text(opened.path, opened.record.data.name, result))


def _text(path: Path, dataset: str, result: TestResult) -> str:
    scores = result.scores
    rows = [
        (
            score.name,
            number(score.count),
            number(score.correct),
            percent(score.accuracy),
            percent_range(score.interval),
            percent(score.precision),
            "-" if score.f1 is None else f"{score.f1:.3f}",
        )
        for score in scores.per_class
    ]
    header = ("class", "images", "right", "accuracy", "95% interval", "precision", "F1")
    return (
        f"Test set of {dataset}, opening {result.look} by {path}\n\n"
        f"accuracy  {percent(scores.accuracy)} (95% interval {percent_range(scores.interval)}): "
        f"{number(scores.correct)} of {number(scores.count)} images\n"
        f"loss      {nats(scores.loss)} nats\n\n"
        f"{table(header, rows)}"
    )
