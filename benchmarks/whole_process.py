"""From nothing to a test score, as a user waits for it: ours against the course's script.

Usage: python -m benchmarks.whole_process keras-jax | keras-tensorflow | pytorch

Ours is measured in three forms: the two console commands, one Python script (the course's is one process too), and the
two commands with nothing cached, as on a first day.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.bars import Bar, keep
from benchmarks.pairs import Sample, in_turn
from benchmarks.sides import all_versions, chosen_peer, course_script, one_script, training_and_test

ROUNDS = 5


def our_accuracy(sample: Sample) -> float:
    """The test accuracy that `fittingroom evaluate --json` printed."""
    return float(json.loads(sample.output)["test"]["accuracy"])


def their_accuracy(sample: Sample) -> float:
    """The test accuracy that the course's script, or ours, printed last."""
    return float(sample.output.strip().rsplit(maxsplit=1)[-1])


def main() -> None:
    """Measures, prints the table and keeps it."""
    name, peer = chosen_peer(sys.argv[1:])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        theirs = course_script(peer, folder)
        two, one, cold = training_and_test(folder), one_script(folder), training_and_test(folder, cold=True)
        rounds = in_turn([two, one, cold, theirs], ROUNDS)

    samples = {command.name: [samples[command.name] for samples in rounds] for command in (two, one, cold, theirs)}
    seconds = {name: [sample.seconds for sample in side] for name, side in samples.items()}
    memory = {name: [sample.peak_mib for sample in side] for name, side in samples.items()}
    works = {"two commands": two, "one script": one, "two commands, nothing cached": cold}
    bars = [
        *(
            Bar(f"five epochs and the test score, {work}", theirs.name, seconds[ours.name], seconds[theirs.name])
            for work, ours in works.items()
        ),
        *(
            Bar(
                f"peak memory of that, {work}",
                theirs.name,
                memory[ours.name],
                memory[theirs.name],
                unit=" MiB",
                digits=0,
                ratio="ours / theirs",
                reading="the memory",
            )
            for work, ours in works.items()
            if ours is not cold
        ),
    ]
    accuracies = {
        two.name: [our_accuracy(sample) for sample in samples[two.name]],
        one.name: [their_accuracy(sample) for sample in samples[one.name]],
        theirs.name: [their_accuracy(sample) for sample in samples[theirs.name]],
    }
    keep(f"whole-process-{name}", bars, {"versions": all_versions(peer), "test_accuracy": accuracies})


if __name__ == "__main__":
    main()
