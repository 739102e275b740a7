"""From nothing to a test score, as a user waits for it: both commands of ours against the course's script.

Usage: python -m benchmarks.whole_process keras-jax | keras-tensorflow
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.pairs import Sample, Spread, alternate, ratios, report
from benchmarks.sides import all_versions, chosen_peer, course_script, fitting_room

PAIRS = 5
FIGURES: list[tuple[str, str, int, Callable[[Sample], float]]] = [
    ("seconds, whole process", " s", 2, lambda sample: sample.seconds),
    ("peak memory", " MiB", 0, lambda sample: sample.peak_mib),
]


def our_accuracy(sample: Sample) -> float:
    """The test accuracy that `fittingroom evaluate --json` printed."""
    return float(json.loads(sample.output)["test"]["accuracy"])


def their_accuracy(sample: Sample) -> float:
    """The test accuracy that the course's script printed last."""
    return float(sample.output.strip().rsplit(" ", 1)[-1])


def main() -> None:
    """Measures, prints the table and keeps it."""
    name, peer = chosen_peer()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = fitting_room(Path(folder), evaluate=True), course_script(peer, Path(folder))
        pairs = alternate(ours, theirs, PAIRS)

    accuracies = [[our_accuracy(a) for a, _ in pairs], [their_accuracy(b) for _, b in pairs]]
    rows: list[tuple[str, ...]] = [
        ("five epochs and the test score", ours.name, theirs.name, f"{theirs.name} / {ours.name}")
    ]
    for label, unit, digits, figure in FIGURES:
        each = [Spread.of(figure(pair[side]) for pair in pairs) for side in (0, 1)]
        rows.append((label, *(side.text(unit, digits) for side in each), ratios(pairs, figure).text()))
    rows.append(("test accuracy", *(Spread.of(side).text(digits=4) for side in accuracies), ""))

    facts = {
        "versions": all_versions(peer),
        "pairs": [[{"seconds": sample.seconds, "peak_mib": sample.peak_mib} for sample in pair] for pair in pairs],
        "test_accuracy": accuracies,
    }
    title = f"Median of {PAIRS} alternating pairs (lowest–highest), caches warm."
    report(f"whole-process-{name}", title, rows, facts)


if __name__ == "__main__":
    main()
