"""Whether speed costs accuracy: the course's model on all 60,000 images, several seeds, scored on the test images.

Usage: python -m benchmarks.accuracy keras-jax | keras-tensorflow
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pairs import measure, measured_on, store
from benchmarks.sides import OURS, all_versions, chosen_peer, course_script, training_and_test
from benchmarks.whole_process import our_accuracy, their_accuracy

SEEDS = 8


def mean_and_spread(accuracies: Sequence[float]) -> str:
    """For a table: `87.23% ± 0.24`, the standard deviation between seeds."""
    return f"{100 * statistics.mean(accuracies):.2f}% ± {100 * statistics.stdev(accuracies):.2f}"


def main() -> None:
    """Trains and scores both sides, prints what they reached and keeps it."""
    name, peer = chosen_peer(sys.argv[1:])
    accuracies: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(SEEDS):
            ours = training_and_test(Path(folder), "--seed", str(seed))
            theirs = course_script(peer, Path(folder))  # draws a seed of its own
            accuracies.append((our_accuracy(measure(ours)), their_accuracy(measure(theirs))))
    sides = dict(zip((OURS, peer.title), zip(*accuracies, strict=True), strict=True))
    for title, side in sides.items():
        print(f"{title}: {mean_and_spread(side)}")
    store(
        f"accuracy-{name}",
        {"machine": measured_on(), "versions": all_versions(peer), "test_accuracy": sides},
    )


if __name__ == "__main__":
    main()
