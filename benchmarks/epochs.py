"""Epoch for epoch at batch 32, timed inside each process: start-up, data and compilation do not count.

Usage: python -m benchmarks.epochs keras-jax | keras-tensorflow | pytorch

Ours is the training time of the run divided by its epochs; compilation is timed apart there. With several seeds, one
for each core, it is divided by their number too. Theirs is the median of epochs 2 to 5: the first one holds their
compilation and is kept apart.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.bars import Bar, keep
from benchmarks.pairs import Sample, in_turn
from benchmarks.sides import all_versions, chosen_peer, course_script, seeds_at_once, training

ROUNDS = 5


def result(sample: Sample) -> dict[str, Any]:
    """The JSON object that `fittingroom train --json` printed."""
    return dict(json.loads(sample.output))


def our_epoch(trained: Mapping[str, Any]) -> float:
    """Seconds per epoch and seed."""
    return float(trained["seconds"]["train"] / trained["epochs"] / len(trained.get("per_seed") or [None]))


def their_epochs(sample: Sample) -> tuple[float, float]:
    """Seconds per epoch, and those of the first one, from the list that the course's script printed last."""
    first, *others = json.loads(sample.output.strip().splitlines()[-1])
    return statistics.median(others), first


def main() -> None:
    """Measures, prints the table and keeps it."""
    name, peer = chosen_peer(sys.argv[1:])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        one, many, theirs = training(folder), seeds_at_once(folder), course_script(peer, folder, "--epoch-times")
        rounds = in_turn([one, many, theirs], ROUNDS)

    results = {ours.name: [result(samples[ours.name]) for samples in rounds] for ours in (one, many)}
    epochs, firsts = zip(*(their_epochs(samples[theirs.name]) for samples in rounds), strict=True)
    count = len(results[many.name][0]["per_seed"])
    works = {"one seed": one, f"per seed, {count} at once": many}
    bars = [
        Bar(f"one epoch of `course`, {work}", peer.title, [our_epoch(each) for each in results[ours.name]], epochs)
        for work, ours in works.items()
    ]
    facts = {
        "versions": all_versions(peer),
        "compilation": {side: [each["seconds"]["compile"] for each in trained] for side, trained in results.items()},
        "first_epoch": {peer.title: firsts},
    }
    keep(f"epochs-{name}", bars, facts)


if __name__ == "__main__":
    main()
