"""Whether speed costs accuracy: the course's model on all 60,000 images, several seeds, scored on the test images.

Usage: python -m benchmarks.accuracy keras-jax | keras-tensorflow
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.pairs import measure, report
from benchmarks.sides import all_versions, chosen_peer, course_script, fitting_room
from benchmarks.whole_process import our_accuracy, their_accuracy

SEEDS = 8


def mean_and_spread(accuracies: list[float]) -> str:
    """For a table: `87.23% ± 0.24`, the standard deviation between seeds."""
    return f"{100 * statistics.mean(accuracies):.2f}% ± {100 * statistics.stdev(accuracies):.2f}"


def main() -> None:
    """Trains and scores both sides, prints the table and keeps it."""
    name, peer = chosen_peer()
    accuracies: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(SEEDS):
            ours = fitting_room(Path(folder), evaluate=True, seed=seed)
            theirs = course_script(peer, Path(folder))  # draws a seed of its own
            accuracies.append((our_accuracy(measure(ours)), their_accuracy(measure(theirs))))
    sides = [list(side) for side in zip(*accuracies, strict=True)]
    rows = [
        (f"test accuracy, {SEEDS} seeds", "Fitting Room", peer.title),
        ("mean ± standard deviation", *(mean_and_spread(side) for side in sides)),
    ]
    report(
        f"accuracy-{name}",
        f"Five epochs on all 60,000 training images, {SEEDS} seeds each.",
        rows,
        {"versions": all_versions(peer), "test_accuracy": accuracies},
    )


if __name__ == "__main__":
    main()
