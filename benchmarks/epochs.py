"""Epoch for epoch at batch 32, timed inside each process: start-up, data and compilation do not count.

Usage: python -m benchmarks.epochs keras-jax | keras-tensorflow

Ours is the training time of the run divided by its epochs; compilation is timed apart there. Theirs is the median of
epochs 2 to 5: the first one holds their compilation and is shown apart.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.pairs import Sample, Spread, alternate, report
from benchmarks.sides import all_versions, chosen_peer, course_script, fitting_room

PAIRS = 5


def our_seconds(sample: Sample) -> tuple[float, float]:
    """Seconds per epoch and seconds of compilation, from the JSON object that `fittingroom train --json` printed."""
    result = json.loads(sample.output)
    return result["seconds"]["train"] / result["epochs"], result["seconds"]["compile"]


def their_seconds(sample: Sample) -> tuple[float, float]:
    """Seconds per epoch, and those of the first one, from the list that the course's script printed last."""
    first, *others = json.loads(sample.output.strip().splitlines()[-1])
    return statistics.median(others), first


def main() -> None:
    """Measures, prints the table and keeps it."""
    name, peer = chosen_peer()
    with tempfile.TemporaryDirectory() as folder:
        ours = fitting_room(Path(folder), evaluate=False)
        theirs = course_script(peer, Path(folder), "--epoch-times")
        pairs = [(our_seconds(a), their_seconds(b)) for a, b in alternate(ours, theirs, PAIRS)]

    epoch = [Spread.of(pair[side][0] for pair in pairs) for side in (0, 1)]
    apart = [Spread.of(pair[side][1] for pair in pairs) for side in (0, 1)]
    ratio = Spread.of(b[0] / a[0] for a, b in pairs)
    rows = [
        ("one epoch, 60,000 images, batch 32", ours.name, theirs.name, f"{theirs.name} / {ours.name}"),
        ("seconds per epoch", epoch[0].text(" s"), epoch[1].text(" s"), ratio.text()),
        ("compilation / first epoch", apart[0].text(" s"), apart[1].text(" s"), ""),
    ]
    facts = {"versions": all_versions(peer), "pairs": pairs}
    report(f"epochs-{name}", f"Median of {PAIRS} alternating pairs (lowest–highest), caches warm.", rows, facts)


if __name__ == "__main__":
    main()
