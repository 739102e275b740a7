"""Compares ways to make prediction sets: their coverage and their size on validation images, split again and again.

Usage: python -m benchmarks.sets [RUN]...

In each of 100 repetitions so many validation images are drawn to fit on, and the others are measured: temperature and
scores from the same images (what is used), from half of them each, or no temperature; least ambiguous sets (LAC) or
adaptive ones (APS, randomised; Romano, Sesia and Candès 2020, arXiv 2006.02544). The sealed test set stays closed.
Without a run, the recipe `course` is trained first.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pairs import markdown_table
from fittingroom import Run, load, open_run, train
from fittingroom.answers.recalibration import ALPHA, Conformal, at_temperature, conformal_quantile
from fittingroom.evaluation.calibration import Temperature
from fittingroom.evaluation.reliability import Reliability

REPETITIONS = 100

Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]


def least_ambiguous(logs: Floats, labels: NDArray[Any], new: Floats, generator: np.random.Generator) -> Flags:
    """What is used."""
    del generator
    return Conformal.of(logs, labels).sets(new)


def adaptive(logs: Floats, labels: NDArray[Any], new: Floats, generator: np.random.Generator) -> Flags:
    """Classes from the likeliest on, until they have enough probability together."""
    scores = _mass(np.exp(logs), generator)[np.arange(len(labels)), labels]
    return np.asarray(_mass(np.exp(new), generator) <= conformal_quantile(np.sort(scores), ALPHA))


def _mass(probabilities: Floats, generator: np.random.Generator) -> Floats:
    """The probability of all likelier classes, and of a random part of each class itself."""
    order = np.argsort(-probabilities, axis=1)
    ordered = np.take_along_axis(probabilities, order, axis=1)
    mass = ordered.cumsum(axis=1) - ordered * generator.random((len(ordered), 1))
    result = np.empty_like(mass)
    np.put_along_axis(result, order, mass, axis=1)
    return result


WAYS = {
    "LAC, the same images": (least_ambiguous, "same"),
    "LAC, half of them each": (least_ambiguous, "halves"),
    "LAC, no temperature": (least_ambiguous, "none"),
    "APS, the same images": (adaptive, "same"),
}


def row(name: str, count: int, logs: Floats, labels: NDArray[Any]) -> tuple[str, ...]:
    """Coverage with its deviation, mean size, share of empty sets and calibration error of one way."""
    make, images = WAYS[name]
    generator, found = np.random.default_rng(0), []
    for _ in range(REPETITIONS):
        order = generator.permutation(len(labels))
        for_temperature, for_scores, new = order[:count], order[:count], order[count:]
        if images == "halves":
            for_temperature, for_scores = order[: count // 2], order[count // 2 : count]
        temperature = 1.0 if images == "none" else Temperature.fit(logs[for_temperature], labels[for_temperature]).value
        scaled = at_temperature(logs, temperature)
        sets = make(scaled[for_scores], labels[for_scores], scaled[new], generator)
        sizes = sets.sum(axis=1)
        measured = Reliability.of(np.exp(scaled[new].max(axis=1)), scaled[new].argmax(axis=1) == labels[new])
        covered = sets[np.arange(len(new)), labels[new]].mean()
        found.append((covered, sizes.mean(), (sizes == 0).mean(), measured.error, measured.floor))
    covered, size, empty, error, floor = np.mean(found, axis=0)
    spread = np.std([each[0] for each in found])
    shown = (f"{covered:.4f} ± {spread:.4f}", f"{size:.3f}", f"{empty:.1%}", f"{error:.4f} ({floor:.4f})")
    return name, f"{count:,}", *shown


def report(run: Run) -> str:
    """The table of one run."""
    part = load().validation
    assert part is not None
    logs = run.log_probabilities(part.images)
    header = ("sets", "fitted on", "coverage", "classes", "empty", "calibration error (floor)")
    rows = [row(name, count, logs, part.labels) for count in (200, 1000, 2500) for name in WAYS]
    return f"{run.record.recipe['name']}\n\n{markdown_table([header, *rows])}"


def main(arguments: Sequence[str]) -> int:
    """Prints a table for each run."""
    with tempfile.TemporaryDirectory() as folder:
        for run in [open_run(name) for name in arguments] or [train(out=Path(folder, "run"))]:
            print(report(run))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
