"""How far the answers of a run can be trusted, measured once on the sealed test set.

Usage: python -m benchmarks.answers RUN...

For each run: accuracy, coverage and size of the prediction sets, the error of calibration before and after scaling with
the error that a perfectly calibrated model would show (floor), and the share of test images refused as unlike the
training data. Each run's is a look at the test set, and is recorded in the ledger before anything is computed. Nothing
is fitted here: temperature, sets and threshold come from the validation images.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.pairs import markdown_table
from fittingroom import Run, load, open_run
from fittingroom.evaluation.reliability import Reliability
from fittingroom.evaluation.spread import Interval
from fittingroom.text import percent, percent_range


def row(run: Run) -> tuple[str, ...]:
    """What one look at the test set says of a run."""
    part = load(run.record.data.name).test.open(f"benchmarks.answers: coverage and calibration of {run.path.name}")
    plain, answers = np.exp(run.log_probabilities(part.images)), run.answer(part.images)
    truth = [part.classes[label] for label in part.labels]
    right = np.array([answer.label == name for answer, name in zip(answers, truth, strict=True)])
    covered = sum(name in answer.set for answer, name in zip(answers, truth, strict=True))
    refused = sum(answer.unlike for answer in answers)
    before = Reliability.of(plain.max(axis=1), right)
    after = Reliability.of(np.array([answer.probability for answer in answers]), right)
    return (
        str(run.record.recipe["name"]),
        percent(right.mean()),
        f"{covered / len(answers):.4f} ({percent_range(Interval.wilson(covered, len(answers)))})",
        f"{np.mean([len(answer.set) for answer in answers]):.3f}",
        f"{before.error:.4f} ({before.floor:.4f})",
        f"{after.error:.4f} ({after.floor:.4f})",
        f"{percent(refused / len(answers))} ({percent_range(Interval.wilson(refused, len(answers)))})",
    )


def main(arguments: Sequence[str]) -> int:
    """Prints a row for each run."""
    if not arguments:
        sys.exit("Give the runs to measure: python -m benchmarks.answers RUN...")
    header = (
        "recipe",
        "accuracy",
        "coverage (95%)",
        "classes in a set",
        "calibration error (floor)",
        "scaled",
        "refused (95%)",
    )
    print(markdown_table([header, *(row(open_run(name)) for name in arguments)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
